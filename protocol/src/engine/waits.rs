//! Answers that wait: for a peer to have an entry, or to answer a live read.
//!
//! The work is durable before any of this; waiting only decides whether the answer says `delivered` or `queued`.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    command::{Answer, Delivery, FieldView, Ticket, Told},
    id::{GrantId, Pseudonym, RelationshipId},
    refusal::Refusal,
    tx::Tx,
};

/// How long an answer waits for peers that are there.
const TOLD_DEADLINE: Duration = Duration::from_secs(2);
/// How long a live read waits.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// Whom a command concerns, and the entry that tells them; none if nothing could be sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    pub relationship: RelationshipId,
    pub peer: String,
    pub sequence: Option<u64>,
}

struct Wait {
    ticket: Ticket,
    answer: Answer,
    told: Vec<(Telling, Delivery)>,
    deadline: Duration,
}

struct Get {
    ticket: Ticket,
    views: Vec<Option<FieldView>>,
    peer: String,
    deadline: Duration,
}

/// A live read under way.
#[derive(Clone, Debug)]
pub struct LiveRead {
    get: u64,
    index: usize,
    pub relationship: RelationshipId,
    pub grant: GrantId,
    pub selector: u16,
    pub record: Option<Pseudonym>,
    pub path: String,
}

/// All answers that wait.
#[derive(Default)]
pub struct Waits {
    waits: Vec<Wait>,
    gets: BTreeMap<u64, Get>,
    reads: BTreeMap<[u8; 16], LiveRead>,
    next_get: u64,
}

impl std::fmt::Debug for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waits({}, {})", self.waits.len(), self.gets.len())
    }
}

impl Waits {
    /// Answers as soon as all peers that are there have what tells them, or time is up.
    pub fn tell(&mut self, tx: &mut Tx<'_>, ticket: Ticket, answer: Answer, telling: Vec<Telling>) {
        let told: Vec<_> = telling.into_iter().map(|telling| (telling, Delivery::Queued)).collect();
        let wait = Wait { ticket, answer, told, deadline: tx.now.running + TOLD_DEADLINE };
        if wait.is_over() {
            wait.reply(tx);
        } else {
            self.waits.push(wait);
        }
    }

    /// A peer has our log up to here.
    pub fn arrived(&mut self, tx: &mut Tx<'_>, relationship: RelationshipId, through: u64) {
        for wait in &mut self.waits {
            for (telling, delivery) in &mut wait.told {
                if telling.relationship == relationship && telling.sequence.is_some_and(|sequence| sequence <= through)
                {
                    *delivery = Delivery::Delivered;
                }
            }
        }
        self.reply_to(tx, Wait::is_over);
    }

    /// A peer is gone: nothing more arrives there for now.
    pub fn gone(&mut self, tx: &mut Tx<'_>, relationship: RelationshipId) {
        for wait in &mut self.waits {
            for (telling, _) in wait.told.iter_mut().filter(|(telling, _)| telling.relationship == relationship) {
                telling.sequence = None;
            }
        }
        self.reply_to(tx, Wait::is_over);
        let lost: Vec<[u8; 16]> =
            self.reads.iter().filter(|(_, read)| read.relationship == relationship).map(|(nonce, _)| *nonce).collect();
        for nonce in lost {
            if let Some(read) = self.reads.remove(&nonce)
                && let Some(get) = self.gets.get(&read.get)
            {
                let refusal = Refusal::NoLiveAnswer { peer: get.peer.clone() };
                self.fail(tx, &read, refusal);
            }
        }
    }

    fn reply_to(&mut self, tx: &mut Tx<'_>, which: impl Fn(&Wait) -> bool) {
        let waits = std::mem::take(&mut self.waits);
        let (over, rest): (Vec<_>, Vec<_>) = waits.into_iter().partition(which);
        self.waits = rest;
        for wait in over {
            wait.reply(tx);
        }
    }

    /// A command that reads several values, some of them live.
    pub fn start_get(&mut self, tx: &Tx<'_>, ticket: Ticket, views: Vec<Option<FieldView>>, peer: &str) -> u64 {
        let id = self.next_get;
        self.next_get += 1;
        let deadline = tx.now.running + READ_DEADLINE;
        self.gets.insert(id, Get { ticket, views, peer: peer.to_owned(), deadline });
        id
    }

    /// A live read that the command waits for.
    #[allow(clippy::too_many_arguments)] // The read's whole place, once.
    pub fn start_read(
        &mut self,
        nonce: [u8; 16],
        get: u64,
        index: usize,
        relationship: RelationshipId,
        grant: GrantId,
        selector: u16,
        record: Option<Pseudonym>,
        path: String,
    ) {
        self.reads.insert(nonce, LiveRead { get, index, relationship, grant, selector, record, path });
    }

    /// The read that an answer belongs to.
    #[must_use]
    pub fn read_of(&self, nonce: &[u8; 16]) -> Option<LiveRead> {
        self.reads.get(nonce).cloned()
    }

    /// A live read was answered with a value.
    pub fn served(&mut self, tx: &mut Tx<'_>, nonce: &[u8; 16], view: FieldView) {
        let Some(read) = self.reads.remove(nonce) else { return };
        let Some(get) = self.gets.get_mut(&read.get) else { return };
        get.views[read.index] = Some(view);
        if get.views.iter().all(Option::is_some) {
            let get = self.gets.remove(&read.get).expect("it was there");
            tx.reply(get.ticket, Ok(Answer::Fields(get.views.into_iter().flatten().collect())));
        }
    }

    /// A live read was answered without a value.
    pub fn refused(&mut self, tx: &mut Tx<'_>, nonce: &[u8; 16], refusal: Refusal) {
        if let Some(read) = self.reads.remove(nonce) {
            self.fail(tx, &read, refusal);
        }
    }

    fn fail(&mut self, tx: &mut Tx<'_>, read: &LiveRead, refusal: Refusal) {
        if let Some(get) = self.gets.remove(&read.get) {
            tx.reply(get.ticket, Err(refusal));
        }
        self.reads.retain(|_, other| other.get != read.get);
    }

    /// What waited too long is answered. Returns when to look again.
    pub fn tick(&mut self, tx: &mut Tx<'_>) -> Option<Duration> {
        let running = tx.now.running;
        self.reply_to(tx, |wait| wait.deadline <= running);
        let late: Vec<u64> = self.gets.iter().filter(|(_, get)| get.deadline <= running).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(get) = self.gets.remove(&id) {
                tx.reply(get.ticket, Err(Refusal::NoLiveAnswer { peer: get.peer }));
            }
            self.reads.retain(|_, read| read.get != id);
        }
        self.next_at()
    }

    /// When the next answer is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        let waits = self.waits.iter().map(|wait| wait.deadline);
        waits.chain(self.gets.values().map(|get| get.deadline)).min()
    }
}

impl Wait {
    fn is_over(&self) -> bool {
        self.told.iter().all(|(telling, delivery)| *delivery == Delivery::Delivered || telling.sequence.is_none())
    }

    fn reply(self, tx: &mut Tx<'_>) {
        let told: Vec<Told> =
            self.told.into_iter().map(|(telling, state)| Told { peer: telling.peer, state }).collect();
        let mut answer = self.answer;
        match &mut answer {
            Answer::Written { told: place, .. }
            | Answer::Removed { told: place, .. }
            | Answer::Forgotten { told: place, .. } => *place = told,
            Answer::Granted(view) => view.told = told,
            Answer::Revoked(view) => view.told = told,
            Answer::Asked { state, .. } => {
                *state = told.first().map_or(Delivery::Queued, |told| told.state);
            }
            _ => {}
        }
        tx.reply(self.ticket, Ok(answer));
    }
}
