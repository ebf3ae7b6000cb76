//! Arguments of live readings: the store and the sources.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tokio::runtime::Runtime;

use crate::commands::arguments::warn_without_zone;
use roomcast_forecast::calendar::Calendar;
use roomcast_server::ingest::merge::Merger;
use roomcast_server::ingest::nats;
use roomcast_server::ingest::payload::form::Form;
use roomcast_server::ingest::payload::message::Reader;
use roomcast_server::ingest::writer::Limits;
use roomcast_server::logs::START;
use roomcast_server::mqtt::broker::Broker;
use roomcast_server::state::live::{Live, Sources};
use roomcast_storage::readings;

/// The topic filter without `--mqtt-topic` and `--mqtt-template`.
const DEFAULT_TOPIC: &str = "zigbee2mqtt/+";

/// The forms of payloads, with their names and descriptions.
const FORMS: [(Form, &str, &str); 6] = [
    (
        Form::Auto,
        "auto",
        "Any of these and those of ESPHome, Shelly, Milesight, ChirpStack and others, by their content",
    ),
    (Form::Zigbee2mqtt, "zigbee2mqtt", "JSON with `occupancy` or `presence`"),
    (Form::Tasmota, "tasmota", "JSON with `PIR1`, `Switch1` or `POWER`, or plain ON and OFF"),
    (Form::Homeassistant, "homeassistant", "Plain `on` and `off`; `unavailable` for a sensor that is offline"),
    (Form::Plain, "plain", "A plain word: ON, 1, true, occupied, detected, open, or their opposites"),
    (Form::Json, "json", "JSON with the value at a pointer"),
];

fn form() -> impl TypedValueParser<Value = Form> {
    PossibleValuesParser::new(FORMS.map(|(_, name, help)| PossibleValue::new(name).help(help)))
        .map(|name| FORMS.iter().find(|(_, known, _)| *known == name).map_or_else(Form::default, |(form, ..)| *form))
}

/// The form of a broker's messages.
#[derive(Debug, Clone, Args)]
pub struct MessageArgs {
    /// Topic filter; the part of a topic that matches the wildcards names the device (repeatable) [default: zigbee2mqtt/+]
    #[arg(long, value_name = "FILTER")]
    mqtt_topic: Vec<String>,
    /// Form of the payloads
    #[arg(long, value_parser = form(), default_value = "auto")]
    mqtt_form: Form,
    /// Topics in which the level {device} names the device, such as site/{device}/motion
    #[arg(long, value_name = "TOPIC")]
    mqtt_template: Option<String>,
    /// JSON pointer to the value in a JSON payload, such as /motion/state; /contact for a door of Zigbee2MQTT
    #[arg(long, value_name = "POINTER")]
    mqtt_pointer: Option<String>,
}

impl MessageArgs {
    /// Returns a reader of such messages.
    ///
    /// # Errors
    /// Returns an error when an argument is not valid.
    pub fn reader(&self) -> anyhow::Result<Reader> {
        let topics = match (&self.mqtt_topic[..], &self.mqtt_template) {
            ([], None) => &[DEFAULT_TOPIC.to_owned()],
            (topics, _) => topics,
        };
        let reader = Reader::new(topics, self.mqtt_form, self.mqtt_template.as_deref(), self.mqtt_pointer.as_deref());
        reader.map_err(anyhow::Error::msg).context("the topics cannot be used")
    }
}

/// Live readings.
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "Live readings",
    mut_arg("mqtt_topic", |arg| arg.requires("mqtt")),
    mut_arg("mqtt_form", |arg| arg.requires("mqtt")),
    mut_arg("mqtt_template", |arg| arg.requires("mqtt")),
    mut_arg("mqtt_pointer", |arg| arg.requires("mqtt"))
)]
pub struct LiveArgs {
    /// Store of the readings that arrive: a path that ends in .db or .sqlite, sqlite:PATH, or postgres://…. Forecasts use
    /// its readings together with those of --input
    #[arg(long, value_name = "STORE", env = "ROOMCAST_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Largest number of rows that wait to be stored; further rows are refused
    #[arg(long, value_name = "N", default_value_t = 200_000, requires = "store", value_parser = clap::value_parser!(u32).range(1..))]
    queue_rows: u32,
    /// MQTT broker that sends readings: `mqtt://[user@]host[:port]/[?client_id=ID]`, or mqtts:// with --mqtt-ca. The
    /// client id (roomcast without it) names the session, and no other client may use it
    #[arg(long, value_name = "URL", env = "ROOMCAST_MQTT", hide_env_values = true, requires = "store")]
    mqtt: Option<String>,
    #[command(flatten)]
    messages: MessageArgs,
    /// Minutes after which a repeated "motion" without a rest in between counts as a new reading
    #[arg(long, value_name = "MINUTES", default_value_t = 60, requires = "mqtt")]
    mqtt_hold: u32,
    /// File that holds the broker's password; without it, the variable ROOMCAST_MQTT_PASSWORD holds it
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    mqtt_password_file: Option<PathBuf>,
    /// File of the certificates to trust for mqtts://, PEM
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    mqtt_ca: Option<PathBuf>,
    /// NATS servers whose JetStream sends readings: `nats://host[:port]`, separated by commas
    #[arg(long, value_name = "URL", env = "ROOMCAST_NATS", hide_env_values = true, requires = "store")]
    nats: Option<String>,
    /// Name of the stream; created if it is missing
    #[arg(long, value_name = "NAME", default_value = "readings", requires = "nats")]
    nats_stream: String,
    /// Subjects of the stream
    #[arg(long, value_name = "SUBJECT", default_value = "readings.>", requires = "nats")]
    nats_subject: String,
    /// Name of the durable consumer, which all servers of a site share
    #[arg(long, value_name = "NAME", default_value = "roomcast", requires = "nats")]
    nats_durable: String,
}

impl LiveArgs {
    /// Opens the store, if one is named. Its sources are started later. With a merger it gets merged readings.
    ///
    /// # Errors
    /// Returns an error when the store cannot be opened, or an argument is not valid.
    pub fn open(&self, runtime: &Runtime, calendar: &Calendar, merger: Option<Merger>) -> anyhow::Result<Option<Live>> {
        let Some(url) = &self.store else { return Ok(None) };
        if !readings::is_store(url) {
            bail!(
                "{url} names no store\nhint: a store is a path that ends in .db or .sqlite, sqlite:PATH, or postgres://…"
            );
        }
        let sources = Sources { mqtt: self.mqtt()?, nats: self.nats(), merger };
        tracing::info!(target: START, "store of live readings: {}", readings::redacted(url));
        if let Some((broker, ..)) = &sources.mqtt {
            tracing::info!(target: START, "readings from the broker {broker}");
        }
        if let Some(nats) = &sources.nats {
            tracing::info!(target: START, "readings from the stream {} of JetStream", nats.stream);
        }
        let limits = Limits { rows: self.queue_rows as usize, ..Limits::default() };
        let live = Live::open(runtime, url, calendar, limits, sources)?;
        warn_without_zone(calendar);
        Ok(Some(live))
    }

    fn mqtt(&self) -> anyhow::Result<Option<(Broker, Reader, i64)>> {
        let Some(url) = &self.mqtt else { return Ok(None) };
        let broker = broker(url, self.mqtt_password_file.as_deref(), self.mqtt_ca.as_deref(), "roomcast")?;
        Ok(Some((broker, self.messages.reader()?, i64::from(self.mqtt_hold) * 60)))
    }

    fn nats(&self) -> Option<nats::Settings> {
        self.nats.as_ref().map(|servers| nats::Settings {
            servers: servers.clone(),
            stream: self.nats_stream.clone(),
            subject: self.nats_subject.clone(),
            durable: self.nats_durable.clone(),
        })
    }
}

/// Returns a broker by its address. The password comes from a file or from `ROOMCAST_MQTT_PASSWORD`, because every user
/// of the machine can read arguments.
///
/// # Errors
/// Returns an error when the address is not one of a broker, or a file cannot be read.
pub fn broker(url: &str, password: Option<&Path>, trusted: Option<&Path>, id: &str) -> anyhow::Result<Broker> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let password = match password {
        Some(path) => Some(String::from_utf8(read(path)?).context("the password is not UTF-8")?.trim().to_owned()),
        None => std::env::var("ROOMCAST_MQTT_PASSWORD").ok(),
    };
    let broker = Broker::parse(url, password.as_deref(), trusted.map(read).transpose()?, id);
    broker.map_err(anyhow::Error::msg).context("the broker's address cannot be used")
}
