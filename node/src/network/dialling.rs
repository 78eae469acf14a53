//! Dials under way: one attempt of the engine, several addresses.
//!
//! libp2p takes a list of addresses only for a peer whose key is known, and ours are thrown away at each start. So each
//! address is a dial of its own here: the best first (QUIC before TCP, its TLS agrees on a post-quantum key), the next
//! one beside it when the first has not answered within a moment or has failed, and the first to connect wins.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;

use super::{DialFailure, Errand, limits};

/// An attempt that the engine asked for.
struct Attempt {
    waiting: VecDeque<Multiaddr>,
    under_way: HashSet<ConnectionId>,
    next_at: Instant,
    failure: DialFailure,
    won: bool,
}

/// What an established connection means for its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Established {
    /// The attempt is answered by it.
    Won(Errand),
    /// A slower address of an attempt that is already answered.
    TooLate,
    /// Not from an attempt.
    Foreign,
}

/// All attempts.
#[derive(Default)]
pub(super) struct Dialling {
    attempts: HashMap<Errand, Attempt>,
    by_connection: HashMap<ConnectionId, Errand>,
}

impl Dialling {
    /// Begins an attempt; [`Self::due`] then names its first address.
    pub(super) fn begin(&mut self, errand: Errand, addresses: &[String], now: Instant) -> Result<(), DialFailure> {
        if addresses.is_empty() {
            return Err(DialFailure::NoAddress);
        }
        let waiting = ranked(addresses);
        if waiting.is_empty() {
            return Err(DialFailure::BadAddress);
        }
        if self.attempts.len() >= limits::PENDING_OUT || self.attempts.contains_key(&errand) {
            return Err(DialFailure::Busy);
        }
        let failure = DialFailure::Unreachable;
        let attempt = Attempt { waiting, under_way: HashSet::new(), next_at: now, failure, won: false };
        self.attempts.insert(errand, attempt);
        Ok(())
    }

    /// The next address whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Errand, Multiaddr)> {
        let ready = |attempt: &Attempt| !attempt.won && !attempt.waiting.is_empty() && attempt.next_at <= now;
        let (errand, attempt) = self.attempts.iter_mut().find(|(_, attempt)| ready(attempt))?;
        attempt.next_at = now + limits::DIAL_STAGGER;
        attempt.waiting.pop_front().map(|address| (*errand, address))
    }

    /// When [`Self::due`] is worth asking again.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let waits = |attempt: &&Attempt| !attempt.won && !attempt.waiting.is_empty();
        self.attempts.values().filter(waits).map(|attempt| attempt.next_at).min()
    }

    /// A dial of the attempt was handed to libp2p.
    pub(super) fn started(&mut self, errand: Errand, connection: ConnectionId) {
        if let Some(attempt) = self.attempts.get_mut(&errand) {
            attempt.under_way.insert(connection);
            self.by_connection.insert(connection, errand);
        }
    }

    /// A dial failed, or was refused at once. Returns the attempt's failure when it was its last address.
    pub(super) fn failed(
        &mut self,
        errand: Errand,
        connection: ConnectionId,
        failure: DialFailure,
        now: Instant,
    ) -> Option<DialFailure> {
        self.by_connection.remove(&connection);
        let attempt = self.attempts.get_mut(&errand)?;
        attempt.under_way.remove(&connection);
        attempt.next_at = now;
        attempt.failure = failure;
        let over = attempt.under_way.is_empty() && (attempt.won || attempt.waiting.is_empty());
        let (won, failure) = (attempt.won, attempt.failure);
        if over {
            self.attempts.remove(&errand);
        }
        (over && !won).then_some(failure)
    }

    /// The attempt that a failed connection belonged to.
    pub(super) fn errand(&self, connection: ConnectionId) -> Option<Errand> {
        self.by_connection.get(&connection).copied()
    }

    /// The dials of an attempt that are still under way.
    pub(super) fn under_way(&self, errand: Errand) -> impl Iterator<Item = ConnectionId> {
        self.attempts.get(&errand).into_iter().flat_map(|attempt| attempt.under_way.iter().copied())
    }

    /// A connection was established.
    pub(super) fn established(&mut self, connection: ConnectionId) -> Established {
        let Some(errand) = self.by_connection.remove(&connection) else { return Established::Foreign };
        let Some(attempt) = self.attempts.get_mut(&errand) else { return Established::TooLate };
        attempt.under_way.remove(&connection);
        let first = !std::mem::replace(&mut attempt.won, true);
        if attempt.under_way.is_empty() {
            self.attempts.remove(&errand);
        }
        if first { Established::Won(errand) } else { Established::TooLate }
    }
}

/// The addresses that can be dialled, best first, without the key that some of them name.
fn ranked(addresses: &[String]) -> VecDeque<Multiaddr> {
    let mut ranked: Vec<(u8, Multiaddr)> = Vec::new();
    for address in addresses {
        let Some((rank, address)) = address.parse().ok().and_then(|address| dialable(&address)) else { continue };
        if !ranked.iter().any(|(_, known)| *known == address) {
            ranked.push((rank, address));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, address)| address).take(limits::DIAL_ADDRESSES).collect()
}

/// `/ip4|ip6/../udp/../quic-v1` or `/ip4|ip6/../tcp/..`, with or without a key behind it.
fn dialable(address: &Multiaddr) -> Option<(u8, Multiaddr)> {
    let mut parts = address.iter();
    let host = parts.next().filter(|part| matches!(part, Protocol::Ip4(_) | Protocol::Ip6(_)))?;
    let port = parts.next()?;
    let bare = Multiaddr::empty().with(host).with(port.clone());
    let (rank, bare) = match port {
        Protocol::Tcp(_) => (1, bare),
        Protocol::Udp(_) => (0, bare.with(parts.next().filter(|part| *part == Protocol::QuicV1)?)),
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (None | Some(Protocol::P2p(_)), None) => Some((rank, bare)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TCP: &str = "/ip4/192.0.2.1/tcp/4001";
    const QUIC: &str = "/ip4/192.0.2.1/udp/4001/quic-v1";
    const KEY: &str = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

    fn strings(addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(|&address| address.to_owned()).collect()
    }

    #[test]
    fn quic_is_dialled_before_tcp_and_keys_are_left_out() {
        let with_key = format!("{TCP}/p2p/{KEY}");
        let order: Vec<String> =
            ranked(&strings(&[&with_key, TCP, QUIC, "/dns4/x.example/tcp/1", "/ip4/192.0.2.1/udp/1", "junk", ""]))
                .iter()
                .map(Multiaddr::to_string)
                .collect();
        assert_eq!(order, [QUIC, TCP]);
    }

    #[test]
    fn more_addresses_than_the_limit_are_not_dialled() {
        let many: Vec<String> = (1..=100).map(|port| format!("/ip4/192.0.2.1/tcp/{port}")).collect();
        assert_eq!(ranked(&many[..limits::DIAL_ADDRESSES]).len(), limits::DIAL_ADDRESSES);
        assert_eq!(ranked(&many).len(), limits::DIAL_ADDRESSES);
    }

    #[test]
    fn the_second_address_waits_its_turn_and_comes_at_once_after_a_failure() {
        let (mut dialling, now, errand) = (Dialling::default(), Instant::now(), Errand(1));
        dialling.begin(errand, &strings(&[TCP, QUIC]), now).unwrap();
        let first = ConnectionId::new_unchecked(1);
        assert_eq!(dialling.due(now), Some((errand, QUIC.parse().unwrap())));
        dialling.started(errand, first);
        assert_eq!(dialling.due(now), None);
        assert_eq!(dialling.next_at(), Some(now + limits::DIAL_STAGGER));
        assert_eq!(dialling.failed(errand, first, DialFailure::Unreachable, now), None);
        assert_eq!(dialling.due(now), Some((errand, TCP.parse().unwrap())));
        let second = ConnectionId::new_unchecked(2);
        dialling.started(errand, second);
        assert_eq!(dialling.failed(errand, second, DialFailure::Busy, now), Some(DialFailure::Busy));
        assert_eq!(dialling.next_at(), None);
        assert!(dialling.attempts.is_empty() && dialling.by_connection.is_empty());
    }

    #[test]
    fn the_first_connection_wins_and_a_slower_one_is_too_late() {
        let (mut dialling, now, errand) = (Dialling::default(), Instant::now(), Errand(1));
        dialling.begin(errand, &strings(&[TCP, QUIC]), now).unwrap();
        for id in [1, 2] {
            assert!(dialling.due(now + Duration::from_secs(id)).is_some());
            dialling.started(errand, ConnectionId::new_unchecked(id as usize));
        }
        assert_eq!(dialling.established(ConnectionId::new_unchecked(2)), Established::Won(errand));
        assert_eq!(dialling.established(ConnectionId::new_unchecked(1)), Established::TooLate);
        assert_eq!(dialling.established(ConnectionId::new_unchecked(9)), Established::Foreign);
        assert!(dialling.attempts.is_empty() && dialling.by_connection.is_empty());
    }

    #[test]
    fn attempts_have_a_limit_and_an_errand_is_tried_once_at_a_time() {
        let (mut dialling, now) = (Dialling::default(), Instant::now());
        for id in 0..limits::PENDING_OUT as u64 {
            dialling.begin(Errand(id), &strings(&[TCP]), now).unwrap();
        }
        let over = dialling.begin(Errand(1000), &strings(&[TCP]), now);
        assert_eq!(over, Err(DialFailure::Busy));
        assert_eq!(Dialling::default().begin(Errand(1), &[], now), Err(DialFailure::NoAddress));
        assert_eq!(Dialling::default().begin(Errand(1), &strings(&["junk"]), now), Err(DialFailure::BadAddress));
    }
}
