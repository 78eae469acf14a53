//! The tables of the store: how keys are laid out, and what a row of each holds.
//!
//! A key is `table ‖ sixteen bytes ‖ …`; the first of the sixteen is the row's bucket, so that one bucket of one table is a prefix and can
//! be sealed anew by itself. Names are blinded, ids are random.

use crate::{
    effect::SessionId,
    id::{AskId, GrantId, InvitationId, LogId, Pseudonym, RelationshipId, RouteId},
    time::Timestamp,
};

/// How a table's rows are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// Sealed at a Padmé size: rows that hold values.
    Padded,
    /// Sealed at their own length.
    Tight,
    /// Stored as they are: sealed already, for someone else or by someone else.
    Raw,
}

macro_rules! tables {
    ($( $(#[$doc:meta])* $name:ident = $letter:literal, $sealing:ident; )*) => {
        /// A table: the first byte of its keys.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Table { $( $(#[$doc])* $name, )* }

        impl Table {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// The byte.
            #[must_use]
            pub const fn byte(self) -> u8 {
                match self { $( Self::$name => $letter, )* }
            }

            /// How its rows are stored.
            #[must_use]
            pub const fn sealing(self) -> Sealing {
                match self { $( Self::$name => Sealing::$sealing, )* }
            }

            /// The table of a key.
            #[must_use]
            pub fn of(key: &[u8]) -> Option<Self> {
                match key.first()? { $( &$letter => Some(Self::$name), )* _ => None }
            }
        }
    };
}

tables! {
    /// One row a record: its present fields.
    Records = b'R', Padded;
    /// Superseded versions, one row each.
    Versions = b'V', Padded;
    /// Values too long for the record's row.
    LongValues = b'B', Padded;
    /// The last version of a record that was removed, so that a version is never given twice.
    Graves = b'X', Tight;
    /// Counts and the node's own state.
    Meta = b'M', Tight;
    /// Relationships: keys, names, addresses.
    Relationships = b'P', Tight;
    /// The keys of gossip hints, apart from the relationships' own rows: all of them are read at each start.
    HintKeys = b'h', Tight;
    /// What a relationship keeps of its beginnings: its first routes, the logs that ended, and where a new one begins.
    Incarnations = b'i', Tight;
    /// Petname to relationship.
    Petnames = b'Y', Tight;
    /// Route to relationship.
    Routes = b'N', Tight;
    /// Where our own log to a peer stands.
    OwnLogs = b'O', Tight;
    /// Where a peer's log to us stands.
    TheirLogs = b'T', Tight;
    /// Entries: header and signature (0), sealed body (1), sealed payload (2).
    Entries = b'L', Raw;
    /// The keys of entries: body (1), payload (2).
    EntryKeys = b'K', Tight;
    /// Two entries that cannot both be.
    ForkProofs = b'Z', Raw;
    /// Grants that go on, both ways.
    Grants = b'G', Tight;
    /// Grants that ended: who acts on what is lent does not read through the past.
    EndedGrants = b'H', Tight;
    /// Grant id to relationship.
    GrantIds = b'g', Tight;
    /// Field keys, ours and those lent to us.
    FieldKeys = b'F', Tight;
    /// Who follows a selector of ours.
    Followers = b'I', Tight;
    /// Which grants let us read a selector.
    Readable = b'E', Tight;
    /// Cells that we hold.
    Cells = b'C', Raw;
    /// Fields whose newest version a follower does not have.
    Due = b'D', Tight;
    /// Entries with a payload of a grant that the peer does not have yet.
    Flights = b'q', Tight;
    /// When grants end, and pairings that nobody confirms, in order of time.
    Ends = b'e', Tight;
    /// Asks that are open, both ways. Rows of earlier versions stand here also when they ended.
    Asks = b'A', Tight;
    /// Asks that ended: who counts the open ones does not read through the past.
    EndedAsks = b'S', Tight;
    /// Ask id to relationship.
    AskIds = b'a', Tight;
    /// Uses that are counted and not reported.
    Uses = b'U', Tight;
    /// Uses that were reported, both ways.
    UseReports = b'u', Tight;
    /// Long work with a cursor.
    Jobs = b'J', Tight;
    /// Open and used invitations.
    Invitations = b'v', Tight;
    /// Relationships with something to say and nobody to say it to.
    Waiting = b'W', Tight;
    /// Log id to relationship: entries stand under the id of their log alone, and the other side chose that of its own.
    LogIds = b'l', Tight;
}

impl Table {
    /// The letter of a key's table, for messages about damage.
    #[must_use]
    pub fn letter(key: &[u8]) -> char {
        key.first().map_or('?', |byte| char::from(*byte))
    }
}

/// A key, or the beginning of one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key(Vec<u8>);

impl Key {
    /// All rows of a table.
    #[must_use]
    pub fn table(table: Table) -> Self {
        Self(vec![table.byte()])
    }

    /// All rows of one bucket of a table.
    #[must_use]
    pub fn bucket_prefix(table: Table, bucket: u8) -> Self {
        Self(vec![table.byte(), bucket])
    }

    fn of(table: Table, parts: &[&[u8]]) -> Self {
        let mut bytes = vec![table.byte()];
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Self(bytes)
    }

    /// A key as it came out of the store.
    #[must_use]
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its bucket.
    #[must_use]
    pub fn bucket(&self) -> u8 {
        Self::bucket_of(&self.0).unwrap_or(0)
    }

    /// The bucket of a stored key.
    #[must_use]
    pub fn bucket_of(key: &[u8]) -> Option<u8> {
        key.get(1).copied()
    }

    /// The sixteen bytes that start at `offset` behind the table byte.
    #[must_use]
    pub fn sixteen(&self, offset: usize) -> [u8; 16] {
        let mut bytes = [0; 16];
        if let Some(found) = self.0.get(1 + offset..17 + offset) {
            bytes.copy_from_slice(found);
        }
        bytes
    }

    /// The number in the eight bytes that start at `offset` behind the table byte.
    #[must_use]
    pub fn number(&self, offset: usize) -> u64 {
        self.0.get(1 + offset..9 + offset).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
    }

    // Records.

    /// A record's row. The bucket stands before the kind, so that a removal touches a 256th of a kind.
    #[must_use]
    pub fn record(kind: [u8; 8], record: [u8; 16]) -> Self {
        Self::of(Table::Records, &[&record[..1], &kind, &record])
    }

    /// All records of a kind in one bucket.
    #[must_use]
    pub fn records_of(bucket: u8, kind: [u8; 8]) -> Self {
        Self::of(Table::Records, &[&[bucket], &kind])
    }

    #[must_use]
    pub fn version(record: [u8; 16], field: [u8; 8], version: u64) -> Self {
        Self::of(Table::Versions, &[&record, &field, &version.to_be_bytes()])
    }

    #[must_use]
    pub fn versions_of(record: [u8; 16], field: [u8; 8]) -> Self {
        Self::of(Table::Versions, &[&record, &field])
    }

    #[must_use]
    pub fn long_value(record: [u8; 16], field: [u8; 8], version: u64) -> Self {
        Self::of(Table::LongValues, &[&record, &field, &version.to_be_bytes()])
    }

    #[must_use]
    pub fn long_values_of(record: [u8; 16], field: [u8; 8]) -> Self {
        Self::of(Table::LongValues, &[&record, &field])
    }

    #[must_use]
    pub fn grave(record: [u8; 16]) -> Self {
        Self::of(Table::Graves, &[&record])
    }

    #[must_use]
    pub fn meta(name: &str) -> Self {
        Self::of(Table::Meta, &[&[0], name.as_bytes()])
    }

    // Relationships and logs.

    #[must_use]
    pub fn relationship(id: RelationshipId) -> Self {
        Self::of(Table::Relationships, &[id.as_bytes()])
    }

    #[must_use]
    pub fn hint_key(id: RelationshipId) -> Self {
        Self::of(Table::HintKeys, &[id.as_bytes()])
    }

    #[must_use]
    pub fn incarnation(id: RelationshipId) -> Self {
        Self::of(Table::Incarnations, &[id.as_bytes()])
    }

    #[must_use]
    pub fn petname(tag: [u8; 16]) -> Self {
        Self::of(Table::Petnames, &[&tag])
    }

    #[must_use]
    pub fn route(id: RouteId) -> Self {
        Self::of(Table::Routes, &[id.as_bytes()])
    }

    #[must_use]
    pub fn own_log(id: RelationshipId) -> Self {
        Self::of(Table::OwnLogs, &[id.as_bytes()])
    }

    #[must_use]
    pub fn their_log(id: RelationshipId) -> Self {
        Self::of(Table::TheirLogs, &[id.as_bytes()])
    }

    #[must_use]
    pub fn log_id(log: LogId) -> Self {
        Self::of(Table::LogIds, &[log.as_bytes()])
    }

    #[must_use]
    pub fn entry(log: LogId, sequence: u64, part: EntryPart) -> Self {
        Self::of(Table::Entries, &[log.as_bytes(), &sequence.to_be_bytes(), &[part as u8]])
    }

    #[must_use]
    pub fn entries_of(log: LogId) -> Self {
        Self::of(Table::Entries, &[log.as_bytes()])
    }

    #[must_use]
    pub fn entry_key(log: LogId, sequence: u64, part: EntryPart) -> Self {
        Self::of(Table::EntryKeys, &[log.as_bytes(), &sequence.to_be_bytes(), &[part as u8]])
    }

    #[must_use]
    pub fn fork_proof(log: LogId, sequence: u64) -> Self {
        Self::of(Table::ForkProofs, &[log.as_bytes(), &sequence.to_be_bytes()])
    }

    #[must_use]
    pub fn waiting(id: RelationshipId) -> Self {
        Self::of(Table::Waiting, &[id.as_bytes()])
    }

    // Lending.

    #[must_use]
    pub fn grant(relationship: RelationshipId, grant: GrantId) -> Self {
        Self::of(Table::Grants, &[relationship.as_bytes(), grant.as_bytes()])
    }

    #[must_use]
    pub fn grants_of(relationship: RelationshipId) -> Self {
        Self::of(Table::Grants, &[relationship.as_bytes()])
    }

    #[must_use]
    pub fn ended_grant(relationship: RelationshipId, grant: GrantId) -> Self {
        Self::of(Table::EndedGrants, &[relationship.as_bytes(), grant.as_bytes()])
    }

    #[must_use]
    pub fn ended_grants_of(relationship: RelationshipId) -> Self {
        Self::of(Table::EndedGrants, &[relationship.as_bytes()])
    }

    /// All grants whose ids begin so.
    #[must_use]
    pub fn grant_ids(beginning: &[u8]) -> Self {
        Self::of(Table::GrantIds, &[beginning])
    }

    /// All asks whose ids begin so.
    #[must_use]
    pub fn ask_ids(beginning: &[u8]) -> Self {
        Self::of(Table::AskIds, &[beginning])
    }

    #[must_use]
    pub fn grant_id(grant: GrantId) -> Self {
        Self::of(Table::GrantIds, &[grant.as_bytes()])
    }

    #[must_use]
    pub fn field_key(grant: GrantId, selector: u16, epoch: u32) -> Self {
        Self::of(Table::FieldKeys, &[grant.as_bytes(), &selector.to_be_bytes(), &epoch.to_be_bytes()])
    }

    #[must_use]
    pub fn field_keys_of(grant: GrantId, selector: u16) -> Self {
        Self::of(Table::FieldKeys, &[grant.as_bytes(), &selector.to_be_bytes()])
    }

    #[must_use]
    pub fn follower(selector: [u8; 16], grant: GrantId) -> Self {
        Self::of(Table::Followers, &[&selector, grant.as_bytes()])
    }

    #[must_use]
    pub fn followers_of(selector: [u8; 16]) -> Self {
        Self::of(Table::Followers, &[&selector])
    }

    #[must_use]
    pub fn readable(relationship: RelationshipId, selector: [u8; 16], grant: GrantId) -> Self {
        Self::of(Table::Readable, &[relationship.as_bytes(), &selector, grant.as_bytes()])
    }

    #[must_use]
    pub fn readable_by(relationship: RelationshipId, selector: [u8; 16]) -> Self {
        Self::of(Table::Readable, &[relationship.as_bytes(), &selector])
    }

    /// The cell of a literal selector has no pseudonym.
    #[must_use]
    pub fn cell(grant: GrantId, selector: u16, record: Option<Pseudonym>) -> Self {
        let record = record.map_or([0; 16], |pseudonym| *pseudonym.as_bytes());
        Self::of(Table::Cells, &[grant.as_bytes(), &selector.to_be_bytes(), &record])
    }

    #[must_use]
    pub fn cells_of(grant: GrantId, selector: u16) -> Self {
        Self::of(Table::Cells, &[grant.as_bytes(), &selector.to_be_bytes()])
    }

    #[must_use]
    pub fn due(grant: GrantId, selector: u16, record: [u8; 16]) -> Self {
        Self::of(Table::Due, &[grant.as_bytes(), &selector.to_be_bytes(), &record])
    }

    #[must_use]
    pub fn due_of(grant: GrantId) -> Self {
        Self::of(Table::Due, &[grant.as_bytes()])
    }

    #[must_use]
    pub fn flight(log: LogId, sequence: u64) -> Self {
        Self::of(Table::Flights, &[log.as_bytes(), &sequence.to_be_bytes()])
    }

    #[must_use]
    pub fn flights_of(log: LogId) -> Self {
        Self::of(Table::Flights, &[log.as_bytes()])
    }

    /// All ends stand in one bucket, so that they are in order.
    #[must_use]
    pub fn end(at: Timestamp, grant: GrantId) -> Self {
        Self::of(Table::Ends, &[&[0], &at.as_millis().to_be_bytes(), grant.as_bytes()])
    }

    #[must_use]
    pub fn ask(relationship: RelationshipId, ask: AskId) -> Self {
        Self::of(Table::Asks, &[relationship.as_bytes(), ask.as_bytes()])
    }

    #[must_use]
    pub fn asks_of(relationship: RelationshipId) -> Self {
        Self::of(Table::Asks, &[relationship.as_bytes()])
    }

    #[must_use]
    pub fn ended_ask(relationship: RelationshipId, ask: AskId) -> Self {
        Self::of(Table::EndedAsks, &[relationship.as_bytes(), ask.as_bytes()])
    }

    #[must_use]
    pub fn ask_id(ask: AskId) -> Self {
        Self::of(Table::AskIds, &[ask.as_bytes()])
    }

    #[must_use]
    pub fn uses(relationship: RelationshipId, grant: GrantId, selector: u16) -> Self {
        Self::of(Table::Uses, &[relationship.as_bytes(), grant.as_bytes(), &selector.to_be_bytes()])
    }

    #[must_use]
    pub fn uses_of(relationship: RelationshipId) -> Self {
        Self::of(Table::Uses, &[relationship.as_bytes()])
    }

    #[must_use]
    pub fn use_report(relationship: RelationshipId, log: LogId, sequence: u64, index: u16) -> Self {
        Self::of(
            Table::UseReports,
            &[relationship.as_bytes(), log.as_bytes(), &sequence.to_be_bytes(), &index.to_be_bytes()],
        )
    }

    #[must_use]
    pub fn use_reports_of(relationship: RelationshipId) -> Self {
        Self::of(Table::UseReports, &[relationship.as_bytes()])
    }

    #[must_use]
    pub fn job(id: [u8; 16]) -> Self {
        Self::of(Table::Jobs, &[&id])
    }

    #[must_use]
    pub fn invitation(id: InvitationId) -> Self {
        Self::of(Table::Invitations, &[id.as_bytes()])
    }
}

/// The parts of an entry, as they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPart {
    /// Header and signature.
    Header = 0,
    /// Sealed body, or its key.
    Body = 1,
    /// Sealed payload, or its key.
    Payload = 2,
}

impl SessionId {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_a_byte_of_its_own() {
        let mut bytes: Vec<_> = Table::ALL.iter().map(|table| table.byte()).collect();
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), Table::ALL.len());
        assert!(!bytes.contains(&0xfe), "0xFE belongs to the engines' slices");
    }

    #[test]
    fn the_longest_key_is_within_the_limit() {
        let id = [0xff; 16];
        let longest = Key::use_report(RelationshipId::from_bytes(id), LogId::from_bytes(id), u64::MAX, u16::MAX);
        assert!(longest.as_bytes().len() <= crate::store::KEY_MAX_BYTES);
    }
}
