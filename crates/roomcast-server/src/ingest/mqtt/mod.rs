//! Readings from an MQTT broker, acknowledged when they are stored.
//!
//! The session is persistent: while the connection is down the broker keeps messages, within its limits, and it sends
//! again what was not acknowledged. Three tasks share the work, so that none waits for one that waits for it. The
//! connection's task only reads and answers the broker. `handler` makes events of messages and waits for room in the
//! queue. A third task acknowledges each message once it is stored, in the order in which they came.
//!
//! Each connection has its own channel for acknowledgements. An acknowledgement that is too late for its connection is
//! dropped, so it cannot reach another message to which the next connection gives the same number. Waiting
//! acknowledgements are sent together: a write for each would cost more than the rest of a message's handling.

mod connection;
mod handler;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rumqttc::{Packet, PubAck, Publish, QoS, Subscribe, SubscribeFilter, SubscribeReasonCode};
use tokio::sync::mpsc;
use tokio::time::{Instant as Moment, MissedTickBehavior, interval_at, sleep};

use super::Source;
use crate::backoff::Backoff;
use crate::metrics::Counts;
use crate::mqtt::broker::{Broker, KEEP_ALIVE, MOST_BYTES};
use connection::{Connection, ConnectionError, Incoming};
pub use handler::Handler;

/// Most bytes of messages received and not yet acknowledged. Beyond it the connection is closed until half of them are
/// stored; the broker keeps the rest.
const BACKLOG: usize = 64 << 20;

/// Bytes a message takes beside its topic and payload.
const OVERHEAD: usize = 256;

/// Most groups of acknowledgements that are written together.
const GROUPS: usize = 64;

/// The packet number of the one subscription of a connection.
const SUBSCRIPTION: u16 = 1;

/// Waits between connections, and the duration of a connection after which they start again with the first.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
const GOOD: Duration = Duration::from_secs(5);

/// Channel for the numbers of stored messages, to the connection they came by.
type Acks = mpsc::UnboundedSender<Vec<u16>>;

/// A message with the connection it came by.
struct Received {
    publish: Publish,
    /// The size of a message that was too large to be read.
    too_large: Option<usize>,
    acks: Acks,
    weight: usize,
}

/// Receives until the runtime ends.
pub async fn listen(broker: Broker, handler: Handler, counts: Arc<Counts>) {
    let filters = handler.filters();
    let backlog = Arc::new(AtomicUsize::new(0));
    let (messages, received) = mpsc::unbounded_channel();
    let (acks, due) = mpsc::unbounded_channel();
    tokio::spawn(handler.run(received, acks));
    tokio::spawn(handler::acknowledge(due, backlog.clone()));
    let mut waits = Backoff::new(WAITS.0, WAITS.1);
    let mut session = Session { broker, filters, messages, backlog, counts };
    loop {
        let watch = Instant::now();
        let end = session.run().await;
        let arrived = session.counts.of(Source::Mqtt);
        arrived.reconnects.add(arrived.connected.get());
        arrived.connected.set(0);
        if watch.elapsed() >= GOOD {
            waits.reset();
        }
        tracing::warn!(broker = %session.broker, error = %end, "the connection to the broker ended, another is made");
        sleep(waits.step()).await;
        while session.backlog.load(SeqCst) > BACKLOG / 2 {
            sleep(WAITS.0).await;
        }
    }
}

/// Reasons a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("too much waits to be stored")]
    Backlog,
}

struct Session {
    broker: Broker,
    filters: Vec<String>,
    messages: mpsc::UnboundedSender<Received>,
    backlog: Arc<AtomicUsize>,
    counts: Arc<Counts>,
}

impl Session {
    /// Runs one connection until it ends.
    async fn run(&mut self) -> End {
        let Err(end) = self.receive().await;
        end
    }

    async fn receive(&mut self) -> Result<Infallible, End> {
        let (mut connection, known) = Connection::open(&self.broker).await?;
        tracing::info!(broker = %self.broker, session = known, "connected to the broker");
        self.counts.of(Source::Mqtt).connected.set(1);
        let filter = |path: &String| SubscribeFilter::new(path.clone(), QoS::AtLeastOnce);
        let mut subscribe = Subscribe::new_many(self.filters.iter().map(filter));
        subscribe.pkid = SUBSCRIPTION;
        connection.send([Packet::Subscribe(subscribe)]).await?;
        let (acks, mut stored) = mpsc::unbounded_channel();
        let mut groups = Vec::new();
        let mut ticks = interval_at(Moment::now() + KEEP_ALIVE, KEEP_ALIVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let incoming = tokio::select! {
                _ = stored.recv_many(&mut groups, GROUPS) => {
                    let messages = groups.drain(..).flatten();
                    connection.send(messages.map(|message| Packet::PubAck(PubAck::new(message)))).await?;
                    continue;
                }
                _ = ticks.tick() => {
                    connection.ask().await?;
                    continue;
                }
                incoming = connection.read() => incoming?,
            };
            match incoming {
                Incoming::Packet(Packet::SubAck(ack)) => {
                    if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                        let topics = self.filters.join(" ");
                        tracing::error!(broker = %self.broker, topics, "the broker refuses a subscription");
                    } else {
                        tracing::info!(broker = %self.broker, "subscribed");
                    }
                }
                Incoming::Packet(Packet::Publish(publish)) => self.take(publish, None, &acks)?,
                Incoming::Packet(_) => {}
                Incoming::TooLarge(beginning, bytes) => {
                    let topic = handler::topic(&beginning);
                    tracing::warn!(broker = %self.broker, topic, bytes, most = MOST_BYTES, "a message is too large, it is skipped");
                    self.counts.of(Source::Mqtt).too_large.add(1);
                    self.counts.skipped.note(topic, bytes, Instant::now());
                    self.take(beginning, Some(bytes), &acks)?;
                }
            }
        }
    }

    fn take(&self, publish: Publish, too_large: Option<usize>, acks: &Acks) -> Result<(), End> {
        let arrived = self.counts.of(Source::Mqtt);
        arrived.received.add(1);
        let weight = publish.payload.len() + publish.topic.len() + OVERHEAD;
        if self.backlog.load(SeqCst) + weight > BACKLOG {
            if publish.qos == QoS::AtMostOnce {
                // The message is lost: QoS 0 asks for no more.
                arrived.turned_away.add(1);
                return Ok(());
            }
            return Err(End::Backlog);
        }
        self.backlog.fetch_add(weight, SeqCst);
        // The handler lives as long as this task.
        let _ = self.messages.send(Received { publish, too_large, acks: acks.clone(), weight });
        Ok(())
    }
}
