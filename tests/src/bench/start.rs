//! W7: from the start of a process until it has answered its first read, over 1,000,000 fields in 100,000 records.
//!
//! The child is this program in a process of its own: it reads the vault, opens the store and the engine, and reads one field. The clock
//! runs from before the process is started until its answer has been read. After a clean stop, and after kill -9 in the middle of writing;
//! several of each, since the first start after a large import can differ from the next. The vault has no passphrase: Argon2id takes the
//! time that it is meant to take, whatever the store holds. Files are in the page cache.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command as Process, Stdio};
use std::time::{Duration, Instant};

use allod_crypto::Vault;
use allod_node::store::{self, EngineName};
use allod_protocol::{
    command::{Answer, Command, NodeKind},
    engine::Settings,
    path::Path as FieldOrRecord,
    store::Counted,
};

use super::measure::{Seconds, Spread, line, print_alone, verdict};
use super::node::{Dir, Kept, Node};
use super::pair::{item, path};
use super::{ENGINES, prepared};

/// The first argument of the child.
pub const CHILD: &str = "child-start";
/// What it does after the first read, as its last argument.
const STOP: &str = "stop";
const WRITE: &str = "write";
const COUNT: &str = "count";

const RECORDS: usize = 100_000;
const FIELDS: usize = 10;
const VALUE_BYTES: usize = 100;
/// Starts of each kind.
const STARTS: usize = 7;

/// Measures and prints.
pub fn run() {
    for engine in ENGINES {
        measure(engine);
    }
}

fn measure(engine: EngineName) {
    let dir = Dir::new();
    let home = dir.at("home");
    let mut node = Node::create("alice", NodeKind::Person, Kept::OnDisk(engine), &home);
    let start = Instant::now();
    for page in prepared::pages(RECORDS, FIELDS, VALUE_BYTES) {
        node.ask(prepared::import(page));
    }
    let imported = start.elapsed().as_secs_f64();
    let size_mb = node.store().size_bytes() as f64 / 1e6;
    node.keep_vault(&dir.at("vault"));
    let closing = Instant::now();
    node.close();
    line(
        "W7 imported before",
        engine.as_str(),
        format_args!(
            "1,000,000 fields in {}, {size_mb:.0} MB; closed in {}",
            Seconds(imported),
            Seconds(closing.elapsed().as_secs_f64())
        ),
    );

    let (took, longest) = counted(engine, &dir);
    line(
        "W7 store counted to its end after kill -9",
        engine.as_str(),
        format_args!("{} with nothing else at work, longest piece {}", Seconds(took), Seconds(longest)),
    );
    let clean: Vec<f64> = (0..STARTS).map(|_| clean(engine, &dir).as_secs_f64()).collect();
    let killed: Vec<f64> = (0..STARTS).map(|_| killed(engine, &dir).as_secs_f64()).collect();
    for (heading, times, goal) in [("after a clean stop", clean, 0.3), ("after kill -9", killed, 1.0)] {
        let spread = Spread::of(times.iter().copied());
        let reached = verdict(&[(spread.high, goal)]);
        let first = Seconds(times[0]);
        print_alone(
            &format!("W7 start until the first read, {heading}"),
            engine.as_str(),
            spread,
            format_args!("first of {STARTS}: {first}  goal {goal} s: {reached}"),
        );
    }
}

fn clean(engine: EngineName, dir: &Dir) -> Duration {
    let (took, mut child, _) = start(engine, dir, STOP);
    assert!(child.wait().expect("it was started").success(), "it stops in order");
    took
}

/// Starts one that writes, and kills it.
fn kill_one(engine: EngineName, dir: &Dir) {
    let (_, mut writer, mut says) = start(engine, dir, WRITE);
    for _ in 0..20 {
        assert_eq!(says.line(), "written", "it acknowledges what it wrote");
    }
    writer.kill().expect("it runs");
    writer.wait().expect("it was started");
}

/// How long the count takes that an end in disorder calls for, in the background of a node, and the longest of its pieces. Seconds.
fn counted(engine: EngineName, dir: &Dir) -> (f64, f64) {
    kill_one(engine, dir);
    let (_, mut child, mut says) = start(engine, dir, COUNT);
    let times: Vec<f64> = says.line().split(' ').map(|time| time.parse().expect("seconds")).collect();
    assert!(child.wait().expect("it was started").success(), "it stops in order");
    (times[0], times[1])
}

/// Starts one after a kill: the one that is measured.
fn killed(engine: EngineName, dir: &Dir) -> Duration {
    kill_one(engine, dir);
    let (took, mut child, _) = start(engine, dir, STOP);
    // What is measured next begins with a kill again: this one may end in order.
    assert!(child.wait().expect("it was started").success(), "it stops in order");
    took
}

/// What a child says, line by line.
struct Says(BufReader<ChildStdout>);

impl Says {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the child speaks");
        line.trim().to_owned()
    }
}

fn start(engine: EngineName, dir: &Dir, then: &str) -> (Duration, Child, Says) {
    let start = Instant::now();
    let mut child = Process::new(std::env::current_exe().expect("this program has a file"))
        .args([CHILD.as_ref(), engine.as_str().as_ref(), dir.at("home").as_os_str(), dir.at("vault").as_os_str()])
        .arg(then)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let mut says = Says(BufReader::new(child.stdout.take().expect("it is piped")));
    assert_eq!(says.line(), "read", "the first read is answered");
    (start.elapsed(), child, says)
}

/// The process that is started.
///
/// # Errors
/// Arguments that only the benchmark knows are wrong.
pub fn child(arguments: &[String]) -> Result<(), String> {
    let [engine, home, vault, then] = arguments else { return Err("four arguments".to_owned()) };
    let engine = engine.parse().map_err(|_| "no such engine".to_owned())?;
    if then == COUNT {
        return count(engine, home.as_ref());
    }
    let mut node = opened(engine, home.as_ref(), vault.as_ref());
    let wanted = path(&format!("{}/field3", prepared::record(RECORDS / 2)));
    let get = Command::Get { paths: vec![FieldOrRecord::Field(wanted)], from: None };
    let Answer::Fields(fields) = node.ask(get) else { return Err("a read yields fields".to_owned()) };
    assert_eq!(fields.len(), 1);
    println!("read");
    if then == STOP {
        node.close();
        return Ok(());
    }
    loop {
        for number in 0..RECORDS {
            let field = path(&format!("{}/field4", prepared::record(number)));
            node.ask(Command::Set { items: vec![item(field, "changed")] });
            println!("written");
        }
    }
}

fn count(engine: EngineName, home: &Path) -> Result<(), String> {
    let mut store = store::open(engine, home, true).map_err(|fault| fault.to_string())?;
    println!("read");
    let (begun, mut longest) = (Instant::now(), 0_f64);
    loop {
        let piece = Instant::now();
        let counted = store.count_on().map_err(|fault| fault.to_string())?;
        longest = longest.max(piece.elapsed().as_secs_f64());
        if counted == Counted::All {
            println!("{} {longest}", begun.elapsed().as_secs_f64());
            return Ok(());
        }
    }
}

/// A node whose home is there, opened as at any start.
pub fn opened(engine: EngineName, home: &Path, vault: &Path) -> Node {
    let bytes = fs::read(vault).expect("the vault is there");
    let vault = Vault::read(&bytes).expect("it was written").unlock_open().expect("it has no passphrase");
    let store = store::open(engine, home, true).expect("the store opens");
    let settings = Settings { name: "alice".to_owned(), kind: NodeKind::Person, carrier: false };
    Node::start(vault, store, settings, Duration::ZERO)
}
