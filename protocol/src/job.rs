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
    /// Seal all rows of a bucket under its new key. The bucket's old key goes when this is done.
    Reseal { bucket: u8, table: u8, after: Option<Vec<u8>> },
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
    /// Done, and this bucket's old key is not needed any more.
    Resealed { bucket: u8 },
}

impl Job {
    /// Notes work to be done.
    pub fn start(self, tx: &mut Tx<'_>) {
        let mut id = [0; 16];
        tx.dice.fill_bytes(&mut id);
        tx.put(&Key::job(id), &self);
        tx.note_job();
    }

    /// The first job that there is.
    ///
    /// # Errors
    /// [`crate::store::StoreFault`].
    pub fn first(tx: &Tx<'_>) -> Result<Option<(Key, Self)>, crate::store::StoreFault> {
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
            Self::Reseal { bucket, table, after } => reseal(tx, key, bucket, table, after),
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

fn reseal(tx: &mut Tx<'_>, key: &Key, bucket: u8, table: u8, after: Option<Vec<u8>>) -> Result<JobStep, Stop> {
    let number = usize::from(table);
    let Some(present) = Table::ALL.get(number).copied() else {
        tx.delete(key);
        return Ok(JobStep::Resealed { bucket });
    };
    let next_table = Job::Reseal { bucket, table: table + 1, after: None };
    if present.sealing() == Sealing::Raw {
        tx.put(key, &next_table);
        return Ok(JobStep::Goes);
    }
    let start = after.map(Key::from_stored);
    let rows = tx.scan_raw(&Key::bucket_prefix(present, bucket), start.as_ref(), ROWS_PER_STEP / 4)?;
    let mut last = None;
    for (row, stored) in &rows {
        tx.reseal(row, stored)?;
        last = Some(row.as_bytes().to_vec());
    }
    let next = if rows.len() < ROWS_PER_STEP / 4 { next_table } else { Job::Reseal { bucket, table, after: last } };
    tx.put(key, &next);
    Ok(JobStep::Goes)
}
