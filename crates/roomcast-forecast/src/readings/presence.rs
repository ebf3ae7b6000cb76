//! When a sensor's edges say that somebody is there: the one rule for all sources.
//!
//! A sensor that says `off` is occupied from `on` until its `off`. One that never says `off` gives pulses: each `on` is
//! motion, and says nothing about the hours after it. Everything downstream works on instants of motion, so an interval
//! becomes instants: its `on`, the beginning of every whole hour strictly inside it, and its `off`.
//!
//! - An interval ends at its `off`, or when nothing was heard for [`Calendar::max_presence`] after its last `on`: the
//!   `off` may be lost. A repeated `on` goes on with the interval. An `off` without an `on` ends nothing.
//! - An `on` and an `off` in the same second leave the sensor as it was before them; the `on` counts as motion.
//! - An `off` on the whole hour is no motion in the hour that it begins.
//! - A sensor counts as one that says `off` from its first `off` on. Before, its intervals are pulses. So the state of an
//!   hour depends only on edges up to its end, and motion that was stored without its `off` stays what it was.

use super::{DeviceReadings, Times};
use crate::calendar::{Calendar, HOUR, Timestamp};

/// The presence that the edges of a device before an instant show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Instants of motion: strictly ascending.
    pub times: Times,
    /// True when the sensor says `off`.
    pub says_off: bool,
    /// Instants at which the sensor had been on for as long as an interval may last, or longer: ascending.
    pub overlong: Vec<Timestamp>,
}

/// An interval that has begun.
#[derive(Clone, Copy)]
struct Open {
    /// Its first `on`, or the last at which it was found overlong.
    first: Timestamp,
    /// Its last `on`.
    last: Timestamp,
}

impl DeviceReadings {
    /// Returns the presence as known at `origin`: only edges before it count. An interval that is open then lasts until
    /// it.
    pub fn presence(&self, calendar: &Calendar, origin: Timestamp) -> Presence {
        self.expand(calendar, origin, false)
    }

    /// Returns the presence as described afterwards: the interval that the first `off` ends counts as one, too.
    pub(super) fn presence_in_hindsight(&self, calendar: &Calendar, origin: Timestamp) -> Presence {
        self.expand(calendar, origin, true)
    }

    fn expand(&self, calendar: &Calendar, origin: Timestamp, is_hindsight: bool) -> Presence {
        if self.offs.first().is_none_or(|off| off >= origin) {
            return Presence { times: self.times.before(origin), says_off: false, overlong: Vec::new() };
        }
        let cap = calendar.max_presence();
        let mut presence = Presence { times: Times::default(), says_off: false, overlong: Vec::new() };
        let mut times = Vec::with_capacity(self.times.len() + self.offs.len());
        let mut open: Option<Open> = None;
        // The interval before the last `on`, for an `off` in the same second.
        let mut before: Option<Open> = None;
        let edges = self.edges().take_while(|&(time, _)| time < origin).map(|(time, on)| (time, Some(on)));
        for (time, on) in edges.chain([(origin, None)]) {
            let is_off = on == Some(false);
            if is_off && open.is_some_and(|open| open.last == time) {
                presence.says_off = true;
                open = before.and(open);
                continue;
            }
            if let Some(Open { first, last }) = open {
                let end = time.min(last + cap);
                if presence.says_off || (is_hindsight && is_off) {
                    times.extend(whole_hours(last, end, calendar));
                }
                let is_lapsed = end == last + cap;
                let is_overlong = presence.says_off && end - first >= cap && (on.is_some() || is_lapsed);
                presence.overlong.extend(is_overlong.then_some(end));
                // A sensor that says `on` for ever is overlong again after the same time.
                let first = if is_overlong { end } else { first };
                open = (!is_lapsed).then_some(Open { first, last });
            }
            match on {
                Some(true) => {
                    times.push(time);
                    before = open;
                    open = Some(Open { first: open.map_or(time, |open| open.first), last: time });
                }
                Some(false) => {
                    // On the whole hour it would be motion in the hour that it begins.
                    times.extend(open.take().map(|_| time).filter(|&off| calendar.start(calendar.hour(off)) < off));
                    presence.says_off = true;
                }
                None => {}
            }
        }
        presence.times = times.into();
        presence
    }
}

/// Returns the beginnings of the whole hours strictly between two instants.
fn whole_hours(after: Timestamp, end: Timestamp, calendar: &Calendar) -> impl Iterator<Item = Timestamp> {
    let first = calendar.start(calendar.hour(after) + 1);
    (first..end).step_by(HOUR as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::readings::in_order;

    const DAY: i64 = 24 * HOUR;

    /// Midnight of a day; times of day may be beyond its end.
    fn at(text: &str) -> Timestamp {
        let parts = text.split(':').map(|part| part.parse::<i64>().unwrap());
        20_000 * DAY + parts.zip([HOUR, 60, 1]).map(|(part, unit)| part * unit).sum::<i64>()
    }

    /// Edges as `+09:05 -12:40`.
    fn device(edges: &str) -> DeviceReadings {
        let of = |sign| edges.split(' ').filter_map(|edge| edge.strip_prefix(sign)).map(at).collect();
        DeviceReadings { device: "a".into(), times: of('+'), offs: of('-') }
    }

    fn shown(times: &Times) -> String {
        let shown = times.iter().map(|time| time - 20_000 * DAY).map(|time| {
            let second = if time % 60 == 0 { String::new() } else { format!(":{:02}", time % 60) };
            format!("{:02}:{:02}{second}", time / HOUR, time / 60 % 60)
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn presence(edges: &str, origin: &str) -> String {
        shown(&device(edges).presence(&Calendar::default(), at(origin)).times)
    }

    #[test]
    fn a_sensor_is_occupied_from_on_to_off() {
        for (edges, origin, expected) in [
            ("-00:10 +09:05 -12:40", "24:00", "09:05 10:00 11:00 12:00 12:40"),
            // What is open at the origin lasts until it.
            ("-00:10 +09:05 -12:40", "11:30", "09:05 10:00 11:00"),
            ("-00:10 +09:05 -12:40", "11:00", "09:05 10:00"),
            ("-00:10 +09:05 -12:40", "11:00:01", "09:05 10:00 11:00"),
            ("-00:10 +09:05 -12:40", "12:40", "09:05 10:00 11:00 12:00"),
            // An `off` on the whole hour is no motion in the hour that it begins.
            ("-00:10 +09:05 -11:00", "24:00", "09:05 10:00"),
            ("-00:10 +09:00 -10:00 +10:00 -10:10", "24:00", "09:00 10:00 10:10"),
            // A repeated `on`, and an `off` that ends nothing.
            ("-00:10 +09:05 +10:30 +11:00 -12:10", "24:00", "09:05 10:00 10:30 11:00 12:00 12:10"),
            ("-08:00 -08:30 +09:05 -09:10 -09:40", "24:00", "09:05 09:10"),
            // Both in one second leave the sensor as it was.
            ("-00:10 +09:05 -09:05", "24:00", "09:05"),
            ("-00:10 +09:05 +10:30 -10:30 -11:10", "24:00", "09:05 10:00 10:30 11:00 11:10"),
        ] {
            assert_eq!(presence(edges, origin), expected, "{edges} at {origin}");
        }
    }

    #[test]
    fn a_sensor_that_has_not_said_off_gives_pulses() {
        let pulses = device("+09:05 +09:06 +15:00");
        let presence = pulses.presence(&Calendar::default(), at("24:00"));
        assert_eq!((shown(&presence.times), presence.says_off), ("09:05 09:06 15:00".into(), false));
        // The first `off` shows the hour it is in to be occupied, and all hours of what begins later.
        let mixed = "+09:05 -12:40 +13:10 -15:20";
        assert_eq!(self::presence(mixed, "24:00"), "09:05 12:40 13:10 14:00 15:00 15:20");
        assert_eq!(self::presence(mixed, "12:40"), "09:05");
        let hindsight = device(mixed).presence_in_hindsight(&Calendar::default(), at("24:00"));
        assert_eq!(shown(&hindsight.times), "09:05 10:00 11:00 12:00 12:40 13:10 14:00 15:00 15:20");
    }

    #[test]
    fn a_lost_off_ends_with_the_cap_and_is_counted() {
        let calendar = Calendar::default().with_max_presence(3);
        let of = |edges: &str, origin: &str| {
            let Presence { times, overlong, .. } = device(edges).presence(&calendar, at(origin));
            (shown(&times), overlong.len())
        };
        assert_eq!(of("-00:10 +09:05", "24:00"), ("09:05 10:00 11:00 12:00".into(), 1));
        assert_eq!(of("-00:10 +09:00 -12:00", "24:00"), ("09:00 10:00 11:00".into(), 1));
        assert_eq!(of("-00:10 +09:00 -11:59", "24:00"), ("09:00 10:00 11:00 11:59".into(), 0));
        // What comes after the cap ends nothing, and begins anew.
        assert_eq!(
            of("-00:10 +09:05 -14:00 +14:10 -14:20", "24:00"),
            ("09:05 10:00 11:00 12:00 14:10 14:20".into(), 1)
        );
        assert_eq!(of("-00:10 +09:05 +13:00 -13:10", "24:00"), ("09:05 10:00 11:00 12:00 13:00 13:10".into(), 1));
        // A sensor that says `on` again and again stays on, for longer than an interval may last.
        assert_eq!(of("-00:10 +09:05 +11:30 +14:00 -14:20", "24:00").1, 1);
        assert_eq!(of("-00:10 +09:05 +11:30", "12:10"), ("09:05 10:00 11:00 11:30 12:00".into(), 0));
        // One that never stops saying so is overlong each time that an interval could have passed.
        let on: String = (1..=24).map(|hour| format!(" +{hour:02}:00")).collect();
        assert_eq!(of(&format!("-00:10{on}"), "24:30").1, 7);
    }

    #[test]
    fn whole_hours_are_those_of_the_site() {
        let calendar = Calendar::new(Some(chrono_tz::Asia::Kolkata));
        let presence = device("-00:10 +09:05 -11:10").presence(&calendar, at("24:00"));
        assert_eq!(shown(&presence.times), "09:05 09:30 10:30 11:10");
    }

    /// Seconds of edges, some of them on whole hours, some the same.
    fn edges() -> impl Strategy<Value = Vec<(Timestamp, bool)>> {
        let time =
            prop_oneof![(0..60_i64).prop_map(|hour| hour * HOUR), 0..60 * HOUR, (0..600_i64).prop_map(|n| n * 360)];
        prop::collection::vec((time.prop_map(|time| 20_000 * DAY + time), any::<bool>()), 1..40)
    }

    fn of(edges: &[(Timestamp, bool)]) -> DeviceReadings {
        let of = |is_motion| edges.iter().filter(|edge| edge.1 == is_motion).map(|edge| edge.0).collect();
        let device = DeviceReadings { device: "a".into(), times: of(true), offs: of(false) };
        in_order(vec![device]).devices.remove(0)
    }

    proptest! {
        #[test]
        fn what_is_known_at_an_origin_is_the_beginning_of_what_is_known_later(edges in edges(), origin in 0..80 * HOUR) {
            let (calendar, origin) = (Calendar::default().with_max_presence(5), 20_000 * DAY + origin);
            let all = of(&edges);
            let known: Vec<_> = edges.into_iter().filter(|edge| edge.0 < origin).collect();
            let early = of(&known).presence(&calendar, origin);
            prop_assert_eq!(&early.times, &all.presence(&calendar, origin).times);
            prop_assert_eq!(&early.times, &all.presence(&calendar, Timestamp::MAX).times.before(origin));
            prop_assert!(early.times.iter().is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn late_repeated_and_disordered_edges_say_the_same(edges in edges(), again in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
            let mut disordered: Vec<_> = again.iter().map(|index| edges[index.index(edges.len())]).collect();
            disordered.extend(edges.iter().rev());
            prop_assert_eq!(of(&disordered), of(&edges));
            // Half of them come late.
            let (first, late) = disordered.split_at(disordered.len() / 2);
            let mut grown = of(first);
            grown.times.add(&of(late).times);
            grown.offs.add(&of(late).offs);
            prop_assert_eq!(grown, of(&edges));
        }

        #[test]
        fn an_hour_begins_occupied_when_the_last_edge_said_on(edges in edges()) {
            let calendar = Calendar::default().with_max_presence(5);
            let seconds: std::collections::BTreeMap<_, _> = edges.into_iter().collect();
            let device = of(&seconds.iter().map(|(&time, &on)| (time, on)).collect::<Vec<_>>());
            let times = device.presence(&calendar, Timestamp::MAX).times;
            for hour in (0..80).map(|hour| 20_000 * DAY + hour * HOUR) {
                let last = seconds.range(..hour).next_back();
                let is_on = last.is_some_and(|(&last, &on)| on && hour < last + 5 * HOUR);
                let is_known = device.offs.first().is_some_and(|off| off < hour);
                let expected = match seconds.get(&hour) {
                    Some(&on) => on,
                    None => is_on && is_known,
                };
                prop_assert_eq!(times.contains(hour), expected, "{}", hour);
            }
        }
    }
}
