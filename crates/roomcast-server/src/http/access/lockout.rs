//! Lockout of addresses that guess tokens. After 30 wrong tokens within a minute, all requests of the address are
//! refused for a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Number of wrong tokens within [`PERIOD`] after which an address is locked out.
const MAX_WRONG_TOKENS: u32 = 30;

/// Time for which wrong tokens are remembered, and for which an address is locked out.
const PERIOD: Duration = Duration::from_secs(60);

/// Maximum number of addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// The wrong tokens of all addresses.
#[derive(Debug, Default)]
pub struct Lockout {
    known: RwLock<HashMap<IpAddr, Guesses>>,
}

/// The wrong tokens of an address.
#[derive(Debug, Clone, Copy)]
struct Guesses {
    wrong: u32,
    /// The time at which they are dropped: a period after the first, or after the one that locked the address out.
    until: Instant,
}

impl Lockout {
    /// Returns how long an address is still locked out, if it is.
    pub(crate) fn remaining(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let guesses = known.get(&address).filter(|guesses| guesses.wrong >= MAX_WRONG_TOKENS)?;
        Some(guesses.until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Counts a wrong token of an address, and returns whether it is the one that locks it out.
    pub fn count(&self, address: IpAddr, now: Instant) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ADDRESSES && !known.contains_key(&address) {
            known.retain(|_, guesses| guesses.until > now);
            // When all places are taken by guessing addresses, the one that would be dropped first makes room.
            if known.len() >= MAX_ADDRESSES
                && let Some(first) = known.iter().min_by_key(|(_, guesses)| guesses.until).map(|(address, _)| *address)
            {
                known.remove(&first);
            }
        }
        let guesses = known.entry(address).or_insert(Guesses { wrong: 0, until: now + PERIOD });
        if guesses.until <= now {
            *guesses = Guesses { wrong: 0, until: now + PERIOD };
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
        let locks = guesses.wrong == MAX_WRONG_TOKENS;
        if locks {
            guesses.until = now + PERIOD;
        }
        locks
    }

    /// Drops expired entries.
    pub fn tidy(&self, now: Instant) {
        let is_expired = |guesses: &Guesses| guesses.until <= now;
        if self.known.read().unwrap_or_else(PoisonError::into_inner).values().any(is_expired) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, guesses| !is_expired(guesses));
            known.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn thirty_within_a_minute_lock_for_a_minute() {
        let (lockout, start) = (Lockout::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let locked: Vec<u64> = (0..40).filter(|&second| lockout.count(GUESSER, after(second))).collect();
        assert_eq!(locked, [29]);
        // Guesses that arrive during the lockout, which were under way before it, prolong nothing.
        assert_eq!(lockout.remaining(GUESSER, after(39)), Some(Duration::from_secs(50)));
        assert_eq!(
            (lockout.remaining(GUESSER, after(89)), lockout.remaining([10, 0, 0, 2].into(), after(39))),
            (None, None)
        );
    }

    #[test]
    fn occasional_wrong_tokens_lock_nobody_out() {
        let (lockout, start) = (Lockout::default(), Instant::now());
        let locked = (0..500).any(|guess| lockout.count(GUESSER, start + Duration::from_secs(3 * guess)));
        assert!(!locked && lockout.remaining(GUESSER, start).is_none());
    }

    #[test]
    fn memory_is_bounded_and_expired_entries_are_dropped() {
        let (lockout, start) = (Lockout::default(), Instant::now());
        for address in 0..MAX_ADDRESSES as u32 + 50 {
            lockout.count(IpAddr::V4(address.into()), start + Duration::from_millis(u64::from(address)));
        }
        let known = || lockout.known.read().unwrap().len();
        assert_eq!(known(), MAX_ADDRESSES);
        lockout.tidy(start + Duration::from_secs(61));
        assert!((1..MAX_ADDRESSES).contains(&known()));
        lockout.tidy(start + 2 * PERIOD);
        assert_eq!(known(), 0);
    }
}
