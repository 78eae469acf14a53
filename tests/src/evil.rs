//! A peer that holds a relationship's real keys and says whatever it likes.
//!
//! It takes over the home of a node that is stopped: it signs what an honest node would not, names heads that do not stand, speaks for
//! others, and sends what it recorded. Whoever it talks to is a node like any other.

use std::collections::BTreeMap;

use allod_crypto::{CryptoRng, MessageKind, SessionInitiator, SessionKeys};
use allod_protocol::{
    codec::Coded,
    effect::{Channel, SessionId},
    id::LogId,
    log,
    relationship::Relationship,
    restore::{self, Incarnation},
    store::StoreFault,
    table::Key,
    tx::Tx,
    wire::{
        body::{Acknowledged, Body},
        header::{Head, SignedHead, WireEntry},
        session::{Offer, PROTOCOL, Resumption, SessionAnswer, SessionRequest, Sync},
    },
};

use crate::{
    dice::Dice,
    network::{NodeId, Process},
    node::SimNode,
    world::World,
};

/// One evil peer and its session with a victim.
pub struct Evil {
    pub node: NodeId,
    pub victim: NodeId,
    link: u64,
    session: SessionId,
    keys: SessionKeys,
    counter: u64,
    dice: Dice,
    /// It says hello as one that was put back, and what it offers then.
    restored: bool,
    pub offer: Option<(LogId, [u8; 32])>,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// It was taken, and this came back.
    Answer(Box<Sync>),
    /// The victim has no such session any more.
    Unknown,
    /// Not a word.
    Silence,
}

impl Evil {
    /// Stops a node, takes over its home, and says hello to a victim with its real keys.
    ///
    /// # Panics
    /// If the victim does not answer the hello.
    pub fn takes_over(world: &mut World, node: NodeId, victim: NodeId) -> Self {
        let seed = world.seed;
        let greeted = Self::greets(world, node, victim);
        greeted.unwrap_or_else(|| panic!("seed {seed}: {} does not answer real keys", world.name(victim)))
    }

    /// The same where the victim may be down or cut off: then there is no session.
    ///
    /// # Panics
    /// If the two never met.
    pub fn greets(world: &mut World, node: NodeId, victim: NodeId) -> Option<Self> {
        Self::calls(world, node, victim, false)
    }

    /// Stops a node, puts its home back as it stands, and says hello under the keys of a restore.
    ///
    /// # Panics
    /// If the two never met.
    pub fn comes_back(world: &mut World, node: NodeId, victim: NodeId) -> Option<Self> {
        world.stop(node);
        let backup = world.nodes[node.0].disk.clone();
        world.restore(node, backup);
        let mut evil = Self::calls(world, node, victim, true)?;
        evil.offer = evil.read(world, |tx, relationship| {
            let own = log::own(tx, relationship)?.log;
            let offer = Incarnation::of(tx, relationship)?.and_then(|incarnation| incarnation.offer(own));
            Ok(offer.map(|offer| (offer.log, offer.chain)))
        });
        Some(evil)
    }

    fn calls(world: &mut World, node: NodeId, victim: NodeId, restored: bool) -> Option<Self> {
        world.stop(node);
        world.nodes[node.0].disk.forgive();
        world.settle();
        let mut dice = Dice::stream(world.seed, &format!("evil at {}", world.now_us));
        let mut id = [0; 16];
        {
            let dice: &mut dyn CryptoRng = &mut dice;
            dice.fill_bytes(&mut id);
        }
        let session = SessionId(id);
        let petname = called(world, node, victim);
        let (initiator, hello) = world.inspect(node, |tx| {
            let relationship = Relationship::named(tx, &petname).expect("they are paired");
            let keys = restore::keys_to_ask(tx, &relationship, restored).expect("its own home reads");
            let mut prologue = PROTOCOL.to_vec();
            prologue.extend(keys.their_route.as_bytes());
            prologue.extend(keys.my_route.as_bytes());
            prologue.push(relationship.side.role().byte());
            prologue.extend(keys.generation.to_le_bytes());
            let (initiator, noise) = SessionInitiator::start(
                &relationship.agreement(),
                &relationship.their_static,
                &keys.psk.key(),
                &prologue,
                &mut dice,
            )
            .expect("real keys start a handshake");
            let (route, generation) = (keys.their_route, keys.generation);
            (initiator, SessionRequest::Hello { route, generation, session, noise })
        });
        let link = world.stranger(victim);
        let answer = world.requests(victim, link, Channel::Session, hello.encode());
        let Some(Ok(SessionAnswer::Welcome { noise })) = answer.map(|bytes| SessionAnswer::decode(&bytes)) else {
            return None;
        };
        let (keys, _) = initiator.finish(&noise).expect("the victim holds the other keys");
        Some(Self { node, victim, link, session, keys, counter: 0, dice, restored, offer: None })
    }

    /// The link that it says hello over.
    #[must_use]
    pub fn link(&self) -> u64 {
        self.link
    }

    /// Begins another log for the victim, in which nothing stands yet, under an id that it may choose.
    ///
    /// # Panics
    /// If its own home does not read.
    pub fn begins(&mut self, world: &mut World, under: Option<LogId>) {
        let petname = called(world, self.node, self.victim);
        let (vault, now) = (world.nodes[self.node.0].vault(), world.nodes[self.node.0].now(world.now_us));
        let SimNode { disk, .. } = &world.nodes[self.node.0];
        let mut tx = Tx::new(disk, &vault, &mut self.dice, now);
        let relationship = Relationship::named(&tx, &petname).expect("they are paired");
        let chain = log::begin_own(&mut tx, &relationship);
        let mut own = log::own(&tx, &relationship).expect("it was begun");
        own.log = under.unwrap_or(own.log);
        tx.put(&Key::own_log(relationship.id), &own);
        self.offer = Some((own.log, *chain.bytes()));
        let (batch, _) = tx.finish();
        world.nodes[self.node.0].disk.commit(&batch).expect("its disk is honest");
    }

    /// Writes into the log that it keeps for the victim whatever it likes. Returns the entry's sequence.
    ///
    /// # Panics
    /// If its own home does not read.
    pub fn writes(&mut self, world: &mut World, body: &Body, payload: Option<&[u8]>) -> u64 {
        let petname = called(world, self.node, self.victim);
        let (vault, now) = (world.nodes[self.node.0].vault(), world.nodes[self.node.0].now(world.now_us));
        let SimNode { disk, .. } = &world.nodes[self.node.0];
        let mut tx = Tx::new(disk, &vault, &mut self.dice, now);
        let relationship = Relationship::named(&tx, &petname).expect("they are paired");
        let sequence = log::append(&mut tx, &relationship, body, payload).expect("its own home reads");
        let (batch, _) = tx.finish();
        world.nodes[self.node.0].disk.commit(&batch).expect("its disk is honest");
        sequence
    }

    /// Entries of its own log, as they would be sent.
    #[must_use]
    pub fn entries(&self, world: &World, sequences: std::ops::RangeInclusive<u64>) -> Vec<WireEntry> {
        self.read(world, |tx, relationship| {
            let own = log::own(tx, relationship)?;
            sequences.map(|sequence| log::wire_entry(tx, own.log, sequence)).collect::<Result<Option<Vec<_>>, _>>()
        })
        .unwrap_or_default()
    }

    /// Entries of the victim's log, as they came in.
    #[must_use]
    pub fn received(&self, world: &World) -> Vec<WireEntry> {
        self.read(world, |tx, relationship| {
            let their = log::theirs(tx, relationship)?;
            (1..their.next)
                .map(|sequence| log::wire_entry(tx, their.log, sequence))
                .collect::<Result<Option<Vec<_>>, _>>()
        })
        .unwrap_or_default()
    }

    /// How many entries its own log has.
    #[must_use]
    pub fn written(&self, world: &World) -> u64 {
        self.read(world, |tx, relationship| Ok(log::own(tx, relationship)?.next - 1))
    }

    /// The head of its own log as it stands, to be changed and signed.
    #[must_use]
    pub fn head(&self, world: &World) -> Head {
        let at = world.nodes[self.node.0].now(world.now_us).wall;
        self.read(world, |tx, relationship| {
            let own = log::own(tx, relationship)?;
            Ok(Head { log: own.log, sequence: own.next - 1, hash: own.last, at, until: at })
        })
    }

    /// The hash that an entry of its own log has.
    ///
    /// # Panics
    /// If it never wrote that entry.
    #[must_use]
    pub fn hash_of(&self, world: &World, sequence: u64) -> [u8; 32] {
        let header = self.read(world, |tx, relationship| {
            let own = log::own(tx, relationship)?;
            log::kept_header(tx, own.log, sequence)
        });
        header.expect("an entry that it wrote").hash()
    }

    /// Signs a head, whatever it says.
    #[must_use]
    pub fn signs(&self, world: &World, head: Head) -> SignedHead {
        self.read(world, |_, relationship| Ok(head.sign(&relationship.signing())))
    }

    /// How far it has the victim's log, in truth.
    #[must_use]
    pub fn have(&self, world: &World) -> Acknowledged {
        self.read(world, |tx, relationship| {
            let their = log::theirs(tx, relationship)?;
            Ok(Acknowledged { log: their.log, sequence: their.next - 1, hash: their.last })
        })
    }

    /// A message with nothing wrong in it, to be changed.
    #[must_use]
    pub fn message(&self, world: &World, entries: Vec<WireEntry>) -> Sync {
        let head = self.head(world);
        let until = head.at.after(allod_protocol::limits::LEASE_MAX);
        Sync { heads: vec![self.signs(world, Head { until, ..head })], have: vec![self.have(world)], entries }
    }

    /// A message as it would be sent, under the next number.
    pub fn sealed(&mut self, sync: &Sync) -> Vec<u8> {
        let counter = self.counter;
        self.counter += 1;
        let plain = if self.restored {
            let offer = self.offer.map(|(log, chain)| Offer { log, chain });
            Resumption { offer, sync: sync.clone() }.encode()
        } else {
            sync.encode()
        };
        let sealed = self.keys.seal_message(counter, MessageKind::Request, &plain, &mut self.dice);
        SessionRequest::Sealed { session: self.session, counter, sealed }.encode()
    }

    /// Sends bytes, whatever they are.
    pub fn sends(&self, world: &mut World, request: Vec<u8>) -> Option<Vec<u8>> {
        world.requests(self.victim, self.link, Channel::Session, request)
    }

    /// Says something.
    pub fn says(&mut self, world: &mut World, sync: &Sync) -> Met {
        let counter = self.counter;
        let request = self.sealed(sync);
        let Some(bytes) = self.sends(world, request) else {
            return Met::Silence;
        };
        match SessionAnswer::decode(&bytes) {
            Ok(SessionAnswer::Sealed { sealed }) => {
                let plain = self.keys.open_message(counter, MessageKind::Answer, &sealed);
                let plain = plain.expect("the victim answers under the session's keys");
                let said =
                    if self.restored { Resumption::decode(&plain).map(|said| said.sync) } else { Sync::decode(&plain) };
                Met::Answer(Box::new(said.expect("the victim is honest")))
            }
            _ => Met::Unknown,
        }
    }

    /// Appends an entry and sends it with all that belongs to it.
    pub fn tells(&mut self, world: &mut World, body: &Body, payload: Option<&[u8]>) -> Met {
        let sequence = self.writes(world, body, payload);
        let entries = self.entries(world, sequence..=sequence);
        let message = self.message(world, entries);
        self.says(world, &message)
    }

    fn read<T>(&self, world: &World, look: impl FnOnce(&Tx<'_>, &Relationship) -> Result<T, StoreFault>) -> T {
        let petname = called(world, self.node, self.victim);
        world.inspect(self.node, |tx| {
            let relationship = Relationship::named(tx, &petname).expect("they are paired");
            look(tx, &relationship).expect("its own home reads")
        })
    }
}

/// What a node calls another, in whatever state they are.
fn called(world: &World, node: NodeId, other: NodeId) -> String {
    let known = world.known_peers(node).into_iter().find(|known| known.calls_itself == world.name(other));
    known.expect("they have met").petname
}

/// Answers to requests that nobody in the world sent.
#[derive(Default)]
pub struct Strays(BTreeMap<u64, Option<Vec<u8>>>);

impl Strays {
    pub(crate) fn keep(&mut self, exchange: u64, bytes: Option<Vec<u8>>) {
        self.0.insert(exchange, bytes);
    }
}

impl World {
    /// A link to a node from outside this world.
    pub fn stranger(&mut self, to: NodeId) -> u64 {
        let process = self.nodes[to.0].process();
        let link = self.network.link(Process { node: to, boot: u32::MAX }, process);
        self.link_from_outside(to, link);
        link
    }

    /// Sends a request from outside and waits a few seconds for the answer.
    pub fn requests(&mut self, to: NodeId, link: u64, channel: Channel, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let exchange = self.inject_over(to, link, channel, bytes);
        self.run_for(std::time::Duration::from_secs(3));
        self.strays.0.remove(&exchange).flatten()
    }
}
