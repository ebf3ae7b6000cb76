//! What a running server holds: history, models, forecasts and settings. No handler and no loop is in it.

pub mod alerts;
pub mod answer;
pub mod cache;
pub mod events;
pub mod grid;
pub mod live;
pub mod loaded;
pub mod settings;
pub mod site;
pub mod snapshot;
pub mod standing;
