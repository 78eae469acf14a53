//! The owner has the first word: after a start, what a peer lends is read only once that peer was asked for news.
//!
//! While this node was off, something may have been taken back. The first read of a run therefore waits until the peer was heard, or could
//! not be reached, or a moment has passed; after that our own copy is read as the lease allows.

use std::{collections::BTreeSet, time::Duration};

use crate::{command::Ticket, id::RelationshipId, path::Path};

/// How long a read waits for the peer's news.
const PATIENCE: Duration = Duration::from_secs(2);
/// Peers that are remembered as heard; beyond that the memory starts over.
const HEARD_MAX: usize = 65_536;
/// Reads that wait at once.
const WAITING_MAX: usize = 1_024;

/// A read that waits.
#[derive(Debug)]
pub(super) struct WaitingRead {
    pub(super) ticket: Ticket,
    pub(super) relationship: RelationshipId,
    pub(super) peer: String,
    pub(super) paths: Vec<Path>,
    deadline: Duration,
}

/// Which peers were heard in this run, and which reads wait for one.
#[derive(Debug, Default)]
pub(super) struct FirstWord {
    heard: BTreeSet<RelationshipId>,
    waiting: Vec<WaitingRead>,
}

impl FirstWord {
    /// Whether reads of this peer wait.
    pub(super) fn is_awaited(&self, relationship: RelationshipId) -> bool {
        !self.heard.contains(&relationship) && self.waiting.len() < WAITING_MAX
    }

    /// A read waits for this peer.
    pub(super) fn wait(
        &mut self,
        ticket: Ticket,
        relationship: RelationshipId,
        peer: String,
        paths: Vec<Path>,
        running: Duration,
    ) {
        self.waiting.push(WaitingRead { ticket, relationship, peer, paths, deadline: running + PATIENCE });
    }

    /// The peer was heard, or will not be: its reads go on.
    pub(super) fn had(&mut self, relationship: RelationshipId) -> Vec<WaitingRead> {
        if self.heard.len() >= HEARD_MAX {
            self.heard.clear();
        }
        self.heard.insert(relationship);
        let waiting = std::mem::take(&mut self.waiting);
        let (now, later) = waiting.into_iter().partition(|read| read.relationship == relationship);
        self.waiting = later;
        now
    }

    /// Peers whose reads waited long enough.
    pub(super) fn late(&self, running: Duration) -> Vec<RelationshipId> {
        self.waiting.iter().filter(|read| read.deadline <= running).map(|read| read.relationship).collect()
    }

    /// When the next read stops waiting.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.waiting.iter().map(|read| read.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_reads_wait_and_one_more_does_not() {
        let (peer, other) = (RelationshipId::from_bytes([1; 16]), RelationshipId::from_bytes([2; 16]));
        let mut first = FirstWord::default();
        for number in 0..WAITING_MAX {
            assert!(first.is_awaited(peer), "{number} wait");
            first.wait(Ticket(number as u64), peer, String::new(), Vec::new(), Duration::ZERO);
        }
        assert!(!first.is_awaited(peer) && !first.is_awaited(other));
        assert_eq!(first.had(peer).len(), WAITING_MAX);
        assert!(first.is_awaited(other) && !first.is_awaited(peer), "one of them was heard");
    }
}
