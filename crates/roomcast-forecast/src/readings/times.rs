//! Shared instants of a device. A server holds a history, its grids and its new readings without copies.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::calendar::Timestamp;

/// Instants (seconds) of a sensor. Clones share one list until one of them is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times(Arc<Vec<Timestamp>>);

impl Times {
    /// Returns the times before `origin` of an ascending list. Shares the list when that is all of them.
    pub fn before(&self, origin: Timestamp) -> Times {
        let n = self.partition_point(|&time| time < origin);
        if n == self.len() { self.clone() } else { self[..n].to_vec().into() }
    }

    /// Returns the times at `from` or later of an ascending list. Shares the list when that is all of them.
    pub fn since(&self, from: Timestamp) -> Times {
        let n = self.partition_point(|&time| time < from);
        if n == 0 { self.clone() } else { self[n..].to_vec().into() }
    }

    /// Adds times to an ascending list, each once.
    pub(super) fn add(&mut self, more: &Times) {
        if more.is_empty() {
            return;
        }
        let in_order = self.last() < more.first();
        self.extend(more);
        if !in_order {
            self.sort();
            self.dedup();
        }
    }
}

impl Deref for Times {
    type Target = Vec<Timestamp>;

    fn deref(&self) -> &Vec<Timestamp> {
        &self.0
    }
}

impl DerefMut for Times {
    fn deref_mut(&mut self) -> &mut Vec<Timestamp> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<Timestamp>> for Times {
    fn from(times: Vec<Timestamp>) -> Times {
        Times(Arc::new(times))
    }
}

impl FromIterator<Timestamp> for Times {
    fn from_iter<I: IntoIterator<Item = Timestamp>>(times: I) -> Times {
        Times::from(Vec::from_iter(times))
    }
}

impl<'a> IntoIterator for &'a Times {
    type Item = &'a Timestamp;
    type IntoIter = std::slice::Iter<'a, Timestamp>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
