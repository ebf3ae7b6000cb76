//! Readings as they arrive, from the wire to the store.
//!
//! Bodies and messages become events ([`payload`]); a sensor that repeats itself is told from one that fires again
//! ([`edges`]); one task stores what all sources have together, one transaction after the other ([`writer`]), and
//! only then each of them is told: HTTP gets its answer, [`mqtt`] and [`nats`] send their acknowledgements. Nothing is
//! kept here that is not in the store or still with its sender, so killing the process loses nothing.
//!
//! Memory is bounded: whoever comes while the queue is full is turned away (HTTP) or not read any further (MQTT, NATS).

pub mod arrival;
pub mod backoff;
pub mod counts;
pub mod edges;
pub mod health;
pub mod mqtt;
pub mod nats;
pub mod payload;
pub mod skipped;
pub mod writer;

/// How readings arrive.
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
    /// All of them, in the order of their counts.
    pub const ALL: [Source; 3] = [Source::Http, Source::Mqtt, Source::Nats];

    /// Its name in metrics and in the quarantine.
    pub fn name(self) -> &'static str {
        match self {
            Source::Http => "http",
            Source::Mqtt => "mqtt",
            Source::Nats => "nats",
        }
    }
}
