//! The building in (accelerated) real time: its sensors' messages at the time they would send them.

mod mqtt;
mod post;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

pub use mqtt::publish;
pub use post::{Server, post};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_simulate::Building;

/// Seconds without motion after which a sensor reports rest.
const RESTS: i64 = 60;

/// A message of a simulated sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The time of the message.
    pub time: Timestamp,
    /// Index of the device.
    pub device: usize,
    /// True for motion, false for rest.
    pub occupied: bool,
}

/// Numbers of messages sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    /// Number of readings, including those that the building sends twice.
    pub readings: u64,
    /// Number of reports of rest.
    pub rests: u64,
}

/// Reason why playing stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The broker or the server cannot be reached.
    #[error("{target}: {message}")]
    Unreachable {
        /// Address of the broker or the server.
        target: String,
        /// The error's message.
        message: String,
    },
    /// The server does not accept the readings.
    #[error("{target}: refused with status {status}: {message}")]
    Refused {
        /// Address of the server.
        target: String,
        /// Status of the server's answer.
        status: u16,
        /// Body of the server's answer.
        message: String,
    },
}

/// Returns all messages in order of time: a sensor that fires again has reported rest before.
fn script(building: &Building) -> impl Iterator<Item = Said> + '_ {
    let mut resting: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    // The time at which each device will rest; the heap may hold times that have been put off since.
    let mut due = vec![Timestamp::MAX; building.devices];
    building.days().flat_map(move |day| {
        let midnight = day.midnight();
        let mut said = Vec::with_capacity(day.rows().len() * 2);
        for row in day.rows() {
            let (time, device) = (midnight + Timestamp::from(row.second), row.device as usize);
            while let Some(&Reverse((at, other))) = resting.peek()
                && at <= time
            {
                resting.pop();
                if due[other] == at {
                    due[other] = Timestamp::MAX;
                    said.push(Said { time: at, device: other, occupied: false });
                }
            }
            if due[device] != Timestamp::MAX {
                said.push(Said { time, device, occupied: false });
            }
            said.push(Said { time, device, occupied: true });
            due[device] = time + RESTS;
            resting.push(Reverse((time + RESTS, device)));
        }
        said
    })
}

/// A clock that begins at an instant and runs `speed` times as fast as real time, but never past the present.
struct Clock {
    start: Timestamp,
    speed: f64,
    watch: Instant,
}

impl Clock {
    fn new(start: Timestamp, speed: f64) -> Clock {
        Clock { start, speed, watch: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        let passed = (self.watch.elapsed().as_secs_f64() * self.speed) as Timestamp;
        self.start.saturating_add(passed).min(Calendar::default().now())
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use roomcast_server::ingest::edges::Edges;
    use roomcast_storage::readings::Kind;

    #[test]
    fn what_counts_as_motion_are_the_building_s_readings() {
        let date = |day| NaiveDate::from_ymd_opt(2016, 7, day).unwrap();
        let building = Building::new(3, 12, date(1), date(4));
        let mut edges = Edges::new(3600);
        let (mut last, mut motion) = (Timestamp::MIN, 0);
        let mut times = vec![Vec::new(); 12];
        for said in script(&building) {
            assert!(said.time >= last, "{said:?}");
            last = said.time;
            if edges.kind(&said.device.to_string(), said.occupied, said.time) == Kind::Motion {
                times[said.device].push(said.time);
                motion += 1;
            }
        }
        times.iter_mut().for_each(Vec::dedup);
        let readings = building.readings();
        let expected: Vec<&Vec<Timestamp>> = readings.devices.iter().map(|device| &*device.times).collect();
        assert!(motion > 500 && times.iter().filter(|times| !times.is_empty()).eq(expected));
    }

    #[test]
    fn the_clock_runs_faster_but_not_ahead() {
        let clock = Clock::new(1000, 1000.0);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!((1020..3000).contains(&clock.now()));
        assert!(Clock::new(Timestamp::MAX - 5, 1.0).now() < Timestamp::MAX - 5);
    }
}
