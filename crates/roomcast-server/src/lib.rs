//! The HTTP server: forecasts for people and machines.
//!
//! A request passes the [`middleware`](http::middleware) (ids, limits, headers, log). The [table of
//! operations](openapi) names its handler, whose arguments name the [access](http::auth) and the
//! [parameters](http::query) it needs. The handler takes the [`snapshot`](state::snapshot) of this moment, and sends
//! bytes that were rendered once ([`cache`](state::cache)). [`jobs`] run by themselves: they load readings and models,
//! publish, score, retrain and look for alerts.

pub mod api;
pub mod backoff;
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
