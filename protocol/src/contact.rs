//! Whom to dial, and when to try again.
//!
//! A peer is dialled by the addresses that it told, at intervals that double from one second to five minutes, each moved by chance so that
//! a crowd does not come back at once. The interval starts over after a sync that was in order, not after a connection: a node that is full
//! accepts and then closes, and one whose clock is wrong is refused each time.

use std::{collections::BTreeMap, time::Duration};

use rand_core::CryptoRng;

use crate::{
    id::RelationshipId,
    time::{Now, Timestamp},
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// How many peers are kept in mind at once; more are dialled as these are reached.
const CONTACTS_MAX: usize = 1_024;
/// How many dials are under way at once: below the limit of pending connections.
const DIALS_MAX: usize = 16;

#[derive(Debug)]
struct Contact {
    failures: u32,
    /// Hellos that it refused, one after the other.
    refusals: u32,
    problem: Option<(&'static str, Timestamp)>,
    /// None while connected, or while a dial is under way.
    next: Option<Duration>,
}

/// The peers that this node wants to be connected to.
#[derive(Debug, Default)]
pub struct Contacts {
    wanted: BTreeMap<RelationshipId, Contact>,
    dials: BTreeMap<u64, RelationshipId>,
}

impl Contacts {
    /// Wants a peer, and tries it now unless that is under way.
    pub fn want(&mut self, peer: RelationshipId, running: Duration) {
        if self.wanted.len() >= CONTACTS_MAX && !self.wanted.contains_key(&peer) {
            return;
        }
        self.wanted.entry(peer).or_insert(Contact { failures: 0, refusals: 0, problem: None, next: Some(running) });
    }

    /// There is a reason to try now, whatever was scheduled.
    pub fn hurry(&mut self, peer: RelationshipId, running: Duration) {
        self.want(peer, running);
        if let Some(contact) = self.wanted.get_mut(&peer)
            && contact.next.is_some()
        {
            contact.next = Some(running);
        }
    }

    /// No longer wants a peer.
    pub fn forget(&mut self, peer: RelationshipId) {
        self.wanted.remove(&peer);
    }

    /// The next peer that is to be dialled by now.
    pub fn take_due(&mut self, running: Duration) -> Option<RelationshipId> {
        if self.dials.len() >= DIALS_MAX {
            return None;
        }
        let (peer, contact) =
            self.wanted.iter_mut().find(|(_, contact)| contact.next.is_some_and(|next| next <= running))?;
        contact.next = None;
        Some(*peer)
    }

    /// A dial is under way.
    pub fn dialling(&mut self, errand: u64, peer: RelationshipId) {
        self.dials.insert(errand, peer);
    }

    /// Whose dial this was; it is over.
    pub fn dialled(&mut self, errand: u64) -> Option<RelationshipId> {
        self.dials.remove(&errand)
    }

    /// It led nowhere, for a reason that has a line in the catalogues.
    pub fn failed(&mut self, peer: RelationshipId, why: &'static str, now: Now, dice: &mut dyn CryptoRng) {
        if let Some(contact) = self.wanted.get_mut(&peer) {
            let wait = backoff(contact.failures, dice);
            contact.failures = contact.failures.saturating_add(1);
            contact.problem = Some((why, now.wall));
            contact.next = Some(now.running + wait);
        }
    }

    /// It does not know the keys under which we called it.
    pub fn refused(&mut self, peer: RelationshipId, now: Now, dice: &mut dyn CryptoRng) {
        self.failed(peer, "peer-refused", now, dice);
        if let Some(contact) = self.wanted.get_mut(&peer) {
            contact.refusals = contact.refusals.saturating_add(1);
        }
    }

    /// How many hellos it refused since one was in order.
    #[must_use]
    pub fn refusals(&self, peer: RelationshipId) -> u32 {
        self.wanted.get(&peer).map_or(0, |contact| contact.refusals)
    }

    /// Why a peer was not reached last, and when.
    #[must_use]
    pub fn problem(&self, peer: RelationshipId) -> Option<(&'static str, Timestamp)> {
        self.wanted.get(&peer)?.problem
    }

    /// The peer answered a hello: it is not dialled meanwhile.
    pub fn connected(&mut self, peer: RelationshipId) {
        if let Some(contact) = self.wanted.get_mut(&peer) {
            contact.next = None;
        }
    }

    /// What the peer said in a session was in order: the interval starts over.
    pub fn reached(&mut self, peer: RelationshipId) {
        if let Some(contact) = self.wanted.get_mut(&peer) {
            contact.failures = 0;
            contact.refusals = 0;
            contact.problem = None;
            contact.next = None;
        }
    }

    /// The peer is gone. If nothing was in order since it was lost before, the wait grows: it may be refusing what we say.
    pub fn lost(&mut self, peer: RelationshipId, running: Duration, dice: &mut dyn CryptoRng) {
        if let Some(contact) = self.wanted.get_mut(&peer)
            && contact.next.is_none()
        {
            contact.next = Some(running + backoff(contact.failures, dice) / 4);
            contact.failures = contact.failures.saturating_add(1);
        }
    }

    /// When the next dial is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        if self.dials.len() >= DIALS_MAX {
            return None;
        }
        self.wanted.values().filter_map(|contact| contact.next).min()
    }
}

/// Half to all of the interval.
fn backoff(failures: u32, dice: &mut dyn CryptoRng) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.min(9)).min(LONGEST);
    let mut random = [0; 2];
    dice.fill_bytes(&mut random);
    whole / 2 + (whole / 2).mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    struct Counting(u64);

    impl TryRng for Counting {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.0 += 1;
            Ok(u32::try_from(self.0 & 0xffff_ffff).unwrap())
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            self.0 += 1;
            Ok(self.0)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            self.0 += 7_919;
            let filled = self.0.to_le_bytes();
            for (byte, value) in bytes.iter_mut().zip(filled.iter().cycle()) {
                *byte = *value;
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counting {}

    #[test]
    fn waits_double_from_a_second_to_five_minutes_and_start_over_after_an_answer() {
        let mut dice = Counting(0);
        for (failures, least, most) in [(0, 500, 1_000), (1, 1_000, 2_000), (5, 16_000, 32_000), (40, 150_000, 300_000)]
        {
            let wait = backoff(failures, &mut dice).as_millis();
            assert!((least..=most).contains(&wait), "{failures} failures: {wait} ms");
        }
        let peer = RelationshipId::from_bytes([1; 16]);
        let mut contacts = Contacts::default();
        contacts.want(peer, Duration::ZERO);
        for _ in 0..6 {
            let now = Now { wall: Timestamp::default(), running: Duration::ZERO };
            contacts.failed(peer, "peer-unreachable", now, &mut dice);
        }
        assert!(contacts.next_at().unwrap() >= Duration::from_secs(16));
        contacts.reached(peer);
        assert_eq!(contacts.next_at(), None, "connected");
        contacts.lost(peer, Duration::ZERO, &mut dice);
        assert!(contacts.next_at().unwrap() <= Duration::from_millis(250));
        for _ in 0..6 {
            contacts.connected(peer);
            contacts.lost(peer, Duration::ZERO, &mut dice);
        }
        assert!(contacts.next_at().unwrap() >= Duration::from_secs(4), "lost again and again, and nothing in between");
    }

    #[test]
    fn a_dial_under_way_is_not_made_twice() {
        let peer = RelationshipId::from_bytes([1; 16]);
        let mut contacts = Contacts::default();
        contacts.want(peer, Duration::ZERO);
        assert_eq!(contacts.take_due(Duration::ZERO), Some(peer));
        contacts.hurry(peer, Duration::ZERO);
        assert_eq!(contacts.take_due(Duration::ZERO), None);
    }
}
