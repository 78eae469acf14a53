//! Use: counted where a value is handed out and nowhere else, and reported to whoever lent it.
//!
//! A read must cost microseconds, so counts gather in memory for a moment, then in the store, and travel as one `Used` entry when the
//! other side is there. A count that a crash takes with it was never reported: reports are what an honest node says, not a proof.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    command::{Direction, UsedView},
    door::Authorized,
    grant::Grant,
    holding::tell,
    id::{GrantId, LogId, RelationshipId},
    limits::{SELECTORS_MAX, USED_REPORT_EVERY},
    log,
    relationship::Relationship,
    store::StoreFault,
    table::Key,
    time::{Now, Timestamp},
    tx::{Stop, Tx},
    wire::body::{Body, UseLine, Used},
};

/// A count that waits for its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    count: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Coded for Count {}

/// A report as both sides keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Report {
    at: Timestamp,
    direction: Direction,
    line: UseLine,
}

impl Coded for Report {}

/// How many counts gather in memory before they are written: a bound, not a goal.
const COUNTS_MAX: usize = 4_096;

/// Counts in memory.
#[derive(Debug, Default)]
pub struct Uses {
    counts: HashMap<(RelationshipId, GrantId, u16), Count>,
    since: Option<Duration>,
}

impl Uses {
    /// A value was handed out.
    pub fn count(&mut self, relationship: RelationshipId, grant: GrantId, selector: u16, now: Now) {
        let fresh = Count { count: 0, from: now.wall, to: now.wall };
        let count = self.counts.entry((relationship, grant, selector)).or_insert(fresh);
        count.count += 1;
        count.to = count.to.max(now.wall);
        self.since.get_or_insert(now.running);
    }

    /// When the counts are to be written, on the monotonic clock.
    #[must_use]
    pub fn due_at(&self) -> Option<Duration> {
        if self.counts.len() >= COUNTS_MAX {
            return self.since;
        }
        self.since.map(|since| since + USED_REPORT_EVERY)
    }

    /// Writes what gathered in memory. Returns the relationships concerned.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn write(&mut self, tx: &mut Tx<'_>) -> Result<Vec<RelationshipId>, StoreFault> {
        let mut concerned = Vec::new();
        // In order of key: what is written depends on nothing that is drawn at each start.
        for ((relationship, grant, selector), count) in BTreeMap::from_iter(std::mem::take(&mut self.counts)) {
            let key = Key::uses(relationship, grant, selector);
            let stored: Option<Count> = tx.get(&key)?;
            let sum = match stored {
                Some(stored) => Count {
                    count: stored.count + count.count,
                    from: stored.from.min(count.from),
                    to: stored.to.max(count.to),
                },
                None => count,
            };
            tx.put(&key, &sum);
            if concerned.last() != Some(&relationship) {
                concerned.push(relationship);
            }
        }
        self.since = None;
        Ok(concerned)
    }
}

/// Reports what was counted under the grants of one peer, in one entry.
///
/// # Errors
/// [`StoreFault`].
pub fn report(tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), StoreFault> {
    let mut lines = Vec::new();
    for (key, count) in tx.scan::<Count>(&Key::uses_of(relationship.id), None, SELECTORS_MAX)? {
        let grant_id = GrantId::from_bytes(key.sixteen(16));
        let selector = u16::from_be_bytes([key.as_bytes()[33], key.as_bytes()[34]]);
        tx.delete(&key);
        if let Some(mut grant) = Grant::find(tx, relationship.id, grant_id)? {
            lines.push(UseLine {
                grant: grant_id,
                selector,
                purpose: grant.purpose.clone(),
                count: count.count,
                from: count.from,
                to: count.to,
            });
            grant.uses = grant.uses.saturating_add(count.count);
            grant.last_use = Some(count.to);
            grant.save(tx);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let sequence = log::append(tx, relationship, &Body::Used(Used { lines: lines.clone() }), None)?;
    let log = log::own(tx, relationship)?.log;
    keep(tx, relationship, log, sequence, Direction::Held, tx.wall(), lines);
    Ok(())
}

fn keep(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    log: LogId,
    sequence: u64,
    direction: Direction,
    at: Timestamp,
    lines: Vec<UseLine>,
) {
    for (index, line) in lines.into_iter().enumerate() {
        let index = u16::try_from(index).expect("lines are capped");
        tx.put(&Key::use_report(relationship.id, log, sequence, index), &Report { at, direction, line });
    }
}

/// A report comes in.
///
/// # Errors
/// [`Stop::Fault`].
pub fn reported(tx: &mut Tx<'_>, relationship: &Relationship, order: &Authorized<Used>) -> Result<(), Stop> {
    let mut lines = Vec::new();
    for line in &order.body().lines {
        let grant = Grant::find(tx, relationship.id, line.grant)?;
        let known = grant.filter(|grant| grant.direction == Direction::Given && grant.lent(line.selector).is_some());
        let Some(mut grant) = known else { continue };
        grant.uses = grant.uses.saturating_add(line.count);
        grant.last_use = Some(line.to.min(tx.wall()));
        grant.save(tx);
        tell(tx, relationship, "used", Some(&grant), order.at());
        lines.push(line.clone());
    }
    let log = log::theirs(tx, relationship)?.log;
    keep(tx, relationship, log, order.sequence(), Direction::Given, order.at(), lines);
    Ok(())
}

/// Reports with a peer, oldest first.
///
/// # Errors
/// [`StoreFault`].
pub fn list(tx: &Tx<'_>, relationship: &Relationship) -> Result<Vec<UsedView>, StoreFault> {
    let mut views = Vec::new();
    for (_, report) in tx.scan::<Report>(&Key::use_reports_of(relationship.id), None, usize::MAX)? {
        let Some(grant) = Grant::find(tx, relationship.id, report.line.grant)? else { continue };
        let Some(lent) = grant.lent(report.line.selector) else { continue };
        views.push(UsedView {
            at: report.at,
            peer: relationship.petname.clone(),
            direction: report.direction,
            grant: grant.id.to_string(),
            path: lent.selector.to_string(),
            purpose: report.line.purpose,
            count: report.line.count,
            from: report.line.from,
            to: report.line.to,
        });
    }
    views.sort_by_key(|view| view.at);
    Ok(views)
}
