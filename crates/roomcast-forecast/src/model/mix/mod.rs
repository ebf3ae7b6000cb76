//! The mix: a forecast is the mean, in log-odds, of forecasters that err differently.
//!
//! | part | what it knows |
//! |---|---|
//! | `stack` | the layers fitted at this site |
//! | `corrected` | the stack with a shipped correction: memories of other lengths than its own |
//! | `shipped` | layers learned from other buildings; nothing of them is fitted here |
//! | `expert` | trees of the one device, which know nothing of the stack |
//!
//! The last two count as one, shared by age: a new device gets the shipped layers, an old one mostly its expert. The
//! weights are not fitted: weights chosen on a month of forecasts were worse the more they followed it.

pub mod expert;
pub mod learn;
mod ridge;
pub mod shipped;

use serde::Serialize;

use self::shipped::Shipped;
use super::{DeviceModel, SiteModel, Source};
use crate::features::{FULL_WIDTH, ForecastRows, LEAD, Matrix};

/// Days from a device's first reading at which its expert and the shipped layers count the same.
const HALF_SHARE_DAYS: f64 = 100.0;
/// Lead, in hours, at which the other parts count half in a day that has begun. They know the day as of its midnight: the
/// stack has learned what the hours of such a day say about the next ones.
const HALF_LEAD_HOURS: f64 = 3.0;

/// The forecasters behind one probability, in log-odds.
///
/// In a day that has begun, the shipped layers and the expert forecast as of its midnight, plus what the stack has learned
/// since.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    /// The layers fitted at this site.
    pub stack: f64,
    /// The same with the shipped correction.
    pub corrected: f64,
    /// The shipped layers alone.
    pub shipped: f64,
    /// The device's expert; `None` without one.
    pub expert: Option<f64>,
    /// The mix of all.
    pub mixed: f64,
    /// Weights in the mix; `None` for the baseline, which is one part alone.
    #[serde(skip)]
    shares: Option<Shares>,
}

/// The names of the parts, in the order of [`Parts::weighted`].
pub const NAMES: [&str; 4] = ["stack", "corrected", "shipped", "expert"];

impl Parts {
    /// Returns the log-odds of each part and its weight in [`Parts::mixed`], in the order of [`NAMES`]; `None` without the
    /// part. The weights add up to 1.
    pub fn weighted(&self) -> [Option<(f64, f64)>; NAMES.len()] {
        let Some(Shares { stack, correction, shipped, expert }) = self.shares else {
            return [Some((self.stack, 1.0)), None, None, None];
        };
        [
            // The corrected stack holds the stack.
            Some((self.stack, stack - correction)),
            Some((self.corrected, correction)),
            Some((self.shipped, shipped)),
            self.expert.map(|score| (score, expert)),
        ]
    }
}

/// Weights of the parts of one row in its score; the stack counts in the correction too.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shares {
    stack: f64,
    correction: f64,
    shipped: f64,
    expert: f64,
}

impl Shares {
    /// Returns the weights in the forecast of an hour with a lead, in a day that has begun or not, for a device whose first
    /// reading is so many days old.
    fn new(has_expert: bool, days: f64, has_begun: bool, lead: f32) -> Shares {
        let lead = f64::from(lead);
        let whole = if has_begun { lead / (lead + HALF_LEAD_HOURS) } else { 1.0 };
        let own = if has_expert { days / (HALF_SHARE_DAYS + days) } else { 0.0 };
        let third = whole / 3.0;
        Shares { stack: 1.0 - third, correction: third, shipped: third * (1.0 - own), expert: third * own }
    }
}

/// Returns the parts of every hour of a forecast. The first reading of the device is `days` old.
///
/// The baseline is one part alone.
pub(super) fn parts(device: &DeviceModel, site: &SiteModel, rows: &ForecastRows, days: f64) -> Vec<Parts> {
    let stack = device.scores(site, &rows.now);
    if device.source() == Source::Baseline {
        let alone = |stack| Parts { stack, corrected: stack, shipped: stack, expert: None, mixed: stack, shares: None };
        return stack.into_iter().map(alone).collect();
    }
    let before = device.scores(site, &rows.settled.head(rows.begun));
    let (corrections, shipped) = (Shipped::get().corrections(&rows.settled), Shipped::get().scores(&rows.settled));
    let expert = (!device.expert.is_empty()).then(|| device.expert.scores(&rows.settled));
    let part = |row: usize| {
        let learned = before.get(row).map_or(0.0, |before| stack[row] - before);
        let shipped = shipped[row] + learned;
        let expert = expert.as_ref().map(|expert| expert[row] + learned);
        let shares = Shares::new(expert.is_some(), days, row < rows.begun, rows.now.column(LEAD)[row]);
        let mixed = shares.stack * stack[row]
            + shares.correction * corrections[row]
            + shares.shipped * shipped
            + shares.expert * expert.unwrap_or(0.0);
        let corrected = stack[row] + corrections[row];
        Parts { stack: stack[row], corrected, shipped, expert, mixed, shares: Some(shares) }
    };
    (0..rows.now.rows).map(part).collect()
}

/// Adds to `out` the contribution of each column to the mixed score of the hour at position `at` of a forecast. Returns
/// the part that belongs to no column. The sum of both is [`Parts::mixed`].
pub(super) fn contributions(
    device: &DeviceModel,
    site: &SiteModel,
    rows: &ForecastRows,
    at: usize,
    days: f64,
    out: &mut [f64; FULL_WIDTH],
) -> f64 {
    let row = |matrix: &Matrix| {
        let mut row = [0.0; FULL_WIDTH];
        matrix.row(at, &mut row);
        row
    };
    let (now, settled) = (row(&rows.now), row(&rows.settled));
    if device.source() == Source::Baseline {
        return device.contributions(site, &now, out);
    }
    let has_begun = at < rows.begun;
    let shares = Shares::new(!device.expert.is_empty(), days, has_begun, now[LEAD]);
    // What the stack has learned since midnight counts in the parts beside it too.
    let learned = if has_begun { shares.shipped + shares.expert } else { 0.0 };
    let mut base = 0.0;
    let mut add = |share: f64, part: &dyn Fn(&mut [f64; FULL_WIDTH]) -> f64| {
        let mut parts = [0.0; FULL_WIDTH];
        base += share * part(&mut parts);
        for (out, part) in out.iter_mut().zip(parts) {
            *out += share * part;
        }
    };
    add(shares.stack + learned, &|out| device.contributions(site, &now, out));
    if has_begun {
        add(-learned, &|out| device.contributions(site, &settled, out));
    }
    add(shares.correction, &|out| Shipped::get().correction_contributions(&settled, out));
    add(shares.shipped, &|out| Shipped::get().contributions(&settled, out));
    if !device.expert.is_empty() {
        add(shares.expert, &|out| device.expert.contributions(&settled, out));
    }
    base
}

#[cfg(test)]
mod tests;
