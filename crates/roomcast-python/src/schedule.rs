//! The schedule: when each room is to be on.

use std::collections::BTreeSet;

use pyo3::prelude::*;
use roomcast_forecast::backtest::outcomes;
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::decisions::blocks::BlockRule;
use roomcast_forecast::decisions::outcomes::Outcomes;
use roomcast_forecast::decisions::promise::{self, Method, Promise, Scope};
use roomcast_forecast::decisions::{ics, plan, write};
use roomcast_forecast::model::Models;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::rooms::Level;

use crate::backtest::{failed, seconds};
use crate::errors::{SettingError, other};
use crate::model::{Model, RuleArguments, decision_rule};
use crate::progress::Progress;
use crate::site::Site;
use crate::table::Columns;

/// Longest time before, after or of a block, in seconds, and the shortest.
const BLOCK_SECONDS: (u64, u64) = (0, 12 * 3600);

/// Plans when each room is to be on after `origin`; `times` are those of preheat, setback and shortest run. Returns the
/// blocks, and the plan as JSON, text and iCalendar.
#[pyfunction]
#[pyo3(signature = (model, site, origin, devices, rule, per_room, times, progress))]
#[allow(clippy::too_many_arguments, reason = "the arguments of a Python call")]
pub fn schedule(
    py: Python<'_>,
    model: &Model,
    site: &Site,
    origin: Timestamp,
    devices: Option<BTreeSet<String>>,
    rule: RuleArguments,
    per_room: bool,
    times: (String, String, String),
    progress: Option<Py<PyAny>>,
) -> PyResult<(Columns, String, String, String)> {
    let method = method(rule, per_room)?;
    let time = |name, text: &str| seconds(name, text, BLOCK_SECONDS, "of at most 12h, such as 45m");
    let rule = BlockRule {
        preheat: time("preheat", &times.0)?,
        setback: time("setback_after", &times.1)?,
        min_run: time("min_run", &times.2)?,
        closures: site.closures.clone(),
    };
    let (calendar, progress) = (&site.calendar, Progress::new(progress));
    let (forecasts, stale) = model.forecasts(py, origin, devices)?;
    let record = py.detach(|| match method {
        Method::Rule(_) => Ok(Outcomes::default()),
        Method::Promise(Promise { scope, .. }) => {
            let step = |done, total| progress.tell(done, total);
            outcomes::of_last_days(&model.0.readings, calendar, origin, scope == Scope::Room, &step)
        }
    });
    progress.finish()?;
    let record = record.map_err(failed)?;
    let (habit, today) = (Models::default(), plan::today(origin, calendar));
    let judged = if stale.is_some() { &habit } else { &*model.0.models };
    let names = forecasts.iter().map(|forecast| forecast.device.as_str());
    let thresholds = promise::thresholds(method, &record, &judged.site.out_of_sample, today, names);
    let rooms = plan::plan(&forecasts, &thresholds, &rule, origin, calendar);
    let rows = || rooms.iter().flat_map(|room| room.blocks.iter().map(|block| (room.device, block)));
    let blocks = Columns::new(calendar)
        .texts("device", rows().map(|(device, _)| device))
        .times("start", rows().map(|(_, block)| block.start))
        .times("end", rows().map(|(_, block)| block.end))
        .times("occupied_from", rows().map(|(_, block)| block.occupied.0))
        .times("occupied_until", rows().map(|(_, block)| block.occupied.1))
        .numbers("peak_probability", rows().map(|(_, block)| block.peak));
    let json = write::json(&rooms, &thresholds, &rule, (origin, stale.is_some()), calendar);
    let text = write::text(&rooms, Level::Room, &thresholds, calendar);
    let feed = ics::calendar(&rooms, calendar.now(), calendar);
    Ok((blocks, serde_json::to_string(&json).map_err(other)?, text, feed))
}

/// Returns the way to the thresholds: a promise, unless there is another rule.
fn method(arguments: RuleArguments, per_room: bool) -> PyResult<Method> {
    let scope = if per_room { Scope::Room } else { Scope::Site };
    match decision_rule(arguments)? {
        Rule::MostMissed(max_missed) => Ok(Method::Promise(Promise { max_missed, scope })),
        _ if arguments == (None, None, None, None) => Ok(Method::Promise(Promise { scope, ..Promise::default() })),
        _ if per_room => Err(SettingError::new_err("promise='room' needs max_missed, or no rule at all")),
        rule => Ok(Method::Rule(rule)),
    }
}
