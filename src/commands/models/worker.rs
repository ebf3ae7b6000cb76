//! `roomcast worker`: runs one step of training that is spread over many processes.

use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::commands::arguments::{ClockArgs, JobsArgs, values};
use roomcast_forecast::train::shard::site::ShardSite;
use roomcast_forecast::train::shard::steps;

/// Run one step of a training that is spread over many processes.
///
/// A step reads a table from standard input and writes one to standard output. Tables are Arrow IPC streams. The last row of an
/// input has no device. Its second column holds the number of rows before it, which shows a stream that was cut off.
/// deploy/spark runs the steps on Apache Spark.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Step to run
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// The steps in their order.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Turn the readings of all devices (device, hour, seconds, offs) into the site without layers
    ///
    /// Of devices that never say off, one second of each hour with motion is enough.
    #[command(
        after_help = "Example:\n  roomcast worker building --until '2016-08-25 00:00:00' < hours.arrow > site.arrow"
    )]
    Building {
        /// End of the readings to learn from, local time; the input must have none at or after it
        #[arg(long, value_name = "TIMESTAMP")]
        until: Option<String>,
        #[command(flatten)]
        clock: ClockArgs,
    },
    /// Turn the readings of some devices (device, hour, seconds, offs) into the rows on which the site's layers are fitted
    #[command(after_help = "Example:\n  roomcast worker sample --site site.bin < readings.arrow > sample.arrow")]
    Sample {
        /// Output of the step building
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
    },
    /// Turn these rows of all devices (device, rows, sample) into the site with its layers
    #[command(after_help = "Example:\n  roomcast worker site --site site.bin < sample.arrow > fitted.arrow")]
    Site {
        /// Output of the step building
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
    },
    /// Turn the readings of some devices (device, hour, seconds, offs) into their models, scores and reasons
    #[command(after_help = "Example:\n  roomcast worker devices --site fitted.bin < readings.arrow > models.arrow")]
    Devices {
        /// Output of the step site
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
    },
}

/// Runs one step.
///
/// # Errors
/// Returns an error for an input that is cut off or invalid for the step, or a site that does not fit. The output then
/// has no end row.
pub fn run(args: &WorkerArgs) -> anyhow::Result<()> {
    args.jobs.apply()?;
    let input = || BufReader::with_capacity(1 << 20, io::stdin().lock());
    let output = || BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match &args.step {
        Step::Building { until, clock } => {
            let calendar = clock.calendar()?;
            let until = values::time("--until", until.as_deref(), &calendar)?;
            steps::building(input(), output(), &calendar, until)?;
        }
        Step::Sample { site } => steps::sample(input(), output(), &read(site)?)?,
        Step::Site { site } => steps::layers(input(), output(), &read(site)?)?,
        Step::Devices { site } => steps::devices(input(), output(), &read(site)?)?,
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<ShardSite> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ShardSite::decode(&bytes).with_context(|| format!("{}", path.display()))
}
