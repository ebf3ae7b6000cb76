//! Topics of messages that were too large to be read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most topics that are remembered, and for how long after their last such message.
const MAX_TOPICS: usize = 100;
const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Topics with the size in bytes and the arrival time of their last skipped message.
#[derive(Debug, Default)]
pub struct Skipped {
    topics: Mutex<BTreeMap<String, (usize, Instant)>>,
    is_unnamed: AtomicBool,
}

impl Skipped {
    /// Names no topics from then on, because topics name sensors.
    pub fn hide_names(&self) {
        self.is_unnamed.store(true, SeqCst);
    }

    /// Records a skipped message. Returns its topic as far as it may be named.
    pub fn record<'a>(&self, topic: &'a str, bytes: usize, now: Instant) -> &'a str {
        let topic = if self.is_unnamed.load(SeqCst) { "a topic" } else { topic };
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.len() >= MAX_TOPICS
            && !topics.contains_key(topic)
            && let Some(oldest) = topics.iter().min_by_key(|(_, (_, came))| *came).map(|(topic, _)| topic.clone())
        {
            topics.remove(&oldest);
        }
        topics.insert(topic.to_owned(), (bytes, now));
        topic
    }

    /// Returns the topics of the last day, each with the size of its last message.
    pub fn recent(&self, now: Instant) -> Vec<String> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.retain(|_, (_, came)| now.saturating_duration_since(*came) < RETENTION);
        topics.iter().map(|(topic, (bytes, _))| format!("{topic} ({} MiB)", bytes.div_ceil(1 << 20))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_remembered_for_a_day_and_not_too_many() {
        let (skipped, start) = (Skipped::default(), Instant::now());
        skipped.record("a", 17 << 20, start);
        skipped.record("b", (18 << 20) + 1, start + Duration::from_secs(60));
        assert_eq!(skipped.recent(start + Duration::from_secs(60)), ["a (17 MiB)", "b (19 MiB)"]);
        assert_eq!(skipped.recent(start + RETENTION), ["b (19 MiB)"]);
        for n in 0..MAX_TOPICS {
            skipped.record(&format!("c{n}"), 1, start + Duration::from_secs(120));
        }
        let recent = skipped.recent(start + Duration::from_secs(120));
        assert!(recent.len() == MAX_TOPICS && recent[0].starts_with('c'), "{recent:?}");
        let unnamed = Skipped::default();
        unnamed.hide_names();
        assert_eq!(unnamed.record("zigbee2mqtt/desk", 1, start), "a topic");
        assert_eq!(unnamed.recent(start), ["a topic (1 MiB)"]);
    }
}
