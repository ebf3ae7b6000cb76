//! The scheduled retraining: `roomcast retrain` as a child process of the server, by night and out of the way.
//!
//! A process of its own keeps what training takes (memory, a crash) away from the requests, and can be given a
//! low priority as a whole ([`gently`]). What it saves is picked up like any other version ([`super::load::watch`]). The registry
//! lets one process retrain at a time; servers that share a store but no directory need a [`Lease`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::{Context, bail};
use serde_json::Value;

use super::lease::{Lease, RENEW};
use super::site::{Phase, Site};
use crate::calendar::Calendar;
use crate::retrain::schedule::Schedule;

/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Lines of a failed child's standard error that are shown.
const SHOWN: usize = 3;

/// When and how to retrain.
#[derive(Debug, Clone)]
pub struct Retraining {
    /// When, beside the first time that there is enough to learn from.
    pub schedule: Option<Schedule>,
    /// At most this much later, by chance, so that servers do not all begin at once.
    pub jitter: Duration,
    /// Age from which models are renewed.
    pub max_age: Duration,
    /// Versions to keep.
    pub keep: u32,
    /// For servers that share a store but no registry.
    pub lease: Option<Lease>,
}

/// Retrains once, and takes note of what came of it.
pub fn run(site: &Site, plan: &Retraining) {
    let watch = Stopwatch::now();
    let metrics = &site.metrics;
    match attempt(site, plan) {
        Ok(None) => tracing::info!("no retraining: another server does it, or this one stops"),
        Ok(Some(report)) => {
            let count = |name: &str| report[name].as_u64().unwrap_or(0);
            let (promoted, fell_back, kept) = (count("promoted"), count("fell_back"), count("kept"));
            let version = report["version"].as_str().unwrap_or("none");
            tracing::info!(promoted, fell_back, kept, version, seconds = watch.elapsed().as_secs_f64(), "retrained");
            metrics.retrainings.add(1);
            metrics.retrained_at.set(Calendar::utc_now().max(0) as u64);
            metrics.retrained_promoted.set(promoted);
            metrics.retrained_kept.set(kept);
            site.set_trouble(|trouble| trouble.retraining = None);
        }
        Err(error) => {
            let error = format!("{error:#}");
            metrics.retraining_failures.add(1);
            tracing::error!(error, "retraining failed, the models in use stay");
            site.set_trouble(|trouble| trouble.retraining = Some(format!("retraining failed: {error}")));
        }
    }
}

/// One retraining to its end; its report, none when it was not this server's turn or the server stopped.
fn attempt(site: &Site, plan: &Retraining) -> anyhow::Result<Option<Value>> {
    let may = || plan.lease.as_ref().map_or(Ok(true), |lease| (lease.0)()).context("cannot take the lease");
    if !may()? {
        return Ok(None);
    }
    // A pipe would have to be emptied meanwhile.
    let mut output = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut child = spawn(site, plan, &output)?;
    let said = child.stderr.take().map(pass_on);
    let mut renewed = Stopwatch::now();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for the retraining")? {
            break status;
        }
        if site.phase() == Phase::Draining {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        if renewed.elapsed() >= RENEW {
            renewed = Stopwatch::now();
            if let Err(error) = may() {
                tracing::warn!(error = format!("{error:#}"), "the lease could not be renewed");
            }
        }
        std::thread::sleep(LOOK);
    };
    if !status.success() {
        let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
        bail!("roomcast retrain ended with {status}: {}", Vec::from(said).join("\n"));
    }
    let mut text = String::new();
    output.rewind().and_then(|()| output.read_to_string(&mut text)).context("cannot read the report")?;
    let report: Value = serde_json::from_str(&text).context("cannot read the report")?;
    // Without figures the registry was taken by another process.
    Ok(report["promoted"].is_u64().then_some(report))
}

/// Hands on what a child says, line by line; the last lines are left in the end.
fn pass_on(child: ChildStderr) -> JoinHandle<VecDeque<String>> {
    std::thread::spawn(move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(child).lines().map_while(Result::ok) {
            eprintln!("{line}");
            last.push_back(line);
            if last.len() > SHOWN {
                last.pop_front();
            }
        }
        last
    })
}

/// A command that runs a program out of the way of everything else: on Linux in the idle class, whose tasks make room at
/// once for any other that wakes, elsewhere nice. `sh` becomes the program, so that it can be waited for and killed.
pub fn gently(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "{ chrt -i -p 0 $$ || renice -n 10 -p $$; } >/dev/null 2>&1; exec \"$@\"", "sh"]).arg(program);
    command
}

/// Starts the child; where there is no shell, at the server's own priority.
fn spawn(site: &Site, plan: &Retraining, output: &File) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("cannot find the program's own file")?;
    let start = |mut command: Command| -> anyhow::Result<std::io::Result<Child>> {
        complete(&mut command, site, plan);
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(output.try_clone().context("cannot share a file")?);
        Ok(command.spawn())
    };
    match start(gently(&own))? {
        Err(error) if error.kind() == ErrorKind::NotFound => start(Command::new(&own))?,
        started => started,
    }
    .with_context(|| format!("cannot start {}", own.display()))
}

/// The arguments of `roomcast retrain` for the server's own site.
fn complete(command: &mut Command, site: &Site, plan: &Retraining) {
    let settings = &site.settings;
    command.args(["retrain", "--json", "--jobs", "1"]);
    command.arg("--max-age").arg(format!("{}m", plan.max_age.as_secs() / 60));
    command.arg("--keep").arg(plan.keep.to_string());
    let clock = &settings.input.clock;
    if let Some(zone) = clock.timezone {
        command.args(["--timezone", zone.name()]);
    }
    if let Some(holidays) = &clock.holidays {
        command.arg("--holidays").arg(holidays);
    }
    for date in &clock.closed {
        command.arg("--closed").arg(date.to_string());
    }
    let weekend: Vec<String> = clock.weekend.iter().map(ToString::to_string).collect();
    command.arg("--weekend").arg(weekend.join(","));
    if clock.skip_bad_rows {
        command.arg("--skip-bad-rows");
    }
    // Everybody on the machine can read arguments, and the address of a store or a registry may hold a password.
    command.env("ROOMCAST_MODELS", &settings.models);
    let files = settings.input.input.iter().map(|path| path.display().to_string());
    let inputs: Vec<String> = files.chain(settings.store.clone()).collect();
    command.env("ROOMCAST_INPUT", inputs.join(","));
    // What it does not need it does not get.
    command.env_remove("PRIVATE_TOKEN").env_remove("ROOMCAST_TOKENS");
    command.env("POLARS_MAX_THREADS", "1");
}
