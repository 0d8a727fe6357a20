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

/// The places of a connection that has come.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) connection: Place,
    pub(super) handshake: Place,
}

impl Arrival {
    /// Whether it counts as somebody's.
    pub(super) fn has_address(&self) -> bool {
        self.connection.of_address.is_some()
    }
}

/// The place of a connection, or of its handshake, among all and among those of its address; free again when it
/// is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _all: Share<()>,
    of_address: Option<Share<IpAddr>>,
}

impl From<Share<()>> for Place {
    fn from(all: Share<()>) -> Self {
        Self { _all: all, of_address: None }
    }
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

    /// Places for a connection from `address` and for its handshake. Where it is still to be told whom it is
    /// from, they are among all only, until they are [claimed](Self::claim).
    pub(super) fn arrival(&self, address: Option<IpAddr>) -> Result<Arrival, TurnedAway> {
        let connection = self.connections.take((), self.bounds.connections).ok_or(TurnedAway::Connections)?;
        let handshake = self.handshakes.take((), self.bounds.handshakes).ok_or(TurnedAway::Handshakes)?;
        let arrival = Arrival { connection: connection.into(), handshake: handshake.into() };
        match address {
            Some(address) => self.claim(arrival, address),
            None => Ok(arrival),
        }
    }

    /// Counts places as those of `address` too; they are free again if it has its share.
    pub(super) fn claim(&self, mut arrival: Arrival, address: IpAddr) -> Result<Arrival, TurnedAway> {
        let (network, bounds) = (network(address), self.bounds);
        let connection = self.addresses.take(network, bounds.connections_per_address);
        arrival.connection.of_address = Some(connection.ok_or(TurnedAway::Address)?);
        let handshake = self.shaking.take(network, bounds.handshakes_per_address);
        arrival.handshake.of_address = Some(handshake.ok_or(TurnedAway::AddressHandshakes)?);
        Ok(arrival)
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
pub(in crate::proxy) struct Shares<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

impl<K: Eq + Hash> Default for Shares<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// One more for `key`, unless it has `most`.
    pub(in crate::proxy) fn take(&self, key: K, most: usize) -> Option<Share<K>> {
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
pub(in crate::proxy) struct Share<K: Eq + Hash> {
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

    /// A connection whose handshake is over.
    fn connection(places: &Places, address: &str) -> Result<Place, TurnedAway> {
        Ok(places.arrival(Some(address.parse().unwrap()))?.connection)
    }

    #[test]
    fn whoever_has_a_share_has_no_more() {
        let (places, one, other) = (places(), "192.0.2.1", "192.0.2.2");
        let first = connection(&places, one).unwrap();
        let _second = connection(&places, "::ffff:192.0.2.1").unwrap();
        assert_eq!(connection(&places, one).unwrap_err(), TurnedAway::Address);
        let _third = connection(&places, other).unwrap();
        assert_eq!(connection(&places, other).unwrap_err(), TurnedAway::Connections);
        drop(first);
        // What was refused has left no trace: the place that is free again is whole.
        let _fourth = connection(&places, other).unwrap();
        assert_eq!(connection(&places, other).unwrap_err(), TurnedAway::Connections);
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let places = places();
        let from = |address: &str| places.arrival(Some(address.parse().unwrap()));
        let _one = from("2001:db8:1:2::1").unwrap();
        assert_eq!(from("2001:db8:1:2:ffff::9").unwrap_err(), TurnedAway::AddressHandshakes);
        let _other = from("2001:db8:1:3::1").unwrap();
        assert_eq!(from("192.0.2.1").unwrap_err(), TurnedAway::Handshakes);
    }

    #[test]
    fn what_a_balancer_brings_counts_as_whom_it_is_from() {
        let (places, client) = (places(), "192.0.2.1".parse().unwrap());
        let [first, second] = [None; 2].map(|unknown| places.arrival(unknown).unwrap());
        assert!(!first.has_address() && places.addresses.0.lock().unwrap().is_empty());
        assert_eq!(places.arrival(None).unwrap_err(), TurnedAway::Handshakes);
        let first = places.claim(first, client).unwrap();
        assert!(first.has_address());
        assert_eq!(places.claim(second, client).unwrap_err(), TurnedAway::AddressHandshakes);
        drop(first.handshake);
        let third = places.arrival(None).unwrap();
        let third = places.claim(third, client).unwrap();
        drop((first.connection, third));
        assert!(places.addresses.0.lock().unwrap().is_empty() && places.shaking.0.lock().unwrap().is_empty());
    }

    #[test]
    fn nobody_is_remembered_who_holds_nothing() {
        let (places, system) = (places(), SystemId::parse("sys:aid").unwrap());
        let place = places.system(&system).unwrap();
        assert_eq!(places.system(&system).unwrap_err(), TurnedAway::System);
        let _connection = connection(&places, "192.0.2.1").unwrap();
        drop((place, _connection));
        assert!(places.systems.0.lock().unwrap().is_empty());
        assert!(places.addresses.0.lock().unwrap().is_empty());
        places.system(&system).unwrap();
    }
}
