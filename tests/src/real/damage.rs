//! Damage to the files of a home: flipped bits, lost tails, lost and zeroed pages, other lengths, gone files.
//!
//! Each case is one damage to one copy of a home of which everything is known. A node that starts in it has every value and every grant
//! as they were, or says that it is damaged, in plain words and with exit 7, at its start or as soon as it sees it. What it may never do
//! is panic, hang, show a wrong value, or leave one out as if it had never been. Homes that ended in order and homes that were killed
//! are damaged alike: only the first have a note of their end.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Findings, Plan,
    api::Fault,
    dice::Dice,
    disk::{Prepared, prepare, told},
    kill::{spoke_of_a_panic, verified},
    process::{Ended, Node, NotReady, copy_home, tail},
    workload,
};

/// A node that found damage has ended by then; one that looks for it in the background has found it.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// What a disk loses at once. Bytes.
const PAGE_BYTES: u64 = 4096;
const SECTOR_BYTES: u64 = 512;

/// One damage.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip { byte: u64, bit: u8 },
    Zero { at: u64, bytes: u64 },
    Cut { length: u64 },
    Grow { bytes: u64 },
    Gone,
}

impl Damage {
    const fn name(self) -> &'static str {
        match self {
            Self::Flip { .. } => "a flipped bit",
            Self::Zero { .. } => "zeroed bytes",
            Self::Cut { .. } => "a lost tail",
            Self::Grow { .. } => "a longer file",
            Self::Gone => "a file that is gone",
        }
    }

    fn to(self, path: &Path) {
        let mut bytes = fs::read(path).expect("a file of the home can be read");
        match self {
            Self::Flip { byte, bit } => bytes[place(byte)] ^= 1 << bit,
            Self::Zero { at, bytes: count } => {
                let end = place(at + count).min(bytes.len());
                bytes[place(at)..end].fill(0);
            }
            Self::Cut { length } => bytes.truncate(place(length)),
            Self::Grow { bytes: count } => bytes.resize(bytes.len() + place(count), 0xA5),
            Self::Gone => return fs::remove_file(path).expect("a file of the home can be removed"),
        }
        fs::write(path, bytes).expect("a file of the home can be written");
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).expect("files here are small")
}

/// Damage on every engine.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    plan.engines.iter().flat_map(|engine| on(plan, engine)).collect()
}

fn on(plan: &Plan, engine: &str) -> Findings {
    let dir = plan.dir.join(format!("damage-{engine}"));
    let mut clean = prepare(plan, engine, &dir);
    let mut killed = kill_at_work(plan, &mut clean, &dir);
    let mut dice = Dice::seeded(plan.seed).split(77);
    let flips = plan.rounds(30, 500);
    let others = plan.rounds(12, 120);
    let mut findings = Findings::new();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for (how_ended, prepared) in [("ended", &mut clean), ("killed", &mut killed)] {
        for (file, damage) in cases(&prepared.home, flips / 2, others / 2, &mut dice) {
            let name = file.strip_prefix(&prepared.home).unwrap_or(&file).display().to_string();
            match one(plan, prepared, &dir, &name, damage) {
                Ok(outcome) => *outcomes.entry(format!("{} {outcome}", damage.name())).or_default() += 1,
                Err(found) => {
                    let at = format!("{engine}, {how_ended}, {name}, {damage:?}");
                    findings.extend(found.into_iter().map(|what| format!("{at}: {what}")));
                }
            }
        }
    }
    println!("damage {engine}: {}; findings: {}", told(&outcomes), findings.len());
    findings
}

/// The same home after more work and a kill.
fn kill_at_work(plan: &Plan, clean: &mut Prepared, dir: &Path) -> Prepared {
    let mut node = Node::new(&plan.exe, &dir.join("killed"), "alice", clean.listen.clone());
    copy_home(&clean.home, &node.home);
    node.must_start();
    let oracle = Mutex::new(clean.oracle.clone());
    for (number, bytes) in [50, 3_000, 30_000, 400, 120_000, 90].into_iter().enumerate() {
        let path = format!("note/late-{number}/text");
        let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(bytes);
        workload::set(&node.api(), &path, content, &oracle).expect("a sound node writes");
        let grant = workload::grant(&node.api(), &clean.peer, &path, &oracle).expect("a sound node lends");
        workload::revoke(&node.api(), &grant, &oracle).expect("a sound node takes back");
    }
    node.kill();
    let oracle = oracle.into_inner().unwrap_or_else(PoisonError::into_inner);
    Prepared { home: node.home.clone(), oracle, peer: clean.peer.clone(), listen: clean.listen.clone() }
}

/// Flips over all files, most of them in the store, and the other damages at the places where disks fail.
fn cases(home: &Path, flips: usize, others: usize, dice: &mut Dice) -> Vec<(PathBuf, Damage)> {
    let store = files(&home.join("store"));
    let beside: Vec<_> = ["vault", "config.toml", "ports.toml"].iter().map(|name| home.join(name)).collect();
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let largest = store.iter().max_by_key(|path| length(path)).cloned().expect("a store has files");
    let written = written_bytes(&largest);
    let mut cases = Vec::new();
    for number in 0..flips {
        let file = match number % 10 {
            0 => &beside[dice.index(beside.len())],
            1 => &store[dice.index(store.len())],
            _ => &largest,
        };
        let end = if *file == largest { written } else { length(file) };
        if end > 0 {
            cases.push((file.clone(), Damage::Flip { byte: dice.below(end), bit: (dice.below(8)) as u8 }));
        }
    }
    for number in 0..others {
        let last = written.div_ceil(SECTOR_BYTES);
        let back = |dice: &mut Dice| SECTOR_BYTES * last.saturating_sub(dice.below(64));
        cases.push(match number % 6 {
            0 => (largest.clone(), Damage::Cut { length: back(dice) }),
            1 => (largest.clone(), Damage::Cut { length: dice.below(last) * SECTOR_BYTES }),
            2 => (largest.clone(), Damage::Zero { at: back(dice).saturating_sub(SECTOR_BYTES), bytes: SECTOR_BYTES }),
            3 => {
                (largest.clone(), Damage::Zero { at: dice.below(written) / PAGE_BYTES * PAGE_BYTES, bytes: PAGE_BYTES })
            }
            4 => (largest.clone(), Damage::Grow { bytes: SECTOR_BYTES * (1 + dice.below(16)) }),
            _ => (beside[dice.index(2)].clone(), Damage::Cut { length: dice.below(200) }),
        });
    }
    for file in store.iter().chain(&beside) {
        cases.push((file.clone(), Damage::Cut { length: 0 }));
        cases.push((file.clone(), Damage::Cut { length: length(file) / 2 }));
        cases.push((file.clone(), Damage::Gone));
    }
    cases
}

/// Where the last byte that is not zero lies: an engine's file may be longer than what it has written.
fn written_bytes(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn one(plan: &Plan, prepared: &Prepared, dir: &Path, name: &str, damage: Damage) -> Result<String, Findings> {
    let home = dir.join("work");
    copy_home(&prepared.home, &home);
    damage.to(&home.join(name));
    let mut node = Node::new(&plan.exe, &home, "alice", prepared.listen.clone());
    let outcome = match node.start() {
        Err(NotReady::Hung) => Err("it hung at its start".to_owned()),
        Err(NotReady::Ended(ended)) => plain(&ended).map(|()| "was refused at the start".to_owned()),
        Ok(()) => in_use(&mut node, prepared),
    };
    let mut found: Findings = outcome.as_ref().err().cloned().into_iter().collect();
    found.extend(spoke_of_a_panic(&node));
    if node.process().is_some() {
        match node.stop() {
            Ok(()) => {}
            Err(Some(ended)) => found.extend(plain(&ended).err()),
            Err(None) => found.push("it does not stop".to_owned()),
        }
    }
    if found.is_empty() { Ok(outcome.unwrap_or_default()) } else { Err(found) }
}

/// Reads everything. What is wrong counts only if the node does not say so itself, then or a moment later.
fn in_use(node: &mut Node, prepared: &Prepared) -> Result<String, String> {
    let found = prepared.oracle.clone().compare(&node.api(), true);
    let logs = verified(&node.api());
    if found.is_empty() && logs.is_ok() {
        return Ok("did no harm".to_owned());
    }
    let until = Instant::now() + ENDED_WITHIN;
    let says_so = |fault: &Fault| fault.is("damaged");
    while Instant::now() < until {
        if let Some(ended) = node.wait(Duration::from_millis(200)) {
            return plain(&ended).map(|()| "was seen in use, and ended the node".to_owned());
        }
        if node.api().get("/v1/status", &[]).as_ref().is_err_and(says_so) {
            return Ok("was seen in use".to_owned());
        }
    }
    // A chain that does not verify is a report too, if every value is right.
    match (found.is_empty(), logs) {
        (true, Err(_)) => Ok("was seen by verify".to_owned()),
        _ => Err(format!("said nothing and {}", found.join(", "))),
    }
}

/// Damage ends in 7; settings that do not read are a usage error.
fn plain(ended: &Ended) -> Result<(), String> {
    match ended.is_plain()? {
        7 | 2 => Ok(()),
        exit => Err(format!("exit {exit}: {}", tail(&ended.said))),
    }
}
