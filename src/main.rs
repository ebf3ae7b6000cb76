//! The `roomcast` command: runs a subcommand and reports its error.

use std::process::ExitCode;

use clap::Parser;
use roomcast::commands::{self, Cli};
use roomcast::logs;
use roomcast::readings::apart;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(cli.verbose, cli.log_format);
    apart::start();
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
