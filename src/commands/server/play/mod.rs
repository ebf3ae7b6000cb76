//! `roomcast simulate --live`: sends the readings of a building as its sensors would, in real time or faster.

mod mqtt;
mod post;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;

use self::post::Server;
use super::ingest::broker;
use crate::commands::arguments::values::within;
use crate::commands::output::remark;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_simulate::Building;

/// Seconds without motion after which a sensor reports rest.
const REST_DELAY: i64 = 60;

/// The target and speed of live readings.
#[derive(Debug, Clone, Args)]
pub struct PlayArgs {
    /// Address to which readings are sent at their times, instead of a file: mqtt://host or mqtts://host, in the form of
    /// Zigbee2MQTT, or http://host:port or https://host, the /readings of a server, with the token in the variable
    /// ROOMCAST_TOKEN. Readings of the future are not sent before their time. Device names of larger buildings have a
    /// slash, for which a server needs --mqtt-topic 'zigbee2mqtt/#'
    #[arg(long, value_name = "URL", conflicts_with_all = ["output", "format", "truth", "disorder"])]
    live: Option<String>,
    /// Factor on the speed of time
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "live", value_parser = speed)]
    speed: f64,
    /// File of the certificates to trust for mqtts:// and https://, PEM
    #[arg(long, value_name = "FILE", requires = "live")]
    live_ca: Option<PathBuf>,
}

impl PlayArgs {
    /// Sends the readings of a building, if an address was given. Returns the numbers of devices and readings as text.
    ///
    /// # Errors
    /// Returns an error when the address is not valid, or the broker or server cannot be reached or refuses the readings.
    pub fn run(&self, building: &Building) -> anyhow::Result<Option<String>> {
        let Some(url) = &self.live else { return Ok(None) };
        remark(&format!(
            "sending the readings of {} devices, {} times as fast as they happened, up to the present",
            building.devices, self.speed
        ));
        let sent = if url.starts_with("http") {
            let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
            let trusted = self.live_ca.as_ref().map(read).transpose()?;
            let token = std::env::var("ROOMCAST_TOKEN").ok();
            let server = Server::parse(url, token.as_deref(), trusted.as_deref());
            post::post(building, &server.context("the address of --live cannot be used")?, self.speed)?
        } else {
            mqtt::publish(building, &broker(url, None, self.live_ca.as_deref(), "roomcast-simulate")?, self.speed)?
        };
        Ok(Some(format!("{} devices, {} readings sent", building.devices, sent.readings)))
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let factor = within(text, 1e6).filter(|&factor| factor > 0.0);
    factor.ok_or_else(|| "expected a factor above 0, at most 1000000".into())
}

/// A message of a simulated sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    /// The time of the message.
    time: Timestamp,
    /// Index of the device.
    device: usize,
    /// True for motion, false for rest.
    occupied: bool,
}

/// Numbers of messages sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sent {
    /// Number of readings, including those that the building sends twice.
    readings: u64,
    /// Number of reports of rest.
    rests: u64,
}

/// Returns all messages in order of time. A sensor reports rest before it fires again.
fn script(building: &Building) -> impl Iterator<Item = Message> + '_ {
    let mut resting: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    // The time at which each device will rest; the heap may hold times that have been put off since.
    let mut due = vec![Timestamp::MAX; building.devices];
    building.days().flat_map(move |day| {
        let midnight = day.midnight();
        let mut messages = Vec::with_capacity(day.rows().len() * 2);
        for row in day.rows() {
            let (time, device) = (midnight + Timestamp::from(row.second), row.device as usize);
            while let Some(&Reverse((at, other))) = resting.peek()
                && at <= time
            {
                resting.pop();
                if due[other] == at {
                    due[other] = Timestamp::MAX;
                    messages.push(Message { time: at, device: other, occupied: false });
                }
            }
            if due[device] != Timestamp::MAX {
                messages.push(Message { time, device, occupied: false });
            }
            messages.push(Message { time, device, occupied: true });
            due[device] = time + REST_DELAY;
            resting.push(Reverse((time + REST_DELAY, device)));
        }
        messages
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
        for message in script(&building) {
            assert!(message.time >= last, "{message:?}");
            last = message.time;
            if edges.classify(&message.device.to_string(), message.occupied, message.time) == Kind::Motion {
                times[message.device].push(message.time);
                motion += 1;
            }
        }
        times.iter_mut().for_each(Vec::dedup);
        let readings = building.readings();
        let expected: Vec<Vec<Timestamp>> =
            readings.devices.iter().map(|device| device.times.iter().collect()).collect();
        assert!(motion > 500 && times.iter().filter(|times| !times.is_empty()).eq(&expected));
    }

    #[test]
    fn the_clock_runs_faster_but_not_ahead() {
        let clock = Clock::new(1000, 1000.0);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!((1020..3000).contains(&clock.now()));
        assert!(Clock::new(Timestamp::MAX - 5, 1.0).now() < Timestamp::MAX - 5);
    }
}
