//! The HTTP server: forecasts for people and machines.
//!
//! A request passes the [`gate`](self::gate::gate) (ids, limits, headers, log) and names the access it needs as an
//! argument of its handler ([`auth`]). It takes the [`snapshot`] of this moment, and gets bytes that were rendered once
//! ([`cache`]). [`load`] swaps the whole snapshot when readings or models change on disk. [`rounds`] publishes, scores
//! and looks for alerts.

pub mod api;
pub mod backoff;
pub mod counts;
pub mod http;
pub mod ingest;
pub mod jobs;
pub mod metrics;
pub mod mqtt;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod publish;
pub mod routes;
pub mod run;
pub mod state;
pub mod transport;
