//! W9: bytes on the wire for one changed field, and bytes on the disk for each field.
//!
//! On the wire: all that both nodes hand to the transport for one change of a 20-byte field, both ways, with the acknowledgement; TCP, IP
//! and libp2p's encryption come on top. On the disk: the store's directory after an import of 10,000 records of ten fields of 100 bytes.

use allod_protocol::command::Command;

use super::change::{self, FIELD};
use super::measure::{line, verdict};
use super::node::{Dir, Kept, Node};
use super::pair::{Pair, Who, Wire, item, path};
use super::{ENGINES, prepared};

/// Changes that are counted.
const CHANGES: usize = 20;
/// What is imported.
const RECORDS: usize = 10_000;
const FIELDS: usize = 10;

/// Measures and prints.
pub fn run() {
    let wire = of_one_change(&mut change::lent());
    let reached = verdict(&[(wire.size_bytes as f64, 1_200.0)]);
    line(
        "W9 wire, one changed field of 20 B",
        "",
        format_args!("{} B in {} messages  goal 1200 B: {reached}", wire.size_bytes, wire.messages),
    );
    for engine in ENGINES {
        let each = of_one_field(engine);
        let reached = verdict(&[(each, 410.0)]);
        line("W9 disk, one field of 100 B", engine.as_str(), format_args!("{each:.0} B  goal 410 B: {reached}"));
    }
}

/// The most that a change takes.
pub fn of_one_change(pair: &mut Pair) -> Wire {
    let change = |number| {
        pair.take_wire();
        let items = vec![item(path(FIELD), &prepared::text(number, 20))];
        pair.command(Who::Person, Command::Set { items }).expect("it is set");
        pair.take_wire()
    };
    (0..CHANGES).map(change).max_by_key(|wire| wire.size_bytes).expect("there are changes")
}

/// Bytes of files, divided by fields.
fn of_one_field(engine: allod_node::store::EngineName) -> f64 {
    let dir = Dir::new();
    let mut node =
        Node::create("alice", allod_protocol::command::NodeKind::Person, Kept::OnDisk(engine), &dir.at("home"));
    for page in prepared::pages(RECORDS, FIELDS, 100) {
        node.ask(prepared::import(page));
    }
    node.store().size_bytes() as f64 / (RECORDS * FIELDS) as f64
}
