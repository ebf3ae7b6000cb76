//! Limits on the requests of an address and of a token.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::lockout::Lockout;
use crate::problem::{Code, Problem};

/// Number of keys from which those without recent requests are dropped. An IPv4 address costs its owner more than a key
/// costs the server.
const MAX_KEYS: usize = 10_000;

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>;

/// The limits of all addresses and tokens.
pub struct Limits {
    addresses: Option<Keyed<IpAddr>>,
    tokens: Option<Keyed<[u8; 32]>>,
    lockout: Lockout,
    clock: DefaultClock,
}

impl Limits {
    /// Returns limits of `per_second` requests for each address and each token, twice as many in a burst; 0 for no
    /// limit.
    pub fn new(per_second: u32) -> Limits {
        let quota = NonZeroU32::new(per_second)
            .map(|rate| Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1))));
        Limits {
            addresses: quota.map(RateLimiter::keyed),
            tokens: quota.map(RateLimiter::keyed),
            lockout: Lockout::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// Returns [`Code::RateLimited`] when the address made too many requests, or is locked out for wrong tokens.
    pub fn address(&self, address: IpAddr) -> Result<(), Problem> {
        let network = network(address);
        if let Some(left) = self.lockout.remaining(network, Instant::now()) {
            return Err(Problem::new(Code::RateLimited, "this address sent too many wrong tokens")
                .hint("until the lockout ends, the server reads no token of this address")
                .retry_after(seconds(left)));
        }
        self.addresses.as_ref().map_or(Ok(()), |limiter| self.check(limiter, &network, "this address"))
    }

    /// Counts a request with a token, given by its digest.
    ///
    /// # Errors
    /// Returns the errors of [`Limits::address`].
    pub fn token(&self, digest: [u8; 32]) -> Result<(), Problem> {
        self.tokens.as_ref().map_or(Ok(()), |limiter| self.check(limiter, &digest, "this token"))
    }

    /// Counts a wrong token of an address.
    pub fn failed(&self, address: IpAddr) {
        if self.lockout.count(network(address), Instant::now()) {
            tracing::warn!(client.ip = %address, "too many wrong tokens: this address is locked out for a minute");
        }
    }

    fn check<K: Clone + std::hash::Hash + Eq>(&self, limiter: &Keyed<K>, key: &K, of: &str) -> Result<(), Problem> {
        limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::new(Code::RateLimited, format!("{of} sent too many requests")).retry_after(seconds(wait))
        })
    }

    /// Drops keys without recent requests, so that memory stays bounded.
    pub fn tidy(&self) {
        self.lockout.tidy(Instant::now());
        self.addresses.iter().for_each(tidy);
        self.tokens.iter().for_each(tidy);
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil() as u64
}

fn tidy<K: Clone + std::hash::Hash + Eq>(limiter: &Keyed<K>) {
    if limiter.len() > MAX_KEYS {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }
}

/// Returns the network that counts as one address: an IPv6 site usually has 2^64 addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_cut_off_and_told_when_to_come_back() {
        let limits = Limits::new(2);
        let address = IpAddr::from([127, 0, 0, 1]);
        let refused: Vec<Problem> = (0..10).filter_map(|_| limits.address(address).err()).collect();
        assert_eq!(refused.len(), 6);
        assert_eq!((refused[0].code, refused[0].retry_after), (Code::RateLimited, Some(1)));
        assert!(limits.address(IpAddr::from([127, 0, 0, 2])).is_ok());
        assert!((0..1000).all(|_| Limits::new(0).token([0; 32]).is_ok()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let limits = Limits::new(1);
        let at = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!(limits.address(at(1)).is_ok() && limits.address(at(2)).is_ok() && limits.address(at(3)).is_err());
    }
}
