//! The format of what a command writes, and its place.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use roomcast_forecast::files;

/// The output of a command that has the formats `F`.
#[derive(Debug, Args)]
pub struct OutputArgs<F: ValueEnum + Default + Send + Sync + 'static> {
    /// Format of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: F,
    /// File to write; - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

impl<F: ValueEnum + Default + Send + Sync + 'static> OutputArgs<F> {
    /// Checks that the file can be written, before anything is computed.
    ///
    /// # Errors
    /// Returns the errors of [`files::check`].
    pub fn check(&self) -> anyhow::Result<()> {
        files::check(&self.output)
    }

    /// Writes the output.
    ///
    /// # Errors
    /// Returns the errors of [`files::write`].
    pub fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        files::write(&self.output, bytes)
    }
}
