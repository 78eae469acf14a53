//! The engine: what came in goes to whoever it concerns, and what is to be done comes out.
//!
//! ```text
//! Event -> handle(event, now, dice, &view) -> Step { writes, effects } -> commit -> effects
//! ```
//! It never sends and never waits: the driver commits a step's writes and performs its effects after that. A message that depends on a log
//! is named by an effect and put together by [`Engine::message_bytes`] when it is sent. In memory it keeps live sessions, handshakes and
//! answers that wait; nothing here grows with records, entries or relationships but the tags of hints.
//!
//! This type routes. Pairing, sessions, grants, holdings, asks and jobs each have a module of their own.

mod command;
mod first_word;
#[cfg(test)]
mod hostile;
mod resuming;
mod sync;
mod waits;

use std::{collections::BTreeSet, time::Duration};

use allod_crypto::{SecretKey, Vault};
use rand_core::CryptoRng;

use crate::{
    codec::Coded,
    command::{Command, NodeKind, PeerState, Purge, Ticket},
    contact::Contacts,
    effect::{Channel, Effect, Message},
    event::Event,
    grant::Grant,
    hints::Hints,
    holding::{self, AtHand},
    id::RelationshipId,
    job::{Job, JobStep, ResealStage},
    limits::ADDRESSES_MAX,
    log,
    pairing::{PairingWork, Pairings, erase_unconfirmed},
    promise,
    refusal::Refusal,
    rekey,
    relationship::{PeerRef, Relationship},
    restore,
    session::Sessions,
    store::{Batch, StoreFault, View},
    table::{Key, Table},
    time::{Now, Timestamp},
    tx::{Stop, Tx},
    usage::{self, Uses},
    wire::{
        body::Profile,
        hint::MAILBOXES,
        pair::{PairAnswer, PairRequest},
        session::{SessionAnswer, SessionRequest},
    },
};
use first_word::FirstWord;
use resuming::Asking;
use sync::Heard;
use waits::Waits;

/// What a step writes, and what is done once that is durable.
#[derive(Debug, Default)]
pub struct Step {
    pub writes: Batch,
    pub effects: Vec<Effect>,
}

/// What the person set for this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub name: String,
    pub kind: NodeKind,
    /// Whether it carries gossip for others.
    pub carrier: bool,
}

/// The whole node, without a clock, dice, disk or network.
pub struct Engine {
    vault: Vault,
    live: Live,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine(..)")
    }
}

/// What is only in memory.
struct Live {
    settings: Settings,
    sessions: Sessions,
    contacts: Contacts,
    pairings: Pairings,
    waits: Waits,
    first_word: FirstWord,
    at_hand: AtHand,
    /// What this step heard, for those who wait for it.
    heard: Vec<Heard>,
    uses: Uses,
    hints: Hints,
    listening: Vec<String>,
    links: BTreeSet<u64>,
    next_errand: u64,
    /// Which mailbox topics are listened to; none before the first time.
    subscribed: Option<u64>,
    /// There may be jobs in the store.
    jobs: bool,
    hints_stale: bool,
    rotation: Rotation,
    /// What is left of the disk is for what our own side does.
    is_short_of_room: bool,
    /// When the next grant ends.
    ends_at: Option<Timestamp>,
    next_pairing: Option<Duration>,
    next_renewal: Option<Duration>,
    /// When to look whether keys are to be changed.
    next_rekey: Duration,
}

/// Where the rotation of a bucket's key stands. The vault file is replaced before a row is sealed under the new key, and the old key goes
/// only after the last row was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    Idle,
    /// The vault file is being replaced.
    Replacing,
}

impl Engine {
    /// Opens what is stored: unfinished work is taken up again.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn open(
        view: &dyn View,
        vault: Vault,
        settings: Settings,
        now: Now,
        dice: &mut dyn CryptoRng,
    ) -> Result<(Self, Step), StoreFault> {
        let hints = Hints::new(SecretKey::random(dice));
        let live = Live {
            settings,
            sessions: Sessions::default(),
            contacts: Contacts::default(),
            pairings: Pairings::default(),
            waits: Waits::default(),
            first_word: FirstWord::default(),
            at_hand: AtHand::default(),
            heard: Vec::new(),
            uses: Uses::default(),
            hints,
            listening: Vec::new(),
            links: BTreeSet::new(),
            next_errand: 1,
            subscribed: None,
            jobs: true,
            hints_stale: true,
            rotation: Rotation::Idle,
            is_short_of_room: false,
            ends_at: Some(Timestamp::from_millis(0)),
            next_pairing: None,
            next_renewal: None,
            next_rekey: now.running + rekey::LOOK_EVERY,
        };
        let mut engine = Self { vault, live };
        let mut tx = Tx::new(view, &engine.vault, dice, now);
        engine.live.take_up(&mut tx).map_err(fault_of)?;
        let (writes, effects) = tx.finish();
        Ok((engine, Step { writes, effects }))
    }

    /// Takes in one event.
    ///
    /// # Errors
    /// [`StoreFault`]: the process says so and stops.
    pub fn handle(
        &mut self,
        event: Event,
        now: Now,
        dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Step, StoreFault> {
        if matches!(event, Event::Tick | Event::VaultReplaced)
            && let Some(step) = self.rotate(&event, now, dice, view)?
        {
            return Ok(step);
        }
        let blame = Blame::of(&event, &self.live.sessions);
        let mut tx = Tx::new(view, &self.vault, &mut *dice, now);
        let outcome = self.live.on(event, &mut tx).and_then(|()| self.live.follow_up(&mut tx));
        self.live.heard.clear();
        match outcome {
            Ok(()) => {
                self.live.jobs |= tx.started_job();
                promise::hold(&tx)?;
                let (writes, effects) = tx.finish();
                self.live.at_hand.forget(&writes);
                Ok(Step { writes, effects })
            }
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Refused(refusal)) => Ok(Step { writes: Batch::new(), effects: blame.refused(refusal) }),
            Err(Stop::Misbehaved(what)) => {
                if let Some(peer) = blame.link().and_then(|link| self.live.sessions.at_link(link)) {
                    self.live.contacts.failed(peer, what.line(), now, dice);
                }
                Ok(Step { writes: Batch::new(), effects: blame.misbehaved() })
            }
        }
    }

    /// The bytes of a message that goes out now; none if there is nothing to say any more.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn message_bytes(
        &mut self,
        message: Message,
        now: Now,
        dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        let mut tx = Tx::new(view, &self.vault, dice, now);
        match message {
            Message::Bytes(bytes) => Ok(Some(bytes)),
            Message::Sync { session, errand } => self.live.sessions.message(&mut tx, session, None, Some(errand)),
            Message::SyncAnswer { session, counter } => {
                self.live.sessions.message(&mut tx, session, Some(counter), None)
            }
        }
    }

    /// How long the engine can sleep if nothing comes in.
    #[must_use]
    pub fn wake_in(&self, now: Now) -> Option<Duration> {
        let live = &self.live;
        if live.rotation == Rotation::Replacing {
            return None;
        }
        if live.jobs || live.hints_stale {
            return Some(Duration::ZERO);
        }
        let ends = live.ends_at.map(|at| at.since(now.wall).saturating_add(Duration::from_millis(1)));
        let running = [
            live.contacts.next_at(),
            live.uses.due_at(),
            live.waits.next_at(),
            live.first_word.next_at(),
            live.next_pairing,
            live.next_renewal,
        ];
        let running = running.into_iter().chain([Some(live.next_rekey)]);
        let others = running.into_iter().flatten().map(|at| at.saturating_sub(now.running));
        others.chain(ends).min()
    }

    /// How many keys of what is lent to us are kept unwrapped, ready for the next read.
    #[must_use]
    pub fn keys_at_hand(&self) -> usize {
        self.live.at_hand.keys()
    }

    /// The vault file as it should stand on the disk.
    pub fn vault_bytes(&self, dice: &mut dyn CryptoRng) -> allod_crypto::Zeroizing<Vec<u8>> {
        self.vault.to_bytes(dice)
    }

    /// The vault, for what the daemon does to it while no step is under way: a new passphrase.
    pub fn vault_mut(&mut self) -> &mut Vault {
        &mut self.vault
    }

    /// Begins or ends the rotation of a bucket, where it is time for that. These steps write nothing and stand alone.
    fn rotate(
        &mut self,
        event: &Event,
        now: Now,
        dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Option<Step>, StoreFault> {
        if self.live.rotation == Rotation::Replacing {
            if matches!(event, Event::VaultReplaced) {
                self.live.rotation = Rotation::Idle;
                self.live.jobs = true;
            }
            return Ok(None);
        }
        if !self.live.jobs {
            return Ok(None);
        }
        let first = Job::first(&Tx::new(view, &self.vault, &mut *dice, now))?;
        let Some((_, Job::Reseal { bucket, stage, .. })) = first else { return Ok(None) };
        let old_key_is_there = self.vault.bucket(bucket).previous().is_some();
        match stage {
            ResealStage::Waiting if !old_key_is_there => {
                if self.vault.begin_rotation(bucket, dice).is_err() {
                    return Ok(None);
                }
            }
            ResealStage::Finished if old_key_is_there => self.vault.finish_rotation(bucket, dice),
            _ => return Ok(None),
        }
        self.live.rotation = Rotation::Replacing;
        Ok(Some(Step { writes: Batch::new(), effects: vec![Effect::ReplaceVault] }))
    }
}

fn fault_of(stop: Stop) -> StoreFault {
    match stop {
        Stop::Fault(fault) => fault,
        Stop::Refused(_) | Stop::Misbehaved(_) => {
            StoreFault::Damaged { detail: "what is stored is refused".to_owned() }
        }
    }
}

/// Whom an event came from, to answer them if it comes to nothing.
enum Blame {
    Caller(Ticket),
    Request { link: u64, exchange: u64 },
    Answer { link: u64 },
    Nobody,
}

impl Blame {
    fn of(event: &Event, sessions: &Sessions) -> Self {
        match event {
            Event::Command { ticket, .. } => Self::Caller(*ticket),
            Event::Request { link, exchange, .. } => Self::Request { link: *link, exchange: *exchange },
            Event::Answered { errand, .. } => {
                sessions.link_of(*errand).map_or(Self::Nobody, |link| Self::Answer { link })
            }
            _ => Self::Nobody,
        }
    }

    fn link(&self) -> Option<u64> {
        match self {
            Self::Request { link, .. } | Self::Answer { link } => Some(*link),
            Self::Caller(_) | Self::Nobody => None,
        }
    }

    fn refused(self, refusal: Refusal) -> Vec<Effect> {
        match self {
            Self::Caller(ticket) => vec![Effect::Reply { ticket, outcome: Err(refusal) }],
            Self::Request { exchange, .. } => vec![Effect::Refuse { exchange }],
            Self::Answer { .. } | Self::Nobody => Vec::new(),
        }
    }

    /// The other side hears nothing of what it did wrong.
    fn misbehaved(self) -> Vec<Effect> {
        match self {
            Self::Request { link, exchange } => vec![Effect::Refuse { exchange }, Effect::Close { link }],
            Self::Answer { link } => vec![Effect::Close { link }],
            Self::Caller(_) | Self::Nobody => Vec::new(),
        }
    }
}

impl Live {
    /// Takes up what an earlier run left.
    fn take_up(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        if self.settings.kind == NodeKind::Person {
            // A person has few peers, and dials all that can be dialled.
            for relationship in Relationship::page(tx, None, 1_024)? {
                if erase_unconfirmed(tx, &relationship, tx.now)? {
                    continue;
                }
                if !relationship.their_profile.addresses.is_empty() && wants_contact(tx, &relationship)? {
                    self.contacts.want(relationship.id, tx.now.running);
                }
            }
        } else {
            for (_, PeerRef(id)) in tx.scan::<PeerRef>(&Key::table(Table::Waiting), None, 1_024)? {
                self.contacts.want(id, tx.now.running);
            }
        }
        self.next_pairing = self.pairings.tick(tx)?;
        Ok(())
    }

    fn on(&mut self, event: Event, tx: &mut Tx<'_>) -> Result<(), Stop> {
        match event {
            Event::Command { ticket, command } => self.command(tx, ticket, command),
            Event::Tick => self.tick(tx),
            Event::Listening { addresses } => self.listening(tx, addresses),
            Event::LinkUp { link, errand } => self.link_up(tx, link, errand),
            Event::LinkDown { link } => self.link_down(tx, link),
            Event::DialFailed { errand } => self.dial_failed(tx, errand),
            Event::Request { link, exchange, channel: Channel::Pair, bytes } => {
                self.pair_request(tx, link, exchange, &bytes)
            }
            Event::Request { link, exchange, channel: Channel::Session, bytes } => {
                self.session_request(tx, link, exchange, &bytes)
            }
            Event::Answered { errand, bytes } => self.answered(tx, errand, &bytes),
            Event::Failed { errand } => self.failed(tx, errand),
            Event::Hint { bytes, .. } => self.hinted(tx, &bytes),
            Event::Room { is_short } => self.room(tx, is_short),
            Event::VaultReplaced => Ok(()),
            Event::Closing => self.write_uses(tx),
        }
    }

    fn errand(&mut self) -> u64 {
        self.next_errand += 1;
        self.next_errand
    }

    fn tick(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        self.next_pairing = self.pairings.tick(tx)?;
        self.waits.tick(tx);
        for id in self.first_word.late(tx.now.running) {
            self.had_its_word(tx, id)?;
        }
        self.next_renewal = self.sessions.renew(tx.now.running);
        if self.uses.due_at().is_some_and(|due| due <= tx.now.running) {
            self.write_uses(tx)?;
        }
        if self.ends_at.is_some_and(|at| at <= tx.wall()) {
            self.ends_at = holding::end_what_is_over(tx)?;
        }
        self.hints_stale = self.hints.refresh(tx)?;
        self.subscribe_also_there(tx);
        if self.next_rekey <= tx.now.running {
            self.next_rekey = tx.now.running + rekey::LOOK_EVERY;
            for id in self.sessions.relationships() {
                if let Some(mut relationship) = Relationship::find(tx, id)? {
                    rekey::start_if_due(tx, &mut relationship)?;
                    rekey::reply_if_due(tx, &mut relationship)?;
                }
            }
        }
        if self.jobs {
            self.job(tx)?;
        }
        self.dial(tx)
    }

    /// One step of the first job.
    fn job(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        match Job::first(tx)? {
            None => self.jobs = false,
            Some((key, job)) => match job.step(tx, &key)? {
                JobStep::Goes | JobStep::Done => {}
            },
        }
        Ok(())
    }

    fn write_uses(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        for id in self.uses.write(tx)? {
            if self.sessions.is_live(id)
                && let Some(relationship) = Relationship::find(tx, id)?
                && relationship.state == PeerState::Paired
            {
                usage::report(tx, &relationship)?;
            }
        }
        Ok(())
    }

    fn dial(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        while let Some(id) = self.contacts.take_due(tx.now.running) {
            if self.sessions.is_coming(id) {
                self.contacts.connected(id);
                continue;
            }
            let relationship = match Relationship::find(tx, id)? {
                Some(relationship) if !relationship.their_profile.addresses.is_empty() => relationship,
                _ => {
                    self.contacts.forget(id);
                    self.had_its_word(tx, id)?;
                    continue;
                }
            };
            let errand = self.errand();
            self.contacts.dialling(errand, id);
            tx.effect(Effect::Dial { errand, addresses: relationship.their_profile.addresses.clone() });
        }
        Ok(())
    }

    fn listening(&mut self, tx: &mut Tx<'_>, addresses: Vec<String>) -> Result<(), Stop> {
        let changed = self.listening != addresses;
        self.listening = addresses;
        self.subscribe(tx);
        if changed {
            for id in self.sessions.relationships() {
                if let Some(relationship) = Relationship::find(tx, id)? {
                    self.tell_profile(tx, relationship)?;
                }
            }
            self.dial_who_cannot_find_us(tx)?;
        }
        Ok(())
    }

    /// Who was told other addresses and is not there dials where we are no more. A person dials its peers anyway.
    fn dial_who_cannot_find_us(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        let addresses = self.reachable();
        if self.settings.kind == NodeKind::Person || addresses.is_empty() {
            return Ok(());
        }
        for relationship in Relationship::page(tx, None, 1_024)? {
            let elsewhere = relationship.told_profile.as_ref().is_some_and(|told| told.addresses != addresses);
            let there = self.sessions.is_live(relationship.id);
            if elsewhere && !there && relationship.state == PeerState::Paired {
                self.wait_for(tx, &relationship)?;
                if !relationship.their_profile.addresses.is_empty() {
                    self.contacts.want(relationship.id, tx.now.running);
                }
            }
        }
        Ok(())
    }

    /// Listens to the mailboxes that our peers were told: all of them if we carry for others.
    fn subscribe(&mut self, tx: &mut Tx<'_>) {
        let wanted = if self.settings.carrier { u64::MAX } else { self.hints.mailboxes() };
        if self.subscribed != Some(wanted) {
            self.subscribed = Some(wanted);
            let topics = (0..MAILBOXES).filter(|topic| wanted >> topic & 1 == 1).collect();
            tx.effect(Effect::Subscribe { topics });
        }
    }

    /// The same where a peer is new, unless the network is yet to come up.
    fn subscribe_also_there(&mut self, tx: &mut Tx<'_>) {
        if self.subscribed.is_some() {
            self.subscribe(tx);
        }
    }

    /// Where others can dial us: what we listen on, without loopback if there is anything else.
    fn reachable(&self) -> Vec<String> {
        let unspecified = |address: &&String| address.contains("/0.0.0.0/") || address.contains("/ip6/::/");
        let loopback = |address: &str| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
        let all: Vec<&String> = self.listening.iter().filter(|address| !unspecified(address)).collect();
        let outside: Vec<&String> = all.iter().copied().filter(|address| !loopback(address)).collect();
        let chosen = if outside.is_empty() { all } else { outside };
        chosen.into_iter().take(ADDRESSES_MAX).cloned().collect()
    }

    /// What we tell this peer of ourselves. No two peers are told one mailbox but by chance: it would tell them that we are the same.
    fn profile(&self, relationship: &Relationship) -> Profile {
        let mailbox = if self.settings.carrier { relationship.mailbox } else { self.hints.mailbox(relationship.id) };
        self.profile_with(mailbox)
    }

    /// What a stranger is told who pairs: nobody hints before both sides confirmed, and then it hears of its mailbox.
    fn first_profile(&self, tx: &mut Tx<'_>) -> Profile {
        let mut mailbox = [0];
        tx.dice.fill_bytes(&mut mailbox);
        self.profile_with(mailbox[0] % MAILBOXES)
    }

    fn profile_with(&self, mailbox: u8) -> Profile {
        Profile { name: self.settings.name.clone(), kind: self.settings.kind, addresses: self.reachable(), mailbox }
    }

    fn link_up(&mut self, tx: &mut Tx<'_>, link: u64, errand: Option<u64>) -> Result<(), Stop> {
        self.links.insert(link);
        let Some(errand) = errand else { return Ok(()) };
        if let Some(id) = self.contacts.dialled(errand) {
            if let Some(relationship) = Relationship::find(tx, id)? {
                self.hello(tx, &relationship, link)?;
            }
        } else if let Some(id) = self.pairings.take_errand(errand) {
            let work = self.pairings.dialled(tx, id, link)?;
            self.pairing_work(tx, id, work);
        }
        Ok(())
    }

    fn hello(&mut self, tx: &mut Tx<'_>, relationship: &Relationship, link: u64) -> Result<(), StoreFault> {
        let errand = self.errand();
        // One that refuses us may have been put back, and know no keys but the first: each other time it is called by these.
        let refused = self.contacts.refusals(relationship.id) % 2 == 1;
        let keys = restore::keys_to_ask(tx, relationship, refused)?;
        if let Some(bytes) = self.sessions.hello(tx, relationship, &keys, link, errand) {
            tx.effect(Effect::Send { errand, link, channel: Channel::Session, message: Message::Bytes(bytes) });
        }
        Ok(())
    }

    fn link_down(&mut self, tx: &mut Tx<'_>, link: u64) -> Result<(), Stop> {
        self.links.remove(&link);
        let down = self.sessions.link_down(link);
        for id in down.unreached {
            self.contacts.lost(id, tx.now.running, &mut *tx.dice);
        }
        for id in down.gone {
            self.offline(tx, id)?;
        }
        Ok(())
    }

    fn offline(&mut self, tx: &mut Tx<'_>, id: RelationshipId) -> Result<(), Stop> {
        self.waits.gone(tx, id);
        self.contacts.lost(id, tx.now.running, &mut *tx.dice);
        if let Some(relationship) = Relationship::find(tx, id)? {
            let own = log::own(tx, &relationship)?;
            if own.acknowledged + 1 < own.next && !relationship.their_profile.addresses.is_empty() {
                // It did not get all that there is for it, and may not know where we are now.
                self.contacts.want(id, tx.now.running);
                self.wait_for(tx, &relationship)?;
            }
            log::heard(tx, &relationship)?;
            happened(tx, &relationship, "peer_offline");
        }
        Ok(())
    }

    fn dial_failed(&mut self, tx: &mut Tx<'_>, errand: u64) -> Result<(), Stop> {
        if let Some(id) = self.contacts.dialled(errand) {
            self.contacts.failed(id, "peer-unreachable", tx.now, &mut *tx.dice);
            self.had_its_word(tx, id)?;
        } else if let Some(id) = self.pairings.take_errand(errand) {
            self.pairings.unanswered(tx, id);
        }
        Ok(())
    }

    fn hinted(&mut self, tx: &mut Tx<'_>, bytes: &[u8]) -> Result<(), Stop> {
        let Some(id) = self.hints.heard(tx, bytes) else { return Ok(()) };
        match self.sessions.of(id).and_then(|session| self.sessions.get_mut(session)) {
            Some(session) => session.wanted = true,
            None => {
                self.contacts.hurry(id, tx.now.running);
                self.dial(tx)?;
            }
        }
        Ok(())
    }

    fn pair_request(&mut self, tx: &mut Tx<'_>, link: u64, exchange: u64, bytes: &[u8]) -> Result<(), Stop> {
        let Ok(request) = PairRequest::decode(bytes) else {
            tx.effect(Effect::Refuse { exchange });
            return Ok(());
        };
        let profile = self.first_profile(tx);
        match self.pairings.request(tx, link, request, &profile)? {
            PairingWork::Answer(answer) => {
                tx.effect(Effect::Answer { exchange, message: Message::Bytes(answer.encode()) });
            }
            _ => tx.effect(Effect::Refuse { exchange }),
        }
        self.next_pairing = Some(tx.now.running);
        self.look_at_ends(tx);
        Ok(())
    }

    /// Something that ends may be new.
    fn look_at_ends(&mut self, tx: &Tx<'_>) {
        self.ends_at = Some(self.ends_at.map_or(tx.wall(), |at| at.min(tx.wall())));
    }

    fn pairing_work(&mut self, tx: &mut Tx<'_>, id: crate::id::InvitationId, work: PairingWork) {
        if let PairingWork::Send { link, request } = work {
            let errand = self.errand();
            self.pairings.on_errand(errand, id);
            let message = Message::Bytes(request.encode());
            tx.effect(Effect::Send { errand, link, channel: Channel::Pair, message });
        }
        self.next_pairing = Some(tx.now.running);
        self.look_at_ends(tx);
    }

    fn answered(&mut self, tx: &mut Tx<'_>, errand: u64, bytes: &[u8]) -> Result<(), Stop> {
        if let Some(id) = self.pairings.take_errand(errand) {
            let answer = PairAnswer::decode(bytes).unwrap_or(PairAnswer::Failed);
            let profile = self.first_profile(tx);
            let work = self.pairings.answered(tx, id, answer, &profile)?;
            self.pairing_work(tx, id, work);
            return Ok(());
        }
        if let Some(hello) = self.sessions.take_hello(errand) {
            let (id, link) = (hello.relationship(), hello.link());
            let welcomed = match SessionAnswer::decode(bytes) {
                Ok(SessionAnswer::Welcome { noise }) => self.sessions.welcomed(hello, &noise, tx.now.running).ok(),
                _ => None,
            };
            match welcomed {
                Some(session) => self.proved(tx, session)?,
                None => self.not_welcome(tx, id, link)?,
            }
            return Ok(());
        }
        if let Some((session, counter)) = self.sessions.take_request(errand) {
            match SessionAnswer::decode(bytes) {
                Ok(SessionAnswer::Sealed { sealed }) => match self.sessions.open_answer(session, counter, &sealed) {
                    Ok(said) => self.said(tx, session, said, Asking::Us)?,
                    Err(_) => self.drop_session(tx, session)?,
                },
                Ok(SessionAnswer::Unknown | SessionAnswer::Welcome { .. }) | Err(_) => {
                    self.drop_session(tx, session)?;
                }
            }
        }
        Ok(())
    }

    fn not_welcome(&mut self, tx: &mut Tx<'_>, id: RelationshipId, link: u64) -> Result<(), Stop> {
        self.contacts.refused(id, tx.now, &mut *tx.dice);
        self.give_up_link(tx, id, link)?;
        self.had_its_word(tx, id)
    }

    /// Closes the link to a peer that does not know us, except while its person may still say no to a pairing over it.
    fn give_up_link(&mut self, tx: &mut Tx<'_>, id: RelationshipId, link: u64) -> Result<(), Stop> {
        let pending = Relationship::find(tx, id)?.is_some_and(|row| row.state == PeerState::Pending);
        if !pending {
            tx.effect(Effect::Close { link });
        }
        Ok(())
    }

    /// A session that the other side does not know or answers wrongly: over, and its link with it. A new hello follows by itself.
    pub(super) fn drop_session(&mut self, tx: &mut Tx<'_>, session: crate::effect::SessionId) -> Result<(), Stop> {
        let known = self.sessions.get_mut(session).map(|session| (session.link, session.relationship));
        let gone = self.sessions.remove(session);
        if let Some((link, id)) = known {
            self.give_up_link(tx, id, link)?;
        }
        match gone {
            Some(id) => self.offline(tx, id),
            None => Ok(()),
        }
    }

    fn failed(&mut self, tx: &mut Tx<'_>, errand: u64) -> Result<(), Stop> {
        if let Some(id) = self.pairings.take_errand(errand) {
            self.pairings.unanswered(tx, id);
        } else if let Some(hello) = self.sessions.take_hello(errand) {
            self.not_welcome(tx, hello.relationship(), hello.link())?;
        } else if let Some((session, _)) = self.sessions.take_request(errand) {
            self.drop_session(tx, session)?;
        }
        Ok(())
    }

    fn session_request(&mut self, tx: &mut Tx<'_>, link: u64, exchange: u64, bytes: &[u8]) -> Result<(), Stop> {
        let Ok(request) = SessionRequest::decode(bytes) else {
            tx.effect(Effect::Refuse { exchange });
            return Ok(());
        };
        match request {
            SessionRequest::Hello { route, generation, session, noise } => {
                let answer = match Relationship::routed(tx, route)? {
                    Some(relationship) => restore::keys_to_answer(tx, &relationship, generation)?
                        .and_then(|set| self.sessions.answer_hello(tx, &relationship, link, session, &set, &noise)),
                    None => None,
                };
                match answer {
                    Some(bytes) => tx.effect(Effect::Answer { exchange, message: Message::Bytes(bytes) }),
                    // An unknown route is answered like a failed handshake.
                    None => tx.effect(Effect::Refuse { exchange }),
                }
            }
            SessionRequest::Sealed { session, counter, sealed } => {
                let known = self.sessions.get_mut(session).is_some_and(|session| session.link == link);
                if !known {
                    let message = Message::Bytes(SessionAnswer::Unknown.encode());
                    tx.effect(Effect::Answer { exchange, message });
                    return Ok(());
                }
                let said = self.sessions.open_request(session, counter, &sealed)?;
                self.proved(tx, session)?;
                self.said(tx, session, said, Asking::Them)?;
                if self.sessions.get_mut(session).is_none() {
                    let message = Message::Bytes(SessionAnswer::Unknown.encode());
                    tx.effect(Effect::Answer { exchange, message });
                    return Ok(());
                }
                self.carried_by_answer(tx, session);
                tx.effect(Effect::Answer { exchange, message: Message::SyncAnswer { session, counter } });
            }
        }
        Ok(())
    }

    /// What has something new to say is sent to who is there; who is not there is dialled and hinted at.
    fn follow_up(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        for id in tx.take_erased() {
            self.sessions.drop_peer(id);
            self.contacts.forget(id);
            self.pairings.erased(tx, id);
        }
        self.tell_those_who_wait(tx)?;
        for id in tx.take_touched() {
            if let Some(session) = self.sessions.of(id) {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.wanted = true;
                }
                continue;
            }
            let Some(relationship) = Relationship::find(tx, id)? else { continue };
            if !relationship.their_profile.addresses.is_empty() {
                self.contacts.want(id, tx.now.running);
                self.wait_for(tx, &relationship)?;
            }
            if relationship.state == PeerState::Paired
                && let Some((topic, bytes)) = self.hints.send(tx, &relationship)
            {
                tx.effect(Effect::Publish { topic, bytes });
            }
        }
        for (session, _, link) in self.sessions.take_wanted() {
            let errand = self.errand();
            let message = Message::Sync { session, errand };
            tx.effect(Effect::Send { errand, link, channel: Channel::Session, message });
        }
        Ok(())
    }
}

/// Whether there is any reason to be connected to a peer.
fn wants_contact(tx: &Tx<'_>, relationship: &Relationship) -> Result<bool, StoreFault> {
    if relationship.state != PeerState::Closed {
        return Ok(true);
    }
    let own = log::own(tx, relationship)?;
    // It has still to hear that this is over, or to say that what it held is gone.
    Ok(own.acknowledged + 1 < own.next
        || Grant::with(tx, relationship.id)?.iter().any(|grant| grant.purge == Purge::Awaited))
}

fn happened(tx: &mut Tx<'_>, relationship: &Relationship, event: &'static str) {
    holding::tell(tx, relationship, event, None, tx.wall());
}

/// A command as the engine's front door takes it.
impl From<(Ticket, Command)> for Event {
    fn from((ticket, command): (Ticket, Command)) -> Self {
        Self::Command { ticket, command }
    }
}
