//! The savings ledger of a backtest.

use anyhow::{Context, ensure};
use clap::Args;

use super::check_known;
use crate::commands::arguments::{BlockArgs, PromiseScope, by_room, values};
use roomcast_forecast::backtest::ledger::{LedgerPlan, Power};
use roomcast_forecast::decisions::promise::Promise;
use roomcast_forecast::readings::Readings;
use roomcast_storage::inputs::SiteConfig;

/// What to compare.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Savings")]
pub struct LedgerArgs {
    /// Also compare the schedule with this timetable, such as 'mon-fri 06:00-19:00; sat 08:00-12:00', or
    /// 'ROOM=mon-fri 08:00-17:00' for one room (repeatable)
    #[arg(long, value_name = "HOURS")]
    timetable: Vec<String>,
    #[command(flatten)]
    blocks: BlockArgs,
    /// Highest share of the occupied hours that the schedule may miss, such as 5% or 0.05
    #[arg(long, value_name = "SHARE", value_parser = values::share, default_value = "5%", requires = "timetable")]
    max_missed: f64,
    /// What --max-missed holds for
    #[arg(long, value_enum, default_value_t, requires = "timetable")]
    promise: PromiseScope,
    /// Power that a room draws while it is on, kW, such as 1.5, or ROOM=0.8 for one room (repeatable); gives an estimate
    /// of the energy
    #[arg(long, value_name = "KW", requires = "timetable")]
    kw: Vec<String>,
    /// Price of a kWh; gives an estimate of the money
    #[arg(long, value_name = "PRICE", value_parser = values::cost, requires = "kw")]
    price: Option<f64>,
}

impl LedgerArgs {
    /// Returns what to compare, if a timetable was given.
    ///
    /// # Errors
    /// Returns an error for a timetable or a power that cannot be read, or of an unknown room.
    pub fn plan(&self, site: &SiteConfig, readings: &Readings) -> anyhow::Result<Option<LedgerPlan>> {
        if self.timetable.is_empty() {
            ensure!(!self.blocks.is_given(), "--preheat, --setback-after and --min-run need --timetable");
            return Ok(None);
        }
        let timetables = by_room::timetables(&self.timetable)?;
        let kw = |text: &str| values::cost(text).map_err(anyhow::Error::msg);
        let (power, powers) = by_room::values(&self.kw, kw).context("cannot read --kw")?;
        let named: Vec<String> = timetables.rooms.keys().chain(powers.keys()).cloned().collect();
        check_known(readings, &named, "")?;
        Ok(Some(LedgerPlan {
            timetables,
            rule: self.blocks.rule(site),
            promise: Promise { max_missed: self.max_missed, scope: self.promise.into() },
            power: Power { site: power, rooms: powers, price: self.price },
        }))
    }
}
