//! placeholder

pub mod network;
