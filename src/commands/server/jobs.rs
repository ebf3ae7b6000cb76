//! Arguments of the jobs of a server: the upkeep of its store, and retraining.

use std::time::Duration;

use clap::Args;

use crate::commands::arguments::values::duration;
use roomcast_forecast::train::schedule::Schedule;
use roomcast_server::state::settings::{Retraining, Upkeep};

/// The upkeep of the store.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Upkeep of the store")]
pub struct UpkeepArgs {
    /// Age at which readings are deleted, such as 400d; without it, all are kept. Ages count back from the last reading of
    /// the store. Files are not changed
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "store", env = "ROOMCAST_RETAIN")]
    retain: Option<Duration>,
    /// Age at which past days are packed to a tenth of their size; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration_or_zero, requires = "store")]
    pack: Duration,
    /// Times of packing and deleting: a cron expression in the site's local time
    #[arg(long, value_name = "CRON", default_value = "30 3 * * *", requires = "store")]
    upkeep: Schedule,
}

/// Scheduled retraining.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retraining")]
pub struct RetrainingArgs {
    /// Times at which models are renewed if they have reached their highest age or are worse than the baseline: a cron
    /// expression in the site's local time, such as '0 2 * * *'
    #[arg(long, value_name = "CRON", env = "ROOMCAST_RETRAIN")]
    pub retrain: Option<Schedule>,
    /// Largest random delay, which keeps several servers from starting at the same time; 0 for none
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration_or_zero, requires = "retrain")]
    retrain_jitter: Duration,
    /// Age at which models are renewed, such as 7d or 36h
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration, requires = "retrain")]
    retrain_max_age: Duration,
    /// Number of versions to keep; the current version and the one before it are also kept
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), requires = "retrain")]
    retrain_keep: u32,
}

impl UpkeepArgs {
    /// Returns the schedule and settings of the upkeep.
    pub fn settings(&self) -> Upkeep {
        let pack = Some(self.pack).filter(|age| !age.is_zero());
        Upkeep { schedule: self.upkeep.clone(), pack, retain: self.retain }
    }
}

impl RetrainingArgs {
    /// Returns the schedule and settings of retraining.
    pub fn settings(&self) -> Retraining {
        Retraining {
            schedule: self.retrain.clone(),
            jitter: self.retrain_jitter,
            max_age: self.retrain_max_age,
            keep: self.retrain_keep,
        }
    }
}

fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}
