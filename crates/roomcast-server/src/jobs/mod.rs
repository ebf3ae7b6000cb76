//! What the server does by itself, each loop on a thread of its own: it reloads readings and models ([`load`],
//! [`activations`]), publishes and scores forecasts and looks for alerts ([`periodic`]), retrains the models and tidies
//! the store ([`scheduled`]).

pub mod activations;
mod forecasts;
pub mod load;
pub mod periodic;
mod publishing;
pub mod retrain;
pub mod scheduled;
mod scoring;
mod upkeep;
mod watch;
