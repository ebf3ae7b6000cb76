//! The instants of a sensor in about two bytes each. A server holds the readings of all its rooms for months, and shares
//! them between a history, its grids and its new readings.

use std::fmt;
use std::sync::Arc;

use crate::calendar::{Calendar, Hour, Timestamp};

/// Number of instants in a block. The first of each is written in full, so that a search reads one block.
const BLOCK: usize = 128;

/// Instants (seconds) of a sensor, ascending, each once. Clones share them until one is changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Times(Option<Arc<Packed>>);

/// One instant or more.
#[derive(Clone, Default, PartialEq, Eq)]
struct Packed {
    /// The first instant of each block, and where the block begins in `bytes`.
    blocks: Vec<(Timestamp, usize)>,
    /// The difference of each other instant to the one before it: seven bits per byte, the lowest first; the top bit is
    /// set while more bytes follow.
    bytes: Vec<u8>,
    last: Timestamp,
    len: usize,
}

static NONE: Packed = Packed { blocks: Vec::new(), bytes: Vec::new(), last: 0, len: 0 };

impl Times {
    fn packed(&self) -> &Packed {
        self.0.as_deref().unwrap_or(&NONE)
    }

    /// Returns the number of instants.
    pub fn len(&self) -> usize {
        self.packed().len
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the first instant.
    pub fn first(&self) -> Option<Timestamp> {
        self.packed().blocks.first().map(|block| block.0)
    }

    /// Returns the last instant.
    pub fn last(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|packed| packed.last)
    }

    /// Returns the instants, ascending.
    pub fn iter(&self) -> Iter<'_> {
        Iter { packed: self.packed(), at: 0, offset: 0, time: 0 }
    }

    /// Returns the instants at `from` or later, ascending.
    pub fn iter_from(&self, from: Timestamp) -> Iter<'_> {
        let packed = self.packed();
        let block = packed.blocks.partition_point(|block| block.0 < from);
        if block == 0 {
            return self.iter();
        }
        if packed.last < from {
            return Iter { packed, at: packed.len, offset: packed.bytes.len(), time: packed.last };
        }
        let mut found = Iter { packed, at: (block - 1) * BLOCK, offset: packed.blocks[block - 1].1, time: 0 };
        loop {
            let mut next = found.clone();
            match next.next() {
                Some(time) if time < from => found = next,
                _ => return found,
            }
        }
    }

    /// Returns the hours that have an instant, ascending, and how many each has.
    pub fn hours(&self, calendar: &Calendar) -> impl Iterator<Item = (Hour, usize)> {
        let mut times = self.iter().peekable();
        std::iter::from_fn(move || {
            let hour = calendar.hour(times.next()?);
            let mut count = 1;
            while times.next_if(|&time| calendar.hour(time) == hour).is_some() {
                count += 1;
            }
            Some((hour, count))
        })
    }

    /// Returns the number of instants before another.
    pub fn count_before(&self, instant: Timestamp) -> usize {
        self.iter_from(instant).at
    }

    /// Returns the last instant before another.
    pub fn last_before(&self, instant: Timestamp) -> Option<Timestamp> {
        let rest = self.iter_from(instant);
        (rest.at > 0).then_some(rest.time)
    }

    /// Returns whether an instant is among them.
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.iter_from(instant).next() == Some(instant)
    }

    /// Returns the instants before `origin`. Shares them when that is all of them.
    pub fn before(&self, origin: Timestamp) -> Times {
        let Iter { packed, at, offset, time } = self.iter_from(origin);
        match at {
            0 => Times::default(),
            _ if at == packed.len => self.clone(),
            _ => Times::of(Packed {
                blocks: packed.blocks[..at.div_ceil(BLOCK)].to_vec(),
                bytes: packed.bytes[..offset].to_vec(),
                last: time,
                len: at,
            }),
        }
    }

    /// Returns the instants at `from` or later. Shares them when that is all of them.
    pub fn since(&self, from: Timestamp) -> Times {
        let rest = self.iter_from(from);
        if rest.at == 0 { self.clone() } else { Times::ascending(rest) }
    }

    /// Adds instants. Those that come after all others are appended.
    pub fn add(&mut self, more: &Times) {
        match (&mut self.0, more.first()) {
            (_, None) => {}
            (None, _) => *self = more.clone(),
            (Some(known), Some(first)) if known.last < first => Arc::make_mut(known).append(more.iter()),
            _ => *self = self.iter().chain(more.iter()).collect(),
        }
    }

    /// Keeps those for which `keep` returns true.
    pub fn retain(&mut self, keep: impl Fn(&Timestamp) -> bool) {
        *self = self.iter().filter(keep).collect();
    }

    fn of(packed: Packed) -> Times {
        Times((packed.len > 0).then(|| Arc::new(packed)))
    }

    fn ascending(times: impl ExactSizeIterator<Item = Timestamp>) -> Times {
        let mut packed = Packed::default();
        packed.append(times);
        packed.bytes.shrink_to_fit();
        Times::of(packed)
    }
}

impl Packed {
    /// Appends ascending instants after the last.
    fn append(&mut self, times: impl ExactSizeIterator<Item = Timestamp>) {
        // A list that grows by a few does not take twice its place.
        self.bytes.reserve_exact(2 * times.len() + 8);
        self.blocks.reserve_exact((self.len + times.len()).div_ceil(BLOCK) - self.blocks.len());
        for time in times {
            if self.len.is_multiple_of(BLOCK) {
                self.blocks.push((time, self.bytes.len()));
            } else {
                let mut difference = time.wrapping_sub(self.last) as u64;
                while difference >= 0x80 {
                    self.bytes.push(difference as u8 | 0x80);
                    difference >>= 7;
                }
                self.bytes.push(difference as u8);
            }
            self.last = time;
            self.len += 1;
        }
    }
}

/// The instants of a [`Times`] from one on, ascending.
#[derive(Clone)]
pub struct Iter<'a> {
    packed: &'a Packed,
    /// Number of instants passed.
    at: usize,
    /// Number of bytes passed.
    offset: usize,
    /// The last instant passed, if any.
    time: Timestamp,
}

impl Iterator for Iter<'_> {
    type Item = Timestamp;

    #[inline]
    fn next(&mut self) -> Option<Timestamp> {
        if self.at == self.packed.len {
            return None;
        }
        if self.at.is_multiple_of(BLOCK) {
            self.time = self.packed.blocks[self.at / BLOCK].0;
        } else {
            let (mut difference, mut shift) = (0, 0);
            loop {
                let byte = self.packed.bytes[self.offset];
                self.offset += 1;
                difference |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
                shift += 7;
            }
            self.time = self.time.wrapping_add(difference as Timestamp);
        }
        self.at += 1;
        Some(self.time)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.packed.len - self.at;
        (rest, Some(rest))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Times {
    type Item = Timestamp;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl From<Vec<Timestamp>> for Times {
    /// Takes instants in any order. Those that are there twice count once.
    fn from(mut times: Vec<Timestamp>) -> Times {
        if !times.is_sorted_by(|a, b| a < b) {
            // The stable sort finds the runs of a nearly ordered list and merges them.
            times.sort();
            times.dedup();
        }
        Times::ascending(times.into_iter())
    }
}

impl FromIterator<Timestamp> for Times {
    fn from_iter<I: IntoIterator<Item = Timestamp>>(times: I) -> Times {
        Times::from(Vec::from_iter(times))
    }
}

impl Extend<Timestamp> for Times {
    fn extend<I: IntoIterator<Item = Timestamp>>(&mut self, times: I) {
        let times = Vec::from_iter(times);
        let is_later = times.first().copied() > self.last() && times.is_sorted_by(|a, b| a < b);
        match &mut self.0 {
            Some(known) if is_later => Arc::make_mut(known).append(times.into_iter()),
            _ => self.add(&times.into()),
        }
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Instants as sensors have them, and any.
    fn instants() -> impl Strategy<Value = Vec<Timestamp>> {
        let time = prop_oneof![9 => 0..20_000_i64, 1 => any::<Timestamp>()];
        prop::collection::vec(time, 0..500)
    }

    proptest! {
        #[test]
        fn times_are_a_set_in_order(first in instants(), more in prop::collection::vec(instants(), 0..4), at in 0..21_000_i64) {
            let mut expected: BTreeSet<Timestamp> = first.iter().copied().collect();
            let mut times = Times::from(first);
            for more in more {
                expected.extend(&more);
                let before = times.clone();
                times.add(&more.into());
                prop_assert!(before.len() <= times.len() && before.iter().all(|time| times.contains(time)));
            }
            let list = Vec::from_iter(expected.iter().copied());
            prop_assert_eq!(Vec::from_iter(&times), list.clone());
            // However they came, equal instants are equal.
            prop_assert_eq!(&times, &Times::from(list.clone()));
            prop_assert_eq!((times.first(), times.last()), (list.first().copied(), list.last().copied()));
            for at in [at, Timestamp::MIN, Timestamp::MAX].into_iter().chain(list.iter().step_by(50).copied()) {
                let (before, since) = list.split_at(list.partition_point(|&time| time < at));
                prop_assert_eq!(times.before(at), before.to_vec().into());
                prop_assert_eq!(times.since(at), since.to_vec().into());
                prop_assert_eq!(times.count_before(at), before.len());
                prop_assert_eq!(times.last_before(at), before.last().copied());
                prop_assert_eq!(times.contains(at), expected.contains(&at));
                prop_assert_eq!(times.iter_from(at).len(), since.len());
            }
        }
    }

    #[test]
    fn sixty_days_of_a_room_take_two_bytes_a_reading() {
        let readings = sixty_days();
        let times = Times::from(readings.clone());
        let packed = times.packed();
        assert!(packed.bytes.len() + 16 * packed.blocks.len() < 9 * readings.len() / 4, "{}", packed.bytes.len());
        let mut grown = times.clone();
        grown.extend([readings[readings.len() - 1] + 300]);
        assert!(grown.packed().bytes.capacity() < packed.bytes.len() + 32);
        assert_eq!(times.len() + 1, grown.len());
    }

    /// Fifty readings a day, some minutes apart, and nights.
    fn sixty_days() -> Vec<Timestamp> {
        let day = |day: i64| (0..50).map(move |reading| day * 86_400 + 30_000 + reading * 640 + reading * reading % 97);
        (0..60).flat_map(day).collect()
    }
}
