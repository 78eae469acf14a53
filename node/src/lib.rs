//! The node: the only part of Allod that touches the world.

pub mod cli;
pub mod client;
pub mod daemon;
pub mod demo;
pub mod messages;
pub mod qr;
pub mod time_text;
