//! State of a running server: history, models, forecasts and settings. It contains no handlers and no loops.

pub mod alerts;
pub mod answer;
pub mod cache;
pub mod events;
pub mod grid;
pub mod history;
mod levels;
pub mod live;
pub mod loaded;
pub mod settings;
pub mod site;
pub mod snapshot;
