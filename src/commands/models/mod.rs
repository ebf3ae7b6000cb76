//! Models: fitted, judged, published and managed.

mod publish;
mod registry;
mod report;
pub mod retrain;
mod train;
mod worker;

use clap::Subcommand;

/// The commands of this group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fit models on readings and save them
    #[command(after_help = "Example:\n  roomcast train --input data/device_activations.csv --models models")]
    Train(train::TrainArgs),
    /// Fit models anew when it is due, and take over those that are not worse
    #[command(
        after_help = "Example:\n  roomcast retrain --input data/device_activations.csv --models models --keep 10"
    )]
    Retrain(retrain::RetrainArgs),
    /// Take over the models of a run of deploy/spark that are not worse
    #[command(after_help = "Example:\n  roomcast publish --run runs/2026-03-01 --models models")]
    Publish(publish::PublishArgs),
    /// List, show, activate and prune saved models
    Models(registry::ModelsArgs),
    /// Run one step of a training that is spread over many processes, as deploy/spark does on Apache Spark
    #[command(after_help = "Example:\n  roomcast worker devices --site site.bin < readings.arrow > models.arrow")]
    Worker(worker::WorkerArgs),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the error of the command.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Command::Train(args) => train::run(args),
            Command::Retrain(args) => retrain::run(args),
            Command::Publish(args) => publish::run(args),
            Command::Models(args) => registry::run(args),
            Command::Worker(args) => worker::run(args),
        }
    }
}
