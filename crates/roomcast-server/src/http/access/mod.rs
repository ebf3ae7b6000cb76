//! Access control and rate limits.

pub mod auth;
pub mod limits;
pub mod lockout;
pub mod origin;
pub mod proxy;
pub mod tokens;
pub mod uploads;
