//! Sync: what the other side has, says and may say, and what our side then hands over.

use crate::{
    ask,
    codec::Coded,
    command::{Direction, FieldView, Mode, NodeKind, PeerState},
    delivery,
    door::{Authorized, Order, authorize},
    effect::{Effect, SessionId},
    grant::{Ended, Grant, take_back},
    holding::{self, drop_all},
    id::RelationshipId,
    job::Announce,
    log::{self, AcknowledgedChange, HeadReceived, Received},
    record,
    refusal::Refusal,
    rekey,
    relationship::{Freeze, PeerRef, Relationship},
    restore,
    store::StoreFault,
    table::Key,
    tx::{Misbehaviour, Stop, Tx},
    usage,
    wire::{
        body::{Body, CellPlace, Paired, Profile, Purged, Read, Served, ServedOutcome, ServedPayload},
        session::Sync,
    },
};

use super::{Live, happened};

/// What somebody on our side waits for. They are told at the end of a step, so that a message whose end is refused tells nobody anything.
pub(super) enum Heard {
    /// The peer was heard.
    Word(RelationshipId),
    /// The peer has our log up to here.
    Arrived { relationship: RelationshipId, through: u64 },
    /// A live read was answered.
    Served { nonce: [u8; 16], answer: Box<Result<FieldView, Refusal>> },
    /// Both sides confirmed.
    Paired(RelationshipId),
}

impl Live {
    /// The other side showed that it holds the session's keys.
    pub(super) fn proved(&mut self, tx: &mut Tx<'_>, session: SessionId) -> Result<(), Stop> {
        let Some(known) = self.sessions.get_mut(session) else { return Ok(()) };
        if known.proved {
            return Ok(());
        }
        let (id, link, generation, resuming) = (known.relationship, known.link, known.generation, known.resuming);
        let was_live = self.sessions.is_live(id);
        // A pairing that nobody confirmed can have been erased since.
        let Some(mut relationship) = Relationship::find(tx, id)? else { return Ok(()) };
        let own = log::own(tx, &relationship)?;
        if resuming {
            // Nothing is known of it but that it holds the first keys.
            self.sessions.prove(session, own.acknowledged);
            self.contacts.connected(id);
            if let Some(session) = self.sessions.get_mut(session) {
                session.wanted = true;
            }
            return Ok(());
        }
        rekey::proved(tx, &mut relationship, generation)?;
        restore::arrived(tx, &relationship)?;
        self.sessions.prove(session, own.acknowledged);
        self.is_there(tx, session, relationship, link, was_live)
    }

    /// A peer is there: it is told and handed what there is for it.
    pub(super) fn is_there(
        &mut self,
        tx: &mut Tx<'_>,
        session: SessionId,
        relationship: Relationship,
        link: u64,
        was_live: bool,
    ) -> Result<(), Stop> {
        let id = relationship.id;
        let own = log::own(tx, &relationship)?;
        tx.effect(Effect::Protect { link });
        self.contacts.connected(id);
        log::heard(tx, &relationship)?;
        if self.settings.kind == NodeKind::Vendor && own.acknowledged + 1 == own.next {
            tx.delete(&Key::waiting(id));
        }
        if !was_live {
            happened(tx, &relationship, "peer_online");
        }
        if matches!(relationship.state, PeerState::Paired | PeerState::Restored) {
            self.tell_profile(tx, Relationship::load(tx, id)?)?;
            usage::report(tx, &relationship)?;
            self.cut_all(tx, &relationship)?;
            rekey::start_if_due(tx, &mut Relationship::load(tx, id)?)?;
            rekey::reply_if_due(tx, &mut Relationship::load(tx, id)?)?;
        }
        self.plan_renewal(tx, &relationship)?;
        if let Some(session) = self.sessions.get_mut(session) {
            session.wanted = true;
        }
        Ok(())
    }

    /// Everything that is due to a peer that is there.
    pub(super) fn cut_all(&mut self, tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), Stop> {
        for mut grant in Grant::live_with(tx, relationship.id)? {
            let follows = grant.direction == Direction::Given && grant.mode != Mode::Reference;
            if follows && grant.ended.is_none() && delivery::is_due(tx, &grant)? {
                delivery::cut(tx, relationship, &mut grant)?;
            }
        }
        Ok(())
    }

    /// How often this session must renew its head: half of the shortest lease that is lent.
    pub(super) fn plan_renewal(&mut self, tx: &Tx<'_>, relationship: &Relationship) -> Result<(), Stop> {
        let Some(session) = self.sessions.of(relationship.id) else { return Ok(()) };
        let grants = Grant::live_with(tx, relationship.id)?;
        let active = grants.iter().filter(|grant| grant.direction == Direction::Given && grant.is_active(tx.wall()));
        let shortest = active.filter_map(Grant::lease).min();
        if let Some(session) = self.sessions.get_mut(session) {
            session.renew_every = shortest.map(|lease| lease / 2);
        }
        self.next_renewal = self.sessions.renew(tx.now.running);
        Ok(())
    }

    /// Tells what changed of ourselves since this peer was last told.
    pub(super) fn tell_profile(&mut self, tx: &mut Tx<'_>, mut relationship: Relationship) -> Result<(), Stop> {
        let profile = self.profile(&relationship);
        let stale = relationship.told_profile.as_ref().is_some_and(|told| *told != profile);
        // Before the network is up there is nothing true to tell. A node that nobody can dial has its mailbox to tell.
        let may = matches!(relationship.state, PeerState::Paired | PeerState::Restored);
        if stale && may && self.subscribed.is_some() {
            log::append(tx, &relationship, &Body::Profile(profile.clone()), None)?;
            self.wait_for(tx, &relationship)?;
            relationship.told_profile = Some(profile);
            relationship.save(tx);
        }
        Ok(())
    }

    /// There is something for a peer that may not find us, or that takes something back from it: a vendor dials it by itself, also after its
    /// next start, until the peer has all that there is for it.
    pub(super) fn wait_for(&mut self, tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), Stop> {
        let waits = Key::waiting(relationship.id);
        let by_itself = self.settings.kind == NodeKind::Vendor && !relationship.their_profile.addresses.is_empty();
        if by_itself && !tx.has(&waits)? {
            tx.put(&waits, &PeerRef(relationship.id));
        }
        Ok(())
    }

    /// The answer that goes out after this step carries what was appended in it: no request of our own is needed for that.
    pub(super) fn carried_by_answer(&mut self, tx: &mut Tx<'_>, session: SessionId) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        let id = known.relationship;
        known.wanted = std::mem::take(&mut known.is_doubtful);
        for other in tx.take_touched() {
            if other != id {
                tx.touch(other);
            }
        }
    }

    /// There is room on the disk again, or none any more.
    pub(super) fn room(&mut self, tx: &mut Tx<'_>, is_short: bool) -> Result<(), Stop> {
        self.is_short_of_room = is_short;
        if is_short {
            return Ok(());
        }
        // In a new session the other side says all again that we do not have.
        self.sessions.with_entries_left().into_iter().try_for_each(|session| self.drop_session(tx, session))
    }

    /// Whether entries of this peer are left alone: it could fill the disk with them, and our own side could take nothing back any more. Of
    /// a pairing that nobody confirmed there is one at most.
    fn leaves_entries(&self, tx: &Tx<'_>, id: RelationshipId) -> Result<bool, Stop> {
        if !self.is_short_of_room {
            return Ok(false);
        }
        Ok(Relationship::find(tx, id)?.is_some_and(|relationship| relationship.state != PeerState::Pending))
    }

    /// One message of the other side: entries first, then how far it has ours, then heads.
    pub(super) fn sync(&mut self, tx: &mut Tx<'_>, session: SessionId, sync: Sync) -> Result<(), Stop> {
        let Some(known) = self.sessions.get_mut(session) else { return Ok(()) };
        let id = known.relationship;
        let mut wanted = false;
        let leaves_entries = self.leaves_entries(tx, id)?;
        if leaves_entries && let Some(known) = self.sessions.get_mut(session) {
            known.left_entries |= !sync.entries.is_empty();
        }
        for entry in sync.entries.iter().filter(|_| !leaves_entries) {
            // The entry before it may have ended what was never confirmed.
            let Some(mut relationship) = Relationship::find(tx, id)? else { break };
            let received = log::receive(tx, &relationship, entry)?;
            // What contradicts itself is not asked for again: two who see two histories would talk without end.
            wanted |= !matches!(received, Received::Fork);
            match received {
                Received::New(verified) => match authorize(tx, &relationship, *verified)? {
                    Some(order) => self.act(tx, relationship, order)?,
                    // Nobody writes more than `Paired` before both confirmed: a stranger fills no disk.
                    None if relationship.state == PeerState::Pending => return Err(Misbehaviour::NotAllowed.into()),
                    None => {}
                },
                Received::Known => {}
                Received::TooEarly => break,
                Received::Fork => {
                    self.freeze(tx, &mut relationship, Freeze::Forked)?;
                    break;
                }
            }
        }
        let Some(mut relationship) = Relationship::find(tx, id)? else {
            self.sessions.drop_peer(id);
            return Ok(());
        };
        for have in &sync.have {
            match log::acknowledge(tx, &relationship, have)? {
                AcknowledgedChange::Nothing => {}
                AcknowledgedChange::Through { now, .. } => self.arrived(tx, &relationship, now)?,
                AcknowledgedChange::BeyondUs => self.freeze(tx, &mut relationship, Freeze::WeAreOlder)?,
            }
            if self.sessions.get_mut(session).is_none() {
                return Ok(());
            }
            let next = log::own(tx, &relationship)?.next;
            wanted |= self.sessions.acknowledged(session, have.sequence, next);
            // What is sent next goes over the newest session, whichever brought this.
            if let Some(newest) = self.sessions.of(id).filter(|newest| *newest != session) {
                wanted |= self.sessions.acknowledged(newest, have.sequence, next);
            }
        }
        for head in &sync.heads {
            match log::receive_head(tx, &relationship, head)? {
                HeadReceived::Level | HeadReceived::Old => self.heard.push(Heard::Word(id)),
                // It sends what is missing once it hears how far we are. A lower one came late, or from a home that was put back.
                HeadReceived::Ahead | HeadReceived::Lower => {}
                HeadReceived::Fork => self.freeze(tx, &mut relationship, Freeze::Forked)?,
            }
            if self.sessions.get_mut(session).is_none() {
                return Ok(());
            }
        }
        if let Some(head) = log::theirs(tx, &relationship)?.head {
            self.sessions.heard(id, head.at, tx.now.running);
        }
        self.contacts.reached(id);
        let newest = self.sessions.of(id).unwrap_or(session);
        if let Some(known) = self.sessions.get_mut(newest) {
            known.wanted |= wanted;
        }
        Ok(())
    }

    /// The peer has our log up to here.
    fn arrived(&mut self, tx: &mut Tx<'_>, relationship: &Relationship, through: u64) -> Result<(), Stop> {
        let at = tx.wall();
        let grants = delivery::arrived(tx, relationship, through, at)?;
        let waits = Key::waiting(relationship.id);
        if self.settings.kind == NodeKind::Vendor
            && log::own(tx, relationship)?.next == through + 1
            && tx.has(&waits)?
        {
            tx.delete(&waits);
        }
        self.heard.push(Heard::Arrived { relationship: relationship.id, through });
        if relationship.state != PeerState::Paired {
            return Ok(());
        }
        for id in grants {
            if let Some(mut grant) = Grant::find(tx, relationship.id, id)?
                && grant.ended.is_none()
                && delivery::is_due(tx, &grant)?
            {
                delivery::cut(tx, relationship, &mut grant)?;
            }
        }
        Ok(())
    }

    /// One that nobody confirmed is erased instead: nothing was lent in it, and it would stay for good.
    fn freeze(&mut self, tx: &mut Tx<'_>, relationship: &mut Relationship, why: Freeze) -> Result<(), StoreFault> {
        if relationship.state == PeerState::Pending {
            self.sessions.drop_peer(relationship.id);
            return relationship.erase(tx);
        }
        if relationship.frozen.is_none() {
            relationship.freeze(tx, why);
            happened(tx, relationship, "forked");
        }
        Ok(())
    }

    /// Acts on what the other side may say.
    fn act(&mut self, tx: &mut Tx<'_>, mut relationship: Relationship, order: Order) -> Result<(), Stop> {
        match order {
            Order::Paired(order) => self.paired_there(tx, relationship, &order),
            Order::Profile(order) => {
                relationship.their_profile = order.body().clone();
                relationship.save(tx);
                Ok(())
            }
            Order::Asked(order) => Ok(ask::asked(tx, &relationship, &order)?),
            Order::Answered(order, mut ask) => {
                ask::answered(tx, &relationship, &mut ask, &order);
                Ok(())
            }
            Order::Granted(order) => {
                holding::granted(tx, &relationship, &order)?;
                self.look_at_ends(tx);
                Ok(())
            }
            Order::Keys(order, mut grant) => holding::keys(tx, &mut grant, &order),
            Order::Cells(order, mut grant) => holding::cells(tx, &relationship, &mut grant, &order),
            Order::Revoked(order, mut grant) => holding::revoked(tx, &relationship, &mut grant, &order),
            Order::Purged(order, grant) => self.purged(tx, &relationship, *grant, &order),
            Order::Read(order, grant) => self.read_asked(tx, &relationship, *grant, &order),
            Order::Served(order, grant) => self.read_served(&relationship, &grant, &order),
            Order::Used(order) => usage::reported(tx, &relationship, &order),
            Order::Rekey(order) => {
                let progress = rekey::received(tx, &mut relationship, order.body())?;
                if progress == rekey::Progress::TakenUp && relationship.state == PeerState::Paired {
                    rekey::next_epochs(tx, &relationship)?;
                    self.hints.learn(&relationship, tx);
                }
                Ok(())
            }
            Order::Closed(order) => self.closed_there(tx, relationship, order.at()),
            Order::Resumed(order) => restore::resumed(tx, &mut relationship, order.body()),
            Order::Unknown => Ok(()),
        }
    }

    fn paired_there(
        &mut self,
        tx: &mut Tx<'_>,
        mut relationship: Relationship,
        order: &Authorized<Profile>,
    ) -> Result<(), Stop> {
        relationship.confirmed_there = true;
        relationship.their_profile = order.body().clone();
        relationship.save(tx);
        self.pair_if_both(tx, relationship)
    }

    /// Our person said that the words are the same.
    pub(super) fn confirm_here(&mut self, tx: &mut Tx<'_>, mut relationship: Relationship) -> Result<(), Stop> {
        if relationship.confirmed_here {
            return Ok(());
        }
        let profile = self.profile(&relationship);
        relationship.confirmed_here = true;
        relationship.told_profile = Some(profile.clone());
        relationship.save(tx);
        log::append(tx, &relationship, &Body::Paired(Paired { profile }), None)?;
        self.pair_if_both(tx, relationship)
    }

    fn pair_if_both(&mut self, tx: &mut Tx<'_>, mut relationship: Relationship) -> Result<(), Stop> {
        if !relationship.confirmed_here || !relationship.confirmed_there || relationship.state != PeerState::Pending {
            return Ok(());
        }
        relationship.state = PeerState::Paired;
        relationship.since = tx.wall();
        relationship.save(tx);
        self.heard.push(Heard::Paired(relationship.id));
        self.hints.learn(&relationship, tx);
        self.subscribe_also_there(tx);
        if self.settings.kind == NodeKind::Person && !relationship.their_profile.addresses.is_empty() {
            self.contacts.want(relationship.id, tx.now.running);
        }
        happened(tx, &relationship, "paired");
        Ok(())
    }

    fn purged(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        mut grant: Grant,
        order: &Authorized<Purged>,
    ) -> Result<(), Stop> {
        if let Purged::Selectors { selectors, .. } = order.body() {
            grant.purged(tx, selectors);
        }
        holding::tell(tx, relationship, "purged", Some(&grant), order.at());
        Ok(())
    }

    /// A live read is asked for: answered from the present value, within the grant and its rate.
    fn read_asked(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        mut grant: Grant,
        order: &Authorized<Read>,
    ) -> Result<(), Stop> {
        let read = order.body().clone();
        let hour = tx.wall().as_millis() / 3_600_000;
        if grant.reads.hour != hour {
            grant.reads = crate::grant::ReadCount { hour, served: 0, refused: 0 };
        }
        let lent = grant.lent(read.selector).filter(|lent| lent.taken_back.is_none()).cloned();
        let lends = grant.is_active(tx.wall()) && relationship.state == PeerState::Paired;
        let allowed = grant.mode == Mode::Reference && lends && lent.is_some();
        let mut payload = None;
        let outcome = if !allowed || grant.reads.served >= grant.reads_per_hour {
            grant.reads.refused += 1;
            let refused = grant.reads.refused;
            if refused > 1 {
                // One entry an hour says no; more would be a way to grow our log.
                grant.save(tx);
                return Ok(());
            }
            if allowed { ServedOutcome::TooMany { refused } } else { ServedOutcome::Refused }
        } else {
            grant.reads.served += 1;
            let lent = lent.ok_or(Misbehaviour::Malformed)?;
            match present_of(tx, relationship, &lent.selector, read.record)? {
                None => ServedOutcome::Nothing,
                Some(present) => {
                    let version = present.version;
                    let key = allod_crypto::SecretKey::random(&mut *tx.dice);
                    let place = CellPlace {
                        relationship: &relationship.tag,
                        log: relationship.my_log,
                        grant: grant.id,
                        selector: &lent.selector,
                        record: read.record,
                        epoch: u32::MAX,
                        version,
                        agreement: &grant.agreement,
                    };
                    let cell = delivery::seal_cell(&key, &place, present, tx);
                    let served = ServedPayload { key: *key.expose(), cell };
                    payload = Some(allod_crypto::Zeroizing::new(served.encode()));
                    ServedOutcome::Value { version }
                }
            }
        };
        let body = Body::Served(Served {
            grant: grant.id,
            selector: read.selector,
            record: read.record,
            nonce: read.nonce,
            outcome,
        });
        let sequence = log::append(tx, relationship, &body, payload.as_ref().map(|payload| payload.as_slice()))?;
        if payload.is_some() {
            delivery::note_flight(tx, relationship, &mut grant, sequence)?;
            grant.last_use = Some(tx.wall());
            // What the peer said that it used is in the sum too, and may be any number.
            grant.uses = grant.uses.saturating_add(1);
        }
        grant.save(tx);
        Ok(())
    }

    fn read_served(
        &mut self,
        relationship: &Relationship,
        grant: &Grant,
        order: &Authorized<Served>,
    ) -> Result<(), Stop> {
        let body = order.body();
        let Some(read) = self.waits.read_of(&body.nonce) else { return Ok(()) };
        let asked = (read.relationship, read.grant, read.selector, read.record);
        if asked != (relationship.id, body.grant, body.selector, body.record) {
            return Err(Misbehaviour::NotAllowed.into());
        }
        let (peer, path) = (relationship.petname.clone(), read.path.clone());
        let answer = match body.outcome {
            // What was taken back or removed meanwhile was withdrawn.
            ServedOutcome::Value { .. } if order.payload().is_none() => Err(Refusal::NoLiveAnswer { peer }),
            ServedOutcome::Value { version } => Ok(holding::served(relationship, grant, path, order, version)?),
            ServedOutcome::Nothing => Err(Refusal::NotArrived { peer, path }),
            ServedOutcome::Refused => Err(Refusal::NoGrantFrom { peer, path }),
            ServedOutcome::TooMany { .. } => {
                Err(Refusal::TooManyReads { peer, path, most: u64::from(grant.reads_per_hour) })
            }
        };
        self.heard.push(Heard::Served { nonce: body.nonce, answer: Box::new(answer) });
        Ok(())
    }

    /// All that came in was in order: those who waited for it are told.
    pub(super) fn tell_those_who_wait(&mut self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        for heard in std::mem::take(&mut self.heard) {
            match heard {
                Heard::Word(id) => self.had_its_word(tx, id)?,
                Heard::Arrived { relationship, through } => self.waits.arrived(tx, relationship, through),
                Heard::Served { nonce, answer } => match *answer {
                    Ok(view) => self.waits.served(tx, &nonce, view),
                    Err(refusal) => self.waits.refused(tx, &nonce, refusal),
                },
                Heard::Paired(id) => self.pairings.paired(tx, id),
            }
        }
        Ok(())
    }

    /// The other side ended the relationship: what we hold of it goes, and what we lent is taken back.
    fn closed_there(
        &mut self,
        tx: &mut Tx<'_>,
        mut relationship: Relationship,
        at: crate::time::Timestamp,
    ) -> Result<(), Stop> {
        if relationship.state == PeerState::Pending {
            relationship.erase(tx)?;
            return Ok(());
        }
        let was_closed = relationship.state == PeerState::Closed;
        for mut grant in Grant::with(tx, relationship.id)? {
            match grant.direction {
                Direction::Held if grant.ended.is_none() => {
                    drop_all(tx, &relationship, &mut grant, Ended::Revoked { at }, Announce::Tell)?;
                }
                Direction::Held => {}
                Direction::Given => {
                    let places = grant.live_selectors();
                    if grant.ended.is_none() {
                        take_back(tx, &relationship, &mut grant, &places)?;
                    }
                    // Who closes drops all that it held, also what it had not heard of, and says so with this entry alone.
                    let all: Vec<u16> = (0..).take(grant.selectors.len()).collect();
                    grant.purged(tx, &all);
                }
            }
        }
        relationship.state = PeerState::Closed;
        relationship.save(tx);
        self.wait_for(tx, &relationship)?;
        if !was_closed {
            happened(tx, &relationship, "closed");
        }
        Ok(())
    }
}

/// The present value behind a selector, and a pseudonym where the selector is a column.
fn present_of(
    tx: &Tx<'_>,
    relationship: &Relationship,
    selector: &crate::path::Selector,
    record: Option<crate::id::Pseudonym>,
) -> Result<Option<record::Present>, Stop> {
    use crate::path::Selector;
    match (selector, record) {
        (Selector::Field(path), None) => Ok(record::present(tx, path)?),
        (Selector::Column { kind, field }, Some(wanted)) => {
            let mut after = None;
            loop {
                let rows = record::chunk(tx, kind, after.as_ref(), 500)?;
                for row in &rows {
                    let path = crate::path::RecordPath { kind: row.kind.clone(), id: row.id.clone() };
                    if relationship.pseudonym(&path) == wanted {
                        return Ok(record::present_in(tx, row, field)?);
                    }
                }
                match rows.last() {
                    Some(last) if rows.len() == 500 => {
                        after = Some(crate::path::RecordPath { kind: last.kind.clone(), id: last.id.clone() });
                    }
                    _ => return Ok(None),
                }
            }
        }
        _ => Ok(None),
    }
}
