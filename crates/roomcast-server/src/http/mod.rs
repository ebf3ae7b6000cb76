//! What every request passes, and what handlers share about requests and answers.

pub mod answering;
pub mod auth;
pub mod decode;
pub mod etag;
pub mod gate;
pub mod limits;
pub mod lockout;
pub mod origin;
pub mod proxy;
pub mod query;
pub mod tokens;
pub mod uploads;
