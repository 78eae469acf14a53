//! A relay between two nodes, which records what passes, changes it, and says it again.
//!
//! Both nodes listen on all addresses of the machine; the relay listens on exactly those that they told each other, which goes first, and
//! reaches the nodes themselves at an address of loopback that nobody told. So everything between the two passes it. It does so in two ways: as the
//! other end of both libp2p connections ([`middle`]), since libp2p's keys prove nothing here, where it sees and touches the frames of the
//! pairing and of the sessions; and as a forwarder of bytes ([`wire`]), where it sees what anybody on the line does.
//!
//! In both, a person writes, lends and takes back all the time: first through a relay that passes everything on, then through one that
//! changes a good part, then while frames are said again from other connections, to both sides; last, frames are said again while
//! nobody does anything, and nothing at all may change then. What must hold: nothing is answered as if it were honest, nobody reads
//! what is not lent to them, no log goes back, none ends or panics, memory stays in its bound, and soon after the end both are level.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use allod_node::network::Channel;
use serde_json::{Value, json};

use self::{
    middle::{Middle, Seen},
    wire::{Tapped, Wire},
};
use super::{
    Findings, Form, Plan,
    api::{Api, Fault, items},
    dice::Dice,
    hostile::{RSS_MAX_BYTES, Watch, raise_open_files},
    kill::{dishonest, spoke_of_a_panic, verified},
    oracle::Oracle,
    pairing::{Pair, pair},
    process::{Node, free_port},
    workload::{self, Sizes},
};

pub mod change;
pub mod middle;
pub mod wire;

/// Both sides are level by then, once nobody disturbs them.
const LEVEL_WITHIN: Duration = Duration::from_secs(10);
/// A peer that keeps being disturbed waits up to five minutes between two tries; its person, who looks at it, does not.
const HURRY_EVERY: Duration = Duration::from_millis(300);
/// Where the relay finds the nodes: on no address that anybody was told.
const BEHIND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Nothing is written for so long: then all is said.
const SETTLED_FOR: Duration = Duration::from_secs(4);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How many say frames again at once.
const REPEATERS: u64 = 3;

/// All of it, on each engine.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    raise_open_files();
    plan.engines_of_its_form().iter().flat_map(|engine| on(plan, engine)).collect()
}

fn on(plan: &Plan, engine: &str) -> Findings {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let mut story = match Story::begin(plan, engine, &runtime) {
        Ok(story) => story,
        Err(what) => return vec![format!("relay {engine}: {what}")],
    };
    story.between_frames();
    story.between_bytes();
    story.end().into_iter().map(|what| format!("relay {engine}: {what}")).collect()
}

/// A node on all addresses, over TCP alone.
fn node(plan: &Plan, engine: &str, dir: &Path, name: &str) -> (Node, u16) {
    let port = free_port();
    let node = Node::new(&plan.exe, &dir.join(name), name, vec![format!("/ip4/0.0.0.0/tcp/{port}")]);
    fs::create_dir_all(dir).expect("a directory can be made");
    node.init(engine, if name == "alice" { "person" } else { "vendor" });
    (node, port)
}

/// Where a node says that it listens.
fn told(node: &Node) -> Vec<String> {
    let status = node.api().get("/v1/status", &[]).unwrap_or_default();
    let told = status["listen"].as_array().cloned().unwrap_or_default();
    told.iter().filter_map(Value::as_str).filter(|address| address.starts_with("/ip4/")).map(str::to_owned).collect()
}

struct Story<'a> {
    plan: &'a Plan,
    engine: String,
    runtime: &'a tokio::runtime::Runtime,
    alice: Node,
    shop: Node,
    ports: [u16; 2],
    /// Where each is thought to be, of Alice and of the shop.
    fronts: [Vec<String>; 2],
    names: Pair,
    seen: Arc<Seen>,
    middles: Vec<Middle>,
    oracle: Mutex<Oracle>,
    watches: [Watch; 2],
    heads: Heads,
    findings: Findings,
}

impl<'a> Story<'a> {
    fn begin(plan: &'a Plan, engine: &str, runtime: &'a tokio::runtime::Runtime) -> Result<Self, String> {
        let dir = plan.dir.join(format!("relay-{engine}"));
        let (mut alice, alice_port) = node(plan, engine, &dir, "alice");
        let (mut shop, shop_port) = node(plan, engine, &dir, "shop");
        alice.must_start();
        shop.must_start();
        let fronts = [told(&alice), told(&shop)];
        let seen = Arc::new(Seen::default());
        vectors(&seen);
        let middles = middles(runtime, &fronts, [alice_port, shop_port], &seen, plan.seed)?;
        let names = pair(&shop, &alice).map_err(|fault| format!("two nodes do not pair through a relay: {fault:?}"))?;
        let watches = [&alice, &shop].map(|node| Watch::begin(node.process().expect("the node runs")));
        let heads = Heads::begin([alice.api(), shop.api()]);
        let engine = engine.to_owned();
        let (oracle, findings) = (Mutex::default(), Findings::new());
        let ports = [alice_port, shop_port];
        Ok(Self {
            plan,
            engine,
            runtime,
            alice,
            shop,
            ports,
            fronts,
            names,
            seen,
            middles,
            oracle,
            watches,
            heads,
            findings,
        })
    }

    fn seconds(&self, short: u64, soak: u64) -> Duration {
        Duration::from_secs(if self.plan.form == Form::Soak { soak } else { short })
    }

    fn frames(&self) -> u64 {
        self.plan.rounds(3_000, 100_000) as u64
    }

    /// A node cuts a connection off after a few, and lets in so many connections a second.
    fn pieces(&self) -> u64 {
        self.plan.rounds(600, 30_000) as u64
    }

    /// The person's work for a while, or until `beside` is over if that is longer.
    fn work(&mut self, seed: u64, lasts: Duration, beside: impl FnOnce() + Send) {
        let (stop, api) = (AtomicBool::new(false), self.alice.api());
        let dice = Dice::seeded(self.plan.seed).split(seed);
        let (oracle, peer) = (&self.oracle, self.names.acceptors.as_str());
        let faults: Vec<Fault> = thread::scope(|scope| {
            let calls = scope.spawn(|| workload::run(&api, peer, Sizes::Usual, &dice, oracle, &stop));
            let beside = scope.spawn(beside);
            let began = Instant::now();
            while began.elapsed() < lasts || !beside.is_finished() {
                let _ = self.alice.api().post("/v1/sync", &json!({}));
                thread::sleep(HURRY_EVERY.min(lasts));
            }
            stop.store(true, Relaxed);
            calls.join().expect("the workload does not panic")
        });
        self.findings
            .extend(faults.iter().map(|fault| dishonest(fault).unwrap_or_else(|| format!("a call failed: {fault:?}"))));
    }

    /// Both sides have the same in the time that there is, with a person who tries now and then.
    fn level(&mut self, when: &str) {
        let began = Instant::now();
        let over = AtomicBool::new(false);
        let (alice, shop) = (self.alice.api(), self.shop.api());
        let found = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    let _ = alice.post("/v1/sync", &json!({}));
                    thread::sleep(HURRY_EVERY);
                }
            });
            let oracle = self.oracle.lock().unwrap_or_else(PoisonError::into_inner);
            let found = oracle.compare_holder(&shop, &self.names.inviters, LEVEL_WITHIN);
            over.store(true, Relaxed);
            found
        });
        self.findings.extend(found.into_iter().map(|what| format!("{when}: {what}")));
        println!("relay {}: {when}: level after {:.1} s", self.engine, began.elapsed().as_secs_f64());
    }

    /// The relay speaks libp2p with both.
    fn between_frames(&mut self) {
        let name = format!("relay {}", self.engine);
        let seen = Arc::clone(&self.seen);
        self.work(1, self.seconds(3, 20), || {});
        self.level("passed on");
        seen.changes.store(true, Relaxed);
        self.work(2, self.seconds(6, 120), || {});
        seen.changes.store(false, Relaxed);
        self.level("after frames were changed");
        println!(
            "{name}: {} frames passed, {} of them changed, over {} connections; {} kept",
            seen.passed.load(Relaxed),
            seen.changed.load(Relaxed),
            seen.links.load(Relaxed),
            seen.kept()
        );
        let behind: Vec<String> = self.ports.map(|port| format!("/ip4/{BEHIND}/tcp/{port}")).to_vec();
        let each = self.frames().div_ceil(2 * REPEATERS);
        let repeat = |seed: u64| {
            let dice = Dice::seeded(self.plan.seed).split(seed);
            let (behind, seen, runtime) = (behind.clone(), Arc::clone(&seen), self.runtime.handle().clone());
            move || {
                runtime.block_on(async {
                    let all = (0..REPEATERS).map(|one| middle::replay(&behind, &seen, dice.split(one), each));
                    futures::future::join_all(all).await;
                });
            }
        };
        let (at_work, at_rest) = (repeat(41), repeat(42));
        let began = Instant::now();
        self.work(3, Duration::from_secs(1), at_work);
        self.level("while frames were said again");
        self.nothing_changes("frames said again", at_rest);
        println!(
            "{name}: {} frames said again over {} connections in {:.0} s: {} refused, {} answered, {} of them hellos",
            seen.replayed.load(Relaxed),
            seen.links.load(Relaxed),
            began.elapsed().as_secs_f64(),
            seen.refused.load(Relaxed),
            seen.answered.load(Relaxed),
            seen.welcomed.load(Relaxed)
        );
        self.findings.extend(seen.accepted());
        self.work(4, self.seconds(1, 10), || {});
        self.level("after frames were said again");
        if seen.passed.load(Relaxed) == 0 {
            self.findings.push("no frame passed the relay, so that nothing was tested".to_owned());
        }
    }

    /// The relay has the bytes alone.
    fn between_bytes(&mut self) {
        let name = format!("relay {}", self.engine);
        let tapped = Tapped::new(Dice::seeded(self.plan.seed).split(51));
        let behind = self.ports.map(|port| SocketAddr::from((BEHIND, port)));
        let fronts = self.fronts.iter().zip(behind);
        let pairs: Vec<(SocketAddr, SocketAddr)> =
            fronts.flat_map(|(all, node)| all.iter().filter_map(move |one| Some((socket(one)?, node)))).collect();
        let wire = match self.runtime.block_on(async { Wire::begin(&pairs, &tapped) }) {
            Ok(wire) => wire,
            Err(error) => return self.findings.push(format!("no forwarder: {error}")),
        };
        // Only now: between the two, the nodes would find each other without us.
        let middles = std::mem::take(&mut self.middles);
        self.runtime.block_on(async {
            for middle in middles {
                middle.end().await;
            }
        });
        self.work(5, self.seconds(2, 20), || {});
        self.level("bytes passed on");
        tapped.changes.store(true, Relaxed);
        self.work(6, self.seconds(5, 120), || {});
        tapped.changes.store(false, Relaxed);
        self.level("after bytes were changed");
        println!(
            "{name}: {} pieces passed over {} connections, {} of them changed, {} connections cut",
            tapped.passed.load(Relaxed),
            tapped.connections.load(Relaxed),
            tapped.changed.load(Relaxed),
            tapped.cut.load(Relaxed)
        );
        let each = self.pieces().div_ceil(2 * REPEATERS);
        let play = |seed: u64| {
            let dice = Dice::seeded(self.plan.seed).split(seed);
            let (tapped, runtime) = (Arc::clone(&tapped), self.runtime.handle().clone());
            move || {
                runtime.block_on(async {
                    let all = (0..REPEATERS).map(|one| wire::play(&behind, &tapped, dice.split(one), each));
                    futures::future::join_all(all).await;
                });
            }
        };
        let (at_work, at_rest) = (play(61), play(62));
        let began = Instant::now();
        self.work(7, Duration::from_secs(1), at_work);
        self.level("while bytes were played back");
        self.nothing_changes("bytes played back", at_rest);
        println!(
            "{name}: {} pieces played back over {} connections in {:.0} s",
            tapped.played.load(Relaxed),
            tapped.plays.load(Relaxed),
            began.elapsed().as_secs_f64()
        );
        self.work(8, self.seconds(1, 10), || {});
        self.level("after bytes were played back");
        if tapped.passed.load(Relaxed) == 0 || tapped.changed.load(Relaxed) == 0 {
            self.findings
                .push("no bytes passed the relay, or none were changed, so that nothing was tested".to_owned());
        }
        drop(wire);
    }

    /// Quiet: while `beside` goes on nothing may change.
    fn nothing_changes(&mut self, what: &str, beside: impl FnOnce()) {
        let picture = || [settled(&self.alice.api(), true), settled(&self.shop.api(), false)];
        // What was written last is still on its way.
        let until = Instant::now() + SETTLED_WITHIN;
        let mut before = picture();
        loop {
            thread::sleep(SETTLED_FOR);
            let now = picture();
            if now == before {
                break;
            }
            before = now;
            if Instant::now() > until {
                return self.findings.push(format!("before {what} nothing came to rest in {SETTLED_WITHIN:?}"));
            }
        }
        beside();
        let after = picture();
        for (before, after) in before.iter().zip(&after).filter(|(before, after)| before != after) {
            let line = before.lines().zip(after.lines()).find(|(before, after)| before != after);
            self.findings.push(format!("{what} changed something: {line:?}"));
        }
        self.findings.extend(said_by_the_shop(&self.alice.api(), &self.shop.api()).err());
    }

    fn end(mut self) -> Findings {
        let most = self.watches.each_ref().map(|watch| watch.most());
        let mut oracle = self.oracle.lock().unwrap_or_else(PoisonError::into_inner);
        println!(
            "relay {}: {} acknowledged, {} of them revocations; resident at most {} and {} MiB",
            self.engine,
            oracle.acknowledged,
            oracle.revocations,
            most[0] >> 20,
            most[1] >> 20
        );
        if oracle.revocations == 0 {
            self.findings.push("no revocation was acknowledged, so that nothing was tested".to_owned());
        }
        self.findings.extend(oracle.compare(&self.alice.api(), true));
        drop(oracle);
        self.findings.extend(self.heads.end());
        self.findings
            .extend(most.iter().filter(|most| **most > RSS_MAX_BYTES).map(|most| format!("{most} bytes resident")));
        for node in [&mut self.alice, &mut self.shop] {
            self.findings.extend(verified(&node.api()).err());
            let peers = node.api().get("/v1/peers", &[]).unwrap_or_default();
            if items(&peers).len() != 1 {
                self.findings.push(format!("{} has {} peers", node.name, items(&peers).len()));
            }
            self.findings.extend(spoke_of_a_panic(node));
            self.findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
        }
        self.findings
    }
}

/// One in front of each node.
fn middles(
    runtime: &tokio::runtime::Runtime,
    fronts: &[Vec<String>; 2],
    ports: [u16; 2],
    seen: &Arc<Seen>,
    seed: u64,
) -> Result<Vec<Middle>, String> {
    let mut middles = Vec::new();
    for (number, (front, port)) in fronts.iter().zip(ports).enumerate() {
        let (dial, dice) = (format!("/ip4/{BEHIND}/tcp/{port}"), Dice::seeded(seed).split(20 + number as u64));
        middles.push(runtime.block_on(Middle::begin(front, &dial, seen, dice))?);
    }
    Ok(middles)
}

/// `/ip4/A/tcp/P` as an address of sockets.
fn socket(address: &str) -> Option<SocketAddr> {
    let mut parts = address.split('/').skip(2);
    let ip: Ipv4Addr = parts.next()?.parse().ok()?;
    let port = parts.nth(1)?.parse().ok()?;
    Some(SocketAddr::from((ip, port)))
}

/// What must not change while nobody does anything: what the person wrote, as both have it, and peers, grants and values.
fn settled(api: &Api, person: bool) -> String {
    let peers = api.get("/v1/peers", &[]).unwrap_or_default();
    let side = if person { "mine" } else { "theirs" };
    let peers: Vec<_> =
        items(&peers).iter().map(|peer| format!("{} {} {}", peer["peer"], peer["state"], peer[side]["seq"])).collect();
    let status = api.get("/v1/status", &[]).unwrap_or_default();
    let grants = api.get("/v1/grants", &[]).unwrap_or_default();
    let grants: BTreeMap<_, _> =
        items(&grants).iter().map(|grant| (grant["grant"].to_string(), grant["state"].to_string())).collect();
    let grants: Vec<_> = grants.iter().map(|(grant, state)| format!("{grant} {state}")).collect();
    format!(
        "{} records, {} fields\n{peers:?}\n{} grants\n{}",
        status["records"],
        status["fields"],
        grants.len(),
        grants.join("\n")
    )
}

/// The vendor goes on saying what it dropped, for a while. Nobody has more of that than it wrote.
fn said_by_the_shop(alice: &Api, shop: &Api) -> Result<(), String> {
    let at = |api: &Api, side: &str| {
        let peers = api.get("/v1/peers", &[]).unwrap_or_default();
        items(&peers).first().and_then(|peer| peer[side]["seq"].as_u64()).unwrap_or(0)
    };
    let (known, written) = (at(alice, "theirs"), at(shop, "mine"));
    if known <= written { Ok(()) } else { Err(format!("{known} entries of {written} that the shop wrote")) }
}

/// Frames of relationships that neither node has: those of the published vectors.
fn vectors(seen: &Seen) {
    let all = [
        include_str!("../../../protocol/vectors/session.json"),
        include_str!("../../../protocol/vectors/pairing.json"),
    ];
    for (text, channel) in all.into_iter().zip([Channel::Session, Channel::Pair]) {
        let value: Value = serde_json::from_str(text).expect("the vectors are JSON");
        frames_in(&value, &mut |bytes| seen.keep(channel, bytes));
    }
}

/// Every text of hexadecimal digits that is long enough to be a frame.
fn frames_in(value: &Value, keep: &mut impl FnMut(Vec<u8>)) {
    match value {
        Value::String(text) if text.len() >= 90 && text.len().is_multiple_of(2) => {
            let bytes: Option<Vec<u8>> =
                (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
            bytes.into_iter().for_each(keep);
        }
        Value::Array(all) => all.iter().for_each(|one| frames_in(one, keep)),
        Value::Object(all) => all.values().for_each(|one| frames_in(one, keep)),
        _ => {}
    }
}

/// Looks all the time whether a log goes back.
struct Heads {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Findings>>,
}

impl Heads {
    fn begin(nodes: [Api; 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut findings, mut known) = (Findings::new(), BTreeMap::new());
            while !stopped.load(Relaxed) {
                for (number, api) in nodes.iter().enumerate() {
                    let Ok(peers) = api.get("/v1/peers", &[]) else { continue };
                    for (peer, side) in items(&peers).iter().flat_map(|peer| [(peer, "mine"), (peer, "theirs")]) {
                        let now = peer[side]["seq"].as_u64().unwrap_or(0);
                        let highest = known.entry((number, peer["peer"].to_string(), side)).or_insert(0);
                        if now < *highest && findings.len() < 5 {
                            findings.push(format!("{side} of {} went back from {highest} to {now}", peer["peer"]));
                        }
                        *highest = now.max(*highest);
                    }
                }
                thread::sleep(Duration::from_millis(150));
            }
            findings
        });
        Self { stop, thread: Some(thread) }
    }

    fn end(&mut self) -> Findings {
        self.stop.store(true, Relaxed);
        self.thread.take().map(|thread| thread.join().expect("looking does not panic")).unwrap_or_default()
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}
