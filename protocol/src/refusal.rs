//! What a command is told when it is not done: one enum, each case with the facts that decide.
//!
//! A case has a code (stable, for programs), an id (the key of its two lines in the message catalogues of the node, in each language) and
//! its facts by name. No case holds a field's value.

use crate::{
    path::{PathError, Selector},
    time::Timestamp,
    value::ValueError,
};

/// The word that programs match on; `CLI.md` fixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    Usage,
    NotRunning,
    NotFound,
    NoGrant,
    Revoked,
    Expired,
    LeaseOver,
    Declined,
    Locked,
    Damaged,
    Forked,
    Unreachable,
    Invalid,
    Conflict,
    TooLarge,
    AlreadyExists,
    Failed,
}

impl Code {
    /// The code as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotRunning => "not_running",
            Self::NotFound => "not_found",
            Self::NoGrant => "no_grant",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::LeaseOver => "lease_over",
            Self::Declined => "declined",
            Self::Locked => "locked",
            Self::Damaged => "damaged",
            Self::Forked => "forked",
            Self::Unreachable => "unreachable",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::AlreadyExists => "already_exists",
            Self::Failed => "failed",
        }
    }

    /// The code of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        const ALL: [Code; 17] = [
            Code::Usage,
            Code::NotRunning,
            Code::NotFound,
            Code::NoGrant,
            Code::Revoked,
            Code::Expired,
            Code::LeaseOver,
            Code::Declined,
            Code::Locked,
            Code::Damaged,
            Code::Forked,
            Code::Unreachable,
            Code::Invalid,
            Code::Conflict,
            Code::TooLarge,
            Code::AlreadyExists,
            Code::Failed,
        ];
        ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// The exit code of a command that ends with it.
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::NotFound => 4,
            Self::NoGrant | Self::Revoked | Self::Expired | Self::LeaseOver | Self::Declined => 5,
            Self::Locked => 6,
            Self::Damaged | Self::Forked => 7,
            Self::Unreachable => 8,
            Self::Invalid | Self::Conflict | Self::TooLarge | Self::AlreadyExists | Self::Failed => 1,
        }
    }
}

/// One fact of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Text(String),
    Number(u64),
    Time(Timestamp),
}

macro_rules! refusals {
    ($( $(#[$doc:meta])* $name:ident { $($field:ident : $kind:ident),* $(,)? } = $id:literal, $code:ident; )*) => {
        /// Why a command was not done.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $( $(#[$doc])* $name { $($field: refusals!(@type $kind)),* }, )*
        }

        impl Refusal {
            /// Each case's message id, code and facts: what the catalogues must cover.
            pub const CASES: &'static [(&'static str, Code, &'static [&'static str])] =
                &[ $( ($id, Code::$code, &[$(stringify!($field)),*]), )* ];

            /// The key of its two lines in the message catalogues.
            #[must_use]
            pub fn id(&self) -> &'static str {
                match self { $( Self::$name { .. } => $id, )* }
            }

            /// Its stable code.
            #[must_use]
            pub fn code(&self) -> Code {
                match self { $( Self::$name { .. } => Code::$code, )* }
            }

            /// Its facts by name.
            #[must_use]
            pub fn facts(&self) -> Vec<(&'static str, Fact)> {
                match self {
                    $( Self::$name { $($field),* } => vec![ $( (stringify!($field), Fact::$kind($field.clone().into())) ),* ], )*
                }
            }
        }
    };
    (@type Text) => { String };
    (@type Number) => { u64 };
    (@type Time) => { Timestamp };
}

refusals! {
    /// The text is not a path.
    BadPath { path: Text, why: Text } = "bad-path", Usage;
    /// A field path was needed and a record path given.
    NeedsField { path: Text } = "needs-field", Usage;
    /// The text is not of the field's type.
    BadValue { path: Text, expected: Text } = "bad-value", Invalid;
    /// The type is none of the nine.
    UnknownType { word: Text } = "unknown-type", Usage;
    /// The value is larger than a value may be.
    ValueTooLarge { path: Text, bytes: Number } = "value-too-large", TooLarge;
    /// A list or map that is not one.
    BadShape { path: Text } = "bad-shape", Invalid;
    /// The record has as many fields as one may have.
    TooManyFields { record: Text, most: Number } = "too-many-fields", TooLarge;
    /// The field `id` is the record's own id and cannot be written.
    IdIsBuiltIn { path: Text } = "id-is-built-in", Usage;
    /// No such record.
    NoRecord { record: Text } = "no-record", NotFound;
    /// The record has no such field; `nearest` is one that it has, or empty.
    NoField { record: Text, field: Text, nearest: Text } = "no-field", NotFound;
    /// No relationship has that name.
    NoPeer { name: Text } = "no-peer", NotFound;
    /// The name is taken, or not one that a peer may have.
    BadPetname { name: Text } = "bad-petname", Usage;
    /// Another peer has that name.
    PetnameTaken { name: Text } = "petname-taken", AlreadyExists;
    /// The beginning of an id fits several things.
    Ambiguous { beginning: Text, fits: Text } = "ambiguous-id", Usage;
    /// No grant has that id.
    NoSuchGrant { id: Text } = "no-such-grant", NotFound;
    /// No ask has that id.
    NoSuchAsk { id: Text } = "no-such-ask", NotFound;
    /// The ask is not open.
    AskIsOver { id: Text, state: Text } = "ask-is-over", Conflict;
    /// The ask came from us, and only the other side can answer it.
    OwnAsk { id: Text } = "own-ask", Usage;
    /// The ask came from the other side, which alone can take it back.
    NotOwnAsk { id: Text } = "not-own-ask", Usage;
    /// The selection names something that was not asked.
    NotAsked { selector: Text } = "not-asked", Usage;
    /// The peer has as many open asks of us as one may have.
    TooManyAsks { peer: Text, most: Number } = "too-many-asks", Conflict;
    /// The peer lends nothing there.
    NoGrantFrom { peer: Text, path: Text } = "no-grant", NoGrant;
    /// We lend that peer nothing there.
    NothingLent { peer: Text, selector: Text } = "nothing-lent", NotFound;
    /// The peer took it back.
    TakenBack { peer: Text, path: Text, at: Time } = "taken-back", Revoked;
    /// The grant was ended before.
    GrantIsOver { id: Text, state: Text } = "grant-is-over", Conflict;
    /// The grant ended as agreed.
    GrantExpired { peer: Text, path: Text, at: Time } = "grant-expired", Expired;
    /// The grant's time has not begun.
    GrantNotYet { peer: Text, path: Text, at: Time } = "grant-not-yet", NoGrant;
    /// Nothing was heard for so long that the grant may not be read.
    LeaseOver { peer: Text, heard: Time, ended: Time } = "lease-over", LeaseOver;
    /// Lent, and its value has not come yet.
    NotArrived { peer: Text, path: Text } = "not-arrived", NotFound;
    /// A live answer was needed and did not come.
    NoLiveAnswer { peer: Text } = "no-live-answer", Unreachable;
    /// More live reads than the grant allows in an hour.
    TooManyReads { peer: Text, path: Text, most: Number } = "too-many-reads", Declined;
    /// The word is no purpose; `nearest` are some that are.
    UnknownPurpose { word: Text, nearest: Text } = "unknown-purpose", Usage;
    /// The end lies in the past, or beyond what may be.
    BadEnd { } = "bad-end", Usage;
    /// The lease is shorter or longer than one may be.
    BadLease { least_s: Number, most_s: Number } = "bad-lease", Usage;
    /// Too many selectors at once, or none.
    BadSelection { most: Number } = "bad-selection", Usage;
    /// The text is longer than such a text may be.
    TextTooLong { what: Text, most: Number } = "text-too-long", TooLarge;
    /// The peer's two histories differ.
    Forked { peer: Text } = "forked", Forked;
    /// The relationship is closed.
    PeerClosed { peer: Text } = "peer-closed", Conflict;
    /// Pairing with that peer is not finished.
    PeerPending { peer: Text } = "peer-pending", Conflict;
    /// As many invitations or pairings are open as may be.
    TooManyOpen { most: Number } = "too-many-open", Conflict;
    /// Not an invitation at all.
    NotAnInvitation { begins: Text } = "not-an-invitation", Invalid;
    /// The end of the invitation is missing.
    InvitationCut { } = "invitation-cut", Invalid;
    /// A letter of the invitation is wrong.
    InvitationDamaged { } = "invitation-damaged", Invalid;
    /// Made by a newer program.
    InvitationNewer { version: Number } = "invitation-newer", Invalid;
    /// The invitation's time is over.
    InvitationExpired { seconds: Number } = "invitation-expired", Expired;
    /// The invitation was used, by us or by someone else.
    InvitationUsed { } = "invitation-used", Conflict;
    /// Our own invitation.
    InvitationOwn { } = "invitation-own", Invalid;
    /// Nobody answered at the invitation's addresses.
    InviterSilent { } = "inviter-silent", Unreachable;
    /// This node listens on no address that could stand in an invitation.
    NoAddress { } = "no-address", Failed;
    /// The other side is not who the invitation says, or the handshake broke.
    PairingFailed { } = "pairing-failed", Invalid;
    /// Our person said that the words differ.
    WordsDiffer { } = "words-differ", Declined;
    /// The other person said no.
    OtherDeclined { } = "other-declined", Declined;
    /// Nobody confirmed in time.
    PairingTimedOut { } = "pairing-timed-out", Expired;
    /// This home was put back, and its person has not said that what is lent to the peer goes on.
    PeerRestored { peer: Text } = "peer-restored", Conflict;
    /// The same, and the peer was not heard since.
    NotHeardYet { peer: Text } = "not-heard-yet", Unreachable;
    /// This home was put back, and what this peer lends may have been taken back since the backup was made.
    LentNotHeard { peer: Text } = "lent-not-heard", LeaseOver;
    /// Nothing is suspended towards this peer.
    NotSuspended { peer: Text } = "not-suspended", Conflict;
    /// No such pairing or invitation.
    NoSuchPairing { } = "no-such-pairing", NotFound;
    /// The invitation was cancelled here.
    PairingCancelled { } = "pairing-cancelled", Declined;
    /// The store failed: nothing of this was kept.
    DiskFull { } = "disk-full", Failed;
    /// The store failed: the node stops.
    StoreFailed { } = "store-failed", Failed;
    /// The store is damaged.
    Damaged { } = "damaged", Damaged;
    /// The vault is locked.
    Locked { } = "locked", Locked;
    /// The node is too busy to take this now.
    Busy { } = "busy", Failed;
}

impl Refusal {
    /// The refusal for a text that is not a path.
    #[must_use]
    pub fn bad_path(path: &str, error: &PathError) -> Self {
        Self::BadPath { path: path.to_owned(), why: error.to_string() }
    }

    /// The refusal for a value that is not one.
    #[must_use]
    pub fn bad_value(path: &str, error: &ValueError) -> Self {
        let path = path.to_owned();
        match error {
            ValueError::NotA { expected, .. } => Self::BadValue { path, expected: expected.to_string() },
            ValueError::TooLarge { bytes } => {
                Self::ValueTooLarge { path, bytes: u64::try_from(*bytes).unwrap_or(u64::MAX) }
            }
            ValueError::Shape => Self::BadShape { path },
        }
    }

    /// The refusal for a selector under which nothing is lent to that peer.
    #[must_use]
    pub fn nothing_lent(peer: &str, selector: &Selector) -> Self {
        Self::NothingLent { peer: peer.to_owned(), selector: selector.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_has_an_id_of_its_own() {
        let mut ids: Vec<_> = Refusal::CASES.iter().map(|case| case.0).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn codes_read_as_they_are_written() {
        for (_, code, _) in Refusal::CASES {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }
}
