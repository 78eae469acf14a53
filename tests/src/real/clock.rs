//! Clocks that jump by years, forward and back, on either side, while nodes run and across their restarts.
//!
//! libfaketime moves the wall clock of one running node and leaves the clock that only counts alone, as an administrator or a dead battery does.
//! Under a false clock a node keeps its own values, takes back what it lent at once and for good, and neither ends nor panics; with the
//! clock put right both sides are level again in half a minute, and nothing that was taken back has come back. Before 1970 there is no
//! time that a node can count: one that runs ends in order and says so, and does not start until the clock is right.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    Extent, Findings, Form, Plan,
    kill::{LEVEL_WITHIN, begin, spoke_of_a_panic, verified},
    oracle::{Oracle, read},
    pairing::{Pair, pair},
    process::{Ended, Node, NotReady},
    workload,
};

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// To before 1970 from any year in which this can run.
const BEFORE_1970: &str = "-150y";
/// A node looks at its clock every few seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Jumps of both sides, by years and by an hour.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    let Some(library) = LIBRARIES.iter().map(Path::new).find(|path| path.is_file()) else {
        plan.left_out.note(Extent::Whole, "libfaketime is not at hand");
        return Findings::new();
    };
    let jumps: &[&str] = match plan.form {
        Form::Short => &["+3y", "-3y"],
        Form::Soak => &["+3y", "-3y", "+15y", "+1h", "-1h", "+200y"],
    };
    let mut findings = Findings::new();
    for engine in plan.engines_of_its_form() {
        for jump in jumps {
            for who in ["lender", "holder"] {
                let dir = plan.dir.join(format!("clock-{engine}-{who}-{jump}"));
                let found = one(plan, engine, &dir, library, who == "lender", jump);
                println!("clock {engine}: the {who}'s clock jumps by {jump}, and back; findings: {}", found.len());
                findings.extend(found.into_iter().map(|what| format!("clock {engine}, {who} {jump}: {what}")));
            }
        }
        for who in ["lender", "holder"] {
            let dir = plan.dir.join(format!("clock-{engine}-{who}-before"));
            let found = before_1970(plan, engine, &dir, library, who == "lender");
            println!("clock {engine}: the {who}'s clock jumps to before 1970, and back; findings: {}", found.len());
            findings.extend(found.into_iter().map(|what| format!("clock {engine}, {who} before 1970: {what}")));
        }
    }
    findings
}

/// A node whose clock is what its file says.
struct Clock(PathBuf);

impl Clock {
    fn of(node: &mut Node, library: &Path) -> Self {
        let clock = Self(node.home.with_extension("clock"));
        clock.set("+0");
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        node.environment = vec![
            set("LD_PRELOAD", &library.display().to_string()),
            set("FAKETIME_TIMESTAMP_FILE", &clock.0.display().to_string()),
            set("FAKETIME_NO_CACHE", "1"),
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            set("DONT_FAKE_MONOTONIC", "1"),
        ];
        clock
    }

    fn set(&self, shift: &str) {
        // Replaced whole: the node reads it at any moment.
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{shift}\n")).and_then(|()| fs::rename(&new, &self.0)).expect("a file can be replaced");
    }
}

/// A lender and a holder that are paired; the clock is that of one of them.
fn paired(plan: &Plan, engine: &str, dir: &Path, library: &Path, is_lender: bool) -> (Node, Node, Pair, Clock) {
    let mut alice = Node::made(&plan.exe, &dir.join("alice"), "alice", engine);
    let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
    let clock = Clock::of(if is_lender { &mut alice } else { &mut shop }, library);
    alice.must_start();
    shop.must_start();
    let names = pair(&shop, &alice).expect("two running nodes pair");
    (alice, shop, names, clock)
}

/// Ends a node, and says what is wrong with it.
fn ended(node: &mut Node) -> Findings {
    let mut findings: Findings = verified(&node.api()).err().into_iter().collect();
    findings.extend(spoke_of_a_panic(node));
    findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
    findings
}

fn one(plan: &Plan, engine: &str, dir: &Path, library: &Path, is_lender: bool, jump: &str) -> Findings {
    let (mut alice, mut shop, names, clock) = paired(plan, engine, dir, library, is_lender);
    let oracle = Mutex::new(Oracle::default());
    let mut findings = Findings::new();
    let set = |alice: &Node, path: &str| {
        let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(200);
        workload::set(&alice.api(), path, content, &oracle).map_err(|fault| format!("{path} can't be set: {fault:?}"))
    };
    let revoke = |alice: &Node, grant: &str| {
        workload::revoke(&alice.api(), grant, &oracle)
            .map_err(|fault| format!("{grant} can't be taken back: {fault:?}"))
    };
    let compare = |alice: &Node| oracle.lock().unwrap_or_else(PoisonError::into_inner).compare(&alice.api(), true);
    let level = |shop: &Node, within| {
        oracle.lock().unwrap_or_else(PoisonError::into_inner).compare_holder(&shop.api(), &names.inviters, within)
    };
    let mut grants = Vec::new();
    for path in ["note/stays/text", "note/before/text", "note/during/text", "note/after/text"] {
        set(&alice, path).expect("a sound node writes");
        grants.push(workload::grant(&alice.api(), &names.acceptors, path, &oracle).expect("a sound node lends"));
    }
    findings.extend(level(&shop, LEVEL_WITHIN));
    findings.extend(revoke(&alice, &grants[1]).err());
    findings.extend(level(&shop, LEVEL_WITHIN));

    clock.set(jump);
    findings.extend(set(&alice, "note/stays/text").err());
    findings.extend(revoke(&alice, &grants[2]).err());
    findings.extend(compare(&alice));
    findings.extend(read(&shop.api(), "note/before/text", Some(&names.inviters)).is_ok().then(|| came_back("before")));
    for node in [&mut alice, &mut shop] {
        findings.extend(spoke_of_a_panic(node));
        node.kill();
        findings.extend(begin(node).err());
    }
    findings.extend(compare(&alice));
    findings.extend(read(&shop.api(), "note/before/text", Some(&names.inviters)).is_ok().then(|| came_back("before")));
    findings.extend(set(&alice, "note/stays/text").err());

    clock.set("+0");
    findings.extend(set(&alice, "note/stays/text").err());
    findings.extend(revoke(&alice, &grants[3]).err());
    findings.extend(level(&shop, LEVEL_WITHIN).into_iter().map(|what| format!("with the clock put right, {what}")));
    findings.extend(compare(&alice));
    findings.extend([&mut alice, &mut shop].into_iter().flat_map(ended));
    findings
}

fn before_1970(plan: &Plan, engine: &str, dir: &Path, library: &Path, is_lender: bool) -> Findings {
    let (mut alice, mut shop, names, clock) = paired(plan, engine, dir, library, is_lender);
    let oracle = Mutex::new(Oracle::default());
    let set = |alice: &Node| {
        let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(200);
        workload::set(&alice.api(), "note/it/text", content, &oracle).map_err(|fault| format!("set: {fault:?}"))
    };
    let level = |shop: &Node| {
        oracle.lock().unwrap_or_else(PoisonError::into_inner).compare_holder(&shop.api(), &names.inviters, LEVEL_WITHIN)
    };
    let mut findings = Findings::new();
    set(&alice).expect("a sound node writes");
    let grant = workload::grant(&alice.api(), &names.acceptors, "note/it/text", &oracle).expect("a sound node lends");
    findings.extend(level(&shop));

    clock.set(BEFORE_1970);
    let astray = if is_lender { &mut alice } else { &mut shop };
    // Called meanwhile, as it would be.
    let until = Instant::now() + ENDS_WITHIN;
    while astray.api().get("/v1/status", &[]).is_ok() && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    let told = |ended: &Ended| ended.exit == Some(1) && ended.said.contains("before 1970");
    match astray.wait(ENDS_WITHIN) {
        Some(ended) if told(&ended) => {}
        ended => findings.push(format!("it did not end in order: {ended:?}")),
    }
    findings.extend(spoke_of_a_panic(astray));
    match astray.start() {
        Err(NotReady::Ended(ended)) if told(&ended) => {}
        begun => findings.push(format!("it did not refuse to start: {begun:?}")),
    }
    findings.extend(spoke_of_a_panic(astray));

    clock.set("+0");
    findings.extend(begin(astray).err());
    findings.extend(set(&alice).err());
    findings.extend(level(&shop));
    findings.extend(workload::revoke(&alice.api(), &grant, &oracle).err().map(|fault| format!("revoke: {fault:?}")));
    findings.extend(set(&alice).err());
    findings.extend(level(&shop));
    findings.extend(oracle.lock().unwrap_or_else(PoisonError::into_inner).compare(&alice.api(), true));
    findings.extend([&mut alice, &mut shop].into_iter().flat_map(ended));
    findings
}

fn came_back(which: &str) -> String {
    format!("note/{which}/text was taken back and is read again")
}
