//! Sessions: one handshake between two relationship's static keys, then sealed messages both ways.
//!
//! Nothing here is stored. A session lives as long as its link; each side has one sync request under way at a time, and answers the other's
//! whenever they come. What is sent is put together after the commit that it depends on ([`Sessions::message`]).

use std::{collections::BTreeMap, time::Duration};

use allod_crypto::{MessageKind, ReplayWindow, Role, SessionInitiator, SessionKeys, session};

use crate::{
    codec::Coded,
    command::PeerState,
    effect::SessionId,
    id::{RelationshipId, RouteId},
    limits::{ENTRIES_PER_SYNC_MAX, LEASE_MAX, MESSAGE_MAX_BYTES, SESSIONS_MAX},
    log, promise,
    relationship::{KeySet, Relationship},
    restore::Incarnation,
    store::StoreFault,
    time::Timestamp,
    tx::{Misbehaviour, Tx},
    wire::{
        body::Acknowledged,
        session::{PROTOCOL, RESTORE_GENERATION, Resumption, SessionAnswer, SessionRequest, Sync},
    },
};

/// About how many bytes of entries go into one message: the other side's commit stays short.
const SYNC_BUDGET_BYTES: usize = 384 * 1024;

/// Sessions of one peer that nobody proved yet: two nodes that call each other at once need two.
const UNPROVED_MAX: usize = 4;

/// Sessions of one peer in all: more than it has links, so that it takes nobody's place but its own.
const OF_ONE_PEER_MAX: usize = 8;

/// Peers whose newest signed time is kept in memory.
const HEARD_MAX: usize = 4_096;

/// One live session.
#[derive(Debug)]
pub struct Session {
    pub relationship: RelationshipId,
    /// Of the keys that it was made with.
    pub generation: u32,
    pub link: u64,
    keys: SessionKeys,
    counter: u64,
    window: ReplayWindow,
    /// The other side showed that it holds the session's keys.
    pub proved: bool,
    /// A sync request of ours is under way.
    pub under_way: bool,
    /// There is a reason for a sync request.
    pub wanted: bool,
    /// How far the other side has our log.
    pub have: u64,
    /// How far we sent it in this session.
    sent: u64,
    /// How far it had it when our newest request was put together.
    had: u64,
    /// The other side said in this session how far it has our log.
    told: bool,
    /// How often a head must be renewed for the shortest lease that we give here; none if no lease is given.
    pub renew_every: Option<Duration>,
    /// When we last signed a head here.
    pub renewed: Duration,
    /// Under the keys of a restore: nothing is said in it before a side that was put back said where its log goes on.
    pub resuming: bool,
    /// Others went when it was chosen, and the other side may have chosen one of these: a request of ours shows it.
    pub is_doubtful: bool,
    /// Entries came in it that were not taken, for want of room.
    pub left_entries: bool,
}

#[derive(Debug)]
struct Hello {
    relationship: RelationshipId,
    link: u64,
    session: SessionId,
    generation: u32,
    initiator: SessionInitiator,
}

/// All sessions, and the hellos that wait for an answer.
#[derive(Debug, Default)]
pub struct Sessions {
    live: BTreeMap<SessionId, Session>,
    newest: BTreeMap<RelationshipId, SessionId>,
    hellos: BTreeMap<u64, Hello>,
    requests: BTreeMap<u64, (SessionId, u64)>,
    /// The newest signed time of each peer that was heard in this run, and when it came. It outlives sessions, so that a clock that is
    /// turned back lengthens no lease by cutting a line.
    heard: BTreeMap<RelationshipId, (Timestamp, Duration)>,
    /// Sessions that may want a request since they were last asked: the others are not looked at.
    stirred: Vec<SessionId>,
}

/// `name ‖ route of whoever answers ‖ route of whoever asks ‖ role of whoever asks ‖ generation`.
fn prologue(answerer: RouteId, asker: RouteId, asker_role: Role, generation: u32) -> Vec<u8> {
    let mut bytes = PROTOCOL.to_vec();
    bytes.extend(answerer.as_bytes());
    bytes.extend(asker.as_bytes());
    bytes.push(asker_role.byte());
    bytes.extend(generation.to_le_bytes());
    bytes
}

impl Sessions {
    /// Starts a handshake over a link. Returns the request.
    pub fn hello(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        keys: &KeySet,
        link: u64,
        errand: u64,
    ) -> Option<Vec<u8>> {
        let prologue = prologue(keys.their_route, keys.my_route, relationship.side.role(), keys.generation);
        let (initiator, noise) = SessionInitiator::start(
            &relationship.agreement(),
            &relationship.their_static,
            &keys.psk.key(),
            &prologue,
            &mut *tx.dice,
        )
        .ok()?;
        let mut session = [0; 16];
        tx.dice.fill_bytes(&mut session);
        let session = SessionId(session);
        let hello = Hello { relationship: relationship.id, link, session, generation: keys.generation, initiator };
        self.hellos.insert(errand, hello);
        let request = SessionRequest::Hello { route: keys.their_route, generation: keys.generation, session, noise };
        Some(request.encode())
    }

    /// Whether a handshake with this peer waits for its answer.
    #[must_use]
    pub fn is_greeting(&self, relationship: RelationshipId) -> bool {
        self.hellos.values().any(|hello| hello.relationship == relationship)
    }

    /// The errand was a hello: whose, and over which link. It is taken out.
    pub fn take_hello(&mut self, errand: u64) -> Option<TakenHello> {
        self.hellos.remove(&errand).map(|hello| TakenHello { hello })
    }

    /// The answer to a hello: the session lives.
    ///
    /// # Errors
    /// [`Misbehaviour::Forged`] if the other side does not hold the relationship's keys.
    pub fn welcomed(&mut self, taken: TakenHello, noise: &[u8], running: Duration) -> Result<SessionId, Misbehaviour> {
        let Hello { relationship, link, session, generation, initiator } = taken.hello;
        let (keys, _) = initiator.finish(noise).map_err(|_| Misbehaviour::Forged)?;
        self.insert(session, (relationship, generation), link, keys, running);
        Ok(session)
    }

    /// Answers a hello, if it proves the relationship's keys.
    pub fn answer_hello(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        link: u64,
        session: SessionId,
        set: &KeySet,
        noise: &[u8],
    ) -> Option<Vec<u8>> {
        if self.live.contains_key(&session) {
            return None;
        }
        let prologue = prologue(set.my_route, set.their_route, relationship.side.role().other(), set.generation);
        let (answer, keys) = session::answer(
            &relationship.agreement(),
            &relationship.their_static,
            &set.psk.key(),
            &prologue,
            noise,
            &[],
            &mut *tx.dice,
        )
        .ok()?;
        self.insert(session, (relationship.id, set.generation), link, keys, tx.now.running);
        Some(SessionAnswer::Welcome { noise: answer }.encode())
    }

    fn insert(&mut self, id: SessionId, whose: (RelationshipId, u32), link: u64, keys: SessionKeys, running: Duration) {
        let (relationship, generation) = whose;
        // Whoever once saw a hello can say it again, under any session id, and never prove it. Of those few are kept, and they go first.
        let unproved = |(_, session): &(&SessionId, &Session)| session.relationship == relationship && !session.proved;
        if self.live.iter().filter(unproved).count() >= UNPROVED_MAX
            && let Some(oldest) =
                self.live.iter().filter(unproved).min_by_key(|(_, session)| session.renewed).map(|(id, _)| *id)
        {
            self.remove(oldest);
        }
        let own = |(_, session): &(&SessionId, &Session)| session.relationship == relationship;
        if self.live.iter().filter(own).count() >= OF_ONE_PEER_MAX
            && let Some(oldest) = self
                .live
                .iter()
                .filter(own)
                .min_by_key(|(_, session)| (session.proved, session.renewed))
                .map(|(id, _)| *id)
        {
            self.remove(oldest);
        }
        if self.live.len() >= SESSIONS_MAX {
            // Then the one that was renewed longest ago: it is the least used.
            let use_of = |session: &Session| (session.proved, session.renewed);
            if let Some(oldest) = self.live.iter().min_by_key(|(_, session)| use_of(session)).map(|(id, _)| *id) {
                self.remove(oldest);
            }
        }
        let session = Session {
            relationship,
            generation,
            link,
            keys,
            counter: 0,
            window: ReplayWindow::default(),
            proved: false,
            under_way: false,
            wanted: false,
            have: 0,
            sent: 0,
            had: 0,
            told: false,
            renew_every: None,
            renewed: running,
            resuming: generation == RESTORE_GENERATION,
            is_doubtful: false,
            left_entries: false,
        };
        self.live.insert(id, session);
    }

    /// The other side holds the session's keys: this is the session to use.
    pub fn prove(&mut self, id: SessionId, have: u64) -> bool {
        let Some(session) = self.live.get_mut(&id) else { return false };
        self.stirred.push(id);
        let first = !session.proved;
        session.proved = true;
        if first {
            session.have = have;
            session.sent = have;
            if session.resuming {
                // Whoever has the first keys and says nothing with them takes no place of the peer's.
                self.newest.entry(session.relationship).or_insert(id);
            } else {
                self.newest.insert(session.relationship, id);
            }
        }
        first
    }

    /// A session.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let session = self.live.get_mut(&id)?;
        self.stirred.push(id);
        Some(session)
    }

    /// The proved session of a peer.
    #[must_use]
    pub fn of(&self, relationship: RelationshipId) -> Option<SessionId> {
        self.newest.get(&relationship).copied()
    }

    /// Whether a peer is there.
    #[must_use]
    pub fn is_live(&self, relationship: RelationshipId) -> bool {
        self.newest.contains_key(&relationship)
    }

    /// How many peers are there.
    #[must_use]
    pub fn online(&self) -> usize {
        self.newest.len()
    }

    /// The relationships with a live session.
    #[must_use]
    pub fn relationships(&self) -> Vec<RelationshipId> {
        self.newest.keys().copied().collect()
    }

    /// Those in which entries came that were not taken. The other side says them again in a new one only.
    #[must_use]
    pub fn with_entries_left(&self) -> Vec<SessionId> {
        self.live.iter().filter(|(_, session)| session.left_entries).map(|(id, _)| *id).collect()
    }

    /// Drops a session. Returns the peer if it is not there any more.
    pub fn remove(&mut self, id: SessionId) -> Option<RelationshipId> {
        let session = self.live.remove(&id)?;
        self.requests.retain(|_, (request, _)| *request != id);
        if self.newest.get(&session.relationship) != Some(&id) {
            return None;
        }
        self.newest.remove(&session.relationship);
        let other = self.live.iter().find(|(_, other)| other.relationship == session.relationship && other.proved);
        match other.map(|(id, _)| *id) {
            Some(other) => {
                self.stirred.push(other);
                self.newest.insert(session.relationship, other);
                None
            }
            None => Some(session.relationship),
        }
    }

    /// A link is gone, and all sessions over it.
    pub fn link_down(&mut self, link: u64) -> LinkDown {
        let hellos = self.hellos.values().filter(|hello| hello.link == link).map(|hello| hello.relationship);
        let mut unreached: Vec<RelationshipId> = hellos.collect();
        self.hellos.retain(|_, hello| hello.link != link);
        let over: Vec<_> = self.live.iter().filter(|(_, session)| session.link == link).map(|(id, _)| *id).collect();
        let gone: Vec<RelationshipId> = over.into_iter().filter_map(|id| self.remove(id)).collect();
        unreached.retain(|id| !self.is_coming(*id) && !gone.contains(id));
        LinkDown { gone, unreached }
    }

    /// Whether a peer is there, or answers our hello soon. One that said hello to us shows only with its first message that it is there: until
    /// then it may be somebody who says an old one again, and must not keep us from calling the peer itself.
    #[must_use]
    pub fn is_coming(&self, relationship: RelationshipId) -> bool {
        self.is_live(relationship) || self.is_greeting(relationship)
    }

    /// All sessions of a peer go, and the handshakes for one. Their links stay, for what else is said over them.
    pub fn drop_peer(&mut self, relationship: RelationshipId) {
        self.hellos.retain(|_, hello| hello.relationship != relationship);
        let over: Vec<_> =
            self.live.iter().filter(|(_, session)| session.relationship == relationship).map(|(id, _)| *id).collect();
        for id in over {
            self.remove(id);
        }
    }

    /// Sync requests that are to go out now: (errand to give, session, link). Each session has one under way at most.
    pub fn take_wanted(&mut self) -> Vec<(SessionId, RelationshipId, u64)> {
        let mut stirred = std::mem::take(&mut self.stirred);
        stirred.sort_unstable();
        stirred.dedup();
        let mut wanted = Vec::new();
        for id in stirred {
            if let Some(session) = self.live.get_mut(&id)
                && self.newest.get(&session.relationship) == Some(&id)
                && session.wanted
                && !session.under_way
            {
                session.wanted = false;
                session.under_way = true;
                wanted.push((id, session.relationship, session.link));
            }
        }
        wanted
    }

    /// The errand was a sync request: its session and counter. It is taken out.
    pub fn take_request(&mut self, errand: u64) -> Option<(SessionId, u64)> {
        let (id, counter) = self.requests.remove(&errand)?;
        if let Some(session) = self.live.get_mut(&id) {
            session.under_way = false;
            self.stirred.push(id);
        }
        Some((id, counter))
    }

    /// Whose session this link carries. Nobody's, as long as none on it was proved.
    #[must_use]
    pub fn at_link(&self, link: u64) -> Option<RelationshipId> {
        let proved = |session: &&Session| session.link == link && session.proved;
        self.live.values().find(proved).map(|session| session.relationship)
    }

    /// The link over which this errand's request went.
    #[must_use]
    pub fn link_of(&self, errand: u64) -> Option<u64> {
        let (id, _) = self.requests.get(&errand)?;
        self.live.get(id).map(|session| session.link)
    }

    /// Opens a request of the other side.
    ///
    /// # Errors
    /// [`Misbehaviour`] if it does not open, was seen before, or is no sync message.
    pub fn open_request(&mut self, id: SessionId, counter: u64, sealed: &[u8]) -> Result<Resumption, Misbehaviour> {
        let session = self.live.get_mut(&id).ok_or(Misbehaviour::Forged)?;
        let plain =
            session.keys.open_message(counter, MessageKind::Request, sealed).map_err(|_| Misbehaviour::Forged)?;
        if !session.window.accept(counter) {
            return Err(Misbehaviour::Forged);
        }
        session.decode(&plain)
    }

    /// Opens the answer to a request of ours.
    ///
    /// # Errors
    /// [`Misbehaviour`] if it does not open or is no sync message.
    pub fn open_answer(&self, id: SessionId, counter: u64, sealed: &[u8]) -> Result<Resumption, Misbehaviour> {
        let session = self.live.get(&id).ok_or(Misbehaviour::Forged)?;
        let plain =
            session.keys.open_message(counter, MessageKind::Answer, sealed).map_err(|_| Misbehaviour::Forged)?;
        session.decode(&plain)
    }

    /// The other side said where its log goes on: the session carries all that any other does, and is the only one.
    pub fn resumed(&mut self, id: SessionId, own_began: bool) {
        let Some(session) = self.live.get_mut(&id) else { return };
        session.resuming = false;
        if own_began {
            session.have = 0;
            session.sent = 0;
            session.told = false;
        }
        let relationship = session.relationship;
        self.hellos.retain(|_, hello| hello.relationship != relationship);
        let others = self.live.iter().filter(|(other, session)| **other != id && session.relationship == relationship);
        let others: Vec<_> = others.map(|(id, _)| *id).collect();
        if let Some(session) = self.live.get_mut(&id) {
            session.is_doubtful = !others.is_empty();
        }
        for other in others {
            self.remove(other);
        }
        self.newest.insert(relationship, id);
    }

    /// Puts a message together from what is durable: heads, how far we have theirs, and what they lack.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn message(
        &mut self,
        tx: &mut Tx<'_>,
        id: SessionId,
        answers: Option<u64>,
        errand: Option<u64>,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        let Some(session) = self.live.get_mut(&id) else { return Ok(None) };
        let Some(relationship) = Relationship::find(tx, session.relationship)? else { return Ok(None) };
        let own = log::own(tx, &relationship)?;
        let their = log::theirs(tx, &relationship)?;
        let restore = session.generation == RESTORE_GENERATION;
        let incarnation = if restore { Incarnation::of(tx, &relationship)? } else { None };
        let waits = incarnation.as_ref().is_some_and(Incarnation::waits);
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut sequence = session.have.max(session.sent) + 1;
        let silent = session.resuming && !waits;
        while !silent && sequence < own.next && entries.len() < ENTRIES_PER_SYNC_MAX {
            let Some(mut entry) = log::wire_entry(tx, own.log, sequence)? else { break };
            // What was to be handed over before is not, now: the entry still says that it was.
            if !entry.payload.is_empty()
                && (relationship.state == PeerState::Frozen || !promise::may_leave(tx, &relationship, sequence)?)
            {
                entry.payload.clear();
            }
            bytes += entry.size_bytes();
            if !entries.is_empty() && bytes > SYNC_BUDGET_BYTES {
                break;
            }
            entries.push(entry);
            sequence += 1;
        }
        session.sent = session.sent.max(sequence - 1);
        let reliable = relationship.state == PeerState::Paired;
        let until = if reliable { tx.wall().after(LEASE_MAX) } else { tx.wall() };
        let mut sync = Sync {
            heads: vec![log::sign_head(tx, &relationship, until)?],
            have: vec![Acknowledged { log: their.log, sequence: their.next - 1, hash: their.last }],
            entries,
        };
        session.renewed = tx.now.running;
        let plain = if restore {
            if waits {
                // How far we had a log that ended says nothing.
                sync.have.clear();
            } else if session.resuming {
                sync = Sync::nothing();
            }
            let offer = incarnation.and_then(|incarnation| incarnation.offer(own.log));
            Resumption { offer: offer.filter(|_| waits || !session.resuming), sync }.encode()
        } else {
            sync.encode()
        };
        let plain = allod_crypto::Zeroizing::new(plain);
        debug_assert!(plain.len() <= MESSAGE_MAX_BYTES, "a sync message of {} bytes", plain.len());
        let message = match answers {
            Some(counter) => {
                let sealed = session.keys.seal_message(counter, MessageKind::Answer, &plain, &mut *tx.dice);
                SessionAnswer::Sealed { sealed }.encode()
            }
            None => {
                let counter = session.counter;
                session.counter += 1;
                session.had = session.have;
                if let Some(errand) = errand {
                    self.requests.insert(errand, (id, counter));
                }
                let sealed = session.keys.seal_message(counter, MessageKind::Request, &plain, &mut *tx.dice);
                SessionRequest::Sealed { session: id, counter, sealed }.encode()
            }
        };
        Ok(Some(message))
    }

    /// The other side says how far it has our log. Returns whether there is more to send: what it never got, or what follows after it
    /// took something in. What it did not take although it came is not sent again and again.
    pub fn acknowledged(&mut self, id: SessionId, have: u64, next: u64) -> bool {
        let Some(session) = self.live.get_mut(&id) else { return false };
        // More than we wrote is a lie, or our home is old; it may be any number.
        let have = have.min(next.saturating_sub(1));
        let progress = have > session.have || !session.told;
        if !session.told {
            // What it has in truth: a home that was put back has less than it said in an earlier session.
            session.told = true;
            session.have = have;
            session.sent = have;
        }
        let mut more = session.sent + 1 < next;
        session.have = session.have.max(have);
        more |= progress && session.have + 1 < next;
        if !session.under_way && session.sent > session.have {
            // What was sent came to nothing. If the other side took in something else meanwhile, it came too early.
            more |= session.have > session.had;
            session.sent = session.have;
        }
        more
    }

    /// The other side's newest signed time.
    pub fn heard(&mut self, relationship: RelationshipId, at: Timestamp, running: Duration) {
        if self.heard.get(&relationship).is_some_and(|(known, _)| at <= *known) {
            return;
        }
        if self.heard.len() >= HEARD_MAX && !self.heard.contains_key(&relationship) {
            // The one that was heard longest ago goes: its stored head still stands.
            if let Some(oldest) = self.heard.iter().min_by_key(|(_, (_, came))| *came).map(|(id, _)| *id) {
                self.heard.remove(&oldest);
            }
        }
        self.heard.insert(relationship, (at, running));
    }

    /// What time it is towards a peer at least: its newest signed time, and what passed since.
    #[must_use]
    pub fn time_at_least(&self, relationship: RelationshipId, running: Duration) -> Option<Timestamp> {
        self.heard.get(&relationship).map(|(at, came)| at.after(running.saturating_sub(*came)))
    }

    /// Sessions whose heads are to be renewed by now become wanted. Returns when the next is due.
    pub fn renew(&mut self, running: Duration) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        for id in self.newest.values() {
            let Some(session) = self.live.get_mut(id) else { continue };
            let Some(every) = session.renew_every else { continue };
            let due = session.renewed + every;
            if due <= running {
                session.wanted = true;
                self.stirred.push(*id);
            }
            let due = if due <= running { running + every } else { due };
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        next
    }
}

/// What a link took with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LinkDown {
    /// Peers that were there and are not any more.
    pub gone: Vec<RelationshipId>,
    /// Peers that had not answered our hello.
    pub unreached: Vec<RelationshipId>,
}

/// A hello that was answered, or failed.
#[derive(Debug)]
pub struct TakenHello {
    hello: Hello,
}

impl TakenHello {
    /// With whom.
    #[must_use]
    pub fn relationship(&self) -> RelationshipId {
        self.hello.relationship
    }

    /// Over which link.
    #[must_use]
    pub fn link(&self) -> u64 {
        self.hello.link
    }
}

impl Session {
    fn decode(&self, plain: &[u8]) -> Result<Resumption, Misbehaviour> {
        let said = if self.generation == RESTORE_GENERATION {
            Resumption::decode(plain)
        } else {
            Sync::decode(plain).map(|sync| Resumption { offer: None, sync })
        };
        let said = said.map_err(|_| Misbehaviour::Malformed)?;
        if said.sync.is_within_limits() { Ok(said) } else { Err(Misbehaviour::Malformed) }
    }
}
