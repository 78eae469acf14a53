//! The targets of `allod-tests`, built here for a fuzzer: the same files, so that what is fuzzed is what is replayed.
//!
//! They are taken in by path and not as a crate, since `allod-tests` brings the whole node, and most targets need none of it.

#[path = "../../src"]
mod shared {
    pub mod dice;
    pub mod disk;
    pub mod evil;
    pub mod inspect;
    pub mod invariant;
    pub mod model;
    pub mod network;
    pub mod node;
    pub mod story;
    pub mod trace;
    pub mod world;

    pub mod fuzz {
        pub mod engines;
        #[cfg(feature = "node")]
        pub mod files;
        pub mod wire;
    }
}

pub use shared::{fuzz::*, *};
