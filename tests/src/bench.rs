//! The benchmark: how fast the parts that people wait for are, as ratios that another machine can repeat.
//!
//! W1 reading what is lent, W2 a change until the other side has it, W3 taking back, W5 import, W6 memory at rest, W7 start, W8 lending
//! a column, W9 bytes on the wire and on the disk, W10 the binary. All of it below the control API, through the engine, the store and the
//! order of steps that the daemon has. Each workload prints what its figure and its floor hold.

pub mod binary;
pub mod bytes;
pub mod change;
pub mod column;
pub mod end_to_end;
pub mod import;
pub mod machine;
pub mod measure;
pub mod memory;
pub mod node;
pub mod pair;
pub mod prepared;
pub mod read;
pub mod revoke;
pub mod start;
pub mod wire;

use allod_node::store::EngineName;

/// Both engines of the daemon.
pub const ENGINES: [EngineName; 2] = [EngineName::Sled, EngineName::Redb];

/// A workload's name, and what runs it.
type Workload = (&'static str, fn());

/// All of them, quick ones first: long imports use up the disk's allowance, and what follows would be measured on a slow disk.
const WORKLOADS: [Workload; 10] = [
    ("W9", bytes::run),
    ("W10", binary::run),
    ("W1", read::run),
    ("W3", revoke::run),
    ("W2", change::run),
    ("E2E", end_to_end::run),
    ("W8", column::run),
    ("W6", memory::run),
    ("W5", import::run),
    ("W7", start::run),
];

/// Runs the named workloads, or all.
///
/// # Errors
/// The first name that is none.
pub fn run(names: &[String]) -> Result<(), String> {
    if let Some(stranger) = names.iter().find(|name| !WORKLOADS.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = WORKLOADS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no workload is called {stranger}: there are {}", known.join(", ")));
    }
    machine::print();
    for (name, workload) in WORKLOADS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            workload();
        }
    }
    Ok(())
}

/// A row that floors write: in a table that the protocol does not have.
pub fn floor_key(number: u64) -> Vec<u8> {
    [b"~".as_slice(), &number.to_be_bytes(), &[0; 8]].concat()
}
