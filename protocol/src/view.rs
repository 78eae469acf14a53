//! What people see: listings put together from rows, and the check of whole logs.
//!
//! Nothing here changes anything. A listing reads what it shows and no more of the store than that.

use std::collections::BTreeMap;

use allod_crypto::sha256;

use crate::{
    command::{
        AskView, Direction, EntryView, FieldView, GrantState, GrantView, Listing, LogQuery, Page, PeerState, PeerView,
        VerifiedView,
    },
    contact::Contacts,
    delivery,
    grant::{Grant, hex},
    id::{GrantId, LogId, RelationshipId},
    log,
    path::{FieldPath, Selector},
    record,
    relationship::Relationship,
    restore,
    session::Sessions,
    store::StoreFault,
    table::{EntryPart, Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    wire::{
        body::{AskEnd, Body, Purged, ServedOutcome},
        header::{ENTRY_DOMAIN, Header},
    },
};

/// The message ids of all lines that views hold, each with its facts: what the catalogues must cover.
pub const LINES: &[(&str, &[&str])] = &[
    ("log-paired", &["name"]),
    ("log-resumed", &[]),
    ("log-profile", &["name"]),
    ("log-asked", &["selectors", "purpose"]),
    ("log-declined", &["ask"]),
    ("log-withdrawn", &["ask"]),
    ("log-granted", &["selectors", "purpose", "mode"]),
    ("log-keys", &["selectors"]),
    ("log-cells", &["selectors", "count", "gone"]),
    ("log-revoked", &["selectors"]),
    ("log-purged", &["selectors"]),
    ("log-purged-cells", &["selectors", "count"]),
    ("log-read", &["selectors"]),
    ("log-served", &["selectors"]),
    ("log-served-nothing", &["selectors"]),
    ("log-served-refused", &["selectors"]),
    ("log-served-too-many", &["selectors", "count"]),
    ("log-used", &["selectors", "count"]),
    ("log-rekey", &[]),
    ("log-closed", &[]),
    ("log-unknown", &["kind"]),
    ("verify-missing", &["peer", "log", "seq"]),
    ("verify-broken", &["peer", "log", "seq"]),
    ("verify-signature", &["peer", "log", "seq"]),
    ("verify-body", &["peer", "log", "seq"]),
    ("verify-head", &["peer", "log", "seq"]),
    ("verify-fork", &["peer", "log", "seq"]),
    ("verify-counts", &["seq"]),
    ("peer-unreachable", &[]),
    ("peer-refused", &[]),
    ("peer-clock", &[]),
    ("peer-misbehaved", &[]),
];

/// What a peer looks like now.
///
/// # Errors
/// [`StoreFault`].
pub fn peer(
    tx: &Tx<'_>,
    relationship: &Relationship,
    sessions: &Sessions,
    contacts: &Contacts,
) -> Result<PeerView, StoreFault> {
    let own = log::own(tx, relationship)?;
    let their = log::theirs(tx, relationship)?;
    let grants = Grant::live_with(tx, relationship.id)?;
    let heard = their.head.map(|head| (head.at, head.until));
    let held = grants.iter().filter(|grant| grant.direction == Direction::Held && grant.is_active(tx.wall()));
    let lease_until = held.filter_map(|grant| grant.lease_until(heard)).min();
    let given: Vec<Grant> = grants.iter().filter(|grant| grant.direction == Direction::Given).cloned().collect();
    let confirmed = relationship.state != PeerState::Pending;
    Ok(PeerView {
        peer: relationship.petname.clone(),
        kind: confirmed.then_some(relationship.their_profile.kind),
        calls_itself: relationship.their_profile.name.clone(),
        since: relationship.since,
        online: sessions.is_live(relationship.id),
        last_seen: their.last_seen,
        lease_until,
        theirs_seq: their.next - 1,
        mine_seq: own.next - 1,
        queued: own.next - 1 - own.acknowledged,
        due: delivery::count_due(tx, &given, 1_000)?,
        state: relationship.state,
        addresses: relationship.their_profile.addresses.clone(),
        last_problem: contacts.problem(relationship.id),
    })
}

/// A page of what is in memory already.
fn page<T>(items: Vec<T>, page: &Page, cursor: impl Fn(&T) -> String) -> Listing<T> {
    let start = match &page.after {
        Some(after) => items.iter().position(|item| cursor(item) == *after).map_or(0, |place| place + 1),
        None => 0,
    };
    let mut rest: Vec<T> = items.into_iter().skip(start).take(page.limit.saturating_add(1)).collect();
    let more = rest.len() > page.limit;
    rest.truncate(page.limit);
    let next = if more { rest.last().map(&cursor) } else { None };
    Listing { items: rest, next }
}

/// Petnames and newest heads, looked up once per relationship.
struct Peers<'a, 'tx> {
    tx: &'a Tx<'tx>,
    known: BTreeMap<RelationshipId, Option<PeerFacts>>,
}

#[derive(Clone)]
struct PeerFacts {
    petname: String,
    /// What we lend it waits for our person.
    suspended: bool,
    their_heard: Option<(Timestamp, Timestamp)>,
}

impl<'a, 'tx> Peers<'a, 'tx> {
    fn new(tx: &'a Tx<'tx>) -> Self {
        Self { tx, known: BTreeMap::new() }
    }

    fn facts(&mut self, id: RelationshipId) -> Result<Option<PeerFacts>, StoreFault> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let facts = match Relationship::find(self.tx, id)? {
            Some(relationship) => {
                let their = log::theirs(self.tx, &relationship)?;
                let their_heard = their.head.map(|head| (head.at, head.until));
                let suspended = relationship.state == PeerState::Restored;
                Some(PeerFacts { petname: relationship.petname, suspended, their_heard })
            }
            None => None,
        };
        self.known.insert(id, facts.clone());
        Ok(facts)
    }

    fn grant(&mut self, grant: &Grant) -> Result<Option<GrantView>, StoreFault> {
        let Some(facts) = self.facts(grant.relationship)? else { return Ok(None) };
        // What we lend is good for as long as our own last head says: the peer's copy of it is as old as the last contact.
        let heard = match grant.direction {
            Direction::Held => facts.their_heard,
            Direction::Given => self.given_heard(grant)?,
        };
        let mut view = grant.view(&facts.petname, self.tx.wall(), heard);
        if facts.suspended && grant.direction == Direction::Given && view.state == GrantState::Active {
            view.state = GrantState::Suspended;
            view.lease_until = None;
        }
        Ok(Some(view))
    }

    /// When the peer last had a head of ours: at the latest when we last heard from it.
    fn given_heard(&self, grant: &Grant) -> Result<Option<(Timestamp, Timestamp)>, StoreFault> {
        let their: Option<log::TheirLog> = self.tx.get(&Key::their_log(grant.relationship))?;
        let at = their.and_then(|their| their.last_seen).unwrap_or(grant.not_before);
        Ok(Some((at, Timestamp::NEVER)))
    }
}

/// Grants that a filter lets through, oldest first.
///
/// # Errors
/// [`StoreFault`].
pub fn grants(
    tx: &Tx<'_>,
    relationship: Option<RelationshipId>,
    wanted: impl Fn(&Grant) -> bool,
    of: &Page,
) -> Result<Listing<GrantView>, StoreFault> {
    let mut found = match relationship {
        Some(id) => Grant::with(tx, id)?,
        None => Grant::all(tx)?,
    };
    found.retain(|grant| wanted(grant));
    found.sort_by_key(|grant| (grant.not_before, grant.id));
    let mut peers = Peers::new(tx);
    let mut views = Vec::with_capacity(found.len());
    for grant in &found {
        views.extend(peers.grant(grant)?);
    }
    Ok(page(views, of, |view| view.grant.clone()))
}

/// One grant as people see it.
///
/// # Errors
/// [`StoreFault`].
pub fn grant(tx: &Tx<'_>, row: &Grant) -> Result<Option<GrantView>, StoreFault> {
    Peers::new(tx).grant(row)
}

/// Asks that a direction lets through, oldest first.
///
/// # Errors
/// [`StoreFault`].
pub fn asks(tx: &Tx<'_>, direction: Option<Direction>, of: &Page) -> Result<Listing<AskView>, StoreFault> {
    let mut peers = Peers::new(tx);
    let mut views = Vec::new();
    for ask in crate::ask::Ask::all(tx)? {
        if direction.is_none_or(|wanted| wanted == ask.direction)
            && let Some(facts) = peers.facts(ask.relationship)?
        {
            views.push(ask.view(&facts.petname));
        }
    }
    Ok(page(views, of, |view| view.ask.clone()))
}

/// The exact values that would leave under these selectors, a thousand at most for each column.
///
/// # Errors
/// [`Stop`].
pub fn preview(tx: &Tx<'_>, selectors: &[Selector], missing: Missing) -> Result<Vec<FieldView>, Stop> {
    const ROWS_SHOWN: usize = 1_000;
    let mut views = Vec::new();
    for selector in selectors {
        match selector {
            Selector::Field(path) => match record::field(tx, path) {
                Ok(mut view) => {
                    view.selector = Some(selector.clone());
                    views.push(view);
                }
                Err(Stop::Refused(_)) if missing == Missing::Skipped => {}
                Err(stop) => return Err(stop),
            },
            Selector::Column { kind, field } => {
                let of = Page { limit: ROWS_SHOWN, after: None };
                for exported in record::export(tx, Some(kind), &of)?.items {
                    let path: FieldPath = exported.record.field(field.clone());
                    match record::field(tx, &path) {
                        Ok(mut view) => {
                            view.selector = Some(selector.clone());
                            views.push(view);
                        }
                        Err(Stop::Refused(_)) => {}
                        Err(stop) => return Err(stop),
                    }
                }
            }
        }
    }
    Ok(views)
}

/// What a preview does with a field that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Refused,
    Skipped,
}

/// All that passed, oldest first.
///
/// # Errors
/// [`Stop`].
pub fn entries(tx: &Tx<'_>, query: &LogQuery) -> Result<Listing<EntryView>, Stop> {
    let relationships = match &query.peer {
        Some(peer) => vec![Relationship::named(tx, peer)?],
        None => Relationship::all(tx)?,
    };
    let mut views = Vec::new();
    for relationship in &relationships {
        for (log, direction) in restore::logs(tx, relationship)? {
            views.extend(log_entries(tx, relationship, log, direction, |at, _| {
                query.since.is_none_or(|since| at >= since)
            })?);
        }
    }
    views.sort_by(|one, other| (one.at, &one.log, one.seq).cmp(&(other.at, &other.log, other.seq)));
    Ok(page(views, &query.page, |view| format!("{}:{}", view.log, view.seq)))
}

fn log_entries(
    tx: &Tx<'_>,
    relationship: &Relationship,
    log: LogId,
    direction: &'static str,
    wanted: impl Fn(Timestamp, &Body) -> bool,
) -> Result<Vec<EntryView>, StoreFault> {
    let mut views = Vec::new();
    for sequence in 1.. {
        let Some((wire, body)) = log::kept_body(tx, relationship, log, sequence)? else { break };
        if wanted(wire.at, &body) {
            views.push(entry(tx, relationship, log, sequence, direction, wire.at, &body)?);
        }
    }
    Ok(views)
}

/// The entries of one grant, both ways, oldest first.
///
/// # Errors
/// [`StoreFault`].
pub fn entries_of(tx: &Tx<'_>, relationship: &Relationship, grant: &Grant) -> Result<Vec<EntryView>, StoreFault> {
    let mut views = Vec::new();
    for (log, direction) in restore::logs(tx, relationship)? {
        views.extend(log_entries(tx, relationship, log, direction, |_, body| concerns(body, grant.id))?);
    }
    views.sort_by_key(|view| view.at);
    Ok(views)
}

/// Whether an entry says something of this grant.
fn concerns(body: &Body, grant: GrantId) -> bool {
    match body {
        Body::Granted(granted) => granted.grant == grant,
        Body::Keys(keys) => keys.grant == grant,
        Body::Cells(cells) => cells.grant == grant,
        Body::Revoked(revoked) => revoked.grant == grant,
        Body::Purged(Purged::Selectors { grant: named, .. } | Purged::Cells { grant: named, .. }) => *named == grant,
        Body::Read(read) => read.grant == grant,
        Body::Served(served) => served.grant == grant,
        Body::Used(used) => used.lines.iter().any(|line| line.grant == grant),
        Body::Paired(_)
        | Body::Profile(_)
        | Body::Asked(_)
        | Body::Answered(_)
        | Body::Rekey(_)
        | Body::Closed(_)
        | Body::Unknown { .. } => false,
        Body::Resumed(resumed) => resumed.given.iter().chain(&resumed.held).any(|stated| stated.grant == grant),
    }
}

fn entry(
    tx: &Tx<'_>,
    relationship: &Relationship,
    log: LogId,
    seq: u64,
    direction: &'static str,
    at: Timestamp,
    body: &Body,
) -> Result<EntryView, StoreFault> {
    let text = |selectors: &[Selector]| selectors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut selectors = Vec::new();
    let mut grant_id = None;
    let mut facts: Vec<(&'static str, String)> = Vec::new();
    let mut named = |grant, places: Vec<u16>| -> Result<Vec<String>, StoreFault> {
        grant_id = Some(grant);
        let row = Grant::find(tx, relationship.id, grant)?;
        Ok(row
            .map(|row| {
                places
                    .iter()
                    .filter_map(|place| row.lent(*place))
                    .map(|lent| lent.selector.to_string())
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default())
    };
    let id = match body {
        Body::Paired(paired) => {
            facts.push(("name", paired.profile.name.clone()));
            "log-paired"
        }
        Body::Profile(profile) => {
            facts.push(("name", profile.name.clone()));
            "log-profile"
        }
        Body::Asked(asked) => {
            selectors = text(&asked.required);
            selectors.extend(text(&asked.optional));
            facts.push(("purpose", asked.purpose.to_string()));
            "log-asked"
        }
        Body::Answered(answered) => {
            facts.push(("ask", answered.ask.to_string()));
            if answered.end == AskEnd::Declined { "log-declined" } else { "log-withdrawn" }
        }
        Body::Granted(granted) => {
            grant_id = Some(granted.grant);
            selectors = text(&granted.selectors);
            facts.push(("purpose", granted.purpose.to_string()));
            facts.push(("mode", granted.mode.as_str().to_owned()));
            "log-granted"
        }
        Body::Keys(keys) => {
            selectors = named(keys.grant, keys.keys.iter().map(|(place, _)| *place).collect())?;
            "log-keys"
        }
        Body::Cells(cells) => {
            let mut places: Vec<u16> = cells.cells.iter().map(|cell| cell.selector).collect();
            places.sort_unstable();
            places.dedup();
            selectors = named(cells.grant, places)?;
            let gone = cells.cells.iter().filter(|cell| cell.gone).count();
            facts.push(("count", (cells.cells.len() - gone).to_string()));
            facts.push(("gone", gone.to_string()));
            "log-cells"
        }
        Body::Revoked(revoked) => {
            selectors = named(revoked.grant, revoked.selectors.clone())?;
            "log-revoked"
        }
        Body::Purged(Purged::Selectors { grant, selectors: places }) => {
            selectors = named(*grant, places.clone())?;
            "log-purged"
        }
        Body::Purged(Purged::Cells { grant, cells }) => {
            selectors = named(*grant, cells.iter().map(|cell| cell.selector).collect())?;
            facts.push(("count", cells.len().to_string()));
            "log-purged-cells"
        }
        Body::Read(read) => {
            selectors = named(read.grant, vec![read.selector])?;
            "log-read"
        }
        Body::Served(served) => {
            selectors = named(served.grant, vec![served.selector])?;
            match served.outcome {
                ServedOutcome::Value { .. } => "log-served",
                ServedOutcome::Nothing => "log-served-nothing",
                ServedOutcome::Refused => "log-served-refused",
                ServedOutcome::TooMany { refused } => {
                    facts.push(("count", refused.to_string()));
                    "log-served-too-many"
                }
            }
        }
        Body::Used(used) => {
            let count: u64 = used.lines.iter().map(|line| line.count).fold(0, u64::saturating_add);
            for line in &used.lines {
                selectors.extend(named(line.grant, vec![line.selector])?);
            }
            if used.lines.windows(2).any(|pair| pair[0].grant != pair[1].grant) {
                grant_id = None;
            }
            facts.push(("count", count.to_string()));
            "log-used"
        }
        Body::Rekey(_) => "log-rekey",
        Body::Closed(_) => "log-closed",
        Body::Resumed(_) => "log-resumed",
        Body::Unknown { kind, .. } => {
            facts.push(("kind", kind.to_string()));
            "log-unknown"
        }
    };
    facts.push(("selectors", selectors.join(", ")));
    Ok(EntryView {
        at,
        peer: relationship.petname.clone(),
        direction,
        log: log.to_string(),
        seq,
        kind: body.name(),
        summary: (id, facts),
        grant: grant_id.map(|grant| grant.to_string()),
        selectors,
    })
}

/// Checks logs entry by entry: chain, signatures, hashes, bodies, and where the rows say that they stand.
///
/// # Errors
/// [`Stop`].
pub fn verify(tx: &Tx<'_>, peer: Option<&str>) -> Result<VerifiedView, Stop> {
    let relationships = match peer {
        Some(peer) => vec![Relationship::named(tx, peer)?],
        None => Relationship::all(tx)?,
    };
    let mut view = VerifiedView { ok: true, entries: 0, gaps: Vec::new(), heads: Vec::new() };
    for relationship in &relationships {
        let own = log::own(tx, relationship)?;
        let their = log::theirs(tx, relationship)?;
        let key = |sent| if sent { relationship.my_key() } else { relationship.their_key() };
        let former = restore::former(tx, relationship)?;
        let former = former.iter().map(|former| (former.log, former.next, former.last, key(former.sent)));
        let sides =
            former.chain([(own.log, own.next, own.last, key(true)), (their.log, their.next, their.last, key(false))]);
        for (log, next, last, key) in sides {
            let mut previous = [0; 32];
            for sequence in 1..next {
                if let Some(problem) = check_entry(tx, relationship, log, sequence, &mut previous, &key) {
                    view.gaps.push((
                        problem,
                        vec![
                            ("peer", relationship.petname.clone()),
                            ("log", log.to_string()),
                            ("seq", sequence.to_string()),
                        ],
                    ));
                }
                view.entries += 1;
            }
            if previous != last {
                view.gaps.push((
                    "verify-head",
                    vec![
                        ("peer", relationship.petname.clone()),
                        ("log", log.to_string()),
                        ("seq", (next - 1).to_string()),
                    ],
                ));
            }
            view.heads.push((log.to_string(), next - 1, hex(&last)));
        }
        if relationship.frozen.is_some() {
            view.gaps.push((
                "verify-fork",
                vec![
                    ("peer", relationship.petname.clone()),
                    ("log", their.log.to_string()),
                    ("seq", (their.next - 1).to_string()),
                ],
            ));
        }
    }
    if peer.is_none() {
        let (kept, counted) = (record::counts(tx)?, record::recount(tx)?);
        if kept != counted {
            view.gaps.push((
                "verify-counts",
                vec![
                    ("peer", String::new()),
                    ("log", String::new()),
                    ("seq", format!("{}/{}", counted.records, kept.records)),
                ],
            ));
        }
    }
    view.ok = view.gaps.is_empty();
    Ok(view)
}

fn check_entry(
    tx: &Tx<'_>,
    relationship: &Relationship,
    log: LogId,
    sequence: u64,
    previous: &mut [u8; 32],
    key: &allod_crypto::VerifyKey,
) -> Option<&'static str> {
    let stored = match tx.get_raw(&Key::entry(log, sequence, EntryPart::Header)) {
        Ok(Some(stored)) if stored.len() == Header::BYTES + 64 => stored,
        _ => return Some("verify-missing"),
    };
    let (bytes, signature) = stored.split_at(Header::BYTES);
    let bytes: &[u8; Header::BYTES] = bytes.try_into().ok()?;
    let signature: &[u8; 64] = signature.try_into().ok()?;
    let Some(header) = Header::from_bytes(bytes) else { return Some("verify-missing") };
    if key.verify(ENTRY_DOMAIN, bytes, signature).is_err() {
        return Some("verify-signature");
    }
    let follows = header.previous == *previous && header.sequence == sequence && header.log == log;
    *previous = header.hash();
    if !follows {
        return Some("verify-broken");
    }
    let body = tx.get_raw(&Key::entry(log, sequence, EntryPart::Body)).ok().flatten().unwrap_or_default();
    let intact =
        sha256(&[&body]) == header.body_hash && matches!(log::kept_body(tx, relationship, log, sequence), Ok(Some(_)));
    (!intact).then_some("verify-body")
}

/// How many relationships there are in a state.
///
/// # Errors
/// [`StoreFault`].
pub fn count_paired(tx: &Tx<'_>) -> Result<u64, StoreFault> {
    let rows = tx.scan::<Relationship>(&Key::table(Table::Relationships), None, usize::MAX)?;
    let paired = rows
        .iter()
        .filter(|(_, row)| matches!(row.state, PeerState::Paired | PeerState::Frozen | PeerState::Restored))
        .count();
    Ok(u64::try_from(paired).unwrap_or(u64::MAX))
}
