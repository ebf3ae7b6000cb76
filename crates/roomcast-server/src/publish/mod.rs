//! Publishes forecasts: to a broker in Home Assistant's form, and to Redis for programs.
//!
//! The forecaster hands over whole editions and never waits. Each target takes the newest edition when it is ready for
//! one, so a slow or absent target costs one edition of memory and nothing else.

mod edition;
pub mod homeassistant;
mod redis;
mod slug;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::metrics::TargetCounts as Given;
pub use edition::Edition;
pub use homeassistant::Settings as HomeAssistant;
pub use redis::{Redis, RedisUrlError};
use roomcast_forecast::calendar::Calendar;

/// Time between two requests for the turn to publish.
pub const ASK: Duration = Duration::from_secs(10);

/// Longer than any server runs.
const ALWAYS: Duration = Duration::from_secs(u32::MAX as u64);

/// The turn to publish. Servers that share a store take the same forecasts to the same targets, so one of them
/// publishes.
pub struct Turn {
    /// Takes or renews the turn, and returns false when another server has it. It is called off the async threads.
    pub ask: Arc<dyn Fn() -> anyhow::Result<bool> + Send + Sync>,
    /// Time from then on during which no other server can get the turn.
    pub lasts: Duration,
}

/// The time until which no other server publishes. It ends by itself: a server that cannot reach the store does not
/// learn that another server has taken its turn.
#[derive(Debug, Clone)]
pub struct Hold(watch::Receiver<Instant>);

impl Hold {
    fn lasts(&self) -> bool {
        Instant::now() < *self.0.borrow()
    }

    /// Waits until it is this server's turn.
    async fn begin(&mut self) {
        if self.0.wait_for(|until| Instant::now() < *until).await.is_err() {
            // The runtime is about to end.
            std::future::pending().await
        }
    }
}

/// The targets of forecasts.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// A broker that Home Assistant listens to.
    pub homeassistant: Option<HomeAssistant>,
    /// A Redis server.
    pub redis: Option<Redis>,
}

/// Hands editions to the targets.
pub struct Publisher {
    editions: watch::Sender<Option<Arc<Edition>>>,
    given: Vec<(&'static str, Arc<Given>)>,
    hold: Hold,
}

impl Publisher {
    /// Publishes to the targets while it is this server's turn. Without a turn it always publishes. Returns `None`
    /// without targets.
    pub fn start(runtime: &Handle, targets: Targets, calendar: &Calendar, turn: Option<Turn>) -> Option<Publisher> {
        let (editions, receiver) = watch::channel(None);
        let mut given = Vec::new();
        for (name, wanted) in [(MQTT, targets.homeassistant.is_some()), (REDIS, targets.redis.is_some())] {
            if wanted {
                given.push((name, Arc::<Given>::default()));
            }
        }
        if given.is_empty() {
            return None;
        }
        let now = Instant::now();
        let (until, hold) = watch::channel(if turn.is_none() { now + ALWAYS } else { now });
        let hold = Hold(hold);
        let work =
            Work { targets, editions: receiver, calendar: calendar.clone(), given: given.clone(), hold: hold.clone() };
        runtime.spawn(work.run(turn, until));
        Some(Publisher { editions, given, hold })
    }

    /// Returns whether this server publishes, and no other.
    pub fn is_active(&self) -> bool {
        self.hold.lasts()
    }

    /// Hands over an edition. It replaces one that was not taken yet.
    pub fn publish(&self, edition: Edition) {
        self.editions.send_replace(Some(Arc::new(edition)));
    }

    /// Returns the counts of each target, with its name.
    pub fn given(&self) -> &[(&'static str, Arc<Given>)] {
        &self.given
    }
}

/// Names of targets.
const MQTT: &str = "mqtt";
const REDIS: &str = "redis";

/// The data that the tasks of the targets need.
struct Work {
    targets: Targets,
    editions: watch::Receiver<Option<Arc<Edition>>>,
    calendar: Calendar,
    given: Vec<(&'static str, Arc<Given>)>,
    hold: Hold,
}

impl Work {
    /// Connects to the targets while it is this server's turn. While the turn is unknown, connections stay open, so
    /// that no subscriber is told that the forecasts are gone. Nothing new is published and no connection is made
    /// meanwhile, because the next server uses the same name at the broker.
    async fn run(self, turn: Option<Turn>, until: watch::Sender<Instant>) {
        let Some(turn) = turn else {
            self.start().join_all().await;
            return;
        };
        let mut tasks: Option<JoinSet<()>> = None;
        let mut is_unknown = false;
        loop {
            let (ask, asked) = (turn.ask.clone(), Instant::now());
            let mine = match tokio::task::spawn_blocking(move || ask()).await {
                Ok(Ok(mine)) => mine,
                Ok(Err(error)) => {
                    let error = format!("{error:#}");
                    if tasks.is_some() && !self.hold.lasts() && !std::mem::replace(&mut is_unknown, true) {
                        tracing::warn!(error, "it is not known whether another server publishes now: this one waits");
                    } else {
                        tracing::debug!(error, "it is not known whose turn it is to publish");
                    }
                    sleep(ASK).await;
                    continue;
                }
                Err(_) => return,
            };
            if std::mem::take(&mut is_unknown) && mine {
                tracing::info!("this server publishes again");
            }
            until.send_replace(if mine { asked + turn.lasts } else { asked });
            match &mut tasks {
                None if mine => {
                    tracing::info!("this server publishes forecasts");
                    tasks = Some(self.start());
                }
                Some(started) if !mine => {
                    tracing::info!("another server publishes forecasts");
                    started.shutdown().await;
                    self.given.iter().for_each(|(_, given)| given.connected.set(0));
                    tasks = None;
                }
                _ => {}
            }
            sleep(ASK).await;
        }
    }

    /// Starts a task per target.
    fn start(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let given = |name| self.given.iter().find(|(known, _)| *known == name).map(|(_, given)| given.clone());
        let (editions, calendar, hold) = (&self.editions, &self.calendar, &self.hold);
        if let (Some(settings), Some(given)) = (&self.targets.homeassistant, given(MQTT)) {
            tasks.spawn(homeassistant::run(settings.clone(), editions.clone(), calendar.clone(), given, hold.clone()));
        }
        if let (Some(target), Some(given)) = (&self.targets.redis, given(REDIS)) {
            tasks.spawn(redis::run(target.clone(), editions.clone(), calendar.clone(), given, hold.clone()));
        }
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_forecast::calendar::{HOUR, Hour};
    use roomcast_forecast::forecast::{DeviceForecast, HourForecast};
    use roomcast_forecast::hourly::Status;
    use roomcast_forecast::model::Source;

    /// Returns an edition of devices from an hour on.
    pub fn edition(devices: &[&str], first: Hour) -> Edition {
        let hour = |hour| HourForecast { hour, probability: 0.25, occupied: false };
        let forecast = |device: &&str| DeviceForecast {
            device: (*device).to_owned(),
            status: Status::Live,
            source: Source::Building,
            hours: (first..first + 24).map(hour).collect(),
        };
        let origin = i64::from(first) * HOUR;
        let forecasts = devices.iter().map(forecast).collect();
        Edition { origin, made_at: origin + 1, version: "v1".into(), forecasts }
    }
}
