//! `roomcast models`: shows the registry and manages its versions.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::commands::arguments::RegistryArgs;
use crate::commands::output::{print, print_json, remark};
use roomcast_forecast::table::table;
use roomcast_forecast::train::report::Report;
use roomcast_storage::registry::{Entry, Manifest, RegistryError};

/// List, show, activate and prune saved models.
#[derive(Debug, Args)]
#[command(
    mut_arg("models", |models| models.global(true)),
    after_help = "Example:\n  roomcast models list\n  roomcast models activate 20160810T235959Z-3f9a1c07"
)]
pub struct ModelsArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Action to run
    #[command(subcommand)]
    action: Action,
}

/// The actions on the registry.
#[derive(Debug, Subcommand)]
enum Action {
    /// List all versions, damaged ones included, and verify their checksums
    #[command(after_help = "Example:\n  roomcast models list --json")]
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Verify one version and show it
    #[command(after_help = "Example:\n  roomcast models show 20160810T235959Z-3f9a1c07")]
    Show {
        /// Version to show; without it, the current one
        version: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Verify a version and make it the current one; running servers load it
    #[command(after_help = "Example:\n  roomcast models activate 20160810T235959Z-3f9a1c07")]
    Activate {
        /// Version to activate
        version: String,
    },
    /// Remove old versions, except the current one, and what crashed saves left behind
    #[command(after_help = "Example:\n  roomcast models prune --keep 5")]
    Prune {
        /// Number of versions to keep, those with the latest cutoffs; the current version is also kept
        #[arg(long, value_name = "N")]
        keep: usize,
    },
}

/// Runs the action and prints the result.
///
/// # Errors
/// Returns [`RegistryError`] when the registry fails.
pub fn run(args: &ModelsArgs) -> anyhow::Result<()> {
    let registry = args.registry.open();
    match &args.action {
        Action::List { json } => {
            let entries = registry.list()?;
            if *json {
                print_json(&entries.iter().map(entry_json).collect::<Vec<_>>())?;
            } else {
                print(list(&entries))?;
            }
            if entries.is_empty() {
                remark(&RegistryError::Empty { root: registry.name() }.to_string());
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
                return print_json(&value);
            }
            let report = report.map_or(String::new(), |report| format!("\nretraining\n{}", report.text()));
            print(describe(&manifest, current) + &report)
        }
        Action::Activate { version } => {
            registry.activate(version)?;
            print(format!("{version} is current\n"))
        }
        Action::Prune { keep } => {
            let removed = registry.prune(*keep)?;
            print(removed.iter().map(|version| format!("removed {version}\n")).collect::<String>())
        }
    }
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

/// Returns the list as a table, and nothing without entries. An unusable version has two cells.
fn list(entries: &[Entry]) -> String {
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
    let rows: Vec<_> = entries.iter().map(row).collect();
    if rows.is_empty() { String::new() } else { table(&header, &rows, 3) }
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
        ("rooms", m.rooms_sha256.as_ref().map_or("each device is one".into(), |sum| format!("sha256 {sum}"))),
        ("devices", m.devices.to_string()),
        ("", format!("{} with trees of their own", m.sources.model)),
        ("", format!("{} by the site's layers", m.sources.building)),
        ("", format!("{} by the baseline alone", m.sources.baseline)),
    ];
    if let Some(scores) = &m.scores {
        let gain = |loss: f64| format!("{loss:.4} ({:+.1} %)", 100.0 * (loss / scores.prior - 1.0));
        lines.extend([
            ("log loss", format!("{:.4} of the prior, over {} later hours", scores.prior, scores.rows)),
            ("", format!("{} of the site's layers", gain(scores.building))),
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
    fn sizes_are_readable() {
        assert_eq!([0, 2_345, 99_999, 27_789_479].map(size), ["0.0 kB", "2.3 kB", "100.0 kB", "27.8 MB"]);
    }
}
