//! `roomcast decode-parquet`: reads a Parquet file or a workbook for another Roomcast process, which a damaged file then cannot harm.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use anyhow::Context;
use chrono_tz::Tz;
use clap::Args;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{Layout, apart, sheet};

/// Arguments of `roomcast decode-parquet`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Name of the file in messages; the file is read from standard input
    #[arg(long)]
    name: String,
    /// IANA time zone of the site
    #[arg(long)]
    zone: Option<Tz>,
    /// Layout of the file, as JSON
    #[arg(long, value_parser = layout, default_value = "{}")]
    layout: Layout,
    /// The file is a workbook, and its first sheet is written as CSV
    #[arg(long)]
    sheet: bool,
}

/// Reads standard input and writes its rows to standard output.
///
/// # Errors
/// Returns an error when the rows cannot be written. Faults of the file are written to standard output too.
pub fn run(args: &DecodeArgs) -> anyhow::Result<()> {
    let file = io::stdin().as_fd().try_clone_to_owned().context("cannot open standard input")?;
    if args.sheet {
        let is_read = sheet::decode(File::from(file), io::stdout().lock(), io::stderr().lock());
        return match is_read.context("cannot hand over the sheet")? {
            true => Ok(()),
            false => std::process::exit(1),
        };
    }
    apart::decode(File::from(file), &args.name, &args.layout, &Calendar::new(args.zone), io::stdout().lock())
        .context("cannot hand over the rows")
}

fn layout(text: &str) -> Result<Layout, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
