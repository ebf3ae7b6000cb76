//! Arguments that several commands share.

mod blocks;
pub mod by_room;
mod files;
mod rooms;
mod rule;
mod site;
mod store;
mod training;
pub mod values;

pub use blocks::{BlockArgs, PromiseScope};
pub use files::FileArgs;
pub use rooms::{LevelArg, RoomsArgs};
pub use rule::RuleArgs;
pub use site::{ClockArgs, PlaceArgs, SiteArgs};
pub use store::{OpenStore, StoreArgs, warn_without_zone};
pub use training::{JobsArgs, RegistryArgs};
