//! Forecasts on their way to others: to a broker in Home Assistant's form, and to Redis for programs.
//!
//! Who computes forecasts hands over whole editions and never waits; each target takes the newest when it is ready for
//! one, so a slow or absent target costs one edition of memory and nothing else.

mod edition;
pub mod homeassistant;
mod redis;
mod slug;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::calendar::Calendar;
use crate::stream::counts::Count;
pub use edition::Edition;
pub use homeassistant::Settings as HomeAssistant;
pub use redis::{Redis, RedisUrlError};

/// Where forecasts go.
#[derive(Debug, Default)]
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
}

impl Publisher {
    /// Starts a task per target; nothing without any.
    pub fn start(runtime: &Handle, targets: Targets, calendar: &Calendar) -> Option<Publisher> {
        let (editions, receiver) = watch::channel(None);
        let mut given = Vec::new();
        let mut count = |name| {
            let counts = Arc::<Given>::default();
            given.push((name, counts.clone()));
            counts
        };
        if let Some(settings) = targets.homeassistant {
            runtime.spawn(homeassistant::run(settings, receiver.clone(), calendar.clone(), count("mqtt")));
        }
        if let Some(target) = targets.redis {
            runtime.spawn(redis::run(target, receiver, calendar.clone(), count("redis")));
        }
        (!given.is_empty()).then_some(Publisher { editions, given })
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
        Edition { origin, made_at: origin + 1, version: "v1".into(), forecasts }
    }
}
