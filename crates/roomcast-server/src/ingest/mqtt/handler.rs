//! Conversion of messages to events.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rumqttc::{Publish, QoS};
use tokio::sync::mpsc;

use super::Received;
use crate::ingest::Source;
use crate::ingest::arrival::ArrivalClock;
use crate::ingest::edges::Edges;
use crate::ingest::health::Health;
use crate::ingest::payload::form::Said;
use crate::ingest::payload::kept;
use crate::ingest::payload::message::{Message, Reader};
use crate::ingest::writer::{Answer, Writer};
use crate::mqtt::broker::MOST_BYTES;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{Batch, Event, Kind, Refused};

/// Converts messages to events and hands them to the writer.
pub struct Handler {
    reader: Reader,
    calendar: Calendar,
    edges: Edges,
    clock: ArrivalClock,
    health: Arc<Health>,
    writer: Writer,
    /// The result of the last message of each number, with its hash. A message that the broker sends again gets the
    /// same result, with the time of its first arrival.
    made: HashMap<u16, (u64, Made)>,
    hasher: RandomState,
}

/// The result of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Made {
    /// The message is about no sensor, or says nothing about now.
    Nothing,
    Event(Event),
    Refused(Refused),
}

/// Most messages that are stored together.
const TOGETHER: usize = 256;

/// Messages to acknowledge once they are stored.
pub(crate) struct Due {
    messages: Vec<Received>,
    /// None when there was nothing to store.
    answer: Option<Answer>,
}

impl Handler {
    /// Makes a handler that starts from the devices' states in `edges`.
    pub fn new(reader: Reader, calendar: Calendar, edges: Edges, health: Arc<Health>, writer: Writer) -> Handler {
        Handler {
            reader,
            calendar,
            edges,
            clock: ArrivalClock::default(),
            health,
            writer,
            made: HashMap::new(),
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
        acks: mpsc::UnboundedSender<Due>,
    ) {
        loop {
            // Waiting messages are stored together: handing each over by itself would cost more than storing it.
            let mut messages = Vec::new();
            if received.recv_many(&mut messages, TOGETHER).await == 0 {
                return;
            }
            let (mut batch, mut bytes) = (Batch::default(), 0);
            for Received { publish, too_large, .. } in &mut messages {
                let made = match too_large {
                    Some(bytes) => self.skip(publish, *bytes),
                    None => self.make(publish),
                };
                match made {
                    Made::Nothing => {}
                    Made::Event(event) => batch.events.push(event),
                    Made::Refused(refused) => batch.refused.push(refused),
                }
                bytes += std::mem::take(&mut publish.payload).len();
            }
            let answer = match batch.events.is_empty() && batch.refused.is_empty() {
                true => None,
                false => Some(self.writer.insist(Source::Mqtt, batch, bytes).await),
            };
            // The receiving task lives as long as this one.
            let _ = acks.send(Due { messages, answer });
        }
    }

    /// Returns what to store of a message.
    fn make(&mut self, publish: &Publish) -> Made {
        if publish.qos == QoS::AtMostOnce {
            return self.read(publish);
        }
        let sum = self.hasher.hash_one((&publish.topic, &publish.payload[..]));
        if publish.dup
            && let Some((known, made)) = self.made.get(&publish.pkid)
            && *known == sum
        {
            return made.clone();
        }
        let made = self.read(publish);
        self.made.insert(publish.pkid, (sum, made.clone()));
        made
    }

    fn read(&mut self, publish: &Publish) -> Made {
        match self.reader.read(topic(publish), &publish.payload, &self.calendar) {
            Ok(None) => Made::Nothing,
            Ok(Some(message)) => self.event(message, publish.retain).map_or(Made::Nothing, Made::Event),
            Err(reason) => refused(publish, reason),
        }
    }

    /// Returns what to store of a message of `bytes` bytes that was too large to be read.
    fn skip(&self, publish: &Publish, bytes: usize) -> Made {
        if !self.reader.is_of_sensor(topic(publish)) {
            return Made::Nothing;
        }
        let (found, most) = (bytes.div_ceil(1 << 20), MOST_BYTES >> 20);
        refused(publish, format!("the message has {found} MiB, at most {most} are read"))
    }

    /// Returns the event of a message, if it is one. A retained message may be of any age. Without a time of its own it
    /// says nothing about now, except that a sensor is offline.
    fn event(&mut self, message: Message, retained: bool) -> Option<Event> {
        let Message { device, said, time } = message;
        if let Said::Available(online) = said {
            self.health.set(&device, online);
        } else if !retained {
            self.health.set(&device, true);
        }
        if retained && time.is_none() {
            return None;
        }
        let time = time.unwrap_or_else(|| self.clock.now(&self.calendar));
        let kind = match said {
            Said::Motion(occupied) => self.edges.kind(&device, occupied, time),
            Said::Available(false) => return None,
            // Nothing is kept of sensors that do not report motion.
            Said::Available(true) | Said::Else => self.edges.knows(&device).then_some(Kind::Rest)?,
        };
        Some(Event { device, time, kind, id: None })
    }
}

/// Returns the topic of a message, whose packet was checked when it was read.
pub(crate) fn topic(publish: &Publish) -> &str {
    std::str::from_utf8(&publish.topic).unwrap_or_default()
}

fn refused(publish: &Publish, reason: String) -> Made {
    let payload = serde_json::json!({ "topic": topic(publish), "payload": kept(&publish.payload) });
    let payload = kept(payload.to_string().as_bytes());
    Made::Refused(Refused { source: Source::Mqtt.name().into(), payload, reason })
}

/// Acknowledges messages in the order in which they came, each once it is stored.
pub(crate) async fn acknowledge(mut due: mpsc::UnboundedReceiver<Due>, backlog: Arc<AtomicUsize>) {
    while let Some(Due { messages, answer }) = due.recv().await {
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
            let acknowledged = together.iter().filter(|message| message.publish.qos == QoS::AtLeastOnce);
            // A closed connection takes no acknowledgement. The next connection brings the message again.
            let _ = together[0].acks.send(acknowledged.map(|message| message.publish.pkid).collect());
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

    fn event(made: Made) -> Event {
        match made {
            Made::Event(event) => event,
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
        let (first, second) = (handler.make(&fired), handler.make(&rested));
        assert_eq!((event(first.clone()).kind, event(second.clone()).kind), (Kind::Motion, Kind::Rest));
        assert_eq!((handler.make(&again(fired)), handler.make(&again(rested))), (first, second));
        // Another message with a number that was used before.
        let other = event(handler.make(&again(publish("z/b", "{\"occupancy\":true}", 2))));
        assert_eq!((other.device.as_str(), other.kind), ("b", Kind::Motion));
    }

    #[tokio::test]
    async fn of_what_is_too_large_a_sensors_message_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let handler = handler(&place.path().join("a.db")).await;
        let Made::Refused(refused) = handler.skip(&publish("z/a", "xx", 1), 17 << 20) else { panic!("it is taken") };
        assert_eq!(refused.reason, "the message has 17 MiB, at most 16 are read");
        assert_eq!(refused.payload, r#"{"payload":"xx","topic":"z/a"}"#);
        assert_eq!(handler.skip(&publish("z/bridge", "xx", 1), 17 << 20), Made::Nothing);
    }

    #[tokio::test]
    async fn states_of_any_age_and_other_sensors_are_no_events() {
        let place = tempfile::tempdir().unwrap();
        let mut handler = handler(&place.path().join("a.db")).await;
        let mut retained = publish("z/a", "{\"occupancy\":true}", 1);
        retained.retain = true;
        assert_eq!(handler.make(&retained), Made::Nothing);
        assert_eq!(handler.make(&publish("z/a", "{\"temperature\":20}", 2)), Made::Nothing);
        assert_eq!(handler.make(&publish("z/a/availability", "offline", 3)), Made::Nothing);
        assert_eq!(handler.health.offline(), ["a"]);
        assert_eq!(event(handler.make(&publish("z/a", "{\"occupancy\":false}", 4))).kind, Kind::Rest);
        assert_eq!(event(handler.make(&publish("z/a", "{\"temperature\":20}", 5))).kind, Kind::Rest);
        assert_eq!(handler.health.count(), 0);
        let Made::Refused(refused) = handler.make(&publish("z/a", "{", 6)) else { panic!("it is taken") };
        assert_eq!((refused.source.as_str(), refused.payload.as_str()), ("mqtt", r#"{"payload":"{","topic":"z/a"}"#));
    }
}
