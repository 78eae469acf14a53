//! What two Allod nodes say to each other, and the machine that says it.
//!
//! No clock, no dice, no disk and no network live here: all are handed in. Start at [`path`] and [`value`] for what is kept, at
//! [`command`] for what can be wanted, at [`store`] for what is asked of a disk.

pub mod agreement;
pub mod ask;
pub mod codec;
pub mod command;
pub mod contact;
pub mod delivery;
pub mod door;
pub mod effect;
pub mod engine;
pub mod event;
pub mod grant;
pub mod hints;
pub mod holding;
pub mod id;
pub mod job;
pub mod limits;
pub mod log;
pub mod pairing;
pub mod path;
pub mod promise;
pub mod purpose;
pub mod record;
pub mod refusal;
pub mod rekey;
pub mod relationship;
pub mod restore;
#[cfg(test)]
mod rig;
pub mod schema;
pub mod secret;
pub mod session;
pub mod store;
pub mod table;
pub mod time;
pub mod tx;
pub mod usage;
pub mod value;
pub mod view;
pub mod wire;
