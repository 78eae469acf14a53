//! Long work with a cursor: done in steps, resumed at start, and what is stored is true after every step.
//!
//! A job is one row. Each step takes up to its share of writes and either finishes (the row goes) or stores how far it came.

use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    grant::Grant,
    holding,
    id::{GrantId, RelationshipId},
    log,
    relationship::Relationship,
    store::StoreFault,
    table::{Key, Sealing, Table},
    tx::{Stop, Tx},
    wire::body::{Body, Purged},
};

/// Rows that one step of a job touches.
const ROWS_PER_STEP: usize = 900;

/// Work that one step cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Job {
    /// Forget what was due under a grant that ended.
    DropDue { grant: GrantId },
    /// Drop the cells of taken-back selectors, then say so.
    Purge { relationship: RelationshipId, grant: GrantId, selectors: Vec<u16>, announce: Announce },
    /// Give a bucket a new key, and seal all its rows under that: what the old key opened in old bytes opens no more.
    Reseal { bucket: u8, stage: ResealStage, again: bool },
    /// Drop the cells and keys of these selectors that are of an epoch below the one named: after a restore their owner sends all of it again.
    DropOlder { grant: GrantId, below: Vec<(u16, u32)>, after: Option<Vec<u8>> },
}

/// How far the change of a bucket's key is. One bucket has one such job; what is removed meanwhile starts it over (`again`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResealStage {
    /// The new key is not in the vault file yet.
    Waiting,
    /// Rows are being sealed under the new key, from this one on.
    Rows { table: u8, after: Option<Vec<u8>> },
    /// No row needs the old key; it is still in the vault file.
    Finished,
}

/// Whether the end of a purge is told to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Announce {
    Tell,
    /// The relationship is closed: its own entry says it.
    Silent,
}

impl Coded for Job {}

/// What a step of a job left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStep {
    /// More to do.
    Goes,
    /// Done.
    Done,
}

impl Job {
    /// Notes work to be done.
    pub fn start(self, tx: &mut Tx<'_>) {
        let mut id = [0; 16];
        tx.dice.fill_bytes(&mut id);
        tx.put(&Key::job(id), &self);
        tx.note_job();
    }

    /// What was just removed from this bucket is to be unreadable in old bytes too.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn reseal(tx: &mut Tx<'_>, bucket: u8) -> Result<(), StoreFault> {
        let mut id = [0; 16];
        id[0] = bucket;
        let key = Key::job(id);
        let job = match tx.get::<Self>(&key)? {
            Some(Self::Reseal { stage, .. }) if stage != ResealStage::Waiting => {
                Self::Reseal { bucket, stage, again: true }
            }
            _ => Self::Reseal { bucket, stage: ResealStage::Waiting, again: false },
        };
        tx.put(&key, &job);
        tx.note_job();
        Ok(())
    }

    /// The first job that there is.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn first(tx: &Tx<'_>) -> Result<Option<(Key, Self)>, StoreFault> {
        Ok(tx.scan::<Self>(&Key::table(Table::Jobs), None, 1)?.into_iter().next())
    }

    /// Does one step's worth.
    ///
    /// # Errors
    /// [`Stop::Fault`].
    pub fn step(self, tx: &mut Tx<'_>, key: &Key) -> Result<JobStep, Stop> {
        match self {
            Self::DropDue { grant } => {
                let rows = tx.scan_raw(&Key::due_of(grant), None, ROWS_PER_STEP)?;
                for (row, _) in &rows {
                    tx.delete(row);
                }
                Ok(finish(tx, key, rows.len() < ROWS_PER_STEP))
            }
            Self::Purge { relationship, grant, selectors, announce } => {
                let mut left = ROWS_PER_STEP;
                for selector in &selectors {
                    let rows = tx.scan_raw(&Key::cells_of(grant, *selector), None, left)?;
                    left -= rows.len();
                    for (row, _) in &rows {
                        tx.delete(row);
                    }
                }
                let done = left > 0;
                if done {
                    let relationship = Relationship::load(tx, relationship)?;
                    // Old bytes hold the keys that went: under the grant's bucket, and in the chain values of the peer's log.
                    Self::reseal(tx, grant.as_bytes()[0])?;
                    Self::reseal(tx, relationship.id.as_bytes()[0])?;
                    if let Some(mut row) = Grant::find(tx, relationship.id, grant)? {
                        holding::mark_purged(tx, &mut row);
                    }
                    if announce == Announce::Tell {
                        let body = Body::Purged(Purged::Selectors { grant, selectors });
                        log::append(tx, &relationship, &body, None)?;
                    }
                }
                Ok(finish(tx, key, done))
            }
            Self::DropOlder { grant, mut below, after } => {
                let Some((place, epoch)) = below.first().copied() else {
                    Self::reseal(tx, grant.as_bytes()[0])?;
                    return Ok(finish(tx, key, true));
                };
                let start = after.map(Key::from_stored);
                let rows = tx.scan_raw(&Key::cells_of(grant, place), start.as_ref(), ROWS_PER_STEP)?;
                for (row, stored) in &rows {
                    if holding::is_older(stored, epoch)? {
                        tx.delete(row);
                    }
                }
                let after = if rows.len() < ROWS_PER_STEP {
                    holding::destroy_older_keys(tx, grant, place, epoch)?;
                    below.remove(0);
                    None
                } else {
                    rows.last().map(|(row, _)| row.as_bytes().to_vec())
                };
                tx.put(key, &Self::DropOlder { grant, below, after });
                Ok(JobStep::Goes)
            }
            Self::Reseal { bucket, stage: ResealStage::Waiting, again } => {
                let stage = ResealStage::Rows { table: 0, after: None };
                tx.put(key, &Self::Reseal { bucket, stage, again });
                Ok(JobStep::Goes)
            }
            Self::Reseal { bucket, stage: ResealStage::Rows { table, after }, again } => {
                let stage = reseal_rows(tx, bucket, table, after)?;
                tx.put(key, &Self::Reseal { bucket, stage, again });
                Ok(JobStep::Goes)
            }
            Self::Reseal { bucket, stage: ResealStage::Finished, again } => {
                tx.delete(key);
                if again {
                    Self::reseal(tx, bucket)?;
                }
                Ok(JobStep::Done)
            }
        }
    }
}

fn finish(tx: &mut Tx<'_>, key: &Key, done: bool) -> JobStep {
    if done {
        tx.delete(key);
        JobStep::Done
    } else {
        JobStep::Goes
    }
}

fn reseal_rows(tx: &mut Tx<'_>, bucket: u8, table: u8, after: Option<Vec<u8>>) -> Result<ResealStage, Stop> {
    const ROWS_AT_ONCE: usize = ROWS_PER_STEP / 4;
    let Some(present) = Table::ALL.get(usize::from(table)).copied() else { return Ok(ResealStage::Finished) };
    let next_table = ResealStage::Rows { table: table + 1, after: None };
    if present.sealing() == Sealing::Raw {
        return Ok(next_table);
    }
    let start = after.map(Key::from_stored);
    let rows = tx.scan_raw(&Key::bucket_prefix(present, bucket), start.as_ref(), ROWS_AT_ONCE)?;
    let mut last = None;
    for (row, stored) in &rows {
        tx.reseal(row, stored)?;
        last = Some(row.as_bytes().to_vec());
    }
    let more = rows.len() == ROWS_AT_ONCE;
    Ok(if more { ResealStage::Rows { table, after: last } } else { next_table })
}
