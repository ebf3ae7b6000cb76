//! Publishes forecasts: to a broker in Home Assistant's form, and to Redis for programs.
//!
//! The forecaster passes on the forecasts of the whole site and never waits. Each target takes the newest when it is
//! ready for it, so a slow or absent target costs the memory of one such forecast and nothing else.

mod homeassistant;
mod redis;
mod site_forecast;
mod slug;
pub mod webhook;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::backoff::{Backoff, Outage, STABLE_DURATION};
use crate::logs::START;
use crate::metrics::TargetCounts;
pub use homeassistant::HomeAssistant;
pub use redis::{Redis, RedisUrlError};
use roomcast_forecast::calendar::Calendar;
pub use site_forecast::{RoomPlan, SiteForecast};

/// Interval at which the lease of publishing is renewed.
pub const RENEW_INTERVAL: Duration = Duration::from_secs(10);

/// Longer than any server runs.
const NO_EXPIRY: Duration = Duration::from_secs(u32::MAX as u64);

/// A server that forecasts are published to. Its text names it for the log, without a password.
#[async_trait]
pub trait Target: Display + Send {
    /// Returns the name in metrics and alerts.
    fn name(&self) -> &'static str;

    /// Connects, and publishes each new forecast until the connection fails or no more forecasts are made.
    ///
    /// # Errors
    /// Returns an error when the connection cannot be made or has failed.
    async fn publish(&mut self, feed: &mut Feed) -> anyhow::Result<()>;
}

/// The forecasts for one target, and its counts.
pub struct Feed {
    /// The target's name for the log.
    target: String,
    forecasts: watch::Receiver<Option<Arc<SiteForecast>>>,
    calendar: Calendar,
    counts: Arc<TargetCounts>,
    connected_at: Option<Instant>,
    said: Option<Said>,
}

impl Feed {
    /// Returns the newest forecast.
    fn newest(&mut self) -> Option<Arc<SiteForecast>> {
        self.forecasts.borrow_and_update().clone()
    }

    /// Waits for a forecast that was not returned yet. Returns false when no more are made.
    async fn wait(&mut self) -> bool {
        self.forecasts.changed().await.is_ok()
    }

    /// Records that the target is connected.
    fn connected(&mut self) {
        self.counts.connected.set(1);
        self.connected_at = Some(Instant::now());
        tracing::info!(target: START, "connected to {} for forecasts", self.target);
    }

    /// Records that a forecast was published. Says so the first time.
    fn published(&mut self, forecast: &SiteForecast) {
        if self.said != Some(Said::Published) && !forecast.forecasts.is_empty() {
            let (rooms, target) = (forecast.forecasts.len(), &self.target);
            tracing::info!(target: START, rooms, "the first forecast is published to {target}");
            self.said = Some(Said::Published);
        }
    }

    /// Records that a forecast is too old to be published. Says so once, since nobody would see any other sign of it.
    fn too_old(&mut self, forecast: &SiteForecast) {
        // Without rooms there is no forecast at all yet.
        if self.said.is_none() && !forecast.forecasts.is_empty() {
            let (origin, target) = (self.calendar.format(forecast.origin), &self.target);
            tracing::warn!(
                "nothing is published to {target} yet: the readings end at {origin}, and an hour of the past needs no \
                 forecast; it begins with the first reading of the present"
            );
            self.said = Some(Said::TooOld);
        }
    }
}

/// The log's words about the forecasts of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// They are too old.
    TooOld,
    /// The first one is published.
    Published,
}

/// The time until which no other server publishes; `None` when another server does. The time limits the lease: a server
/// that cannot reach the store does not learn that another server has taken the lease.
#[derive(Clone)]
struct LeaseEnd(watch::Receiver<Option<Instant>>);

impl LeaseEnd {
    fn is_ahead(&self) -> bool {
        self.0.borrow().is_some_and(|end| Instant::now() < end)
    }

    /// Waits until this server publishes.
    async fn wait_until_held(&mut self) {
        self.wait_for(|end| end.is_some_and(|end| Instant::now() < end)).await;
    }

    /// Waits until another server publishes.
    async fn lost(&mut self) {
        self.wait_for(Option::is_none).await;
    }

    async fn wait_for(&mut self, state: impl FnMut(&Option<Instant>) -> bool) {
        if self.0.wait_for(state).await.is_err() {
            // The lease is no longer renewed: there is none, or the runtime is about to end.
            std::future::pending().await
        }
    }
}

/// Hands forecasts to the targets.
pub struct Publisher {
    forecasts: watch::Sender<Option<Arc<SiteForecast>>>,
    counts: Vec<(&'static str, Arc<TargetCounts>)>,
    lease_end: LeaseEnd,
}

impl Publisher {
    /// Publishes to the targets while this server holds the lease. Without a lease it always publishes. Returns `None`
    /// without targets.
    ///
    /// Servers that share a store take the same forecasts to the same targets, so one of them publishes. `lease` is a
    /// function that takes or renews the lease, and returns false while another server has it, and the time from then
    /// on during which no other server can get it. The function is called off the async threads.
    pub fn start(
        runtime: &Handle,
        targets: Vec<Box<dyn Target>>,
        calendar: &Calendar,
        lease: Option<(impl Fn() -> anyhow::Result<bool> + Send + Sync + 'static, Duration)>,
    ) -> Option<Publisher> {
        if targets.is_empty() {
            return None;
        }
        let (forecasts, newest) = watch::channel(None);
        let (end, lease_end) = watch::channel(lease.is_none().then(|| Instant::now() + NO_EXPIRY));
        let lease_end = LeaseEnd(lease_end);
        let mut counts = Vec::new();
        for target in targets {
            let own = Arc::<TargetCounts>::default();
            counts.push((target.name(), own.clone()));
            let feed = Feed {
                target: target.to_string(),
                forecasts: newest.clone(),
                calendar: calendar.clone(),
                counts: own,
                connected_at: None,
                said: None,
            };
            runtime.spawn(supply(target, feed, lease_end.clone()));
        }
        if let Some((take, duration)) = lease {
            runtime.spawn(renew(Arc::new(take), duration, end));
        }
        Some(Publisher { forecasts, counts, lease_end })
    }

    /// Returns whether this server publishes, and no other.
    pub(crate) fn is_active(&self) -> bool {
        self.lease_end.is_ahead()
    }

    /// Passes on a forecast. It replaces one that no target has taken yet.
    pub fn publish(&self, forecast: SiteForecast) {
        self.forecasts.send_replace(Some(Arc::new(forecast)));
    }

    /// Returns the counts of each target, with its name.
    pub fn counts(&self) -> &[(&'static str, Arc<TargetCounts>)] {
        &self.counts
    }
}

/// Publishes to a target until the runtime ends. Connects while this server holds the lease, and closes the connection
/// when another server has it. While the holder is unknown, the connection stays open, so that no subscriber sees the
/// forecasts as unavailable. Nothing is published and no connection is made meanwhile, because the next server uses the
/// same name at a broker.
async fn supply(mut target: Box<dyn Target>, mut feed: Feed, mut lease_end: LeaseEnd) {
    let (mut delays, mut outage) = (Backoff::default(), Outage::default());
    loop {
        lease_end.wait_until_held().await;
        feed.connected_at = None;
        let sent = feed.counts.sent.get();
        let ended = tokio::select! {
            ended = target.publish(&mut feed) => Some(ended),
            () = lease_end.lost() => None,
        };
        feed.counts.connected.set(0);
        let error = match ended {
            None => continue,
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
        };
        feed.counts.failures.add(1);
        let is_stable = feed.connected_at.is_some_and(|connected| connected.elapsed() >= STABLE_DURATION);
        if is_stable && feed.counts.sent.get() > sent {
            delays.reset();
            outage.end();
        }
        if outage.begin() {
            tracing::warn!(error, "forecasts do not reach {}: trying again", feed.target);
        } else {
            tracing::debug!(error, "forecasts still do not reach {}", feed.target);
        }
        sleep(delays.step()).await;
    }
}

/// Takes and renews the lease until the runtime ends.
async fn renew(
    take: Arc<impl Fn() -> anyhow::Result<bool> + Send + Sync + 'static>,
    duration: Duration,
    end: watch::Sender<Option<Instant>>,
) {
    let mut outage = Outage::default();
    loop {
        let (requested_at, take) = (Instant::now(), take.clone());
        match tokio::task::spawn_blocking(move || take()).await {
            Ok(Ok(is_held)) => {
                let was_held = end.send_replace(is_held.then(|| requested_at + duration)).is_some();
                match (was_held, is_held) {
                    (false, true) => tracing::info!("this server publishes forecasts"),
                    (true, false) => tracing::info!("another server publishes forecasts"),
                    _ => {}
                }
                if outage.end() && is_held {
                    tracing::info!("this server publishes again");
                }
            }
            Ok(Err(error)) => {
                let error = format!("{error:#}");
                let has_expired = end.borrow().is_some_and(|end| end <= Instant::now());
                if has_expired && outage.begin() {
                    tracing::warn!(error, "it is not known whether another server publishes: this one waits");
                } else {
                    tracing::debug!(error, "it is not known which server publishes");
                }
            }
            Err(_) => return,
        }
        sleep(RENEW_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_forecast::calendar::{HOUR, Hour};
    use roomcast_forecast::decisions::blocks::Block;
    use roomcast_forecast::forecast::{DeviceForecast, HourForecast};
    use roomcast_forecast::hourly::Status;
    use roomcast_forecast::model::Source;

    /// Returns a forecast of devices from an hour on.
    pub fn site_forecast(devices: &[&str], first: Hour) -> SiteForecast {
        let hour = |hour| HourForecast { hour, probability: 0.25, occupied: false };
        let forecast = |device: &&str| DeviceForecast {
            device: (*device).to_owned(),
            status: Status::Live,
            source: Source::Building,
            hours: (first..first + 24).map(hour).collect(),
        };
        let origin = i64::from(first) * HOUR;
        let forecasts = devices.iter().map(forecast).collect();
        // In use in the third hour, with half an hour of preheat.
        let from = origin + 2 * HOUR;
        let block = Block { start: from - 1800, end: from + HOUR, occupied: (from, from + HOUR), peak: 0.25 };
        let plans = devices.iter().map(|_| RoomPlan { blocks: vec![block], hours_today: 1.25 }).collect();
        SiteForecast { origin, made_at: origin + 1, version: "v1".into(), forecasts, plans, above: Vec::new() }
    }

    /// A target that stays connected.
    struct Connected;

    impl Display for Connected {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a target")
        }
    }

    #[async_trait]
    impl Target for Connected {
        fn name(&self) -> &'static str {
            "connected"
        }

        async fn publish(&mut self, feed: &mut Feed) -> anyhow::Result<()> {
            feed.connected();
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_target_is_connected_while_no_other_server_holds_the_lease() {
        let ((_forecasts, newest), (end, lease_end)) = (watch::channel(None), watch::channel(None));
        let counts = Arc::<TargetCounts>::default();
        let feed = Feed {
            target: "a target".into(),
            forecasts: newest,
            calendar: Calendar::default(),
            counts: counts.clone(),
            connected_at: None,
            said: None,
        };
        tokio::spawn(supply(Box::new(Connected), feed, LeaseEnd(lease_end)));
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        // Another server has the lease, this one has it, it expires unrenewed, another has it, this one's has expired.
        let ends = [None, Some(now + 3600 * second), Some(now), None, Some(now)];
        let mut connected = Vec::new();
        for lease in ends {
            end.send_replace(lease);
            sleep(Duration::from_millis(50)).await;
            connected.push(counts.connected.get());
        }
        assert_eq!((connected, counts.failures.get()), (vec![0, 1, 1, 0, 0], 0));
    }
}
