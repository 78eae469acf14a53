//! The whole system from outside.
//!
//! [`world::World`] runs whole worlds of nodes: the engine of the daemon with clocks, dice, disks and a network that one seed fixes.
//! [`story`] says in whole sentences what people do in them. [`process`] types commands at the real binary and reads what it says;
//! [`real`] puts it under faults; [`mod@bench`] measures it. [`attacker`] opens what it can of what fell into its hands, and [`fuzz`] is what
//! fuzzers call.

pub mod action;
pub mod attack;
pub mod attacker;
pub mod bench;
pub mod dice;
pub mod disk;
pub mod evil;
pub mod fault;
pub mod fuzz;
pub mod inspect;
pub mod invariant;
pub mod life;
pub mod mischief;
pub mod model;
pub mod network;
pub mod node;
pub mod process;
pub mod real;
pub mod story;
pub mod timing;
pub mod trace;
pub mod world;

pub use world::World;
