//! The design matrix of one device, for the requested rows.

use std::sync::LazyLock;

use polars::prelude::*;
use polars_time::prelude::SeriesOpsTime;

use super::columns::{COLUMNS, Value, WIDTH};
use super::inputs::{MAX_STILL_HOURS, Moment, OriginHour, TargetHour, known};
use super::kernel::{self, Rates};
use super::matrix::{FULL_WIDTH, ForecastRows, Matrix, Row, horizon};
use super::memories::{self, SiteMemories};
use super::odds::logit;
use super::site_rates::{SiteRates, values};
use crate::calendar::{HOUR, Timestamp};
use crate::hourly::{HORIZON, Hourly};

/// Decay constant over the lead, hours, of the state at the origin.
const STATE_DECAY_HOURS: f32 = 2.0;
/// Decay constant, hours, of the probability that a person who moved is still present.
const MOTION_DECAY_HOURS: f32 = 0.4;
/// Decay constant over the lead, hours, of an unusually busy or quiet day so far.
const DAY_DECAY_HOURS: f32 = 6.0;
/// Length of the longest rolling window, hours.
const WEEK_HOURS: usize = 168;

/// Shares left at each lead of the state at the origin and of the day so far.
static SHARES_LEFT: LazyLock<[(f32, f32); 256]> = LazyLock::new(|| {
    let left = |lead: usize, over: f32| (-(lead as f32 - 1.0) / over).exp();
    std::array::from_fn(|lead| (left(lead, STATE_DECAY_HOURS), left(lead, DAY_DECAY_HOURS)))
});

/// Hourly data of one device on the site grid, from which the columns of rows are made.
pub struct Table<'a> {
    hourly: &'a Hourly,
    site_rates: &'a SiteRates,
    device: usize,
    /// The device's state of each hour of the history: 1, 0 or NaN.
    values: Vec<f32>,
    /// The same over the history and the horizon; NaN in the horizon.
    state: Float32Chunked,
    /// The device's prior probability of each hour of the history and the horizon.
    prior: Vec<f32>,
    /// The device's other rates of the same hours.
    rates: Vec<Rates>,
    /// The device's state of each hour of the history minus its prior; 0 where it is not known.
    surprise: Vec<f32>,
    /// Sum of the day's surprises before each hour.
    today: Vec<f32>,
}

impl<'a> Table<'a> {
    /// Prepares the data of the device at position `device` of the grid.
    pub fn new(hourly: &'a Hourly, site_rates: &'a SiteRates, device: usize) -> Table<'a> {
        let values = values(hourly, &hourly.devices[device]);
        let padding = std::iter::repeat_n(f32::NAN, hourly.locals.len() - values.len());
        let state = Float32Chunked::from_vec(PlSmallStr::EMPTY, values.iter().copied().chain(padding).collect());
        let mut rates = Vec::with_capacity(hourly.locals.len());
        let weights = &site_rates.shared.weights;
        let prior = kernel::priors(&values, &hourly.locals, weights, &site_rates.rate, HORIZON, Some(&mut rates));
        let surprise: Vec<f32> = values.iter().zip(&prior).map(|(&y, p)| known(y - p)).collect();
        let today = today(hourly, &surprise);
        Table { hourly, site_rates, device, values, state, prior, rates, surprise, today }
    }

    /// Makes the design matrix of some rows.
    ///
    /// # Errors
    /// [`PolarsError`] when a row lies outside the grid and its horizon.
    pub fn matrix(&self, rows: &[Row]) -> PolarsResult<Matrix> {
        let hours: Vec<usize> = rows.iter().map(|row| (row.hour - self.hourly.first) as usize).collect();
        let places: Vec<(usize, f32)> = rows.iter().map(|row| self.hourly.position_at(row.origin)).collect();
        // A place before the grid is negative and wraps to a huge `usize`.
        let inside = hours.iter().all(|&at| at < self.prior.len()) && places.iter().all(|at| at.0 <= self.values.len());
        polars_ensure!(inside, OutOfBounds: "a row lies outside the grid and its horizon");
        let (targets, origins) = (self.targets(&hours)?, self.origins(&places)?);
        let last = self.last_readings(rows, &places);
        let moments = rows.iter().zip(&hours).zip(&places).zip(last);
        let moments: Vec<Moment> =
            moments.map(|(((row, &target), &place), last)| self.moment(row, target, place, last)).collect();
        let mut data = Vec::with_capacity(rows.len() * WIDTH);
        for column in COLUMNS {
            match column.value {
                Value::Target(value) => data.extend(targets.iter().map(value)),
                Value::Origin(value) => data.extend(origins.iter().map(value)),
                Value::Moment(value) => data.extend(moments.iter().map(value)),
            }
        }
        Ok(Matrix { rows: rows.len(), data })
    }

    /// Makes the rows of a forecast: the design matrix of the hours from the origin on, and beside it the columns of the
    /// shipped layers.
    ///
    /// # Errors
    /// [`PolarsError`] when the features cannot be built.
    pub fn forecast(&self) -> PolarsResult<ForecastRows> {
        let hourly = self.hourly;
        let rows = horizon(hourly);
        let past = self.values.len();
        let shared = &self.site_rates.shared;
        let now = self.full(&rows, &shared.memories, past, 0)?;
        let Some((midnight, memories)) = &shared.midnight else {
            return Ok(ForecastRows::new(now, &Matrix::default()));
        };
        // The forecast of that midnight reaches so far; a day of 25 hours is longer.
        let passed = past - midnight;
        let (today, origin) = (hourly.locals[past].day, hourly.start + *midnight as Timestamp * HOUR);
        let reach = hourly.locals.get(past..midnight + HORIZON).unwrap_or_default();
        let begun = reach.iter().take_while(|local| local.day == today).count();
        let rows = rows[..begun].iter().map(|row| Row { lead: row.lead + passed as u8, origin, ..*row });
        let rows: Vec<Row> = rows.collect();
        Ok(ForecastRows::new(now, &self.full(&rows, memories, *midnight, passed)?))
    }

    /// Makes the design matrix of rows with the columns of the shipped layers as of the end of the first `past` hours. The
    /// rows are hours one after the other, the first `skip` hours later.
    fn full(&self, rows: &[Row], site: &SiteMemories, past: usize, skip: usize) -> PolarsResult<Matrix> {
        let mut matrix = self.matrix(rows)?;
        let hours = past + skip..past + skip + rows.len();
        let (lags, values) = (&self.site_rates.lags, &self.values[..past]);
        let more = memories::columns(self.hourly, site, lags, values, &self.prior, hours);
        matrix.data.reserve_exact(more.len());
        matrix.data.extend(more);
        debug_assert_eq!(matrix.data.len(), matrix.rows * FULL_WIDTH);
        Ok(matrix)
    }

    /// Returns the values of these target hours of the grid.
    fn targets(&self, hours: &[usize]) -> PolarsResult<Vec<TargetHour<'_>>> {
        let lag = |positions: &Vec<IdxSize>| {
            let index = index(hours.iter().map(|&at| positions[at] as usize));
            Ok(self.state.take(&index)?.into_no_null_iter().collect())
        };
        let lags = &self.site_rates.lags;
        let days = lags.days.iter().map(lag).collect::<PolarsResult<Vec<Vec<f32>>>>()?;
        let same_type = lags.same_type.iter().map(lag).collect::<PolarsResult<Vec<Vec<f32>>>>()?;
        let shared = &self.site_rates.shared;
        let first = (self.hourly.devices[self.device].first - self.hourly.first) as usize;
        let target = |(row, &at): (usize, &usize)| TargetHour {
            prior: self.prior[at],
            logit: logit(self.prior[at]),
            rates: &self.rates[at],
            site: &shared.hours[at],
            local: &self.hourly.locals[at],
            same_type: std::array::from_fn(|back| same_type[back][row]),
            lag_1d: days[0][row],
            lag_2d: days[1][row],
            lag_7d: days[2][row],
            lag_14d: days[3][row],
            history: at.checked_sub(first).map_or(0.0, |hours| shared.histories[hours]),
        };
        Ok(hours.iter().enumerate().map(target).collect())
    }

    /// Returns the values of origins in these hours of the grid; the end of the history is the last.
    fn origins(&self, places: &[(usize, f32)]) -> PolarsResult<Vec<OriginHour>> {
        let hours = || places.iter().map(|place| place.0);
        let device = &self.hourly.devices[self.device];
        let skip = self.values.len() - device.states.len();
        let before = |at: usize| at.checked_sub(1).map_or(f32::NAN, |past| self.values[past]);
        // No window reaches further back; nothing is known before the device's first hour.
        let earliest = hours().min().unwrap_or(0);
        let first = earliest.saturating_sub(WEEK_HOURS - 1).max(earliest.min(skip + 1));
        let states: Vec<f32> = (first..=hours().max().unwrap_or(first)).map(before).collect();
        // Unknown hours do not count in a mean.
        let unknown = states.iter().any(|state| state.is_nan());
        let known = unknown.then(|| states.iter().map(|state| !state.is_nan()).collect());
        let states = Float32Chunked::from_vec_validity(PlSmallStr::EMPTY, states, known).into_series();
        let index = index(hours().map(|at| at - first));
        let share = |window_size: usize| -> PolarsResult<Vec<f32>> {
            let options = RollingOptionsFixedWindow { window_size, min_periods: 1, ..Default::default() };
            let shares = states.rolling_mean(options)?.take(&index)?;
            Ok(shares.f32()?.iter().map(|share| share.unwrap_or(f32::NAN)).collect())
        };
        let (days, weeks) = (share(24)?, share(WEEK_HOURS)?);
        let day = |at: usize| self.hourly.locals[at].day;
        let origin = |(at, (share_day, share_week)): (usize, (f32, f32))| OriginHour {
            share_day,
            share_week,
            silence: if at < skip { 0.0 } else { f32::from(device.silence[(day(at) - day(skip)) as usize]) },
            last_hours: [0, 1, 2].map(|back| at.checked_sub(back).map_or(f32::NAN, before)),
            today: self.today[at],
        };
        Ok(hours().zip(days.into_iter().zip(weeks)).map(origin).collect())
    }

    /// Returns the device's last reading before the origin of each row.
    fn last_readings(&self, rows: &[Row], places: &[(usize, f32)]) -> Vec<Option<Timestamp>> {
        let times = &self.hourly.devices[self.device].times;
        let hours = || places.iter().map(|place| place.0);
        // The readings before each hour are counted once. The search for an origin then covers two hours: its own and
        // the one before, in which an origin of the last minute lies.
        let (first, last) = (hours().min().unwrap_or(0).saturating_sub(1), hours().max().unwrap_or(0) + 1);
        let start = |hour: usize| self.hourly.start + hour as Timestamp * HOUR;
        let earlier = times.last_before(start(first));
        let times: Vec<Timestamp> =
            earlier.into_iter().chain(times.iter_from(start(first)).take_while(|&time| time < start(last))).collect();
        let mut count = 0;
        let counts = (first..=last).map(|hour| {
            count += times[count..].iter().take_while(|&&time| time < start(hour)).count();
            count
        });
        let counts: Vec<usize> = counts.collect();
        let of = |(row, at): (&Row, usize)| {
            let (from, to) = (counts[at.saturating_sub(1) - first], counts[at + 1 - first]);
            times[..from + times[from..to].partition_point(|&time| time < row.origin)].last().copied()
        };
        rows.iter().zip(hours()).map(of).collect()
    }

    /// Returns the values of the moment of one row; `last` is the device's last reading before its origin.
    fn moment(&self, row: &Row, target: usize, (at, elapsed): (usize, f32), last: Option<Timestamp>) -> Moment {
        let hourly = self.hourly;
        let still = last.map_or(MAX_STILL_HOURS, |time| (row.origin - time) as f32 / HOUR as f32);
        let so_far = elapsed > 0.0 && last.is_some_and(|time| time >= hourly.start + at as i64 * HOUR);
        // Without motion in the running hour, the surprise of the last full hour fades as the hour passes.
        let (before, others) = at.checked_sub(1).map_or((0.0, 0.0), |past| (self.surprise[past], self.others(past)));
        let expected = self.prior[at];
        let same_day = hourly.locals[target].day == hourly.locals[at].day;
        let (state_left, day_left) = SHARES_LEFT[usize::from(row.lead)];
        Moment {
            lead: row.lead,
            state_left,
            day_left,
            state: if so_far { 1.0 - expected } else { before * (1.0 - elapsed) - expected * elapsed },
            today: if same_day { self.today[at] } else { 0.0 },
            others,
            // Somebody who moved a minute ago is more likely to be there still than after fifty minutes.
            motion: (-still / MOTION_DECAY_HOURS).exp() - 0.5 * self.prior[at.saturating_sub(1)],
            still,
            so_far,
            elapsed,
        }
    }

    /// Returns the occupancy of the other devices in an hour of the history beyond their priors, as a share of them.
    fn others(&self, at: usize) -> f32 {
        let (site, value) = (self.site_rates, self.values[at]);
        let own = if value.is_nan() { (0.0, 0.0, 0.0) } else { (value, self.prior[at], 1.0) };
        let (occupied, expected) = (site.occupied[at] - own.0, site.expected[at] - own.1);
        let observed = site.observed[at] - own.2;
        if observed > 0.0 { (occupied - expected) / observed } else { 0.0 }
    }
}

/// Converts positions into a Polars index.
fn index(positions: impl Iterator<Item = usize>) -> IdxCa {
    IdxCa::from_vec(PlSmallStr::EMPTY, positions.map(|at| at as IdxSize).collect())
}

/// Returns the sum of the day's surprises before each hour.
fn today(hourly: &Hourly, surprise: &[f32]) -> Vec<f32> {
    let mut sum = 0.0;
    let mut out = Vec::with_capacity(surprise.len() + 1);
    for at in 0..=surprise.len() {
        if at == 0 || hourly.locals[at].day != hourly.locals[at - 1].day {
            sum = 0.0;
        }
        out.push(sum);
        sum += surprise.get(at).copied().unwrap_or(0.0);
    }
    out
}
