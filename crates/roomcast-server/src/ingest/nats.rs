//! Readings from a JetStream consumer, acknowledged when they are stored.
//!
//! JetStream accepts readings while the database is unavailable and can replicate its log. Publishers get their
//! acknowledgement from JetStream, and several servers share one durable consumer. A message is a row of `POST
//! /readings` as JSON, or an array of rows.
//!
//! Publishers spread their load, and keep each device's readings in order, with a number derived from the device's name
//! in the subject: `readings.0`, `readings.1`, … The consumer takes them all with `readings.>`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, AckKind, Message, stream};
use async_nats::{Client, ConnectOptions, Event};
use futures_core::Stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::Source;
use super::payload::kept;
use super::payload::rows::{self, Media, Rows};
use super::writer::Writer;
use crate::backoff::Backoff;
use crate::ingest::counts::Counts;
use crate::logs::START;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{Batch, Refused};

/// Most messages that one server works on at a time. JetStream keeps the others.
const MAX_MESSAGES_IN_WORK: usize = 1024;

/// Most messages, and most bytes of them, that answer one request. A larger message is requested alone.
const MAX_BATCH_MESSAGES: usize = 128;
const MAX_BATCH_BYTES: usize = 8 << 20;

/// Number of requests open at the same time. The server prepares the next messages while it handles one request.
const OPEN_REQUESTS: usize = 4;

/// Time for which the server keeps a request for messages open.
const REQUEST_EXPIRY: Duration = Duration::from_secs(10);

/// Extra time after which a request counts as lost. The client's own limit is longer.
const REQUEST_GRACE: Duration = Duration::from_secs(2);

/// Time without an acknowledgement after which JetStream sends a message again, and the interval at which it is told
/// that a message is in progress.
const ACK_WAIT: Duration = Duration::from_secs(10);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(4);

/// Shortest time between two checks of the consumer when requests fail.
const REPAIR_INTERVAL: Duration = Duration::from_secs(2);

/// Settings of the stream and consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Servers, as `nats://host:port`, separated by commas.
    pub servers: String,
    /// The stream. A missing one is made, with the subject.
    pub stream: String,
    /// The subjects.
    pub subject: String,
    /// The durable consumer that all servers of a site share.
    pub durable: String,
}

/// Connects, then starts the tasks that receive until the runtime ends.
pub async fn listen(settings: Settings, calendar: Calendar, writer: Writer, counts: Arc<Counts>) {
    let mut delays = Backoff::default();
    let (client, consumer) = loop {
        match connect(&settings, &counts).await {
            Ok(connected) => break connected,
            Err(error) => {
                tracing::warn!(%error, stream = settings.stream, "JetStream is not available yet");
                sleep(delays.step()).await;
            }
        }
    };
    tracing::info!(target: START, stream = settings.stream, subject = settings.subject, "receiving from JetStream");
    let source = Durable { client, consumer, settings, checked: Mutex::new(Instant::now()) };
    let receiver = Arc::new(Receiver { source, calendar, writer, counts });
    let room = Arc::new(Semaphore::new(MAX_MESSAGES_IN_WORK));
    for _ in 0..OPEN_REQUESTS {
        tokio::spawn(receiver.clone().run(room.clone()));
    }
}

/// Connects, and finds or makes the stream and the consumer.
async fn connect(settings: &Settings, counts: &Arc<Counts>) -> Result<(Client, PullConsumer), async_nats::Error> {
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
    let consumer = prepare(&client, settings).await?;
    Ok((client, consumer))
}

/// Finds the stream and the consumer, or makes them.
async fn prepare(client: &Client, settings: &Settings) -> Result<PullConsumer, async_nats::Error> {
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
    Ok(stream.get_or_create_consumer(&settings.durable, consumer).await?)
}

/// The durable consumer, with what is needed to make it again.
struct Durable {
    client: Client,
    consumer: PullConsumer,
    settings: Settings,
    /// Time of the last check whether the consumer exists.
    checked: Mutex<Instant>,
}

impl Durable {
    /// Makes the stream and the consumer again if they were deleted, unless they were checked just before. A new
    /// consumer delivers everything in the stream again; stored readings count once.
    async fn repair(&self) {
        // All requests fail at the same time; one of them repairs.
        let Ok(mut checked) = self.checked.try_lock() else { return };
        if checked.elapsed() < REPAIR_INTERVAL {
            return;
        }
        if let Err(error) = prepare(&self.client, &self.settings).await {
            tracing::debug!(%error, "JetStream's consumer cannot be checked");
        }
        *checked = Instant::now();
    }
}

/// Requests messages and handles each in its own task. The writer stores the messages of all tasks together, and a
/// message that is not stored does not delay others.
struct Receiver {
    source: Durable,
    calendar: Calendar,
    writer: Writer,
    counts: Arc<Counts>,
}

impl Receiver {
    /// Sends one request after the other, each for no more messages than there is `room` for.
    async fn run(self: Arc<Self>, room: Arc<Semaphore>) {
        let mut delays = Backoff::default();
        let mut most = MAX_BATCH_MESSAGES;
        // The semaphore is never closed.
        while let Ok(mut room) = room.clone().acquire_many_owned(most as u32).await {
            let (mut received, watch) = (0, Instant::now());
            let ended = self.request(most, &mut room, &mut received).await;
            let trouble = match ended {
                Err(error) => Some(error),
                // The server reports when a request's time is over, but not when the consumer is gone.
                Ok(()) if received == 0 && watch.elapsed() > REQUEST_EXPIRY + REQUEST_GRACE => Some("no answer".into()),
                Ok(()) => None,
            };
            if let Some(error) = &trouble {
                tracing::debug!(%error, received, "a request for messages ended early");
                self.source.repair().await;
            }
            if received > 0 {
                delays.reset();
                most = MAX_BATCH_MESSAGES;
            } else if trouble.is_some() {
                sleep(delays.step()).await;
                // The next message may be larger than one answer may be.
                most = 1;
            }
        }
    }

    /// Takes up to `most` messages while the request is open. Each takes its part of the room along.
    async fn request(
        self: &Arc<Self>,
        most: usize,
        room: &mut OwnedSemaphorePermit,
        received: &mut usize,
    ) -> Result<(), async_nats::Error> {
        let request = self.source.consumer.batch().max_messages(most).expires(REQUEST_EXPIRY);
        let request = if most > 1 { request.max_bytes(MAX_BATCH_BYTES) } else { request };
        let mut messages = request.messages().await?;
        while let Some(message) = poll_fn(|context| Pin::new(&mut messages).poll_next(context)).await {
            let (receiver, message, place) = (self.clone(), message?, room.split(1));
            *received += 1;
            tokio::spawn(async move {
                if let Err(error) = receiver.take(message).await {
                    tracing::warn!(%error, "a message could not be acknowledged and will be delivered again");
                }
                drop(place);
            });
        }
        Ok(())
    }

    async fn take(&self, message: Message) -> Result<(), async_nats::Error> {
        self.counts.of(Source::Nats).received.add(1);
        let batch = batch(&message.payload, &self.calendar);
        if !batch.events.is_empty() || !batch.refused.is_empty() {
            let stored = self.store(batch, message.payload.len());
            tokio::pin!(stored);
            let stored = loop {
                match timeout(PROGRESS_INTERVAL, &mut stored).await {
                    Ok(stored) => break stored,
                    Err(_) => message.ack_with(AckKind::Progress).await?,
                }
            };
            if !stored {
                return Ok(());
            }
        }
        message.ack().await
    }

    /// Stores a batch. Waits while the store is unavailable. Returns whether the batch was stored.
    async fn store(&self, batch: Batch, bytes: usize) -> bool {
        let answer = self.writer.submit_until_stored(Source::Nats, batch, bytes).await;
        // The writer answers such senders only when everything is stored.
        matches!(answer.await, Ok(Ok(_)))
    }
}

/// Returns the batch to store of a message.
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
