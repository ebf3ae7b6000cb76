//! Limits of the quarantine: it keeps the latest refused rows.

use std::collections::HashMap;

use super::plan::Reject;

/// Most rows of the quarantine.
pub(super) const MOST_ROWS: i64 = 100_000;

/// Most bytes of payloads and reasons in the quarantine.
pub(super) const MOST_BYTES: i64 = 64 << 20;

/// Most bytes of one batch. A database grows by what one transaction writes before it can reuse room.
const BATCH_BYTES: i64 = 16 << 20;

/// Most rows that one step drops, and rows dropped in a batch after which no further step is made. A store made before
/// the limits existed shrinks little by little, so no batch waits long for it.
const MOST_AT_ONCE: i64 = 5000;
pub(super) const ENOUGH_DROPPED: u64 = 20_000;

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

/// Returns how many of the oldest rows to drop next; none when the quarantine is within its limits.
pub(super) fn excess(rows: i64, bytes: i64) -> Option<i64> {
    (rows > MOST_ROWS || bytes > MOST_BYTES).then(|| (rows - MOST_ROWS).max(rows / 100 + 1).min(MOST_AT_ONCE))
}

/// Removes the first rows of a batch until the others fit. Returns how many were removed.
pub(super) fn shorten(refused: &mut Vec<Reject<'_>>) -> u64 {
    let (mut bytes, mut kept) = (0, 0);
    for reject in refused.iter().rev() {
        bytes += reject.bytes();
        if bytes > BATCH_BYTES || kept >= MOST_ROWS as usize {
            break;
        }
        kept += 1;
    }
    refused.drain(..refused.len() - kept).len() as u64
}

/// Returns the rows and bytes by which the quarantine grew. `held` has the key and the `seen` of each written row.
pub(super) fn growth(refused: &[Reject<'_>], held: &[(i64, i64)]) -> (i64, i64) {
    let held: HashMap<i64, i64> = held.iter().copied().collect();
    // A row that was there before has a higher count than this batch alone gives it.
    let new = refused.iter().filter(|reject| held.get(&reject.key) == Some(&reject.seen));
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
        let half = BATCH_BYTES as usize / 2;
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
        assert_eq!(excess(MOST_ROWS, MOST_BYTES), None);
        assert_eq!(excess(MOST_ROWS + 5000, 0), Some(5000));
        assert_eq!(excess(20, MOST_BYTES + 1), Some(1));
    }
}
