//! Limits of the quarantine: it keeps the latest refused rows.

use std::collections::HashMap;

use super::batch::Batch;
use super::hash::hash;

/// Most rows of the quarantine.
pub(super) const MAX_ROWS: i64 = 100_000;

/// Most bytes of payloads and reasons in the quarantine.
pub(super) const MAX_BYTES: i64 = 64 << 20;

/// Maximum number of bytes of one batch. A database grows by the bytes of one transaction before it can reuse room.
const MAX_BATCH_BYTES: i64 = 16 << 20;

/// Most rows that one step drops, and rows that a batch drops beyond those it adds. A store made before the limits existed
/// shrinks little by little, so no batch waits long for it, and no batch adds more than it drops.
const MAX_DROP_ROWS: i64 = 5000;
const MAX_EXTRA_DROPS: u64 = 20_000;

/// Longest payload and reason kept, in bytes. The longest payload that a source hands on fits.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
const MAX_REASON_BYTES: usize = 1024;

/// A row for the quarantine.
pub(super) struct Reject<'a> {
    /// 64 bits of the SHA-256 of source, payload and reason. Repetitions have the same key and become one row.
    pub key: i64,
    /// Number of times the row is in the batch.
    pub seen: i64,
    pub source: &'a str,
    pub payload: String,
    pub reason: String,
}

impl Reject<'_> {
    /// Returns the bytes that count against the quarantine's limit.
    pub fn bytes(&self) -> i64 {
        (self.payload.len() + self.reason.len()) as i64
    }
}

/// The size of the quarantine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuarantineSize {
    /// Number of rows.
    pub rows: u64,
    /// Bytes of their payloads and reasons.
    pub bytes: u64,
    /// Number of rows ever dropped to make room for later ones.
    pub dropped: u64,
}

impl QuarantineSize {
    pub(super) fn new((rows, bytes, dropped): (i64, i64, i64)) -> Self {
        Self { rows: rows.max(0) as u64, bytes: bytes.max(0) as u64, dropped: dropped.max(0) as u64 }
    }
}

/// Returns the number of dropped rows after which a batch that adds rows makes no further step.
pub(super) fn most_drops(added: usize) -> u64 {
    MAX_EXTRA_DROPS + added as u64
}

/// Returns how many of the oldest rows to drop next; `None` when the quarantine is within its limits.
pub(super) fn excess(rows: i64, bytes: i64) -> Option<i64> {
    (rows > MAX_ROWS || bytes > MAX_BYTES).then(|| (rows - MAX_ROWS).max(rows / 100 + 1).min(MAX_DROP_ROWS))
}

/// Returns the refused rows of a batch in order of arrival, each once, and the number of rows that do not fit.
pub(super) fn rows(batch: &Batch) -> (Vec<Reject<'_>>, u64) {
    let mut rejects: Vec<Reject<'_>> = Vec::new();
    let mut places = HashMap::new();
    for refused in &batch.refused {
        let (payload, reason) = (clean(&refused.payload, MAX_PAYLOAD_BYTES), clean(&refused.reason, MAX_REASON_BYTES));
        let key = hash([refused.source.as_str(), &payload, &reason]);
        let place = *places.entry(key).or_insert(rejects.len());
        match rejects.get_mut(place) {
            Some(reject) => reject.seen += 1,
            None => rejects.push(Reject { key, seen: 1, source: &refused.source, payload, reason }),
        }
    }
    let dropped = shorten(&mut rejects);
    (rejects, dropped)
}

/// Returns the beginning of a text, without NUL, which PostgreSQL cannot store.
fn clean(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or_default()].replace('\0', "\u{fffd}")
}

/// Removes the first rows of a batch until the others fit. Returns how many were removed.
fn shorten(refused: &mut Vec<Reject<'_>>) -> u64 {
    let (mut bytes, mut kept) = (0, 0);
    for reject in refused.iter().rev() {
        bytes += reject.bytes();
        if bytes > MAX_BATCH_BYTES || kept >= MAX_ROWS as usize {
            break;
        }
        kept += 1;
    }
    refused.drain(..refused.len() - kept).len() as u64
}

/// Returns the rows and bytes by which the quarantine grew. `written` has the key and the `seen` of each written row.
pub(super) fn growth(refused: &[Reject<'_>], written: &[(i64, i64)]) -> (i64, i64) {
    let seen: HashMap<i64, i64> = written.iter().copied().collect();
    // A row that was there before has a higher count than this batch alone gives it.
    let new = refused.iter().filter(|reject| seen.get(&reject.key) == Some(&reject.seen));
    new.fold((0, 0), |(rows, bytes), reject| (rows + 1, bytes + reject.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(key: i64, seen: i64, bytes: usize) -> Reject<'static> {
        Reject { key, seen, source: "file", payload: "x".repeat(bytes), reason: String::new() }
    }

    #[test]
    fn the_last_rows_of_a_batch_that_fit_are_kept() {
        let half = MAX_BATCH_BYTES as usize / 2;
        let mut refused = vec![reject(1, 1, 1), reject(2, 1, half), reject(3, 1, half)];
        assert_eq!((shorten(&mut refused), refused[0].key, refused.len()), (1, 2, 2));
        assert_eq!((shorten(&mut refused), shorten(&mut Vec::new())), (0, 0));
    }

    #[test]
    fn only_rows_that_are_new_count() {
        let refused = [reject(1, 2, 10), reject(2, 1, 100)];
        assert_eq!(growth(&refused, &[(1, 2), (2, 1)]), (2, 110));
        assert_eq!(growth(&refused, &[(1, 2), (2, 8)]), (1, 10));
    }

    #[test]
    fn the_oldest_rows_go_until_the_others_fit() {
        assert_eq!(excess(MAX_ROWS, MAX_BYTES), None);
        assert_eq!(excess(MAX_ROWS + 5000, 0), Some(5000));
        assert_eq!(excess(20, MAX_BYTES + 1), Some(1));
    }
}
