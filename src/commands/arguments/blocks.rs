//! What a room needs besides the hours of its use, and what is promised.

use std::time::Duration;

use clap::{Args, ValueEnum};
use roomcast_forecast::decisions::blocks::BlockRule;
use roomcast_forecast::decisions::promise::Scope;
use roomcast_storage::inputs::SiteConfig;

use super::values::block_time;

/// The times of a block.
#[derive(Debug, Clone, Default, Args)]
pub struct BlockArgs {
    /// Time that a room must be on before its first hour in use, such as 45m, at most 12h [default: none]
    #[arg(long, value_name = "DURATION", value_parser = block_time)]
    preheat: Option<Duration>,
    /// Time that a room stays on after its last hour in use, such as 30m, at most 12h [default: none]
    #[arg(long, value_name = "DURATION", value_parser = block_time)]
    setback_after: Option<Duration>,
    /// Shortest time that a room is on, at most 12h [default: none]
    #[arg(long, value_name = "DURATION", value_parser = block_time)]
    min_run: Option<Duration>,
}

/// What a promise holds for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PromiseScope {
    /// All rooms of the site together.
    #[default]
    Site,
    /// Each room, at some more hours on.
    Room,
}

impl BlockArgs {
    /// Returns whether any of them was given.
    pub fn is_given(&self) -> bool {
        self.preheat.is_some() || self.setback_after.is_some() || self.min_run.is_some()
    }

    /// Returns the rule of blocks; days that were given as closed have none.
    pub fn rule(&self, site: &SiteConfig) -> BlockRule {
        let seconds = |time: Option<Duration>| time.map_or(0, |time| time.as_secs() as i64);
        BlockRule {
            preheat: seconds(self.preheat),
            setback: seconds(self.setback_after),
            min_run: seconds(self.min_run),
            closures: site.closures(),
        }
    }
}

impl From<PromiseScope> for Scope {
    fn from(scope: PromiseScope) -> Scope {
        match scope {
            PromiseScope::Site => Scope::Site,
            PromiseScope::Room => Scope::Room,
        }
    }
}
