//! Shared instants of a device. A server holds a history, its grids and what is new in them without copies.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::calendar::Instant;

/// Instants (seconds) at which a sensor fired. Clones share one list until one of them is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times(Arc<Vec<Instant>>);

impl Times {
    /// Returns the times before `origin` of an ascending list. Shares the list when that is all of them.
    pub fn before(&self, origin: Instant) -> Times {
        let n = self.partition_point(|&time| time < origin);
        if n == self.len() { self.clone() } else { self[..n].to_vec().into() }
    }

    /// Returns the times at `from` or later of an ascending list. Shares the list when that is all of them.
    pub fn since(&self, from: Instant) -> Times {
        let n = self.partition_point(|&time| time < from);
        if n == 0 { self.clone() } else { self[n..].to_vec().into() }
    }
}

impl Deref for Times {
    type Target = Vec<Instant>;

    fn deref(&self) -> &Vec<Instant> {
        &self.0
    }
}

impl DerefMut for Times {
    fn deref_mut(&mut self) -> &mut Vec<Instant> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<Instant>> for Times {
    fn from(times: Vec<Instant>) -> Times {
        Times(Arc::new(times))
    }
}

impl FromIterator<Instant> for Times {
    fn from_iter<I: IntoIterator<Item = Instant>>(times: I) -> Times {
        Times::from(Vec::from_iter(times))
    }
}

impl<'a> IntoIterator for &'a Times {
    type Item = &'a Instant;
    type IntoIter = std::slice::Iter<'a, Instant>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
