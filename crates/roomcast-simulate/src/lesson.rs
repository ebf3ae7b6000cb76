//! Learns the layers that the program is shipped with from many simulated sites.

use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::model::fit::TrainError;
use roomcast_forecast::model::mix::learn::{JUDGED_DAYS, Lesson, learn};
use roomcast_forecast::model::mix::shipped::Shipped;

use super::chance::{Purpose, dice, factor};
use super::{SitePlan, experience_sites};

/// Number of sites. The test that repeats the lesson takes about a minute with so many.
const SITES: usize = 100;
/// Seed of the sites.
const SEED: u64 = 1;
/// Fewest days of history before a site is fitted.
const MIN_HISTORY: f64 = 10.0;

/// Learns the shipped layers. The result is the same for any number of threads.
///
/// # Errors
/// Returns [`TrainError`] when LightGBM or Polars fails.
pub fn experience() -> Result<Shipped, TrainError> {
    let plans = experience_sites(SITES, SEED);
    learn(SITES, |site| lesson(&plans[site], site % 2 == 0))
}

/// Returns a site to learn from. It is fitted after a part of its history, so that sites of a few weeks are among them.
/// Whoever operates it need not have told its days off.
fn lesson(plan: &SitePlan, knows_days_off: bool) -> Lesson {
    const DAY: Timestamp = 24 * HOUR;
    let site = plan.build();
    let start = site.readings.span().map_or(0, |(first, _)| first - first.rem_euclid(DAY));
    let longest = f64::from(plan.days) - JUDGED_DAYS as f64;
    let history = factor(&mut dice(plan.seed, Purpose::Plan, 2, 0), MIN_HISTORY, longest) as i64;
    let calendar = if knows_days_off { site.calendar } else { Calendar::default() };
    Lesson { readings: site.readings, calendar, start, history }
}
