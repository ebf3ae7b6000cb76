//! Arguments that several commands share.

mod blocks;
mod rule;
mod site;
mod store;
mod training;
pub mod values;

pub use blocks::{BlockArgs, PromiseScope};
pub use rule::RuleArgs;
pub use site::{ClockArgs, PlaceArgs, SiteArgs};
pub use store::{OpenStore, StoreArgs};
pub use training::{JobsArgs, RegistryArgs};
