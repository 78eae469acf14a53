//! What entries say: the kept body, and the payload that is dropped once it arrived.
//!
//! On the wire a body is `{kind, time, acknowledgement, bytes}` and the bytes are decoded by kind, so that an unknown kind can be kept and
//! shown. No body holds a value or a key; those travel in payloads.

use allod_crypto::{
    Aad,
    xwing::{CIPHERTEXT_BYTES, PUBLIC_BYTES},
};
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Coded, DecodeError},
    command::{Mode, NodeKind},
    id::{AskId, GrantId, LogId, Pseudonym, RouteId},
    limits::{
        ADDRESS_MAX_BYTES, ADDRESSES_MAX, CELLS_PER_ENTRY_MAX, ENTRY_MAX_BYTES, EPOCH_MAX, PETNAME_MAX_BYTES,
        SELECTORS_MAX, STATED_ASKS_MAX, STATED_MAX, STATED_SELECTORS_MAX, TEXT_MAX_BYTES,
    },
    path::Selector,
    purpose::Purpose,
    time::Timestamp,
    value::Value,
    wire::header::Hash,
};

/// An acknowledgement that cannot be denied later: how far the writer had verified the other side's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub log: LogId,
    pub sequence: u64,
    pub hash: Hash,
}

/// The kept part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireBody {
    pub kind: u16,
    pub at: Timestamp,
    pub acknowledged: Acknowledged,
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl Coded for WireBody {
    const MAX_BYTES: usize = ENTRY_MAX_BYTES;
}

macro_rules! bodies {
    ($( $(#[$doc:meta])* $name:ident($body:ty) = $number:literal; )*) => {
        /// What an entry says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Body {
            $( $(#[$doc])* $name($body), )*
            /// A kind of a newer version: kept as it is.
            Unknown { kind: u16, bytes: Vec<u8> },
        }

        $( impl Coded for $body { const MAX_BYTES: usize = ENTRY_MAX_BYTES; } )*

        impl Body {
            /// The number of its kind.
            #[must_use]
            pub fn kind(&self) -> u16 {
                match self { $( Self::$name(_) => $number, )* Self::Unknown { kind, .. } => *kind }
            }

            /// The name of its kind.
            #[must_use]
            pub fn name(&self) -> String {
                match self {
                    $( Self::$name(_) => stringify!($name).to_owned(), )*
                    Self::Unknown { kind, .. } => format!("unknown kind {kind}"),
                }
            }

            /// Its bytes.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $( Self::$name(body) => body.encode(), )* Self::Unknown { bytes, .. } => bytes.clone() }
            }

            /// Reads the bytes of a kind.
            ///
            /// # Errors
            /// [`DecodeError`] if the kind is known and the bytes are not one of it, within its limits.
            pub fn decode(kind: u16, bytes: &[u8]) -> Result<Self, DecodeError> {
                match kind {
                    $( $number => {
                        let body = <$body>::decode(bytes)?;
                        if body.is_within_limits() { Ok(Self::$name(body)) } else { Err(DecodeError::Malformed) }
                    } )*
                    _ => Ok(Self::Unknown { kind, bytes: bytes.to_vec() }),
                }
            }
        }
    };
}

bodies! {
    /// Our person compared the words and confirmed. The first entry of every log.
    Paired(Paired) = 1;
    /// What changed of name, kind or addresses.
    Profile(Profile) = 2;
    /// A request for fields.
    Asked(Asked) = 5;
    /// The end of an ask without a grant: declined by the asked, or withdrawn by the asker.
    Answered(Answered) = 6;
    /// Fields lent; the payload holds their keys.
    Granted(Granted) = 7;
    /// Fresh keys; the payload holds them.
    Keys(KeysChanged) = 8;
    /// Newest versions, or that they are gone; the payload holds the cells.
    Cells(Cells) = 9;
    /// Selectors taken back.
    Revoked(Revoked) = 10;
    /// Keys and cells dropped.
    Purged(Purged) = 11;
    /// A live read asked for.
    Read(Read) = 12;
    /// A live read answered; the payload holds the cell under a one-time key.
    Served(Served) = 13;
    /// How often values were used.
    Used(Used) = 14;
    /// A step of the change of keys.
    Rekey(Rekey) = 18;
    /// This side ends the relationship.
    Closed(Closed) = 20;
    /// After a restore: what the writer knows to go on. The first entry of every log but a side's first.
    Resumed(Resumed) = 21;
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    pub kind: NodeKind,
    /// Where it can be dialled; none if it can't.
    pub addresses: Vec<String>,
    /// The gossip topic that it listens to for this relationship.
    pub mailbox: u8,
}

/// The first entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    pub profile: Profile,
}

/// A request for fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub ask: AskId,
    pub required: Vec<Selector>,
    pub optional: Vec<Selector>,
    pub purpose: Purpose,
    pub reason: String,
    pub benefit: String,
    pub until: Option<Timestamp>,
    pub mode: Mode,
}

/// How an ask ended without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskEnd {
    Declined,
    Withdrawn,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub ask: AskId,
    pub end: AskEnd,
    pub reason: String,
}

/// Fields lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    pub grant: GrantId,
    /// The ask that it answers.
    pub ask: Option<AskId>,
    pub selectors: Vec<Selector>,
    pub purpose: Purpose,
    pub mode: Mode,
    pub not_before: Timestamp,
    pub not_after: Option<Timestamp>,
    /// Milliseconds after a head for which it may be read; none if it needs no head or allows no copy.
    pub lease_ms: Option<u64>,
    /// Live reads an hour, in reference mode.
    pub reads_per_hour: u32,
    pub agreement: Hash,
}

/// Which keys a payload brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysChanged {
    pub grant: GrantId,
    /// (selector, epoch) of each key in the payload, in its order.
    pub keys: Vec<(u16, u32)>,
}

/// One cell of a `Cells` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRef {
    pub selector: u16,
    /// None under a literal selector.
    pub record: Option<Pseudonym>,
    /// Which of the selector's keys seals it.
    pub epoch: u32,
    pub version: u64,
    /// The field was removed: there is no cell in the payload.
    pub gone: bool,
}

/// Cells of one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    pub grant: GrantId,
    pub cells: Vec<CellRef>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub grant: GrantId,
    pub selectors: Vec<u16>,
}

/// What was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purged {
    /// Keys and cells of these selectors.
    Selectors { grant: GrantId, selectors: Vec<u16> },
    /// Cells of removed fields, up to these versions.
    Cells { grant: GrantId, cells: Vec<CellRef> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    pub grant: GrantId,
    pub selector: u16,
    pub record: Option<Pseudonym>,
    /// Sixteen random bytes that the answer repeats.
    pub nonce: [u8; 16],
}

/// How a live read was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServedOutcome {
    /// The payload holds the one-time key and the cell of this version.
    Value { version: u64 },
    /// The field is not there.
    Nothing,
    /// The grant does not allow it.
    Refused,
    /// More reads than the grant allows; so many were refused since the last such answer.
    TooMany { refused: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub grant: GrantId,
    pub selector: u16,
    pub record: Option<Pseudonym>,
    pub nonce: [u8; 16],
    pub outcome: ServedOutcome,
}

/// One line of a use report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseLine {
    pub grant: GrantId,
    pub selector: u16,
    pub purpose: Purpose,
    pub count: u64,
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub lines: Vec<UseLine>,
}

/// A step of the change of keys to a generation. The inviter starts it and ends it; nobody else may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey {
    pub generation: u32,
    pub step: RekeyStep,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RekeyStep {
    /// The inviter's fresh X-Wing key, and by which route it is to be found in the new generation.
    Start {
        #[serde(with = "serde_bytes")]
        public: Vec<u8>,
        route: RouteId,
    },
    /// A secret for that key, and the scanner's own.
    Reply {
        #[serde(with = "serde_bytes")]
        ciphertext: Vec<u8>,
        #[serde(with = "serde_bytes")]
        public: Vec<u8>,
        route: RouteId,
    },
    /// A secret for the scanner's key. The inviter's entries after this one take their keys from the new chain.
    Finish {
        #[serde(with = "serde_bytes")]
        ciphertext: Vec<u8>,
    },
    /// The scanner has the new keys. Its entries after this one take their keys from the new chain.
    Done,
}

/// The end of the relationship; the writer destroyed all keys that it lent, and all that it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {}

/// What goes on after a restore, as its writer knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// What it lends.
    pub given: Vec<Stated>,
    /// What is lent to it.
    pub held: Vec<Stated>,
    /// Its own asks that are open.
    pub asked: Vec<AskId>,
    /// Asks of the other side that are open, or that a grant which goes on has answered.
    pub asked_of: Vec<AskId>,
}

/// One grant that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    pub grant: GrantId,
    /// Its selectors that are not taken back, each with the newest epoch of its key that the writer knows.
    pub live: Vec<(u16, u32)>,
}

/// Field keys, as a payload. Their places stand in the body.
#[derive(Serialize, Deserialize)]
pub struct KeysPayload {
    pub keys: Vec<[u8; 32]>,
}

/// Sealed cells, as a payload, in the order of the body's cells that are not gone.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellsPayload {
    pub cells: Vec<serde_bytes::ByteBuf>,
}

/// One cell under a key that serves this answer only.
#[derive(Serialize, Deserialize)]
pub struct ServedPayload {
    pub key: [u8; 32],
    #[serde(with = "serde_bytes")]
    pub cell: Vec<u8>,
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellContent {
    /// When the owner wrote it, in whole seconds since 1970: finer times of one value, told to two peers, would tie them together.
    pub at_s: u64,
    pub value: Value,
}

impl Coded for KeysPayload {
    const MAX_BYTES: usize = ENTRY_MAX_BYTES;
}
impl Coded for CellsPayload {
    const MAX_BYTES: usize = ENTRY_MAX_BYTES;
}
impl Coded for ServedPayload {
    const MAX_BYTES: usize = ENTRY_MAX_BYTES;
}
impl Coded for CellContent {
    const MAX_BYTES: usize = ENTRY_MAX_BYTES;
}

trait WithinLimits {
    fn is_within_limits(&self) -> bool;
}

fn fits(text: &str, most_bytes: usize) -> bool {
    text.len() <= most_bytes
}

fn is_selection(selectors: &[Selector]) -> bool {
    selectors.len() <= SELECTORS_MAX && selectors.iter().enumerate().all(|(i, one)| !selectors[..i].contains(one))
}

impl WithinLimits for Profile {
    fn is_within_limits(&self) -> bool {
        fits(&self.name, PETNAME_MAX_BYTES)
            && self.addresses.len() <= ADDRESSES_MAX
            && self.addresses.iter().all(|address| fits(address, ADDRESS_MAX_BYTES))
            && self.mailbox < 64
    }
}

impl WithinLimits for Paired {
    fn is_within_limits(&self) -> bool {
        self.profile.is_within_limits()
    }
}

impl WithinLimits for Asked {
    fn is_within_limits(&self) -> bool {
        let all: Vec<_> = self.required.iter().chain(&self.optional).cloned().collect();
        !all.is_empty()
            && is_selection(&all)
            && self.purpose.is_well_formed()
            && fits(&self.reason, TEXT_MAX_BYTES)
            && fits(&self.benefit, TEXT_MAX_BYTES)
    }
}

impl WithinLimits for Answered {
    fn is_within_limits(&self) -> bool {
        fits(&self.reason, TEXT_MAX_BYTES)
    }
}

impl WithinLimits for Granted {
    fn is_within_limits(&self) -> bool {
        !self.selectors.is_empty() && is_selection(&self.selectors) && self.purpose.is_well_formed()
    }
}

impl WithinLimits for KeysChanged {
    fn is_within_limits(&self) -> bool {
        (1..=SELECTORS_MAX).contains(&self.keys.len())
    }
}

impl WithinLimits for Cells {
    fn is_within_limits(&self) -> bool {
        (1..=CELLS_PER_ENTRY_MAX).contains(&self.cells.len())
    }
}

impl WithinLimits for Revoked {
    fn is_within_limits(&self) -> bool {
        (1..=SELECTORS_MAX).contains(&self.selectors.len())
    }
}

impl WithinLimits for Purged {
    fn is_within_limits(&self) -> bool {
        match self {
            Self::Selectors { selectors, .. } => (1..=SELECTORS_MAX).contains(&selectors.len()),
            Self::Cells { cells, .. } => (1..=CELLS_PER_ENTRY_MAX).contains(&cells.len()),
        }
    }
}

impl WithinLimits for Read {
    fn is_within_limits(&self) -> bool {
        true
    }
}

impl WithinLimits for Served {
    fn is_within_limits(&self) -> bool {
        true
    }
}

impl WithinLimits for Used {
    fn is_within_limits(&self) -> bool {
        (1..=SELECTORS_MAX).contains(&self.lines.len()) && self.lines.iter().all(|line| line.purpose.is_well_formed())
    }
}

impl WithinLimits for Rekey {
    fn is_within_limits(&self) -> bool {
        let is_public = |bytes: &[u8]| bytes.len() == PUBLIC_BYTES;
        let is_ciphertext = |bytes: &[u8]| bytes.len() == CIPHERTEXT_BYTES;
        match &self.step {
            RekeyStep::Start { public, .. } => is_public(public),
            RekeyStep::Reply { ciphertext, public, .. } => is_ciphertext(ciphertext) && is_public(public),
            RekeyStep::Finish { ciphertext } => is_ciphertext(ciphertext),
            RekeyStep::Done => true,
        }
    }
}

impl WithinLimits for Resumed {
    fn is_within_limits(&self) -> bool {
        let fits = |stated: &[Stated]| {
            let lives = |one: &Stated| {
                (1..=SELECTORS_MAX).contains(&one.live.len()) && one.live.iter().all(|(_, epoch)| *epoch <= EPOCH_MAX)
            };
            let places: usize = stated.iter().map(|one| one.live.len()).sum();
            stated.len() <= STATED_MAX && places <= STATED_SELECTORS_MAX && stated.iter().all(lives)
        };
        fits(&self.given)
            && fits(&self.held)
            && self.asked.len() <= STATED_ASKS_MAX
            && self.asked_of.len() <= STATED_ASKS_MAX
    }
}

impl WithinLimits for Closed {
    fn is_within_limits(&self) -> bool {
        true
    }
}

/// Where a cell belongs: all that its seal binds it to. The receiver builds it from what it was granted.
#[derive(Clone, Debug)]
pub struct CellPlace<'a> {
    /// The hash of the pairing handshake: both sides have it, and nobody else does.
    pub relationship: &'a Hash,
    /// The log of whoever lends.
    pub log: LogId,
    pub grant: GrantId,
    pub selector: &'a Selector,
    pub record: Option<Pseudonym>,
    pub epoch: u32,
    pub version: u64,
    pub agreement: &'a Hash,
}

impl CellPlace<'_> {
    /// The AAD of a cell in this place.
    #[must_use]
    pub fn aad(&self) -> Vec<u8> {
        self.aad_of(&self.selector.pieces().map(str::as_bytes))
    }

    /// The same, for whoever has the selector's text at hand: as one piece, or as several.
    pub(crate) fn aad_of(&self, selector: &[&[u8]]) -> Vec<u8> {
        debug_assert_eq!(selector.concat(), self.selector.text().as_bytes(), "it is this selector's");
        let record = self.record.map_or([0; 16], |record| *record.as_bytes());
        Aad::new(b"cell")
            .hash(self.relationship)
            .id(self.log.as_bytes())
            .id(self.grant.as_bytes())
            .joined(selector)
            .id(&record)
            .u32(self.epoch)
            .u64(self.version)
            .hash(self.agreement)
            .finish()
    }
}

/// Where a body or a payload belongs.
#[must_use]
pub fn entry_aad(part: &'static [u8], relationship: &Hash, log: LogId, sequence: u64, previous: &Hash) -> Vec<u8> {
    Aad::new(part).hash(relationship).id(log.as_bytes()).u64(sequence).hash(previous).finish()
}

#[cfg(test)]
mod tests;
