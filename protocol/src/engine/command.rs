//! Commands: what our side wants, carried out in one step, and answered after the commit.

use std::collections::BTreeMap;

use crate::codec::Coded;
use crate::{
    ask::{self, Ask},
    command::{
        Answer, AskState, Command, Delivery, Direction, FieldView, GrantState, Happening, ImportCounts, ImportItem,
        Mode, Page, PairingStage, PeerState, Purge, RevokedView, SetItem, StatusView, Ticket, WordsAre, WrittenView,
    },
    delivery,
    effect::{Channel, Effect, Message},
    grant::{self, Ended, Grant, Terms, give, still_lent, take_back},
    holding::{self, ReadOutcome, drop_all},
    id::{GrantId, RelationshipId},
    job::{Announce, Job},
    limits::{INVITATION_LIFETIME_MAX, SELECTORS_MAX},
    log,
    path::{FieldName, FieldPath, Path, Selector},
    purpose::Purpose,
    record::{self, Written},
    refusal::Refusal,
    rekey,
    relationship::Relationship,
    restore,
    tx::{Stop, Tx},
    usage, view,
    view::Missing,
    wire::body::{AskEnd, Body, Closed, Read},
    wire::pair::PairRequest,
};

use super::{Live, waits::Telling};

impl Live {
    pub(super) fn command(&mut self, tx: &mut Tx<'_>, ticket: Ticket, command: Command) -> Result<(), Stop> {
        let answer = match command {
            Command::Status => self.status(tx)?,
            Command::Set { items } => return self.set(tx, ticket, &items),
            Command::Import { items, source, dry_run } => self.import(tx, items, &source, dry_run)?,
            Command::Get { paths, from: None } => Answer::Fields(own_fields(tx, &paths)?),
            Command::Get { paths, from: Some(peer) } => return self.get_in_time(tx, ticket, paths, peer),
            Command::List { kind, record, from, page } => match (from, record) {
                (Some(peer), record) => {
                    let relationship = Relationship::named(tx, &peer)?;
                    let heard = self.sessions.time_at_least(relationship.id, tx.now.running);
                    let kind = kind.as_ref().or(record.as_ref().map(|record| &record.kind));
                    Answer::Records(holding::list(tx, &relationship, kind, record.as_ref(), heard, &page)?)
                }
                (None, Some(record)) => {
                    let items = vec![record::one(tx, &record)?];
                    Answer::Records(crate::command::Listing { items, next: None })
                }
                (None, None) => Answer::Records(record::list(tx, kind.as_ref(), &page)?),
            },
            Command::History { path, page } => Answer::Versions(record::history(tx, &path, &page)?),
            Command::Remove { path } => return self.remove(tx, ticket, &path),
            Command::Export { kind, page } => Answer::Exported(record::export(tx, kind.as_ref(), &page)?),
            Command::Invite { lifetime } => {
                if lifetime.is_zero() || lifetime > INVITATION_LIFETIME_MAX {
                    return Err(Refusal::BadEnd {}.into());
                }
                let (id, text, expires) = self.pairings.invite(tx, &self.reachable(), lifetime)?;
                self.next_pairing = Some(tx.now.running + lifetime);
                Answer::Invited { id, text, expires }
            }
            Command::Accept { text, petname } => return self.accept(tx, ticket, &text, petname),
            Command::AwaitPairing { id, seen } => return self.pairings.watch(tx, id, seen, ticket),
            Command::Confirm { id, words } => return self.confirm(tx, ticket, id, words),
            Command::Invitations => Answer::Invitations(self.pairings.invitations(tx)?),
            Command::CancelInvitations => {
                self.pairings.cancel_all(tx)?;
                Answer::Invitations(self.pairings.invitations(tx)?)
            }
            Command::Peers => {
                let mut peers = Vec::new();
                for relationship in Relationship::all(tx)? {
                    peers.push(view::peer(tx, &relationship, &self.sessions, &self.contacts)?);
                }
                peers.sort_by(|one, other| one.peer.cmp(&other.peer));
                Answer::Peers(peers)
            }
            Command::Peer { name } => {
                let relationship = Relationship::named(tx, &name)?;
                Answer::Peer(Box::new(view::peer(tx, &relationship, &self.sessions, &self.contacts)?))
            }
            Command::Rename { old, new } => {
                Relationship::named(tx, &old)?.rename(tx, &new)?;
                Answer::Done
            }
            Command::Sync { peer } => self.sync_now(tx, peer.as_deref())?,
            Command::Forget { peer } => return self.forget(tx, ticket, &peer),
            Command::Resume { peer } => self.resume(tx, &peer)?,
            Command::Ask { lending, optional, reason, benefit } => {
                let relationship = Relationship::paired(tx, &lending.peer)?;
                let (ask, sequence) =
                    ask::ask(tx, &relationship, &lending, &optional, reason.as_deref(), benefit.as_deref())?;
                let answer = Answer::Asked { ask: ask.id.to_string(), state: Delivery::Queued };
                let telling = vec![self.telling(&relationship, sequence)];
                self.waits.tell(tx, ticket, answer, telling);
                return Ok(());
            }
            Command::WithdrawAsk { ask } => {
                let mut ask = ask::open_of_ours(tx, &ask)?;
                return self.end_ask(tx, ticket, &mut ask, AskEnd::Withdrawn, None);
            }
            Command::Asks { direction, page } => Answer::Asks(view::asks(tx, direction, &page)?),
            Command::AskDetail { ask } => {
                let ask = Ask::named(tx, &ask)?;
                let relationship = Relationship::load(tx, ask.relationship)?;
                let selectors: Vec<Selector> = ask.selectors().cloned().collect();
                let ours_to_lend = ask.direction == Direction::Given && ask.state == AskState::Open;
                let values = if ours_to_lend { view::preview(tx, &selectors, Missing::Skipped)? } else { Vec::new() };
                Answer::Ask { ask: Box::new(ask.view(&relationship.petname)), values }
            }
            Command::AnswerAsk { ask, only, until } => {
                let ask = ask::open_to_us(tx, &ask)?;
                let relationship = Relationship::load(tx, ask.relationship)?;
                let relationship = Relationship::paired(tx, &relationship.petname)?;
                if !ask.purpose.is_known() {
                    let word = ask.purpose.to_string();
                    let nearest = Purpose::parse(&word).err().unwrap_or_default().join(", ");
                    return Err(Refusal::UnknownPurpose { word, nearest }.into());
                }
                let selectors = chosen(&ask, only)?;
                let terms = Terms {
                    selectors,
                    purpose: ask.purpose.clone(),
                    mode: ask.mode,
                    until: until.or(ask.until),
                    lease: None,
                    ask: Some(ask.id),
                };
                return self.grant(tx, ticket, &relationship, terms);
            }
            Command::DeclineAsk { ask, reason } => {
                let mut ask = ask::open_to_us(tx, &ask)?;
                return self.end_ask(tx, ticket, &mut ask, AskEnd::Declined, reason.as_deref());
            }
            Command::Grant { lending, lease } => {
                let relationship = Relationship::paired(tx, &lending.peer)?;
                let terms = Terms {
                    selectors: lending.selectors,
                    purpose: lending.purpose,
                    mode: lending.mode,
                    until: lending.until,
                    lease,
                    ask: None,
                };
                return self.grant(tx, ticket, &relationship, terms);
            }
            Command::Preview { selectors } => {
                grant::check_terms(&selectors, None, None, tx.wall())?;
                Answer::Preview(view::preview(tx, &selectors, Missing::Refused)?)
            }
            Command::Grants { direction, peer, page } => {
                let relationship = match peer {
                    Some(peer) => Some(Relationship::named(tx, &peer)?.id),
                    None => None,
                };
                let wanted = |grant: &Grant| direction.is_none_or(|wanted| wanted == grant.direction);
                Answer::Grants(view::grants(tx, relationship, wanted, &page)?)
            }
            Command::GrantDetail { grant } => grant_detail(tx, &grant)?,
            Command::Used { peer, page } => used(tx, peer.as_deref(), &page)?,
            Command::RevokeGrant { grant } => {
                let grant = Grant::named(tx, &grant)?;
                return self.revoke_grant(tx, ticket, grant);
            }
            Command::RevokePeer { peer, selectors } => return self.revoke_peer(tx, ticket, &peer, &selectors),
            Command::AccessField { path } => {
                let wanted = |grant: &Grant| grant::covers(grant, &path) && grant.is_active(tx.wall());
                Answer::Access(view::grants(tx, None, wanted, &everything())?.items)
            }
            Command::AccessPeer { peer } => {
                let relationship = Relationship::named(tx, &peer)?;
                Answer::Access(view::grants(tx, Some(relationship.id), |_| true, &everything())?.items)
            }
            Command::Log(query) => Answer::Log(view::entries(tx, &query)?),
            Command::Verify { peer } => Answer::Verified(view::verify(tx, peer.as_deref())?),
        };
        tx.reply(ticket, Ok(answer));
        Ok(())
    }

    /// How a peer is told of an entry: at once if it is there.
    fn telling(&self, relationship: &Relationship, sequence: u64) -> Telling {
        let sequence = self.sessions.is_live(relationship.id).then_some(sequence);
        Telling { relationship: relationship.id, peer: relationship.petname.clone(), sequence }
    }

    fn status(&self, tx: &Tx<'_>) -> Result<Answer, Stop> {
        let counts = record::counts(tx)?;
        let grants = Grant::all_live(tx)?;
        let active = |direction| {
            let count = grants
                .iter()
                .filter(|grant| grant.direction == direction && grant.state(tx.wall()) == GrantState::Active)
                .count();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        Ok(Answer::Status(Box::new(StatusView {
            name: self.settings.name.clone(),
            kind: self.settings.kind,
            peers_paired: view::count_paired(tx)?,
            peers_online: u64::try_from(self.sessions.online()).unwrap_or(u64::MAX),
            records: counts.records,
            fields: counts.fields,
            grants_given: active(Direction::Given),
            grants_held: active(Direction::Held),
            due: delivery::count_due(tx, &grants, 10_000)?,
        })))
    }

    fn set(&mut self, tx: &mut Tx<'_>, ticket: Ticket, items: &[SetItem]) -> Result<(), Stop> {
        let written = record::set(tx, items)?;
        let telling = self.tell_changes(tx, &written)?;
        let views = written.into_iter().map(|one| WrittenView { path: one.path, version: one.version }).collect();
        self.waits.tell(tx, ticket, Answer::Written { written: views, told: Vec::new() }, telling);
        Ok(())
    }

    fn import(&mut self, tx: &mut Tx<'_>, items: Vec<ImportItem>, source: &str, dry_run: bool) -> Result<Answer, Stop> {
        let mut counts = ImportCounts::default();
        let mut all = Vec::new();
        let mut import = record::Import::begin(tx, source, dry_run)?;
        for item in items {
            let (outcome, written) = import.take(tx, item)?;
            counts.records += 1;
            match outcome {
                record::ImportOutcome::New => counts.new += 1,
                record::ImportOutcome::Changed => counts.changed += 1,
                record::ImportOutcome::Unchanged => counts.unchanged += 1,
            }
            all.extend(written);
        }
        import.finish(tx)?;
        self.tell_changes(tx, &all)?;
        Ok(Answer::Imported(counts))
    }

    /// Changed fields are due to whoever follows them, and cut at once for who is there.
    fn tell_changes(&mut self, tx: &mut Tx<'_>, written: &[Written]) -> Result<Vec<Telling>, Stop> {
        let mut marked = std::collections::BTreeSet::new();
        let mut followers = delivery::Followers::of(tx)?;
        for one in written.iter().filter(|one| !one.unchanged) {
            marked.extend(followers.mark(tx, &one.path, None)?);
            // A record's own id can be lent too, and is there from its first field on.
            if one.made_record {
                marked.extend(followers.mark(tx, &one.path.record.field(FieldName::id()), None)?);
            }
            tx.happened(Happening {
                at: tx.wall(),
                event: "field_changed",
                peer: None,
                grant: None,
                ask: None,
                selectors: Vec::new(),
                path: Some(one.path.text()),
            });
        }
        self.cut_marked(tx, marked)
    }

    fn cut_marked(
        &mut self,
        tx: &mut Tx<'_>,
        marked: std::collections::BTreeSet<(RelationshipId, GrantId)>,
    ) -> Result<Vec<Telling>, Stop> {
        let mut telling: BTreeMap<RelationshipId, Telling> = BTreeMap::new();
        for (id, grant) in marked {
            let relationship = Relationship::load(tx, id)?;
            let mut sequence = None;
            if self.sessions.is_live(id)
                && let Some(mut grant) = Grant::find(tx, id, grant)?
            {
                sequence = delivery::cut(tx, &relationship, &mut grant)?;
            }
            let entry = telling.entry(id).or_insert(Telling { relationship: id, peer: relationship.petname, sequence });
            entry.sequence = match (entry.sequence, sequence) {
                (Some(one), Some(other)) => Some(one.max(other)),
                _ => None,
            };
        }
        Ok(telling.into_values().collect())
    }

    fn remove(&mut self, tx: &mut Tx<'_>, ticket: Ticket, path: &Path) -> Result<(), Stop> {
        let (record, field) = match path {
            Path::Record(record) => (record, None),
            Path::Field(path) => (&path.record, Some(&path.field)),
        };
        let removed = record::remove(tx, record, field)?;
        let mut gone = removed.clone();
        let id = record.field(FieldName::id());
        if record::present(tx, &id)?.is_none() {
            gone.push(record::Removed { path: id, version: 1 });
        }
        let given = Grant::all_live(tx)?.into_iter().filter(|grant| grant.direction == Direction::Given);
        let mut marked = delivery::withdraw_removed(tx, given.collect(), record, &gone)?;
        let mut followers = delivery::Followers::of(tx)?;
        for one in &gone {
            marked.extend(followers.mark(tx, &one.path, Some(one.version))?);
        }
        for peer in marked.iter().map(|(peer, _)| *peer).collect::<std::collections::BTreeSet<_>>() {
            self.wait_for(tx, &Relationship::load(tx, peer)?)?;
        }
        let telling = self.cut_marked(tx, marked)?;
        // What the rows held is unreadable for good once its bucket has a new key.
        Job::reseal(tx, tx.record_tag(record)[0])?;
        // So is what was handed over: its payloads opened by chain values that old bytes of these rows still hold.
        for grant in Grant::all(tx)? {
            let handed_over = grant.direction == Direction::Given
                && grant.selectors.iter().any(|lent| removed.iter().any(|one| lent.selector.covers(&one.path)));
            if handed_over {
                Job::reseal(tx, grant.relationship.as_bytes()[0])?;
            }
        }
        let removed = u64::try_from(removed.len()).unwrap_or(u64::MAX);
        self.waits.tell(tx, ticket, Answer::Removed { removed, told: Vec::new() }, telling);
        Ok(())
    }

    fn accept(&mut self, tx: &mut Tx<'_>, ticket: Ticket, text: &str, petname: Option<String>) -> Result<(), Stop> {
        if let Some(name) = petname.as_ref().filter(|name| !crate::relationship::is_petname(name)) {
            return Err(Refusal::BadPetname { name: name.clone() }.into());
        }
        let (id, addresses) = self.pairings.accept(tx, text, petname)?;
        let errand = self.errand();
        self.pairings.on_errand(errand, id);
        tx.effect(Effect::Dial { errand, addresses });
        self.next_pairing = Some(tx.now.running);
        self.pairings.watch(tx, id, PairingStage::Open, ticket)
    }

    fn confirm(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: Ticket,
        id: crate::id::InvitationId,
        words: WordsAre,
    ) -> Result<(), Stop> {
        match words {
            WordsAre::TheSame => {
                if let Some((relationship, link)) = self.pairings.confirmed(tx, id)? {
                    let relationship = Relationship::load(tx, relationship)?;
                    let peer = relationship.id;
                    self.confirm_here(tx, relationship)?;
                    self.tell_those_who_wait(tx)?;
                    let greet = !self.sessions.is_live(peer) && !self.sessions.is_greeting(peer);
                    if let Some(link) = link.filter(|link| greet && self.links.contains(link)) {
                        let relationship = Relationship::load(tx, peer)?;
                        self.hello(tx, &relationship, link)?;
                    }
                }
            }
            WordsAre::Different => {
                if let Some((link, request)) = self.pairings.differs(tx, id)? {
                    self.decline_pairing(tx, link, &request);
                }
            }
        }
        tx.reply(ticket, Ok(Answer::Pairing(self.pairings.view(id)?)));
        Ok(())
    }

    fn decline_pairing(&mut self, tx: &mut Tx<'_>, link: u64, request: &PairRequest) {
        let errand = self.errand();
        let message = Message::Bytes(request.encode());
        tx.effect(Effect::Send { errand, link, channel: Channel::Pair, message });
    }

    fn sync_now(&mut self, tx: &mut Tx<'_>, peer: Option<&str>) -> Result<Answer, Stop> {
        let relationships = match peer {
            Some(peer) => vec![Relationship::named(tx, peer)?],
            None => Relationship::all(tx)?,
        };
        let mut peers = Vec::new();
        for relationship in relationships {
            match self.sessions.of(relationship.id).and_then(|id| self.sessions.get_mut(id)) {
                Some(session) => session.wanted = true,
                None if relationship.their_profile.addresses.is_empty() => {}
                None => self.contacts.hurry(relationship.id, tx.now.running),
            }
            peers.push(view::peer(tx, &relationship, &self.sessions, &self.contacts)?);
        }
        self.dial(tx)?;
        Ok(Answer::Peers(peers))
    }

    /// After a restore our person says that what is lent to a peer goes on.
    fn resume(&mut self, tx: &mut Tx<'_>, peer: &str) -> Result<Answer, Stop> {
        let mut relationship = Relationship::named(tx, peer)?;
        let peer = peer.to_owned();
        if relationship.state != PeerState::Restored {
            return Err(Refusal::NotSuspended { peer }.into());
        }
        if restore::waits(tx, &relationship)? {
            return Err(Refusal::NotHeardYet { peer }.into());
        }
        let mut views = Vec::new();
        for grant in restore::go_on(tx, &mut relationship)? {
            views.extend(view::grant(tx, &grant)?);
        }
        if self.sessions.is_live(relationship.id) {
            self.cut_all(tx, &relationship)?;
            rekey::start_if_due(tx, &mut Relationship::load(tx, relationship.id)?)?;
        }
        tx.touch(relationship.id);
        Ok(Answer::Resumed(views))
    }

    /// Ends a relationship: takes back all that we lent, drops all that we hold, and says so.
    fn forget(&mut self, tx: &mut Tx<'_>, ticket: Ticket, peer: &str) -> Result<(), Stop> {
        let mut relationship = Relationship::named(tx, peer)?;
        if relationship.state == PeerState::Pending {
            if let Some((link, request)) = self.pairings.forgotten(tx, relationship.id) {
                self.decline_pairing(tx, link, &request);
            }
            relationship.erase(tx)?;
            let answer = Answer::Forgotten { peer: peer.to_owned(), revoked: Vec::new(), told: Vec::new() };
            self.waits.tell(tx, ticket, answer, Vec::new());
            return Ok(());
        }
        if relationship.state == PeerState::Closed {
            return Err(Refusal::PeerClosed { peer: peer.to_owned() }.into());
        }
        let mut revoked = Vec::new();
        let at = tx.wall();
        for mut grant in Grant::live_with(tx, relationship.id)? {
            if grant.ended.is_some() {
                continue;
            }
            match grant.direction {
                Direction::Given => {
                    let places = grant.live_selectors();
                    take_back(tx, &relationship, &mut grant, &places)?;
                    revoked.push(grant.id.to_string());
                }
                Direction::Held => {
                    drop_all(tx, &relationship, &mut grant, Ended::Revoked { at }, Announce::Silent)?;
                }
            }
        }
        let sequence = log::append(tx, &relationship, &Body::Closed(Closed {}), None)?;
        self.wait_for(tx, &relationship)?;
        relationship.state = PeerState::Closed;
        relationship.save(tx);
        let telling = vec![self.telling(&relationship, sequence)];
        let answer = Answer::Forgotten { peer: peer.to_owned(), revoked, told: Vec::new() };
        self.waits.tell(tx, ticket, answer, telling);
        Ok(())
    }

    fn end_ask(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: Ticket,
        ask: &mut Ask,
        end: AskEnd,
        reason: Option<&str>,
    ) -> Result<(), Stop> {
        let relationship = Relationship::load(tx, ask.relationship)?;
        let sequence = ask::end(tx, &relationship, ask, end, reason)?;
        let answer = Answer::Asked { ask: ask.id.to_string(), state: Delivery::Queued };
        let telling = vec![self.telling(&relationship, sequence)];
        self.waits.tell(tx, ticket, answer, telling);
        Ok(())
    }

    fn grant(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: Ticket,
        relationship: &Relationship,
        terms: Terms,
    ) -> Result<(), Stop> {
        let mut row = give(tx, relationship, terms)?;
        if let Some(ask) = row.ask {
            ask::answered_by(tx, relationship, ask, &row)?;
        }
        // What is lent once is cut now, so that it is the version of now, whoever is there.
        if row.mode == Mode::Once {
            while delivery::is_due(tx, &row)? {
                delivery::cut(tx, relationship, &mut row)?;
            }
        } else if self.sessions.is_live(relationship.id) {
            delivery::cut(tx, relationship, &mut row)?;
        }
        self.plan_renewal(tx, relationship)?;
        self.look_at_ends(tx);
        holding::tell(tx, relationship, "granted", Some(&row), tx.wall());
        let sequence = log::own(tx, relationship)?.next - 1;
        let lease_until = row.lease().map(|lease| {
            let end = tx.wall().after(lease);
            row.not_after.map_or(end, |not_after| end.min(not_after))
        });
        let view = crate::command::GrantedView {
            grant: row.id.to_string(),
            peer: relationship.petname.clone(),
            selectors: row.selectors.iter().map(|lent| lent.selector.clone()).collect(),
            until: row.not_after,
            lease_until,
            told: Vec::new(),
        };
        let telling = vec![self.telling(relationship, sequence)];
        self.waits.tell(tx, ticket, Answer::Granted(Box::new(view)), telling);
        Ok(())
    }

    fn revoke_grant(&mut self, tx: &mut Tx<'_>, ticket: Ticket, mut grant: Grant) -> Result<(), Stop> {
        if grant.direction != Direction::Given {
            return Err(Refusal::NoSuchGrant { id: grant.id.to_string() }.into());
        }
        if !grant.can_be_taken_back() {
            let state = grant.state(tx.wall()).as_str().to_owned();
            return Err(Refusal::GrantIsOver { id: grant.id.to_string(), state }.into());
        }
        let relationship = Relationship::load(tx, grant.relationship)?;
        let places = grant.live_selectors();
        let revoked = take_back(tx, &relationship, &mut grant, &places)?;
        self.revoked(tx, ticket, &relationship, vec![(grant, revoked)])
    }

    fn revoke_peer(&mut self, tx: &mut Tx<'_>, ticket: Ticket, peer: &str, selectors: &[Selector]) -> Result<(), Stop> {
        if selectors.len() > SELECTORS_MAX {
            return Err(Refusal::BadSelection { most: SELECTORS_MAX as u64 }.into());
        }
        let relationship = Relationship::named(tx, peer)?;
        let mut revoked = Vec::new();
        let mut missed: Vec<&Selector> = selectors.iter().collect();
        for mut grant in Grant::with(tx, relationship.id)? {
            if grant.direction != Direction::Given || !grant.can_be_taken_back() {
                continue;
            }
            let places: Vec<u16> = grant
                .live_selectors()
                .into_iter()
                .filter(|place| {
                    let lent = &grant.selectors[usize::from(*place)].selector;
                    missed.retain(|selector| *selector != lent);
                    selectors.is_empty() || selectors.contains(lent)
                })
                .collect();
            if !places.is_empty() {
                let one = take_back(tx, &relationship, &mut grant, &places)?;
                revoked.push((grant, one));
            }
        }
        if let Some(selector) = missed.first() {
            return Err(Refusal::nothing_lent(peer, selector).into());
        }
        if revoked.is_empty() && selectors.is_empty() {
            return Err(Refusal::NothingLent { peer: peer.to_owned(), selector: "*".to_owned() }.into());
        }
        self.revoked(tx, ticket, &relationship, revoked)
    }

    fn revoked(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: Ticket,
        relationship: &Relationship,
        mut revoked: Vec<(Grant, crate::command::RevokedGrant)>,
    ) -> Result<(), Stop> {
        let selectors: Vec<Selector> = revoked.iter().flat_map(|(_, one)| one.selectors.clone()).collect();
        let still = still_lent(tx, relationship.id, &selectors)?;
        let their = log::theirs(tx, relationship)?;
        let seen = if self.sessions.is_live(relationship.id) { Some(tx.wall()) } else { their.last_seen };
        let heard = seen.map(|at| (at, crate::time::Timestamp::NEVER));
        let lease_until = revoked.iter().filter_map(|(grant, _)| grant.lease_until(heard)).max();
        for (grant, _) in &revoked {
            holding::tell(tx, relationship, "revoked", Some(grant), tx.wall());
        }
        // What was withdrawn together with other selectors' cells goes out again.
        if self.sessions.is_live(relationship.id) {
            for (grant, _) in &mut revoked {
                if grant.ended.is_none() && delivery::is_due(tx, grant)? {
                    delivery::cut(tx, relationship, grant)?;
                }
            }
        }
        self.plan_renewal(tx, relationship)?;
        self.wait_for(tx, relationship)?;
        let sequence = log::own(tx, relationship)?.next - 1;
        let answer = Answer::Revoked(RevokedView {
            revoked: revoked.into_iter().map(|(_, one)| one).collect(),
            still_lent: still,
            told: Vec::new(),
            purge: Purge::Awaited,
            lease_until,
        });
        let telling = vec![self.telling(relationship, sequence)];
        self.waits.tell(tx, ticket, answer, telling);
        Ok(())
    }

    /// Reads what a peer lends, after the peer had a chance to take it back.
    fn get_in_time(&mut self, tx: &mut Tx<'_>, ticket: Ticket, paths: Vec<Path>, peer: String) -> Result<(), Stop> {
        if let Some(views) = self.get_at_hand(tx, &paths, &peer)? {
            tx.reply(ticket, Ok(Answer::Fields(views)));
            return Ok(());
        }
        let relationship = Relationship::named(tx, &peer)?;
        let ask_first = relationship.state == PeerState::Paired
            && !relationship.their_profile.addresses.is_empty()
            && self.first_word.is_awaited(relationship.id);
        if !ask_first {
            return self.get_from(tx, ticket, &paths, &peer);
        }
        self.first_word.wait(ticket, relationship.id, peer, paths, tx.now.running);
        if !self.sessions.is_live(relationship.id) {
            self.contacts.want(relationship.id, tx.now.running);
            self.dial(tx)?;
        }
        Ok(())
    }

    /// Reads fields from our own copies by what is at hand; none if any of them needs more than that.
    fn get_at_hand(&mut self, tx: &Tx<'_>, paths: &[Path], peer: &str) -> Result<Option<Vec<FieldView>>, Stop> {
        let Some(known) = self.at_hand.peer(tx, peer)? else { return Ok(None) };
        if known.can_be_asked && self.first_word.is_awaited(known.id) {
            return Ok(None);
        }
        let heard = self.sessions.time_at_least(known.id, tx.now.running);
        let mut readings = Vec::with_capacity(paths.len());
        for path in paths {
            let Path::Field(path) = path else { return Ok(None) };
            let Some(reading) = self.at_hand.read(tx, known.id, path, heard)? else { return Ok(None) };
            readings.push(reading);
        }
        for reading in &readings {
            self.uses.count(known.id, reading.grant, reading.selector, tx.now);
        }
        Ok(Some(readings.into_iter().map(|reading| reading.view).collect()))
    }

    /// A peer was heard in this run, or cannot be: reads that waited for that go on.
    pub(super) fn had_its_word(&mut self, tx: &mut Tx<'_>, id: RelationshipId) -> Result<(), Stop> {
        for read in self.first_word.had(id) {
            match self.get_from(tx, read.ticket, &read.paths, &read.peer) {
                Err(Stop::Refused(refusal)) => tx.reply(read.ticket, Err(refusal)),
                other => other?,
            }
        }
        Ok(())
    }

    /// Reads what a peer lends: from our copy where there is one, live where the grant allows no copy.
    fn get_from(&mut self, tx: &mut Tx<'_>, ticket: Ticket, paths: &[Path], peer: &str) -> Result<(), Stop> {
        let relationship = Relationship::named(tx, peer)?;
        let heard = self.sessions.time_at_least(relationship.id, tx.now.running);
        let mut wanted: Vec<FieldPath> = Vec::new();
        for path in paths {
            match path {
                Path::Field(path) => wanted.push(path.clone()),
                Path::Record(record) => {
                    let listed =
                        holding::list(tx, &relationship, Some(&record.kind), Some(record), heard, &everything())?;
                    let fields = listed.items.into_iter().flat_map(|view| view.fields);
                    let before = wanted.len();
                    for field in fields {
                        let field = FieldName::parse(&field).map_err(|error| Refusal::bad_path(&field, &error))?;
                        wanted.push(record.field(field));
                    }
                    if wanted.len() == before {
                        return Err(Refusal::NoGrantFrom { peer: peer.to_owned(), path: record.to_string() }.into());
                    }
                }
            }
        }
        let mut views: Vec<Option<FieldView>> = Vec::with_capacity(wanted.len());
        let mut live = Vec::new();
        let mut counted = Vec::new();
        for path in &wanted {
            match holding::read(tx, &relationship, path, heard)? {
                ReadOutcome::Value { view, grant, selector } => {
                    counted.push((grant, selector));
                    views.push(Some(*view));
                }
                ReadOutcome::Live { grant, selector, record } => {
                    live.push((views.len(), *grant, selector, record, path.to_string()));
                    views.push(None);
                }
            }
        }
        for (grant, selector) in counted {
            self.uses.count(relationship.id, grant, selector, tx.now);
        }
        if live.is_empty() {
            tx.reply(ticket, Ok(Answer::Fields(views.into_iter().flatten().collect())));
            return Ok(());
        }
        if !self.sessions.is_live(relationship.id) {
            return Err(Refusal::NoLiveAnswer { peer: peer.to_owned() }.into());
        }
        let hour = tx.wall().as_millis() / 3_600_000;
        for (place, (_, grant, _, _, path)) in live.iter().enumerate() {
            let earlier = live[..place].iter().filter(|(_, other, ..)| other.id == grant.id).count();
            let served = if grant.reads.hour == hour { grant.reads.served as usize } else { 0 };
            if served + earlier >= grant.reads_per_hour as usize {
                let most = u64::from(grant.reads_per_hour);
                return Err(Refusal::TooManyReads { peer: peer.to_owned(), path: path.clone(), most }.into());
            }
        }
        let get = self.waits.start_get(tx, ticket, views, peer);
        for (index, grant, selector, record, path) in live {
            let mut grant = Grant::find(tx, relationship.id, grant.id)?.unwrap_or(grant);
            if grant.reads.hour != hour {
                grant.reads = grant::ReadCount { hour, served: 0, refused: 0 };
            }
            grant.reads.served += 1;
            grant.save(tx);
            let mut nonce = [0; 16];
            tx.dice.fill_bytes(&mut nonce);
            log::append(tx, &relationship, &Body::Read(Read { grant: grant.id, selector, record, nonce }), None)?;
            self.waits.start_read(nonce, get, index, relationship.id, grant.id, selector, record, path);
        }
        Ok(())
    }
}

fn everything() -> Page {
    Page { limit: usize::MAX - 1, after: None }
}

fn own_fields(tx: &Tx<'_>, paths: &[Path]) -> Result<Vec<FieldView>, Stop> {
    let mut views = Vec::new();
    for path in paths {
        match path {
            Path::Field(path) => views.push(record::field(tx, path)?),
            Path::Record(record) => views.extend(record::fields(tx, record)?),
        }
    }
    Ok(views)
}

/// What of an ask is lent: all of it, or what was chosen.
fn chosen(ask: &Ask, only: Vec<Selector>) -> Result<Vec<Selector>, Refusal> {
    if only.is_empty() {
        return Ok(ask.selectors().cloned().collect());
    }
    match only.iter().find(|selector| !ask.selectors().any(|asked| asked == *selector)) {
        Some(stranger) => Err(Refusal::NotAsked { selector: stranger.to_string() }),
        None => Ok(only),
    }
}

fn grant_detail(tx: &Tx<'_>, id: &str) -> Result<Answer, Stop> {
    let grant = Grant::named(tx, id)?;
    let relationship = Relationship::load(tx, grant.relationship)?;
    let shown = view::grant(tx, &grant)?.ok_or_else(|| Refusal::NoSuchGrant { id: id.to_owned() })?;
    let entries = view::entries_of(tx, &relationship, &grant)?;
    let name = grant.id.to_string();
    let used = usage::list(tx, &relationship)?.into_iter().filter(|used| used.grant == name).collect();
    Ok(Answer::Grant { grant: Box::new(shown), entries, used })
}

fn used(tx: &Tx<'_>, peer: Option<&str>, page: &Page) -> Result<Answer, Stop> {
    let relationships = match peer {
        Some(peer) => vec![Relationship::named(tx, peer)?],
        None => Relationship::all(tx)?,
    };
    let mut items = Vec::new();
    for relationship in &relationships {
        items.extend(usage::list(tx, relationship)?);
    }
    items.sort_by_key(|used| used.at);
    let start: usize = page.after.as_ref().and_then(|after| after.parse().ok()).unwrap_or(0);
    let total = items.len();
    let items: Vec<_> = items.into_iter().skip(start).take(page.limit).collect();
    let reached = start + items.len();
    let next = (reached < total).then(|| reached.to_string());
    Ok(Answer::Used(crate::command::Listing { items, next }))
}
