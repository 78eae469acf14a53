//! The node: everything of Allod that touches the world.

pub mod export;
pub mod import;
pub mod json;
pub mod network;
pub mod qr;
pub mod store;
