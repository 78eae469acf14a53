//! The node: the only part of Allod that touches the world.

pub mod api;
pub mod backup;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod export;
pub mod import;
pub mod json;
pub mod messages;
pub mod network;
pub mod qr;
pub mod store;
pub mod time_text;
