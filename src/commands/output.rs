//! Writes forecasts as CSV and JSON files, beside the target and then renamed.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::json;

use crate::calendar::{Calendar, Instant};
use crate::forecast::DeviceForecast;

/// Returns the CSV of the contract, ordered by time, then device.
pub fn csv(forecasts: &[DeviceForecast], calendar: &Calendar, probabilities: bool) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["time", "device", "activation_predicted"];
    if probabilities {
        header.push("probability");
    }
    // Writing to memory cannot fail. An error here would show as a missing line in the tests.
    let _ = out.write_record(&header);
    let hours = forecasts.first().map_or(0, |f| f.hours.len());
    for at in 0..hours {
        for forecast in forecasts {
            let hour = &forecast.hours[at];
            let time = calendar.format(calendar.start(hour.hour));
            let state = if hour.occupied { "1" } else { "0" };
            let probability = format!("{:.6}", hour.probability);
            let fields = [time.as_str(), &forecast.device, state, &probability];
            let _ = out.write_record(&fields[..header.len()]);
        }
    }
    out.into_inner().unwrap_or_default()
}

/// Returns one JSON object: the time of the request, and each device's status, source and 24 hours.
///
/// # Errors
/// Returns no error in practice: every value can be written as JSON.
pub fn json(
    forecasts: &[DeviceForecast],
    calendar: &Calendar,
    origin: Instant,
    data_until: Instant,
    stale: bool,
) -> anyhow::Result<Vec<u8>> {
    let devices: Vec<_> = forecasts
        .iter()
        .map(|forecast| {
            let hours: Vec<_> = forecast
                .hours
                .iter()
                .map(|hour| {
                    json!({
                        "start": calendar.rfc3339(calendar.start(hour.hour)),
                        "probability": hour.probability,
                        "activation_predicted": u8::from(hour.occupied),
                    })
                })
                .collect();
            json!({
                "device": forecast.device,
                "status": forecast.status,
                "source": forecast.source,
                "hours": hours,
            })
        })
        .collect();
    let mut bytes = serde_json::to_vec_pretty(&json!({
        "origin": calendar.rfc3339(origin),
        "data_until": calendar.rfc3339(data_until),
        "stale": stale,
        "devices": devices,
    }))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Checks that a forecast can be written, so that the command fails before minutes of training, not after.
///
/// # Errors
/// Returns an error when the target is a directory, or its directory is missing.
pub fn check(target: &Path) -> anyhow::Result<()> {
    if target == Path::new("-") {
        return Ok(());
    }
    if target.is_dir() {
        bail!("cannot write {}: it is a directory", target.display());
    }
    let parent = parent(target);
    if !parent.is_dir() {
        bail!("cannot write {}: there is no directory {}", target.display(), parent.display());
    }
    Ok(())
}

/// Writes `bytes` to `target` by a temporary file beside it, which is synced and renamed. Writes to standard output for
/// `-`. A reader of it that has gone away is no error.
///
/// # Errors
/// Returns an error when the file cannot be written. An earlier file is untouched then.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if target == Path::new("-") {
        return match std::io::stdout().lock().write_all(bytes).and_then(|()| std::io::stdout().flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write to standard output"),
        };
    }
    if let Ok(meta) = target.metadata()
        && !meta.is_file()
    {
        // A device or pipe cannot be replaced by renaming.
        return std::fs::write(target, bytes).with_context(|| format!("cannot write {}", target.display()));
    }
    let save = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".roomcast-").tempfile_in(parent(target))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private. A forecast is as readable as the file it replaces, or as a usual file.
            let mode = target.metadata().map_or(0o644, |meta| meta.permissions().mode() & 0o777);
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        file.persist(target)?;
        Ok(())
    };
    save().with_context(|| format!("cannot write {}", target.display()))
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
