//! Positions of the hours that a target hour is compared with: the same local hour of earlier days.

use polars::prelude::IdxSize;

use crate::calendar::LocalHour;
use crate::hourly::HORIZON;

/// Grid positions of related earlier hours, for each hour of the grid. An unknown one is the last hour of the horizon,
/// whose state is never known.
#[derive(Debug, Clone)]
pub struct Lags {
    /// The same local hour 1, 2, 7 and 14 local days before.
    pub days: [Vec<IdxSize>; 4],
    /// The same local hour of the last three days of the same type, latest first.
    pub same_type: [Vec<IdxSize>; 3],
}

/// Days before, in the order of [`Lags::days`].
const LAG_DAYS: [i32; 4] = [1, 2, 7, 14];

impl Lags {
    /// Finds the positions for the local hours of a grid.
    pub fn new(locals: &[LocalHour]) -> Lags {
        let (day0, days) = labels(locals);
        // On a day of 23 hours "yesterday, same hour" is less than the horizon ago, so an origin may not know it yet.
        let known = |t: usize, day: i32, hour: u8| {
            let found = *usize::try_from(day - day0).ok().and_then(|d| days.get(d))?.get(hour as usize)?;
            found.filter(|&at| at as usize + HORIZON <= t)
        };
        let nowhere = locals.len().saturating_sub(1) as u32;
        let positions = |of: &dyn Fn(usize, &LocalHour) -> Option<u32>| {
            locals.iter().enumerate().map(|(t, l)| of(t, l).unwrap_or(nowhere)).collect::<Vec<_>>()
        };
        let by_days = LAG_DAYS.map(|back| positions(&|t, l| known(t, l.day - back, l.hour)));
        let mut off = vec![None; days.len()];
        for local in locals {
            off[(local.day - day0) as usize] = Some(local.off);
        }
        let nth = |t: usize, l: &LocalHour, n: usize| {
            let before = (day0..l.day).rev().filter(|&d| off[(d - day0) as usize] == Some(l.off));
            before.take(21).nth(n).and_then(|day| known(t, day, l.hour))
        };
        let same_type = [0, 1, 2].map(|n| positions(&|t, l| nth(t, l, n)));
        Lags { days: by_days, same_type }
    }
}

/// Returns grid positions by local day and hour: the first hour with that label when the clocks go back.
fn labels(locals: &[LocalHour]) -> (i32, Vec<[Option<u32>; 24]>) {
    let (Some(first), Some(last)) = (locals.first(), locals.last()) else { return (0, Vec::new()) };
    let mut days = vec![[None; 24]; (last.day - first.day + 1) as usize];
    for (at, local) in locals.iter().enumerate() {
        days[(local.day - first.day) as usize][local.hour as usize].get_or_insert(at as u32);
    }
    (first.day, days)
}
