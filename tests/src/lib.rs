//! The whole system from outside.
//!
//! [`world::World`] runs whole worlds of nodes: the engine of the daemon with clocks, dice, disks and a network that one seed fixes.
//! [`story`] says in whole sentences what people do in them. [`bench`] measures the real binary.

pub mod action;
pub mod attack;
pub mod bench;
pub mod dice;
pub mod disk;
pub mod fault;
pub mod inspect;
pub mod invariant;
pub mod life;
pub mod model;
pub mod network;
pub mod node;
pub mod story;
pub mod trace;
pub mod world;

pub use world::World;
