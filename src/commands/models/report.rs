//! The outcome of a judgement, as `retrain` and `publish` print it.

use serde_json::{Value, json};

use roomcast_forecast::train::report::Report;

/// Largest number of devices that are listed with a reason each.
const MAX_LISTED: usize = 20;

/// The version that was saved and whether it was activated.
pub type Saved = (String, bool);

/// Returns the report and the version as JSON.
pub fn json(report: &Report, saved: Option<&Saved>) -> Value {
    let mut value = json!(report);
    value["promoted"] = json!(report.promoted());
    value["fell_back"] = json!(report.fell_back());
    value["kept"] = json!(report.kept());
    value["version"] = json!(saved.map(|(version, _)| version));
    value["activated"] = json!(saved.is_some_and(|(_, activated)| *activated));
    value
}

/// Returns the line on the version.
pub fn version(saved: Option<&Saved>, is_dry: bool, registry: &str) -> String {
    let text = match saved {
        None if is_dry => "no new one: a dry run".into(),
        None => "no new one".into(),
        Some((version, true)) => format!("{version} in {registry} (current)"),
        Some((version, false)) => format!("{version}, not activated: another version was activated meanwhile"),
    };
    format!("{:<12} {text}\n", "version")
}

/// Returns one line for each of the first devices, and the number of the others.
pub fn devices(lines: &[String]) -> String {
    let mut text: String = lines.iter().take(MAX_LISTED).map(|line| format!("  {line}\n")).collect();
    if lines.len() > MAX_LISTED {
        text += &format!("  … and {} more\n", lines.len() - MAX_LISTED);
    }
    text
}
