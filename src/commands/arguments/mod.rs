//! Arguments that several commands share.

mod blocks;
pub mod by_room;
mod files;
mod output;
mod rooms;
mod rule;
mod site;
mod store;
mod training;
pub mod values;

pub use blocks::{BlockArgs, PromiseScope};
pub use files::FileArgs;
pub use output::OutputArgs;
pub use rooms::{LevelArg, RoomsArgs, check_level};
pub use rule::RuleArgs;
pub use site::{ClockArgs, PlaceArgs, PlacedSiteArgs, SiteArgs, from_variable};
pub use store::{OpenStore, StoreArgs, warn_without_zone};
pub use training::{JobsArgs, RegistryArgs};
