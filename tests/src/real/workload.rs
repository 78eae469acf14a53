//! What a person does while faults happen: writes of all sizes, lending, taking back, removing, from several programs at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::json;

use super::{
    api::{Api, Fault},
    dice::Dice,
    oracle::{Content, Oracle},
};

/// Programs that call at once.
pub const LANES: u64 = 3;
/// Fields of each.
const FIELDS: u64 = 12;
/// The largest text that a field takes: its encoding is some bytes longer. Bytes.
pub const TEXT_MAX_BYTES: usize = 256 * 1024 - 9;

/// How long the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Mostly short, sometimes up to the largest.
    Usual,
    /// Around each size at which the node stores values in another way, up to the largest.
    Steps,
    /// Nearly the largest.
    Large,
}

impl Sizes {
    /// One of them. Bytes.
    pub fn throw(self, dice: &mut Dice) -> usize {
        const STEPS: [usize; 12] =
            [24, 200, 1_000, 1_025, 4_050, 4_097, 8_192, 20_000, 60_000, 65_537, 200_000, TEXT_MAX_BYTES];
        match (self, dice.below(20)) {
            (Self::Usual, 0) => 65_000 + dice.index(TEXT_MAX_BYTES - 65_000),
            (Self::Usual, 1..=3) => 1_000 + dice.index(9_000),
            (Self::Usual, _) => 24 + dice.index(400),
            (Self::Steps, _) => STEPS[dice.index(STEPS.len())],
            (Self::Large, 0..=4) => 24 + dice.index(400),
            (Self::Large, _) => TEXT_MAX_BYTES - dice.index(60_000),
        }
    }
}

/// Calls until told to stop, or until a call fails; the faults that ended a lane, if they were any.
pub fn run(api: &Api, peer: &str, sizes: Sizes, dice: &Dice, oracle: &Mutex<Oracle>, stop: &AtomicBool) -> Vec<Fault> {
    thread::scope(|scope| {
        let lane = |number| {
            let mut dice = dice.split(number);
            move || {
                while !stop.load(Ordering::Relaxed) {
                    step(api, peer, sizes, number, &mut dice, oracle)?;
                }
                Ok(())
            }
        };
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(lane(number))).collect();
        lanes.into_iter().filter_map(|lane| lane.join().expect("a lane does not panic").err()).collect()
    })
}

/// One call of one lane.
///
/// # Errors
/// [`Fault`], noted as not answered unless it is a refusal.
pub fn step(
    api: &Api,
    peer: &str,
    sizes: Sizes,
    lane: u64,
    dice: &mut Dice,
    oracle: &Mutex<Oracle>,
) -> Result<(), Fault> {
    let lock = || oracle.lock().unwrap_or_else(PoisonError::into_inner);
    let prefix = format!("note/lane-{lane}-");
    let path = format!("{prefix}{}/text", dice.below(FIELDS));
    match dice.below(20) {
        0..=9 => {
            let content = lock().fresh(sizes.throw(dice));
            set(api, &path, content, oracle)
        }
        10..=13 => {
            if lock().is_lent(&path) || lock().content(&path) == Content::Absent {
                return Ok(());
            }
            grant(api, peer, &path, oracle).map(drop)
        }
        14..=18 => {
            let active = lock().active(&prefix);
            if active.is_empty() {
                return Ok(());
            }
            revoke(api, &active[dice.index(active.len())], oracle)
        }
        _ => {
            if lock().content(&path) == Content::Absent {
                return Ok(());
            }
            remove(api, &path, oracle)
        }
    }
}

/// Writes a field.
///
/// # Errors
/// [`Fault`].
pub fn set(api: &Api, path: &str, content: Content, oracle: &Mutex<Oracle>) -> Result<(), Fault> {
    let lock = || oracle.lock().unwrap_or_else(PoisonError::into_inner);
    let text = content.text(path).expect("a field is set to a text");
    lock().begin(path, content);
    let done = api.post("/v1/set", &json!({ "items": [{ "path": path, "type": "text", "text": text }] }));
    finish(done, || lock().done(path), || lock().undone(path)).map(drop)
}

/// Removes a field.
///
/// # Errors
/// [`Fault`].
pub fn remove(api: &Api, path: &str, oracle: &Mutex<Oracle>) -> Result<(), Fault> {
    let lock = || oracle.lock().unwrap_or_else(PoisonError::into_inner);
    lock().begin(path, Content::Absent);
    let done = api.post("/v1/remove", &json!({ "path": path }));
    finish(done, || lock().done(path), || lock().undone(path)).map(drop)
}

/// Lends a field.
///
/// # Errors
/// [`Fault`].
pub fn grant(api: &Api, peer: &str, path: &str, oracle: &Mutex<Oracle>) -> Result<String, Fault> {
    let lock = || oracle.lock().unwrap_or_else(PoisonError::into_inner);
    lock().begin_grant(path);
    let body = json!({ "peer": peer, "selectors": [path], "purpose": "DeliveryOfGoods" });
    let done = finish(api.post("/v1/grants", &body), || {}, || lock().undone(path))?;
    let id = done["grant"].as_str().unwrap_or_default().to_owned();
    lock().granted(path, &id);
    Ok(id)
}

/// Takes a grant back.
///
/// # Errors
/// [`Fault`].
pub fn revoke(api: &Api, grant: &str, oracle: &Mutex<Oracle>) -> Result<(), Fault> {
    let lock = || oracle.lock().unwrap_or_else(PoisonError::into_inner);
    lock().begin_revoke(grant);
    let done = api.post(&format!("/v1/grants/{grant}/revoke"), &json!({}));
    finish(done, || lock().revoked(grant), || lock().not_revoked(grant)).map(drop)
}

/// A refusal for want of room or of a sound store comes from a node that stops: what it did last is not known.
fn finish<T>(done: Result<T, Fault>, acknowledged: impl FnOnce(), refused: impl FnOnce()) -> Result<T, Fault> {
    match &done {
        Ok(_) => acknowledged(),
        Err(fault @ Fault::Refused { .. }) if !is_last_word(fault) => refused(),
        Err(_) => {}
    }
    done
}

/// Whether a node says so that can't go on.
#[must_use]
pub fn is_last_word(fault: &Fault) -> bool {
    const LAST: [&str; 5] = ["disk-full", "store-failed", "store-damaged", "node-stopping", "busy"];
    matches!(fault, Fault::Refused { id, code, .. } if code == "damaged" || LAST.iter().any(|last| id.contains(last)))
}
