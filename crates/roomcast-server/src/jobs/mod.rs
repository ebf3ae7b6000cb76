//! Background jobs of the server, each on its own thread: load and follow readings and models ([`load`], [`watch`], [`activations`]),
//! publish and score forecasts and check for alerts ([`periodic`]), replay the last days ([`replay`]), retrain the models and tidy the store
//! ([`scheduled`]).

pub mod activations;
mod alerts;
mod beside;
mod forecasts;
mod ledger;
pub mod load;
pub mod periodic;
mod planning;
mod publishing;
pub mod replay;
pub mod retrain;
pub mod rooms;
pub mod scheduled;
mod scoring;
mod upkeep;
pub mod watch;
