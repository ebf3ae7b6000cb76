//! The middleware of every request, and helpers of the handlers: access, queries, bodies and entity tags.

pub mod access;
pub mod answering;
pub mod decompress;
pub mod etag;
pub mod middleware;
pub mod query;
