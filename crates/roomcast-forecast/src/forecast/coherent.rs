//! Agreement of the levels: somebody in a room is somebody on its floor and in its building.

use super::DeviceForecast;
use crate::model::rule::Threshold;
use crate::rooms::Rooms;

/// Raises the forecasts of floors and buildings, each in order of name, to the highest of what they hold, hour by hour:
/// the probability of a floor is at least that of each of its rooms, and that of a building at least that of each of its
/// floors and rooms. The same holds for states. All forecasts are of one origin. `thresholds` are the lowest probabilities
/// at which an hour of a floor and of a building counts as occupied.
pub fn coherent(
    table: &Rooms,
    rooms: &[DeviceForecast],
    floors: &mut [DeviceForecast],
    buildings: &mut [DeviceForecast],
    thresholds: (Threshold, Threshold),
) {
    raise(floors, rooms, |room| table.floor_of(room), thresholds.0);
    raise(buildings, floors, |floor| table.building_of_floor(floor), thresholds.1);
    raise(buildings, rooms, |room| table.building_of(room), thresholds.1);
}

/// Raises the forecasts of `above` to those of `below`, which are in what `parent` returns.
fn raise<'a>(
    above: &mut [DeviceForecast],
    below: &[DeviceForecast],
    parent: impl Fn(&str) -> Option<&'a str>,
    threshold: Threshold,
) {
    for child in below {
        let Some(name) = parent(&child.device) else { continue };
        let Ok(at) = above.binary_search_by(|forecast| forecast.device.as_str().cmp(name)) else { continue };
        for (high, low) in above[at].hours.iter_mut().zip(&child.hours) {
            high.probability = high.probability.max(low.probability);
            high.occupied |= low.occupied || high.probability >= threshold.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::Calendar;
    use crate::forecast::HourForecast;
    use crate::hourly::Status;
    use crate::model::Source;

    fn table(text: &str) -> Rooms {
        Rooms::parse(text.as_bytes(), "rooms.csv", &Calendar::default()).unwrap()
    }

    fn forecasts(names: &[&str], values: &[(f64, bool)]) -> Vec<DeviceForecast> {
        let hours = |at: usize| {
            let of = move |hour: usize| values[(at * 24 + hour) % values.len()];
            (0..24).map(move |hour| (hour, of(hour))).map(|(hour, (probability, occupied))| HourForecast {
                hour: hour as i32,
                probability,
                occupied,
            })
        };
        let forecast = |(at, name): (usize, &&str)| DeviceForecast {
            device: (*name).to_owned(),
            status: Status::Live,
            source: Source::Model,
            hours: hours(at).collect(),
        };
        names.iter().enumerate().map(forecast).collect()
    }

    proptest! {
    #[test]
    fn the_levels_agree(values in prop::collection::vec((0.0..1.0_f64, any::<bool>()), 1..200), threshold in 0.0..1.0_f64) {
        let rooms = table("sensor,room,floor,building\na,A,1,X\nb,B,1,X\nc,C,2,X\nd,D,1,Y\ne,E,,Y\nf,F,,\n");
        let below = forecasts(&["A", "B", "C", "D", "E", "F", "G"], &values);
        let (mut floors, mut buildings) = (forecasts(&["X/1", "X/2", "Y/1"], &values[values.len() / 2..]), forecasts(&["X", "Y"], &values[values.len() / 3..]));
        let (old_floors, old_buildings) = (floors.clone(), buildings.clone());
        coherent(&rooms, &below, &mut floors, &mut buildings, (Threshold(threshold), Threshold(threshold)));
        let of = |all: &[DeviceForecast], name: &str, hour: usize| all.iter().find(|f| f.device == name).map(|f| f.hours[hour]).unwrap();
        for hour in 0..24 {
            for (all, old, name, held) in [
                (&floors, &old_floors, "X/1", vec![of(&below, "A", hour), of(&below, "B", hour)]),
                (&floors, &old_floors, "X/2", vec![of(&below, "C", hour)]),
                (&floors, &old_floors, "Y/1", vec![of(&below, "D", hour)]),
                (&buildings, &old_buildings, "X", vec![of(&floors, "X/1", hour), of(&floors, "X/2", hour)]),
                (&buildings, &old_buildings, "Y", vec![of(&floors, "Y/1", hour), of(&below, "E", hour)]),
            ] {
                let (new, old) = (of(all, name, hour), of(old, name, hour));
                let highest = held.iter().map(|hour| hour.probability).fold(old.probability, f64::max);
                prop_assert_eq!(new.probability, highest, "{}", name);
                let is_any = old.occupied || held.iter().any(|hour| hour.occupied);
                prop_assert_eq!(new.occupied, is_any || highest >= threshold, "{}", name);
            }
        }
    }
    }
}
