//! Persistent storage of Roomcast.
//!
//! [`readings`] stores sensor events in SQLite or PostgreSQL. [`registry`] stores versions of models in a directory,
//! PostgreSQL or an object store. [`inputs`] reads the readings of a site from files and stores together.

mod failure;
mod holder;
pub mod inputs;
mod postgres;
pub mod readings;
pub mod registry;
mod url;
