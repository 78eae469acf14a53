//! A relationship: two paired nodes, and the keys that only these two share.
//!
//! `Pending -> Paired -> Closed`, and `Frozen` where the other side showed two histories. Pending grants nothing and is erased when nobody
//! confirmed in time. Closed is final: meeting again is a new pairing with new keys.

use allod_crypto::{AgreementIdentity, Role, SigningIdentity, VerifyKey, hmac16};
use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{
    codec::Coded,
    command::PeerState,
    grant::EndRow,
    id::{GrantId, LogId, Pseudonym, RelationshipId, RouteId},
    limits::PETNAME_MAX_BYTES,
    path::RecordPath,
    refusal::Refusal,
    rekey::Rekey,
    secret::StoredKey,
    store::StoreFault,
    table::{Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    wire::{body::Profile, header::Hash},
};

/// Why a relationship is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freeze {
    /// The other side signed two histories.
    Forked,
    /// The other side has seen more of our log than we have: this home is older than what it signed.
    WeAreOlder,
}

/// Which of our two sides the pairing gave us, in a form that rows can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Inviter,
    Scanner,
}

impl Side {
    /// The role of the handshake.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Inviter => Role::Inviter,
            Self::Scanner => Role::Scanner,
        }
    }

    /// The side with this role.
    #[must_use]
    pub fn of(role: Role) -> Self {
        match role {
            Role::Inviter => Self::Inviter,
            Role::Scanner => Self::Scanner,
        }
    }
}

/// One relationship's row. What changes with every entry stands in the rows of its two logs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Relationship {
    pub id: RelationshipId,
    pub side: Side,
    pub state: PeerState,
    pub frozen: Option<Freeze>,
    pub petname: String,
    pub since: Timestamp,
    /// While pending: when it is erased.
    pub pending_until: Timestamp,
    /// Our person said that the words are the same.
    pub confirmed_here: bool,
    /// Their `Paired` entry was verified.
    pub confirmed_there: bool,
    pub their_profile: Profile,
    /// What we last told of ourselves.
    pub told_profile: Option<Profile>,
    /// Drawn once: the mailbox that we name to this peer if we carry for others.
    pub mailbox: u8,
    /// The hash of the pairing handshake: names this relationship in every AAD, on both sides.
    pub tag: Hash,
    /// One, or two while a change of keys is being taken up: oldest first.
    pub key_sets: Vec<KeySet>,
    /// The generation in which we say hello.
    pub speaks: u32,
    /// A change of keys under way.
    pub rekey: Option<Rekey>,
    /// When these keys came.
    pub rekeyed_at: Timestamp,
    /// The logs that the pairing named: every cell is bound to them. Which logs are written at present stands in their own rows.
    pub my_log: LogId,
    pub their_log: LogId,
    signing_seed: StoredKey,
    static_seed: StoredKey,
    their_verify: [u8; 32],
    pub their_static: [u8; 32],
    pub(crate) rekey_key: StoredKey,
    pub(crate) hint_key: StoredKey,
    restore_psk: StoredKey,
    pseudonym_key: StoredKey,
}

impl Coded for Relationship {}

/// Whose hints are to be heard, and by which key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HintKeyRow {
    pub(crate) key: StoredKey,
    pub(crate) side: Side,
}

impl Coded for HintKeyRow {}

/// What a session of one generation needs.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeySet {
    pub generation: u32,
    pub my_route: RouteId,
    pub their_route: RouteId,
    pub psk: StoredKey,
}

impl KeySet {
    pub(crate) fn duplicate(&self) -> Self {
        Self { psk: self.psk.duplicate(), ..*self }
    }
}

/// What pairing leaves, before there is a row.
pub struct NewRelationship {
    pub side: Side,
    pub petname: String,
    pub their_profile: Profile,
    pub tag: Hash,
    pub my_route: RouteId,
    pub their_route: RouteId,
    pub my_log: LogId,
    pub their_log: LogId,
    pub signing: SigningIdentity,
    pub agreement: AgreementIdentity,
    pub their_verify: [u8; 32],
    pub their_static: [u8; 32],
    pub keys: allod_crypto::KeySchedule,
}

impl Relationship {
    /// Makes the rows of a pending relationship.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn create(tx: &mut Tx<'_>, new: NewRelationship, pending_until: Timestamp) -> Result<Self, StoreFault> {
        let mut mailbox = [0];
        tx.dice.fill_bytes(&mut mailbox);
        let relationship = Self {
            id: RelationshipId::random(&mut *tx.dice),
            side: new.side,
            state: PeerState::Pending,
            frozen: None,
            petname: new.petname,
            since: tx.wall(),
            pending_until,
            confirmed_here: false,
            confirmed_there: false,
            their_profile: new.their_profile,
            told_profile: None,
            mailbox: mailbox[0] % crate::wire::hint::MAILBOXES,
            tag: new.tag,
            key_sets: vec![KeySet {
                generation: 0,
                my_route: new.my_route,
                their_route: new.their_route,
                psk: StoredKey::keep(&new.keys.session_psk),
            }],
            speaks: 0,
            rekey: None,
            rekeyed_at: tx.wall(),
            my_log: new.my_log,
            their_log: new.their_log,
            signing_seed: StoredKey::from_bytes(&new.signing.to_bytes()),
            static_seed: StoredKey::from_bytes(&new.agreement.to_bytes()),
            their_verify: new.their_verify,
            their_static: new.their_static,
            rekey_key: StoredKey::keep(&new.keys.rekey_key),
            hint_key: StoredKey::keep(&new.keys.hint_key),
            restore_psk: StoredKey::keep(&new.keys.restore_psk),
            pseudonym_key: StoredKey::keep(&allod_crypto::SecretKey::random(&mut *tx.dice)),
        };
        relationship.save(tx);
        let end = EndRow { relationship: relationship.id, tries: 0 };
        tx.put(&Key::end(pending_until, GrantId::from_bytes(*relationship.id.as_bytes())), &end);
        relationship.save_hint_key(tx);
        tx.put(&Key::petname(tx.petname_tag(&relationship.petname)), &PeerRef(relationship.id));
        tx.put(&Key::route(new.my_route), &PeerRef(relationship.id));
        let mine = new.keys.chain_of(new.side.role()).to_bytes();
        let theirs = new.keys.chain_of(new.side.role().other()).to_bytes();
        crate::log::create(tx, &relationship, StoredKey::from_bytes(&mine), StoredKey::from_bytes(&theirs));
        Ok(relationship)
    }

    /// Writes the row.
    pub fn save(&self, tx: &mut Tx<'_>) {
        tx.put(&Key::relationship(self.id), self);
        if self.state == PeerState::Closed {
            tx.delete(&Key::hint_key(self.id));
        }
    }

    /// Keeps the key of hints where all of them are read.
    pub(crate) fn save_hint_key(&self, tx: &mut Tx<'_>) {
        tx.put(&Key::hint_key(self.id), &HintKeyRow { key: self.hint_key.duplicate(), side: self.side });
    }

    /// A page of the hint keys of all relationships that are not closed.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub(crate) fn hint_keys(
        tx: &Tx<'_>,
        after: Option<RelationshipId>,
        limit: usize,
    ) -> Result<Vec<(RelationshipId, HintKeyRow)>, StoreFault> {
        let after = after.map(Key::hint_key);
        let rows = tx.scan(&Key::table(Table::HintKeys), after.as_ref(), limit)?;
        Ok(rows.into_iter().map(|(key, row)| (RelationshipId::from_bytes(key.sixteen(0)), row)).collect())
    }

    /// Reads the row of an id that is known to exist.
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] if it does not.
    pub fn load(tx: &Tx<'_>, id: RelationshipId) -> Result<Self, StoreFault> {
        Self::find(tx, id)?.ok_or_else(|| StoreFault::Damaged { detail: "a relationship is missing".to_owned() })
    }

    /// Reads the row of an id, if there is one.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn find(tx: &Tx<'_>, id: RelationshipId) -> Result<Option<Self>, StoreFault> {
        tx.get(&Key::relationship(id))
    }

    /// The relationship of a petname, in any state.
    ///
    /// # Errors
    /// [`Refusal::NoPeer`].
    pub fn named(tx: &Tx<'_>, petname: &str) -> Result<Self, Stop> {
        let key = Key::petname(tx.petname_tag(petname));
        let found: Option<PeerRef> = tx.get(&key)?;
        let id = found.ok_or_else(|| Refusal::NoPeer { name: petname.to_owned() })?.0;
        Ok(Self::load(tx, id)?)
    }

    /// The relationship of a petname, if it is one to lend to or ask from.
    ///
    /// # Errors
    /// [`Refusal::NoPeer`], [`Refusal::PeerPending`], [`Refusal::PeerClosed`], [`Refusal::Forked`] or [`Refusal::PeerRestored`].
    pub fn paired(tx: &Tx<'_>, petname: &str) -> Result<Self, Stop> {
        let relationship = Self::named(tx, petname)?;
        let peer = petname.to_owned();
        match relationship.state {
            PeerState::Paired => Ok(relationship),
            PeerState::Pending => Err(Refusal::PeerPending { peer }.into()),
            PeerState::Closed => Err(Refusal::PeerClosed { peer }.into()),
            PeerState::Frozen => Err(Refusal::Forked { peer }.into()),
            PeerState::Restored => Err(Refusal::PeerRestored { peer }.into()),
        }
    }

    /// The relationship that a route id leads to.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn routed(tx: &Tx<'_>, route: RouteId) -> Result<Option<Self>, StoreFault> {
        match tx.get::<PeerRef>(&Key::route(route))? {
            Some(PeerRef(id)) => Self::find(tx, id),
            None => Ok(None),
        }
    }

    /// A page of all relationships.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn page(tx: &Tx<'_>, after: Option<RelationshipId>, limit: usize) -> Result<Vec<Self>, StoreFault> {
        let after = after.map(Self::key_of);
        let rows = tx.scan(&Key::table(Table::Relationships), after.as_ref(), limit)?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    fn key_of(id: RelationshipId) -> Key {
        Key::relationship(id)
    }

    /// All relationships. For listings that a person asked for; nothing on the way of an entry calls it.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn all(tx: &Tx<'_>) -> Result<Vec<Self>, StoreFault> {
        Self::page(tx, None, usize::MAX)
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// [`Refusal::BadPetname`] or [`Refusal::PetnameTaken`].
    pub fn rename(&mut self, tx: &mut Tx<'_>, petname: &str) -> Result<(), Stop> {
        if !is_petname(petname) {
            return Err(Refusal::BadPetname { name: petname.to_owned() }.into());
        }
        if tx.has(&Key::petname(tx.petname_tag(petname)))? {
            return Err(Refusal::PetnameTaken { name: petname.to_owned() }.into());
        }
        tx.delete(&Key::petname(tx.petname_tag(&self.petname)));
        petname.clone_into(&mut self.petname);
        tx.put(&Key::petname(tx.petname_tag(petname)), &PeerRef(self.id));
        self.save(tx);
        Ok(())
    }

    /// Erases a relationship that was never confirmed.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn erase(&self, tx: &mut Tx<'_>) -> Result<(), StoreFault> {
        tx.delete(&Key::petname(tx.petname_tag(&self.petname)));
        for set in &self.key_sets {
            tx.delete(&Key::route(set.my_route));
        }
        crate::log::erase(tx, self)?;
        tx.delete(&Key::hint_key(self.id));
        tx.delete(&Key::waiting(self.id));
        tx.delete(&Key::incarnation(self.id));
        tx.delete(&Key::relationship(self.id));
        tx.erased(self.id);
        Ok(())
    }

    /// Freezes it: nothing more is lent, asked or read, and revoking still works.
    pub fn freeze(&mut self, tx: &mut Tx<'_>, why: Freeze) {
        if matches!(self.state, PeerState::Paired | PeerState::Pending | PeerState::Restored) {
            self.state = PeerState::Frozen;
        }
        self.frozen = Some(why);
        self.save(tx);
    }

    /// The keys of a generation, if they are still, or already, good for a session.
    #[must_use]
    pub fn key_set(&self, generation: u32) -> Option<&KeySet> {
        self.key_sets.iter().find(|set| set.generation == generation)
    }

    /// The keys with which we say hello.
    #[must_use]
    pub fn speaking(&self) -> &KeySet {
        self.key_set(self.speaks).unwrap_or(&self.key_sets[0])
    }

    /// Our signing key.
    #[must_use]
    pub fn signing(&self) -> SigningIdentity {
        SigningIdentity::from_bytes(self.signing_seed.bytes())
    }

    /// Signs as our side of it.
    pub(crate) fn sign(&self, tx: &Tx<'_>, domain: &'static str, bytes: &[u8]) -> [u8; 64] {
        tx.sign(self.signing_seed.bytes(), domain, bytes)
    }

    /// Our static key.
    #[must_use]
    pub fn agreement(&self) -> AgreementIdentity {
        AgreementIdentity::from_bytes(self.static_seed.bytes())
    }

    /// Their signing key.
    #[must_use]
    pub fn their_key(&self) -> VerifyKey {
        VerifyKey::from_bytes(self.their_verify)
    }

    /// Our verify key, for checking our own log.
    #[must_use]
    pub fn my_key(&self) -> VerifyKey {
        self.signing().public()
    }

    /// The key of gossip hints.
    #[must_use]
    pub fn hint_key(&self) -> allod_crypto::SecretKey {
        self.hint_key.key()
    }

    /// The psk of a session after a restore.
    pub(crate) fn restore_psk(&self) -> StoredKey {
        self.restore_psk.duplicate()
    }

    /// The pseudonym of one of our records towards this peer.
    #[must_use]
    pub fn pseudonym(&self, record: &RecordPath) -> Pseudonym {
        let (kind, id) = (record.kind.as_str().as_bytes(), record.id.as_str().as_bytes());
        Pseudonym::from_bytes(hmac16(&self.pseudonym_key.key(), &[b"allod/pseudonym/1", kind, b"/", id]))
    }
}

/// A row that points at a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRef(pub RelationshipId);

impl Coded for PeerRef {}

/// Whether a text can name a peer: no `/`, no control characters, and not like an id.
#[must_use]
pub fn is_petname(text: &str) -> bool {
    let like_an_id = text.len() > 2 && text.as_bytes()[1] == b'-' && b"railgnvp".contains(&text.as_bytes()[0]);
    (1..=PETNAME_MAX_BYTES).contains(&text.len())
        && text.trim() == text
        && !like_an_id
        && is_nfc(text)
        && !text.chars().any(|c| c.is_control() || c == '/' || is_unseen(c))
}

/// What turns text around or is not seen: two names that differ by it alone look the same on a screen.
fn is_unseen(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A petname from what a peer calls itself: cleaned, and numbered if it is taken.
///
/// # Errors
/// [`StoreFault`].
pub fn free_petname(tx: &Tx<'_>, wished: &str) -> Result<String, StoreFault> {
    let is_seen = |c: &char| !c.is_control() && !is_unseen(*c) && !('\u{fe00}'..='\u{fe0f}').contains(c);
    let clean: String = wished.chars().filter(is_seen).nfc().collect();
    let clean = clean.replace('/', "-");
    let mut base = clean.trim().to_owned();
    while base.len() > PETNAME_MAX_BYTES - 8 {
        base.pop();
    }
    if !is_petname(&base) {
        base = "peer".to_owned();
    }
    let mut name = base.clone();
    let mut number = 2u64;
    while tx.has(&Key::petname(tx.petname_tag(&name)))? {
        name = format!("{base}-{number}");
        number += 1;
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn petnames_hold_no_slash_no_controls_and_do_not_look_like_ids() {
        for good in ["shop", "Mme Dupont", "café", "g", "go-shop"] {
            assert!(is_petname(good), "{good}");
        }
        for bad in
            ["", "a/b", "a\nb", " a", "g-abc", "a-7x", "\u{202e}abc", "shop\u{200b}", "cafe\u{301}", &"x".repeat(65)]
        {
            assert!(!is_petname(bad), "{bad:?}");
        }
    }
}
