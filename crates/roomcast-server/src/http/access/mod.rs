//! Who may ask, and how much.

pub mod auth;
pub mod limits;
pub mod lockout;
pub mod origin;
pub mod proxy;
pub mod tokens;
pub mod uploads;
