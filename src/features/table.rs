//! The columns of one device on the site grid, and the rows gathered from them.

use polars::prelude::*;
use polars_time::prelude::SeriesOpsTime;

use super::building::{Building, series, values};
use super::kernel::{self, Rates};
use super::{MOMENT, Matrix, Row, WIDTH, logit};
use crate::calendar::HOUR;
use crate::hourly::{HORIZON, Hourly};

/// Leads, in hours, over which the state at the origin stops mattering.
const STATE_FADES: f32 = 2.0;
/// Hours after which a motion says little about whether somebody is still there.
const MOTION_FADES: f32 = 0.4;
/// Leads over which an unusually busy or quiet day so far stops mattering.
const TODAY_FADES: f32 = 6.0;
/// Hours since the last motion are told apart up to here.
const LONGEST_STILLNESS: f32 = 14.0 * 24.0;

/// The columns of one device: each has one value per hour of the site grid, history and horizon.
pub struct Table<'a> {
    hourly: &'a Hourly,
    device: usize,
    /// Columns that depend on the target hour only.
    target: DataFrame,
    /// Columns that describe the time before an origin at the start of each hour.
    origin: DataFrame,
    /// The device's prior probability of each hour.
    prior: Vec<f32>,
    /// The device's state of each hour of the history minus its prior.
    surprise: Vec<f32>,
    /// The same for the other devices, as a share of them.
    others: Vec<f32>,
    /// Sum of the day's surprises before each hour.
    today: Vec<f32>,
}

impl<'a> Table<'a> {
    /// Computes the columns of the device at position `device` of the grid.
    ///
    /// # Errors
    /// Whatever Polars reports; with a grid made by [`Hourly::new`] there is nothing to report.
    pub fn new(hourly: &'a Hourly, building: &Building, device: usize) -> PolarsResult<Table<'a>> {
        let values = values(hourly, &hourly.devices[device]);
        let mut rates = Rates::with_capacity(hourly.locals.len());
        let prior = kernel::priors(&values, &hourly.locals, &building.rate, HORIZON, Some(&mut rates));
        let surprise: Vec<f32> = values.iter().zip(&prior).map(|(y, p)| if y.is_nan() { 0.0 } else { y - p }).collect();
        let others = others(&values, &prior, building);
        let today = today(hourly, &surprise);
        let target = target_columns(hourly, building, &values, &prior, &rates, device)?;
        let origin = origin_columns(hourly, device, &values, &today)?;
        Ok(Table { hourly, device, target, origin, prior, surprise, others, today })
    }

    /// Gathers rows into a design matrix.
    ///
    /// # Errors
    /// When a row lies outside the grid and its horizon.
    pub fn matrix(&self, rows: &[Row]) -> PolarsResult<Matrix> {
        let mut data = Vec::with_capacity(rows.len() * WIDTH);
        let targets: Vec<usize> = rows.iter().map(|row| (row.hour - self.hourly.first) as usize).collect();
        let places: Vec<(usize, f32)> = rows.iter().map(|row| self.hourly.place(row.origin)).collect();
        gather(&self.target, targets.iter().copied(), &mut data)?;
        gather(&self.origin, places.iter().map(|place| place.0), &mut data)?;
        let moments: Vec<[f32; MOMENT.len()]> = rows
            .iter()
            .zip(&targets)
            .zip(&places)
            .map(|((row, &target), &place)| self.moment(row, target, place))
            .collect();
        for column in 0..MOMENT.len() {
            data.extend(moments.iter().map(|moment| moment[column]));
        }
        Ok(Matrix { rows: rows.len(), data })
    }

    /// The values of [`MOMENT`] for one row.
    fn moment(&self, row: &Row, target: usize, (at, elapsed): (usize, f32)) -> [f32; MOMENT.len()] {
        let hourly = self.hourly;
        let times = &hourly.devices[self.device].times;
        let last = times[..times.partition_point(|&time| time < row.origin)].last();
        let still = last.map_or(LONGEST_STILLNESS, |&time| (row.origin - time) as f32 / HOUR as f32);
        let so_far = elapsed > 0.0 && last.is_some_and(|&time| time >= hourly.start + at as i64 * HOUR);
        let lead = f32::from(row.lead);
        // The last full hour speaks until the running one does.
        let before = at.checked_sub(1).map_or((0.0, 0.0), |past| (self.surprise[past], self.others[past]));
        let expected = self.prior.get(at).copied().unwrap_or(0.0);
        let state = if so_far { 1.0 - expected } else { before.0 * (1.0 - elapsed) - expected * elapsed };
        // Who moved a minute ago is likelier to be still there than who moved fifty minutes ago.
        let motion = (-still / MOTION_FADES).exp() - 0.5 * self.prior.get(at.saturating_sub(1)).copied().unwrap_or(0.0);
        let same_day = hourly.locals[target].day == hourly.locals[at].day;
        let today = if same_day { self.today[at] } else { 0.0 };
        [
            state * (-(lead - 1.0) / STATE_FADES).exp(),
            today * (-(lead - 1.0) / TODAY_FADES).exp(),
            before.1 * (-(lead - 1.0) / STATE_FADES).exp(),
            motion * (-(lead - 1.0) / STATE_FADES).exp(),
            lead,
            still.min(LONGEST_STILLNESS).ln_1p(),
            f32::from(so_far),
            elapsed,
        ]
    }
}

/// Appends the rows of every column of a frame to `data`, one column after the other; null becomes NaN.
fn gather(frame: &DataFrame, rows: impl Iterator<Item = usize>, data: &mut Vec<f32>) -> PolarsResult<()> {
    let index: IdxCa = IdxCa::from_vec(PlSmallStr::EMPTY, rows.map(|row| row as IdxSize).collect());
    for column in frame.columns() {
        let picked = column.take(&index)?;
        for chunk in picked.f32()?.downcast_iter() {
            match chunk.validity() {
                Some(known) if known.unset_bits() > 0 => {
                    let known =
                        chunk.values().iter().zip(known).map(|(&value, known)| if known { value } else { f32::NAN });
                    data.extend(known);
                }
                _ => data.extend_from_slice(chunk.values()),
            }
        }
    }
    Ok(())
}

/// What the other devices did in each hour of the history beyond what their priors expected, as a share of them.
fn others(values: &[f32], prior: &[f32], building: &Building) -> Vec<f32> {
    let of = |at: usize| {
        let own = if values[at].is_nan() { (0.0, 0.0, 0.0) } else { (values[at], prior[at], 1.0) };
        let (occupied, expected) = (building.occupied[at] - own.0, building.expected[at] - own.1);
        let observed = building.observed[at] - own.2;
        if observed > 0.0 { (occupied - expected) / observed } else { 0.0 }
    };
    (0..values.len()).map(of).collect()
}

/// Running sum of the surprises of each local day before each hour.
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

fn target_columns(
    hourly: &Hourly,
    building: &Building,
    values: &[f32],
    prior: &[f32],
    rates: &Rates,
    device: usize,
) -> PolarsResult<DataFrame> {
    let n = hourly.locals.len();
    let padding = std::iter::repeat_n(f32::NAN, n - values.len());
    let state = series("state", values.iter().copied().chain(padding));
    let lag = |index: &IdxCa| state.take(index);
    let lags = &building.lags;
    let last = [lag(&lags.same_type[0])?, lag(&lags.same_type[1])?, lag(&lags.same_type[2])?];
    let pull = |name: &str, seen: &Series| -> PolarsResult<Series> {
        let seen = seen.f32()?.into_no_null_iter().zip(prior);
        Ok(series(name, seen.map(|(y, p)| if y.is_nan() { 0.0 } else { y - p })))
    };
    let mean = |three: [f32; 3]| {
        let known = three.into_iter().filter(|y| !y.is_nan());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), y| (sum + y, count + 1.0));
        if count > 0.0 { sum / count } else { f32::NAN }
    };
    let [one, two, three] = [0, 1, 2].map(|at| last[at].f32().map(|column| column.into_no_null_iter()));
    let mean_of_three = series("three", one?.zip(two?).zip(three?).map(|((a, b), c)| mean([a, b, c])));
    let lag_7d = lag(&lags.days[2])?;
    let logits: Vec<f32> = prior.iter().map(|&p| logit(p)).collect();
    let shift = |name: &str, to: &[f32]| series(name, to.iter().zip(&logits).map(|(to, p)| logit(*to) - p));
    let building_shift = building.shared.logits.iter().zip(&logits).map(|(to, p)| to - p);
    let first = (hourly.devices[device].first - hourly.first) as usize;
    let history = std::iter::repeat_n(0.0, first).chain(building.shared.histories.iter().copied()).take(n);
    let [last_pull, level] = building.shared.building.clone();
    let [hour, weekday, off, off_before, off_after, special] = building.shared.calendar.clone();
    let columns = vec![
        series("prior", logits.iter().copied()),
        shift("weekday_shift", &rates.weekday),
        shift("recent_shift", &rates.recent),
        series("building_shift", building_shift),
        pull("last_day_pull", &last[0])?,
        pull("last_three_pull", &mean_of_three)?,
        pull("lag_7d_pull", &lag_7d)?,
        last_pull,
        series("device_level", rates.level.iter().copied()),
        level,
        series("hour_before", rates.before.iter().copied()),
        series("hour_after", rates.after.iter().copied()),
        last[0].clone().with_name("last_day".into()),
        lag(&lags.days[0])?.with_name("lag_1d".into()),
        lag(&lags.days[1])?.with_name("lag_2d".into()),
        lag_7d.with_name("lag_7d".into()),
        lag(&lags.days[3])?.with_name("lag_14d".into()),
        hour,
        weekday,
        off,
        off_before,
        off_after,
        special,
        series("history", history),
        building.shared.rate.clone(),
    ];
    DataFrame::new(n, columns.into_iter().map(Column::from).collect())
}

fn origin_columns(hourly: &Hourly, device: usize, values: &[f32], today: &[f32]) -> PolarsResult<DataFrame> {
    // One more than the history: the origin of a forecast is the end of the grid.
    let n = values.len() + 1;
    let before = std::iter::once(f32::NAN).chain(values.iter().copied());
    // What is not known is no part of a mean.
    let known = before.clone().map(|value| !value.is_nan()).collect();
    let before = Float32Chunked::from_vec_validity("last_hour".into(), before.collect(), Some(known)).into_series();
    let rolling = |name: &str, window_size: usize| -> PolarsResult<Series> {
        let options = RollingOptionsFixedWindow { window_size, min_periods: 1, ..Default::default() };
        Ok(before.rolling_mean(options)?.with_name(name.into()))
    };
    let hours = &hourly.devices[device];
    let skip = values.len() - hours.states.len();
    let silence = (0..n).map(|at| at.checked_sub(skip).map_or(0.0, |i| f32::from(hours.silence[i])));
    let columns = vec![
        rolling("share_day", 24)?,
        rolling("share_week", 168)?,
        series("silence", silence),
        before.clone(),
        rolling("last_three_hours", 3)?,
        series("today", today.iter().copied()),
    ];
    DataFrame::new(n, columns.into_iter().map(Column::from).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{ORIGIN, TARGET};
    use super::*;
    use crate::calendar::Calendar;
    use crate::readings::{DeviceReadings, Readings};

    /// Columns are told apart by their place from here on.
    #[test]
    fn columns_stand_in_the_order_of_their_names() {
        let times = (0..240).map(|hour| hour * 5 * HOUR).collect::<Vec<_>>().into();
        let readings = Readings { devices: vec![DeviceReadings { device: "hall".into(), times }] };
        let hourly = Hourly::new(&readings, &Calendar::default(), 1200 * HOUR);
        let table = Table::new(&hourly, &Building::new(&hourly), 0).unwrap();
        let names = |frame: &DataFrame| frame.columns().iter().map(|c| c.name().to_string()).collect::<Vec<_>>();
        assert_eq!(names(&table.target), TARGET);
        assert_eq!(names(&table.origin), ORIGIN);
    }
}
