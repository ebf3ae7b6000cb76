//! `roomcast import`: imports readings from files into a store.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::commands::arguments::{FileArgs, OpenStore, StoreArgs};
use crate::commands::output::{print, print_json};
use crate::commands::progress;
use roomcast_forecast::calendar::EARLIEST_EVENT;
use roomcast_forecast::readings::{self, FileRow, Layout};
use roomcast_storage::inputs;
use roomcast_storage::readings::{Batch, Event, Kind, Refused, Verdict};

/// Arguments of `roomcast import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    at: StoreArgs,
    /// Readings: files (CSV, Excel, Parquet, also packed), directories, a Home Assistant database, or - for standard input
    #[arg(required_unless_present = "input", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Readings, as other commands name them (repeatable)
    #[arg(long, short, value_name = "FILE", value_delimiter = ',', conflicts_with = "files")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    layout: FileArgs,
    /// Largest number of rows in a transaction
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// The counts of the rows of a file by their destination. Every row is in one count only.
#[derive(Debug, Default, Serialize)]
struct Imported {
    file: String,
    rows: u64,
    stored: u64,
    duplicates: u64,
    no_motion: u64,
    refused: u64,
    /// The first refused row and what to do about it.
    #[serde(skip)]
    refusal: Option<String>,
    /// Number of rows that are no longer in quarantine.
    #[serde(skip)]
    dropped: u64,
}

/// Imports files, and prints the counts of rows by destination. Invalid rows go into quarantine. Rows
/// imported before an error stay. A second import of the same files continues where the first ended.
///
/// # Errors
/// Returns an error when a file cannot be read as a whole, or the store refuses a batch.
pub fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let opened = args.at.create()?;
    let layout = args.layout.layout();
    let bar = progress::bar("rows read", None);
    let import = |path: &PathBuf| import(&opened, path, &layout, args.batch as usize, &bar);
    let imported = readings::files(if args.files.is_empty() { &args.input } else { &args.files })?
        .iter()
        .map(import)
        .collect::<anyhow::Result<Vec<_>>>()?;
    bar.finish_and_clear();
    if args.json {
        print_json(&imported)?
    } else {
        print(describe(&imported))?
    }
    let refused: u64 = imported.iter().map(|file| file.refused).sum();
    let taken: u64 = imported.iter().map(|file| file.rows - file.refused).sum();
    ensure!(taken > 0 || refused == 0, "nothing was stored: every row was refused ({refused} of {refused})");
    Ok(())
}

fn import(
    opened: &OpenStore,
    path: &Path,
    layout: &Layout,
    size: usize,
    bar: &ProgressBar,
) -> anyhow::Result<Imported> {
    let mut imported = Imported { file: path.display().to_string(), ..Imported::default() };
    let mut batch = Batch::default();
    inputs::rows(path, layout, &opened.calendar, |row| {
        match row {
            FileRow::Event { device, time, motion }
                if !(EARLIEST_EVENT..=opened.calendar.latest_event()).contains(&time) =>
            {
                let time = opened.calendar.rfc3339(time);
                let payload =
                    serde_json::json!({ "time": time, "device": device, "device_activated": u8::from(motion) });
                let payload = payload.to_string();
                let reason = format!(
                    "{}: expected a year from 2001 on and no more than a day ahead, found {time}",
                    path.display()
                );
                imported.refusal.get_or_insert_with(|| reason.clone());
                batch.refused.push(Refused { source: "file".into(), payload, reason });
            }
            FileRow::Event { device, time, motion } => {
                let kind = if motion { Kind::Motion } else { Kind::Off };
                batch.events.push(Event { device: device.to_owned(), time, kind, id: None });
            }
            FileRow::Refused { refusal, payload } => {
                let hint = refusal.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
                imported.refusal.get_or_insert_with(|| format!("{refusal}{hint}"));
                batch.refused.push(Refused { source: "file".into(), payload, reason: refusal.to_string() });
            }
        }
        let rows = batch.events.len() + batch.refused.len();
        if rows >= size {
            bar.inc(rows as u64);
            store(opened, &mut batch, &mut imported)?;
        }
        Ok(())
    })?;
    store(opened, &mut batch, &mut imported)?;
    if imported.refused > 0 {
        tracing::warn!(
            file = imported.file,
            refused = imported.refused,
            "invalid rows were put into quarantine; roomcast store quarantine list shows them"
        );
    }
    if imported.dropped > 0 {
        tracing::warn!(dropped = imported.dropped, "the quarantine is full: its oldest rows were dropped");
    }
    Ok(imported)
}

/// Stores a batch, and leaves an empty one in its place.
fn store(opened: &OpenStore, batch: &mut Batch, imported: &mut Imported) -> anyhow::Result<()> {
    let receipt = opened.wait(opened.store.ingest(batch)).context("cannot import")?;
    for verdict in receipt.verdicts {
        *match verdict {
            Verdict::Stored => &mut imported.stored,
            Verdict::Duplicate => &mut imported.duplicates,
            Verdict::NoMotion => &mut imported.no_motion,
        } += 1;
    }
    imported.refused += batch.refused.len() as u64;
    imported.dropped += receipt.dropped;
    imported.rows += (batch.events.len() + batch.refused.len()) as u64;
    batch.events.clear();
    batch.refused.clear();
    Ok(())
}

fn describe(imported: &[Imported]) -> String {
    let line = |file: &Imported| {
        let Imported { file, rows, stored, duplicates, no_motion, refused, refusal, .. } = file;
        let refusal = refusal.as_ref().map(|refusal| format!("  the first of them: {refusal}\n")).unwrap_or_default();
        format!(
            "{file}: {rows} rows, {stored} stored, {duplicates} duplicates, {no_motion} without motion, {refused} in quarantine\n{refusal}"
        )
    };
    imported.iter().map(line).collect()
}
