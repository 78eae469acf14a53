//! A disk that is full or refuses, and a death, at every call of a fixed workload that could meet it; and a very small disk.
//!
//! The same fifteen requests go to a copy of the same home, once for each call to the operating system that the node makes in them: that
//! call fails, or the node dies in it. A node whose commit failed says so in two lines and ends; started again on a sound disk it has
//! all that it acknowledged. `strace` injects; it counts calls a thread, so that a number may be met by more than one thread.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{
    Extent, Findings, Plan,
    api::Fault,
    filled, has_program, is_root,
    kill::{begin, spoke_of_a_panic, verified},
    oracle::Oracle,
    pairing::pair,
    process::{Ended, Node, NotReady, copy_home, tail},
    workload::{self, TEXT_MAX_BYTES},
};

/// A node that can't go on has ended by then.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// One way to fail.
struct Way {
    name: &'static str,
    /// Calls, as strace names them.
    calls: &'static str,
    /// What happens, and whether from then on or once.
    what: &'static str,
    lasts: bool,
    /// Only on these files of the home, if any are named.
    files: &'static [&'static str],
}

const WRITES: &str = "pwrite64,pwritev,pwritev2";
const SYNCS: &str = "fsync,fdatasync,sync_file_range";
const ANY: &[&str] = &[];
const SMALL: &[&str] = &["vault.new", "ports.toml.new", "store/ended.new"];
/// A read that is refused to the loader of programs is not the node's.
const STORE: &[&str] = &["store/db", "store/store.redb"];
/// What lies beside an engine's data; a star stands for the rest of a name.
const BESIDE: &[&str] = &["store/conf", "store/commits", "store/ended", "store/snap*"];
const NAMES: &str = "ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat";

#[rustfmt::skip]
const WAYS: &[Way] = &[
    Way { name: "a full disk", calls: WRITES, what: "error=ENOSPC", lasts: true, files: ANY },
    Way { name: "a refused write", calls: WRITES, what: "error=EIO", lasts: false, files: ANY },
    Way { name: "a refused sync", calls: SYNCS, what: "error=EIO", lasts: false, files: ANY },
    Way { name: "a refused read", calls: "pread64,preadv", what: "error=EIO", lasts: false, files: STORE },
    Way { name: "a refused read beside the data", calls: "openat,read,pread64", what: "error=EIO", lasts: false, files: BESIDE },
    Way { name: "a refused change of names or lengths", calls: NAMES, what: "error=EIO", lasts: false, files: ANY },
    Way { name: "a small file that can't be written", calls: "write,openat", what: "error=ENOSPC", lasts: true, files: SMALL },
    Way { name: "death in a write", calls: WRITES, what: "signal=KILL", lasts: false, files: ANY },
    Way { name: "death in a sync", calls: SYNCS, what: "signal=KILL", lasts: false, files: ANY },
    Way { name: "death in a change of names or lengths", calls: NAMES, what: "signal=KILL", lasts: false, files: ANY },
];

/// All ways on every engine, then the small disk.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    let mut findings = Findings::new();
    for engine in &plan.engines {
        if has_program("strace") {
            findings.extend(every_call(plan, engine));
        } else {
            plan.left_out.note(Extent::Part, format!("{engine}: no call fails, strace is not at hand"));
        }
        if is_root() {
            findings.extend(small_disk(plan, engine));
            findings.extend(filled::on(plan, engine));
        } else {
            plan.left_out.note(Extent::Part, format!("{engine}: the small disk takes root"));
        }
    }
    findings
}

/// A home with some fields and grants, stopped in order; what is in it; and what it calls its peer.
pub struct Prepared {
    pub home: PathBuf,
    pub oracle: Oracle,
    pub peer: String,
    pub listen: Vec<String>,
}

/// Makes one.
///
/// # Panics
/// If sound nodes on a sound disk can't.
#[must_use]
pub fn prepare(plan: &Plan, engine: &str, dir: &Path) -> Prepared {
    let mut alice = Node::made(&plan.exe, &dir.join("base"), "alice", engine);
    let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
    alice.must_start();
    shop.must_start();
    let peer = pair(&shop, &alice).expect("two running nodes pair").acceptors;
    let oracle = Mutex::new(Oracle::default());
    let api = alice.api();
    for (number, bytes) in [40, 900, 4_100, 70_000, TEXT_MAX_BYTES, 300, 2_000, 9_000].into_iter().enumerate() {
        let path = format!("note/base-{number}/text");
        let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(bytes);
        workload::set(&api, &path, content, &oracle).expect("a sound node writes");
        if number % 2 == 0 {
            let id = workload::grant(&api, &peer, &path, &oracle).expect("a sound node lends");
            if number % 4 == 0 {
                workload::revoke(&api, &id, &oracle).expect("a sound node takes back");
            }
        }
    }
    alice.stop().expect("a sound node stops");
    shop.stop().expect("a sound node stops");
    let mut oracle = oracle.into_inner().unwrap_or_else(PoisonError::into_inner);
    oracle.acknowledged = 0;
    Prepared { home: alice.home.clone(), oracle, peer, listen: alice.listen.clone() }
}

/// The fixed requests: all kinds of steps, and values that are stored in each way.
fn requests(node: &Node, peer: &str, oracle: &Mutex<Oracle>) -> Result<(), Fault> {
    let api = node.api();
    let set = |path: &str, bytes| {
        let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(bytes);
        workload::set(&api, path, content, oracle)
    };
    set("note/a/text", 60)?;
    set("note/b/text", 5_000)?;
    let first = workload::grant(&api, peer, "note/a/text", oracle)?;
    set("note/a/text", 61)?;
    set("note/c/text", 70_000)?;
    let second = workload::grant(&api, peer, "note/c/text", oracle)?;
    workload::revoke(&api, &first, oracle)?;
    set("note/a/text", 62)?;
    set("note/d/text", TEXT_MAX_BYTES)?;
    workload::remove(&api, "note/b/text", oracle)?;
    set("note/base-0/text", 1_500)?;
    workload::revoke(&api, &second, oracle)?;
    workload::remove(&api, "note/d/text", oracle)?;
    set("note/e/text", 200)?;
    api.get("/v1/verify", &[]).map(drop)
}

fn every_call(plan: &Plan, engine: &str) -> Findings {
    let dir = plan.dir.join(format!("disk-{engine}"));
    let prepared = prepare(plan, engine, &dir);
    let mut findings = Findings::new();
    for way in WAYS {
        let calls = count(plan, &prepared, &dir, way);
        let cases = plan.rounds(8, usize::MAX).min(calls);
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for case in 0..cases {
            // Spread evenly, the first and the last included.
            let number = 1 + if cases < 2 { 0 } else { case * (calls - 1) / (cases - 1) };
            match one(plan, &prepared, &dir, way, number) {
                Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
                Err(found) => {
                    findings.extend(found.into_iter().map(|what| format!("{engine}, {} {number}: {what}", way.name)));
                }
            }
        }
        println!("disk {engine}, {}: {cases} of {calls} calls; {}", way.name, told(&outcomes));
    }
    findings
}

/// Outcomes and their numbers, in one line.
#[must_use]
pub fn told(outcomes: &BTreeMap<String, usize>) -> String {
    outcomes.iter().map(|(outcome, number)| format!("{number} {outcome}")).collect::<Vec<_>>().join("; ")
}

fn traced(way: &Way, home: &Path, rest: &[String]) -> Vec<String> {
    let mut under: Vec<String> = ["strace", "-f", "-qq", "-e", "signal=none"].map(str::to_owned).to_vec();
    under.extend(["-e".to_owned(), format!("trace={}", way.calls)]);
    for path in way.files.iter().flat_map(|name| named(&home.join(name))) {
        under.extend(["-P".to_owned(), path.display().to_string()]);
    }
    under.extend_from_slice(rest);
    under
}

/// The path itself, or those that begin so where it ends with a star.
fn named(path: &Path) -> Vec<PathBuf> {
    let text = path.to_str().expect("a path in UTF-8");
    let Some(begin) = text.strip_suffix('*') else { return vec![path.to_owned()] };
    let entries = path.parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().starts_with(begin)).collect()
}

fn copied(plan: &Plan, prepared: &Prepared, dir: &Path) -> Node {
    let home = dir.join("work");
    copy_home(&prepared.home, &home);
    Node::new(&plan.exe, &home, "alice", prepared.listen.clone())
}

/// How many of these calls the workload makes: the most that one thread does, since strace counts them so.
fn count(plan: &Plan, prepared: &Prepared, dir: &Path, way: &Way) -> usize {
    let mut node = copied(plan, prepared, dir);
    let trace = dir.join("trace");
    node.under = traced(way, &node.home, &["-o".to_owned(), trace.display().to_string()]);
    node.must_start();
    let oracle = Mutex::new(prepared.oracle.clone());
    requests(&node, &prepared.peer, &oracle).expect("a sound node does what is asked");
    let _ = node.stop();
    let text = fs::read_to_string(trace).unwrap_or_default();
    let mut threads: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains('(') && !line.contains("resumed>")) {
        *threads.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    threads.into_values().max().unwrap_or(0)
}

fn one(plan: &Plan, prepared: &Prepared, dir: &Path, way: &Way, number: usize) -> Result<String, Findings> {
    let mut node = copied(plan, prepared, dir);
    let when = if way.lasts { format!("{number}+") } else { number.to_string() };
    let inject = format!("inject={}:{}:when={when}", way.calls, way.what);
    node.under = traced(way, &node.home, &["-o".to_owned(), "/dev/null".to_owned(), "-e".to_owned(), inject]);
    let oracle = Mutex::new(prepared.oracle.clone());
    let dies = way.what.starts_with("signal");
    let outcome = match node.start() {
        Err(NotReady::Hung) => return Err(vec!["it hung at its start".to_owned()]),
        Err(NotReady::Ended(ended)) => plain(&ended, dies).map(|how| format!("did not start: {how}")),
        Ok(()) => match requests(&node, &prepared.peer, &oracle) {
            Ok(()) => match node.stop() {
                Ok(()) => Ok("did all".to_owned()),
                Err(Some(ended)) => plain(&ended, dies).map(|how| format!("did all, and at its stop: {how}")),
                Err(None) => Err("it hung at its stop".to_owned()),
            },
            Err(Fault::Hung) => Err("a request was never answered".to_owned()),
            Err(fault) => match node.wait(ENDED_WITHIN) {
                Some(ended) => plain(&ended, dies),
                None => Err(format!("it refused with {fault:?} and went on")),
            },
        },
    };
    let mut found: Findings = outcome.as_ref().err().cloned().into_iter().collect();
    found.extend(spoke_of_a_panic(&node));
    node.kill();
    node.under.clear();
    let mut oracle = oracle.into_inner().unwrap_or_else(PoisonError::into_inner);
    match begin(&mut node) {
        Err(what) => found.push(format!("on a sound disk again, {what}")),
        Ok(()) => {
            found.extend(oracle.compare(&node.api(), true));
            found.extend(verified(&node.api()).err());
            found.extend(node.stop().err().map(|ended| format!("on a sound disk again it does not stop: {ended:?}")));
        }
    }
    if found.is_empty() { Ok(outcome.unwrap_or_default()) } else { Err(found) }
}

/// How it ended, if that was plain.
fn plain(ended: &Ended, dies: bool) -> Result<String, String> {
    if dies && (ended.signal == Some(libc::SIGKILL) || ended.exit == Some(128 + libc::SIGKILL)) {
        return Ok("died".to_owned());
    }
    ended.is_plain()?;
    let object = ended.said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap_or_default();
    let message: String = object["error"]["message"].as_str().unwrap_or_default().chars().take(90).collect();
    Ok(format!("ended with {} \"{message}\"", ended.exit.unwrap_or(-1)))
}

/// A disk of 4 MiB is filled, then made larger.
fn small_disk(plan: &Plan, engine: &str) -> Findings {
    let dir = plan.dir.join(format!("small-{engine}"));
    let disk = dir.join("disk");
    fs::create_dir_all(&disk).expect("a directory can be made");
    if !mount(&disk, "size=4m,mode=0700") {
        plan.left_out.note(Extent::Part, format!("{engine}: the small disk can't be mounted"));
        return Findings::new();
    }
    let findings = on_small_disk(plan, engine, &disk, &|| mount(&disk, "remount,size=64m,mode=0700"));
    unmount(&disk);
    findings
}

/// Puts a disk of a fixed size there, or changes the size of the one that is. Whether it could.
pub(super) fn mount(disk: &Path, options: &str) -> bool {
    let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(disk).status();
    status.is_ok_and(|status| status.success())
}

/// Takes it away, whoever still uses it.
pub(super) fn unmount(disk: &Path) {
    let _ = Command::new("umount").arg("-l").arg(disk).status();
}

fn on_small_disk(plan: &Plan, engine: &str, disk: &Path, enlarge: &dyn Fn() -> bool) -> Findings {
    let mut findings = Findings::new();
    let mut alice = Node::made(&plan.exe, &disk.join("alice"), "alice", engine);
    alice.log = disk.with_extension("stderr");
    let oracle = Mutex::new(Oracle::default());
    let mut writes = 0;
    let ended = match alice.start() {
        Ok(()) => loop {
            let path = format!("note/{}/text", writes % 40);
            let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(3_000 + writes * 997 % 60_000);
            match workload::set(&alice.api(), &path, content, &oracle) {
                Ok(()) if writes > 2_000 => return vec![format!("{engine}: 4 MiB were never full")],
                Ok(()) => writes += 1,
                Err(Fault::Hung) => return vec![format!("{engine}: a write to a full disk was never answered")],
                Err(_) => break alice.wait(ENDED_WITHIN),
            }
        },
        Err(NotReady::Hung) => None,
        Err(NotReady::Ended(ended)) => Some(ended),
    };
    let how = match ended.as_ref().map(|ended| plain(ended, false)) {
        Some(Ok(how)) => how,
        Some(Err(what)) => {
            findings.push(format!("{engine}, a small disk: {what}"));
            String::new()
        }
        None => {
            findings.push(format!("{engine}, a small disk: it neither works nor ends"));
            alice.kill();
            String::new()
        }
    };
    // On the full disk it starts or says why not; either way nothing is lost.
    let again = match alice.start() {
        Ok(()) => {
            findings.extend(oracle.lock().unwrap_or_else(PoisonError::into_inner).compare(&alice.api(), true));
            alice.kill();
            "starts".to_owned()
        }
        Err(NotReady::Ended(ended)) => plain(&ended, false).unwrap_or_else(|what| {
            findings.push(format!("{engine}, a full disk: {what}"));
            tail(&ended.said)
        }),
        Err(NotReady::Hung) => {
            findings.push(format!("{engine}, a full disk: it hung at its start"));
            String::new()
        }
    };
    if !enlarge() {
        findings.push(format!("{engine}: the small disk can't be enlarged"));
    }
    match begin(&mut alice) {
        Err(what) => findings.push(format!("{engine}, the disk has room again: {what}")),
        Ok(()) => {
            let mut oracle = oracle.lock().unwrap_or_else(PoisonError::into_inner);
            findings.extend(oracle.compare(&alice.api(), true));
            oracle.acknowledged += 1;
            let _ = alice.stop();
        }
    }
    println!(
        "disk {engine}, 4 MiB: full after {writes} writes: {how}; while full: {again}; findings: {}",
        findings.len()
    );
    findings
}
