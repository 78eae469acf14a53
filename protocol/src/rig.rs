//! What tests of hostile peers stand on: our engine over a store in memory, and peers with real keys that say whatever they like.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use allod_crypto::{
    AgreementIdentity, MessageKind, Protection, RelationshipSecret, SecretKey, SessionInitiator, SessionKeys,
    SigningIdentity, Vault, sha256,
};
use rand_core::{TryCryptoRng, TryRng, utils};

use crate::{
    codec::Coded,
    command::{Answer, Command, NodeKind, PeerState, Ticket},
    effect::{Channel, Effect, Message, SessionId},
    engine::{Engine, Settings, Step},
    event::Event,
    id::{LogId, RelationshipId, RouteId},
    log,
    refusal::Refusal,
    rekey,
    relationship::{NewRelationship, Relationship, Side},
    store::{Batch, Row, StoreFault, View},
    time::{Now, Timestamp},
    tx::Tx,
    wire::{
        body::{Acknowledged, Body, Profile},
        session::{PROTOCOL, SessionAnswer, SessionRequest, Sync},
    },
};

const T0: u64 = 1_795_000_000_000;

/// SHA256(n) for n = 0, 1, …
#[derive(Default)]
pub struct Dice(u64);

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&sha256(&[&self.0.to_le_bytes()])[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

#[derive(Default)]
pub struct Memory(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl Memory {
    fn apply(&mut self, batch: &Batch) {
        for (key, value) in batch.writes() {
            match value {
                Some(value) => drop(self.0.insert(key.to_vec(), value.to_vec())),
                None => drop(self.0.remove(key)),
            }
        }
    }
}

impl View for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        let rows = self.0.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let rows = rows.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after)).take(limit);
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

fn now() -> Now {
    Now { wall: Timestamp::from_millis(T0), running: Duration::from_secs(1) }
}

fn vault(dice: &mut Dice) -> Vault {
    Vault::create(Protection::None, dice).0
}

fn name32(of: &str) -> [u8; 32] {
    sha256(&[of.as_bytes()])
}

fn name16(of: &str) -> [u8; 16] {
    *name32(of).first_chunk().unwrap()
}

/// The rows of one side of a relationship: the one who did not invite is `petname`'s other side.
fn relationship(tx: &mut Tx<'_>, side: Side, peer: &str, state: PeerState) -> RelationshipId {
    let of = |side: Side, what: &str| format!("{side:?} {peer} {what}");
    let other = if side == Side::Inviter { Side::Scanner } else { Side::Inviter };
    let signing = |side| SigningIdentity::from_bytes(&name32(&of(side, "signing")));
    let agreement = |side| AgreementIdentity::from_bytes(&name32(&of(side, "agreement")));
    let route = |side| RouteId::from_bytes(name16(&of(side, "route")));
    let log = |side| LogId::from_bytes(name16(&of(side, "log")));
    let key = |what| SecretKey::from_bytes(name32(&format!("{peer} {what}")));
    let new = NewRelationship {
        side,
        petname: peer.to_owned(),
        their_profile: Profile { name: peer.to_owned(), kind: NodeKind::Person, addresses: Vec::new(), mailbox: 0 },
        tag: name32(peer),
        my_route: route(side),
        their_route: route(other),
        my_log: log(side),
        their_log: log(other),
        signing: signing(side),
        agreement: agreement(side),
        their_verify: signing(other).public().to_bytes(),
        their_static: agreement(other).public(),
        keys: RelationshipSecret::next(&key("rekey"), key("one"), key("other"), peer.as_bytes()).schedule(),
    };
    let until = tx.wall().after(Duration::from_secs(600));
    let mut relationship = Relationship::create(tx, new, until).unwrap();
    if state == PeerState::Paired {
        relationship.state = state;
        (relationship.confirmed_here, relationship.confirmed_there) = (true, true);
        relationship.save(tx);
        let paired = Body::Paired(crate::wire::body::Paired { profile: relationship.their_profile.clone() });
        log::append(tx, &relationship, &paired, None).unwrap();
    }
    relationship.id
}

/// Our node.
pub struct Ours {
    pub memory: Memory,
    engine: Engine,
    side: Side,
    dice: Dice,
    links: u64,
    /// How much later it is here than when all began.
    pub late: Duration,
    /// What commands of our person came to.
    pub replies: Vec<Result<Answer, Refusal>>,
}

/// A peer of ours and its session with us.
pub struct Peer {
    name: String,
    memory: Memory,
    vault: Vault,
    dice: Dice,
    pub relationship: RelationshipId,
    pub ours: RelationshipId,
    link: u64,
    session: SessionId,
    keys: Option<SessionKeys>,
    counter: u64,
}

impl Ours {
    /// A node that has these peers, on this side of each pairing.
    pub fn with(side: Side, peers: &[&str], state: PeerState) -> (Self, Vec<Peer>) {
        let mut dice = Dice::default();
        let (mut memory, ours) = (Memory::default(), vault(&mut dice));
        let mut made = Vec::new();
        for (number, name) in peers.iter().enumerate() {
            let mut tx = Tx::new(&memory, &ours, &mut dice, now());
            let id = relationship(&mut tx, side, name, state);
            let (batch, _) = tx.finish();
            memory.apply(&batch);
            made.push(Peer::new(side, name, state, id, 1_000 * (1 + number as u64)));
        }
        let settings = Settings { name: "ours".to_owned(), kind: NodeKind::Vendor, carrier: false };
        let (engine, step) = Engine::open(&memory, ours, settings, now(), &mut dice).unwrap();
        memory.apply(&step.writes);
        let mut ours = Self { memory, engine, side, dice, links: 0, late: Duration::ZERO, replies: Vec::new() };
        for peer in &mut made {
            ours.greeted_by(peer);
            if state == PeerState::Paired {
                let first = peer.entries(1..=1);
                peer.tells(&mut ours, first).expect("what an honest peer says first");
            }
        }
        (ours, made)
    }

    fn now(&self) -> Now {
        Now { wall: now().wall.after(self.late), running: now().running + self.late }
    }

    /// One event. A fault ends the node, as it would a process.
    pub fn takes(&mut self, event: Event) -> Step {
        let now = self.now();
        let mut step = self.engine.handle(event, now, &mut self.dice, &self.memory).expect("no peer damages a store");
        self.memory.apply(&step.writes);
        let (replies, effects) = step.effects.into_iter().partition(|effect| matches!(effect, Effect::Reply { .. }));
        step.effects = effects;
        self.replies.extend(Vec::into_iter(replies).filter_map(|effect| match effect {
            Effect::Reply { outcome, .. } => Some(outcome),
            _ => None,
        }));
        step
    }

    /// A command of our person, answered at once.
    pub fn does(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.replies.clear();
        self.takes(Event::Command { ticket: Ticket(1), command });
        self.replies.pop().unwrap_or(Ok(Answer::Done))
    }

    /// Looks into our store.
    pub fn sees<T>(&mut self, look: impl FnOnce(&mut Tx<'_>) -> T) -> T {
        let (mut dice, now) = (Dice::default(), self.now());
        look(&mut Tx::new(&self.memory, self.engine.vault_mut(), &mut dice, now))
    }

    fn asked(&mut self, link: u64, request: &SessionRequest) -> Option<SessionAnswer> {
        let (bytes, now) = (request.encode(), self.now());
        let step = self.takes(Event::Request { link, exchange: 1, channel: Channel::Session, bytes });
        let mut answer = None;
        for effect in step.effects {
            let message = match effect {
                Effect::Answer { message, .. } => message,
                Effect::Send { message, .. } => {
                    self.engine.message_bytes(message, now, &mut self.dice, &self.memory).unwrap();
                    continue;
                }
                _ => continue,
            };
            let bytes = match message {
                Message::Bytes(bytes) => Some(bytes),
                message => self.engine.message_bytes(message, now, &mut self.dice, &self.memory).unwrap(),
            };
            answer = bytes.map(|bytes| SessionAnswer::decode(&bytes).unwrap());
        }
        answer
    }

    /// The peer says hello over a new link.
    pub fn greeted_by(&mut self, peer: &mut Peer) {
        self.links += 1;
        peer.link = self.links;
        self.takes(Event::LinkUp { link: peer.link, errand: None });
        peer.session = SessionId(name16(&format!("session {}", self.links)));
        let (initiator, hello) = peer.hello(self.side);
        let Some(SessionAnswer::Welcome { noise }) = self.asked(peer.link, &hello) else { panic!("not welcome") };
        peer.keys = Some(initiator.finish(&noise).unwrap().0);
        peer.counter = 0;
    }
}

impl Peer {
    fn new(side: Side, name: &str, state: PeerState, ours: RelationshipId, seed: u64) -> Self {
        let mut dice = Dice(seed << 32);
        let (mut memory, vault) = (Memory::default(), vault(&mut dice));
        let other = if side == Side::Inviter { Side::Scanner } else { Side::Inviter };
        let mut tx = Tx::new(&memory, &vault, &mut dice, now());
        let relationship = relationship(&mut tx, other, name, state);
        let (batch, _) = tx.finish();
        memory.apply(&batch);
        let session = SessionId([0; 16]);
        Self {
            name: name.to_owned(),
            memory,
            vault,
            dice,
            relationship,
            ours,
            link: 0,
            session,
            keys: None,
            counter: 0,
        }
    }

    /// A step in its own home.
    pub fn step<T>(&mut self, act: impl FnOnce(&mut Tx<'_>, Relationship) -> T) -> T {
        let mut tx = Tx::new(&self.memory, &self.vault, &mut self.dice, now());
        let relationship = Relationship::load(&tx, self.relationship).unwrap();
        let done = act(&mut tx, relationship);
        let (batch, _) = tx.finish();
        self.memory.apply(&batch);
        done
    }

    fn hello(&mut self, ours: Side) -> (SessionInitiator, SessionRequest) {
        let session = self.session;
        self.step(|tx, relationship| {
            let keys = relationship.speaking();
            let role = if ours == Side::Inviter { Side::Scanner } else { Side::Inviter }.role();
            let (answerer, asker) = (keys.their_route.as_bytes(), keys.my_route.as_bytes());
            let prologue = [PROTOCOL, answerer, asker, &[role.byte()], &keys.generation.to_le_bytes()].concat();
            let (mine, psk) = (relationship.agreement(), keys.psk.key());
            let started = SessionInitiator::start(&mine, &relationship.their_static, &psk, &prologue, &mut *tx.dice);
            let (initiator, noise) = started.unwrap();
            let (route, generation) = (keys.their_route, keys.generation);
            (initiator, SessionRequest::Hello { route, generation, session, noise })
        })
    }

    /// Writes into its log whatever it likes.
    pub fn writes(&mut self, body: &Body, payload: Option<&[u8]>) -> u64 {
        self.step(|tx, relationship| log::append(tx, &relationship, body, payload).unwrap())
    }

    fn entries(&mut self, sequences: std::ops::RangeInclusive<u64>) -> Vec<crate::wire::header::WireEntry> {
        self.step(|tx, relationship| {
            sequences.map(|sequence| log::wire_entry(tx, relationship.my_log, sequence).unwrap().unwrap()).collect()
        })
    }

    /// A message with these entries, and nothing wrong in it.
    pub fn message(&mut self, entries: Vec<crate::wire::header::WireEntry>) -> Sync {
        self.step(|tx, relationship| {
            let their = log::theirs(tx, &relationship).unwrap();
            let head = log::sign_head(tx, &relationship, tx.wall().after(crate::limits::LEASE_MAX)).unwrap();
            let have = Acknowledged { log: their.log, sequence: their.next - 1, hash: their.last };
            Sync { heads: vec![head], have: vec![have], entries }
        })
    }

    /// Says it. None if it was met with silence.
    pub fn says(&mut self, ours: &mut Ours, sync: &Sync) -> Option<SessionAnswer> {
        let (counter, keys) = (self.counter, self.keys.as_ref().expect("it said hello"));
        self.counter += 1;
        let sealed = keys.seal_message(counter, MessageKind::Request, &sync.encode(), &mut self.dice);
        ours.asked(self.link, &SessionRequest::Sealed { session: self.session, counter, sealed })
    }

    fn tells(&mut self, ours: &mut Ours, entries: Vec<crate::wire::header::WireEntry>) -> Option<Sync> {
        let message = self.message(entries);
        let counter = self.counter;
        match self.says(ours, &message)? {
            SessionAnswer::Sealed { sealed } => {
                let keys = self.keys.as_ref().expect("it said hello");
                Some(Sync::decode(&keys.open_message(counter, MessageKind::Answer, &sealed).unwrap()).unwrap())
            }
            _ => None,
        }
    }

    /// Writes an entry and says it. None if that was met with silence.
    pub fn claims(&mut self, ours: &mut Ours, body: &Body, payload: Option<&[u8]>) -> Option<Sync> {
        let sequence = self.writes(body, payload);
        let entries = self.entries(sequence..=sequence);
        self.tells(ours, entries)
    }

    /// Says an entry that it wrote, and takes in what comes back of a change of keys, as an honest peer would.
    pub fn says_entry(&mut self, ours: &mut Ours, sequence: u64) {
        let entries = self.entries(sequence..=sequence);
        let answer = self.tells(ours, entries).expect("an answer");
        for entry in answer.entries {
            self.step(|tx, mut relationship| {
                if let log::Received::New(verified) = log::receive(tx, &relationship, &entry).unwrap()
                    && let Body::Rekey(step) = verified.body()
                {
                    rekey::received(tx, &mut relationship, step).unwrap();
                }
            });
        }
    }

    /// What we call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}
