//! `roomcast worker`: runs one step of training that is spread over many processes.

use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::site::ClockArgs;
use roomcast_forecast::train::shard::site::Site;
use roomcast_forecast::train::shard::steps;

/// One step of training that is spread over many processes.
///
/// A step reads a table from standard input and writes one to standard output. Tables are Arrow IPC streams. The last row of an
/// input has no device; its second column holds the number of rows before it, so that a stream that was cut off is not taken
/// for a whole one. deploy/spark runs the steps on Apache Spark.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Which part.
    #[command(subcommand)]
    pub step: Step,
    /// Fits at a time; without it, one per processor
    #[arg(long, value_name = "N", global = true)]
    pub jobs: Option<usize>,
}

/// The steps in their order.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// From the hours with motion of all devices (device, hour) to the site, without layers
    #[command(
        after_help = "Example:\n  roomcast worker building --until '2016-08-25 00:00:00' < hours.arrow > site.arrow"
    )]
    Building {
        /// Learn only from readings before this instant, local time; later ones must not be there
        #[arg(long, value_name = "TIMESTAMP")]
        until: Option<String>,
        /// Clock and calendar.
        #[command(flatten)]
        clock: ClockArgs,
    },
    /// From the readings of some devices (device, hour, seconds) to the rows that the site's layers are fitted on
    #[command(after_help = "Example:\n  roomcast worker sample --site site.bin < readings.arrow > sample.arrow")]
    Sample {
        /// What the step building gave
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
    },
    /// From these rows of all devices (device, rows, sample) to the site with its layers
    #[command(after_help = "Example:\n  roomcast worker site --site site.bin < sample.arrow > fitted.arrow")]
    Site {
        /// What the step building gave
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
    },
    /// From the readings of some devices (device, hour, seconds) to their models, scores and reasons
    #[command(after_help = "Example:\n  roomcast worker devices --site fitted.bin < readings.arrow > models.arrow")]
    Devices {
        /// What the step site gave
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
    },
}

/// Runs one step.
///
/// # Errors
/// Returns an error for an input that is cut off or not what the step reads, or a site that does not fit. The output
/// then has no end row.
pub fn run(args: &WorkerArgs) -> anyhow::Result<()> {
    if let Some(jobs) = args.jobs {
        // The call fails only when something in this process has already used the pool.
        rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context("cannot set the number of jobs")?;
    }
    let input = || BufReader::with_capacity(1 << 20, io::stdin().lock());
    let output = || BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match &args.step {
        Step::Building { until, clock } => {
            let calendar = clock.calendar()?;
            let until = until.as_deref().map(|text| calendar.parse(text)).transpose().context("cannot read --until")?;
            steps::building(input(), output(), &calendar, until)?;
        }
        Step::Sample { site } => steps::sample(input(), output(), &read(site)?)?,
        Step::Site { site } => steps::layers(input(), output(), &read(site)?)?,
        Step::Devices { site } => steps::devices(input(), output(), &read(site)?)?,
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Site> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Site::decode(&bytes).with_context(|| format!("{}", path.display()))
}
