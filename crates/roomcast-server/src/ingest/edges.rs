//! Distinguishes a new motion of a sensor from a repeated report of the same motion.

use std::collections::HashMap;

use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::readings::DeviceReadings;
use roomcast_storage::readings::Kind;

/// The last report of every device.
///
/// Most sensors report `true` when they see motion and `false` a while later, and repeat the report in between as a
/// sign of life. The first `true` is motion. A repeated one counts `hold` seconds or more after the last that counted,
/// because a room may be in use for hours without a `false`.
#[derive(Debug)]
pub struct Edges {
    hold: i64,
    devices: HashMap<String, Edge>,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    occupied: bool,
    /// The last motion that counted; `Timestamp::MIN` before there was any.
    counted: Timestamp,
}

impl Edges {
    /// Starts without knowing any device.
    pub fn new(hold: i64) -> Edges {
        Edges { hold, devices: HashMap::new() }
    }

    /// Reads each device's state from the store. A device without a report after its last reading is in motion.
    pub fn learn(&mut self, readings: &[DeviceReadings], heard: &[(String, Timestamp)]) {
        for (device, heard) in heard {
            let found =
                readings.binary_search_by(|d| d.device.cmp(device)).ok().and_then(|at| readings[at].times.last());
            let edge = match found {
                Some(&last) => Edge { occupied: last >= *heard, counted: last },
                None => Edge { occupied: false, counted: Timestamp::MIN },
            };
            self.devices.insert(device.clone(), edge);
        }
    }

    /// Returns whether a device ever reported as a motion sensor.
    pub fn knows(&self, device: &str) -> bool {
        self.devices.contains_key(device)
    }

    /// Returns the kind of event that a report of motion, or of no motion, is.
    pub fn classify(&mut self, device: &str, occupied: bool, time: Timestamp) -> Kind {
        let Some(edge) = self.devices.get_mut(device) else {
            let counted = if occupied { time } else { Timestamp::MIN };
            self.devices.insert(device.to_owned(), Edge { occupied, counted });
            return if occupied { Kind::Motion } else { Kind::Rest };
        };
        let again = edge.occupied && time.saturating_sub(edge.counted) < self.hold;
        edge.occupied = occupied;
        if !occupied || again {
            return Kind::Rest;
        }
        edge.counted = time;
        Kind::Motion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_true_is_motion_until_the_hold_is_over() {
        let mut edges = Edges::new(3600);
        let said = [
            (true, 0, Kind::Motion),
            (true, 60, Kind::Rest),
            (false, 90, Kind::Rest),
            (true, 91, Kind::Motion),
            (true, 3690, Kind::Rest),
            (true, 3691, Kind::Motion),
            (true, 3692, Kind::Rest),
            (false, 3700, Kind::Rest),
            (false, 3800, Kind::Rest),
        ];
        for (occupied, time, kind) in said {
            assert_eq!(edges.classify("a", occupied, time), kind, "{time}");
        }
        assert_eq!(edges.classify("b", true, 3800), Kind::Motion);
        assert!(edges.knows("b") && !edges.knows("c"));
    }

    #[test]
    fn what_the_store_knows_goes_on() {
        let mut edges = Edges::new(3600);
        let readings = |device: &str| DeviceReadings { device: device.into(), times: vec![100, 200].into() };
        let heard = [("moving".into(), 200), ("quiet".into(), 100), ("resting".into(), 230)];
        edges.learn(&[readings("moving"), readings("resting")], &heard);
        assert_eq!(edges.classify("moving", true, 260), Kind::Rest);
        assert_eq!(edges.classify("resting", true, 260), Kind::Motion);
        assert_eq!(edges.classify("quiet", true, 260), Kind::Motion);
    }
}
