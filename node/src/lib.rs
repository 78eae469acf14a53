//! The node: everything of Allod that touches the world.

pub mod qr;
pub mod store;
