//! W6: resident memory of a node at rest.
//!
//! A process of its own opens a store with 1,000 records and 10 relationships, does what is due until it would sleep, and reads its own
//! resident size. Then the same with 100,000 more relationships that nobody is connected for, on a vendor's node. Network and control API
//! are not in it.

use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use allod_crypto::Vault;
use allod_node::store::{self, EngineName};
use allod_protocol::{command::NodeKind, engine::Settings, event::Event};

use super::machine;
use super::measure::{line, verdict};
use super::node::{Dir, Kept, Node};
use super::{ENGINES, prepared};

/// The first argument of the child.
pub const CHILD: &str = "child-memory";

const RECORDS: usize = 1_000;
const RELATIONSHIPS: usize = 10;
/// Relationships that lie idle.
const IDLE: usize = 100_000;
/// Relationships of one commit: each is five rows.
const AT_ONCE: usize = 100;

/// Measures and prints.
pub fn run() {
    for engine in ENGINES {
        let few = measure(engine, RELATIONSHIPS);
        let many = measure(engine, IDLE + RELATIONSHIPS);
        let more = many - few;
        line(
            "W6 resident, 1,000 records, 10 peers",
            engine.as_str(),
            format_args!("{few:.1} MiB, engine and store alone  goal 25 MiB: {}", verdict(&[(few, 25.0)])),
        );
        line(
            "W6 100,000 idle relationships more",
            engine.as_str(),
            format_args!("{more:.1} MiB more  goal 64 MiB: {}", verdict(&[(more, 64.0)])),
        );
    }
}

/// The resident size of a fresh process with so many relationships, in MiB.
pub fn measure(engine: EngineName, relationships: usize) -> f64 {
    let dir = Dir::new();
    let home = dir.at("home");
    let mut node = Node::create("shop", NodeKind::Vendor, Kept::OnDisk(engine), &home);
    for page in prepared::pages(RECORDS, 1, 100) {
        node.ask(prepared::import(page));
    }
    for start in (0..relationships).step_by(AT_ONCE) {
        let names = (start..(start + AT_ONCE).min(relationships)).map(|number| format!("customer{number}"));
        let batch = prepared::relationships(&node, names);
        node.commit(&batch);
    }
    node.keep_vault(&dir.at("vault"));
    node.close();
    let output = Process::new(std::env::current_exe().expect("this program has a file"))
        .args([CHILD.as_ref(), engine.as_str().as_ref(), home.as_os_str(), dir.at("vault").as_os_str()])
        .output()
        .expect("this program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse::<f64>().expect("the child says its size in KiB") / 1024.0
}

/// The process that rests.
///
/// # Errors
/// Arguments that only the benchmark knows are wrong.
pub fn child(arguments: &[String]) -> Result<(), String> {
    let [engine, home, vault] = arguments else { return Err("three arguments".to_owned()) };
    let bytes = std::fs::read(vault).map_err(|error| error.to_string())?;
    let vault = Vault::read(&bytes).expect("it was written").unlock_open().expect("it has no passphrase");
    let engine: EngineName = engine.parse().map_err(|_| "no such engine".to_owned())?;
    let store = store::open(engine, Path::new(home), true).expect("the store opens");
    let settings = Settings { name: "shop".to_owned(), kind: NodeKind::Vendor, carrier: false };
    let mut node = Node::start(vault, store, settings, Duration::ZERO);
    node.step(Event::Listening { addresses: vec!["/ip4/127.0.0.1/tcp/4100".to_owned()] });
    while node.is_restless() {
        node.step(Event::Tick);
    }
    let resident = machine::field("/proc/self/status", "VmRSS").ok_or("this system does not tell")?;
    println!("{}", resident.trim_end_matches("kB").trim());
    Ok(())
}
