//! Random numbers of a seed.

use std::ops::Range;

/// A generator of random numbers (SplitMix64). The same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number of a range that is not empty.
    pub fn of(&mut self, range: Range<u64>) -> u64 {
        range.start + self.bits() % (range.end - range.start).max(1)
    }

    /// Returns true in so many of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.of(0..100) < percent
    }

    /// Returns a generator of its own.
    pub fn branch(&mut self) -> Chance {
        Chance(self.bits())
    }
}
