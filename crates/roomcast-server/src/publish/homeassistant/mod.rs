//! Publishes forecasts for Home Assistant by MQTT discovery.
//!
//! Two parts share a connection, so that they cannot wait for each other. One only reads and answers the broker; the
//! other publishes and may wait for room in the connection's queue. Everything is sent on each new connection and when
//! Home Assistant reports that it has started. In between, all states are sent once an hour, and changed states
//! immediately.

mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, LastWill, Packet, Publish, PublishOptions, QoS,
    SubscribeReasonCode,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Feed, SiteForecast, Target, slug};
use crate::mqtt::broker::Broker;
use messages::{Message, OFFLINE, ONLINE, Topics};
use roomcast_forecast::calendar::Hour;
use roomcast_forecast::rooms::Level;

/// Most requests to the broker that wait on a connection.
const MAX_QUEUED_REQUESTS: usize = 64;

/// Interval between checks that the newest forecast is still valid.
const VALIDITY_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// A broker that Home Assistant listens to.
pub struct HomeAssistant {
    broker: Broker,
    topics: Topics,
    /// Series that the broker has messages of.
    known: BTreeSet<Series>,
}

/// A room, floor or building.
type Series = (Level, String);

impl HomeAssistant {
    /// Returns a target at a broker. Discovery topics begin with `prefix`, which has no slash at its end, and ours with
    /// the broker's client id.
    pub fn new(broker: Broker, prefix: &str) -> HomeAssistant {
        let topics = Topics::new(prefix, &broker.client_id);
        HomeAssistant { broker, topics, known: BTreeSet::new() }
    }
}

impl fmt::Display for HomeAssistant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the broker {}", self.broker)
    }
}

/// The last messages sent for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    hour: Option<Hour>,
    /// Hashes of the payloads of the state and the 24 hours.
    sums: [u64; 2],
}

#[async_trait]
impl Target for HomeAssistant {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    async fn publish(&mut self, feed: &mut Feed) -> anyhow::Result<()> {
        let topics = &self.topics;
        let mut options = self.broker.options(false);
        options.set_last_will(LastWill::new(topics.availability(), OFFLINE, QoS::AtLeastOnce, true));
        let (client, connection) = AsyncClient::builder(options).capacity(MAX_QUEUED_REQUESTS).build();
        let (connected, restarted) = (Notify::new(), Notify::new());
        let mut sender = Sender {
            topics,
            client: &client,
            feed,
            known: &mut self.known,
            sent: BTreeMap::new(),
            online: None,
            hasher: RandomState::new(),
        };
        tokio::select! {
            error = listen(connection, &client, topics, &connected, &restarted) => Err(error.into()),
            ended = sender.run(&connected, &restarted) => Ok(ended?),
        }
    }
}

/// Returns the slug of a series. No name has a NUL, so a floor never has that of a room.
fn slug_of(level: Level, name: &str) -> String {
    if level == Level::Room { slug::unique(name) } else { slug::unique(&format!("{level}\0{name}")) }
}

/// Reads from the broker until the connection ends. It never waits for room in the queue of requests.
async fn listen(
    mut connection: EventLoop,
    client: &AsyncClient,
    topics: &Topics,
    connected: &Notify,
    restarted: &Notify,
) -> ConnectionError {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                // The queue of a new connection has room.
                if let Err(error) = client.try_subscribe(topics.birth(), QoS::AtLeastOnce) {
                    tracing::error!(%error, "cannot subscribe");
                }
                connected.notify_one();
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
                let topic = topics.birth();
                tracing::warn!(topic, "the broker refuses a subscription: restarts of Home Assistant are not noticed");
            }
            // A retained message was sent before we connected.
            Ok(Event::Incoming(Packet::Publish(Publish { retain: false, topic, payload, .. })))
                if topic == topics.birth() && payload == ONLINE =>
            {
                restarted.notify_one();
            }
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Publishes on one connection.
struct Sender<'a> {
    topics: &'a Topics,
    client: &'a AsyncClient,
    feed: &'a mut Feed,
    /// Series that the broker has messages of.
    known: &'a mut BTreeSet<Series>,
    /// The last messages sent on this connection, by series.
    sent: BTreeMap<Series, Sent>,
    online: Option<bool>,
    hasher: RandomState,
}

impl Sender<'_> {
    /// Publishes until the connection ends or no more forecasts are made.
    async fn run(&mut self, connected: &Notify, restarted: &Notify) -> Result<(), ClientError> {
        connected.notified().await;
        self.feed.connected();
        loop {
            let (newest, calendar) = (self.feed.newest(), &self.feed.calendar);
            let is_valid = |forecast: &SiteForecast| forecast.seconds_left(calendar, calendar.now()).is_some();
            let (valid, old) = match newest {
                Some(forecast) if is_valid(&forecast) => (Some(forecast), None),
                other => (None, other),
            };
            if let Some(forecast) = &valid {
                self.send_forecast(forecast).await?;
                self.feed.published(forecast);
            }
            if let Some(forecast) = &old {
                self.feed.too_old(forecast);
            }
            // Forecasts that are not renewed must not be shown as current.
            self.send_availability(valid.is_some()).await?;
            tokio::select! {
                more = timeout(VALIDITY_CHECK_INTERVAL, self.feed.wait()) => if more == Ok(false) { return Ok(()) },
                () = restarted.notified() => {
                    tracing::info!("Home Assistant has started: everything is sent again");
                    self.sent.clear();
                    self.online = None;
                }
            }
        }
    }

    async fn send_forecast(&mut self, forecast: &SiteForecast) -> Result<(), ClientError> {
        let rendered = forecast.render(&self.feed.calendar);
        let hour = forecast.first();
        let now = self.feed.calendar.now();
        // Only rooms, which come first, have a plan.
        let plans = forecast.plans.iter().map(Some).chain(std::iter::repeat(None));
        for ((level, device), plan) in forecast.all().zip(plans) {
            let (series, slug) = ((level, device.device.clone()), slug_of(level, &device.device));
            let before = self.sent.get(&series).copied();
            if before.is_none() {
                for message in self.topics.discovery(level, &device.device, &slug) {
                    self.send(message).await?;
                }
                self.known.insert(series.clone());
            }
            let states =
                self.topics.states((device, plan), &slug, &forecast.version, &rendered, (now, &self.feed.calendar));
            let sums = [&states[0], &states[1]].map(|(_, payload)| self.hasher.hash_one(payload));
            for (message, (at, sum)) in states.into_iter().zip(sums.iter().enumerate()) {
                if before.is_none_or(|before| before.hour != hour || before.sums[at] != *sum) {
                    self.send(message).await?;
                }
            }
            self.sent.insert(series, Sent { hour, sums });
        }
        let there: BTreeSet<(Level, &str)> =
            forecast.all().map(|(level, made)| (level, made.device.as_str())).collect();
        let is_gone = |(level, name): &&Series| !there.contains(&(*level, name.as_str()));
        let removed: Vec<Series> = self.known.iter().filter(is_gone).cloned().collect();
        for series in removed {
            for message in self.topics.removal_messages(&slug_of(series.0, &series.1)) {
                self.send(message).await?;
            }
            self.sent.remove(&series);
            self.known.remove(&series);
        }
        Ok(())
    }

    async fn send_availability(&mut self, online: bool) -> Result<(), ClientError> {
        if self.online != Some(online) {
            let payload = if online { ONLINE } else { OFFLINE };
            self.send((self.topics.availability(), payload.to_owned())).await?;
            self.online = Some(online);
        }
        Ok(())
    }

    /// Queues a message, waiting for room; it is retained for later subscribers.
    async fn send(&self, (topic, payload): Message) -> Result<(), ClientError> {
        self.client.publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce).retained()).await?;
        self.feed.counts.sent.add(1);
        Ok(())
    }
}
