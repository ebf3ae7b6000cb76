//! A connection to an MQTT broker.

pub mod broker;
pub mod socket;
