//! What travels: the byte layouts of `docs/PROTOCOL.md`, and nothing that acts on them.

pub mod body;
pub mod header;
pub mod hint;
pub mod pair;
pub mod session;
