//! Schedules as they would have been made at each origin, and the hours that they are held against.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::LedgerPlan;
use crate::backtest::{ScoredHour, outcomes};
use crate::calendar::{Calendar, Timestamp};
use crate::decisions::blocks::{Block, BlockRule, blocks};
use crate::decisions::outcomes::Outcomes;
use crate::decisions::plan::today;
use crate::decisions::policies::{KnownHour, Span, Sums, Times};
use crate::decisions::promise::{self, Method, Thresholds};
use crate::model::rule::OutOfSample;
use crate::readings::Readings;

/// The blocks of one room, as made at one origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The instant at which they were made.
    pub origin: Timestamp,
    /// The threshold then.
    pub threshold: f64,
    /// The blocks of the hours of its forecast.
    pub blocks: Vec<Block>,
}

/// One room of a replay.
pub struct Room<'a> {
    /// The device's name.
    pub device: &'a str,
    /// Its hours of which it is known whether they were occupied, ascending, each once.
    pub known: Vec<KnownHour>,
    /// Its forecasts: origins, ascending, and the hours of each.
    forecasts: Vec<(Timestamp, &'a [ScoredHour])>,
}

/// The rooms of a replay, whose schedules are followed until the next origin.
pub struct Followed<'a> {
    readings: &'a Readings,
    calendar: &'a Calendar,
    hours: &'a [ScoredHour],
    /// All origins, ascending.
    origins: Vec<Timestamp>,
    /// The rooms, in order of name.
    pub rooms: Vec<Room<'a>>,
    /// Number of hours left out because the sensor had been silent for long.
    pub silent: usize,
}

impl<'a> Followed<'a> {
    /// Arranges the hours of a replay by room.
    pub fn new(readings: &'a Readings, calendar: &'a Calendar, hours: &'a [ScoredHour]) -> Followed<'a> {
        let mut origins: Vec<Timestamp> = hours.iter().map(|scored| scored.origin).collect();
        origins.dedup();
        let mut rooms: BTreeMap<u32, Vec<(Timestamp, &[ScoredHour])>> = BTreeMap::new();
        for forecast in hours.chunk_by(|a, b| (a.origin, a.device) == (b.origin, b.device)) {
            rooms.entry(forecast[0].device).or_default().push((forecast[0].origin, forecast));
        }
        let mut known: BTreeMap<u32, Vec<KnownHour>> = BTreeMap::new();
        let mut silent = 0;
        for scored in outcomes::followed(hours, calendar) {
            if scored.silent {
                silent += 1;
                continue;
            }
            let times = &readings.devices[scored.device as usize].times;
            let from = calendar.start(scored.hour);
            let motion = scored.actual.then(|| times.iter_from(from).next()).flatten();
            let hour = KnownHour { hour: scored.hour, day: scored.day, motion };
            known.entry(scored.device).or_default().push(hour);
        }
        let room = |(device, forecasts): (u32, _)| Room {
            device: &readings.devices[device as usize].device,
            known: known.remove(&device).unwrap_or_default(),
            forecasts,
        };
        let rooms = rooms.into_iter().map(room).collect();
        Followed { readings, calendar, hours, origins, rooms, silent }
    }

    /// Returns the schedules of each room as they would have been made. `earlier` are hours of a replay before this one.
    pub fn schedules(&self, plan: &LedgerPlan, earlier: &[ScoredHour]) -> Vec<Vec<Made>> {
        let mut record = Outcomes::default();
        let first = self.origins.first().copied().unwrap_or(Timestamp::MAX);
        let before = earlier.iter().filter(|scored| self.calendar.start(scored.hour) < first);
        outcomes::add(&mut record, self.readings, before);
        outcomes::add(&mut record, self.readings, outcomes::followed(self.hours, self.calendar));
        let (method, judged) = (Method::Promise(plan.promise), OutOfSample::default());
        // Each takes only days that were over at its origin from the record.
        let thresholds = |&origin: &Timestamp| {
            let names = self.rooms.iter().map(|room| room.device);
            (origin, promise::thresholds(method, &record, &judged, today(origin, self.calendar), names))
        };
        let thresholds: BTreeMap<Timestamp, Thresholds> = self.origins.par_iter().map(thresholds).collect();
        let of_room = |room: &Room<'_>| {
            let threshold = |origin| thresholds[&origin].of(room.device);
            self.made(room, &plan.rule, &|scored| f64::from(scored.probability), &threshold)
        };
        self.rooms.par_iter().map(of_room).collect()
    }

    /// Returns the sums of all rooms for schedules of any chance and one threshold.
    pub fn fixed(&self, rule: &BlockRule, chance: &(dyn Fn(&ScoredHour) -> f64 + Sync), threshold: f64) -> Sums {
        let room = |room: &Room<'_>| {
            let made = self.made(room, rule, chance, &|_| threshold);
            Times::planned(self.spans(&made), rule.preheat).by_day(&room.known, self.calendar)
        };
        let rooms: Vec<_> = self.rooms.par_iter().map(room).collect();
        rooms.iter().flat_map(|days| days.values()).fold(Sums::default(), |mut all, &day| {
            all += day;
            all
        })
    }

    fn made(
        &self,
        room: &Room<'_>,
        rule: &BlockRule,
        chance: &dyn Fn(&ScoredHour) -> f64,
        threshold: &dyn Fn(Timestamp) -> f64,
    ) -> Vec<Made> {
        let made = |&(origin, forecast): &(Timestamp, &[ScoredHour])| {
            let threshold = threshold(origin);
            let hours = forecast.iter().map(|scored| (scored.hour, chance(scored)));
            Made { origin, threshold, blocks: blocks(hours, threshold, rule, origin, self.calendar) }
        };
        room.forecasts.iter().map(made).collect()
    }

    /// Returns the times on of schedules, each followed until the next origin.
    pub fn spans(&self, made: &[Made]) -> Vec<Span> {
        let of = |made: &Made| {
            let next = self.origins.partition_point(|&origin| origin <= made.origin);
            let until = self.origins.get(next).copied().unwrap_or(Timestamp::MAX);
            made.blocks.iter().map(move |block| (block.start, block.end.min(until))).collect::<Vec<_>>()
        };
        made.iter().flat_map(of).collect()
    }
}
