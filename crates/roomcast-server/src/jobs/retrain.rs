//! The scheduled retraining: runs `roomcast retrain` as a child process of the server, at night and with low priority.
//!
//! A separate process keeps the costs of training (memory, a crash) away from the requests, and can run at a low
//! priority ([`with_low_priority`]). The models it saves are loaded like any other version ([`super::activations`]).
//! The registry lets one process retrain at a time; servers that share a store but no directory need the lease of
//! [`JOBS`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::live::{JOBS, RENEW_INTERVAL};
use crate::state::settings::Retraining;
use crate::state::site::Site;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::inputs::Inputs;

/// Interval at which the child is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Number of lines of a failed child's standard error that are shown.
const MAX_ERROR_LINES: usize = 3;

/// The subcommand of the child.
pub const SUBCOMMAND: &str = "retrain-job";

/// The job of a child, which reads it as JSON from standard input. Every user of the machine can read arguments, and
/// the address of a store or a registry may contain a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Readings and site.
    pub inputs: Inputs,
    /// The directory or address of the models.
    pub models: PathBuf,
    /// Age from which models are renewed.
    pub max_age: Duration,
    /// Versions to keep.
    pub keep: u32,
}

/// Retrains once, and records the outcome.
pub fn run(site: &Site, plan: &Retraining, priority: Priority) {
    let watch = Instant::now();
    let metrics = &site.metrics;
    match attempt(site, plan, priority) {
        Ok(None) => tracing::info!("no retraining: another server retrains, or this one stops"),
        Ok(Some(report)) => {
            let count = |name: &str| report[name].as_u64().unwrap_or(0);
            let (promoted, fell_back, kept) = (count("promoted"), count("fell_back"), count("kept"));
            let version = report["version"].as_str().unwrap_or("none");
            tracing::info!(promoted, fell_back, kept, version, seconds = watch.elapsed().as_secs_f64(), "retrained");
            metrics.retrainings.add(1);
            metrics.retrained_at.set(Calendar::utc_now().max(0) as u64);
            metrics.retrained_promoted.set(promoted);
            metrics.retrained_kept.set(kept);
            site.serving.set_trouble(|trouble| trouble.retraining = None);
        }
        Err(error) => {
            let error = format!("{error:#}");
            metrics.retraining_failures.add(1);
            tracing::error!(error, "retraining failed: the models in use stay in use");
            site.serving.set_trouble(|trouble| trouble.retraining = Some(format!("retraining failed: {error}")));
        }
    }
}

/// Runs one retraining to its end. Returns its report; `None` when another server or process retrains, or this one
/// stops.
fn attempt(site: &Site, plan: &Retraining, priority: Priority) -> anyhow::Result<Option<Value>> {
    let lease = site.live.as_ref().map(|live| live.lease(JOBS));
    let renew = || lease.as_ref().map_or(Ok(true), |lease| lease()).context("cannot take the lease");
    if !renew()? {
        return Ok(None);
    }
    // A file, because a pipe would have to be emptied meanwhile.
    let mut output = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut child = spawn(site, plan, priority, &output)?;
    let last_lines = child.stderr.take().map(forward_stderr);
    let mut renewed = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for the retraining")? {
            break status;
        }
        if site.serving.is_draining() {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        if renewed.elapsed() >= RENEW_INTERVAL {
            renewed = Instant::now();
            if let Err(error) = renew() {
                tracing::warn!(error = format!("{error:#}"), "the lease could not be renewed");
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    };
    if !status.success() {
        let last_lines = last_lines.and_then(|last_lines| last_lines.join().ok()).unwrap_or_default();
        bail!("roomcast retrain ended with {status}: {}", Vec::from(last_lines).join("\n"));
    }
    let mut text = String::new();
    output.rewind().and_then(|()| output.read_to_string(&mut text)).context("cannot read the report")?;
    let report: Value = serde_json::from_str(&text).context("cannot read the report")?;
    // A report without figures means that another process held the registry.
    Ok(report["promoted"].is_u64().then_some(report))
}

/// Forwards the child's standard error line by line, and returns its last lines.
fn forward_stderr(child: ChildStderr) -> JoinHandle<VecDeque<String>> {
    std::thread::spawn(move || {
        let mut last = VecDeque::new();
        let (mut child, mut bytes) = (BufReader::new(child), Vec::new());
        while child.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            let _ = writeln!(std::io::stderr(), "{line}");
            last.push_back(line);
            if last.len() > MAX_ERROR_LINES {
                last.pop_front();
            }
        }
        last
    })
}

/// The priority of a retraining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// That of work which can wait. On Linux it runs in the idle class, whose tasks yield at once to any other that
    /// wakes; elsewhere with nice.
    Idle,
    /// That of work somebody waits for, because there are no models: below the server's own, by nice.
    Nice,
}

/// Returns a command that runs a program with low priority. `sh` becomes the program, so that it can be waited for and
/// killed.
pub fn with_low_priority(program: &Path, priority: Priority) -> Command {
    let lower = match priority {
        Priority::Idle => "{ chrt -i -p 0 $$ || renice -n 10 -p $$; } >/dev/null 2>&1; exec \"$@\"",
        Priority::Nice => "renice -n 10 -p $$ >/dev/null 2>&1; exec \"$@\"",
    };
    let mut command = Command::new("sh");
    command.args(["-c", lower, "sh"]).arg(program);
    command
}

/// Starts the child; without a shell, at the server's own priority.
fn spawn(site: &Site, plan: &Retraining, priority: Priority, output: &File) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("cannot find the program's own file")?;
    let job = serde_json::to_vec(&Job::new(site, plan)).context("cannot send the settings to the retraining")?;
    let start = |mut command: Command| -> anyhow::Result<std::io::Result<Child>> {
        command.arg(SUBCOMMAND);
        // The child gets no tokens, because it needs none.
        command.env_remove("PRIVATE_TOKEN").env_remove("ROOMCAST_TOKENS");
        command.env("POLARS_MAX_THREADS", "1");
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.stdout(output.try_clone().context("cannot share a file")?);
        Ok(command.spawn())
    };
    let child = match start(with_low_priority(&own, priority))? {
        Err(error) if error.kind() == ErrorKind::NotFound => start(Command::new(&own))?,
        started => started,
    };
    let mut child = child.with_context(|| format!("cannot start {}", own.display()))?;
    if let Some(mut input) = child.stdin.take() {
        // A child that ended early reports the reason itself.
        let _ = input.write_all(&job);
    }
    Ok(child)
}

impl Job {
    fn new(site: &Site, plan: &Retraining) -> Job {
        let settings = &site.settings;
        let mut inputs = settings.input.clone();
        inputs.paths.extend(settings.store.iter().map(PathBuf::from));
        Job { inputs, models: settings.models.clone(), max_age: plan.max_age, keep: plan.keep }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_forecast::readings::Layout;
    use roomcast_storage::inputs::SiteConfig;

    #[test]
    fn a_job_comes_back_from_its_bytes_with_every_setting_of_the_site() {
        let site = SiteConfig {
            timezone: Some(chrono_tz::Europe::Berlin),
            country: Some("DE".into()),
            region: Some("BY".into()),
            holidays: Some("off, and on.ics".into()),
            closed: vec!["2016-08-15".parse().unwrap()],
            open: vec!["2016-11-01".parse().unwrap()],
            weekend: vec![chrono::Weekday::Fri, chrono::Weekday::Sat],
            max_presence: Some(9),
            skip_bad_rows: true,
            layout: Layout { occupied_above: Some(400.0), ..Layout::FOUND },
            rooms: Some("rooms.csv".into()),
        };
        let paths = vec!["a,b.csv".into(), "postgres://user:secret@localhost/".into()];
        let inputs = Inputs { paths, site };
        let job = Job { inputs, models: "models".into(), max_age: Duration::from_secs(90 * 60), keep: 3 };
        assert_eq!(serde_json::from_slice::<Job>(&serde_json::to_vec(&job).unwrap()).unwrap(), job);
    }
}
