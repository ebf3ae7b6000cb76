//! Persistent storage of Roomcast.
//!
//! [`readings`] stores sensor events in SQLite or PostgreSQL. [`registry`] stores versions of models in a directory,
//! PostgreSQL or an object store. [`inputs`] reads the readings of a site from files, stores and databases of Home
//! Assistant together.

mod areas;
mod failure;
mod holder;
mod home_assistant;
pub mod inputs;
mod postgres;
pub mod readings;
pub mod registry;
mod url;
