//! The command line. A command is one file of a group: its arguments, one call of a library, its output.
//!
//! A new command becomes a variant in the `mod.rs` of its group: `forecast`, `models`, `readings`, `server` or `shell`.
//! Shared parts are in `arguments`, `output` and `progress`.

mod arguments;
mod forecast;
mod models;
mod output;
mod progress;
mod readings;
#[cfg(feature = "server")]
mod server;
mod shell;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::logs::LogFormat;

/// Hourly room occupancy forecasts from motion sensors.
#[derive(Debug, Parser)]
#[command(name = "roomcast", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Command to run
    #[command(subcommand)]
    command: Command,
    /// Write more log lines to standard error (repeatable); RUST_LOG takes precedence
    #[arg(long, short, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Format of the log lines on standard error
    #[arg(long, value_enum, default_value_t, global = true, env = "ROOMCAST_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// The commands by group.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Forecast(Box<forecast::Command>),
    #[command(flatten)]
    Models(models::Command),
    #[command(flatten)]
    Readings(readings::Command),
    #[cfg(feature = "server")]
    #[command(flatten)]
    Server(server::Command),
    #[command(flatten)]
    Shell(shell::Command),
}

/// Returns the error for arguments that clap cannot judge alone. It ends the program as clap's own errors do.
fn wrong_usage(command: &str, kind: ErrorKind, message: &str) -> anyhow::Error {
    let mut cli = Cli::command();
    cli.build();
    let error = match cli.find_subcommand_mut(command) {
        Some(command) => command.error(kind, message),
        None => clap::Error::raw(kind, message),
    };
    error.into()
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the error of the command.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            Command::Forecast(command) => command.run(),
            Command::Models(command) => command.run(),
            Command::Readings(command) => command.run(),
            #[cfg(feature = "server")]
            Command::Server(command) => command.run(),
            Command::Shell(command) => command.run(Cli::command()),
        }
    }
}
