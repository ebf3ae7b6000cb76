//! The `roomcast` command: runs a subcommand and reports its error.

mod commands;
mod logs;
mod paint;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use roomcast_forecast::readings::apart;

use crate::commands::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(cli.verbose, cli.log_format);
    apart::start();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<clap::Error>() {
                usage.exit();
            }
            let _ = writeln!(io::stderr(), "{}", paint::error(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
