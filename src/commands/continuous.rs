//! `roomcast worker continuous`: one of the workers that renew all models of a site, again and again.

use std::path::PathBuf;
use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use anyhow::Context;
use clap::Args;
use tokio::runtime::Builder;

use super::backtest::duration;
use super::output;
use super::retrain::{became, unjudged};
use super::site::ClockArgs;
use crate::model::registry::Registry;
use crate::rounds::{Event, Options, Stop, Stopper, Worker};
use crate::store::rounds::Rounds;

/// How long to wait at the end for a fit that is under way.
const LEAVING: Duration = Duration::from_secs(10);

/// Renew all models of a site again and again, together with any number of other workers on the same PostgreSQL store.
///
/// When the models are over age one worker makes the site's layers, all fit devices on top of them, a hundred at a time, and
/// one judges the new models against those in use, on days that neither has seen, and publishes them. Work is leased: that of
/// a worker which is not heard of any more is done by another, and what it writes later is dropped. The models equal those of
/// `roomcast train` on the same readings to the last bit. SIGTERM gives back what is leased.
#[derive(Debug, Args)]
pub struct ContinuousArgs {
    /// The store: postgres://…; in the environment a password is seen by nobody else
    #[arg(long, value_name = "URL", env = "ROOMCAST_STORE", hide_env_values = true)]
    pub store: String,
    /// Where the models are, the same for all workers: a directory, postgres://…, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", default_value = "models", env = "ROOMCAST_MODELS", hide_env_values = true)]
    pub models: PathBuf,
    /// Clock and calendar.
    #[command(flatten)]
    pub clock: ClockArgs,
    /// Age from which models are due, such as 7d, 36h; with the days to judge on, the oldest that models in use become
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub max_age: Duration,
    /// Latest days that are not learned from, to judge new models on; without models in use everything is learned from
    #[arg(long, value_name = "DAYS", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=90))]
    pub judge_days: u16,
    /// End after one round, or when none is due
    #[arg(long)]
    pub once: bool,
    /// Begin a round whatever the age of the models
    #[arg(long, requires = "once")]
    pub all: bool,
    /// Seconds after which others take over the work of a worker that is not heard of
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(2..=3600))]
    pub lease: u32,
}

/// Works until it is stopped, or a round has ended.
///
/// # Errors
/// For a store that cannot be opened or is none of PostgreSQL; with `--once` whatever goes wrong.
pub fn run(args: &ContinuousArgs) -> anyhow::Result<()> {
    let calendar = args.clock.calendar()?;
    let options = Options {
        lease: args.lease,
        max_age: args.max_age.as_secs() as i64,
        judge_days: args.judge_days,
        once: args.once,
        all: args.all,
    };
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start the runtime")?;
    let registry = Registry::open(&args.models);
    let name = registry.name();
    let done = runtime.block_on(async {
        let (stopper, stop) = Stop::new();
        tokio::spawn(stop_on_signal(stopper));
        let rounds = Rounds::open(&args.store, &calendar).await?;
        let worker = Worker::new(rounds, registry, calendar.clone(), options, stop);
        worker.run(&mut |event| say(&event, &name)).await
    });
    // What is under way leads to nothing any more, but LightGBM is not to be torn down in the middle of it.
    runtime.shutdown_timeout(LEAVING);
    Ok(done?)
}

async fn stop_on_signal(stopper: Stopper) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals: leases are not given back");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: what is leased is given back");
    stopper.stop();
}

fn say(event: &Event, registry: &str) {
    let text = match event {
        Event::Settled { round, report, version, skipped } => {
            let version = became(version.as_ref(), registry);
            format!("{:<12} {round}\n", "round")
                + &report.text()
                + &unjudged(skipped)
                + &format!("{:<12} {version}\n", "version")
        }
        Event::Ended { round, note } => format!("{:<12} {round}\n{:<12} none: {note}\n", "round", "version"),
        Event::NothingDue => "nothing is due\n".to_owned(),
    };
    if let Err(error) = output::write("-".as_ref(), text.as_bytes()) {
        tracing::warn!(error = format!("{error:#}"), "the outcome cannot be written");
    }
}
