//! Which hints are ours to hear, and when to send one.
//!
//! The tags of yesterday, today and tomorrow are kept for every relationship, and nothing else is kept for one that is not connected. They
//! are computed a page at a time, so that a node with a hundred thousand relationships starts at once.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use allod_crypto::{SecretKey, hmac16};

use crate::{
    command::PeerState,
    id::RelationshipId,
    limits::HINT_EVERY,
    relationship::{Relationship, Side},
    store::StoreFault,
    tx::Tx,
    wire::hint,
};

/// Relationships whose tags are computed in one step.
const PAGE: usize = 250;

/// The tags that mean us.
#[derive(Debug)]
pub struct Hints {
    /// By the place in `peers`: three tags of a hundred thousand relationships are most of what a node at rest has in memory.
    tags: HashMap<[u8; 16], u32>,
    peers: Vec<RelationshipId>,
    day: Option<u64>,
    /// How far the tags of this day are computed; none if all are.
    cursor: Option<Option<RelationshipId>>,
    sent: BTreeMap<RelationshipId, Duration>,
    followed: BTreeMap<RelationshipId, Duration>,
    /// Drawn at each start: which mailbox each peer is told follows from it.
    mailbox_key: SecretKey,
    /// Those of all relationships that were met in this run, a bit each.
    mailboxes: u64,
}

impl Hints {
    /// Knows nobody yet.
    #[must_use]
    pub fn new(mailbox_key: SecretKey) -> Self {
        Self {
            tags: HashMap::new(),
            peers: Vec::new(),
            day: None,
            cursor: None,
            sent: BTreeMap::new(),
            followed: BTreeMap::new(),
            mailbox_key,
            mailboxes: 0,
        }
    }

    /// The mailbox of one relationship in this run, which has nothing to do with that of any other.
    #[must_use]
    pub fn mailbox(&self, id: RelationshipId) -> u8 {
        hmac16(&self.mailbox_key, &[b"mailbox", id.as_bytes()])[0] % hint::MAILBOXES
    }

    /// The mailboxes of all relationships, a bit each.
    #[must_use]
    pub const fn mailboxes(&self) -> u64 {
        self.mailboxes
    }

    /// Computes some more tags, and starts over on a new day. `true` if there is more to do.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn refresh(&mut self, tx: &Tx<'_>) -> Result<bool, StoreFault> {
        let today = tx.wall().day();
        if self.day != Some(today) {
            self.day = Some(today);
            self.tags.clear();
            self.peers.clear();
            self.cursor = Some(None);
        }
        let Some(cursor) = self.cursor else { return Ok(false) };
        let page = Relationship::hint_keys(tx, cursor, PAGE)?;
        for (id, row) in &page {
            self.add(*id, &row.key.key(), row.side, today);
        }
        self.cursor = if page.len() < PAGE { None } else { page.last().map(|(last, _)| Some(*last)) };
        Ok(self.cursor.is_some())
    }

    /// Listens for a relationship that is new.
    pub fn learn(&mut self, relationship: &Relationship, tx: &Tx<'_>) {
        if relationship.state != PeerState::Closed {
            self.add(relationship.id, &relationship.hint_key(), relationship.side, tx.wall().day());
        }
    }

    fn add(&mut self, id: RelationshipId, key: &SecretKey, side: Side, today: u64) {
        let from_inviter = side == Side::Scanner;
        let place = u32::try_from(self.peers.len()).expect("no disk holds four billion relationships");
        self.peers.push(id);
        self.mailboxes |= 1 << self.mailbox(id);
        for day in today.saturating_sub(1)..=today + 1 {
            self.tags.insert(hint::tag(key, day, from_inviter), place);
        }
    }

    /// Who hinted, if it was one of our peers and there is reason to follow it now.
    pub fn heard(&mut self, tx: &Tx<'_>, bytes: &[u8]) -> Option<RelationshipId> {
        let tag = hint::decode(bytes, tx.wall())?;
        let relationship = self.peers[usize::try_from(*self.tags.get(&tag)?).ok()?];
        within_bounds(&mut self.followed, relationship, tx.now.running).then_some(relationship)
    }

    /// A hint for a peer that is not connected, if it is time for one: topic and bytes.
    pub fn send(&mut self, tx: &mut Tx<'_>, relationship: &Relationship) -> Option<(u8, Vec<u8>)> {
        if !within_bounds(&mut self.sent, relationship.id, tx.now.running) {
            return None;
        }
        let tag = hint::tag(&relationship.hint_key(), tx.wall().day(), relationship.side == Side::Inviter);
        Some((relationship.their_profile.mailbox, hint::encode(tag, tx.wall(), &mut *tx.dice)))
    }
}

/// Once in [`HINT_EVERY`] for each; the table is cleared of what is older, so that it does not grow.
fn within_bounds(
    last: &mut BTreeMap<RelationshipId, Duration>,
    relationship: RelationshipId,
    running: Duration,
) -> bool {
    const KEPT: usize = 4_096;
    if last.get(&relationship).is_some_and(|last| running < *last + HINT_EVERY) {
        return false;
    }
    if last.len() >= KEPT {
        last.retain(|_, at| running < *at + HINT_EVERY);
    }
    if last.len() >= KEPT {
        return false;
    }
    last.insert(relationship, running);
    true
}
