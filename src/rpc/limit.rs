//! How much counterparties may ask: requests a second from one address and in total, and connections from one address.

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls a second from one address, and how many may come at once. A taker asks once a second.
const PER_ADDRESS: (u32, u32) = (20, 60);
/// Calls a second from all, and how many may come at once.
const IN_TOTAL: (u32, u32) = (200, 400);
/// Addresses that are remembered; beyond, those that have been quiet are forgotten.
const MAX_ADDRESSES: usize = 4096;
/// Connections of one address.
const CONNECTIONS_PER_ADDRESS: usize = 32;

/// The counters of one listener.
pub struct Rate {
    each: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>,
    all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection that counts for its address until it is dropped.
pub(super) struct Counted {
    address: IpAddr,
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

const fn quota((rate, burst): (u32, u32)) -> Quota {
    let (Some(rate), Some(burst)) = (NonZeroU32::new(rate), NonZeroU32::new(burst)) else { panic!("a rate above zero") };
    Quota::per_second(rate).allow_burst(burst)
}

impl Rate {
    /// The counters at zero.
    pub fn new() -> Self {
        const EACH: Quota = quota(PER_ADDRESS);
        const ALL: Quota = quota(IN_TOTAL);
        Self { each: RateLimiter::dashmap(EACH), all: RateLimiter::direct(ALL), connections: Arc::default() }
    }

    /// Whether an address may make `calls` more calls now.
    pub(super) fn admits(&self, address: IpAddr, calls: usize) -> bool {
        let Some(calls) = u32::try_from(calls).ok().and_then(NonZeroU32::new) else { return false };
        if self.each.len() > MAX_ADDRESSES {
            self.each.retain_recent();
            if self.each.len() > MAX_ADDRESSES {
                return false;
            }
        }
        let each = self.each.check_key_n(&network_of(address), calls);
        matches!(each, Ok(Ok(()))) && matches!(self.all.check_n(calls), Ok(Ok(())))
    }

    /// Counts a connection, unless its address has too many.
    pub(super) fn connect(&self, address: IpAddr) -> Option<Counted> {
        let address = network_of(address);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connections.entry(address).or_default();
        if *count >= CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Counted { address, connections: self.connections.clone() })
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = connections.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: with IPv6 a whole /64, since anybody has that many.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_held_back_before_the_others() {
        let rate = Rate::new();
        let [first, second] = [IpAddr::from([1, 1, 1, 1]), IpAddr::from([2, 2, 2, 2])];
        assert!((0..3).all(|_| rate.admits(first, 20)));
        assert!(!rate.admits(first, 20));
        assert!(rate.admits(second, 20));
        assert!(!rate.admits(second, 0) && !rate.admits(second, 1_000_000));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let [a, b, c] = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"].map(|text| network_of(text.parse().unwrap()));
        assert!(a == b && a != c);
        assert_eq!(network_of("::ffff:1.2.3.4".parse().unwrap()), IpAddr::from([1, 2, 3, 4]));
    }

    #[test]
    fn connections_of_one_address_are_counted_until_they_end() {
        let rate = Rate::new();
        let address = IpAddr::from([1, 1, 1, 1]);
        let held: Vec<_> = (0..CONNECTIONS_PER_ADDRESS).map(|_| rate.connect(address).unwrap()).collect();
        assert!(rate.connect(address).is_none());
        drop(held);
        assert!(rate.connect(address).is_some());
        assert!(rate.connections.lock().unwrap().is_empty());
    }
}
