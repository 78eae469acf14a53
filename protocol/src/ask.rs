//! Asks: what a vendor would like to read, and why. Silence is no.
//!
//! `Open -> Granted | Partly | Declined | Withdrawn`, and all ends are final.

use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    command::{AskState, AskView, Direction, Happening, Lending, Mode},
    door::Authorized,
    grant::{Grant, check_terms},
    id::{AskId, GrantId, RelationshipId},
    limits::{OPEN_ASKS_MAX, TEXT_MAX_BYTES},
    log,
    path::Selector,
    purpose::Purpose,
    refusal::Refusal,
    relationship::{PeerRef, Relationship},
    store::StoreFault,
    table::{Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    wire::body::{Answered, AskEnd, Asked, Body},
};

/// One ask's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub id: AskId,
    pub relationship: RelationshipId,
    /// Held: we asked. Given: we were asked.
    pub direction: Direction,
    pub required: Vec<Selector>,
    pub optional: Vec<Selector>,
    pub purpose: Purpose,
    pub reason: String,
    pub benefit: String,
    pub until: Option<Timestamp>,
    pub mode: Mode,
    pub at: Timestamp,
    pub state: AskState,
    pub end_reason: String,
    pub grant: Option<GrantId>,
}

impl Coded for Ask {}

impl Ask {
    /// Writes the row.
    pub fn save(&self, tx: &mut Tx<'_>) {
        let open = Key::ask(self.relationship, self.id);
        if self.state == AskState::Open {
            tx.put(&open, self);
        } else {
            tx.delete(&open);
            tx.put(&Key::ended_ask(self.relationship, self.id), self);
        }
    }

    /// The ask of an id within a relationship.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn find(tx: &Tx<'_>, relationship: RelationshipId, id: AskId) -> Result<Option<Self>, StoreFault> {
        match tx.get(&Key::ask(relationship, id))? {
            Some(open) => Ok(Some(open)),
            None => tx.get(&Key::ended_ask(relationship, id)),
        }
    }

    /// The ask that the beginning of an id names.
    ///
    /// # Errors
    /// [`Refusal::NoSuchAsk`] or [`Refusal::Ambiguous`].
    pub fn named(tx: &Tx<'_>, beginning: &str) -> Result<Self, Stop> {
        let mut fitting = Vec::new();
        let bytes = AskId::beginning(beginning).ok_or_else(|| Refusal::NoSuchAsk { id: beginning.to_owned() })?;
        for (key, row) in tx.scan::<PeerRef>(&Key::ask_ids(&bytes), None, usize::MAX)? {
            let id = AskId::from_bytes(key.sixteen(0));
            if id.long().starts_with(beginning) {
                fitting.push((row.0, id));
            }
        }
        match fitting[..] {
            [] => Err(Refusal::NoSuchAsk { id: beginning.to_owned() }.into()),
            [(relationship, id)] => Ok(Self::find(tx, relationship, id)?
                .ok_or_else(|| StoreFault::Damaged { detail: "an ask is missing".to_owned() })?),
            _ => {
                let fits: Vec<String> = fitting.iter().take(5).map(|(_, id)| id.to_string()).collect();
                Err(Refusal::Ambiguous { beginning: beginning.to_owned(), fits: fits.join(", ") }.into())
            }
        }
    }

    /// All asks, oldest first.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn all(tx: &Tx<'_>) -> Result<Vec<Self>, StoreFault> {
        let mut rows = tx.scan::<Self>(&Key::table(Table::Asks), None, usize::MAX)?;
        rows.extend(tx.scan::<Self>(&Key::table(Table::EndedAsks), None, usize::MAX)?);
        let mut asks: Vec<Self> = rows.into_iter().map(|(_, ask)| ask).collect();
        asks.sort_by_key(|ask| (ask.at, ask.id));
        Ok(asks)
    }

    /// The asks with a peer that are open, both ways.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub(crate) fn open_with(tx: &Tx<'_>, relationship: RelationshipId) -> Result<Vec<Self>, StoreFault> {
        let rows = tx.scan::<Self>(&Key::asks_of(relationship), None, usize::MAX)?;
        Ok(rows.into_iter().map(|(_, ask)| ask).filter(|ask| ask.state == AskState::Open).collect())
    }

    /// Everything that it asks for, required first.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.required.iter().chain(&self.optional)
    }

    /// As it stands in the log.
    pub(crate) fn said(&self) -> Asked {
        Asked {
            ask: self.id,
            required: self.required.clone(),
            optional: self.optional.clone(),
            purpose: self.purpose.clone(),
            reason: self.reason.clone(),
            benefit: self.benefit.clone(),
            until: self.until,
            mode: self.mode,
        }
    }

    /// What people see of it.
    #[must_use]
    pub fn view(&self, peer: &str) -> AskView {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let required = self.required.iter().map(|selector| (selector.clone(), true));
        AskView {
            ask: self.id.to_string(),
            peer: peer.to_owned(),
            direction: self.direction,
            selectors: required.chain(self.optional.iter().map(|selector| (selector.clone(), false))).collect(),
            purpose: self.purpose.clone(),
            reason: text(&self.reason),
            benefit: text(&self.benefit),
            mode: self.mode,
            until: self.until,
            at: self.at,
            state: self.state,
            declined_because: text(&self.end_reason),
            grant: self.grant.map(|grant| grant.to_string()),
        }
    }
}

fn count_open(tx: &Tx<'_>, relationship: RelationshipId, direction: Direction) -> Result<usize, StoreFault> {
    Ok(Ask::open_with(tx, relationship)?.iter().filter(|ask| ask.direction == direction).count())
}

/// Asks a peer for fields.
///
/// # Errors
/// [`Stop::Refused`].
pub fn ask(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    lending: &Lending,
    optional: &[Selector],
    reason: Option<&str>,
    benefit: Option<&str>,
) -> Result<(Ask, u64), Stop> {
    let all: Vec<Selector> = lending.selectors.iter().chain(optional).cloned().collect();
    check_terms(&all, lending.until, None, tx.wall())?;
    for (what, text) in [("reason", reason), ("benefit", benefit)] {
        if text.is_some_and(|text| text.len() > TEXT_MAX_BYTES) {
            return Err(Refusal::TextTooLong { what: what.to_owned(), most: TEXT_MAX_BYTES as u64 }.into());
        }
    }
    if count_open(tx, relationship.id, Direction::Held)? >= OPEN_ASKS_MAX {
        return Err(Refusal::TooManyAsks { peer: relationship.petname.clone(), most: OPEN_ASKS_MAX as u64 }.into());
    }
    let ask = Ask {
        id: AskId::random(&mut *tx.dice),
        relationship: relationship.id,
        direction: Direction::Held,
        required: lending.selectors.clone(),
        optional: optional.to_vec(),
        purpose: lending.purpose.clone(),
        reason: reason.unwrap_or_default().to_owned(),
        benefit: benefit.unwrap_or_default().to_owned(),
        until: lending.until,
        mode: lending.mode,
        at: tx.wall(),
        state: AskState::Open,
        end_reason: String::new(),
        grant: None,
    };
    let sequence = log::append(tx, relationship, &Body::Asked(ask.said()), None)?;
    tx.put(&Key::ask_id(ask.id), &PeerRef(relationship.id));
    ask.save(tx);
    Ok((ask, sequence))
}

/// An ask comes in. One more than may be open is kept in the log and shown to nobody.
///
/// # Errors
/// [`StoreFault`].
pub fn asked(tx: &mut Tx<'_>, relationship: &Relationship, order: &Authorized<Asked>) -> Result<(), StoreFault> {
    if count_open(tx, relationship.id, Direction::Given)? >= OPEN_ASKS_MAX {
        return Ok(());
    }
    let body = order.body().clone();
    let ask = Ask {
        id: body.ask,
        relationship: relationship.id,
        direction: Direction::Given,
        required: body.required,
        optional: body.optional,
        purpose: body.purpose,
        reason: body.reason,
        benefit: body.benefit,
        until: body.until,
        mode: body.mode,
        at: order.at(),
        state: AskState::Open,
        end_reason: String::new(),
        grant: None,
    };
    tx.put(&Key::ask_id(ask.id), &PeerRef(relationship.id));
    ask.save(tx);
    tell(tx, relationship, &ask, "asked");
    Ok(())
}

fn tell(tx: &mut Tx<'_>, relationship: &Relationship, ask: &Ask, event: &'static str) {
    tx.happened(Happening {
        at: tx.wall(),
        event,
        peer: Some(relationship.petname.clone()),
        grant: ask.grant.map(|grant| grant.to_string()),
        ask: Some(ask.id.to_string()),
        selectors: ask.selectors().map(ToString::to_string).collect(),
        path: None,
    });
}

/// An ask of which our side is the asked, open, by the beginning of its id.
///
/// # Errors
/// [`Stop::Refused`].
pub fn open_to_us(tx: &Tx<'_>, beginning: &str) -> Result<Ask, Stop> {
    let ask = Ask::named(tx, beginning)?;
    if ask.direction != Direction::Given {
        return Err(Refusal::OwnAsk { id: ask.id.to_string() }.into());
    }
    is_open(ask)
}

/// An ask of ours, open, by the beginning of its id.
///
/// # Errors
/// [`Stop::Refused`].
pub fn open_of_ours(tx: &Tx<'_>, beginning: &str) -> Result<Ask, Stop> {
    let ask = Ask::named(tx, beginning)?;
    if ask.direction != Direction::Held {
        return Err(Refusal::NotOwnAsk { id: ask.id.to_string() }.into());
    }
    is_open(ask)
}

fn is_open(ask: Ask) -> Result<Ask, Stop> {
    if ask.state == AskState::Open {
        Ok(ask)
    } else {
        Err(Refusal::AskIsOver { id: ask.id.to_string(), state: ask.state.as_str().to_owned() }.into())
    }
}

/// Ends an ask without a grant.
///
/// # Errors
/// [`Stop`].
pub fn end(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    ask: &mut Ask,
    end: AskEnd,
    reason: Option<&str>,
) -> Result<u64, Stop> {
    let reason = reason.unwrap_or_default().to_owned();
    if reason.len() > TEXT_MAX_BYTES {
        return Err(Refusal::TextTooLong { what: "reason".to_owned(), most: TEXT_MAX_BYTES as u64 }.into());
    }
    ask.state = ended(end);
    reason.clone_into(&mut ask.end_reason);
    ask.save(tx);
    Ok(log::append(tx, relationship, &Body::Answered(Answered { ask: ask.id, end, reason }), None)?)
}

fn ended(end: AskEnd) -> AskState {
    match end {
        AskEnd::Declined => AskState::Declined,
        AskEnd::Withdrawn => AskState::Withdrawn,
    }
}

/// The other side ended an ask.
pub fn answered(tx: &mut Tx<'_>, relationship: &Relationship, ask: &mut Ask, order: &Authorized<Answered>) {
    ask.state = ended(order.body().end);
    order.body().reason.clone_into(&mut ask.end_reason);
    ask.save(tx);
    let event = if ask.state == AskState::Declined { "declined" } else { "withdrawn" };
    tell(tx, relationship, ask, event);
}

/// A grant answers an ask: of ours when it comes in, of theirs when we give it.
///
/// # Errors
/// [`StoreFault`].
pub fn answered_by(tx: &mut Tx<'_>, relationship: &Relationship, ask: AskId, grant: &Grant) -> Result<(), StoreFault> {
    let Some(mut ask) = Ask::find(tx, relationship.id, ask)? else { return Ok(()) };
    if ask.direction != grant.direction || ask.state != AskState::Open {
        return Ok(());
    }
    let granted = ask.selectors().filter(|asked| grant.selectors.iter().any(|lent| lent.selector == **asked)).count();
    ask.state = if granted < ask.selectors().count() { AskState::Partly } else { AskState::Granted };
    ask.grant = Some(grant.id);
    ask.save(tx);
    tell(tx, relationship, &ask, "answered");
    Ok(())
}
