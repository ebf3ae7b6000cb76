//! The HTTP server: forecasts for people and machines.
//!
//! A request passes the [`middleware`](http::middleware) (ids, limits, headers, log). The [table of
//! operations](openapi) names its handler, whose arguments name the [access](http::access::auth) and the
//! [parameters](http::query) it needs. The handler takes the [snapshot](state::snapshot) of this moment, and sends
//! bytes that were rendered once ([`state::cache`]). The [`jobs`] swap the whole snapshot when readings or models
//! change, publish and score forecasts, look for alerts and retrain the models.
//!
//! Modules use those below them alone: [`run`], then [`routes`] and [`transport`], [`page`] and [`openapi`], [`api`],
//! [`jobs`] and [`http`], [`state`], [`ingest`] and [`publish`], and at last [`metrics`], [`problem`], [`mqtt`],
//! [`backoff`] and [`logs`].

pub mod api;
pub mod backoff;
pub mod http;
pub mod ingest;
pub mod jobs;
pub mod logs;
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
