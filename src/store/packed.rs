//! Readings of one device and day in a few bytes: differences as variable-length integers, then zstd.

use super::varint;
use crate::calendar::{Calendar, Hour, Instant};

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// What the bytes of a day can be at most: a difference below 128 for every second.
const LIMIT: usize = DAY as usize;

/// zstd's default: more costs much and wins nothing on so few bytes.
const LEVEL: i32 = 3;

/// The day of an instant, counted from 1970-01-01 on the site's time line.
pub(super) fn day(time: Instant) -> i64 {
    time.div_euclid(DAY)
}

/// The first and the last hour of which anything lies in the days from `first` up to `end`: an hour that a zone with odd
/// minutes shares with another day is among them.
pub(super) fn hours(first: i64, end: i64, calendar: &Calendar) -> (Hour, Hour) {
    (calendar.hour(first * DAY), calendar.hour(end * DAY - 1))
}

/// The instants of one day, strictly ascending, as bytes.
pub(super) fn pack(day: i64, times: &[Instant]) -> Result<Vec<u8>, sqlx::Error> {
    let mut bytes = Vec::with_capacity(2 * times.len());
    let mut last = day * DAY;
    for &time in times {
        varint::put(&mut bytes, (time - last) as u64);
        last = time;
    }
    zstd::bulk::compress(&bytes, LEVEL).map_err(sqlx::Error::Io)
}

/// The instants in the bytes of a day.
///
/// # Errors
/// [`sqlx::Error::Decode`] when the bytes are none that [`pack`] makes.
pub(super) fn unpack(day: i64, packed: &[u8]) -> Result<Vec<Instant>, sqlx::Error> {
    let damaged = || sqlx::Error::Decode(format!("the packed readings of day {day} are damaged").into());
    let bytes = zstd::bulk::decompress(packed, LIMIT).map_err(|_| damaged())?;
    let (mut time, end) = (day * DAY, (day + 1) * DAY);
    let mut times = Vec::with_capacity(bytes.len());
    for rest in varint::all(&bytes).ok_or_else(damaged)? {
        // Below 2^35, so that nothing overflows.
        time += rest as i64;
        if time >= end || (rest == 0 && !times.is_empty()) {
            return Err(damaged());
        }
        times.push(time);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(
            day in 365_i64..84_000,
            seconds in prop::collection::btree_set(0..DAY, 0..2000),
        ) {
            let times: Vec<_> = seconds.iter().map(|second| day * DAY + second).collect();
            let packed = pack(day, &times)?;
            prop_assert_eq!(unpack(day, &packed)?, times);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_a_day(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let packed = zstd::bulk::compress(&bytes, LEVEL)?;
            for text in [&packed, &bytes] {
                if let Ok(times) = unpack(17_000, text) {
                    prop_assert!(times.is_sorted_by(|a, b| a < b) && times.iter().all(|&time| day(time) == 17_000));
                }
            }
        }
    }

    #[test]
    fn a_day_of_motion_every_second_fits() {
        let times: Vec<_> = (0..DAY).map(|second| 17_000 * DAY + second).collect();
        let packed = pack(17_000, &times).unwrap();
        assert_eq!(unpack(17_000, &packed).unwrap(), times);
        assert!(packed.len() < 100, "{}", packed.len());
    }
}
