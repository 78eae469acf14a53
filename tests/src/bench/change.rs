//! W2: a changed field, from the person's command until the vendor's node has it durably.
//!
//! Floor: commit one row, send it over the same connection, commit it on the other side. Figure: `set` as an event, until the vendor's
//! commit that holds the cell has returned. Two nodes, two threads, two stores on one disk, a loopback TCP connection.

use std::time::Instant;

use allod_node::store::EngineName;
use allod_protocol::{
    command::{Answer, Command, Delivery, Mode},
    path::{Path, Selector},
    value::Value,
};

use super::measure::{Series, Spread, print, print_alone, verdict};
use super::node::Dir;
use super::pair::{Pair, Who, grant, item, path, petname};
use super::{ENGINES, floor_key, prepared, wire};

/// Iterations of both.
const ITERATIONS: usize = 150;
/// What changes: a text of so many bytes.
const VALUE_BYTES: usize = 20;
/// The floor's row: about what the vendor keeps of a change. Bytes.
const FLOOR_BYTES: usize = 400;

/// Measures and prints.
pub fn run() {
    let pair = lent();
    for engine in ENGINES {
        measure(&pair, engine);
    }
}

/// A person who lends one field, and the vendor that follows it.
pub fn lent() -> Pair {
    let mut pair = prepared::with_records(1_000, VALUE_BYTES);
    let selector = Selector::Field(path(FIELD));
    pair.command(Who::Person, Command::Set { items: vec![item(path(FIELD), "Lyon")] }).expect("it is set");
    pair.command(Who::Person, grant(&petname(0), vec![selector], Mode::Follow)).expect("it is lent");
    pair
}

/// The field that changes.
pub const FIELD: &str = "contact/me/city";

fn measure(prepared: &Pair, engine: EngineName) {
    let dir = Dir::new();
    let moved = |who: &str, node: &super::node::Node| node.moved_to(engine, &dir.at(who));
    let (mut near, far) = wire::connect(moved("person", &prepared.person), moved("vendor", &prepared.vendor));
    let mut series = Series::default();
    let mut told = Vec::new();
    for number in 0..ITERATIONS {
        far.forget();
        let key = floor_key(number as u64 % 1_000);
        let row = prepared::text(number, FLOOR_BYTES).into_bytes();
        let start = Instant::now();
        let floor = near.commit_send_commit(&key, &row, &far) - start;

        far.forget();
        let text = prepared::text(number, VALUE_BYTES);
        let start = Instant::now();
        let outcome = near.command(Command::Set { items: vec![item(path(FIELD), &text)] });
        told.push(start.elapsed().as_secs_f64());
        let figure = far.stamp().at - start;
        let Ok(Answer::Written { told, .. }) = outcome else { panic!("it is set") };
        assert!(told.iter().all(|told| told.state == Delivery::Delivered), "the vendor has it");
        series.push(floor, figure, 1);
    }
    let mut vendor = far.stop(&mut near);
    let paths = vec![Path::Field(path(FIELD))];
    let Answer::Fields(fields) = vendor.ask(Command::Get { paths, from: Some(prepared::owner()) }) else {
        panic!("a read yields fields")
    };
    assert_eq!(fields[0].value, Value::text(prepared::text(ITERATIONS - 1, VALUE_BYTES)), "the newest arrived");
    let reached = verdict(&[(series.ratio().median, 1.5)]);
    print("W2 set until the vendor has it", engine.as_str(), &series, format_args!("goal 1.5: {reached}"));
    print_alone("W2 until the person is told so", engine.as_str(), Spread::of(told), format_args!(""));
}
