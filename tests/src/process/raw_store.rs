//! What a home's store holds, row by row, as someone sees it who has its files: the node must not run.

use allod_crypto::Vault;
use allod_node::store::{self, EngineName};
use allod_protocol::{
    codec::{Coded, DecodeError},
    store::Row,
    table::Table,
    tx::unseal,
};
use serde::{Deserialize, Serialize};

use super::{Engine, Node};

/// How many rows of this table are there.
///
/// # Panics
/// When the store does not open.
#[must_use]
pub fn rows(node: &Node, engine: Engine, table: Table) -> usize {
    stored(node, engine, table).len()
}

fn stored(node: &Node, engine: Engine, table: Table) -> Vec<Row> {
    let engine = match engine {
        Engine::Sled => EngineName::Sled,
        Engine::Redb => EngineName::Redb,
    };
    let opened = store::open(engine, &node.home.join("store"), true).expect("the store opens");
    opened.scan(&[table.byte()], None, 100_000).expect("it reads")
}

/// A row, whatever it holds.
#[derive(Serialize, Deserialize)]
struct Plain(Vec<u8>);

impl Coded for Plain {
    fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
}

/// The rows of a table as its node reads them, behind the two bytes of their version.
///
/// # Panics
/// When they do not open.
#[must_use]
pub fn opened(node: &Node, engine: Engine, vault: &Vault, table: Table) -> Vec<Vec<u8>> {
    let rows = stored(node, engine, table);
    rows.iter().map(|(key, row)| unseal::<Plain>(vault, key, row).expect("it opens").0[2..].to_vec()).collect()
}
