//! The table of the design matrix's columns.
//!
//! Everything else about the columns follows from [`COLUMNS`]: the width of a matrix, the columns and penalties of the
//! linear layer, the constraints on the trees, and the list of features in a manifest. A new feature is one entry here,
//! and a value in `inputs` if those that are there do not suffice.

use super::inputs::{MAX_STILL_HOURS, Moment, OriginHour, TargetHour, known, mean};
use super::odds::logit;

/// A column of the design matrix.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The name, as in manifests and explanations.
    pub name: &'static str,
    pub(super) value: Value,
    /// Factor on the penalty of the column's coefficient; `None` for a column that the linear layer does not use.
    penalty: Option<f64>,
    /// True where a device's own trees may use the column.
    own: bool,
    /// True where a device's expert may use the column.
    expert: bool,
    /// True where more past occupancy may only raise the probability.
    monotone: bool,
}

/// The value of a column, by the inputs it may depend on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// Depends on the target hour alone.
    Target(fn(&TargetHour) -> f32),
    /// Describes the time before an origin at the start of an hour.
    Origin(fn(&OriginHour) -> f32),
    /// Needs the exact instant of the origin, or both the origin and the target hour.
    Moment(fn(&Moment) -> f32),
}

const fn column(name: &'static str, value: Value) -> Column {
    Column { name, value, penalty: None, own: false, expert: false, monotone: false }
}

const fn target(name: &'static str, value: fn(&TargetHour) -> f32) -> Column {
    column(name, Value::Target(value))
}

const fn origin(name: &'static str, value: fn(&OriginHour) -> f32) -> Column {
    column(name, Value::Origin(value))
}

const fn moment(name: &'static str, value: fn(&Moment) -> f32) -> Column {
    column(name, Value::Moment(value))
}

impl Column {
    /// Makes a column of the linear layer, with a factor on its penalty. Its values are centred: 0 means "nothing to
    /// add to the prior".
    const fn linear(self, penalty: f64) -> Column {
        Column { penalty: Some(penalty), ..self }
    }

    const fn own(self) -> Column {
        Column { own: true, ..self }
    }

    const fn expert(self) -> Column {
        Column { expert: true, ..self }
    }

    const fn monotone(self) -> Column {
        Column { monotone: true, ..self }
    }
}

/// Factor on the penalty of the columns that are the same for all devices of a day: they have as many independent
/// values as there were days.
const SITE_PENALTY: f64 = 5.0;
/// Factor on the penalty of the state at the origin: it has as many independent values as there were hours.
const STATE_PENALTY: f64 = 0.1;

/// The columns in their order. The first is the prior, on which every layer builds.
///
/// A device's own trees use its habits and its last hours. The site's layers learn from all devices what the building
/// does, and how far one hour's rate predicts another's. A device's expert uses what the prior is not part of.
pub const COLUMNS: &[Column] = &[
    target("prior", |t| t.logit).linear(1.0).own().monotone(),
    target("weekday_shift", |t| logit(t.rates.weekday) - t.logit).linear(1.0).own(),
    target("recent_shift", |t| logit(t.rates.recent) - t.logit).linear(1.0).own(),
    target("building_shift", |t| t.site.logit - t.logit).linear(1.0),
    target("last_day_pull", |t| known(t.same_type[0] - t.prior)).linear(1.0).own(),
    target("last_three_pull", |t| known(mean(t.same_type) - t.prior)).linear(1.0),
    target("lag_7d_pull", |t| known(t.lag_7d - t.prior)).linear(1.0).own(),
    target("building_last_pull", |t| t.site.last_pull).linear(SITE_PENALTY),
    target("device_level", |t| t.rates.level.ln()).linear(1.0).own(),
    target("building_level", |t| t.site.level).linear(SITE_PENALTY),
    target("hour_before", |t| t.rates.before).own(),
    target("hour_after", |t| t.rates.after).own(),
    target("last_day", |t| t.same_type[0]).monotone(),
    target("lag_1d", |t| t.lag_1d).own().expert().monotone(),
    target("lag_2d", |t| t.lag_2d),
    target("lag_7d", |t| t.lag_7d).own().expert().monotone(),
    target("lag_14d", |t| t.lag_14d),
    target("hour", |t| f32::from(t.local.hour)).own().expert(),
    target("weekday", |t| f32::from(t.local.weekday)).own().expert(),
    target("off", |t| f32::from(t.local.off)).own().expert(),
    target("off_before", |t| f32::from(t.local.off_before)),
    target("off_after", |t| f32::from(t.local.off_after)),
    target("special", |t| f32::from(t.local.special)),
    target("history", |t| t.history),
    target("building_rate", |t| t.site.rate),
    origin("share_day", |o| o.share_day).own().expert(),
    origin("share_week", |o| o.share_week).expert().monotone(),
    origin("silence", |o| o.silence),
    origin("last_hour", |o| o.last_hours[0]).own().monotone(),
    origin("last_three_hours", |o| mean(o.last_hours)),
    origin("today", |o| o.today),
    moment("state_pull", |m| m.state * m.state_left).linear(STATE_PENALTY).own(),
    moment("today_pull", |m| m.today * m.day_left).linear(STATE_PENALTY).own(),
    moment("others_pull", |m| m.others * m.state_left).linear(STATE_PENALTY),
    moment("motion_pull", |m| m.motion * m.state_left).linear(STATE_PENALTY).own(),
    moment("lead", |m| f32::from(m.lead)).own(),
    moment("since_motion", |m| (1.0 + m.still.min(MAX_STILL_HOURS)).ln()).own(),
    moment("so_far", |m| f32::from(m.so_far)).monotone(),
    moment("elapsed", |m| m.elapsed),
];

/// Number of columns of the design matrix.
pub const WIDTH: usize = COLUMNS.len();

/// Number of columns that the linear layer uses.
pub const LINEAR_WIDTH: usize = {
    let (mut count, mut at) = (0, 0);
    while at < WIDTH {
        count += COLUMNS[at].penalty.is_some() as usize;
        at += 1;
    }
    count
};

/// Positions of the columns that the linear layer uses: the prior's log-odds, then the centred ones.
pub const LINEAR_COLUMNS: [usize; LINEAR_WIDTH] = {
    let (mut columns, mut count, mut at) = ([0; LINEAR_WIDTH], 0, 0);
    while at < WIDTH {
        if COLUMNS[at].penalty.is_some() {
            columns[count] = at;
            count += 1;
        }
        at += 1;
    }
    columns
};

const fn position(name: &str) -> usize {
    let mut at = 0;
    while !same(COLUMNS[at].name.as_bytes(), name.as_bytes()) {
        at += 1;
    }
    at
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Positions of the columns that say how the last days of the type, and this day of the last week, differed from the
/// prior.
pub const LAST_PULLS: [usize; 3] = [position("last_day_pull"), position("last_three_pull"), position("lag_7d_pull")];

/// Position of the prior's log-odds, on which every layer builds.
pub const PRIOR: usize = LINEAR_COLUMNS[0];

/// Position of the lead.
pub const LEAD: usize = position("lead");

/// Returns the names of the design matrix's columns, in order.
pub fn columns() -> [&'static str; WIDTH] {
    std::array::from_fn(|at| COLUMNS[at].name)
}

/// Returns the factors on the penalties of [`LINEAR_COLUMNS`].
pub fn penalties() -> [f64; LINEAR_WIDTH] {
    LINEAR_COLUMNS.map(|at| COLUMNS[at].penalty.unwrap_or(1.0))
}

/// Returns 1 for each column in which more past occupancy may only raise the probability, else 0.
pub fn monotone() -> [i8; WIDTH] {
    std::array::from_fn(|at| i8::from(COLUMNS[at].monotone))
}

/// Returns the positions of the columns that a device's own trees may use.
pub fn own_columns() -> Vec<usize> {
    (0..WIDTH).filter(|&at| COLUMNS[at].own).collect()
}

/// Returns the positions of the columns that a device's expert may use.
pub fn expert_columns() -> Vec<usize> {
    (0..WIDTH).filter(|&at| COLUMNS[at].expert).collect()
}
