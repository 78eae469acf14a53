//! Looking into a node's home as it stands, without a command, an event or a draw of its dice.

use allod_protocol::{
    ask::Ask,
    command::{AskState, Direction, PeerState},
    grant::Grant,
    holding::{self, ReadOutcome},
    id::{GrantId, RelationshipId},
    log,
    path::{FieldPath, Kind, RecordPath},
    record,
    relationship::Relationship,
    restore::Incarnation,
    store::StoreFault,
    table::{EntryPart, Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    wire::body::Body,
};

use crate::{network::NodeId, story::text_of, world::World};

/// A relationship as one side stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub petname: String,
    /// What the peer calls itself: the name of its node in this world.
    pub calls_itself: String,
    pub state: PeerState,
    /// It was put back, and has not heard the peer since.
    pub waits: bool,
    /// Entries of ours that it has not acknowledged.
    pub queued: u64,
    /// Where the peer said that it can be dialled.
    pub addresses: Vec<String>,
}

/// The grant and the selectors of which an entry carries something.
fn carried(body: Body) -> Option<(GrantId, Vec<u16>)> {
    match body {
        Body::Granted(granted) => Some((granted.grant, Vec::new())),
        Body::Keys(keys) => Some((keys.grant, keys.keys.iter().map(|(place, _)| *place).collect())),
        Body::Cells(cells) => Some((cells.grant, cells.cells.iter().map(|cell| cell.selector).collect())),
        Body::Served(served) => Some((served.grant, vec![served.selector])),
        _ => None,
    }
}

impl World {
    /// What somebody with this node's disk and vault reads.
    ///
    /// # Panics
    /// If its vault does not open: nobody but the node itself writes it.
    pub fn inspect<T>(&self, id: NodeId, look: impl FnOnce(&Tx<'_>) -> T) -> T {
        let node = &self.nodes[id.0];
        let vault = node.vault();
        // Looking draws nothing; the dice are only what a step has to be given.
        let mut dice = node.dice.clone();
        look(&Tx::new(&node.disk, &vault, &mut dice, node.now(self.now_us)))
    }

    /// All relationships of a node.
    #[must_use]
    pub fn known_peers(&self, id: NodeId) -> Vec<Known> {
        self.inspect(id, |tx| {
            let all = intact(Relationship::all(tx));
            let known = all.into_iter().map(|relationship| {
                let own = intact(log::own(tx, &relationship));
                Known {
                    petname: relationship.petname.clone(),
                    calls_itself: relationship.their_profile.name.clone(),
                    state: relationship.state,
                    waits: intact(Incarnation::of(tx, &relationship)).is_some_and(|row| row.waits()),
                    addresses: relationship.their_profile.addresses.clone(),
                    queued: own.next - 1 - own.acknowledged,
                }
            });
            known.collect()
        })
    }

    /// What a node calls another, if they are paired or were.
    #[must_use]
    pub fn petname(&self, id: NodeId, other: NodeId) -> Option<String> {
        let other = self.name(other);
        let known = self.known_peers(id).into_iter();
        known.filter(|known| known.calls_itself == other && known.state != PeerState::Pending).map(|k| k.petname).next()
    }

    /// All grants of a node in one direction, as they are stored.
    #[must_use]
    pub fn stored_grants(&self, id: NodeId, direction: Direction) -> Vec<Grant> {
        self.inspect(id, |tx| {
            let grants = intact(Grant::all(tx));
            grants.into_iter().filter(|grant| grant.direction == direction).collect()
        })
    }

    /// The present value of a field and its version.
    #[must_use]
    pub fn stored_value(&self, id: NodeId, path: &FieldPath) -> Option<(String, u64)> {
        self.inspect(id, |tx| intact(record::present(tx, path)).map(|now| (text_of(&now.value), now.version)))
    }

    /// What a node could read of another at this moment, without anybody being told: nothing is counted.
    #[must_use]
    pub fn peek(&self, reader: NodeId, owner: NodeId, path: &str) -> Option<String> {
        self.peek_named(reader, &self.petname(reader, owner)?, path)
    }

    pub(crate) fn peek_named(&self, reader: NodeId, peer: &str, path: &str) -> Option<String> {
        self.inspect(reader, |tx| {
            let relationship = Relationship::named(tx, peer).ok()?;
            match holding::read(tx, &relationship, &path.parse().ok()?, None) {
                Ok(ReadOutcome::Value { view, .. }) => Some(text_of(&view.value)),
                Ok(ReadOutcome::Live { .. }) | Err(Stop::Refused(_)) => None,
                Err(stop) => panic!("a home that nobody touched does not read: {stop:?}"),
            }
        })
    }

    /// All records of a kind of a node, and the pseudonyms under which another sees them.
    #[must_use]
    pub fn pseudonym(&self, owner: NodeId, peer: &str, kind: &Kind, id: &str) -> Option<String> {
        self.inspect(owner, |tx| {
            let relationship = Relationship::named(tx, peer).ok()?;
            let id = allod_protocol::path::RecordId::parse(id).ok()?;
            Some(relationship.pseudonym(&RecordPath { kind: kind.clone(), id }).long())
        })
    }

    /// Payloads in a node's logs that carry something of a grant that lends it no more.
    #[must_use]
    pub fn payloads_without_grant(&self, id: NodeId) -> Vec<String> {
        self.inspect(id, |tx| {
            let mut found = Vec::new();
            for relationship in intact(Relationship::all(tx)) {
                let own = intact(log::own(tx, &relationship));
                for sequence in own.acknowledged + 1..own.next {
                    let key = Key::entry(own.log, sequence, EntryPart::Payload);
                    if intact(tx.get_raw(&key)).is_none() {
                        continue;
                    }
                    let Some((_, body)) = intact(log::kept_body(tx, &relationship, own.log, sequence)) else {
                        continue;
                    };
                    let Some((grant, places)) = carried(body) else { continue };
                    let row = intact(Grant::find(tx, relationship.id, grant));
                    let lends = row.is_some_and(|row| {
                        row.ended.is_none()
                            && places.iter().all(|place| row.lent(*place).is_some_and(|lent| lent.taken_back.is_none()))
                    });
                    if !lends {
                        found.push(format!("entry {sequence} to {} of {grant}", relationship.petname));
                    }
                }
            }
            found
        })
    }

    /// Under which grant an entry of a node's log to another carries something, if it is one that does.
    #[must_use]
    pub fn grant_carried(&self, id: NodeId, to: NodeId, sequence: u64) -> Option<GrantId> {
        let relationship = self.relationship_with(id, to)?;
        self.inspect(id, |tx| {
            let relationship = intact(Relationship::load(tx, relationship));
            let (_, body) = intact(log::kept_body(tx, &relationship, relationship.my_log, sequence))?;
            carried(body).map(|(grant, _)| grant)
        })
    }

    /// The relationship of a node with another, in whatever state.
    #[must_use]
    pub fn relationship_with(&self, id: NodeId, other: NodeId) -> Option<RelationshipId> {
        let name = self.name(other);
        self.inspect(id, |tx| {
            let all = intact(Relationship::all(tx));
            all.into_iter().find(|relationship| relationship.their_profile.name == name).map(|found| found.id)
        })
    }

    /// How far a node has verified another's log, and the newest head of it that it relies on.
    #[must_use]
    pub fn height_of(&self, id: NodeId, other: NodeId) -> (u64, u64, Timestamp) {
        let Some(relationship) = self.relationship_with(id, other) else { return Default::default() };
        self.inspect(id, |tx| {
            let relationship = intact(Relationship::load(tx, relationship));
            let their = intact(log::theirs(tx, &relationship));
            let (sequence, at) = their.head.map(|head| (head.sequence, head.at)).unwrap_or_default();
            (their.next, sequence, at)
        })
    }

    /// How many asks of another are open at a node.
    #[must_use]
    pub fn open_asks(&self, id: NodeId, other: NodeId) -> usize {
        let with = self.relationship_with(id, other);
        let all = self.inspect(id, |tx| intact(Ask::all(tx)));
        let open = |ask: &&Ask| Some(ask.relationship) == with && ask.state == AskState::Open;
        all.iter().filter(|ask| ask.direction == Direction::Given).filter(open).count()
    }

    /// How often the keys of a node's relationships were changed.
    #[must_use]
    pub fn key_changes(&self, id: NodeId) -> u64 {
        let all = self.inspect(id, |tx| intact(Relationship::all(tx)));
        all.iter().map(|relationship| u64::from(relationship.speaks)).sum()
    }

    /// How many rows of a table a node has.
    #[must_use]
    pub fn rows(&self, id: NodeId, table: Table) -> usize {
        self.nodes[id.0].disk.rows().keys().filter(|key| Table::of(key) == Some(table)).count()
    }
}

fn intact<T>(read: Result<T, StoreFault>) -> T {
    read.unwrap_or_else(|fault| panic!("a home that nobody touched does not read: {fault}"))
}
