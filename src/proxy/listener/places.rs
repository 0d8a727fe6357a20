//! Places for connections and handshakes, and who has how many of them.
//!
//! A place that is free is taken at once, and one that is not is refused at once: nothing waits here. The
//! lock of a count is held for one look into a map, when a connection begins and when it ends.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Bounds;
use crate::kernel::id::SystemId;
use crate::telemetry::TurnedAway;

/// Of an IPv6 address, the bits that tell one network from another.
const NETWORK: u128 = u128::MAX << 64;

/// All places of a gate.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    connections: Shares<()>,
    addresses: Shares<IpAddr>,
    systems: Shares<SystemId>,
    handshakes: Shares<()>,
    shaking: Shares<IpAddr>,
}

/// The places of a connection, or of its handshake; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _all: Share<()>,
    _of_address: Share<IpAddr>,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            connections: Shares::default(),
            addresses: Shares::default(),
            systems: Shares::default(),
            handshakes: Shares::default(),
            shaking: Shares::default(),
        }
    }

    /// A place for a connection from `address`.
    pub(super) fn connection(&self, address: IpAddr) -> Result<Place, TurnedAway> {
        let (all, own) = (self.bounds.connections, self.bounds.connections_per_address);
        Ok(Place {
            _all: self.connections.take((), all).ok_or(TurnedAway::Connections)?,
            _of_address: self.addresses.take(network(address), own).ok_or(TurnedAway::Address)?,
        })
    }

    /// A place for its handshake.
    pub(super) fn handshake(&self, address: IpAddr) -> Result<Place, TurnedAway> {
        let (all, own) = (self.bounds.handshakes, self.bounds.handshakes_per_address);
        Ok(Place {
            _all: self.handshakes.take((), all).ok_or(TurnedAway::Handshakes)?,
            _of_address: self.shaking.take(network(address), own).ok_or(TurnedAway::AddressHandshakes)?,
        })
    }

    /// A place for a connection of `system`.
    pub(super) fn system(&self, system: &SystemId) -> Result<Share<SystemId>, TurnedAway> {
        let own = self.bounds.connections_per_system;
        self.systems.take(system.clone(), own).ok_or(TurnedAway::System)
    }
}

/// Who an address belongs to, as far as it tells: whoever has one of IPv6 has its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        short @ IpAddr::V4(_) => short,
    }
}

/// How many places everybody has.
#[derive(Debug)]
struct Shares<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

impl<K: Eq + Hash> Default for Shares<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// One more for `key`, unless it has `most`.
    fn take(&self, key: K, most: usize) -> Option<Share<K>> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share { key, of: Arc::clone(&self.0) })
    }
}

/// One place of somebody.
#[derive(Debug)]
pub(super) struct Share<K: Eq + Hash> {
    key: K,
    of: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                // Nobody is remembered who holds nothing.
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::new(Bounds {
            connections: 3,
            connections_per_address: 2,
            connections_per_system: 1,
            handshakes: 2,
            handshakes_per_address: 1,
            ..Bounds::default()
        })
    }

    #[test]
    fn whoever_has_a_share_has_no_more() {
        let (places, one, other) = (places(), "192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = places.connection(one).unwrap();
        let _second = places.connection("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(places.connection(one).unwrap_err(), TurnedAway::Address);
        let _third = places.connection(other).unwrap();
        assert_eq!(places.connection(other).unwrap_err(), TurnedAway::Connections);
        drop(first);
        // What was refused has left no trace: the place that is free again is whole.
        let _fourth = places.connection(other).unwrap();
        assert_eq!(places.connection(other).unwrap_err(), TurnedAway::Connections);
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let places = places();
        let _one = places.handshake("2001:db8:1:2::1".parse().unwrap()).unwrap();
        let near = "2001:db8:1:2:ffff::9".parse().unwrap();
        assert_eq!(places.handshake(near).unwrap_err(), TurnedAway::AddressHandshakes);
        let _other = places.handshake("2001:db8:1:3::1".parse().unwrap()).unwrap();
        assert_eq!(places.handshake("192.0.2.1".parse().unwrap()).unwrap_err(), TurnedAway::Handshakes);
    }

    #[test]
    fn nobody_is_remembered_who_holds_nothing() {
        let (places, system) = (places(), SystemId::parse("sys:aid").unwrap());
        let place = places.system(&system).unwrap();
        assert_eq!(places.system(&system).unwrap_err(), TurnedAway::System);
        let _connection = places.connection("192.0.2.1".parse().unwrap()).unwrap();
        drop((place, _connection));
        assert!(places.systems.0.lock().unwrap().is_empty());
        assert!(places.addresses.0.lock().unwrap().is_empty());
        places.system(&system).unwrap();
    }
}
