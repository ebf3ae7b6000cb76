//! The savings ledger of a backtest.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use clap::Args;

use super::check_known;
use crate::commands::arguments::{BlockArgs, PromiseScope, values};
use roomcast_forecast::backtest::ledger::{LedgerPlan, Power};
use roomcast_forecast::decisions::promise::Promise;
use roomcast_forecast::decisions::timetable::{Timetable, Timetables};
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
        let (of_site, rooms) =
            by_room(&self.timetable, |text| Ok(text.parse::<Timetable>()?)).context("cannot read --timetable")?;
        let of_site = of_site.context("--timetable needs hours for rooms without hours of their own")?;
        let kw = |text: &str| values::cost(text).map_err(anyhow::Error::msg);
        let (power, powers) = by_room(&self.kw, kw).context("cannot read --kw")?;
        let named: Vec<String> = rooms.keys().chain(powers.keys()).cloned().collect();
        check_known(readings, &named, "")?;
        Ok(Some(LedgerPlan {
            timetables: Timetables { site: of_site, rooms },
            rule: self.blocks.rule(site),
            promise: Promise { max_missed: self.max_missed, scope: self.promise.into() },
            power: Power { site: power, rooms: powers, price: self.price },
        }))
    }
}

/// Reads values of the form `VALUE` or `ROOM=VALUE`: at most one without a room, and one for each room.
fn by_room<T>(
    texts: &[String],
    read: impl Fn(&str) -> anyhow::Result<T>,
) -> anyhow::Result<(Option<T>, BTreeMap<String, T>)> {
    let (mut site, mut rooms) = (None, BTreeMap::new());
    for text in texts {
        match text.rsplit_once('=') {
            Some((room, value)) => {
                let twice = rooms.insert(room.to_owned(), read(value)?).is_some();
                ensure!(!twice, "room {room:?} has two values");
            }
            None => ensure!(site.replace(read(text)?).is_none(), "there are two values for all rooms"),
        }
    }
    Ok((site, rooms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_for_all_rooms_or_for_one() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            by_room(&texts, |text| Ok(text.parse::<f64>()?)).map_err(|error| error.to_string())
        };
        let rooms = BTreeMap::from([("a=b".to_owned(), 2.0)]);
        assert_eq!(read(&["1.5", "a=b=2"]), Ok((Some(1.5), rooms)));
        assert!(read(&["1", "2"]).unwrap_err().contains("two values for all rooms"));
        assert!(read(&["a=1", "a=2"]).unwrap_err().contains("\"a\" has two values"));
        assert!(read(&["x"]).is_err());
    }
}
