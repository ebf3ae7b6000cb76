//! The table of rooms, and the level of a forecast.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::rooms::{BUILDING, Level, Rooms};
use roomcast_storage::inputs::SiteConfig;

/// The sensors of the rooms.
#[derive(Debug, Clone, Default, Args)]
pub struct RoomsArgs {
    /// Table of rooms: a CSV file with the columns sensor, room and, as far as known, floor, building, from, to; or Home
    /// Assistant's folder .storage, whose areas are rooms. Without it each device is a room
    #[arg(long, value_name = "FILE", env = "ROOMCAST_ROOMS")]
    pub rooms: Option<PathBuf>,
}

impl RoomsArgs {
    /// Returns the table; an empty one where none is given.
    ///
    /// # Errors
    /// Returns the errors of [`SiteConfig::rooms`].
    pub fn table(&self, calendar: &Calendar) -> anyhow::Result<Rooms> {
        SiteConfig { rooms: self.rooms.clone(), ..SiteConfig::default() }.rooms(calendar)
    }
}

/// The level of a forecast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    /// Each room.
    #[default]
    Room,
    /// Each floor of the table of rooms: anyone in any of its rooms.
    Floor,
    /// Each building of the table of rooms, or the whole site: anyone in any room.
    Building,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Level {
        match level {
            LevelArg::Room => Level::Room,
            LevelArg::Floor => Level::Floor,
            LevelArg::Building => Level::Building,
        }
    }
}

/// Checks that the table of rooms has a level. Without buildings of its own, the whole site is one.
///
/// # Errors
/// Returns an error that says what is missing.
pub fn check_level(level: Level, rooms: &Rooms) -> anyhow::Result<()> {
    if level == Level::Floor && !rooms.has_floors() {
        bail!(
            "there are no floors\nhint: --rooms names a file with the columns sensor, room and floor; --level {BUILDING} needs none"
        );
    }
    Ok(())
}
