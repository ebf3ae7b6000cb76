//! Connections: listening, limits, deadlines and TLS.

pub mod connection;
pub mod listener;
mod slots;
pub mod tls;
