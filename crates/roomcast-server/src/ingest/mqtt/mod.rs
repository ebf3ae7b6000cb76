//! Readings from an MQTT broker, acknowledged when they are stored.
//!
//! The session is persistent: while the connection is down the broker keeps messages, within its limits, and it repeats
//! messages that were not acknowledged. Three tasks share the work, so that they cannot wait for one another in a
//! circle. The connection's task only reads and answers the broker. `handler` makes events of messages and waits for
//! room in the queue. A third task acknowledges each message once it is stored, in the order of arrival.
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
use crate::backoff::{Backoff, STABLE_DURATION};
use crate::ingest::counts::Counts;
use crate::logs::START;
use crate::mqtt::broker::{Broker, KEEP_ALIVE, MAX_PACKET_BYTES};
use connection::{Connection, ConnectionError, Incoming};
pub use handler::Handler;

/// Maximum number of bytes of messages received and not yet acknowledged. Above it the connection is closed until half
/// of them are stored; the broker keeps the rest.
const MAX_BACKLOG_BYTES: usize = 64 << 20;

/// Bytes a message occupies besides its topic and payload.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// Most groups of acknowledgements that are written together.
const MAX_ACK_GROUPS: usize = 64;

/// The packet number of the one subscription of a connection.
const SUBSCRIPTION_ID: u16 = 1;

/// Interval at which the backlog is checked while no connection is made for it.
const BACKLOG_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Channel for the numbers of stored messages, to the connection that received them.
type Acks = mpsc::UnboundedSender<Vec<u16>>;

/// A message and the connection that received it.
struct Received {
    packet: Publish,
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
    let mut delays = Backoff::default();
    let mut session = Session { broker, filters, messages, backlog, counts };
    loop {
        let watch = Instant::now();
        let end = session.run().await;
        let arrived = session.counts.of(Source::Mqtt);
        arrived.reconnects.add(arrived.connected.get());
        arrived.connected.set(0);
        if watch.elapsed() >= STABLE_DURATION {
            delays.reset();
        }
        tracing::warn!(broker = %session.broker, error = %end, "the connection to the broker ended, reconnecting");
        sleep(delays.step()).await;
        while session.backlog.load(SeqCst) > MAX_BACKLOG_BYTES / 2 {
            sleep(BACKLOG_POLL_INTERVAL).await;
        }
    }
}

/// Reasons a connection ended.
#[derive(Debug, thiserror::Error)]
enum SessionEnd {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("too many messages wait to be stored")]
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
    async fn run(&mut self) -> SessionEnd {
        let Err(end) = self.receive().await;
        end
    }

    async fn receive(&mut self) -> Result<Infallible, SessionEnd> {
        let (mut connection, known) = Connection::open(&self.broker).await?;
        tracing::info!(target: START, broker = %self.broker, session = known, "connected to the broker for readings");
        self.counts.of(Source::Mqtt).connected.set(1);
        let filter = |path: &String| SubscribeFilter::new(path.clone(), QoS::AtLeastOnce);
        let mut subscribe = Subscribe::new_many(self.filters.iter().map(filter));
        subscribe.pkid = SUBSCRIPTION_ID;
        connection.send([Packet::Subscribe(subscribe)]).await?;
        let (acks, mut stored) = mpsc::unbounded_channel();
        let mut groups = Vec::new();
        let mut ticks = interval_at(Moment::now() + KEEP_ALIVE, KEEP_ALIVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let incoming = tokio::select! {
                _ = stored.recv_many(&mut groups, MAX_ACK_GROUPS) => {
                    let messages = groups.drain(..).flatten();
                    connection.send(messages.map(|message| Packet::PubAck(PubAck::new(message)))).await?;
                    continue;
                }
                _ = ticks.tick() => {
                    connection.ping().await?;
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
                Incoming::Packet(Packet::Publish(packet)) => self.take(packet, None, &acks)?,
                Incoming::Packet(_) => {}
                Incoming::TooLarge(beginning, bytes) => {
                    let topic = self.counts.skipped.record(handler::topic(&beginning), bytes, Instant::now());
                    tracing::warn!(broker = %self.broker, topic, bytes, most = MAX_PACKET_BYTES, "a message is too large: skipped");
                    self.counts.of(Source::Mqtt).too_large.add(1);
                    self.take(beginning, Some(bytes), &acks)?;
                }
            }
        }
    }

    fn take(&self, packet: Publish, too_large: Option<usize>, acks: &Acks) -> Result<(), SessionEnd> {
        let arrived = self.counts.of(Source::Mqtt);
        arrived.received.add(1);
        let weight = packet.payload.len() + packet.topic.len() + MESSAGE_OVERHEAD_BYTES;
        if self.backlog.load(SeqCst) + weight > MAX_BACKLOG_BYTES {
            if packet.qos == QoS::AtMostOnce {
                // The message is lost: QoS 0 asks for no more.
                arrived.turned_away.add(1);
                return Ok(());
            }
            return Err(SessionEnd::Backlog);
        }
        self.backlog.fetch_add(weight, SeqCst);
        // The handler lives as long as this task.
        let _ = self.messages.send(Received { packet, too_large, acks: acks.clone(), weight });
        Ok(())
    }
}
