//! Readings from a JetStream consumer, acknowledged when they are stored.
//!
//! For those who must accept readings while the database is away, or want a log that is replicated: publishers get their
//! acknowledgement from JetStream, and several servers share one durable consumer. A message is a row of
//! `POST /readings` as JSON, or an array of rows.
//!
//! Publishers spread their load, and keep each device's readings in order, by putting a number made of the device's name
//! into the subject: `readings.0`, `readings.1`, … The consumer takes them all with `readings.>`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, AckKind, Message, stream};
use async_nats::{Client, ConnectOptions, Event};
use futures_core::Stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
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
const AT_A_TIME: usize = 1024;

/// Most messages, and bytes of them, that answer one question. A message that is larger is asked for alone.
const AT_ONCE: usize = 128;
const BYTES: usize = 8 << 20;

/// Questions that are open at a time: while the answers to one are taken the server looks for those to the next.
const QUESTIONS: usize = 4;

/// How long the server keeps a question for messages open.
const OPEN: Duration = Duration::from_secs(10);

/// How much longer it takes until a question counts as not heard; the client gives up later than that.
const SILENCE: Duration = Duration::from_secs(2);

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

/// Receives until the runtime ends.
pub async fn listen(settings: Settings, calendar: Calendar, writer: Writer, counts: Arc<Counts>) {
    let mut waits = Backoff::new(WAITS.0, WAITS.1);
    let (client, consumer) = loop {
        match connect(&settings, &counts).await {
            Ok(connected) => break connected,
            Err(error) => {
                tracing::warn!(%error, stream = settings.stream, "JetStream cannot be used yet");
                sleep(waits.step()).await;
            }
        }
    };
    tracing::info!(stream = settings.stream, subject = settings.subject, "receiving from JetStream");
    let source = Durable { client, consumer, settings, mended: Mutex::new(Stopwatch::now()) };
    let receiver = Arc::new(Receiver { source, calendar, writer, counts });
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    for _ in 0..QUESTIONS {
        tokio::spawn(receiver.clone().run(room.clone()));
    }
}

/// Connects, and finds or makes stream and consumer.
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

/// Finds stream and consumer, or makes them.
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

/// The durable consumer, and what it takes to make it again.
struct Durable {
    client: Client,
    consumer: PullConsumer,
    settings: Settings,
    /// When it was last looked whether it is there.
    mended: Mutex<Stopwatch>,
}

impl Durable {
    /// Makes what somebody deleted again, when it was not looked for just before. A new consumer brings everything that the
    /// stream holds once more; what is stored
    /// counts once.
    async fn mend(&self) {
        // All who ask notice at the same time, one of them acts.
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

/// Asks for messages and takes each in a task of its own: the writer stores together what they have, and one that is
/// not stored holds up no other.
struct Receiver {
    source: Durable,
    calendar: Calendar,
    writer: Writer,
    counts: Arc<Counts>,
}

impl Receiver {
    /// Asks one question after the other, each for no more than there is `room` for.
    async fn run(self: Arc<Self>, room: Arc<Semaphore>) {
        let mut waits = Backoff::new(WAITS.0, WAITS.1);
        let mut most = AT_ONCE;
        // The semaphore is never closed.
        while let Ok(mut room) = room.clone().acquire_many_owned(most as u32).await {
            let (mut came, watch) = (0, Stopwatch::now());
            let asked = self.ask(most, &mut room, &mut came).await;
            let trouble = match asked {
                Err(error) => Some(error),
                // The server says so when a question's time is over. Of a consumer that is gone it says nothing.
                Ok(()) if came == 0 && watch.elapsed() > OPEN + SILENCE => Some("no answer".into()),
                Ok(()) => None,
            };
            if let Some(error) = &trouble {
                tracing::debug!(%error, came, "a question for messages ended early");
                self.source.mend().await;
            }
            if came > 0 {
                waits.reset();
                most = AT_ONCE;
            } else if trouble.is_some() {
                sleep(waits.step()).await;
                // The next message may be larger than all answers may be together.
                most = 1;
            }
        }
    }

    /// Takes what comes while the question is open, at most so many messages; each takes its part of the room along.
    async fn ask(
        self: &Arc<Self>,
        most: usize,
        room: &mut OwnedSemaphorePermit,
        came: &mut usize,
    ) -> Result<(), async_nats::Error> {
        let question = self.source.consumer.batch().max_messages(most).expires(OPEN);
        let question = if most > 1 { question.max_bytes(BYTES) } else { question };
        let mut answers = question.messages().await?;
        while let Some(message) = poll_fn(|context| Pin::new(&mut answers).poll_next(context)).await {
            let (receiver, message, place) = (self.clone(), message?, room.split(1));
            *came += 1;
            tokio::spawn(async move {
                if let Err(error) = receiver.take(message).await {
                    tracing::warn!(%error, "a message could not be acknowledged; it will come again");
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
                match timeout(WORD, &mut stored).await {
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
