//! Rendered answers, kept as long as the data and models they were computed from.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use actix_web::http::header::EntityTag;
use actix_web::web::Bytes;
use flate2::Compression;

use roomcast_forecast::calendar::Timestamp;

/// Maximum number of answers kept, and of bytes of all of them.
const MAX_ANSWERS: usize = 256;
const MAX_BYTES: usize = 64 << 20;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Forecasts as JSON.
    Json,
    /// Forecasts as CSV.
    Csv,
    /// Forecasts in few bytes, with the observed states until this instant.
    Compact(Timestamp, u64),
    /// The list of devices, with the scores after this number of scorings.
    Devices(u64),
}

/// The key of an answer: everything it depends on besides data and models.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The instant of the forecast.
    pub origin: Timestamp,
    /// The form of the answer.
    pub form: Form,
    /// Days of 24 hours that the forecast reaches.
    pub days: usize,
    /// Positions of the devices in the history, ascending; empty for all.
    pub devices: Vec<u32>,
}

/// A rendered answer.
#[derive(Debug)]
pub struct Answer {
    /// Its bytes.
    pub body: Bytes,
    /// The same bytes compressed, once a client has requested them.
    pub gzip: OnceLock<Bytes>,
    /// The compression level.
    pub level: Compression,
    /// Its entity tag.
    pub tag: EntityTag,
    used: AtomicU64,
}

/// The answers of one snapshot.
#[derive(Debug, Default)]
pub struct Answers {
    known: RwLock<HashMap<Key, Arc<Answer>>>,
    clock: AtomicU64,
    /// One for answers of 24 hours, one for those of more days, which take longer.
    rendering: [Mutex<()>; 2],
}

impl Answers {
    /// Waits until no other thread renders, so that two requests for the same answer render it once.
    pub(crate) fn lock_rendering(&self, key: &Key) -> MutexGuard<'_, ()> {
        self.rendering[usize::from(key.days > 1)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an answer, if it is cached.
    pub fn get(&self, key: &Key) -> Option<Arc<Answer>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let answer = known.get(key)?;
        answer.used.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        Some(answer.clone())
    }

    /// Stores an answer, and drops the least recently used ones above the limits. One that is larger than all may be
    /// together is not stored.
    pub fn put(&self, key: Key, body: Vec<u8>, tag: EntityTag) -> Arc<Answer> {
        let used = AtomicU64::new(self.clock.fetch_add(1, Relaxed));
        let level = match key.form {
            Form::Compact(..) => Compression::best(),
            Form::Json | Form::Csv | Form::Devices(_) => Compression::fast(),
        };
        let answer = Arc::new(Answer { body: body.into(), gzip: OnceLock::new(), level, tag, used });
        if answer.body.len() > MAX_BYTES {
            return answer;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, answer.clone());
        let bytes = |answer: &Answer| answer.body.len() + answer.gzip.get().map_or(0, Bytes::len);
        while known.len() > MAX_ANSWERS
            || (known.len() > 1 && known.values().map(|a| bytes(a)).sum::<usize>() > MAX_BYTES)
        {
            let oldest = known.iter().min_by_key(|(_, answer)| answer.used.load(Relaxed)).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            known.remove(&oldest);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(origin: Timestamp) -> Key {
        Key { origin, form: Form::Json, days: 1, devices: Vec::new() }
    }

    fn put(answers: &Answers, origin: Timestamp, bytes: usize) {
        answers.put(key(origin), vec![0; bytes], EntityTag::new_weak(String::new()));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let answers = Answers::default();
        for origin in 0..MAX_ANSWERS as i64 {
            put(&answers, origin, 10);
        }
        assert!(answers.get(&key(0)).is_some());
        put(&answers, -1, 10);
        assert!(answers.get(&key(0)).is_some() && answers.get(&key(1)).is_none());
        put(&answers, -3, MAX_BYTES + 1);
        assert!(answers.get(&key(-3)).is_none() && answers.get(&key(-1)).is_some());
        put(&answers, -2, MAX_BYTES);
        assert!(answers.get(&key(-2)).is_some() && answers.get(&key(0)).is_none());
    }
}
