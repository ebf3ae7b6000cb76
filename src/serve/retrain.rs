//! The scheduled retraining: `roomcast retrain` as a child process of the server, by night and out of the way.
//!
//! A process of its own keeps what training takes (memory, a crash) away from the requests, and can be given a
//! low priority as a whole ([`gently`]). What it saves is picked up like any other version ([`super::load::watch`]). The registry
//! lets one process retrain at a time; servers that share a store but no directory need a [`Lease`].

use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::{Context, bail};
use serde_json::Value;

use super::site::{Phase, Site};
use crate::calendar::{Calendar, Instant};
use crate::retrain::schedule::Schedule;

/// How often the clock, the child and the server's phase are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A clock that goes back by more than this was set, and the time to wait for is worked out anew.
const SET_BACK: i64 = 60;

/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(30);

/// For how long, in seconds, a [`Lease`] should be taken: a server that was killed holds it no longer than this.
pub const LEASE_SECONDS: i64 = 120;

/// Takes or renews for [`LEASE_SECONDS`] the right to retrain, which one of several servers has at a time; false when another
/// has it. Called off the async threads.
#[derive(Clone)]
pub struct Lease(pub Arc<dyn Fn() -> anyhow::Result<bool> + Send + Sync>);

impl fmt::Debug for Lease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lease")
    }
}

/// When and how to retrain.
#[derive(Debug, Clone)]
pub struct Retraining {
    /// When.
    pub schedule: Schedule,
    /// At most this much later, by chance, so that servers do not all begin at once.
    pub jitter: Duration,
    /// Age from which models are due.
    pub max_age: Duration,
    /// Versions to keep.
    pub keep: u32,
    /// For servers that share a store but no registry.
    pub lease: Option<Lease>,
}

/// Retrains when it is time, until the server stops.
pub fn watch(site: &Site) {
    let Some(plan) = &site.settings.retrain else { return };
    while site.phase() != Phase::Draining {
        let Some(next) = plan.schedule.next(site.calendar.now(), &site.calendar) else { return };
        let at = next + chance(plan.jitter);
        tracing::info!(at = site.calendar.format(at), "next retraining");
        // Until the first models are there, they are being trained already.
        if wait(site, at) && site.phase() == Phase::Ready {
            run(site, plan);
        }
    }
}

/// Seconds from 0 to `most`, other ones in every process.
fn chance(most: Duration) -> i64 {
    // The standard library seeds its hashes from the operating system.
    let random = RandomState::new().build_hasher().finish();
    (random % (most.as_secs() + 1)) as i64
}

/// Waits for an instant; false when the clock was set back or the server stops before it.
fn wait(site: &Site, at: Instant) -> bool {
    let mut before = site.calendar.now();
    while site.phase() != Phase::Draining {
        let now = site.calendar.now();
        if now >= at {
            return true;
        }
        if now < before - SET_BACK {
            return false;
        }
        before = now;
        std::thread::sleep(LOOK);
    }
    false
}

fn run(site: &Site, plan: &Retraining) {
    let watch = Stopwatch::now();
    let metrics = &site.metrics;
    match attempt(site, plan) {
        Ok(None) => tracing::info!("no retraining: another server does it, or this one stops"),
        Ok(Some(report)) => {
            let count = |name: &str| report[name].as_u64().unwrap_or(0);
            let (promoted, kept) = (count("promoted"), count("kept"));
            let version = report["version"].as_str().unwrap_or("none");
            tracing::info!(promoted, kept, version, seconds = watch.elapsed().as_secs_f64(), "retrained");
            metrics.retrainings.add(1);
            metrics.retrained_at.set(Calendar::utc_now().max(0) as u64);
            metrics.retrained_promoted.set(promoted);
            metrics.retrained_kept.set(kept);
        }
        Err(error) => {
            metrics.retraining_failures.add(1);
            tracing::error!(error = format!("{error:#}"), "retraining failed, the models in use stay");
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
        bail!("roomcast retrain ended with {status}; what it met stands above");
    }
    let mut text = String::new();
    output.rewind().and_then(|()| output.read_to_string(&mut text)).context("cannot read the report")?;
    let report: Value = serde_json::from_str(&text).context("cannot read the report")?;
    // Without figures the registry was taken by another process.
    Ok(report["promoted"].is_u64().then_some(report))
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
        command.stdin(Stdio::null()).stdout(output.try_clone().context("cannot share a file")?);
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
    command.arg("--models").arg(&settings.models);
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
    // Everybody on the machine can read arguments, and a store's address may hold a password.
    let files = settings.input.input.iter().map(|path| path.display().to_string());
    let inputs: Vec<String> = files.chain(settings.store.clone()).collect();
    command.env("ROOMCAST_INPUT", inputs.join(","));
    // What it does not need it does not get.
    command.env_remove("PRIVATE_TOKEN").env_remove("ROOMCAST_TOKENS");
    command.env("POLARS_MAX_THREADS", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_spreads_and_keeps_within_its_bound() {
        let drawn: Vec<i64> = (0..200).map(|_| chance(Duration::from_secs(600))).collect();
        assert!(drawn.iter().all(|seconds| (0..=600).contains(seconds)));
        let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
        assert!(distinct.len() > 100, "{}", distinct.len());
        assert_eq!(chance(Duration::ZERO), 0);
    }
}
