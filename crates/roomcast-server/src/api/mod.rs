//! The resources of the HTTP interface, one file each.

pub mod alerts;
pub mod devices;
pub mod events;
pub mod explain;
pub mod health;
pub mod ledger;
pub mod metrics;
pub mod models;
pub mod predict;
pub mod readings;
pub mod rooms;
pub mod schedule;
pub mod utilisation;
