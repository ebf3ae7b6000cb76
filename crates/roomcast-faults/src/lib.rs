//! Deterministic simulation of faults: senders, writer and store on a disk, a network and clocks that fail.
//!
//! A seed gives a run: one thread, simulated time ([`world`]), a disk in memory below SQLite ([`disk`]), processes that
//! die ([`host`]), senders that repeat what was not acknowledged ([`sender`]), and servers that run the product's own
//! writer and store ([`server`]). After each crash and at the end the [`oracle`] compares the store with what was sent and
//! acknowledged. [`bugs`] are planted to show that the simulation finds them. [`cuts`] breaks connections to PostgreSQL.
//!
//! This crate is for tests. Nothing of the product depends on it.

pub mod bugs;
pub mod chance;
pub mod cuts;
pub mod disk;
pub mod host;
pub mod network;
pub mod oracle;
pub mod run;
pub mod sender;
pub mod server;
pub mod sink;
pub mod site;
pub mod trace;
pub mod trouble;
pub mod world;

#[cfg(test)]
mod cuts_tests;
#[cfg(test)]
mod tests;
