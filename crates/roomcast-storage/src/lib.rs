//! Where Roomcast keeps what must survive a restart.
//!
//! [`readings`] stores sensor events in SQLite or PostgreSQL. [`registry`] stores versions of models in a directory,
//! PostgreSQL or an object store. [`inputs`] reads the readings of a site from files and stores together.

pub mod inputs;
pub mod readings;
pub mod registry;
