//! Forecasts on their way to others: to a broker in Home Assistant's form, and to Redis for programs.
//!
//! Who computes forecasts hands over whole editions and never waits; each target takes the newest when it is ready for
//! one, so a slow or absent target costs one edition of memory and nothing else.

mod edition;
pub mod homeassistant;
mod redis;
mod slug;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calendar::Calendar;
use crate::stream::counts::Count;
pub use edition::Edition;
pub use homeassistant::Settings as HomeAssistant;
pub use redis::{Redis, RedisUrlError};

/// How often it is asked whose turn it is.
pub const ASK: Duration = Duration::from_secs(10);

/// Whether it is for this server to publish, when several share a store: they take the same forecasts to the same places.
/// Called off the async threads.
pub type Turn = Arc<dyn Fn() -> anyhow::Result<bool> + Send + Sync>;

/// Where forecasts go.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// A broker that Home Assistant listens to.
    pub homeassistant: Option<HomeAssistant>,
    /// A Redis server.
    pub redis: Option<Redis>,
}

/// What one target was given.
#[derive(Debug, Default)]
pub struct Given {
    /// Messages or keys sent.
    pub sent: Count,
    /// Connections or batches that failed.
    pub failures: Count,
    /// 1 while connected.
    pub connected: Count,
}

/// Hands editions to the targets.
pub struct Publisher {
    editions: watch::Sender<Option<Arc<Edition>>>,
    given: Vec<(&'static str, Arc<Given>)>,
    active: Arc<AtomicBool>,
}

impl Publisher {
    /// Publishes to the targets while it is this server's turn, always without one; nothing without targets.
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
        let active = Arc::new(AtomicBool::new(turn.is_none()));
        let work = Work { targets, editions: receiver, calendar: calendar.clone(), given: given.clone() };
        runtime.spawn(work.run(turn, active.clone()));
        Some(Publisher { editions, given, active })
    }

    /// Whether it is this server that publishes.
    pub fn is_active(&self) -> bool {
        self.active.load(SeqCst)
    }

    /// Hands over an edition in place of any that was not taken yet.
    pub fn publish(&self, edition: Edition) {
        self.editions.send_replace(Some(Arc::new(edition)));
    }

    /// What each target was given, with its name.
    pub fn given(&self) -> &[(&'static str, Arc<Given>)] {
        &self.given
    }
}

/// Names of targets.
const MQTT: &str = "mqtt";
const REDIS: &str = "redis";

/// What the tasks of the targets need.
struct Work {
    targets: Targets,
    editions: watch::Receiver<Option<Arc<Edition>>>,
    calendar: Calendar,
    given: Vec<(&'static str, Arc<Given>)>,
}

impl Work {
    /// Connects to the targets while it is this server's turn.
    async fn run(self, turn: Option<Turn>, active: Arc<AtomicBool>) {
        let Some(turn) = turn else {
            self.start().join_all().await;
            return;
        };
        let mut tasks: Option<JoinSet<()>> = None;
        loop {
            let ask = turn.clone();
            let mine = match tokio::task::spawn_blocking(move || ask()).await {
                Ok(Ok(mine)) => mine,
                // Nobody else can have got it from a store that is away.
                Ok(Err(error)) => {
                    tracing::debug!(error = format!("{error:#}"), "it is not known whose turn it is to publish");
                    tasks.is_some()
                }
                Err(_) => return,
            };
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
            active.store(mine, SeqCst);
            sleep(ASK).await;
        }
    }

    /// Starts a task per target.
    fn start(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let given = |name| self.given.iter().find(|(known, _)| *known == name).map(|(_, given)| given.clone());
        let (editions, calendar) = (&self.editions, &self.calendar);
        if let (Some(settings), Some(given)) = (&self.targets.homeassistant, given(MQTT)) {
            tasks.spawn(homeassistant::run(settings.clone(), editions.clone(), calendar.clone(), given));
        }
        if let (Some(target), Some(given)) = (&self.targets.redis, given(REDIS)) {
            tasks.spawn(redis::run(target.clone(), editions.clone(), calendar.clone(), given));
        }
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{HOUR, Hour};
    use crate::forecast::{DeviceForecast, HourForecast};
    use crate::hourly::Status;
    use crate::model::Source;

    /// An edition of devices from an hour on.
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
        Edition { origin, made_at: origin + 1, version: "v1".into(), forecasts, left_out: Vec::new() }
    }
}
