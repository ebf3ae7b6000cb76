//! Arguments of the targets to which a server publishes forecasts.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use roomcast_server::mqtt::broker::Broker;
use roomcast_server::publish::webhook::Hook;
use roomcast_server::publish::{HomeAssistant, Redis, Target};

/// The client id for an address without one.
const DEFAULT_CLIENT_ID: &str = "roomcast-forecast";

/// Targets of forecasts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Publishing of forecasts")]
pub struct TargetArgs {
    /// MQTT broker that gets forecasts in the form of Home Assistant's discovery: `mqtt://[user@]host[:port]/[?client_id=ID]`,
    /// or mqtts:// with --publish-mqtt-ca. The client id (roomcast-forecast without it) names the topics, and no other
    /// client may use it. The variable ROOMCAST_PUBLISH_MQTT_PASSWORD holds the password
    #[arg(long, value_name = "URL", env = "ROOMCAST_PUBLISH_MQTT", hide_env_values = true)]
    publish_mqtt: Option<String>,
    /// File of the certificates to trust for mqtts://, PEM
    #[arg(long, value_name = "FILE", requires = "publish_mqtt")]
    publish_mqtt_ca: Option<PathBuf>,
    /// Prefix of Home Assistant's discovery topics
    #[arg(long, value_name = "TOPIC", default_value = "homeassistant", env = "ROOMCAST_PUBLISH_PREFIX")]
    publish_prefix: String,
    /// Redis server that gets forecasts under the keys prediction:DEVICE: `redis://[user@]host[:port][/database]`, or
    /// rediss:// with --publish-redis-ca. The variable ROOMCAST_PUBLISH_REDIS_PASSWORD holds the password
    #[arg(long, value_name = "URL", env = "ROOMCAST_PUBLISH_REDIS", hide_env_values = true)]
    publish_redis: Option<String>,
    /// File of the certificates to trust for rediss://, PEM
    #[arg(long, value_name = "FILE", requires = "publish_redis")]
    publish_redis_ca: Option<PathBuf>,
}

/// The web hook for alerts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Notification of alerts")]
pub struct NotifyArgs {
    /// Address that gets a JSON object by POST when an alert begins or ends: http:// or https://. The variable
    /// ROOMCAST_NOTIFY_TOKEN holds a bearer token
    #[arg(long, value_name = "URL", env = "ROOMCAST_NOTIFY", hide_env_values = true)]
    notify: Option<String>,
    /// File of the certificates to trust for https://, PEM, in place of those of the system
    #[arg(long, value_name = "FILE", requires = "notify")]
    notify_ca: Option<PathBuf>,
}

impl NotifyArgs {
    /// Returns the web hook, if there is one.
    ///
    /// # Errors
    /// Returns an error when an argument is not valid, or the certificates cannot be read.
    pub fn hook(&self) -> anyhow::Result<Option<Hook>> {
        let Some(url) = non_empty(&self.notify) else { return Ok(None) };
        let trusted = self.notify_ca.as_ref().map(read).transpose()?;
        let hook = Hook::parse(&url, secret("ROOMCAST_NOTIFY_TOKEN").as_deref(), trusted.as_deref());
        hook.context("the address of --notify cannot be used").map(Some)
    }
}

/// Returns a secret. It does not come as an argument, because every user of the machine can read those.
fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Returns an address; an empty variable counts as not set.
fn non_empty(url: &Option<String>) -> Option<String> {
    url.clone().filter(|url| !url.is_empty())
}

impl TargetArgs {
    /// Returns the targets of forecasts.
    ///
    /// # Errors
    /// Returns an error when an argument is not valid, or the certificates cannot be read.
    pub fn targets(&self) -> anyhow::Result<Vec<Box<dyn Target>>> {
        let mut targets: Vec<Box<dyn Target>> = Vec::new();
        if let Some(url) = non_empty(&self.publish_mqtt) {
            let trusted = self.publish_mqtt_ca.as_ref().map(read).transpose()?;
            let broker =
                Broker::parse(&url, secret("ROOMCAST_PUBLISH_MQTT_PASSWORD").as_deref(), trusted, DEFAULT_CLIENT_ID);
            let broker = broker.map_err(anyhow::Error::msg).context("the address of --publish-mqtt cannot be used")?;
            let prefix = self.publish_prefix.trim_end_matches('/');
            if prefix.is_empty() || prefix.contains(['#', '+', '\0']) {
                bail!("--publish-prefix {:?} is no topic\nhint: --publish-prefix homeassistant", self.publish_prefix);
            }
            targets.push(Box::new(HomeAssistant::new(broker, prefix)));
        }
        if let Some(url) = non_empty(&self.publish_redis) {
            let trusted = self.publish_redis_ca.as_ref().map(read).transpose()?;
            let redis = Redis::parse(&url, secret("ROOMCAST_PUBLISH_REDIS_PASSWORD").as_deref(), trusted);
            targets.push(Box::new(redis.context("the address of --publish-redis cannot be used")?));
        }
        Ok(targets)
    }
}
