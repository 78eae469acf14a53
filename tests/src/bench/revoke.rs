//! W3: taking back, from the command until it is durable, which is when it is acknowledged.
//!
//! Floor: one durable commit of one row of 200 bytes in the same store. Figure: `revoke` of a grant as an event, until its commit has
//! returned. The vendor is not there; with 10 and with 10,000 cells handed over, with 1, 100 and 1,000 vendors besides that each hold the
//! same field under a grant of their own. Beside the time, what the commit wrote: rows, bytes, and bytes that belong to anyone else.

use std::time::{Duration, Instant};

use allod_node::store::EngineName;
use allod_protocol::{
    command::{Answer, Command, Delivery, Mode},
    effect::Effect,
    path::Selector,
    relationship::Relationship,
    store::Batch,
    tx::Tx,
};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::measure::{Series, Spread, line, print, verdict};
use super::node::{Dir, Node};
use super::pair::{Pair, Who, column, grant, path, petname};
use super::{ENGINES, floor_key, prepared};

/// Iterations of each case: each lends afresh, so that what is taken back is all that this vendor has.
const ITERATIONS: usize = 12;
/// Vendors besides.
const OTHERS: [usize; 3] = [1, 100, 1_000];
/// Cells of the small and of the large grants.
const FEW: usize = 10;
const MANY: usize = 10_000;

/// Measures and prints.
pub fn run() {
    let mut pair = prepared::with_records(MANY, 20);
    let dir = Dir::new();
    let mut crowds: Vec<Crowd> = Vec::new();
    let mut met = 0;
    for others in OTHERS {
        while met < others {
            met += 1;
            let batch = prepared::relationships(&pair.person, std::iter::once(petname(met)));
            pair.person.commit(&batch);
            let selector = Selector::Field(path(&format!("{}/amount", prepared::record(0))));
            pair.command(Who::Person, grant(&petname(met), vec![selector], Mode::Follow)).expect("it is lent");
        }
        for engine in ENGINES {
            let person = pair.person.moved_to(engine, &dir.at(&format!("{engine}-{others}")));
            let vendor = pair.vendor.copied();
            let mut pair = Pair::of(person, vendor);
            pair.settle();
            crowds.push(Crowd { engine, others, pair, cases: Default::default() });
        }
    }
    for engine in ENGINES {
        let mut crowds: Vec<&mut Crowd> = crowds.iter_mut().filter(|crowd| crowd.engine == engine).collect();
        for number in 0..ITERATIONS {
            for crowd in &mut crowds {
                crowd.one(number);
            }
        }
        print_all(engine, &crowds);
    }
}

/// One person who lends to one vendor, and to so many others.
struct Crowd {
    engine: EngineName,
    others: usize,
    pair: Pair,
    cases: [Case; 2],
}

impl Crowd {
    /// Lends few cells and many, and takes both back while the vendor is not there.
    fn one(&mut self, number: usize) {
        let few = (0..FEW).map(|n| Selector::Field(path(&format!("{}/amount", prepared::record(n)))));
        let grants = [few.collect(), vec![column(prepared::COLUMN)]].map(|selectors| lend(&mut self.pair, selectors));
        self.pair.cut();
        self.pair.settle();
        for (grant, case) in grants.iter().zip(&mut self.cases) {
            one(&mut self.pair.person, number, grant, case);
        }
        // Long enough to dial again; the vendor drops what it held.
        self.pair.let_pass(Duration::from_secs(600));
        self.pair.settle();
    }
}

/// Lends, until the vendor holds all of it.
fn lend(pair: &mut Pair, selectors: Vec<Selector>) -> String {
    let answer = pair.command(Who::Person, grant(&petname(0), selectors, Mode::Follow)).expect("it is lent");
    let Answer::Granted(view) = answer else { panic!("a grant is answered with what it is") };
    assert!(view.told.iter().all(|told| told.state == Delivery::Delivered), "the vendor is there");
    view.grant
}

/// What was measured with so many cells and so many others.
#[derive(Default)]
struct Case {
    series: Series,
    rows: Vec<f64>,
    sizes: Vec<f64>,
    of_others: usize,
}

fn print_all(engine: EngineName, crowds: &[&mut Crowd]) {
    let mut ratios = Vec::new();
    for crowd in crowds {
        for (cells, case) in [FEW, MANY].into_iter().zip(&crowd.cases) {
            let (ratio, most) = (case.series.ratio().median, Spread::of(case.sizes.iter().copied()).high);
            ratios.push(ratio);
            let reached = verdict(&[(ratio, 1.3), (most, 1_024.0), (case.of_others as f64, 0.0)]);
            print(
                &format!("W3 revoke, {cells} cells, {} others", crowd.others),
                engine.as_str(),
                &case.series,
                format_args!(
                    "{} rows, {most} B, {} B of others  goal 1.3, 1024 B, 0 B: {reached}",
                    Spread::of(case.rows.iter().copied()).high,
                    case.of_others
                ),
            );
        }
    }
    let (least, most) = (ratios.iter().copied().fold(f64::MAX, f64::min), ratios.iter().copied().fold(0.0, f64::max));
    let spread = most / least - 1.0;
    let reached = verdict(&[(spread, 0.10)]);
    line(
        "W3 flat over cells and others",
        engine.as_str(),
        format_args!("{:.0} %  goal 10 %: {reached}", spread * 100.0),
    );
}

fn one(person: &mut Node, number: usize, grant: &str, case: &mut Case) {
    let floor = floor(person, number);
    let (_, event) = person.event_of(Command::RevokeGrant { grant: grant.to_owned() });
    let start = Instant::now();
    let (writes, effects) = person.handle(event);
    person.commit(&writes);
    let figure = start.elapsed();
    let answered = effects.iter().any(|effect| matches!(effect, Effect::Reply { outcome: Ok(Answer::Revoked(_)), .. }));
    assert!(answered, "it is acknowledged by this commit");
    case.series.push(floor, figure, 1);
    case.rows.push(person.last_commit().count as f64);
    case.sizes.push(person.last_commit().size_bytes as f64);
    case.of_others += bytes_of_others(person, &writes, grant);
}

fn floor(person: &mut Node, number: usize) -> Duration {
    let mut batch = Batch::new();
    batch.put(floor_key(number as u64), vec![1; 200]);
    let start = Instant::now();
    person.commit(&batch);
    start.elapsed()
}

/// Bytes under keys that name neither this relationship, its logs nor this grant. Jobs are rows of our own.
fn bytes_of_others(person: &Node, writes: &Batch, grant: &str) -> usize {
    let (vault, mut dice) = (person.vault(), UnwrapErr(SysRng));
    let tx = Tx::new(person.view(), &vault, &mut dice, person.now());
    let relationship = Relationship::named(&tx, &petname(0)).expect("we met");
    let grant = allod_protocol::grant::Grant::named(&tx, grant).expect("it stays on record");
    let ours = [*relationship.id.as_bytes(), *relationship.my_log.as_bytes(), *grant.id.as_bytes()];
    writes
        .writes()
        .filter(|(key, _)| key[0] != allod_protocol::table::Table::Jobs.byte())
        .filter(|(key, _)| !ours.iter().any(|id| key.windows(16).any(|part| part == id)))
        .map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len))
        .sum()
}
