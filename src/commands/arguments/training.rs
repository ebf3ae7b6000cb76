//! Location of models, and number of models fitted at the same time.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use roomcast_storage::registry::Registry;

/// The registry of the models.
#[derive(Debug, Clone, Args)]
pub struct RegistryArgs {
    /// Registry of the models: a directory, postgres://…, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", default_value = "models", env = "ROOMCAST_MODELS", hide_env_values = true)]
    pub models: PathBuf,
}

impl RegistryArgs {
    /// Opens the registry, which need not exist yet.
    pub fn open(&self) -> Registry {
        Registry::open(&self.models)
    }
}

/// The number of parallel fits.
#[derive(Debug, Clone, Args)]
pub struct JobsArgs {
    /// Number of models that are fitted in parallel; without it, one per processor
    #[arg(long, value_name = "N", global = true)]
    pub jobs: Option<usize>,
}

impl JobsArgs {
    /// Limits the threads of this process.
    ///
    /// # Errors
    /// Returns an error when the process has started its threads already.
    pub fn apply(&self) -> anyhow::Result<()> {
        let Some(jobs) = self.jobs else { return Ok(()) };
        rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context("cannot set the number of jobs")
    }
}
