//! The targets of `allod-tests`, built here for a fuzzer: the same files, so that what is fuzzed is what is replayed.
//!
//! They are taken in by path and not as a crate, since `allod-tests` brings the whole node, and most targets need none of it.

#[path = "../../src/dice.rs"]
pub mod dice;
#[path = "../../src/disk.rs"]
pub mod disk;
#[path = "../../src/inspect.rs"]
pub mod inspect;
#[path = "../../src/invariant.rs"]
pub mod invariant;
#[path = "../../src/model.rs"]
pub mod model;
#[path = "../../src/network.rs"]
pub mod network;
#[path = "../../src/node.rs"]
pub mod node;
#[path = "../../src/story.rs"]
pub mod story;
#[path = "../../src/trace.rs"]
pub mod trace;
#[path = "../../src/world.rs"]
pub mod world;

#[path = "../../src/fuzz/engines.rs"]
pub mod engines;
#[cfg(feature = "node")]
#[path = "../../src/fuzz/files.rs"]
pub mod files;
#[path = "../../src/fuzz/wire.rs"]
pub mod wire;
