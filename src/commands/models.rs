//! `roomcast models`: shows the registry and manages its versions.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use roomcast_forecast::train::report::Report;
use roomcast_storage::registry::{Entry, Manifest, Registry, RegistryError};

/// List, show, activate and remove saved models.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  roomcast models list\n  roomcast models activate 20160810T235959Z-3f9a1c07")]
pub struct ModelsArgs {
    /// Where models are: a directory, postgres://…, or s3://bucket/prefix
    #[arg(
        long,
        value_name = "PLACE",
        env = "ROOMCAST_MODELS",
        default_value = "models",
        global = true,
        hide_env_values = true
    )]
    pub models: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the registry.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List all versions, damaged ones included; their checksums are verified on the way
    #[command(after_help = "Example:\n  roomcast models list --json")]
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one version, after all of it was verified
    #[command(after_help = "Example:\n  roomcast models show 20160810T235959Z-3f9a1c07")]
    Show {
        /// The version; without it, the current one
        version: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a version the current one, after all of it was verified; running servers pick it up
    #[command(after_help = "Example:\n  roomcast models activate 20160810T235959Z-3f9a1c07")]
    Activate {
        /// The version
        version: String,
    },
    /// Remove old versions, never the current one, and what crashed saves left behind
    #[command(after_help = "Example:\n  roomcast models prune --keep 5")]
    Prune {
        /// How many versions to keep, those with the latest cutoffs; the current one is kept besides
        #[arg(long, value_name = "N")]
        keep: usize,
    },
}

/// Runs the action and prints the result.
///
/// # Errors
/// Returns [`RegistryError`] when the registry fails. A reader that closes the pipe early is no error.
pub fn run(args: &ModelsArgs) -> anyhow::Result<()> {
    let registry = Registry::open(&args.models);
    match &args.action {
        Action::List { json } => {
            let entries = registry.list()?;
            print(&if *json { pretty(&entries.iter().map(entry_json).collect())? } else { table(&rows(&entries)) })?;
            if entries.is_empty() {
                let _ = writeln!(io::stderr(), "{}", RegistryError::Empty { root: registry.name() });
            }
            // With a damaged `current` the list marks no version as current. This call reports the reason.
            registry.current()?;
            Ok(())
        }
        Action::Show { version, json } => {
            let (_, manifest) = registry.load(version.as_deref())?;
            let current = registry.current()?.as_ref() == Some(&manifest.version);
            let report = registry.report(&manifest.version)?;
            let report: Option<Report> = report.map(|text| serde_json::from_str(&text)).transpose()?;
            if *json {
                let mut value = manifest_json(&manifest, current);
                value["report"] = json!(report);
                return print(&pretty(&value)?);
            }
            let report = report.map_or(String::new(), |report| format!("\nretraining\n{}", report.text()));
            print(&(describe(&manifest, current) + &report))
        }
        Action::Activate { version } => {
            registry.activate(version)?;
            print(&format!("{version} is current\n"))
        }
        Action::Prune { keep } => {
            let removed = registry.prune(*keep)?;
            print(&removed.iter().map(|version| format!("removed {version}\n")).collect::<String>())
        }
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn entry_json(entry: &Entry) -> Value {
    match &entry.manifest {
        Ok(manifest) => manifest_json(manifest, entry.current),
        Err(error) => json!({ "version": entry.version, "current": entry.current, "error": error.to_string() }),
    }
}

/// Returns the manifest as JSON, with a further field that is true when the version is current.
fn manifest_json(manifest: &Manifest, current: bool) -> Value {
    let mut value = json!(manifest);
    value["current"] = json!(current);
    value
}

/// Returns the rows of the list under their header, and no rows without entries. An unusable version has two cells.
fn rows(entries: &[Entry]) -> Vec<Vec<String>> {
    let header = ["version", "state", "trained until", "devices", "own trees", "log loss", "size"];
    let row = |entry: &Entry| match &entry.manifest {
        Ok(m) => vec![
            m.version.clone(),
            if entry.current { "current".into() } else { String::new() },
            m.cutoff.replace('T', " "),
            m.devices.to_string(),
            m.sources.model.to_string(),
            m.scores.map_or("-".into(), |scores| format!("{:.4}", scores.device)),
            size(m.models_bytes),
        ],
        Err(error) => {
            let current = if entry.current { "current, " } else { "" };
            let text = error.to_string();
            // The hint would be the same in every row.
            let what = text.lines().next().unwrap_or_default();
            vec![entry.version.clone(), format!("{current}unusable: {what}")]
        }
    };
    let header = (!entries.is_empty()).then(|| header.map(String::from).to_vec());
    header.into_iter().chain(entries.iter().map(row)).collect()
}

/// Aligns columns: the first three to the left, numbers to the right. A row with fewer cells than the header may extend
/// over its missing columns.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let whole = || rows.iter().filter(|row| row.len() == columns);
    let width = |at: usize| whole().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let cell = |(at, (cell, width)): (usize, (&String, &usize))| match at {
        0..3 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    };
    let line = |row: &Vec<String>| row.iter().zip(&widths).enumerate().map(cell).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_owned() + "\n").collect()
}

fn describe(m: &Manifest, current: bool) -> String {
    let plain = |time: &str| time.replacen('T', " ", 1);
    let state = if current { " (current)" } else { "" };
    let mut lines = vec![
        ("version", format!("{}{state}", m.version)),
        ("saved", m.created_at.clone()),
        ("made by", format!("Roomcast {}, LightGBM {}, schema {}", m.roomcast, m.lightgbm, m.schema_version)),
        ("first reading", plain(&m.first_reading)),
        ("last reading", plain(&m.last_reading)),
        ("trained until", plain(&m.cutoff)),
        ("time zone", m.timezone.clone().unwrap_or_else(|| "none, times as they stand in the readings".into())),
        ("weekend", m.weekend.join(", ")),
        ("readings", m.readings.to_string()),
        ("", format!("sha256 {}", m.data_sha256)),
        ("devices", m.devices.to_string()),
        ("", format!("{} with trees of their own", m.sources.model)),
        ("", format!("{} by the building's layers", m.sources.building)),
        ("", format!("{} by the baseline alone", m.sources.baseline)),
    ];
    if let Some(scores) = &m.scores {
        let gain = |loss: f64| format!("{loss:.4} ({:+.1} %)", 100.0 * (loss / scores.prior - 1.0));
        lines.extend([
            ("log loss", format!("{:.4} of the prior, over {} later hours", scores.prior, scores.rows)),
            ("", format!("{} of the building's layers", gain(scores.building))),
            ("", format!("{} of the devices' own layers", gain(scores.device))),
        ]);
    }
    lines.extend([
        ("training", format!("{:.1} s", m.training_seconds)),
        ("features", m.features.len().to_string()),
        ("size", size(m.models_bytes)),
        ("", format!("sha256 {}", m.models_sha256)),
    ]);
    lines.iter().map(|(name, value)| format!("{name:<13}  {value}\n")).collect()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_long_states_run_over() {
        let rows = [
            vec!["version", "state", "until", "devices"],
            vec!["küche", "current", "2016", "7"],
            vec!["b", "unusable: it is damaged"],
            vec!["c", "", "2016", "10000"],
        ];
        let rows = rows.map(|row| row.into_iter().map(String::from).collect());
        let expected = "version  state    until  devices\n\
                        küche    current  2016         7\n\
                        b        unusable: it is damaged\n\
                        c                 2016     10000\n";
        assert_eq!(table(&rows), expected);
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!([0, 2_345, 99_999, 27_789_479].map(size), ["0.0 kB", "2.3 kB", "100.0 kB", "27.8 MB"]);
    }
}
