//! How often strangers may connect to us: from one address, and all together.
//!
//! A handshake costs us as much as it costs them, and what is refused to a stranger after it was read has been read. Each address, and
//! all addresses together, have a bucket of connections; one that turns out to be a peer's is put back, so that a crowd behind one
//! address is not slowed down by its number. An address whose stranger broke the rules pays a fine, and its strangers wait. Who is connected
//! already stays, and whom we dial is not asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::bucket::Bucket;
use super::limits;

/// What counts as one address: all of an IPv4 one, and the half of an IPv6 one that names a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(IpAddr);

impl Place {
    /// None for what does not begin with an IP address.
    pub(super) fn of(address: &Multiaddr) -> Option<Self> {
        let address = match address.iter().next()? {
            Protocol::Ip4(address) => address.into(),
            Protocol::Ip6(address) => match address.to_ipv4_mapped() {
                Some(mapped) => mapped.into(),
                None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            },
            _ => return None,
        };
        Some(Self(address))
    }
}

/// How often, overridable so that a test needs no hundred connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) burst: u32,
    pub(super) per_second: u32,
}

/// The buckets of the addresses that strangers came from lately.
pub(super) struct Addresses {
    each: Pace,
    known: HashMap<Place, Bucket>,
    together: Bucket,
}

impl Addresses {
    pub(super) fn new(each: Pace, together: Pace, now: Instant) -> Self {
        Self { each, known: HashMap::new(), together: Bucket::full(together.burst, together.per_second, now) }
    }

    fn bucket(&mut self, place: Place, now: Instant) -> &mut Bucket {
        if self.known.len() >= limits::ADDRESSES_KNOWN && !self.known.contains_key(&place) {
            self.make_room(now);
        }
        self.known.entry(place).or_insert_with(|| Bucket::full(self.each.burst, self.each.per_second, now))
    }

    /// Forgets all whose bucket is full again, as a new one's is; if there is none, the fullest.
    fn make_room(&mut self, now: Instant) {
        self.known.retain(|_, bucket| !bucket.is_full(now));
        if self.known.len() >= limits::ADDRESSES_KNOWN {
            let fullest = self.known.iter().max_by(|(_, one), (_, other)| one.tokens().total_cmp(&other.tokens()));
            if let Some(place) = fullest.map(|(place, _)| *place) {
                self.known.remove(&place);
            }
        }
    }

    /// Whether somebody from there may begin a handshake.
    pub(super) fn admit(&mut self, place: Place, now: Instant) -> bool {
        if !self.bucket(place, now).take(now) {
            return false;
        }
        let admitted = self.together.take(now);
        if !admitted {
            self.bucket(place, now).put_back();
        }
        admitted
    }

    /// What was admitted was no stranger.
    pub(super) fn put_back(&mut self, place: Place) {
        if let Some(bucket) = self.known.get_mut(&place) {
            bucket.put_back();
        }
        self.together.put_back();
    }

    /// A stranger from there broke the rules.
    pub(super) fn fine(&mut self, place: Place, now: Instant) {
        self.bucket(place, now).fine(limits::ADDRESS_FINE, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn place(address: &str) -> Option<Place> {
        Place::of(&address.parse().unwrap())
    }

    fn numbered(number: usize) -> Place {
        Place(Ipv6Addr::from_bits((number as u128) << 64).into())
    }

    fn addresses() -> Addresses {
        let each =
            Pace { burst: limits::ADDRESS_CONNECTIONS_BURST, per_second: limits::ADDRESS_CONNECTIONS_PER_SECOND };
        let together = Pace { burst: limits::NEWCOMERS_BURST, per_second: limits::NEWCOMERS_PER_SECOND };
        Addresses::new(each, together, Instant::now())
    }

    #[test]
    fn an_ipv6_network_is_one_place_and_a_mapped_ipv4_address_is_itself() {
        assert_eq!(place("/ip4/192.0.2.1/tcp/1"), place("/ip4/192.0.2.1/udp/9/quic-v1"));
        assert_ne!(place("/ip4/192.0.2.1/tcp/1"), place("/ip4/192.0.2.2/tcp/1"));
        assert_eq!(place("/ip6/::ffff:192.0.2.1/tcp/1"), place("/ip4/192.0.2.1/tcp/1"));
        assert_eq!(place("/ip6/2001:db8::1/tcp/1"), place("/ip6/2001:db8::ffff:2/tcp/1"));
        assert_ne!(place("/ip6/2001:db8::1/tcp/1"), place("/ip6/2001:db8:0:1::1/tcp/1"));
        assert_eq!(place("/memory/7"), None);
    }

    #[test]
    fn an_address_has_a_burst_of_connections_and_then_so_many_a_second() {
        let (mut addresses, now) = (addresses(), Instant::now());
        let (busy, other) = (numbered(1), numbered(2));
        for _ in 0..limits::ADDRESS_CONNECTIONS_BURST {
            assert!(addresses.admit(busy, now));
        }
        assert!(!addresses.admit(busy, now));
        assert!(addresses.admit(other, now), "another is not slowed down by it");
        addresses.put_back(busy);
        assert!(addresses.admit(busy, now), "a peer's connection does not count");
        let later = now + Duration::from_secs(1);
        let admitted = (0..limits::ADDRESS_CONNECTIONS_BURST).filter(|_| addresses.admit(busy, later)).count();
        assert_eq!(admitted, limits::ADDRESS_CONNECTIONS_PER_SECOND as usize);
    }

    #[test]
    fn an_address_that_was_fined_waits_and_others_do_not() {
        let (mut addresses, now) = (addresses(), Instant::now());
        let (bad, good) = (numbered(1), numbered(2));
        assert!(addresses.admit(bad, now));
        addresses.fine(bad, now);
        assert!(!addresses.admit(bad, now) && addresses.admit(good, now));
        // However often it is fined, it waits for one fine.
        for _ in 0..100 {
            addresses.fine(bad, now);
        }
        let wait = Duration::from_secs((limits::ADDRESS_FINE / limits::ADDRESS_CONNECTIONS_PER_SECOND).into());
        assert!(!addresses.admit(bad, now + wait - Duration::from_millis(10)));
        assert!(addresses.admit(bad, now + wait + Duration::from_secs(1)));
    }

    #[test]
    fn strangers_from_everywhere_have_a_pace_together() {
        let (mut addresses, now) = (addresses(), Instant::now());
        for number in 0..limits::NEWCOMERS_BURST as usize {
            assert!(addresses.admit(numbered(number), now));
        }
        let next = numbered(100_000);
        assert!(!addresses.admit(next, now));
        let later = now + Duration::from_secs(1);
        let admitted = (0..1_000).filter(|number| addresses.admit(numbered(200_000 + number), later)).count();
        assert_eq!(admitted, limits::NEWCOMERS_PER_SECOND as usize);
        // Whoever was turned away for the others' sake has lost nothing of its own.
        assert!(addresses.bucket(next, now).is_full(now));
    }

    #[test]
    fn the_number_of_addresses_kept_in_mind_ends_and_the_fined_stay() {
        let (mut addresses, now) = (addresses(), Instant::now());
        addresses.fine(numbered(0), now);
        for number in 1..limits::ADDRESSES_KNOWN * 2 {
            addresses.together.put_back();
            assert!(addresses.admit(numbered(number), now));
            assert!(addresses.known.len() <= limits::ADDRESSES_KNOWN);
        }
        assert!(addresses.known.contains_key(&numbered(0)), "nobody washes off a fine with addresses");
        let much_later = now + Duration::from_secs(3_600);
        assert!(addresses.admit(numbered(1_000_000), much_later));
        assert_eq!(addresses.known.len(), 1, "all others are as new");
    }
}
