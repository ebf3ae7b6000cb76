//! Readings: described, simulated, and kept in stores.

mod decode_parquet;
mod export;
mod import;
mod inspect;
mod rooms;
mod simulate;
mod store;
mod utilisation;

use clap::Subcommand;
use roomcast_forecast::readings::apart;

/// The commands of this group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Describe readings: span, devices, silences, rows that cannot be read
    #[command(after_help = "Example:\n  roomcast inspect data/device_activations.csv")]
    Inspect(inspect::InspectArgs),
    /// Count what each room was used for over weeks: share of working hours, peak, trend
    #[command(after_help = "Example:\n  roomcast utilisation --input data/device_activations.csv --weeks 6")]
    Utilisation(utilisation::UtilisationArgs),
    /// Import readings from files into a store
    #[command(after_help = "Example:\n  roomcast import --store readings.db data/device_activations.csv")]
    Import(import::ImportArgs),
    /// Export the readings of a store to Parquet files
    #[command(after_help = "Example:\n  roomcast export --store readings.db --output readings --buckets 16")]
    Export(export::ExportArgs),
    /// Count, back up, pack, delete and repair the readings of a store
    #[command(after_help = "Example:\n  roomcast store pack --store readings.db --days 7")]
    Store(store::StoreCommand),
    /// Simulate the readings of a building
    #[command(
        after_help = "Example:\n  roomcast simulate --devices 100 --from 2026-01-01 --to 2026-03-01 --output readings.parquet"
    )]
    Simulate(simulate::SimulateArgs),
    /// Read a Parquet file for another Roomcast process
    #[command(name = apart::SUBCOMMAND, hide = true)]
    DecodeParquet(decode_parquet::DecodeArgs),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the error of the command.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Command::Inspect(args) => inspect::run(args),
            Command::Utilisation(args) => utilisation::run(args),
            Command::Import(args) => import::run(args),
            Command::Export(args) => export::run(args),
            Command::Store(args) => store::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::DecodeParquet(args) => decode_parquet::run(args),
        }
    }
}
