//! `kill -9`, at any moment: while a node writes, while it starts, and on the holder's side.
//!
//! Three programs write, lend, take back and remove without a pause. The node is killed after a random time, started again, and must
//! have whatever it acknowledged; in some rounds it is killed while it recovers, in some the holder is killed too. Every so often
//! both are left alone until the holder reads exactly what is lent, and all logs verify.

use std::{
    fs,
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use super::{
    Findings, Plan,
    api::{Api, Fault},
    dice::Dice,
    oracle::Oracle,
    pairing::pair,
    process::{Node, NotReady, tail},
    workload::{self, Sizes},
};

/// Both sides are level by then, with seven other programs on the machine.
pub const LEVEL_WITHIN: Duration = Duration::from_secs(30);
/// Rounds between two looks at everything.
const LOOK_EVERY: usize = 25;
/// Kills of one home. Then another begins: a look at all that was ever lent takes longer and longer.
const KILLS_PER_LIFE: usize = 250;
/// A start after a kill: the goal is 2 s on a machine of its own.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// Kills on every engine.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    let rounds = plan.rounds(200, 10_000).div_ceil(plan.engines.len());
    plan.engines.iter().flat_map(|engine| on(plan, engine, rounds)).collect()
}

fn on(plan: &Plan, engine: &str, rounds: usize) -> Findings {
    let dice = Dice::seeded(plan.seed);
    let mut done = Done::default();
    let mut findings = Findings::new();
    for first in (0..rounds).step_by(KILLS_PER_LIFE) {
        let dir = plan.dir.join(format!("kill-{engine}-{}", first / KILLS_PER_LIFE));
        let found = live(plan, engine, &dir, first..rounds.min(first + KILLS_PER_LIFE), &dice, &mut done);
        if found.is_empty() {
            let _ = fs::remove_dir_all(&dir);
        }
        findings.extend(found);
        if rounds > KILLS_PER_LIFE {
            println!("kill {engine}: {} kills so far, findings: {}", done.starts.len(), findings.len());
        }
        if findings.len() > 20 {
            break;
        }
    }
    let Done { mut starts, while_starting, holders, acknowledged, revocations, grants } = done;
    starts.sort_unstable();
    println!(
        "kill {engine}: {} kills ({while_starting} more while it started, {holders} of the holder), {acknowledged} acknowledged, \
         {revocations} of them revocations, {grants} grants; start after a kill: median {:?}, slowest {:?}; findings: {}",
        starts.len(),
        starts.get(starts.len() / 2).copied().unwrap_or_default(),
        starts.last().copied().unwrap_or_default(),
        findings.len()
    );
    if revocations == 0 && rounds > 20 {
        findings.push(format!("kill {engine}: no revocation was acknowledged, so that nothing was tested"));
    }
    if starts.last().is_some_and(|slowest| *slowest > STARTED_WITHIN) {
        findings.push(format!("kill {engine}: a start took {:?}", starts.last()));
    }
    findings
}

/// What was done in all lives.
#[derive(Default)]
struct Done {
    starts: Vec<Duration>,
    while_starting: usize,
    holders: usize,
    acknowledged: u64,
    revocations: u64,
    grants: usize,
}

/// Two homes from their first start to their last look.
fn live(plan: &Plan, engine: &str, dir: &Path, rounds: Range<usize>, dice: &Dice, done: &mut Done) -> Findings {
    let mut alice = Node::made(&plan.exe, &dir.join("alice"), "alice", engine);
    let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
    alice.must_start();
    shop.must_start();
    let names = pair(&shop, &alice).expect("two running nodes pair");
    let oracle = Mutex::new(Oracle::default());
    let mut findings = Findings::new();
    let end = rounds.end;
    for round in rounds {
        let mut now = dice.split(round as u64);
        let pause = Duration::from_micros(1_000 + now.below(140_000));
        let stop = AtomicBool::new(false);
        let api = alice.api();
        thread::scope(|scope| {
            let calls =
                scope.spawn(|| workload::run(&api, &names.acceptors, Sizes::Usual, &now.split(1), &oracle, &stop));
            thread::sleep(pause);
            alice.kill();
            let faults = calls.join().expect("the workload does not panic");
            findings.extend(faults.iter().filter_map(dishonest).map(|what| at(round, &what)));
        });
        findings.extend(spoke_of_a_panic(&alice).map(|what| at(round, &what)));
        if now.one_in(8) {
            done.while_starting += 1;
            alice.start_and_kill(Duration::from_micros(now.below(60_000)));
        }
        if now.one_in(10) {
            done.holders += 1;
            shop.kill();
            findings.extend(spoke_of_a_panic(&shop).map(|what| at(round, &what)));
            findings.extend(begin(&mut shop).err().map(|what| at(round, &what)));
        }
        let began = Instant::now();
        if let Err(what) = begin(&mut alice) {
            findings.push(at(round, &what));
            break;
        }
        done.starts.push(began.elapsed());
        let all = round % LOOK_EVERY == LOOK_EVERY - 1 || round + 1 == end;
        let mut oracle = oracle.lock().unwrap_or_else(PoisonError::into_inner);
        findings.extend(oracle.compare(&alice.api(), all).iter().map(|what| at(round, what)));
        if all {
            let level = oracle.compare_holder(&shop.api(), &names.inviters, LEVEL_WITHIN);
            findings.extend(level.iter().map(|what| at(round, what)));
            findings.extend(
                [&alice, &shop].into_iter().filter_map(|node| verified(&node.api()).err()).map(|what| at(round, &what)),
            );
        }
        if findings.len() > 20 {
            break;
        }
    }
    let oracle = oracle.lock().unwrap_or_else(PoisonError::into_inner);
    done.acknowledged += oracle.acknowledged;
    done.revocations += oracle.revocations;
    done.grants += oracle.grants();
    let _ = (alice.stop(), shop.stop());
    findings
}

fn at(round: usize, what: &str) -> String {
    format!("kill, round {round}: {what}")
}

/// Starts a node that must start.
///
/// # Errors
/// Why it did not, in a sentence.
pub fn begin(node: &mut Node) -> Result<(), String> {
    node.start().map_err(|why| match why {
        NotReady::Hung => format!("{} hung at its start", node.name),
        NotReady::Ended(ended) => {
            format!("{} did not start: exit {:?} {:?}: {}", node.name, ended.exit, ended.signal, tail(&ended.said))
        }
    })
}

/// A kill may cut a call off. Nothing else may happen to it.
#[must_use]
pub fn dishonest(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Gone(_) => None,
        Fault::Hung => Some("a call was never answered".to_owned()),
        Fault::Refused { code, message, .. } => Some(format!("a call was refused ({code}): {message}")),
    }
}

/// What a node said of a panic.
#[must_use]
pub fn spoke_of_a_panic(node: &Node) -> Option<String> {
    let said = node.said();
    let line = said.lines().find(|line| line.contains("panicked") || line.contains("a step of this program failed"))?;
    Some(format!("{} said: {line}", node.name))
}

/// Whether all logs verify, and no relationship is frozen.
///
/// # Errors
/// What does not hold.
pub fn verified(api: &Api) -> Result<(), String> {
    let seen = api.get("/v1/verify", &[]).map_err(|fault| format!("verify: {fault:?}"))?;
    if seen["ok"] != true {
        return Err(format!("the logs do not verify: {}", seen["gaps"]));
    }
    let peers = api.get("/v1/peers", &[]).map_err(|fault| format!("peers: {fault:?}"))?;
    match super::api::items(&peers).iter().find(|peer| peer["state"] != "paired") {
        Some(peer) => Err(format!("the relationship with {} is {}", peer["peer"], peer["state"])),
        None => Ok(()),
    }
}
