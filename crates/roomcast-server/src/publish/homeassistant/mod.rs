//! Publishes forecasts for Home Assistant by MQTT discovery.
//!
//! Two parts share a connection, so that neither waits for itself. One only reads and answers the broker; the other
//! publishes and may wait for room in the connection's queue. Everything is sent on each new connection and when Home
//! Assistant says that it has started. In between, all states are sent once an hour, and those that change at once.

mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, LastWill, Packet, Publish, PublishOptions, QoS,
    SubscribeReasonCode,
};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::{Edition, Given, Hold, slug};
use crate::backoff::Backoff;
use crate::mqtt::broker::Broker;
use messages::{Message, OFFLINE, ONLINE, Topics};
use roomcast_forecast::calendar::{Calendar, Hour};

/// Largest number of requests to the broker that wait on a connection.
const REQUESTS: usize = 64;

/// Shortest and longest wait between connections; a connection that lasted `GOOD` resets the wait.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
const GOOD: Duration = Duration::from_secs(5);

/// Interval between checks that the newest edition is still valid.
const LOOK: Duration = Duration::from_secs(30);

/// A broker and the prefix of Home Assistant's discovery topics there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The broker; our topics are named after its client id.
    pub broker: Broker,
    /// The discovery prefix, without a slash at its end.
    pub prefix: String,
}

/// The last messages sent for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    hour: Option<Hour>,
    /// Hashes of the payloads of the state and the 24 hours.
    sums: [u64; 2],
}

/// Publishes editions until the runtime ends; connects only while no other server publishes.
pub async fn run(
    settings: Settings,
    mut editions: watch::Receiver<Option<Arc<Edition>>>,
    calendar: Calendar,
    given: Arc<Given>,
    mut hold: Hold,
) {
    let topics = Topics::new(&settings.prefix, &settings.broker.client_id);
    let mut waits = Backoff::new(WAITS.0, WAITS.1);
    let mut known = BTreeSet::new();
    let mut failing = false;
    loop {
        hold.begin().await;
        let mut options = settings.broker.options(false);
        options.set_last_will(LastWill::new(topics.availability(), OFFLINE, QoS::AtLeastOnce, true));
        let (client, connection) = AsyncClient::builder(options).capacity(REQUESTS).build();
        let (ready, again) = (Notify::new(), Notify::new());
        let watch = Instant::now();
        let mut sender = Sender {
            topics: &topics,
            client: &client,
            calendar: &calendar,
            given: &given,
            known: &mut known,
            sent: BTreeMap::new(),
            online: None,
            hasher: RandomState::new(),
        };
        let error = tokio::select! {
            error = listen(connection, &client, &topics, &given, &ready, &again) => error.to_string(),
            end = sender.run(&mut editions, &ready, &again) => match end {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
        };
        given.connected.set(0);
        given.failures.add(1);
        if watch.elapsed() >= GOOD {
            waits.reset();
            failing = false;
        }
        let broker = settings.broker.to_string();
        if failing {
            tracing::debug!(broker, error, "the broker for forecasts is still away");
        } else {
            tracing::warn!(broker, error, "forecasts do not reach the broker, it is tried again");
        }
        failing = true;
        sleep(waits.step()).await;
    }
}

/// Reads from the broker until the connection ends. Nothing here waits for room in the queue of requests.
async fn listen(
    mut connection: EventLoop,
    client: &AsyncClient,
    topics: &Topics,
    given: &Given,
    ready: &Notify,
    again: &Notify,
) -> ConnectionError {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                given.connected.set(1);
                tracing::info!("connected to the broker for forecasts");
                // The queue of a new connection has room.
                if let Err(error) = client.try_subscribe(topics.birth(), QoS::AtLeastOnce) {
                    tracing::error!(%error, "cannot subscribe");
                }
                ready.notify_one();
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
                let topic = topics.birth();
                tracing::warn!(topic, "the broker refuses a subscription: a restart of Home Assistant goes unnoticed");
            }
            // A retained message was sent before we connected.
            Ok(Event::Incoming(Packet::Publish(Publish { retain: false, topic, payload, .. })))
                if topic == topics.birth() && payload == ONLINE =>
            {
                again.notify_one();
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
    calendar: &'a Calendar,
    given: &'a Given,
    /// Devices that the broker has messages of.
    known: &'a mut BTreeSet<String>,
    /// The last messages sent on this connection, by device.
    sent: BTreeMap<String, Sent>,
    online: Option<bool>,
    hasher: RandomState,
}

impl Sender<'_> {
    /// Publishes until the connection ends or the sender of editions is dropped.
    async fn run(
        &mut self,
        editions: &mut watch::Receiver<Option<Arc<Edition>>>,
        ready: &Notify,
        again: &Notify,
    ) -> Result<(), ClientError> {
        ready.notified().await;
        loop {
            let edition = editions.borrow_and_update().clone();
            let left = edition.as_ref().and_then(|edition| edition.seconds_left(self.calendar, self.calendar.now()));
            if let Some(edition) = edition.filter(|_| left.is_some()) {
                self.edition(&edition).await?;
            }
            // Forecasts that are not renewed must not be shown as current.
            self.available(left.is_some()).await?;
            tokio::select! {
                changed = timeout(LOOK, editions.changed()) => if matches!(changed, Ok(Err(_))) { return Ok(()) },
                () = again.notified() => {
                    tracing::info!("Home Assistant has started: everything is sent again");
                    self.sent.clear();
                    self.online = None;
                }
            }
        }
    }

    async fn edition(&mut self, edition: &Edition) -> Result<(), ClientError> {
        let rendered = edition.render(self.calendar);
        let hour = edition.first();
        for forecast in &edition.forecasts {
            let slug = slug::unique(&forecast.device);
            let before = self.sent.get(&forecast.device).copied();
            if before.is_none() {
                for message in self.topics.discovery(&forecast.device, &slug) {
                    self.send(message).await?;
                }
                self.known.insert(forecast.device.clone());
            }
            let states = self.topics.states(forecast, &slug, &edition.version, &rendered);
            let sums = [&states[0], &states[1]].map(|(_, payload)| self.hasher.hash_one(payload));
            for (message, (at, sum)) in states.into_iter().zip(sums.iter().enumerate()) {
                if before.is_none_or(|before| before.hour != hour || before.sums[at] != *sum) {
                    self.send(message).await?;
                }
            }
            self.sent.insert(forecast.device.clone(), Sent { hour, sums });
        }
        let there: BTreeSet<&String> = edition.forecasts.iter().map(|forecast| &forecast.device).collect();
        let gone: Vec<String> = self.known.iter().filter(|&known| !there.contains(known)).cloned().collect();
        for device in gone {
            for message in self.topics.farewell(&slug::unique(&device)) {
                self.send(message).await?;
            }
            self.sent.remove(&device);
            self.known.remove(&device);
        }
        Ok(())
    }

    async fn available(&mut self, online: bool) -> Result<(), ClientError> {
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
        self.given.sent.add(1);
        Ok(())
    }
}
