//! Pairing: from an invitation to a relationship that both people confirmed. It grants nothing.
//!
//! `Open -> Comparing -> Waiting -> Paired`, or `Ended` from anywhere with the reason. An invitation is a row, so that it outlives a
//! restart, and the first genuine message marks it used in the very step whose answer goes out after the commit: whether or not the rest
//! succeeds, the secret never works again. A second genuine message is reported as "someone else tried". Anything else is dropped.
//!
//! The handshake itself is in memory, for a few seconds; the relationship is pending in the store until each side's person confirmed and its
//! `Paired` entry was verified, and is erased after ten minutes otherwise.

use std::{collections::BTreeMap, time::Duration};

use allod_crypto::{
    Aad, Domain, KeySchedule, Padding, Role, SecretKey, open,
    pairing::{
        Bundle, BundleSecrets, DialAddress, Host, Invitation, InvitationError, Inviter, InviterAwaitsFifth,
        InviterAwaitsThird, Paired, Sas, Scanner, ScannerAwaitsFourth, ScannerAwaitsSecond, Transport,
        first_message_is_genuine,
    },
    seal,
};
use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    command::{EmojiView, InvitationView, PairingStage, PairingView, Ticket},
    id::{InvitationId, LogId, RelationshipId, RouteId},
    limits::{INVITATIONS_MAX, PENDING_LIFETIME, PENDING_MAX},
    refusal::Refusal,
    relationship::{NewRelationship, Relationship, Side, free_petname},
    store::StoreFault,
    table::{Key, Table},
    time::{Now, Timestamp},
    tx::{Misbehaviour, Stop, Tx},
    wire::{
        body::{Body, Profile},
        pair::{Attempt, PairAnswer, PairRequest},
    },
};

/// How long a handshake may take between two messages.
const STEP_DEADLINE: Duration = Duration::from_secs(30);
/// First messages that are checked in a second; more are dropped unread.
const FIRSTS_PER_SECOND: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum InvitationState {
    Open,
    Used,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
struct InvitationRow {
    state: InvitationState,
    expires: Timestamp,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    /// Gone once the invitation was used.
    #[serde(with = "serde_bytes")]
    secrets: Vec<u8>,
}

impl Coded for InvitationRow {}

impl Drop for InvitationRow {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.raw.zeroize();
        self.secrets.zeroize();
    }
}

/// Where a handshake stands.
enum Handshake {
    InviterAwaitsThird(Box<InviterAwaitsThird>),
    InviterAwaitsFifth(Box<InviterAwaitsFifth>),
    ScannerDials {
        secrets: Box<BundleSecrets>,
        invitation: Box<Invitation>,
    },
    ScannerAwaitsSecond(Box<ScannerAwaitsSecond>),
    ScannerAwaitsFourth {
        state: Box<ScannerAwaitsFourth>,
    },
    ScannerAwaitsDone {
        keys: Box<KeySchedule>,
        rest: Box<PairedRest>,
    },
    /// Nothing to exchange: not begun, or over.
    Idle,
}

struct Pairing {
    stage: PairingStage,
    role: Role,
    handshake: Handshake,
    attempt: Option<Attempt>,
    link: Option<u64>,
    relationship: Option<RelationshipId>,
    peer: Option<String>,
    wished_petname: Option<String>,
    sas: Option<Sas>,
    ended: Option<Refusal>,
    others_tried: u64,
    /// When it ends by itself, on the monotonic clock.
    deadline: Duration,
    watchers: Vec<(Ticket, PairingStage)>,
}

/// What the engine is to do for a pairing.
pub enum PairingWork {
    Nothing,
    /// Send this over the pairing channel, and report the answer as belonging to this pairing.
    Send {
        link: u64,
        request: PairRequest,
    },
    /// Answer the request.
    Answer(PairAnswer),
    /// Refuse the request without a word.
    Refuse,
    /// The relationship is there: the words can be compared.
    Compare,
}

/// All pairings of this run.
#[derive(Default)]
pub struct Pairings {
    pairings: BTreeMap<InvitationId, Pairing>,
    errands: BTreeMap<u64, InvitationId>,
    firsts: (Duration, u32),
}

impl std::fmt::Debug for Pairings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pairings({})", self.pairings.len())
    }
}

fn profile_aad(transcript: &[u8; 32], role: Role) -> Vec<u8> {
    Aad::new(b"pairing-profile").hash(transcript).u8(role.byte()).finish()
}

fn seal_profile(key: &SecretKey, transcript: &[u8; 32], role: Role, profile: &Profile, tx: &mut Tx<'_>) -> Vec<u8> {
    let aad = profile_aad(transcript, role);
    seal(key, Domain::PairingMessage, &aad, &profile.encode(), Padding::Padme, &mut *tx.dice)
}

fn open_profile(key: &SecretKey, transcript: &[u8; 32], role: Role, sealed: &[u8]) -> Result<Profile, Misbehaviour> {
    let aad = profile_aad(transcript, role);
    let plain = open(key, Domain::PairingMessage, &aad, sealed, Padding::Padme).map_err(|_| Misbehaviour::Forged)?;
    let profile = Profile::decode(&plain).map_err(|_| Misbehaviour::Malformed)?;
    match Body::decode(2, &profile.encode()) {
        Ok(Body::Profile(profile)) => Ok(profile),
        _ => Err(Misbehaviour::Malformed),
    }
}

/// A dialable address of an invitation, from a multiaddr; none for what cannot stand in one.
#[must_use]
pub fn dial_address(multiaddr: &str) -> Option<DialAddress> {
    let parts: Vec<&str> = multiaddr.split('/').collect();
    let (host, rest) = match parts[..] {
        ["", "ip4", ip, ref rest @ ..] => (Host::Ip4(ip.parse().ok()?), rest.to_vec()),
        ["", "ip6", ip, ref rest @ ..] => (Host::Ip6(ip.parse().ok()?), rest.to_vec()),
        ["", "dns4" | "dns6" | "dns", name, ref rest @ ..] => (Host::Dns(name.to_ascii_lowercase()), rest.to_vec()),
        _ => return None,
    };
    let (transport, port) = match rest[..] {
        ["tcp", port] => (Transport::Tcp, port),
        ["udp", port, "quic-v1"] => (Transport::Quic, port),
        _ => return None,
    };
    let address = DialAddress { host, transport, port: port.parse().ok()? };
    address.check().ok().map(|()| address)
}

/// The multiaddr of an invitation's address.
#[must_use]
pub fn multiaddr(address: &DialAddress) -> String {
    let host = match &address.host {
        Host::Ip4(ip) => format!("/ip4/{ip}"),
        Host::Ip6(ip) => format!("/ip6/{ip}"),
        Host::Dns(name) => format!("/dns/{name}"),
    };
    match address.transport {
        Transport::Tcp => format!("{host}/tcp/{}", address.port),
        Transport::Quic => format!("{host}/udp/{}/quic-v1", address.port),
    }
}

impl Pairings {
    /// Opens an invitation.
    ///
    /// # Errors
    /// [`Refusal::TooManyOpen`] or [`Refusal::NoAddress`].
    pub fn invite(
        &mut self,
        tx: &mut Tx<'_>,
        addresses: &[String],
        lifetime: Duration,
    ) -> Result<(InvitationId, String, Timestamp), Stop> {
        self.forget_old(tx)?;
        let known = tx.scan::<InvitationRow>(&Key::table(Table::Invitations), None, usize::MAX)?;
        // One that was used stays for a while, so that a second attempt is noticed. It takes nobody's place.
        let is_open = |row: &InvitationRow| row.state == InvitationState::Open && row.expires > tx.wall();
        let open = known.iter().filter(|(_, row)| is_open(row)).count();
        if open >= INVITATIONS_MAX || self.under_way() >= PENDING_MAX {
            return Err(Refusal::TooManyOpen { most: INVITATIONS_MAX as u64 }.into());
        }
        // QUIC first: its handshake is hybrid. One of each kind, so that one that is blocked does no harm.
        let dialable: Vec<DialAddress> = addresses.iter().filter_map(|text| dial_address(text)).collect();
        let quic = dialable.iter().find(|address| address.transport == Transport::Quic).cloned();
        let tcp = dialable.iter().find(|address| address.transport == Transport::Tcp).cloned();
        let chosen: Vec<DialAddress> = match (quic, tcp) {
            (Some(quic), Some(tcp)) => vec![quic, tcp],
            _ => dialable.into_iter().take(2).collect(),
        };
        if chosen.is_empty() {
            return Err(Refusal::NoAddress {}.into());
        }
        let secrets = BundleSecrets::generate(&mut *tx.dice);
        let expires_s = tx.wall().after(lifetime).as_millis() / 1_000;
        let expires = Timestamp::from_millis(expires_s * 1_000);
        let invitation = Invitation::new(secrets.bundle().hash(), chosen, expires_s, &mut *tx.dice)
            .map_err(|_| Refusal::NoAddress {})?;
        let id = InvitationId::random(&mut *tx.dice);
        let row = InvitationRow {
            state: InvitationState::Open,
            expires,
            raw: invitation.to_bytes().to_vec(),
            secrets: secrets.to_bytes().to_vec(),
        };
        tx.put(&Key::invitation(id), &row);
        self.pairings.insert(id, Pairing::new(Role::Inviter, tx.now.running + lifetime));
        Ok((id, invitation.to_text().to_string(), expires))
    }

    /// Begins the other side. Returns the addresses to dial.
    ///
    /// # Errors
    /// [`Stop::Refused`] for each way in which a text is not an invitation to use.
    pub fn accept(
        &mut self,
        tx: &mut Tx<'_>,
        text: &str,
        petname: Option<String>,
    ) -> Result<(InvitationId, Vec<String>), Stop> {
        self.forget_old(tx)?;
        let invitation = Invitation::parse(text).map_err(|error| match error {
            InvitationError::NotAnInvitation { begins } => Refusal::NotAnInvitation { begins },
            InvitationError::CutShort => Refusal::InvitationCut {},
            InvitationError::Damaged => Refusal::InvitationDamaged {},
            InvitationError::Newer { version } => Refusal::InvitationNewer { version: u64::from(version) },
            InvitationError::TooLong => Refusal::NotAnInvitation { begins: text.trim().chars().take(12).collect() },
        })?;
        let now_s = tx.wall().as_millis() / 1_000;
        let raw = invitation.to_bytes();
        for (_, row) in tx.scan::<InvitationRow>(&Key::table(Table::Invitations), None, usize::MAX)? {
            if row.raw == *raw {
                return Err(Refusal::InvitationOwn {}.into());
            }
        }
        if invitation.expires_unix_s() <= now_s {
            return Err(Refusal::InvitationExpired { seconds: now_s - invitation.expires_unix_s() }.into());
        }
        if self.under_way() >= PENDING_MAX {
            return Err(Refusal::TooManyOpen { most: PENDING_MAX as u64 }.into());
        }
        let addresses = invitation.addresses().iter().map(multiaddr).collect();
        let id = InvitationId::random(&mut *tx.dice);
        let mut pairing = Pairing::new(Role::Scanner, tx.now.running + STEP_DEADLINE);
        pairing.wished_petname = petname;
        pairing.handshake = Handshake::ScannerDials {
            secrets: Box::new(BundleSecrets::generate(&mut *tx.dice)),
            invitation: Box::new(invitation),
        };
        self.pairings.insert(id, pairing);
        Ok((id, addresses))
    }

    fn under_way(&self) -> usize {
        self.pairings.values().filter(|pairing| pairing.is_under_way()).count()
    }

    /// An errand (a dial or a request) serves this pairing.
    pub fn on_errand(&mut self, errand: u64, id: InvitationId) {
        self.errands.insert(errand, id);
    }

    /// Whose errand this was; it is over.
    pub fn take_errand(&mut self, errand: u64) -> Option<InvitationId> {
        self.errands.remove(&errand)
    }

    /// The inviter's node is connected: the first message.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn dialled(&mut self, tx: &mut Tx<'_>, id: InvitationId, link: u64) -> Result<PairingWork, StoreFault> {
        let Some(pairing) = self.pairings.get_mut(&id) else { return Ok(PairingWork::Nothing) };
        match std::mem::replace(&mut pairing.handshake, Handshake::Idle) {
            Handshake::ScannerDials { secrets, invitation } => {
                pairing.link = Some(link);
                pairing.deadline = tx.now.running + STEP_DEADLINE;
                match Scanner::start(&invitation, *secrets, &mut *tx.dice) {
                    Ok((state, noise)) => {
                        pairing.handshake = Handshake::ScannerAwaitsSecond(Box::new(state));
                        Ok(PairingWork::Send { link, request: PairRequest::First { noise } })
                    }
                    Err(_) => {
                        self.end(tx, id, Refusal::PairingFailed {});
                        Ok(PairingWork::Nothing)
                    }
                }
            }
            other => {
                pairing.handshake = other;
                Ok(PairingWork::Nothing)
            }
        }
    }

    /// A request on the pairing channel.
    ///
    /// # Errors
    /// [`Stop::Fault`].
    pub fn request(
        &mut self,
        tx: &mut Tx<'_>,
        link: u64,
        request: PairRequest,
        profile: &Profile,
    ) -> Result<PairingWork, Stop> {
        match request {
            PairRequest::First { noise } => self.first(tx, link, &noise),
            PairRequest::Third { attempt, noise } => {
                let Some(id) = self.attempt(link, attempt) else { return Ok(PairingWork::Answer(PairAnswer::Failed)) };
                let pairing = self.pairings.get_mut(&id).expect("found by its attempt");
                let Handshake::InviterAwaitsThird(state) = std::mem::replace(&mut pairing.handshake, Handshake::Idle)
                else {
                    return self.broken(tx, id);
                };
                match state.on_third(&noise, &mut *tx.dice) {
                    Ok((next, noise)) => {
                        pairing.handshake = Handshake::InviterAwaitsFifth(Box::new(next));
                        pairing.deadline = tx.now.running + STEP_DEADLINE;
                        Ok(PairingWork::Answer(PairAnswer::Fourth { noise }))
                    }
                    Err(_) => self.broken(tx, id),
                }
            }
            PairRequest::Fifth { attempt, noise, profile: theirs } => {
                let Some(id) = self.attempt(link, attempt) else { return Ok(PairingWork::Answer(PairAnswer::Failed)) };
                let pairing = self.pairings.get_mut(&id).expect("found by its attempt");
                let Handshake::InviterAwaitsFifth(state) = std::mem::replace(&mut pairing.handshake, Handshake::Idle)
                else {
                    return self.broken(tx, id);
                };
                let Ok(paired) = state.on_fifth(&noise) else { return self.broken(tx, id) };
                let (keys, rest) = take_keys(paired);
                let Ok(theirs) = open_profile(&keys.profile_key, &rest.transcript, Role::Scanner, &theirs) else {
                    return self.broken(tx, id);
                };
                if rest.names_a_known_log(tx)? {
                    return self.broken(tx, id);
                }
                let sealed = seal_profile(&keys.profile_key, &rest.transcript, Role::Inviter, profile, tx);
                self.compare(tx, id, keys, rest, theirs)?;
                Ok(PairingWork::Answer(PairAnswer::Done { profile: sealed }))
            }
            PairRequest::Declined { attempt } => {
                if let Some(id) = self.attempt(link, attempt) {
                    self.abandon(tx, id, Refusal::OtherDeclined {})?;
                }
                Ok(PairingWork::Answer(PairAnswer::Failed))
            }
        }
    }

    fn attempt(&self, link: u64, attempt: Attempt) -> Option<InvitationId> {
        let found =
            self.pairings.iter().find(|(_, pairing)| pairing.attempt == Some(attempt) && pairing.link == Some(link));
        found.map(|(id, _)| *id)
    }

    fn broken(&mut self, tx: &mut Tx<'_>, id: InvitationId) -> Result<PairingWork, Stop> {
        self.end(tx, id, Refusal::PairingFailed {});
        Ok(PairingWork::Answer(PairAnswer::Failed))
    }

    /// The one place where an invitation is used up.
    fn first(&mut self, tx: &mut Tx<'_>, link: u64, noise: &[u8]) -> Result<PairingWork, Stop> {
        if !self.may_check(tx.now.running) {
            return Ok(PairingWork::Refuse);
        }
        for (key, mut row) in tx.scan::<InvitationRow>(&Key::table(Table::Invitations), None, usize::MAX)? {
            let Ok(invitation) = Invitation::from_bytes(&row.raw) else { continue };
            if !first_message_is_genuine(&invitation, noise) {
                continue;
            }
            let id = InvitationId::from_bytes(key.sixteen(0));
            if row.state == InvitationState::Cancelled {
                return Ok(PairingWork::Answer(PairAnswer::Expired));
            }
            if row.state != InvitationState::Open {
                if let Some(pairing) = self.pairings.get_mut(&id) {
                    pairing.others_tried += 1;
                }
                return Ok(PairingWork::Answer(PairAnswer::Used));
            }
            if row.expires <= tx.wall() {
                return Ok(PairingWork::Answer(PairAnswer::Expired));
            }
            let secrets = BundleSecrets::from_bytes(&row.secrets);
            row.state = InvitationState::Used;
            row.secrets.clear();
            tx.put(&key, &row);
            let mut attempt = [0; 16];
            tx.dice.fill_bytes(&mut attempt);
            let deadline = tx.now.running + STEP_DEADLINE;
            let pairing = self.pairings.entry(id).or_insert_with(|| Pairing::new(Role::Inviter, deadline));
            pairing.attempt = Some(attempt);
            pairing.link = Some(link);
            pairing.deadline = deadline;
            let begun = secrets
                .map_err(|_| Misbehaviour::Malformed)
                .and_then(|secrets| {
                    Inviter::begin(&invitation, secrets, &mut *tx.dice).map_err(|_| Misbehaviour::Forged)
                })
                .and_then(|inviter| inviter.on_first(noise).map_err(|_| Misbehaviour::Forged));
            return match begun {
                Ok((state, noise)) => {
                    pairing.handshake = Handshake::InviterAwaitsThird(Box::new(state));
                    Ok(PairingWork::Answer(PairAnswer::Second { attempt, noise }))
                }
                Err(_) => self.broken(tx, id),
            };
        }
        Ok(PairingWork::Refuse)
    }

    fn may_check(&mut self, running: Duration) -> bool {
        let (since, count) = self.firsts;
        if running.saturating_sub(since) >= Duration::from_secs(1) {
            self.firsts = (running, 1);
            return true;
        }
        self.firsts = (since, count + 1);
        count < FIRSTS_PER_SECOND
    }

    /// The answer to a request of ours.
    ///
    /// # Errors
    /// [`Stop::Fault`].
    pub fn answered(
        &mut self,
        tx: &mut Tx<'_>,
        id: InvitationId,
        answer: PairAnswer,
        profile: &Profile,
    ) -> Result<PairingWork, Stop> {
        let Some(pairing) = self.pairings.get_mut(&id) else { return Ok(PairingWork::Nothing) };
        let Some(link) = pairing.link else { return Ok(PairingWork::Nothing) };
        pairing.deadline = tx.now.running + STEP_DEADLINE;
        match (std::mem::replace(&mut pairing.handshake, Handshake::Idle), answer) {
            (Handshake::ScannerAwaitsSecond(state), PairAnswer::Second { attempt, noise }) => {
                match state.on_second(&noise, &mut *tx.dice) {
                    Ok((next, noise)) => {
                        pairing.attempt = Some(attempt);
                        pairing.handshake = Handshake::ScannerAwaitsFourth { state: Box::new(next) };
                        Ok(PairingWork::Send { link, request: PairRequest::Third { attempt, noise } })
                    }
                    Err(_) => self.failed(tx, id),
                }
            }
            (Handshake::ScannerAwaitsFourth { state }, PairAnswer::Fourth { noise }) => {
                let Some(attempt) = pairing.attempt else { return self.failed(tx, id) };
                match state.on_fourth(&noise, &mut *tx.dice) {
                    Ok((paired, noise)) => {
                        let (keys, rest) = take_keys(paired);
                        let sealed = seal_profile(&keys.profile_key, &rest.transcript, Role::Scanner, profile, tx);
                        pairing.handshake = Handshake::ScannerAwaitsDone { keys: Box::new(keys), rest: Box::new(rest) };
                        Ok(PairingWork::Send { link, request: PairRequest::Fifth { attempt, noise, profile: sealed } })
                    }
                    Err(_) => self.failed(tx, id),
                }
            }
            (Handshake::ScannerAwaitsDone { keys, rest }, PairAnswer::Done { profile: theirs }) => {
                match open_profile(&keys.profile_key, &rest.transcript, Role::Inviter, &theirs) {
                    Ok(_) if rest.names_a_known_log(tx)? => self.failed(tx, id),
                    Ok(theirs) => {
                        self.compare(tx, id, *keys, *rest, theirs)?;
                        Ok(PairingWork::Compare)
                    }
                    Err(_) => self.failed(tx, id),
                }
            }
            (_, PairAnswer::Used) => {
                self.end(tx, id, Refusal::InvitationUsed {});
                Ok(PairingWork::Nothing)
            }
            (_, PairAnswer::Expired) => {
                self.end(tx, id, Refusal::InvitationExpired { seconds: 0 });
                Ok(PairingWork::Nothing)
            }
            _ => self.failed(tx, id),
        }
    }

    fn failed(&mut self, tx: &mut Tx<'_>, id: InvitationId) -> Result<PairingWork, Stop> {
        self.end(tx, id, Refusal::PairingFailed {});
        Ok(PairingWork::Nothing)
    }

    /// No answer, or no connection.
    pub fn unanswered(&mut self, tx: &mut Tx<'_>, id: InvitationId) {
        let before_words = self.pairings.get(&id).is_some_and(|pairing| pairing.stage == PairingStage::Open);
        if before_words {
            self.end(tx, id, Refusal::InviterSilent {});
        }
    }

    /// Both sides have the same secret: a pending relationship, and words to compare.
    fn compare(
        &mut self,
        tx: &mut Tx<'_>,
        id: InvitationId,
        keys: KeySchedule,
        paired: PairedRest,
        their_profile: Profile,
    ) -> Result<(), StoreFault> {
        let pairing = self.pairings.get_mut(&id).expect("the caller holds this pairing");
        let wished = pairing.wished_petname.clone().unwrap_or_else(|| their_profile.name.clone());
        let petname = free_petname(tx, &wished)?;
        let new = NewRelationship {
            side: Side::of(paired.role),
            petname: petname.clone(),
            their_profile,
            tag: paired.transcript,
            my_route: RouteId::from_bytes(paired.my_bundle.route_id),
            their_route: RouteId::from_bytes(paired.their_bundle.route_id),
            my_log: LogId::from_bytes(paired.my_bundle.log_id),
            their_log: LogId::from_bytes(paired.their_bundle.log_id),
            signing: paired.signing,
            agreement: paired.agreement,
            their_verify: paired.their_bundle.verify_key.to_bytes(),
            their_static: paired.their_bundle.agreement,
            keys,
        };
        let relationship = Relationship::create(tx, new, tx.wall().after(PENDING_LIFETIME))?;
        pairing.relationship = Some(relationship.id);
        pairing.peer = Some(petname);
        pairing.sas = Some(paired.sas);
        pairing.deadline = tx.now.running + PENDING_LIFETIME;
        self.go(tx, id, PairingStage::Comparing);
        Ok(())
    }

    /// Moves a pairing on, and tells whoever waits for that.
    fn go(&mut self, tx: &mut Tx<'_>, id: InvitationId, stage: PairingStage) {
        let Some(pairing) = self.pairings.get_mut(&id) else { return };
        pairing.stage = stage;
        let over = matches!(pairing.stage, PairingStage::Ended | PairingStage::Paired);
        let watchers = std::mem::take(&mut pairing.watchers);
        let (now, later): (Vec<_>, Vec<_>) = watchers.into_iter().partition(|(_, seen)| over || pairing.stage > *seen);
        pairing.watchers = later;
        let view = pairing.view(id);
        for (ticket, _) in now {
            tx.reply(ticket, Ok(crate::command::Answer::Pairing(view.clone())));
        }
    }

    fn end(&mut self, tx: &mut Tx<'_>, id: InvitationId, why: Refusal) {
        if let Some(pairing) = self.pairings.get_mut(&id)
            && !matches!(pairing.stage, PairingStage::Ended | PairingStage::Paired)
        {
            pairing.ended = Some(why);
            pairing.handshake = Handshake::Idle;
            pairing.deadline = tx.now.running + PENDING_LIFETIME;
            self.go(tx, id, PairingStage::Ended);
        }
    }

    /// Ends a pairing and erases what it left.
    fn abandon(&mut self, tx: &mut Tx<'_>, id: InvitationId, why: Refusal) -> Result<(), StoreFault> {
        let Some(pairing) = self.pairings.get(&id) else { return Ok(()) };
        if pairing.stage == PairingStage::Paired {
            return Ok(());
        }
        if let Some(relationship) = pairing.relationship
            && let Some(row) = Relationship::find(tx, relationship)?
            && row.state == crate::command::PeerState::Pending
        {
            row.erase(tx)?;
        }
        self.end(tx, id, why);
        Ok(())
    }

    /// Waits until a pairing has gone past `seen`, or answers at once.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPairing`].
    pub fn watch(&mut self, tx: &mut Tx<'_>, id: InvitationId, seen: PairingStage, ticket: Ticket) -> Result<(), Stop> {
        let pairing = self.pairings.get_mut(&id).ok_or(Refusal::NoSuchPairing {})?;
        if pairing.stage > seen || matches!(pairing.stage, PairingStage::Ended | PairingStage::Paired) {
            let view = pairing.view(id);
            tx.reply(ticket, Ok(crate::command::Answer::Pairing(view)));
        } else {
            pairing.watchers.push((ticket, seen));
        }
        Ok(())
    }

    /// What our person says after comparing. Returns the relationship that is confirmed on our side, and the link to it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPairing`].
    pub fn confirmed(
        &mut self,
        tx: &mut Tx<'_>,
        id: InvitationId,
    ) -> Result<Option<(RelationshipId, Option<u64>)>, Stop> {
        let pairing = self.pairings.get(&id).ok_or(Refusal::NoSuchPairing {})?;
        if pairing.stage != PairingStage::Comparing {
            return Ok(None);
        }
        let found = pairing.relationship.map(|relationship| (relationship, pairing.link));
        self.go(tx, id, PairingStage::Waiting);
        Ok(found)
    }

    /// Our person says that the words differ. Returns what to tell the other side.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPairing`].
    pub fn differs(&mut self, tx: &mut Tx<'_>, id: InvitationId) -> Result<Option<(u64, PairRequest)>, Stop> {
        let pairing = self.pairings.get(&id).ok_or(Refusal::NoSuchPairing {})?;
        let tell = pairing.link.zip(pairing.attempt);
        // Before there are words it is the invitation that is taken back.
        let why = match pairing.stage {
            PairingStage::Open => Refusal::PairingCancelled {},
            _ => Refusal::WordsDiffer {},
        };
        cancel(tx, id)?;
        self.abandon(tx, id, why)?;
        Ok(tell.map(|(link, attempt)| (link, PairRequest::Declined { attempt })))
    }

    /// Our person wants no more of a relationship that is not confirmed. Returns what to tell the other side.
    pub fn forgotten(&mut self, tx: &mut Tx<'_>, relationship: RelationshipId) -> Option<(u64, PairRequest)> {
        let id = self.of(relationship)?;
        let tell = self.pairings.get(&id).and_then(|pairing| pairing.link.zip(pairing.attempt));
        self.end(tx, id, Refusal::PairingCancelled {});
        tell.map(|(link, attempt)| (link, PairRequest::Declined { attempt }))
    }

    /// The relationship is gone; what went on for it ends.
    pub fn erased(&mut self, tx: &mut Tx<'_>, relationship: RelationshipId) {
        if let Some(id) = self.of(relationship) {
            self.end(tx, id, Refusal::PairingTimedOut {});
        }
    }

    fn of(&self, relationship: RelationshipId) -> Option<InvitationId> {
        let found = self.pairings.iter().find(|(_, pairing)| pairing.relationship == Some(relationship));
        found.map(|(id, _)| *id)
    }

    /// Both sides confirmed.
    pub fn paired(&mut self, tx: &mut Tx<'_>, relationship: RelationshipId) {
        if let Some(id) = self.of(relationship) {
            self.go(tx, id, PairingStage::Paired);
        }
    }

    /// What people see of a pairing.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPairing`].
    pub fn view(&self, id: InvitationId) -> Result<PairingView, Stop> {
        Ok(self.pairings.get(&id).ok_or(Refusal::NoSuchPairing {})?.view(id))
    }

    /// All invitations that are known.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn invitations(&self, tx: &Tx<'_>) -> Result<Vec<InvitationView>, StoreFault> {
        let rows = tx.scan::<InvitationRow>(&Key::table(Table::Invitations), None, usize::MAX)?;
        let view = |(key, row): (Key, InvitationRow)| InvitationView {
            id: InvitationId::from_bytes(key.sixteen(0)),
            expires: row.expires,
            state: match row.state {
                InvitationState::Used => "used",
                InvitationState::Cancelled => "cancelled",
                InvitationState::Open if row.expires <= tx.wall() => "expired",
                InvitationState::Open => "open",
            },
        };
        let mut views: Vec<InvitationView> = rows.into_iter().map(view).collect();
        views.sort_by_key(|view| view.expires);
        Ok(views)
    }

    /// Closes all open invitations.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn cancel_all(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreFault> {
        for (key, _) in tx.scan::<InvitationRow>(&Key::table(Table::Invitations), None, usize::MAX)? {
            let id = InvitationId::from_bytes(key.sixteen(0));
            if cancel(tx, id)? {
                self.end(tx, id, Refusal::PairingCancelled {});
            }
        }
        Ok(())
    }

    /// Ends what took too long, and forgets what ended long ago. Returns when to look again.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn tick(&mut self, tx: &mut Tx<'_>) -> Result<Option<Duration>, StoreFault> {
        let running = tx.now.running;
        let late: Vec<InvitationId> =
            self.pairings.iter().filter(|(_, pairing)| pairing.deadline <= running).map(|(id, _)| *id).collect();
        for id in late {
            let pairing = &self.pairings[&id];
            match pairing.stage {
                PairingStage::Ended | PairingStage::Paired => {
                    self.pairings.remove(&id);
                }
                PairingStage::Open if pairing.role == Role::Scanner => self.end(tx, id, Refusal::InviterSilent {}),
                PairingStage::Open if pairing.attempt.is_none() => {
                    self.end(tx, id, Refusal::InvitationExpired { seconds: 0 });
                }
                PairingStage::Open => self.end(tx, id, Refusal::PairingFailed {}),
                PairingStage::Comparing | PairingStage::Waiting => {
                    self.abandon(tx, id, Refusal::PairingTimedOut {})?;
                }
            }
        }
        self.forget_old(tx)?;
        Ok(self.pairings.values().map(|pairing| pairing.deadline).min())
    }

    /// Rows of invitations that ended an hour ago go: until then a second use is told from an unknown secret.
    fn forget_old(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreFault> {
        const KEPT: Duration = Duration::from_secs(3_600);
        for (key, row) in tx.scan::<InvitationRow>(&Key::table(Table::Invitations), None, usize::MAX)? {
            if row.expires.after(KEPT) < tx.wall() {
                tx.delete(&key);
            }
        }
        Ok(())
    }
}

impl Pairing {
    fn new(role: Role, deadline: Duration) -> Self {
        Self {
            stage: PairingStage::Open,
            role,
            handshake: Handshake::Idle,
            attempt: None,
            link: None,
            relationship: None,
            peer: None,
            wished_petname: None,
            sas: None,
            ended: None,
            others_tried: 0,
            deadline,
            watchers: Vec::new(),
        }
    }

    fn is_under_way(&self) -> bool {
        !matches!(self.stage, PairingStage::Paired | PairingStage::Ended)
    }

    fn view(&self, id: InvitationId) -> PairingView {
        let emoji = |emoji: &allod_crypto::pairing::Emoji| EmojiView {
            emoji: emoji.symbol.to_owned(),
            name_en: emoji.english.to_owned(),
            name_fr: emoji.french.to_owned(),
        };
        PairingView {
            id,
            stage: self.stage.clone(),
            peer: self.peer.clone(),
            words: self.sas.map(|sas| sas.words().map(str::to_owned).to_vec()).unwrap_or_default(),
            emoji: self.sas.map(|sas| sas.emoji().map(emoji).to_vec()).unwrap_or_default(),
            ended: self.ended.clone(),
            others_tried: self.others_tried,
        }
    }
}

/// Takes an invitation back, if it was not used. Returns whether it was open.
fn cancel(tx: &mut Tx<'_>, id: InvitationId) -> Result<bool, StoreFault> {
    let key = Key::invitation(id);
    let Some(mut row) = tx.get::<InvitationRow>(&key)?.filter(|row| row.state == InvitationState::Open) else {
        return Ok(false);
    };
    row.state = InvitationState::Cancelled;
    row.secrets.clear();
    tx.put(&key, &row);
    Ok(true)
}

/// What is left of a finished handshake once its secret was turned into keys.
struct PairedRest {
    role: Role,
    signing: allod_crypto::SigningIdentity,
    agreement: allod_crypto::AgreementIdentity,
    my_bundle: Bundle,
    their_bundle: Bundle,
    sas: Sas,
    transcript: [u8; 32],
}

impl PairedRest {
    /// Whether the other side calls its log as one of any relationship is called already: its entries would stand in that one's place.
    fn names_a_known_log(&self, tx: &Tx<'_>) -> Result<bool, StoreFault> {
        tx.has(&Key::log_id(LogId::from_bytes(self.their_bundle.log_id)))
    }
}

fn take_keys(paired: Paired) -> (KeySchedule, PairedRest) {
    let Paired { rs, role, my, my_bundle, their_bundle, sas, transcript } = paired;
    let rest =
        PairedRest { role, signing: my.signing, agreement: my.agreement, my_bundle, their_bundle, sas, transcript };
    (rs.schedule(), rest)
}

/// Erases relationships that nobody confirmed in time, also those of an earlier run.
///
/// # Errors
/// [`StoreFault`].
pub fn erase_unconfirmed(tx: &mut Tx<'_>, row: &Relationship, now: Now) -> Result<bool, StoreFault> {
    let late = row.state == crate::command::PeerState::Pending && row.pending_until <= now.wall;
    if late {
        row.erase(tx)?;
    }
    Ok(late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{ADDRESSES_MAX, PETNAME_MAX_BYTES};

    #[test]
    fn a_profile_beyond_its_limits_ends_a_pairing() {
        let (key, transcript) = (SecretKey::from_bytes([1; 32]), [2; 32]);
        let opened = |name: usize, addresses: usize| {
            let address = "/ip4/127.0.0.1/tcp/4001".to_owned();
            let profile = Profile {
                name: "n".repeat(name),
                kind: crate::command::NodeKind::Vendor,
                addresses: vec![address; addresses],
                mailbox: 3,
            };
            let aad = profile_aad(&transcript, Role::Scanner);
            let mut dice = crate::rig::Dice::default();
            let sealed = seal(&key, Domain::PairingMessage, &aad, &profile.encode(), Padding::Padme, &mut dice);
            open_profile(&key, &transcript, Role::Scanner, &sealed)
        };
        assert!(opened(PETNAME_MAX_BYTES, ADDRESSES_MAX).is_ok());
        for (name, addresses) in [(PETNAME_MAX_BYTES + 1, 1), (1, ADDRESSES_MAX + 1)] {
            assert_eq!(opened(name, addresses), Err(Misbehaviour::Malformed), "{name} letters, {addresses} addresses");
        }
    }
}
