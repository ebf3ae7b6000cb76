//! The readings of one device and day in a few bytes: differences as variable-length integers, then zstd.

use std::cell::RefCell;

use zstd::bulk::Decompressor;

use super::varint;
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};

/// Seconds in a day.
pub(super) const DAY: i64 = 86_400;

/// Maximum number of bytes of a day before compression: a difference below 128 for every second.
const MAX_BYTES: usize = DAY as usize;

/// The default level of zstd. Higher levels cost much time and save nothing on so few bytes.
const ZSTD_LEVEL: i32 = 3;

thread_local! {
    /// The state of zstd and room for a day. To make them anew would cost ten times as much as to decode a day.
    static DECODER: RefCell<(Decompressor<'static>, Vec<u8>)> =
        RefCell::new((Decompressor::default(), Vec::with_capacity(MAX_BYTES)));
}

/// Returns the day of an instant, counted from 1970-01-01 on the site's time line.
pub(super) fn day(time: Timestamp) -> i64 {
    time.div_euclid(DAY)
}

/// Returns the first and the last hour with any part in the days from `first` up to `end`. They include an hour that a
/// zone with odd minutes shares with another day.
pub(super) fn hours(first: i64, end: i64, calendar: &Calendar) -> (Hour, Hour) {
    (calendar.hour(first * DAY), calendar.hour(end * DAY - 1))
}

/// Encodes the instants of one day, strictly ascending.
pub(super) fn encode(day: i64, times: &[Timestamp]) -> Result<Vec<u8>, sqlx::Error> {
    let mut bytes = Vec::with_capacity(2 * times.len());
    let mut last = day * DAY;
    for &time in times {
        varint::encode(&mut bytes, (time - last) as u64);
        last = time;
    }
    zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(sqlx::Error::Io)
}

/// Decodes the instants of a day.
///
/// # Errors
/// [`sqlx::Error::Decode`] when [`encode`] cannot have made these bytes.
pub(super) fn decode(day: i64, bytes: &[u8]) -> Result<Vec<Timestamp>, sqlx::Error> {
    let damaged = || sqlx::Error::Decode(format!("the packed readings of day {day} are damaged").into());
    let numbers = DECODER.with_borrow_mut(|(decoder, plain)| {
        plain.clear();
        decoder.decompress_to_buffer(bytes, plain).map_err(|_| damaged())?;
        varint::decode(plain).ok_or_else(damaged)
    })?;
    let (mut time, end) = (day * DAY, (day + 1) * DAY);
    let mut times = Vec::with_capacity(numbers.len());
    for rest in numbers {
        // Numbers are below 2^35, so the sum cannot overflow.
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
            let packed = encode(day, &times)?;
            prop_assert_eq!(decode(day, &packed)?, times);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_a_day(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let packed = zstd::bulk::compress(&bytes, ZSTD_LEVEL)?;
            for text in [&packed, &bytes] {
                if let Ok(times) = decode(17_000, text) {
                    prop_assert!(times.is_sorted_by(|a, b| a < b) && times.iter().all(|&time| day(time) == 17_000));
                }
            }
        }
    }

    #[test]
    fn a_day_of_motion_every_second_fits() {
        let times: Vec<_> = (0..DAY).map(|second| 17_000 * DAY + second).collect();
        let packed = encode(17_000, &times).unwrap();
        assert_eq!(decode(17_000, &packed).unwrap(), times);
        assert!(packed.len() < 100, "{}", packed.len());
    }
}
