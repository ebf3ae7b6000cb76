//! Conversion of messages to events.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rumqttc::{Publish, QoS};
use tokio::sync::mpsc;

use super::Received;
use crate::ingest::Source;
use crate::ingest::edges::Edges;
use crate::ingest::health::Health;
use crate::ingest::payload::form::Statement;
use crate::ingest::payload::kept;
use crate::ingest::payload::message::{Message, Reader};
use crate::ingest::writer::{Answer, Writer};
use crate::mqtt::broker::MAX_PACKET_BYTES;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_storage::readings::{Batch, Event, Kind, Refused};

/// Converts messages to events and hands them to the writer.
pub struct Handler {
    reader: Reader,
    calendar: Calendar,
    edges: Edges,
    /// The time of the last arrival.
    arrived: Timestamp,
    health: Arc<Health>,
    writer: Writer,
    /// The result of the last message of each number, with its hash. A message that the broker sends again gets the
    /// same result, with the time of its first arrival.
    parsed: HashMap<u16, (u64, Parsed)>,
    hasher: RandomState,
}

/// The result of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Parsed {
    /// The message is about no sensor, or contains nothing about the present.
    Nothing,
    Event(Event),
    Refused(Refused),
}

/// Longest step back of the clock that arrivals do not follow, in seconds.
const MAX_SMOOTHED_STEP: i64 = 1800;

/// Most messages that are stored together.
const MAX_BATCH_MESSAGES: usize = 256;

/// Messages to acknowledge once they are stored.
pub(crate) struct PendingAcks {
    messages: Vec<Received>,
    /// `None` when there was nothing to store.
    answer: Option<Answer>,
}

impl Handler {
    /// Makes a handler that starts from the devices' states in `edges`.
    pub fn new(reader: Reader, calendar: Calendar, edges: Edges, health: Arc<Health>, writer: Writer) -> Handler {
        Handler {
            reader,
            calendar,
            edges,
            arrived: Timestamp::MIN,
            health,
            writer,
            parsed: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// Returns the filters to subscribe to.
    pub fn filters(&self) -> Vec<String> {
        self.reader.filters()
    }

    pub(super) async fn run(
        mut self,
        mut received: mpsc::UnboundedReceiver<Received>,
        acks: mpsc::UnboundedSender<PendingAcks>,
    ) {
        loop {
            // Waiting messages are stored together: handing each over by itself would cost more than storing it.
            let mut messages = Vec::new();
            if received.recv_many(&mut messages, MAX_BATCH_MESSAGES).await == 0 {
                return;
            }
            let (mut batch, mut bytes) = (Batch::default(), 0);
            for Received { packet, too_large, .. } in &mut messages {
                let parsed = match too_large {
                    Some(bytes) => self.skip(packet, *bytes),
                    None => self.parse(packet),
                };
                match parsed {
                    Parsed::Nothing => {}
                    Parsed::Event(event) => batch.events.push(event),
                    Parsed::Refused(refused) => batch.refused.push(refused),
                }
                bytes += std::mem::take(&mut packet.payload).len();
            }
            let answer = match batch.events.is_empty() && batch.refused.is_empty() {
                true => None,
                false => Some(self.writer.submit_until_stored(Source::Mqtt, batch, bytes).await),
            };
            // The receiving task lives as long as this one.
            let _ = acks.send(PendingAcks { messages, answer });
        }
    }

    /// Returns the data of a message to store.
    fn parse(&mut self, packet: &Publish) -> Parsed {
        if packet.qos == QoS::AtMostOnce {
            return self.read(packet);
        }
        let hash = self.hasher.hash_one((&packet.topic, &packet.payload[..]));
        if packet.dup
            && let Some((known, parsed)) = self.parsed.get(&packet.pkid)
            && *known == hash
        {
            return parsed.clone();
        }
        let parsed = self.read(packet);
        self.parsed.insert(packet.pkid, (hash, parsed.clone()));
        parsed
    }

    fn read(&mut self, packet: &Publish) -> Parsed {
        match self.reader.read(topic(packet), &packet.payload, &self.calendar) {
            Ok(None) => Parsed::Nothing,
            Ok(Some(message)) => self.event(message, packet.retain).map_or(Parsed::Nothing, Parsed::Event),
            Err(reason) => refused(packet, reason),
        }
    }

    /// Returns the data to store of a message of `bytes` bytes that was too large to be read.
    fn skip(&self, packet: &Publish, bytes: usize) -> Parsed {
        if !self.reader.is_of_sensor(topic(packet)) {
            return Parsed::Nothing;
        }
        let (found, most) = (bytes.div_ceil(1 << 20), MAX_PACKET_BYTES >> 20);
        refused(packet, format!("the message has {found} MiB, at most {most} are read"))
    }

    /// Returns the event of a message, if it is one. A retained message may be of any age. Without a time of its own it
    /// tells nothing about the present, except that a sensor is offline.
    fn event(&mut self, message: Message, retained: bool) -> Option<Event> {
        let Message { device, statement, time } = message;
        if let Statement::Available(online) = statement {
            self.health.set(&device, online);
        } else if !retained {
            self.health.set(&device, true);
        }
        if retained && time.is_none() && statement != Statement::Available(false) {
            return None;
        }
        let time = time.unwrap_or_else(|| {
            self.arrived = arrival_time(self.arrived, self.calendar.now());
            self.arrived
        });
        let kind = match statement {
            Statement::Motion(occupied) => self.edges.classify(&device, occupied, time),
            Statement::Available(false) => self.edges.lose(&device).then_some(Kind::Off)?,
            // Nothing is kept of sensors that do not report motion.
            Statement::Available(true) | Statement::Other => self.edges.knows(&device).then_some(Kind::Rest)?,
        };
        Some(Event { device, time, kind, id: None })
    }
}

/// Returns the time of a message that arrives now without a time of its own. When the clock is set back a little,
/// arrivals keep the time of the `last` before it until the clock has caught up, so that none falls into an hour that
/// was already over. A larger step is accepted: a wrong clock was corrected, or clocks went back at a site without a
/// time zone.
fn arrival_time(last: Timestamp, now: Timestamp) -> Timestamp {
    if last.saturating_sub(now) <= MAX_SMOOTHED_STEP { now.max(last) } else { now }
}

/// Returns the topic of a message, whose packet was checked when it was read.
pub(crate) fn topic(packet: &Publish) -> &str {
    std::str::from_utf8(&packet.topic).unwrap_or_default()
}

fn refused(packet: &Publish, reason: String) -> Parsed {
    let payload = serde_json::json!({ "topic": topic(packet), "payload": kept(&packet.payload) });
    let payload = kept(payload.to_string().as_bytes());
    Parsed::Refused(Refused { source: Source::Mqtt.name().into(), payload, reason })
}

/// Acknowledges messages in the order in which they arrived, each once it is stored.
pub(crate) async fn acknowledge(mut due: mpsc::UnboundedReceiver<PendingAcks>, backlog: Arc<AtomicUsize>) {
    while let Some(PendingAcks { messages, answer }) = due.recv().await {
        let stored = match answer {
            None => true,
            // The writer answers such senders only when all is stored.
            Some(answer) => matches!(answer.await, Ok(Ok(_))),
        };
        backlog.fetch_sub(messages.iter().map(|message| message.weight).sum(), SeqCst);
        if !stored {
            continue;
        }
        for together in messages.chunk_by(|a, b| a.acks.same_channel(&b.acks)) {
            let acknowledged = together.iter().filter(|message| message.packet.qos == QoS::AtLeastOnce);
            // A closed connection takes no acknowledgement. The next connection brings the message again.
            let _ = together[0].acks.send(acknowledged.map(|message| message.packet.pkid).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::payload::form::Form;
    use crate::ingest::writer::Limits;
    use roomcast_storage::readings;

    fn publish(topic: &str, payload: &str, pkid: u16) -> Publish {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = pkid;
        publish
    }

    async fn handler(place: &std::path::Path) -> Handler {
        let calendar = Calendar::default();
        let store = Arc::new(readings::open(&format!("sqlite:{}", place.display()), &calendar).await.unwrap());
        let writer = Writer::start(store, calendar.clone(), Limits::default(), Arc::default(), Box::new(|_| ()));
        let reader = Reader::new(&["z/+".into()], Form::Auto, None, None).unwrap();
        Handler::new(reader, calendar, Edges::new(3600), Arc::default(), writer)
    }

    fn event(parsed: Parsed) -> Event {
        match parsed {
            Parsed::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_the_broker_sends_again_means_what_it_meant() {
        let place = tempfile::tempdir().unwrap();
        let mut handler = handler(&place.path().join("a.db")).await;
        let again = |mut publish: Publish| {
            publish.dup = true;
            publish
        };
        let (fired, rested) = (publish("z/a", "{\"occupancy\":true}", 1), publish("z/a", "{\"occupancy\":false}", 2));
        let (first, second) = (handler.parse(&fired), handler.parse(&rested));
        assert_eq!((event(first.clone()).kind, event(second.clone()).kind), (Kind::Motion, Kind::Off));
        assert_eq!((handler.parse(&again(fired)), handler.parse(&again(rested))), (first, second));
        // Another message with a number that was used before.
        let other = event(handler.parse(&again(publish("z/b", "{\"occupancy\":true}", 2))));
        assert_eq!((other.device.as_str(), other.kind), ("b", Kind::Motion));
    }

    #[tokio::test]
    async fn of_what_is_too_large_a_sensors_message_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let handler = handler(&place.path().join("a.db")).await;
        let Parsed::Refused(refused) = handler.skip(&publish("z/a", "xx", 1), 17 << 20) else { panic!("it is taken") };
        assert_eq!(refused.reason, "the message has 17 MiB, at most 16 are read");
        assert_eq!(refused.payload, r#"{"payload":"xx","topic":"z/a"}"#);
        assert_eq!(handler.skip(&publish("z/bridge", "xx", 1), 17 << 20), Parsed::Nothing);
    }

    #[tokio::test]
    async fn states_of_any_age_and_other_sensors_are_no_events() {
        let place = tempfile::tempdir().unwrap();
        let mut handler = handler(&place.path().join("a.db")).await;
        let mut retained = publish("z/a", "{\"occupancy\":true}", 1);
        retained.retain = true;
        assert_eq!(handler.parse(&retained), Parsed::Nothing);
        assert_eq!(handler.parse(&publish("z/a", "{\"temperature\":20}", 2)), Parsed::Nothing);
        assert_eq!(handler.parse(&publish("z/a/availability", "offline", 3)), Parsed::Nothing);
        assert_eq!(handler.health.offline(), ["a"]);
        assert_eq!(event(handler.parse(&publish("z/a", "{\"occupancy\":false}", 4))).kind, Kind::Off);
        assert_eq!(event(handler.parse(&publish("z/a", "{\"temperature\":20}", 5))).kind, Kind::Rest);
        assert_eq!(handler.health.count(), 0);
        // What a sensor saw ends when it is lost.
        assert_eq!(event(handler.parse(&publish("z/a", "{\"occupancy\":true}", 7))).kind, Kind::Motion);
        assert_eq!(event(handler.parse(&publish("z/a/availability", "offline", 8))).kind, Kind::Off);
        assert_eq!(handler.parse(&publish("z/a/availability", "offline", 9)), Parsed::Nothing);
        // Also when it was lost while this server was away.
        assert_eq!(event(handler.parse(&publish("z/a", "{\"occupancy\":true}", 10))).kind, Kind::Motion);
        let mut retained = publish("z/a/availability", "offline", 11);
        retained.retain = true;
        assert_eq!(event(handler.parse(&retained)).kind, Kind::Off);
        let Parsed::Refused(refused) = handler.parse(&publish("z/a", "{", 6)) else { panic!("it is taken") };
        assert_eq!((refused.source.as_str(), refused.payload.as_str()), ("mqtt", r#"{"payload":"{","topic":"z/a"}"#));
    }

    #[test]
    fn motion_after_a_clock_was_set_back_stays_in_the_hour_in_which_it_happened() {
        let calendar = Calendar::default();
        let eleven = calendar.parse("2024-03-05 11:00:00").unwrap();
        let mut last = Timestamp::MIN;
        let mut hour = |now| {
            last = arrival_time(last, now);
            calendar.hour(last)
        };
        assert_eq!(hour(eleven - 1), calendar.hour(eleven) - 1);
        assert_eq!(hour(eleven + 120), calendar.hour(eleven));
        // Ten minutes back: the motions of the next minutes do not fall into the hour before.
        for second in 0..1500 {
            assert_eq!(hour(eleven + 120 - 600 + second), calendar.hour(eleven), "{second}");
        }
        assert_eq!(hour(eleven + 3600), calendar.hour(eleven) + 1);
    }

    #[test]
    fn a_clock_set_back_far_is_believed() {
        assert_eq!(arrival_time(10_000, 6400), 6400);
        assert_eq!(arrival_time(6400, 90_000), 90_000);
    }
}
