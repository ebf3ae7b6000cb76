//! What forecasts are worth while models renew themselves: nightly `retrain` beside `train` once a week, unjudged, and
//! `train` once.
//!
//! Every night at two each of them knows the readings up to then, and its models forecast the next 24 hours. Histories are
//! simulated, or those of the files given as arguments: `cargo bench --bench renewal -- FILE…`. Each is replayed as it is;
//! with rooms that change hands halfway; and with two damaged weeks, in which every other day's motion is reported eleven
//! hours late, which are learned from but not scored.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::features::{SiteRates, Table};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::measures::loss::{DailyMean, log_odds_loss};
use roomcast_forecast::model::rows::rows_of;
use roomcast_forecast::model::{Models, fit};
use roomcast_forecast::readings::{self, ReadOptions, Readings};
use roomcast_forecast::train::{self, Options};

mod common;

const DAY: i64 = 24 * HOUR;
/// Days before the first models, and days between two of them.
const FIRST: i64 = 14;
const WEEK: i64 = 7;
/// Days of a history that are replayed at most.
const MOST_DAYS: i64 = 98;
/// Days that are damaged.
const DAMAGED: i64 = 14;
/// Simulated buildings: devices, days.
const SIMULATED: [(usize, u64); 2] = [(8, 98), (40, 70)];

/// A history and the nights on which models may be renewed.
struct History {
    name: String,
    readings: Readings,
    nights: Vec<Timestamp>,
    /// Of the days after the nights, those that are not scored.
    left_out: Vec<bool>,
}

impl History {
    fn new(name: &str, readings: &Readings, calendar: &Calendar) -> History {
        let (first, last) = readings.span().expect("readings");
        let night = first - first.rem_euclid(DAY) + (FIRST + 1) * DAY + 2 * HOUR;
        let end = last.min(first + MOST_DAYS * DAY);
        let nights: Vec<Timestamp> =
            (0..).map(|day| night + day * DAY).take_while(|night| night + DAY <= end).collect();
        let left_out = vec![false; nights.len()];
        let readings = readings.before(calendar.start(calendar.hour(end) + 1));
        History { name: name.to_owned(), readings, nights, left_out }
    }

    /// The same history with rooms that change hands halfway.
    fn moved(&self) -> History {
        let halfway = self.nights[self.nights.len() / 2];
        let mut readings = self.readings.clone();
        for (at, device) in readings.devices.iter_mut().enumerate() {
            let next = &self.readings.devices[(at + 1) % self.readings.devices.len()];
            let before = device.times.iter().filter(|&time| time < halfway);
            device.times = before.chain(next.times.iter().filter(|&time| time >= halfway)).collect();
        }
        History { name: format!("{}, rooms change hands", self.name), readings, ..self.copy() }
    }

    /// The same history with two damaged weeks.
    fn damaged(&self) -> History {
        let from = self.nights[self.nights.len() * 2 / 5];
        let is_damaged = |time: Timestamp| (from..from + DAMAGED * DAY).contains(&time);
        let mut readings = self.readings.clone();
        for device in &mut readings.devices {
            let moves = |time: &Timestamp| is_damaged(*time) && time.div_euclid(DAY) % 2 == 0;
            device.times = device.times.iter().map(|time| if moves(&time) { time + 11 * HOUR } else { time }).collect();
        }
        let left_out = self.nights.iter().map(|&night| is_damaged(night)).collect();
        History { name: format!("{}, two weeks damaged", self.name), readings, left_out, ..self.copy() }
    }

    fn copy(&self) -> History {
        let History { name, readings, nights, left_out } = self;
        History { name: name.clone(), readings: readings.clone(), nights: nights.clone(), left_out: left_out.clone() }
    }
}

/// The hours of a whole history, to score forecasts on.
struct Truth<'a> {
    hourly: &'a Hourly,
    tables: Vec<Table<'a>>,
}

impl Truth<'_> {
    /// Summed log loss of models in hours from `from` until `to`, and the number of these hours over all devices.
    fn loss(&self, models: &Models, from: Hour, to: Hour) -> (f64, usize) {
        let mut sum = (0.0, 0);
        for (at, table) in self.tables.iter().enumerate() {
            let rows = rows_of(self.hourly, at, |hour| (from..to).contains(&hour));
            let asked: Vec<_> = rows.iter().map(|labelled| labelled.row).collect();
            let matrix = table.matrix(&asked).expect("features");
            let layers = models.layers(&self.hourly.devices[at].device);
            let scores = layers.device.scores(layers.site, &matrix);
            sum.0 += scores.iter().zip(&rows).map(|(&score, row)| log_odds_loss(score, row.occupied)).sum::<f64>();
            sum.1 += rows.len();
        }
        sum
    }
}

/// What came of one way to renew models.
#[derive(Default)]
struct Outcome {
    /// Summed losses of the scored days.
    days: Vec<f64>,
    hours: usize,
    versions: usize,
    took: Duration,
}

/// Replays a history: `renew` gets the number of the night, the instant, and the models in use, and returns new ones if any.
fn replay(
    history: &History,
    truth: &Truth,
    calendar: &Calendar,
    renew: impl Fn(usize, Timestamp, Option<&Models>) -> Option<Models>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut models: Option<Models> = None;
    for (night, &until) in history.nights.iter().enumerate() {
        let watch = Instant::now();
        if let Some(renewed) = renew(night, until, models.as_ref()) {
            models = Some(renewed);
            outcome.versions += 1;
        }
        outcome.took += watch.elapsed();
        if history.left_out[night] {
            continue;
        }
        let from = calendar.next_hour(until);
        let (loss, hours) = truth.loss(models.as_ref().unwrap_or(&Models::default()), from, from + 24);
        outcome.days.push(loss);
        outcome.hours += hours;
    }
    outcome
}

fn compare(history: &History, calendar: &Calendar) {
    let end = history.nights.last().map_or(0, |night| night + DAY);
    let hourly = Hourly::new(&history.readings, calendar, end);
    let site_rates = SiteRates::new(&hourly);
    let tables = (0..hourly.devices.len()).map(|at| Table::new(&hourly, &site_rates, at)).collect();
    let truth = Truth { hourly: &hourly, tables };
    let train = |until: Timestamp| {
        let hourly = Hourly::new(&history.readings, calendar, until);
        fit::train(&hourly, &SiteRates::new(&hourly), &|| ()).expect("a fit")
    };
    let once = replay(history, &truth, calendar, |night, until, _| (night == 0).then(|| train(until)));
    let weekly =
        replay(history, &truth, calendar, |night, until, _| night.is_multiple_of(WEEK as usize).then(|| train(until)));
    let nightly = replay(history, &truth, calendar, |_, until, champion| {
        let options = Options { until, max_age: WEEK * DAY, judge_days: WEEK as u16, dry_run: false };
        train::run(&history.readings, calendar, champion, &options, &|| ()).expect("a retraining").models
    });
    println!("{}: {} devices, {} days scored", history.name, hourly.devices.len(), nightly.days.len());
    for (name, outcome) in [("train once", &once), ("train weekly", &weekly), ("retrain nightly", &nightly)] {
        let gains = weekly.days.iter().zip(&outcome.days).map(|(weekly, own)| weekly - own);
        println!(
            "  {name:<16} log loss {:.5}  {:+.1} standard errors against weekly  {:>3} versions  {:>6.1} s",
            outcome.days.iter().sum::<f64>() / outcome.hours as f64,
            DailyMean::new(gains).standard_errors(),
            outcome.versions,
            outcome.took.as_secs_f64(),
        );
    }
}

fn main() {
    let calendar = Calendar::default();
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).filter(|path| path.is_file()).collect();
    let read = |path: &PathBuf| {
        let (readings, _) =
            readings::read(std::slice::from_ref(path), &ReadOptions::default(), &calendar).expect("readings");
        History::new(&path.file_name().unwrap_or_default().to_string_lossy(), &readings, &calendar)
    };
    let simulate = |&(devices, days): &(usize, u64)| {
        let name = format!("simulated, {devices} rooms");
        History::new(&name, &common::building(devices, days).readings(), &calendar)
    };
    let histories: Vec<History> =
        if files.is_empty() { SIMULATED.iter().map(simulate).collect() } else { files.iter().map(read).collect() };
    for history in &histories {
        for variant in [history.copy(), history.moved(), history.damaged()] {
            compare(&variant, &calendar);
        }
    }
}
