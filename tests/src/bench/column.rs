//! W8: lending a column of 10,000 rows, until the vendor holds all of it durably.
//!
//! Floor: 10,000 seals and 10,000 opens on one core, and as many rows of a cell's size put into both stores in as many commits as the
//! figure takes, one after the other. Figure: `grant` as an event, until the vendor's commit with the last cells has returned.

use std::time::{Duration, Instant};

use allod_crypto::{Domain, Padding, SecretKey, open, seal};
use allod_node::store::EngineName;
use allod_protocol::{
    command::{Command, Mode},
    path::{Path, Selector},
    store::{Batch, Store},
};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::measure::{Series, print, verdict};
use super::node::{Dir, Node};
use super::pair::{column, grant, petname};
use super::{ENGINES, floor_key, prepared, wire};

/// Rows of the column, and the size of each value.
const ROWS: usize = 10_000;
const VALUE_BYTES: usize = 20;
/// Iterations of both.
const ITERATIONS: usize = 5;
/// Cells of one entry.
const CHUNK: usize = 900;

/// Measures and prints.
pub fn run() {
    let prepared = prepared::with_records(ROWS, VALUE_BYTES);
    for engine in ENGINES {
        measure(&prepared, engine);
    }
}

fn measure(prepared: &super::pair::Pair, engine: EngineName) {
    let dir = Dir::new();
    let moved = |who: &str, node: &Node| node.moved_to(engine, &dir.at(who));
    let (mut near, far) = wire::connect(moved("person", &prepared.person), moved("vendor", &prepared.vendor));
    let open_store = |name: &str| {
        allod_node::store::open(engine, &dir.at(name), false).expect("an empty directory takes a new store")
    };
    let mut floors = [open_store("floor-person"), open_store("floor-vendor")];
    let mut series = Series::default();
    for number in 0..ITERATIONS {
        let floor = floor(&mut floors, number);
        far.forget();
        let start = Instant::now();
        near.command(grant(&petname(0), vec![column(prepared::COLUMN)], Mode::Follow)).expect("it is lent");
        // The answer comes with the last entry's arrival or earlier: the vendor's commits tell.
        let mut held = 0;
        let mut figure = Duration::ZERO;
        while held < ROWS {
            match far.try_stamp() {
                Some(stamp) => {
                    held += stamp.wrote.cells;
                    figure = stamp.at - start;
                }
                None => near.pump(),
            }
        }
        series.push(floor, figure, 1);
    }
    let mut vendor = far.stop(&mut near);
    check(&mut vendor);
    let reached = verdict(&[(series.figure().median, 0.5)]);
    print("W8 lend 10,000 rows until held", engine.as_str(), &series, format_args!("goal 0.5 s: {reached}"));
}

fn check(vendor: &mut Node) {
    let selector: Selector = column(prepared::COLUMN);
    let page = allod_protocol::command::Page { limit: ROWS + 1, after: None };
    let command =
        Command::List { kind: Some(selector.kind().clone()), record: None, from: Some(prepared::owner()), page };
    let allod_protocol::command::Answer::Records(listed) = vendor.ask(command) else { panic!("records are listed") };
    assert_eq!(listed.items.len(), ROWS, "the vendor holds the column");
    let path: Path = format!("{}/amount", listed.items[0].id).parse().expect("what is listed is a path");
    vendor.ask(Command::Get { paths: vec![path], from: Some(prepared::owner()) });
}

fn floor(stores: &mut [Box<dyn Store>; 2], number: usize) -> Duration {
    let mut dice = UnwrapErr(SysRng);
    let key = SecretKey::random(&mut dice);
    let (aad, plain) = (vec![9; 180], vec![5; VALUE_BYTES + 8]);
    let start = Instant::now();
    let sealed: Vec<Vec<u8>> =
        (0..ROWS).map(|_| seal(&key, Domain::Cell, &aad, &plain, Padding::None, &mut dice)).collect();
    for cell in &sealed {
        open(&key, Domain::Cell, &aad, cell, Padding::None).expect("it opens");
    }
    for (chunk, cells) in sealed.chunks(CHUNK).enumerate() {
        for store in stores.iter_mut() {
            let mut batch = Batch::new();
            for (place, cell) in cells.iter().enumerate() {
                batch.put(floor_key((number * ROWS + chunk * CHUNK + place) as u64), cell.clone());
            }
            store.commit(&batch).expect("the disk takes it");
        }
    }
    start.elapsed()
}
