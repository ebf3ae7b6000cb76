//! The values that the columns of a row are computed from.
//!
//! A column of the target hour gets only [`TargetHour`] and one of the origin's hour only [`OriginHour`], so neither
//! can depend on values that are unknown at the origin.

use super::kernel::Rates;
use crate::calendar::LocalHour;

/// Longest time since the last motion that the columns distinguish, hours.
pub(super) const MAX_STILL_HOURS: f32 = 14.0 * 24.0;

/// Values of the whole site in one hour, known [`crate::hourly::HORIZON`] hours before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SiteHour {
    /// The site's rate.
    pub rate: f32,
    /// Log-odds of the rate.
    pub logit: f32,
    /// Share of the devices occupied in this hour of the last day of the same type, minus the rate.
    pub last_pull: f32,
    /// Logarithm of observed against expected occupancy of the last days.
    pub level: f32,
}

/// Values of a target hour, the same whatever the lead. States are 1, 0 or NaN.
pub(super) struct TargetHour<'a> {
    /// The device's prior probability.
    pub prior: f32,
    /// Log-odds of the prior.
    pub logit: f32,
    /// The device's other rates.
    pub rates: &'a Rates,
    /// The site's values.
    pub site: &'a SiteHour,
    /// Local date and time of the hour.
    pub local: &'a LocalHour,
    /// States of this local hour on the last three days of the same type, latest first.
    pub same_type: [f32; 3],
    /// State of this local hour 1 day before.
    pub lag_1d: f32,
    /// State of this local hour 2 days before.
    pub lag_2d: f32,
    /// State of this local hour 7 days before.
    pub lag_7d: f32,
    /// State of this local hour 14 days before.
    pub lag_14d: f32,
    /// Logarithm of 1 plus the days since the device's first hour.
    pub history: f32,
}

/// Values of the time before an origin at the start of an hour. States are 1, 0 or NaN.
pub(super) struct OriginHour {
    /// Mean state of the last 24 hours.
    pub share_day: f32,
    /// Mean state of the last 168 hours.
    pub share_week: f32,
    /// Days without motion while other devices moved.
    pub silence: f32,
    /// States of the last three hours, latest first.
    pub last_hours: [f32; 3],
    /// Sum of the day's surprises.
    pub today: f32,
}

/// Values of the exact instant of an origin, and of both the origin and the target hour.
pub(super) struct Moment {
    /// Position of the target hour after the origin, 1 to [`crate::hourly::HORIZON`].
    pub lead: u8,
    /// Share left at this lead of the state at the origin.
    pub state_left: f32,
    /// Share left at this lead of an unusually busy or quiet day so far.
    pub day_left: f32,
    /// Surprise of the last hour and of the running one.
    pub state: f32,
    /// Sum of the day's surprises if the target hour is on the same day, else 0.
    pub today: f32,
    /// Surprise of the other devices in the last hour.
    pub others: f32,
    /// Excess over the usual of the probability that a person who moved is still present.
    pub motion: f32,
    /// Hours since the last motion.
    pub still: f32,
    /// True with motion in the running hour.
    pub so_far: bool,
    /// Share of the running hour that has passed.
    pub elapsed: f32,
}

/// Returns 0, "nothing to add", for an unknown value.
pub(super) fn known(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value }
}

/// Returns the mean of the known states; NaN without any.
pub(super) fn mean(states: [f32; 3]) -> f32 {
    let known = states.into_iter().filter(|y| !y.is_nan());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), y| (sum + y, count + 1.0));
    if count > 0.0 { sum / count } else { f32::NAN }
}
