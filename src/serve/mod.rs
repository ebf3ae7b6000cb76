//! The HTTP server: forecasts for people and machines.
//!
//! A request passes the [`gate`](self::gate::gate) (ids, limits, headers, log) and names the access it needs as an
//! argument of its handler ([`auth`]). It takes the [`snapshot`] of this moment, and gets bytes that were rendered once
//! ([`cache`]). [`load`] swaps the whole snapshot when readings or models change on disk. [`rounds`] publishes, scores
//! and looks for alerts.

pub mod activations;
pub mod alerts;
pub mod answer;
pub mod auth;
pub mod body;
pub mod bundle;
pub mod cache;
pub mod compact;
pub mod connection;
pub mod decode;
pub mod devices;
pub mod docs;
pub mod etag;
pub mod events;
pub mod explain;
pub mod gate;
pub mod health;
pub mod ics;
pub mod jobs;
pub mod lease;
pub mod limits;
pub mod listener;
pub mod live;
pub mod load;
pub mod loaded;
pub mod lockout;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod origin;
pub mod past;
pub mod predict;
pub mod problem;
pub mod proxy;
pub mod publishing;
pub mod query;
pub mod readings;
pub mod retrain;
pub mod rounds;
pub mod routes;
pub mod run;
pub mod schedule;
pub mod scoring;
pub mod site;
mod slots;
pub mod snapshot;
pub mod standing;
pub mod tls;
pub mod upkeep;
pub mod visits;
