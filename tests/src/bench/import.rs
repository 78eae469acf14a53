//! W5: importing 100,000 fields of 100 bytes, ten to a record.
//!
//! Figure: the import's commands, one page after the other as the API sends them, each durable before the next. Floor: the very rows that
//! the page wrote, put raw into a second store of the same engine, in the same batch. In turn, page by page.

use std::time::{Duration, Instant};

use allod_node::store::EngineName;
use allod_protocol::{
    command::{Answer, NodeKind},
    effect::Effect,
};

use super::measure::{Series, line, print, verdict};
use super::node::{Dir, Kept, Node};
use super::{ENGINES, prepared};

const RECORDS: usize = 10_000;
const FIELDS: usize = 10;
const VALUE_BYTES: usize = 100;

/// Measures and prints.
pub fn run() {
    for engine in ENGINES {
        measure(engine);
    }
}

fn measure(engine: EngineName) {
    let dir = Dir::new();
    let mut node = Node::create("alice", NodeKind::Person, Kept::OnDisk(engine), &dir.at("home"));
    let mut raw = allod_node::store::open(engine, &dir.at("raw"), false).expect("an empty directory takes a new store");
    let mut series = Series::default();
    let (mut floors, mut figures, mut sealing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for page in prepared::pages(RECORDS, FIELDS, VALUE_BYTES) {
        let fields: usize = page.iter().map(|item| item.fields.len()).sum();
        let (_, event) = node.event_of(prepared::import(page));
        let start = Instant::now();
        let (writes, effects) = node.handle(event);
        sealing += start.elapsed();
        node.commit(&writes);
        let figure = start.elapsed();
        let is_taken = |effect: &Effect| matches!(effect, Effect::Reply { outcome: Ok(Answer::Imported(_)), .. });
        assert!(effects.iter().any(is_taken), "{effects:?}");
        let start = Instant::now();
        raw.commit(&writes).expect("the disk takes it");
        let floor = start.elapsed();
        series.push(floor, figure, fields);
        floors += floor;
        figures += figure;
    }
    let whole = figures.as_secs_f64() / floors.as_secs_f64();
    let reached = verdict(&[(whole, 1.5)]);
    print("W5 import, each field", engine.as_str(), &series, format_args!(""));
    line(
        "W5 import of 100,000 fields",
        engine.as_str(),
        format_args!(
            "{:.2} s, of it {:.2} s before the commits; raw puts {:.2} s; ratio {whole:.2}; {:.0} fields/s  goal 1.5: {reached}",
            figures.as_secs_f64(),
            sealing.as_secs_f64(),
            floors.as_secs_f64(),
            (RECORDS * FIELDS) as f64 / figures.as_secs_f64(),
        ),
    );
}
