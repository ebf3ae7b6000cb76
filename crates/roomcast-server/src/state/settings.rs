//! Settings the server is started with.

use std::path::PathBuf;
use std::time::Duration;

use roomcast_forecast::decisions::blocks::BlockRule;
use roomcast_forecast::decisions::promise::Method;
use roomcast_forecast::decisions::timetable::Timetables;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::rooms::Level;
use roomcast_forecast::train::schedule::Schedule;
use roomcast_storage::inputs::Inputs;

/// Seconds a sensor's clock may be ahead of this one. Later readings wait until their time.
pub(crate) const MAX_CLOCK_SKEW: i64 = 300;

/// Data, models and jobs of the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The readings, and the calendar of the site they come from.
    pub input: Inputs,
    /// The store of readings as they arrive.
    pub store: Option<String>,
    /// The lowest level that is stored and shown. Above rooms, devices are floors or buildings, and there is no table of rooms.
    pub level: Level,
    /// The directory of the models, or an address, which may contain a password.
    pub models: PathBuf,
    /// The rule that turns probabilities into states.
    pub rule: Rule,
    /// The way to the threshold of schedules that name none.
    pub method: Method,
    /// The rule of the blocks of schedules that name none.
    pub blocks: BlockRule,
    /// The timetables that stored schedules are compared with, if there are some.
    pub timetables: Option<Timetables>,
    /// The schedule and settings of retraining.
    pub retrain: Retraining,
    /// The schedule and settings of the store's upkeep, if there is a store.
    pub upkeep: Option<Upkeep>,
}

impl Settings {
    /// Returns whether the input can be read repeatedly, which standard input cannot.
    pub(crate) fn can_read_again(&self) -> bool {
        self.input.paths.iter().all(|path| path.as_os_str() != "-")
    }
}

/// The schedule and the settings of retraining.
#[derive(Debug, Clone)]
pub struct Retraining {
    /// The schedule. The first training does not wait for it.
    pub schedule: Option<Schedule>,
    /// Maximum random delay, so that several servers do not begin at the same time.
    pub jitter: Duration,
    /// Age from which models are renewed.
    pub max_age: Duration,
    /// Versions to keep.
    pub keep: u32,
}

/// The schedule and settings of the store's upkeep.
#[derive(Debug, Clone)]
pub struct Upkeep {
    /// The schedule.
    pub schedule: Schedule,
    /// Age from which days are packed; `None` to pack none.
    pub pack: Option<Duration>,
    /// Age from which readings are dropped; `None` to keep all.
    pub retain: Option<Duration>,
}
