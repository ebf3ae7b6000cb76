//! Access control and rate limits.

pub mod auth;
pub mod cross_site;
pub mod limits;
pub mod lockout;
pub mod proxy;
pub mod tokens;
pub mod uploads;
