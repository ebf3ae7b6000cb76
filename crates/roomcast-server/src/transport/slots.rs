//! Number of connections of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::access::limits::network;

/// The connections of every address.
#[derive(Debug)]
pub struct Connections {
    /// Number of connections an address may have; 0 for no limit.
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection of an address; released when dropped.
#[derive(Debug)]
pub struct Slot {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// Returns a count without connections, of which an address may have `limit`; 0 for no limit.
    pub fn new(limit: usize) -> Arc<Connections> {
        Arc::new(Connections { limit, open: Mutex::default() })
    }

    /// Counts a connection of an address. Returns `None` if the address has reached its limit.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Slot { connections: self.clone(), address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_connections_as_it_may() {
        let connections = Connections::new(2);
        let [one, two] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        let mut slots: Vec<_> = (0..2).map(|_| connections.admit(one).expect("a place")).collect();
        assert!(connections.admit(one).is_none() && connections.admit(two).is_some());
        slots.pop();
        assert!(connections.admit(one).is_some());
        drop(slots);
        assert!(connections.open.lock().unwrap().is_empty());
        let all = Connections::new(0);
        assert_eq!((0..1000).filter_map(|_| all.admit(one)).collect::<Vec<_>>().len(), 1000);
    }
}
