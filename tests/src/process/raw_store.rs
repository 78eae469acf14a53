//! What a home's store holds, row by row, as someone sees it who has its files: the node must not run.

use allod_node::store::{self, EngineName};
use allod_protocol::table::Table;

use super::{Engine, Node};

/// How many rows of this table are there.
///
/// # Panics
/// When the store does not open.
#[must_use]
pub fn rows(node: &Node, engine: Engine, table: Table) -> usize {
    let engine = match engine {
        Engine::Sled => EngineName::Sled,
        Engine::Redb => EngineName::Redb,
    };
    let opened = store::open(engine, &node.home.join("store"), true).expect("the store opens");
    opened.scan(&[table.byte()], None, 100_000).expect("it reads").len()
}
