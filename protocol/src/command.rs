//! What our side can want, and what it is told: the engine's front door.
//!
//! A command comes with a ticket; its answer carries the same ticket, and comes after all that it depends on is durable. Peers are named
//! by petname, ids by any unambiguous beginning: the engine resolves them, since it alone knows what exists. Values cross this door only
//! where a person asked for them.

use std::time::Duration;

use crate::{
    id::InvitationId,
    path::{FieldName, FieldPath, Kind, Path, RecordPath, Selector},
    purpose::Purpose,
    refusal::Refusal,
    time::Timestamp,
    value::{Type, Value},
};

/// Which answer belongs to which command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A page of a listing: at most `limit` items, after the one whose cursor is `after`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Page {
    pub limit: usize,
    pub after: Option<String>,
}

/// Items, and the cursor of the next page if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// How a field is written.
#[derive(Clone, Debug)]
pub struct SetItem {
    pub path: FieldPath,
    /// The type that the caller named.
    pub explicit: Option<Type>,
    /// The type that the kind's schema names.
    pub schema: Option<Type>,
    pub input: Input,
}

/// A value as it comes in.
#[derive(Clone)]
pub enum Input {
    /// Text, read as the field's type. `readings` are its values in those types whose written form is read outside of the engine.
    Written { text: String, readings: Vec<Value> },
    /// A value that has its type already (lists, maps, bytes, importers).
    Typed(Value),
}

/// Input may hold a value: it prints nothing of it.
impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input(..)")
    }
}

/// One record as an importer read it.
#[derive(Clone, Debug)]
pub struct ImportItem {
    pub record: RecordPath,
    pub fields: Vec<(FieldName, Value)>,
}

/// How a grant passes on what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Mode {
    /// This version and later ones.
    Follow,
    /// The version at the time of lending.
    Once,
    /// Nothing is kept by the other side; each read is live.
    Reference,
}

impl Mode {
    /// The word on the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Once => "once",
            Self::Reference => "reference",
        }
    }

    /// The mode of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Follow, Self::Once, Self::Reference].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// A person's node or a company's: a label that the node gives itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum NodeKind {
    Person,
    Vendor,
}

impl NodeKind {
    /// The word on the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Vendor => "vendor",
        }
    }
}

/// Which way a grant or an ask goes, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// We lend, or were asked.
    Given,
    /// We hold, or asked.
    Held,
}

/// What `ask` and `grant` share.
#[derive(Clone, Debug)]
pub struct Lending {
    pub peer: String,
    pub selectors: Vec<Selector>,
    pub purpose: Purpose,
    pub until: Option<Timestamp>,
    pub mode: Mode,
}

/// Which part of a log is listed.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    pub peer: Option<String>,
    pub since: Option<Timestamp>,
    pub page: Page,
}

/// All that our side can want of the engine.
#[derive(Debug)]
pub enum Command {
    Status,
    // Records.
    Set {
        items: Vec<SetItem>,
    },
    /// A page of an import; repeating it changes nothing. `dry_run` counts and writes nothing.
    Import {
        items: Vec<ImportItem>,
        source: String,
        dry_run: bool,
    },
    Get {
        paths: Vec<Path>,
        from: Option<String>,
    },
    List {
        kind: Option<Kind>,
        record: Option<RecordPath>,
        from: Option<String>,
        page: Page,
    },
    History {
        path: FieldPath,
        page: Page,
    },
    Remove {
        path: Path,
    },
    /// Whole records with values, for `export`.
    Export {
        kind: Option<Kind>,
        page: Page,
    },
    // Pairing.
    Invite {
        lifetime: Duration,
    },
    Accept {
        text: String,
        petname: Option<String>,
    },
    /// Answers once the pairing has gone past `seen`.
    AwaitPairing {
        id: InvitationId,
        seen: PairingStage,
    },
    Confirm {
        id: InvitationId,
        words: WordsAre,
    },
    Invitations,
    CancelInvitations,
    Peers,
    Peer {
        name: String,
    },
    Rename {
        old: String,
        new: String,
    },
    Sync {
        peer: Option<String>,
    },
    Forget {
        peer: String,
    },
    /// After a restore: what is lent to this peer goes on.
    Resume {
        peer: String,
    },
    // Lending.
    Ask {
        lending: Lending,
        optional: Vec<Selector>,
        reason: Option<String>,
        benefit: Option<String>,
    },
    WithdrawAsk {
        ask: String,
    },
    Asks {
        direction: Option<Direction>,
        page: Page,
    },
    AskDetail {
        ask: String,
    },
    AnswerAsk {
        ask: String,
        only: Vec<Selector>,
        until: Option<Timestamp>,
    },
    DeclineAsk {
        ask: String,
        reason: Option<String>,
    },
    Grant {
        lending: Lending,
        lease: Option<Duration>,
    },
    /// The exact values that would leave under these selectors.
    Preview {
        selectors: Vec<Selector>,
    },
    Grants {
        direction: Option<Direction>,
        peer: Option<String>,
        page: Page,
    },
    GrantDetail {
        grant: String,
    },
    Used {
        peer: Option<String>,
        page: Page,
    },
    RevokeGrant {
        grant: String,
    },
    RevokePeer {
        peer: String,
        selectors: Vec<Selector>,
    },
    AccessField {
        path: FieldPath,
    },
    AccessPeer {
        peer: String,
    },
    Log(LogQuery),
    /// Checks the chains and signatures of all logs, or of one peer's, and the store's counts.
    Verify {
        peer: Option<String>,
    },
}

/// What two people say after comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsAre {
    TheSame,
    Different,
}

/// What the command is told.
#[derive(Debug)]
pub enum Answer {
    Done,
    Status(Box<StatusView>),
    Written { written: Vec<WrittenView>, told: Vec<Told> },
    Imported(ImportCounts),
    Fields(Vec<FieldView>),
    Records(Listing<RecordView>),
    Versions(Listing<FieldView>),
    Removed { removed: u64, told: Vec<Told> },
    Exported(Listing<ExportedRecord>),
    Invited { id: InvitationId, text: String, expires: Timestamp },
    Pairing(PairingView),
    Invitations(Vec<InvitationView>),
    Peers(Vec<PeerView>),
    Peer(Box<PeerView>),
    Forgotten { peer: String, revoked: Vec<String>, told: Vec<Told> },
    Resumed(Vec<GrantView>),
    Asked { ask: String, state: Delivery },
    Asks(Listing<AskView>),
    Ask { ask: Box<AskView>, values: Vec<FieldView> },
    Granted(Box<GrantedView>),
    Preview(Vec<FieldView>),
    Grants(Listing<GrantView>),
    Grant { grant: Box<GrantView>, entries: Vec<EntryView>, used: Vec<UsedView> },
    Used(Listing<UsedView>),
    Revoked(RevokedView),
    Access(Vec<GrantView>),
    Log(Listing<EntryView>),
    Verified(VerifiedView),
}

/// A command's outcome.
pub type Outcome = Result<Answer, Refusal>;

/// What `status` shows of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView {
    pub name: String,
    pub kind: NodeKind,
    pub peers_paired: u64,
    pub peers_online: u64,
    pub records: u64,
    pub fields: u64,
    pub grants_given: u64,
    pub grants_held: u64,
    pub due: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenView {
    pub path: FieldPath,
    pub version: u64,
}

/// Whether a peer has it, durably, or will be told when it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    Delivered,
    Queued,
}

impl Delivery {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Queued => "queued",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub peer: String,
    pub state: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ImportCounts {
    pub records: u64,
    pub new: u64,
    pub changed: u64,
    pub unchanged: u64,
}

/// One value with where it comes from. `record` is a record's own id, or a pseudonym where only a column is lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldView {
    pub path: String,
    pub value: Value,
    pub version: u64,
    pub at: Timestamp,
    pub source: String,
    pub peer: Option<String>,
    pub grant: Option<String>,
    /// Under which rule it would leave, in previews: the selector.
    pub selector: Option<Selector>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// `kind/id`.
    pub id: String,
    pub kind: Kind,
    pub fields: Vec<String>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedRecord {
    pub record: RecordPath,
    pub fields: Vec<(FieldName, FieldView)>,
}

/// How far a pairing is. Later stages are greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PairingStage {
    /// The invitation is open, or the other side is being dialled.
    Open,
    /// Both screens show the words: people compare.
    Comparing,
    /// We confirmed, the other side has not.
    Waiting,
    /// Both confirmed.
    Paired,
    /// It ended; the reason stands beside it.
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingView {
    pub id: InvitationId,
    pub stage: PairingStage,
    pub peer: Option<String>,
    pub words: Vec<String>,
    pub emoji: Vec<EmojiView>,
    /// Why it ended.
    pub ended: Option<Refusal>,
    /// Somebody else tried the same invitation.
    pub others_tried: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmojiView {
    pub emoji: String,
    pub name_en: String,
    pub name_fr: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationView {
    pub id: InvitationId,
    pub expires: Timestamp,
    /// `open`, `used`, `expired`.
    pub state: &'static str,
}

/// A relationship's state as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum PeerState {
    Pending,
    Paired,
    Frozen,
    Closed,
    /// This home was put back from a backup: what it lends is suspended until its person says that it goes on.
    Restored,
}

impl PeerState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paired => "paired",
            Self::Frozen => "frozen",
            Self::Closed => "closed",
            Self::Restored => "restored",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    pub peer: String,
    pub kind: Option<NodeKind>,
    pub calls_itself: String,
    pub since: Timestamp,
    pub online: bool,
    pub last_seen: Option<Timestamp>,
    /// Until when our grants held from this peer may be read without hearing from it.
    pub lease_until: Option<Timestamp>,
    pub theirs_seq: u64,
    pub mine_seq: u64,
    /// Entries of ours that it has not acknowledged.
    pub queued: u64,
    pub due: u64,
    pub state: PeerState,
    pub addresses: Vec<String>,
    /// Why it was not reached last: a message id of the catalogue, and when.
    pub last_problem: Option<(&'static str, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AskState {
    Open,
    Granted,
    Partly,
    Declined,
    Withdrawn,
}

impl AskState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Granted => "granted",
            Self::Partly => "partly",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskView {
    pub ask: String,
    pub peer: String,
    pub direction: Direction,
    /// Each with whether it is required.
    pub selectors: Vec<(Selector, bool)>,
    pub purpose: Purpose,
    pub reason: Option<String>,
    pub benefit: Option<String>,
    pub mode: Mode,
    pub until: Option<Timestamp>,
    pub at: Timestamp,
    pub state: AskState,
    pub declined_because: Option<String>,
    pub grant: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedView {
    pub grant: String,
    pub peer: String,
    pub selectors: Vec<Selector>,
    pub until: Option<Timestamp>,
    pub lease_until: Option<Timestamp>,
    pub told: Vec<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum GrantState {
    Active,
    Suspended,
    Revoked,
    Expired,
}

impl GrantState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// Whether the holder said that it dropped keys and cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Purge {
    None,
    Awaited,
    Confirmed,
}

impl Purge {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Awaited => "awaited",
            Self::Confirmed => "confirmed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantView {
    pub grant: String,
    pub peer: String,
    pub direction: Direction,
    pub selectors: Vec<Selector>,
    /// Selectors that were taken back while the grant goes on.
    pub taken_back: Vec<Selector>,
    pub purpose: Purpose,
    pub mode: Mode,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub lease_until: Option<Timestamp>,
    pub state: GrantState,
    pub ended_at: Option<Timestamp>,
    pub purge: Purge,
    pub purged_at: Option<Timestamp>,
    /// Hex of the agreement's hash.
    pub agreement: String,
    pub last_delivery: Option<Timestamp>,
    pub last_use: Option<Timestamp>,
    pub uses: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedGrant {
    pub grant: String,
    pub selectors: Vec<Selector>,
    pub at: Timestamp,
    /// The newest version of any of its fields that was handed over, 0 if none was.
    pub delivered_through: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedView {
    pub revoked: Vec<RevokedGrant>,
    pub still_lent: Vec<(String, Selector)>,
    pub told: Vec<Told>,
    pub purge: Purge,
    /// Until when an honest node that hears nothing may still read.
    pub lease_until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedView {
    pub at: Timestamp,
    pub peer: String,
    pub direction: Direction,
    pub grant: String,
    pub path: String,
    pub purpose: Purpose,
    pub count: u64,
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    pub at: Timestamp,
    pub peer: String,
    /// `sent` or `received`.
    pub direction: &'static str,
    pub log: String,
    pub seq: u64,
    /// `Granted`, or `unknown kind N`.
    pub kind: String,
    /// The message id of its one line, and the facts for it.
    pub summary: (&'static str, Vec<(&'static str, String)>),
    pub grant: Option<String>,
    pub selectors: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedView {
    pub ok: bool,
    pub entries: u64,
    /// What is missing or wrong, one line each: message id and facts.
    pub gaps: Vec<(&'static str, Vec<(&'static str, String)>)>,
    /// (log, sequence, hex of the hash).
    pub heads: Vec<(String, u64, String)>,
}

/// Something that happened, for `watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    pub at: Timestamp,
    /// `field_changed`, `granted`, `revoked`, `asked`, `answered`, `declined`, `withdrawn`, `purged`, `used`, `peer_online`,
    /// `peer_offline`, `paired`, `closed`, `forked`, `pairing`, `peer_restored`, `resumed`.
    pub event: &'static str,
    pub peer: Option<String>,
    pub grant: Option<String>,
    pub ask: Option<String>,
    pub selectors: Vec<String>,
    pub path: Option<String>,
}
