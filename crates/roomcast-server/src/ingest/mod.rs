//! Arriving readings, from the wire to the store.
//!
//! Bodies and messages become events ([`payload`]). A new motion is distinguished from a repeated report ([`edges`]).
//! One task stores the events of all sources, one transaction after the other ([`writer`]). It then answers each
//! sender: HTTP gets its response, [`mqtt`] and [`nats`] send their acknowledgements. Every event in memory is in the
//! store or still with its sender, so killing the process loses nothing.
//!
//! A server that keeps nothing below a floor merges the readings of sensors first ([`merge`]).
//!
//! Memory is bounded: while the queue is full, HTTP bodies are rejected, and MQTT and NATS are not read any further.

pub mod counts;
pub mod edges;
pub mod health;
pub mod merge;
pub mod mqtt;
pub mod nats;
pub mod payload;
pub mod skipped;
pub mod writer;

/// Sources of readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `POST /readings`.
    Http,
    /// A broker's topics.
    Mqtt,
    /// A JetStream consumer.
    Nats,
}

impl Source {
    /// All sources, in the order of their counts.
    pub const ALL: [Source; 3] = [Source::Http, Source::Mqtt, Source::Nats];

    /// Returns the name used in metrics and in the quarantine.
    pub fn name(self) -> &'static str {
        match self {
            Source::Http => "http",
            Source::Mqtt => "mqtt",
            Source::Nats => "nats",
        }
    }
}
