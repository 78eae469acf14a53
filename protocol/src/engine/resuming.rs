//! What is said in a session under the keys of a restore: where a log goes on, and from then on all that any session carries.

use crate::{
    effect::SessionId,
    id::RelationshipId,
    log,
    relationship::Relationship,
    restore::{self, Taken},
    tx::{Misbehaviour, Stop, Tx},
    wire::session::{RESTORE_GENERATION, Resumption},
};

use super::Live;

/// Who asked in what is said now: an answer may call for nothing, a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    Us,
    Them,
}

impl Live {
    /// What the other side says. Under the keys of a restore nothing counts before one of the two said where its log goes on.
    pub(super) fn said(
        &mut self,
        tx: &mut Tx<'_>,
        session: SessionId,
        said: Resumption,
        asking: Asking,
    ) -> Result<(), Stop> {
        let Resumption { offer, sync } = said;
        let Some(known) = self.sessions.get_mut(session) else { return Ok(()) };
        if known.generation != RESTORE_GENERATION {
            return self.sync(tx, session, sync);
        }
        let (id, link, resuming) = (known.relationship, known.link, known.resuming);
        let Some(mut relationship) = Relationship::find(tx, id)? else { return Ok(()) };
        let Some(offer) = offer else {
            if !resuming {
                self.sync(tx, session, sync)?;
                return self.beginning_arrived(tx, id);
            }
            if !sync.is_nothing() {
                return Err(Misbehaviour::Malformed.into());
            }
            let waits = restore::waits(tx, &relationship)?;
            if asking == Asking::Us && !waits {
                // Neither of us was put back: whatever it refused, it was not that.
                self.contacts.refused(id, tx.now, &mut *tx.dice);
                self.drop_session(tx, session)?;
            }
            return Ok(());
        };
        let before = log::own(tx, &relationship)?.log;
        let taken = restore::offered(tx, &mut relationship, &offer)?;
        if taken == Taken::New && !resuming {
            // A log begins once in a session.
            return Err(Misbehaviour::NotAllowed.into());
        }
        let began = log::own(tx, &relationship)?.log != before;
        if began {
            // What is waited for stands in the log that ended: nobody has it now.
            self.waits.gone(tx, id);
        }
        if resuming {
            self.sessions.resumed(session, began);
        }
        self.sync(tx, session, sync)?;
        let Some(relationship) = Relationship::find(tx, id)? else { return Ok(()) };
        if taken == Taken::New && !restore::has_begun(tx, &relationship)? {
            // Nothing can be said before both logs have their first entries.
            return Err(Misbehaviour::Malformed.into());
        }
        self.beginning_arrived(tx, id)?;
        if resuming {
            self.hints.learn(&relationship, tx);
            self.is_there(tx, session, relationship, link, false)?;
        }
        Ok(())
    }

    /// Where our log's chain began is forgotten once the other side has what comes first in it.
    fn beginning_arrived(&mut self, tx: &mut Tx<'_>, id: RelationshipId) -> Result<(), Stop> {
        match Relationship::find(tx, id)? {
            Some(relationship) if log::own(tx, &relationship)?.acknowledged > 0 => {
                Ok(restore::arrived(tx, &relationship)?)
            }
            _ => Ok(()),
        }
    }
}
