//! W1: a vendor reads one of 100,000 lent values of 200 bytes, uniformly at random.
//!
//! Floor: a plain get of the same store and one committing open, over as many rows of the same size, with the key at hand. Figure: the
//! command `get --from` as an event to the engine, until its answer is among the effects: grant, time and lease are checked, the cell is
//! read and opened, and the use is counted, each time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use allod_crypto::{Domain, Padding, SecretKey, open, seal};
use allod_node::store::EngineName;
use allod_protocol::{
    command::{Answer, Command, Mode},
    effect::Effect,
    event::Event,
    id::Pseudonym,
    path::{FieldPath, Path, Selector},
    store::Batch,
    table::Table,
};
use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};

use super::measure::{Series, print, verdict};
use super::node::{Dir, Node};
use super::pair::{Pair, Who, grant, path, petname};
use super::{ENGINES, floor_key, prepared};

/// Values that are lent, and their size.
const VALUES: usize = 100_000;
const VALUE_BYTES: usize = 200;
/// Values lent one by one, for the same measured without a column.
const SINGLE_VALUES: usize = 10_240;
/// Reads that are timed together, so that the clock costs nothing.
const READS: usize = 1_000;
/// Iterations of both.
const ITERATIONS: usize = 60;
/// What the floor's AAD has: about the length of a cell's. Bytes.
const AAD_BYTES: usize = 180;

/// Measures and prints.
pub fn run() {
    let mut pair = prepared::with_records(VALUES, VALUE_BYTES);
    prepared::lend_column(&mut pair);
    let column = column_paths(&pair.vendor);
    assert_eq!(column.len(), VALUES, "the vendor holds the column");
    for engine in ENGINES {
        measure("W1 read, column of 100,000", &pair.vendor, engine, &column);
    }
    let (pair, single) = lent_one_by_one();
    for engine in ENGINES {
        measure("W1 read, 10,240 single fields", &pair.vendor, engine, &single);
    }
}

fn measure(heading: &str, prepared: &Node, engine: EngineName, paths: &[FieldPath]) {
    let dir = Dir::new();
    let mut vendor = prepared.moved_to(engine, &dir.at("vendor"));
    let floor = Floor::beside(&mut vendor, paths.len());
    let mut picks = Picks::new(paths.len());
    read(&mut vendor, paths, &picks.take(READS));
    let mut series = Series::default();
    for iteration in 0..ITERATIONS {
        let (first, second) = (picks.take(READS), picks.take(READS));
        // Whoever goes second finds its code cold: they take turns in that too.
        let (floor_time, figure) = if iteration % 2 == 0 {
            let floor_time = floor.read(&mut vendor, &first);
            (floor_time, read(&mut vendor, paths, &second))
        } else {
            let figure = read(&mut vendor, paths, &first);
            (floor.read(&mut vendor, &second), figure)
        };
        series.push(floor_time, figure, READS);
    }
    let reached = verdict(&[(series.ratio().median, 1.5), (series.figure().median * 1e6, 3.0)]);
    print(heading, engine.as_str(), &series, format_args!("goal 1.5, 3 us: {reached}"));

    let mut series = Series::default();
    for number in 0..200 {
        let picked = picks.take(2);
        commit_one(&mut vendor, number);
        let floor_time = floor.read(&mut vendor, &picked[..1]);
        commit_one(&mut vendor, number);
        series.push(floor_time, read(&mut vendor, paths, &picked[1..]), 1);
    }
    print(&format!("{heading}, each after a commit"), engine.as_str(), &series, format_args!(""));
}

/// So many reads through the engine, with commands that stand ready as the API hands them over.
fn read(vendor: &mut Node, paths: &[FieldPath], picks: &[usize]) -> Duration {
    let from = prepared::owner();
    let mut events: Vec<Event> = picks
        .iter()
        .map(|pick| {
            let command = Command::Get { paths: vec![Path::Field(paths[*pick].clone())], from: Some(from.clone()) };
            vendor.event_of(command).1
        })
        .collect();
    let start = Instant::now();
    for event in events.drain(..) {
        let effects = vendor.step(event);
        let [Effect::Reply { outcome: Ok(Answer::Fields(fields)), .. }] = effects.as_slice() else {
            panic!("a read is answered at once with its value")
        };
        assert_eq!(fields.len(), 1);
        black_box(fields);
    }
    start.elapsed()
}

fn commit_one(vendor: &mut Node, number: u64) {
    let mut batch = Batch::new();
    batch.put(floor_key(u64::MAX - number), vec![3; 200]);
    vendor.commit(&batch);
}

/// As many sealed rows as there are cells, in the same store, under one key that is at hand.
struct Floor {
    key: SecretKey,
    aad: Vec<u8>,
}

impl Floor {
    fn beside(vendor: &mut Node, rows: usize) -> Floor {
        let mut dice = UnwrapErr(SysRng);
        let floor = Floor { key: SecretKey::random(&mut dice), aad: vec![9; AAD_BYTES] };
        let plain = vec![5; VALUE_BYTES + 8];
        for start in (0..rows).step_by(500) {
            let mut batch = Batch::new();
            for number in start..(start + 500).min(rows) {
                let sealed = seal(&floor.key, Domain::Cell, &floor.aad, &plain, Padding::None, &mut dice);
                batch.put(scattered(number), sealed);
            }
            vendor.commit(&batch);
        }
        floor
    }

    fn read(&self, vendor: &mut Node, picks: &[usize]) -> Duration {
        let keys: Vec<Vec<u8>> = picks.iter().map(|pick| scattered(*pick)).collect();
        let start = Instant::now();
        for key in &keys {
            let stored = vendor.view().get(key).expect("it can be read").expect("it is there");
            let plain = open(&self.key, Domain::Cell, &self.aad, &stored, Padding::None).expect("it opens");
            black_box(plain);
        }
        start.elapsed()
    }
}

/// Keys of floors lie as far apart as random ones.
fn scattered(number: usize) -> Vec<u8> {
    let number = u64::try_from(number).expect("few");
    floor_key(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Uniformly random places.
struct Picks {
    dice: UnwrapErr<SysRng>,
    below: usize,
}

impl Picks {
    fn new(below: usize) -> Picks {
        Picks { dice: UnwrapErr(SysRng), below }
    }

    fn take(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| (self.dice.next_u64() % self.below as u64) as usize).collect()
    }
}

/// The vendor's names for the cells of a column.
fn column_paths(vendor: &Node) -> Vec<FieldPath> {
    let cells = vendor.view().scan(&[Table::Cells.byte()], None, usize::MAX).expect("memory can be read");
    cells
        .iter()
        .map(|(key, _)| {
            let mut pseudonym = [0; 16];
            pseudonym.copy_from_slice(&key[19..35]);
            path(&format!("transaction/{}/amount", Pseudonym::from_bytes(pseudonym).long()))
        })
        .collect()
}

/// A vendor to whom fields are lent one by one, as many in a grant as one holds.
fn lent_one_by_one() -> (Pair, Vec<FieldPath>) {
    let mut pair = prepared::with_records(SINGLE_VALUES, VALUE_BYTES);
    let paths: Vec<FieldPath> =
        (0..SINGLE_VALUES).map(|number| path(&format!("{}/amount", prepared::record(number)))).collect();
    for some in paths.chunks(256) {
        let selectors = some.iter().cloned().map(Selector::Field).collect();
        pair.command(Who::Person, grant(&petname(0), selectors, Mode::Follow)).expect("they are lent");
    }
    (pair, paths)
}
