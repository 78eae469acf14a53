//! The whole system from outside.

pub mod bench;
