//! Who is connected: bounded altogether and by address, so that nobody alone takes all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections are open, by where they come from.
#[derive(Debug)]
pub struct Places {
    in_all: usize,
    of_one: usize,
    // Shared by all connections, and held for one look-up; an atomic cannot hold a map.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    peer: IpAddr,
}

impl Places {
    /// Places for `in_all` connections, and for `of_one` from one address, or from one network of a subscriber.
    #[must_use]
    pub fn new(in_all: usize, of_one: usize) -> Self {
        Self { in_all, of_one, open: Mutex::default() }
    }

    /// A place for a connection from `address`, if there is one.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.by_peer.get(&peer).copied().unwrap_or(0);
        if open.total >= self.in_all || own >= self.of_one {
            return None;
        }
        open.total += 1;
        open.by_peer.insert(peer, own + 1);
        Some(Place { places: Arc::clone(self), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        match open.by_peer.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.by_peer.remove(&self.peer)),
        }
    }
}

/// The address; for IPv6 its first 64 bits, of which one subscriber has all the rest.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_alone_takes_all_places_and_places_come_back() {
        let peers = Arc::new(Places::new(256, 32));
        let one = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let mut places: Vec<Place> = (0..32).map(|last| peers.enter(one(last)).unwrap()).collect();
        assert!(peers.enter(one(99)).is_none(), "the same network");
        assert!(peers.enter([192, 0, 2, 1].into()).is_some());
        places.pop();
        places.push(peers.enter(one(99)).unwrap());
        for host in 1..8 {
            places.extend((0..32).filter_map(|_| peers.enter([192, 0, 2, host].into())));
        }
        assert_eq!(places.len(), 256);
        assert!(peers.enter([192, 0, 2, 9].into()).is_none(), "there are no more at all");
        drop(places);
        let open = peers.open.lock().unwrap();
        assert_eq!((open.total, open.by_peer.len()), (0, 0));
    }

    #[test]
    fn an_address_is_the_same_in_both_families() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(network(mapped), IpAddr::from([192, 0, 2, 1]));
    }
}
