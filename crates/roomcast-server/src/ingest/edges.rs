//! Distinguishes a new motion, or its end, from a repeated report of the same.

use std::collections::HashMap;

use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::readings::DeviceReadings;
use roomcast_storage::readings::Kind;

/// The last report of every device.
///
/// Most sensors report `true` when they see motion and `false` a while later, and repeat the report in between as a
/// sign of life. The first `true` is motion, the first `false` after it is its end. A repeated `true` counts `hold` seconds
/// or more after the last that counted, because a room may be in use for hours without a `false`.
#[derive(Debug)]
pub struct Edges {
    hold: i64,
    devices: HashMap<String, Edge>,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    occupied: bool,
    /// True when the sensor has ever said `false`.
    says_off: bool,
    /// The last motion that counted; `Timestamp::MIN` before there was any.
    counted: Timestamp,
}

impl Edges {
    /// Starts without knowing any device.
    pub fn new(hold: i64) -> Edges {
        Edges { hold, devices: HashMap::new() }
    }

    /// Reads each device's state from the store. A device that never said `off` is in motion when nothing was heard after
    /// its last reading.
    pub fn learn(&mut self, readings: &[DeviceReadings], heard: &[(String, Timestamp)]) {
        for (device, heard) in heard {
            let known = readings.binary_search_by(|d| d.device.cmp(device)).ok().map(|at| &readings[at]);
            let counted = known.and_then(|device| device.times.last());
            let off = known.and_then(|device| device.offs.last());
            let occupied = counted.is_some_and(|last| off.map_or(last >= *heard, |off| last > off));
            let edge = Edge { occupied, says_off: off.is_some(), counted: counted.unwrap_or(Timestamp::MIN) };
            self.devices.insert(device.clone(), edge);
        }
    }

    /// Returns whether a device ever reported as a motion sensor.
    pub fn knows(&self, device: &str) -> bool {
        self.devices.contains_key(device)
    }

    /// Returns the kind of event that a report of motion, or of no motion, is.
    pub fn classify(&mut self, device: &str, occupied: bool, time: Timestamp) -> Kind {
        let new = Edge { occupied: false, says_off: false, counted: Timestamp::MIN };
        let edge = match self.devices.get_mut(device) {
            Some(edge) => edge,
            None => self.devices.entry(device.to_owned()).or_insert(new),
        };
        let was_occupied = std::mem::replace(&mut edge.occupied, occupied);
        if !occupied {
            // The first `false` is kept although it ends nothing: it shows of which kind the sensor is.
            let is_first = !std::mem::replace(&mut edge.says_off, true);
            return if was_occupied || is_first { Kind::Off } else { Kind::Rest };
        }
        if was_occupied && time.saturating_sub(edge.counted) < self.hold {
            return Kind::Rest;
        }
        edge.counted = time;
        Kind::Motion
    }

    /// Returns whether a device that is no longer available was in motion. This ends it. A sensor that never says `off`
    /// gives pulses, which have no end.
    pub fn lose(&mut self, device: &str) -> bool {
        let Some(edge) = self.devices.get_mut(device).filter(|edge| edge.says_off) else { return false };
        std::mem::replace(&mut edge.occupied, false)
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
            (false, 90, Kind::Off),
            (false, 90, Kind::Rest),
            (true, 91, Kind::Motion),
            (true, 3690, Kind::Rest),
            (true, 3691, Kind::Motion),
            (true, 3692, Kind::Rest),
            (false, 3700, Kind::Off),
            (false, 3800, Kind::Rest),
        ];
        for (occupied, time, kind) in said {
            assert_eq!(edges.classify("a", occupied, time), kind, "{time}");
        }
        assert_eq!(edges.classify("b", true, 3800), Kind::Motion);
        assert!(edges.knows("b") && !edges.knows("c"));
        // The first `false` of a sensor at rest shows of which kind it is.
        assert_eq!(["d", "d"].map(|device| edges.classify(device, false, 3900)), [Kind::Off, Kind::Rest]);
    }

    #[test]
    fn a_lost_sensor_ends_its_motion_unless_it_gives_pulses() {
        let mut edges = Edges::new(3600);
        edges.classify("pulses", true, 0);
        edges.classify("room", false, 0);
        assert!(!edges.lose("room"));
        edges.classify("room", true, 10);
        assert_eq!(
            [edges.lose("room"), edges.lose("room"), edges.lose("pulses"), edges.lose("c")],
            [true, false, false, false]
        );
        assert_eq!(edges.classify("room", true, 20), Kind::Motion);
    }

    #[test]
    fn what_the_store_knows_goes_on() {
        let mut edges = Edges::new(3600);
        let readings = |device: &str, offs: Vec<Timestamp>| DeviceReadings {
            device: device.into(),
            times: vec![100, 200].into(),
            offs: offs.into(),
        };
        let known = [
            readings("left", vec![205]),
            readings("moving", vec![]),
            readings("resting", vec![]),
            readings("there", vec![150]),
        ];
        let heard = ["left", "moving", "quiet", "resting", "there"]
            .map(String::from)
            .into_iter()
            .zip([230, 200, 100, 230, 230]);
        edges.learn(&known, &heard.collect::<Vec<_>>());
        assert_eq!([edges.classify("left", true, 260), edges.classify("there", true, 260)], [Kind::Motion, Kind::Rest]);
        assert_eq!(edges.classify("there", false, 270), Kind::Off);
        assert_eq!(edges.classify("moving", true, 260), Kind::Rest);
        assert_eq!(edges.classify("resting", true, 260), Kind::Motion);
        assert_eq!(edges.classify("quiet", true, 260), Kind::Motion);
    }
}
