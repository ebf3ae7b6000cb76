//! Registries that servers share: what a registry does it does in a directory, in PostgreSQL and in an object store.

mod behaviour;
mod faults;
mod place;
mod serve;
