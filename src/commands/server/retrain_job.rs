//! `roomcast retrain-job`: retrains for a server.

use anyhow::Context;
use roomcast_server::jobs::retrain::Job;

use crate::commands::arguments::{JobsArgs, RegistryArgs};
use crate::commands::models::retrain::{JUDGE_DAYS, RetrainOptions, retrain};

/// Runs the job that a server sends on standard input, and prints the report as JSON.
///
/// # Errors
/// Returns the errors of [`retrain`], and an error for an input that is not a [`Job`].
pub fn run() -> anyhow::Result<()> {
    let job: Job =
        serde_json::from_reader(std::io::stdin().lock()).context("expected a retraining job on standard input")?;
    let options = RetrainOptions {
        registry: RegistryArgs { models: job.models },
        until: None,
        max_age: job.max_age,
        judge_days: JUDGE_DAYS,
        dry_run: false,
        keep: Some(job.keep),
        jobs: JobsArgs { jobs: Some(1) },
        json: true,
    };
    retrain(&job.inputs, &options)
}
