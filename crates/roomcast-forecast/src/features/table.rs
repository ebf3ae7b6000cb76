//! The design matrix of one device, for the rows asked for.

use std::sync::LazyLock;

use polars::prelude::*;
use polars_time::prelude::SeriesOpsTime;

use super::kernel::{self, Rates};
use super::site_rates::{Shared, SiteRates, series, values};
use super::{MOMENT, Matrix, ORIGIN, Row, TARGET, WIDTH, logit};
use crate::calendar::{HOUR, Timestamp};
use crate::hourly::{HORIZON, Hourly};

/// Decay constant over the lead, hours, of the state at the origin.
const STATE_FADES: f32 = 2.0;
/// Decay constant, hours, of the chance that somebody who moved is still there.
const MOTION_FADES: f32 = 0.4;
/// Decay constant over the lead, hours, of an unusually busy or quiet day so far.
const TODAY_FADES: f32 = 6.0;
/// Longest time since the last motion that the columns distinguish, hours.
const LONGEST_STILLNESS: f32 = 14.0 * 24.0;
/// Length of the longest rolling window, hours.
const WEEK: usize = 168;

/// Shares left at each lead of the state at the origin and of the day so far.
static FADED: LazyLock<[(f32, f32); 256]> = LazyLock::new(|| {
    let left = |lead: usize, over: f32| (-(lead as f32 - 1.0) / over).exp();
    std::array::from_fn(|lead| (left(lead, STATE_FADES), left(lead, TODAY_FADES)))
});

/// Hourly data of one device on the site grid, from which the columns of rows are made.
pub struct Table<'a> {
    hourly: &'a Hourly,
    building: &'a SiteRates,
    device: usize,
    /// The device's state of each hour of the history: 1, 0 or NaN.
    values: Vec<f32>,
    /// The same over the history and the horizon; NaN in the horizon.
    state: Series,
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
    pub fn new(hourly: &'a Hourly, building: &'a SiteRates, device: usize) -> Table<'a> {
        let values = values(hourly, &hourly.devices[device]);
        let padding = std::iter::repeat_n(f32::NAN, hourly.locals.len() - values.len());
        let state = series("state", values.iter().copied().chain(padding));
        let mut rates = Vec::with_capacity(hourly.locals.len());
        let prior = kernel::priors(
            &values,
            &hourly.locals,
            &building.shared.weights,
            &building.rate,
            HORIZON,
            Some(&mut rates),
        );
        let surprise: Vec<f32> = values.iter().zip(&prior).map(|(&y, p)| known(y - p)).collect();
        let today = today(hourly, &surprise);
        Table { hourly, building, device, values, state, prior, rates, surprise, today }
    }

    /// Makes the design matrix of some rows.
    ///
    /// # Errors
    /// [`PolarsError`] when a row lies outside the grid and its horizon.
    pub fn matrix(&self, rows: &[Row]) -> PolarsResult<Matrix> {
        let targets: Vec<usize> = rows.iter().map(|row| (row.hour - self.hourly.first) as usize).collect();
        let places: Vec<(usize, f32)> = rows.iter().map(|row| self.hourly.place(row.origin)).collect();
        // A place before the grid is negative and wraps to a huge `usize`.
        let inside =
            targets.iter().all(|&at| at < self.prior.len()) && places.iter().all(|at| at.0 <= self.values.len());
        polars_ensure!(inside, OutOfBounds: "a row lies outside the grid and its horizon");
        let mut data = Vec::with_capacity(rows.len() * WIDTH);
        for column in self.target_columns(&targets)?.iter().chain(&self.origin_columns(&places)?) {
            append(column.f32()?, &mut data);
        }
        let last = self.last_readings(rows, &places);
        let moments: Vec<[f32; MOMENT.len()]> = rows
            .iter()
            .zip(&targets)
            .zip(&places)
            .zip(last)
            .map(|(((row, &target), &place), last)| self.moment(row, target, place, last))
            .collect();
        for column in 0..MOMENT.len() {
            data.extend(moments.iter().map(|moment| moment[column]));
        }
        Ok(Matrix { rows: rows.len(), data })
    }

    /// Makes the columns of [`TARGET`] for these hours of the grid.
    fn target_columns(&self, targets: &[usize]) -> PolarsResult<[Series; TARGET.len()]> {
        let index = index(targets.iter().copied());
        let Shared { logits: building_logits, histories, building, calendar, rate, weights: _ } = &self.building.shared;
        let shared = |column: &Series| column.take(&index);
        let lags = &self.building.lags;
        let lag = |name: &str, places: &[IdxSize]| -> PolarsResult<Series> {
            let places = IdxCa::from_vec(PlSmallStr::EMPTY, targets.iter().map(|&at| places[at]).collect());
            Ok(self.state.take(&places)?.with_name(name.into()))
        };
        let [one, two, three] = &lags.same_type;
        let last = [lag("last_day", one)?, lag("", two)?, lag("", three)?];
        let lag_7d = lag("lag_7d", &lags.days[2])?;
        let prior: Vec<f32> = targets.iter().map(|&at| self.prior[at]).collect();
        let logits: Vec<f32> = prior.iter().map(|&p| logit(p)).collect();
        let of = |name: &str, rate: fn(&Rates) -> f32| series(name, targets.iter().map(|&at| rate(&self.rates[at])));
        let shift = |name: &str, to: fn(&Rates) -> f32| {
            series(name, targets.iter().zip(&logits).map(|(&at, p)| logit(to(&self.rates[at])) - p))
        };
        let pull = |name: &str, seen: &Series| -> PolarsResult<Series> {
            Ok(series(name, seen.f32()?.into_no_null_iter().zip(&prior).map(|(y, p)| known(y - p))))
        };
        let [one, two, three] = last.each_ref().map(|column| column.f32().map(|column| column.into_no_null_iter()));
        let last_three = series("", one?.zip(two?).zip(three?).map(|((a, b), c)| mean([a, b, c])));
        let building_shift = targets.iter().zip(&logits).map(|(&at, p)| building_logits[at] - p);
        let first = (self.hourly.devices[self.device].first - self.hourly.first) as usize;
        let history = targets.iter().map(|at| at.checked_sub(first).map_or(0.0, |hours| histories[hours]));
        Ok([
            series("prior", logits.iter().copied()),
            shift("weekday_shift", |rates| rates.weekday),
            shift("recent_shift", |rates| rates.recent),
            series("building_shift", building_shift),
            pull("last_day_pull", &last[0])?,
            pull("last_three_pull", &last_three)?,
            pull("lag_7d_pull", &lag_7d)?,
            shared(&building[0])?,
            of("device_level", |rates| rates.level.ln()),
            shared(&building[1])?,
            of("hour_before", |rates| rates.before),
            of("hour_after", |rates| rates.after),
            last[0].clone(),
            lag("lag_1d", &lags.days[0])?,
            lag("lag_2d", &lags.days[1])?,
            lag_7d,
            lag("lag_14d", &lags.days[3])?,
            shared(&calendar[0])?,
            shared(&calendar[1])?,
            shared(&calendar[2])?,
            shared(&calendar[3])?,
            shared(&calendar[4])?,
            shared(&calendar[5])?,
            series("history", history),
            shared(rate)?,
        ])
    }

    /// Makes the columns of [`ORIGIN`] for origins in these hours of the grid; the end of the history is the last.
    fn origin_columns(&self, places: &[(usize, f32)]) -> PolarsResult<[Series; ORIGIN.len()]> {
        let hours = || places.iter().map(|place| place.0);
        let device = &self.hourly.devices[self.device];
        let skip = self.values.len() - device.states.len();
        let before = |at: usize| at.checked_sub(1).map_or(f32::NAN, |past| self.values[past]);
        // No window reaches further back; nothing is known before the device's first hour.
        let earliest = hours().min().unwrap_or(0);
        let first = earliest.saturating_sub(WEEK - 1).max(earliest.min(skip + 1));
        let states: Vec<f32> = (first..=hours().max().unwrap_or(first)).map(before).collect();
        // Unknown hours do not count in a mean.
        let unknown = states.iter().any(|state| state.is_nan());
        let known = unknown.then(|| states.iter().map(|state| !state.is_nan()).collect());
        let states = Float32Chunked::from_vec_validity(PlSmallStr::EMPTY, states, known).into_series();
        let index = index(hours().map(|at| at - first));
        let share = |name: &str, window_size: usize| -> PolarsResult<Series> {
            let options = RollingOptionsFixedWindow { window_size, min_periods: 1, ..Default::default() };
            Ok(states.rolling_mean(options)?.take(&index)?.with_name(name.into()))
        };
        let silence = hours().map(|at| at.checked_sub(skip).map_or(0.0, |at| f32::from(device.silence[at])));
        Ok([
            share("share_day", 24)?,
            share("share_week", WEEK)?,
            series("silence", silence),
            series("last_hour", hours().map(before)),
            series(
                "last_three_hours",
                hours().map(|at| mean([0, 1, 2].map(|back| at.checked_sub(back).map_or(f32::NAN, before)))),
            ),
            series("today", hours().map(|at| self.today[at])),
        ])
    }

    /// Returns the device's last reading before the origin of each row.
    fn last_readings(&self, rows: &[Row], places: &[(usize, f32)]) -> Vec<Option<Timestamp>> {
        let times = &self.hourly.devices[self.device].times;
        let hours = || places.iter().map(|place| place.0);
        // The readings before each hour are counted once. The search for an origin then covers two hours: its own and
        // the one before, in which an origin of the last minute lies.
        let (first, last) = (hours().min().unwrap_or(0).saturating_sub(1), hours().max().unwrap_or(0) + 1);
        let start = |hour: usize| self.hourly.start + hour as Timestamp * HOUR;
        let mut count = times.partition_point(|&time| time < start(first));
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

    /// Returns the values of [`MOMENT`] for one row; `last` is the device's last reading before its origin.
    fn moment(
        &self,
        row: &Row,
        target: usize,
        (at, elapsed): (usize, f32),
        last: Option<Timestamp>,
    ) -> [f32; MOMENT.len()] {
        let hourly = self.hourly;
        let still = last.map_or(LONGEST_STILLNESS, |time| (row.origin - time) as f32 / HOUR as f32);
        let so_far = elapsed > 0.0 && last.is_some_and(|time| time >= hourly.start + at as i64 * HOUR);
        // Without motion in the running hour, the surprise of the last full hour fades as the hour passes.
        let before = at.checked_sub(1).map_or((0.0, 0.0), |past| (self.surprise[past], self.others(past)));
        let expected = self.prior[at];
        let state = if so_far { 1.0 - expected } else { before.0 * (1.0 - elapsed) - expected * elapsed };
        // Somebody who moved a minute ago is more likely to be there still than after fifty minutes.
        let motion = (-still / MOTION_FADES).exp() - 0.5 * self.prior[at.saturating_sub(1)];
        let same_day = hourly.locals[target].day == hourly.locals[at].day;
        let today = if same_day { self.today[at] } else { 0.0 };
        let (fresh, day) = FADED[usize::from(row.lead)];
        [
            state * fresh,
            today * day,
            before.1 * fresh,
            motion * fresh,
            f32::from(row.lead),
            (1.0 + still.min(LONGEST_STILLNESS)).ln(),
            f32::from(so_far),
            elapsed,
        ]
    }

    /// Returns the occupancy of the other devices in an hour of the history beyond their priors, as a share of them.
    fn others(&self, at: usize) -> f32 {
        let (building, value) = (self.building, self.values[at]);
        let own = if value.is_nan() { (0.0, 0.0, 0.0) } else { (value, self.prior[at], 1.0) };
        let (occupied, expected) = (building.occupied[at] - own.0, building.expected[at] - own.1);
        let observed = building.observed[at] - own.2;
        if observed > 0.0 { (occupied - expected) / observed } else { 0.0 }
    }
}

/// Converts positions into a Polars index.
fn index(positions: impl Iterator<Item = usize>) -> IdxCa {
    IdxCa::from_vec(PlSmallStr::EMPTY, positions.map(|at| at as IdxSize).collect())
}

/// Appends the values of a column; null becomes NaN.
fn append(column: &Float32Chunked, data: &mut Vec<f32>) {
    for chunk in column.downcast_iter() {
        match chunk.validity() {
            Some(known) if known.unset_bits() > 0 => {
                data.extend(
                    chunk.values().iter().zip(known).map(|(&value, known)| if known { value } else { f32::NAN }),
                );
            }
            _ => data.extend_from_slice(chunk.values()),
        }
    }
}

/// Returns 0, "nothing to add", for an unknown value.
fn known(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value }
}

/// Returns the mean of the known states; NaN without any.
fn mean(states: [f32; 3]) -> f32 {
    let known = states.into_iter().filter(|y| !y.is_nan());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), y| (sum + y, count + 1.0));
    if count > 0.0 { sum / count } else { f32::NAN }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use crate::readings::{DeviceReadings, Readings};

    /// The model finds columns by position, so they must be in the order of their names.
    #[test]
    fn columns_stand_in_the_order_of_their_names() {
        let times = (0..240).map(|hour| hour * 5 * HOUR).collect::<Vec<_>>().into();
        let readings = Readings { devices: vec![DeviceReadings { device: "hall".into(), times }] };
        let hourly = Hourly::new(&readings, &Calendar::default(), 1200 * HOUR);
        let building = SiteRates::new(&hourly);
        let table = Table::new(&hourly, &building, 0);
        let names = |columns: &[Series]| columns.iter().map(|c| c.name().to_string()).collect::<Vec<_>>();
        assert_eq!(names(&table.target_columns(&[1100]).unwrap()), TARGET);
        assert_eq!(names(&table.origin_columns(&[(1100, 0.0)]).unwrap()), ORIGIN);
    }
}
