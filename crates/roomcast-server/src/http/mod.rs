//! The middleware of every request, and what handlers share: access, queries, bodies and entity tags.

pub mod answering;
pub mod auth;
pub mod decompress;
pub mod etag;
pub mod limits;
pub mod lockout;
pub mod middleware;
pub mod origin;
pub mod proxy;
pub mod query;
pub mod tokens;
pub mod uploads;
