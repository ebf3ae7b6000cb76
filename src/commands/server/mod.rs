//! The server, its clients, and commands that read messages as it does. This group needs the feature `server`.

mod healthcheck;
mod ingest;
mod jobs;
pub mod play;
pub mod replay;
mod retrain_job;
mod serve;
mod targets;

use clap::Subcommand;
use roomcast_server::jobs::retrain::SUBCOMMAND as RETRAIN_JOB;

/// The commands of this group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve forecasts and a web page over HTTP
    #[command(
        after_help = "Example:\n  PRIVATE_TOKEN=secret roomcast serve --input data/device_activations.csv --models models"
    )]
    Serve(Box<serve::ServeArgs>),
    /// Check whether a server on this machine is alive
    #[command(after_help = "Example:\n  roomcast healthcheck --port 5000")]
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Retrain for a server, which writes the settings to standard input
    #[command(name = RETRAIN_JOB, hide = true)]
    RetrainJob,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the error of the command.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Command::Serve(args) => serve::run(args),
            Command::Healthcheck(args) => healthcheck::run(args),
            Command::RetrainJob => retrain_job::run(),
        }
    }
}
