//! A hundred thousand hints over real sockets, with memory measured.
//!
//! Peers that nobody knows hand a vendor's node hints in the right topics and of the right form: noise, hints whose tag is nobody's, whose
//! time is over or far off, and the same ones again and again. A node that hears a true one syncs; none of these leads to anything. What
//! must hold: memory stays in its bound and comes back to where it was, no peer is dialled and nothing is written for them, and while
//! they come a change is delivered, and a hint of an honest third node's neighbour is (`tests/tests/processes/roads.rs`).

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use allod_protocol::{
    time::Timestamp,
    wire::hint::{self, HINT_BYTES},
};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::{
    Findings, Form, Plan,
    dice::Dice,
    hostile::{Honest, RSS_MAX_BYTES, Watch, lent, picture, raise_open_files},
    kill::{spoke_of_a_panic, verified},
    raw::{Raw, Rpc, Score, Speaks, own_address},
};

/// Peers that send them.
const SENDERS: usize = 12;
/// Hints in one RPC, which may have 64 KiB.
const TOGETHER: u64 = 50;
/// What may be left of all of it in memory.
const LEFT_MAX_BYTES: u64 = 48 << 20;
/// By then it is.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(100);
/// Slower than this, nobody takes them in.
const DEADLINE: Duration = Duration::from_secs(420);

/// The flood, on each engine.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    raise_open_files();
    plan.engines_of_its_form().iter().flat_map(|engine| on(plan, engine)).collect()
}

fn on(plan: &Plan, engine: &str) -> Findings {
    let dir = plan.dir.join(format!("hints-{engine}"));
    let (mut alice, mut shop, names) = lent(plan, &dir, engine);
    let before = picture(&shop.api());
    let honest = Honest::begin(&alice.api(), &shop.api(), &names.inviters);
    let watch = Watch::begin(shop.process().expect("the node runs"));
    thread::sleep(Duration::from_secs(2));
    honest.take();
    thread::sleep(Duration::from_secs(if plan.form == Form::Soak { 20 } else { 2 }));
    let (calm, resident) = (honest.take(), watch.now());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let wanted = plan.rounds(10_000, 100_000) as u64;
    watch.reset();
    let began = Instant::now();
    let score = Arc::new(Score::default());
    let sent = runtime.block_on(async {
        let address = format!("/ip4/127.0.0.1/tcp/{}", shop.port());
        let senders: Vec<Raw> =
            (0..SENDERS).map(|number| Raw::at(&address, own_address(number), Arc::clone(&score))).collect();
        tokio::task::block_in_place(|| flood(&senders, &score, wanted, &mut Dice::seeded(plan.seed).split(71)))
    });
    let (under, took) = (honest.take(), began.elapsed());
    let most = watch.most();
    drop(runtime);
    let mut findings = honest.end();
    // What was heard is remembered for a minute, so that it is not passed on twice.
    let over = Instant::now();
    let left = loop {
        thread::sleep(Duration::from_secs(1));
        let left = watch.now().saturating_sub(resident);
        if left <= LEFT_MAX_BYTES || over.elapsed() > FORGOTTEN_WITHIN {
            break left;
        }
    };
    let forgotten = over.elapsed();
    println!(
        "hints {engine}: {sent} hints in {:.0} s over {} connections, {} of them cut off; resident {} MiB before, at most {} MiB, \
         {} MiB more {:.0} s after; {} KiB of it passed on; calm: {calm}; under it: {under}",
        took.as_secs_f64(),
        score.connected.load(Relaxed),
        score.cut.load(Relaxed),
        resident >> 20,
        most >> 20,
        left >> 20,
        forgotten.as_secs_f64(),
        score.heard_bytes.load(Relaxed) >> 10
    );
    if sent < wanted {
        findings.push(format!("only {sent} of {wanted} hints were taken off in {DEADLINE:?}"));
    }
    // One of them listens to all topics, and gets what the node passes on: it took in what it passes on.
    let heard = score.heard_bytes.load(Relaxed);
    if heard < wanted * HINT_BYTES as u64 / 100 {
        findings.push(format!("the node passed on {heard} bytes, so that it listened to nobody"));
    }
    if most > RSS_MAX_BYTES {
        findings.push(format!("{} MiB resident", most >> 20));
    }
    if left > LEFT_MAX_BYTES {
        findings.push(format!("{} MiB are left of a flood of hints", left >> 20));
    }
    if under.is_empty() {
        findings.push("nothing was delivered while hints came".to_owned());
    }
    let after = picture(&shop.api());
    if before != after {
        findings.push(format!("somebody was let in: before {before}, after {after}"));
    }
    for node in [&mut alice, &mut shop] {
        findings.extend(verified(&node.api()).err());
        findings.extend(spoke_of_a_panic(node));
        findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
    }
    findings.into_iter().map(|what| format!("hints {engine}: {what}")).collect()
}

/// Hands over that many, as fast as they are taken; how many left.
fn flood(senders: &[Raw], score: &Score, wanted: u64, dice: &mut Dice) -> u64 {
    let until = Instant::now() + DEADLINE;
    let now = Timestamp::from_millis(
        std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0)),
    );
    let mut system = UnwrapErr(SysRng);
    let mut known = vec![vec![0; HINT_BYTES]];
    let sent = || score.fed.load(Relaxed) * TOGETHER;
    let all = (0..64).fold(Rpc::default(), |rpc, topic| rpc.subscribe(&format!("/allod/mail/{topic:02}")));
    senders[0].write(Speaks::Mesh, all.bytes(), true);
    thread::sleep(Duration::from_secs(3));
    while sent() < wanted && Instant::now() < until {
        for sender in senders {
            let mut rpc = Rpc::default();
            for _ in 0..TOGETHER {
                let mut noise = |length: usize| (0..length).map(|_| dice.next().to_le_bytes()[0]).collect::<Vec<u8>>();
                let kind = system_below(&mut system, 5);
                let data = match kind {
                    0 => noise(HINT_BYTES),
                    1 => known[usize::from(system_below(&mut system, 250)) % known.len()].clone(),
                    2 => hint::encode(tag(&mut noise), now.after(Duration::from_secs(100_000)), &mut system),
                    3 => hint::encode(tag(&mut noise), Timestamp::from_millis(0), &mut system),
                    _ => hint::encode(tag(&mut noise), now, &mut system),
                };
                if known.len() < 200 {
                    known.push(data.clone());
                }
                rpc = rpc.publish(&format!("/allod/mail/{:02}", dice.below(64)), &data);
            }
            sender.write(Speaks::Mesh, rpc.bytes(), true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    // What was handed over last is still under way.
    thread::sleep(Duration::from_secs(1));
    sent()
}

fn tag(noise: &mut impl FnMut(usize) -> Vec<u8>) -> [u8; 16] {
    noise(16).try_into().expect("sixteen bytes")
}

fn system_below(system: &mut UnwrapErr<SysRng>, end: u8) -> u8 {
    let mut byte = [0];
    rand_core::Rng::fill_bytes(system, &mut byte);
    byte[0] % end
}
