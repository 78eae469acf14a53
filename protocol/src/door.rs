//! The one door: a verified entry becomes something to act on here, or nowhere.
//!
//! Whether the other side *signed* an entry was settled by [`crate::log::receive`]; whether it *may* say that is settled here, from the
//! relationship's state and from whom the grant or ask belongs to. What is signed and not allowed stays in the log, and is not acted upon.

use allod_crypto::Zeroizing;

use crate::{
    ask::Ask,
    command::{AskState, Direction, PeerState},
    grant::Grant,
    log::Verified,
    relationship::Relationship,
    restore,
    store::StoreFault,
    table::Key,
    time::Timestamp,
    tx::Tx,
    wire::body::{
        Answered, AskEnd, Asked, Body, Cells, Granted, KeysChanged, Profile, Purged, Read, Rekey, RekeyStep, Resumed,
        Revoked, Served, Used,
    },
};

/// Something that the other side said and may say: made by [`authorize`] alone.
#[derive(Debug)]
pub struct Authorized<T> {
    body: T,
    at: Timestamp,
    sequence: u64,
    payload: Option<Zeroizing<Vec<u8>>>,
}

impl<T> Authorized<T> {
    /// What it says.
    #[must_use]
    pub fn body(&self) -> &T {
        &self.body
    }

    /// When its writer says that it was written.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Its place in the log.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its delivery, if that came with it.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_ref().map(|payload| payload.as_slice())
    }
}

/// What to act on, each with the row that allows it.
#[derive(Debug)]
pub enum Order {
    Paired(Authorized<Profile>),
    Profile(Authorized<Profile>),
    Asked(Authorized<Asked>),
    Answered(Authorized<Answered>, Box<Ask>),
    Granted(Authorized<Granted>),
    Keys(Authorized<KeysChanged>, Box<Grant>),
    Cells(Authorized<Cells>, Box<Grant>),
    Revoked(Authorized<Revoked>, Box<Grant>),
    Purged(Authorized<Purged>, Box<Grant>),
    Read(Authorized<Read>, Box<Grant>),
    Served(Authorized<Served>, Box<Grant>),
    Used(Authorized<Used>),
    Rekey(Authorized<Rekey>),
    Closed(Authorized<()>),
    Resumed(Authorized<Resumed>),
    /// A kind of a newer version: kept, shown, not acted upon.
    Unknown,
}

/// Lets an entry in, or keeps it out (`None`).
///
/// # Errors
/// [`StoreFault`].
pub fn authorize(tx: &Tx<'_>, relationship: &Relationship, verified: Verified) -> Result<Option<Order>, StoreFault> {
    let (sequence, at, body, payload) = verified.into_parts();
    if !state_allows(tx, relationship, sequence, &body)? {
        return Ok(None);
    }
    let held = |grant| -> Result<Option<Box<Grant>>, StoreFault> {
        let row = Grant::find(tx, relationship.id, grant)?;
        Ok(row.filter(|row| row.direction == Direction::Held).map(Box::new))
    };
    let given = |grant| -> Result<Option<Box<Grant>>, StoreFault> {
        let row = Grant::find(tx, relationship.id, grant)?;
        Ok(row.filter(|row| row.direction == Direction::Given).map(Box::new))
    };
    let order =
        match body {
            Body::Paired(paired) => Some(Order::Paired(Authorized { body: paired.profile, at, sequence, payload })),
            Body::Profile(profile) => Some(Order::Profile(Authorized { body: profile, at, sequence, payload })),
            Body::Asked(asked) => {
                // New to this node: two peers who agree on an id could else turn the ask of one into that of the other.
                let known = tx.has(&Key::ask_id(asked.ask))?;
                (!known).then_some(Order::Asked(Authorized { body: asked, at, sequence, payload }))
            }
            Body::Answered(answered) => {
                let ask = Ask::find(tx, relationship.id, answered.ask)?.filter(|ask| {
                    let ours = ask.direction == Direction::Held;
                    ask.state == AskState::Open && ours == (answered.end == AskEnd::Declined)
                });
                ask.map(|ask| Order::Answered(Authorized { body: answered, at, sequence, payload }, Box::new(ask)))
            }
            Body::Granted(granted) => {
                // New to this node: keys, cells and ends stand under the grant's id alone, whosever it is.
                let known = tx.has(&Key::grant_id(granted.grant))?;
                (!known).then_some(Order::Granted(Authorized { body: granted, at, sequence, payload }))
            }
            Body::Keys(keys) => {
                held(keys.grant)?.map(|grant| Order::Keys(Authorized { body: keys, at, sequence, payload }, grant))
            }
            Body::Cells(cells) => {
                held(cells.grant)?.map(|grant| Order::Cells(Authorized { body: cells, at, sequence, payload }, grant))
            }
            Body::Revoked(revoked) => held(revoked.grant)?
                .map(|grant| Order::Revoked(Authorized { body: revoked, at, sequence, payload }, grant)),
            Body::Purged(purged) => {
                let grant = match &purged {
                    Purged::Selectors { grant, .. } | Purged::Cells { grant, .. } => *grant,
                };
                given(grant)?.map(|grant| Order::Purged(Authorized { body: purged, at, sequence, payload }, grant))
            }
            Body::Read(read) => {
                given(read.grant)?.map(|grant| Order::Read(Authorized { body: read, at, sequence, payload }, grant))
            }
            Body::Served(served) => held(served.grant)?
                .map(|grant| Order::Served(Authorized { body: served, at, sequence, payload }, grant)),
            Body::Used(used) => Some(Order::Used(Authorized { body: used, at, sequence, payload })),
            Body::Rekey(rekey) => Some(Order::Rekey(Authorized { body: rekey, at, sequence, payload })),
            Body::Closed(_) => Some(Order::Closed(Authorized { body: (), at, sequence, payload })),
            Body::Resumed(resumed) => Some(Order::Resumed(Authorized { body: resumed, at, sequence, payload })),
            Body::Unknown { .. } => Some(Order::Unknown),
        };
    Ok(order)
}

/// What each state lets in. Frozen and closed never keep out what takes something back.
fn state_allows(tx: &Tx<'_>, relationship: &Relationship, sequence: u64, body: &Body) -> Result<bool, StoreFault> {
    let first = matches!(body, Body::Paired(_) | Body::Resumed(_));
    if first != (sequence == 1) {
        return Ok(false);
    }
    if first && matches!(body, Body::Resumed(_)) != restore::is_resumed(tx, relationship)? {
        return Ok(false);
    }
    Ok(match relationship.state {
        PeerState::Pending => first || matches!(body, Body::Closed(_)),
        PeerState::Paired | PeerState::Restored => true,
        PeerState::Frozen | PeerState::Closed => match body {
            Body::Revoked(_) | Body::Purged(_) | Body::Closed(_) => true,
            Body::Resumed(_) => relationship.state == PeerState::Closed,
            // A change of keys that was begun goes on, or what is taken back later could not be opened. None begins.
            Body::Rekey(rekey) => !matches!(rekey.step, RekeyStep::Start { .. }),
            _ => false,
        },
    })
}
