//! Readings from a JetStream consumer, acknowledged when they are stored.
//!
//! For those who must accept readings while the database is away, or want a log that is replicated: publishers get their
//! acknowledgement from JetStream, and several servers share one durable consumer. A message is a row of
//! `POST /readings` as JSON, or an array of rows.
//!
//! Publishers spread their load, and keep each device's readings in order, by putting the device's [`partition`] into
//! the subject: `readings.0`, `readings.1`, … The consumer takes them all with `readings.>`.

use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Event, Message, Request, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::Source;
use super::backoff::Backoff;
use super::counts::Counts;
use super::payload::kept;
use super::payload::rows::{self, Media, Rows};
use super::writer::Writer;
use crate::calendar::Calendar;
use crate::store::{Batch, Refused};

/// Messages that one server works on at a time; JetStream keeps all others.
const AT_A_TIME: usize = 128;

/// How long the server keeps a question for the next message open.
const OPEN: Duration = Duration::from_secs(10);

/// How long JetStream waits for word of a message before it sends it again, and how often it gets word of one that is
/// not stored yet.
const ACK_WAIT: Duration = Duration::from_secs(10);
const WORD: Duration = Duration::from_secs(4);

/// Waits between tries.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Shortest time between two looks whether the consumer is there, when questions fail.
const MENDING: Duration = Duration::from_secs(2);

/// Which messages to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Servers, as `nats://host:port`, separated by commas.
    pub servers: String,
    /// The stream; it is made, with the subject, where there is none.
    pub stream: String,
    /// The subjects.
    pub subject: String,
    /// The durable consumer that all servers of a site share.
    pub durable: String,
}

/// The partition of a device among `partitions`: the first eight bytes of the SHA-256 of its name, big-endian, modulo their
/// number. Anything that publishes can compute it.
pub fn partition(device: &str, partitions: u64) -> u64 {
    let digest = Sha256::digest(device.as_bytes());
    let number = digest.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    number % partitions.max(1)
}

/// Receives until the runtime ends.
pub async fn listen(settings: Settings, calendar: Calendar, writer: Writer, counts: Arc<Counts>) {
    let mut waits = Backoff::new(WAITS.0, WAITS.1);
    let client = loop {
        match connect(&settings, &counts).await {
            Ok(connected) => break connected,
            Err(error) => {
                tracing::warn!(%error, stream = settings.stream, "JetStream cannot be used yet");
                sleep(waits.step()).await;
            }
        }
    };
    tracing::info!(stream = settings.stream, subject = settings.subject, "receiving from JetStream");
    let source = Arc::new(Consumer { client, settings, mended: Mutex::new(Stopwatch::now()) });
    for _ in 0..AT_A_TIME {
        let worker = Worker {
            source: source.clone(),
            calendar: calendar.clone(),
            writer: writer.clone(),
            counts: counts.clone(),
        };
        tokio::spawn(worker.run());
    }
}

/// Connects, and finds or makes stream and consumer.
async fn connect(settings: &Settings, counts: &Arc<Counts>) -> Result<Client, async_nats::Error> {
    let watched = counts.clone();
    let options = ConnectOptions::new().name("roomcast").event_callback(move |event| {
        let arrived = watched.of(Source::Nats);
        match event {
            Event::Connected => arrived.connected.set(1),
            Event::Disconnected | Event::Closed => {
                arrived.reconnects.add(arrived.connected.get());
                arrived.connected.set(0);
            }
            _ => {}
        }
        std::future::ready(())
    });
    let servers: Vec<&str> = settings.servers.split(',').map(str::trim).collect();
    let client = options.connect(servers).await?;
    prepare(&client, settings).await?;
    Ok(client)
}

/// Finds stream and consumer, or makes them.
async fn prepare(client: &Client, settings: &Settings) -> Result<(), async_nats::Error> {
    let jetstream = jetstream::new(client.clone());
    let stream = stream::Config {
        name: settings.stream.clone(),
        subjects: vec![settings.subject.clone()],
        ..stream::Config::default()
    };
    let stream = jetstream.get_or_create_stream(stream).await?;
    let consumer = pull::Config {
        durable_name: Some(settings.durable.clone()),
        filter_subject: settings.subject.clone(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: 100_000,
        max_waiting: 16_384,
        ..pull::Config::default()
    };
    stream.get_or_create_consumer(&settings.durable, consumer).await?;
    Ok(())
}

/// The durable consumer that all workers ask.
struct Consumer {
    client: Client,
    settings: Settings,
    /// When it was last looked whether it is there.
    mended: Mutex<Stopwatch>,
}

impl Consumer {
    /// The subject to ask for the next message.
    fn next(&self) -> String {
        format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.settings.stream, self.settings.durable)
    }

    /// Makes what somebody deleted again. A new consumer brings everything that the stream holds once more; what is stored
    /// counts once.
    async fn mend(&self) {
        // All workers notice at the same time, one of them acts.
        let Ok(mut mended) = self.mended.try_lock() else { return };
        if mended.elapsed() < MENDING {
            return;
        }
        if let Err(error) = prepare(&self.client, &self.settings).await {
            tracing::debug!(%error, "JetStream's consumer cannot be looked for");
        }
        *mended = Stopwatch::now();
    }
}

/// Takes one message after the other. Many workers ask at a time: the writer stores together what they have, and
/// when it has no room they do not ask.
struct Worker {
    source: Arc<Consumer>,
    calendar: Calendar,
    writer: Writer,
    counts: Arc<Counts>,
}

impl Worker {
    async fn run(self) {
        let mut waits = Backoff::new(WAITS.0, WAITS.1);
        loop {
            match self.ask().await {
                Ok(Some(message)) => {
                    waits.reset();
                    if let Err(error) = self.take(message).await {
                        tracing::warn!(%error, "a message could not be acknowledged; it will come again");
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "no message could be asked for");
                    self.source.mend().await;
                    sleep(waits.step()).await;
                }
            }
        }
    }

    /// The next message, if one comes while the question is open.
    async fn ask(&self) -> Result<Option<Message>, async_nats::Error> {
        let question = serde_json::json!({ "batch": 1, "expires": OPEN.as_nanos() as u64 }).to_string();
        // An inbox of its own: a message comes under its own subject, and so cannot be told from others by that.
        let request = Request::new()
            .payload(question.into_bytes().into())
            .inbox(self.source.client.new_inbox())
            .timeout(Some(OPEN + Duration::from_secs(5)));
        let message = self.source.client.send_request(self.source.next(), request).await?;
        match message.status {
            None => Ok(Some(message)),
            // Nothing came.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => Ok(None),
            Some(status) => Err(format!("{status}: {}", message.description.unwrap_or_default()).into()),
        }
    }

    async fn take(&self, message: Message) -> Result<(), async_nats::Error> {
        self.counts.of(Source::Nats).received.add(1);
        let reply = message.reply.ok_or("the message cannot be acknowledged")?;
        let batch = batch(&message.payload, &self.calendar);
        if !batch.events.is_empty() || !batch.refused.is_empty() {
            let stored = self.store(batch, message.payload.len());
            tokio::pin!(stored);
            let stored = loop {
                match timeout(WORD, &mut stored).await {
                    Ok(stored) => break stored,
                    Err(_) => self.source.client.publish(reply.clone(), "+WPI".into()).await?,
                }
            };
            if !stored {
                return Ok(());
            }
        }
        self.source.client.publish(reply, "+ACK".into()).await?;
        Ok(())
    }

    /// Whether a batch was stored, which may take as long as the store is away.
    async fn store(&self, batch: Batch, bytes: usize) -> bool {
        let answer = self.writer.insist(Source::Nats, batch, bytes).await;
        // The writer answers such senders only when all is stored.
        matches!(answer.await, Ok(Ok(_)))
    }
}

/// What is to be stored of a message.
fn batch(payload: &[u8], calendar: &Calendar) -> Batch {
    let refused = |payload, reason| Refused { source: Source::Nats.name().into(), payload, reason };
    match rows::read(Media::Json, payload, calendar) {
        Ok(Rows { events, refused: rows }) => {
            Batch { events, refused: rows.into_iter().map(|row| refused(row.payload, row.reason)).collect() }
        }
        Err(error) => Batch { events: Vec::new(), refused: vec![refused(kept(payload), error.to_string())] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_stable_and_even() {
        assert_eq!(["device_1", "device_2", "küche"].map(|device| partition(device, 8)), [6, 1, 0]);
        let mut counts = [0; 8];
        (0..8000).for_each(|n| counts[partition(&format!("floor_01/room_{n:04}"), 8) as usize] += 1);
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(partition("a", 0), 0);
    }

    #[test]
    fn messages_are_rows_or_arrays_of_them() {
        let one = br#"{"time":"2016-07-01 05:35:00","device":"a"}"#;
        let two = br#"[{"time":"2016-07-01 05:35:00","device":"a"},{"time":"x","device":"a"}]"#;
        let size = |payload: &[u8]| {
            let batch = batch(payload, &Calendar::default());
            (batch.events.len(), batch.refused.len())
        };
        assert_eq!((size(one), size(two), size(b"ON"), size(b"[]")), ((1, 0), (1, 1), (0, 1), (0, 0)));
    }
}
