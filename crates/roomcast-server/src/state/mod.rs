//! What a running server holds: history, models, forecasts and settings.

pub mod answer;
pub mod cache;
pub mod lease;
pub mod live;
pub mod loaded;
pub mod past;
pub mod site;
pub mod snapshot;
pub mod visits;
