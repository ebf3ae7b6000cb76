mod baselines;
mod ledger;
mod parts;
mod replay;
mod scores;

use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::readings::{DeviceReadings, Readings};

/// Midnight of a Monday.
const MONDAY: Timestamp = 1_467_590_400; // 2016-07-04

fn calendar() -> Calendar {
    Calendar::default()
}

/// Returns rooms used in working hours, each in its own part of the day, with some gaps and odd hours.
fn office(rooms: u64, days: i64) -> Readings {
    let devices = (0..rooms).map(|room| {
        let noise = |day: i64, hour: i64| {
            (room * 7919 + day as u64 * 104_729 + hour as u64 * 1_299_709).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
        };
        let hours = (0..days).flat_map(|day| (0..24).map(move |hour| (day, hour)));
        let busy = hours.filter(|&(day, hour)| {
            let usual = day % 7 < 5 && (8 + room as i64 % 3..16).contains(&hour);
            let odd = noise(day, hour) % 10;
            if usual { odd < 8 } else { odd == 0 && hour > 6 && day % 7 < 5 }
        });
        let times = busy.map(|(day, hour)| MONDAY + (day * 24 + hour) * HOUR + 60 * (1 + room as i64)).collect();
        DeviceReadings { device: format!("room_{room:02}"), times, ..DeviceReadings::default() }
    });
    Readings { devices: devices.collect() }
}
