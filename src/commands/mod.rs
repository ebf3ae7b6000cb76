//! One file per subcommand: arguments, one library call, output.

pub mod backtest;
pub mod completions;
pub mod decode_parquet;
pub mod explain;
pub mod export;
pub mod healthcheck;
pub mod heatmap;
pub mod import;
pub mod inspect;
pub mod live;
pub mod models;
pub mod predict;
pub mod publish_run;
pub mod retrain;
pub mod serve;
pub mod simulate;
pub mod site;
pub mod store;
pub mod stores;
pub mod targets;
pub mod train;
pub mod worker;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use roomcast_forecast::readings::apart;
use roomcast_server::jobs::retrain::SUBCOMMAND as RETRAIN_JOB;

/// Hourly room occupancy forecasts from motion sensors.
#[derive(Debug, Parser)]
#[command(name = "roomcast", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Say more on standard error (repeatable); RUST_LOG is honoured too
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Form of the log lines on standard error
    #[arg(long, value_enum, default_value_t, global = true, env = "ROOMCAST_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object a line, with the field names of the Elastic Common Schema.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Forecast the 24 hours after an instant
    #[command(
        after_help = "Example:\n  roomcast predict '2016-08-24 23:59:59' data/device_activations.csv forecast.csv --show"
    )]
    Predict(predict::PredictArgs),
    /// Train models on readings and save them
    #[command(after_help = "Example:\n  roomcast train --input data/device_activations.csv --models models")]
    Train(train::TrainArgs),
    /// Train anew when it is time, and take over what is not worse
    #[command(
        after_help = "Example:\n  roomcast retrain --input data/device_activations.csv --models models --keep 10"
    )]
    Retrain(retrain::RetrainArgs),
    /// Say how good the forecasts would have been, beside simple rules
    #[command(
        after_help = "Example:\n  roomcast backtest --input data/device_activations.csv --every 24h --html report.html"
    )]
    Backtest(backtest::BacktestArgs),
    /// Say what drives the probability of one hour
    #[command(
        after_help = "Example:\n  roomcast explain --input data/device_activations.csv device_2 '2016-08-25 10:00:00'"
    )]
    Explain(explain::ExplainArgs),
    /// Say what readings tell about themselves, before anyone trains on them
    #[command(after_help = "Example:\n  roomcast inspect data/device_activations.csv")]
    Inspect(inspect::InspectArgs),
    /// Make the readings of a building that does not exist
    #[command(
        after_help = "Example:\n  roomcast simulate --devices 100 --from 2026-01-01 --to 2026-03-01 --output readings.parquet"
    )]
    Simulate(simulate::SimulateArgs),
    /// Serve forecasts over HTTP, and a page to look at them
    #[command(
        after_help = "Example:\n  PRIVATE_TOKEN=secret roomcast serve --input data/device_activations.csv --models models"
    )]
    Serve(Box<serve::ServeArgs>),
    /// Ask a server on this machine whether it lives
    #[command(after_help = "Example:\n  roomcast healthcheck --port 5000")]
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Bring readings from files into a store
    #[command(after_help = "Example:\n  roomcast import --store readings.db data/device_activations.csv")]
    Import(import::ImportArgs),
    /// Write the readings of a store to Parquet files
    #[command(after_help = "Example:\n  roomcast export --store readings.db --output readings --buckets 16")]
    Export(export::ExportArgs),
    /// Sum up, back up, pack, shorten and repair a store
    #[command(after_help = "Example:\n  roomcast store pack --store readings.db --days 7")]
    Store(store::StoreCommand),
    /// Do one step of training that is spread over many processes, as deploy/spark does on Apache Spark
    #[command(after_help = "Example:\n  roomcast worker devices --site site.bin < readings.arrow > models.arrow")]
    Worker(worker::WorkerArgs),
    /// Take over the models of a run of deploy/spark, where they are not worse
    #[command(after_help = "Example:\n  roomcast publish --run runs/2026-03-01 --models models")]
    Publish(publish_run::PublishRunArgs),
    /// List, show, activate and prune saved models
    #[command(after_help = "Example:\n  roomcast models list --models models")]
    Models(models::ModelsArgs),
    /// Write shell completions to standard output
    #[command(
        after_help = "Example:\n  roomcast completions bash > ~/.local/share/bash-completion/completions/roomcast"
    )]
    Completions(completions::CompletionsArgs),
    /// Write man pages to a directory
    #[command(after_help = "Example:\n  roomcast man ~/.local/share/man/man1")]
    Man(completions::ManArgs),
    /// Read a Parquet file for another process of Roomcast
    #[command(name = apart::SUBCOMMAND, hide = true)]
    DecodeParquet(decode_parquet::DecodeArgs),
    /// Retrain for a server, which says on standard input how
    #[command(name = RETRAIN_JOB, hide = true)]
    RetrainJob,
}

/// Runs the subcommand of the command line.
///
/// # Errors
/// Returns the error of the subcommand.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Predict(args) => predict::run(args),
        Command::Train(args) => train::run(args),
        Command::Retrain(args) => retrain::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Healthcheck(args) => healthcheck::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Store(args) => store::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Publish(args) => publish_run::run(args),
        Command::Models(args) => models::run(args),
        Command::Completions(args) => completions::completions(args, &mut Cli::command()),
        Command::Man(args) => completions::man(args, Cli::command()),
        Command::DecodeParquet(args) => decode_parquet::run(args),
        Command::RetrainJob => retrain::run_job(),
    }
}
