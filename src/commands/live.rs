//! Arguments for live readings: the store and the sources.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tokio::runtime::Runtime;

use roomcast_forecast::calendar::Calendar;
use roomcast_server::ingest::nats;
use roomcast_server::ingest::payload::form::Form;
use roomcast_server::ingest::payload::message::Reader;
use roomcast_server::ingest::writer::Limits;
use roomcast_server::mqtt::broker::Broker;
use roomcast_server::state::live::{Live, Sources};
use roomcast_storage::readings;

/// The topic filter without `--mqtt-topic` and `--mqtt-template`.
const TOPIC: &str = "zigbee2mqtt/+";

/// The forms of payloads, with their names and what they look like.
const FORMS: [(Form, &str, &str); 6] = [
    (Form::Auto, "auto", "Told apart by their content"),
    (Form::Zigbee2mqtt, "zigbee2mqtt", "JSON with `occupancy` or `presence`"),
    (Form::Tasmota, "tasmota", "JSON with `PIR1`, `Switch1` or `POWER`, or plain ON and OFF"),
    (Form::Homeassistant, "homeassistant", "Plain `on` and `off`; `unavailable` for a sensor that is gone"),
    (Form::Plain, "plain", "Plain ON, OFF, 1, 0, true or false"),
    (Form::Json, "json", "JSON with the value at a pointer"),
];

fn form() -> impl TypedValueParser<Value = Form> {
    PossibleValuesParser::new(FORMS.map(|(_, name, help)| PossibleValue::new(name).help(help)))
        .map(|name| FORMS.iter().find(|(_, known, _)| *known == name).map_or_else(Form::default, |(form, ..)| *form))
}

/// How messages of a broker are read.
#[derive(Debug, Clone, Args)]
pub struct MessageArgs {
    /// Topic filter; the device is what stands for its wildcards (repeatable) [default: zigbee2mqtt/+]
    #[arg(long, value_name = "FILTER")]
    pub mqtt_topic: Vec<String>,
    /// What payloads look like
    #[arg(long, value_parser = form(), default_value = "auto")]
    pub mqtt_form: Form,
    /// Topics whose level {device} names the device, such as site/{device}/motion
    #[arg(long, value_name = "TOPIC")]
    pub mqtt_template: Option<String>,
    /// Where in a JSON payload the value is, such as /motion/state
    #[arg(long, value_name = "POINTER")]
    pub mqtt_pointer: Option<String>,
}

impl MessageArgs {
    /// Returns a reader of such messages.
    ///
    /// # Errors
    /// Returns an error when an argument is not valid.
    pub fn reader(&self) -> anyhow::Result<Reader> {
        let topics = match (&self.mqtt_topic[..], &self.mqtt_template) {
            ([], None) => &[TOPIC.to_owned()],
            (topics, _) => topics,
        };
        let reader = Reader::new(topics, self.mqtt_form, self.mqtt_template.as_deref(), self.mqtt_pointer.as_deref());
        reader.map_err(anyhow::Error::msg).context("the topics cannot be used")
    }
}

/// Readings as they arrive.
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "Readings as they arrive",
    mut_arg("mqtt_topic", |arg| arg.requires("mqtt")),
    mut_arg("mqtt_form", |arg| arg.requires("mqtt")),
    mut_arg("mqtt_template", |arg| arg.requires("mqtt")),
    mut_arg("mqtt_pointer", |arg| arg.requires("mqtt"))
)]
pub struct LiveArgs {
    /// Where readings are stored as they arrive: a file (readings.db, sqlite:PATH) or postgres://… They are served
    /// together with those of --input
    #[arg(long, value_name = "STORE", env = "ROOMCAST_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Rows that may wait to be stored; then senders are turned away
    #[arg(long, value_name = "N", default_value_t = 200_000, requires = "store", value_parser = clap::value_parser!(u32).range(1..))]
    pub queue_rows: u32,
    /// Take readings from this broker: `mqtt://[user@]host[:port]/[?client_id=ID]`, or mqtts:// with --mqtt-ca. The id
    /// (roomcast without it) names the session and must be of no other client
    #[arg(long, value_name = "URL", env = "ROOMCAST_MQTT", hide_env_values = true, requires = "store")]
    pub mqtt: Option<String>,
    /// How messages are read.
    #[command(flatten)]
    pub messages: MessageArgs,
    /// Minutes after which a sensor that repeats "motion" without resting counts as firing again
    #[arg(long, value_name = "MINUTES", default_value_t = 60, requires = "mqtt")]
    pub mqtt_hold: u32,
    /// The broker's password, alone in a file; ROOMCAST_MQTT_PASSWORD holds it as well
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    pub mqtt_password_file: Option<PathBuf>,
    /// Certificates to trust for mqtts://, PEM
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    pub mqtt_ca: Option<PathBuf>,
    /// Take readings from JetStream: `nats://host[:port]`, several separated by commas
    #[arg(long, value_name = "URL", env = "ROOMCAST_NATS", hide_env_values = true, requires = "store")]
    pub nats: Option<String>,
    /// The stream; made where there is none
    #[arg(long, value_name = "NAME", default_value = "readings", requires = "nats")]
    pub nats_stream: String,
    /// The subjects of the stream
    #[arg(long, value_name = "SUBJECT", default_value = "readings.>", requires = "nats")]
    pub nats_subject: String,
    /// The durable consumer, shared by all servers of a site
    #[arg(long, value_name = "NAME", default_value = "roomcast", requires = "nats")]
    pub nats_durable: String,
}

impl LiveArgs {
    /// Opens the store, if one is named. Its sources start later.
    ///
    /// # Errors
    /// Returns an error when the store cannot be opened, or an argument is not valid.
    pub fn open(&self, runtime: &Runtime, calendar: &Calendar) -> anyhow::Result<Option<Live>> {
        let Some(url) = &self.store else { return Ok(None) };
        if !readings::is_store(url) {
            bail!("{url} names no store\nhint: give a file that ends in .db, sqlite:PATH, or postgres://…");
        }
        let limits = Limits { rows: self.queue_rows as usize, ..Limits::default() };
        let sources = Sources { mqtt: self.mqtt()?, nats: self.nats() };
        Live::open(runtime, url, calendar, limits, sources).map(Some)
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
