//! Somebody in the middle: a relay that speaks libp2p with both sides, and passes on, changes, repeats and turns around what they say.
//!
//! libp2p's keys prove nothing here, so whoever sits on the path can be the other end of both connections; only the session inside is
//! between the two. The relay sits in a network namespace between the two hosts and owns the vendor's address on the person's side. It is
//! a process of its own (`faults relay LISTEN DIAL OWNER SEED`), takes its orders line by line and answers each with one line of JSON. While
//! it changes every other frame nothing wrong may be read by anybody; while it replays to both sides what it recorded, nothing at
//! all may change; when it passes everything on again both sides are level soon.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    pin::pin,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::Duration,
};

use allod_node::network::{self, Channel, Errand, Exchange, Link, NetworkCommand, NetworkConfig, NetworkEvent};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    Findings, Form, Plan,
    api::{Api, items},
    dice::Dice,
    kill::{LEVEL_WITHIN, dishonest, spoke_of_a_panic, verified},
    network::ip,
    oracle::Oracle,
    pairing::pair,
    process::Node,
    workload::{self, Sizes},
};

const PORT: u16 = 7_700;
/// What both know as the vendor's address, and the relay has too.
const VENDOR: &str = "10.89.2.2";
/// Where only the relay reaches the vendor.
const VENDOR_BEHIND: &str = "10.89.3.2";
const OWNER: &str = "10.89.1.1";
/// Frames kept for replay.
const RECORDED_MAX: usize = 20_000;
/// A person who keeps being disturbed waits up to five minutes between two tries; the test does not.
const HURRY_EVERY: Duration = Duration::from_secs(2);

/// The three hosts and the story.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    let Some(hosts) = Hosts::made() else {
        println!("relay: skipped, namespaces can't be made");
        return Findings::new();
    };
    let engine = plan.engines.first().map_or("sled", String::as_str);
    story(plan, engine, &hosts).into_iter().map(|what| format!("relay: {what}")).collect()
}

struct Hosts {
    owner: String,
    middle: String,
    vendor: String,
}

impl Hosts {
    fn made() -> Option<Self> {
        let name = |host: &str| format!("allod{}-{host}", std::process::id());
        let hosts = Self { owner: name("owner"), middle: name("middle"), vendor: name("vendor") };
        let Self { owner, middle, vendor } = &hosts;
        let lines = [
            format!("netns add {owner}"),
            format!("netns add {middle}"),
            format!("netns add {vendor}"),
            format!("link add eth0 netns {owner} type veth peer name left netns {middle}"),
            format!("link add eth0 netns {vendor} type veth peer name right netns {middle}"),
            format!("-n {owner} addr add {OWNER}/24 dev eth0"),
            format!("-n {middle} addr add 10.89.1.2/24 dev left"),
            format!("-n {middle} addr add {VENDOR}/32 dev left"),
            format!("-n {middle} addr add 10.89.3.1/24 dev right"),
            format!("-n {vendor} addr add {VENDOR_BEHIND}/24 dev eth0"),
            format!("-n {vendor} addr add {VENDOR}/32 dev eth0"),
            format!("-n {owner} link set lo up"),
            format!("-n {middle} link set lo up"),
            format!("-n {vendor} link set lo up"),
            format!("-n {owner} link set eth0 up"),
            format!("-n {middle} link set left up"),
            format!("-n {middle} link set right up"),
            format!("-n {vendor} link set eth0 up"),
            format!("-n {owner} route add default via 10.89.1.2"),
        ];
        lines.iter().all(|line| ip(line)).then_some(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in [&self.owner, &self.middle, &self.vendor] {
            ip(&format!("netns del {name}"));
        }
    }
}

fn node(plan: &Plan, engine: &str, dir: &Path, host: &str, name: &str, listen: &[&str]) -> Node {
    let listen = listen.iter().map(|address| format!("/ip4/{address}/tcp/{PORT}")).collect();
    let mut node = Node::new(&plan.exe, &dir.join(name), name, listen);
    node.under = ["ip", "netns", "exec", host].map(str::to_owned).to_vec();
    std::fs::create_dir_all(dir).expect("a directory can be made");
    node.init(engine, if name == "alice" { "person" } else { "vendor" });
    node
}

fn story(plan: &Plan, engine: &str, hosts: &Hosts) -> Findings {
    let dir = plan.dir.join("relay");
    let mut alice = node(plan, engine, &dir, &hosts.owner, "alice", &[OWNER]);
    let mut shop = node(plan, engine, &dir, &hosts.vendor, "shop", &[VENDOR, VENDOR_BEHIND]);
    let mut relay = Relay::begin(hosts, plan.seed);
    shop.must_start();
    alice.must_start();
    let names = pair(&shop, &alice).expect("two nodes pair through a relay that passes everything on");
    let oracle = Mutex::new(Oracle::default());
    let mut findings = Findings::new();
    let work = |lasts: Duration, seed: u64| {
        let (stop, api) = (AtomicBool::new(false), alice.api());
        thread::scope(|scope| {
            let dice = Dice::seeded(plan.seed).split(seed);
            let calls = scope.spawn(move || (dice, api));
            let (dice, api) = calls.join().expect("nothing can go wrong");
            let stop = &stop;
            let (oracle, peer) = (&oracle, &names.acceptors);
            let calls = scope.spawn(move || workload::run(&api, peer, Sizes::Usual, &dice, oracle, stop));
            let until = std::time::Instant::now() + lasts;
            while std::time::Instant::now() < until {
                let _ = alice.api().post("/v1/sync", &json!({}));
                thread::sleep(HURRY_EVERY.min(lasts));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            let faults = calls.join().expect("the workload does not panic");
            faults.iter().map(|fault| dishonest(fault).unwrap_or_else(|| format!("{fault:?}"))).collect::<Findings>()
        })
    };
    let seconds = |short, soak| Duration::from_secs(if plan.form == Form::Soak { soak } else { short });
    let level = |findings: &mut Findings, when: &str| {
        let oracle = oracle.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = alice.api().post("/v1/sync", &json!({}));
        let found = oracle.compare_holder(&shop.api(), &names.inviters, LEVEL_WITHIN);
        findings.extend(found.into_iter().map(|what| format!("{when}: {what}")));
    };
    findings.extend(work(seconds(3, 20), 1));
    level(&mut findings, "through a relay");
    println!("relay: passed on: {}", relay.order("pass"));
    relay.order("change");
    findings.extend(work(seconds(6, 120), 2));
    println!("relay: changed: {}", relay.order("pass"));
    level(&mut findings, "after changes");
    // Quiet: from here on nothing may change.
    let before = [logs(&alice.api()), logs(&shop.api())];
    println!("relay: replayed: {}", relay.order(&format!("replay {}", plan.form.pick(2_000, 100_000))));
    let after = [logs(&alice.api()), logs(&shop.api())];
    if before != after {
        findings.push(format!("replayed frames changed something: {before:?} became {after:?}"));
    }
    findings.extend(work(seconds(2, 10), 3));
    level(&mut findings, "after replays");
    for node in [&mut alice, &mut shop] {
        findings.extend(verified(&node.api()).err());
        findings.extend(spoke_of_a_panic(node));
        findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
    }
    findings
}

/// Where all logs and grants stand. Heads are renewed in time; sequences are not.
fn logs(api: &Api) -> String {
    let verify = api.get("/v1/verify", &[]).unwrap_or_default();
    let peers = api.get("/v1/peers", &[]).unwrap_or_default();
    let peers: Vec<_> =
        items(&peers).iter().map(|peer| format!("{} {} {}", peer["state"], peer["mine"], peer["theirs"])).collect();
    format!("{} entries, {} {peers:?}", verify["entries"], verify["ok"])
}

/// The process in the middle.
struct Relay {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Relay {
    fn begin(hosts: &Hosts, seed: u64) -> Self {
        let us = std::env::current_exe().expect("a process has a program");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &hosts.middle])
            .arg(us)
            .args(["relay", &format!("/ip4/{VENDOR}/tcp/{PORT}"), &format!("/ip4/{VENDOR_BEHIND}/tcp/{PORT}")])
            .args([format!("/ip4/{OWNER}/tcp/{PORT}"), seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let orders = child.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut relay = Self { child, orders, answers };
        relay.answer();
        relay
    }

    fn order(&mut self, words: &str) -> String {
        writeln!(self.orders, "{words}").expect("the relay runs");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the relay runs");
        line.trim().to_owned()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The relay itself, as a process: listens on one address, dials the other for each that comes, and takes orders on stdin.
///
/// # Panics
/// If the network can't be started: the test sees that there is no answer.
pub fn be(listen: &str, dial: &str, owner: &str, seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let (told, events) = mpsc::channel(512);
        let config = NetworkConfig { listen: vec![listen.to_owned()], ..NetworkConfig::default() };
        let network = network::start(config, told).await.expect("the relay listens");
        let mut middle = Middle {
            network,
            events,
            dial: dial.to_owned(),
            owner: owner.to_owned(),
            dice: Dice::seeded(seed),
            other: HashMap::new(),
            owners: HashMap::new(),
            waiting: HashMap::new(),
            asked: HashMap::new(),
            next: 0,
            changes: false,
            recorded: Vec::new(),
            counts: Counts::default(),
        };
        println!("{{}}");
        // A thread of its own reads them: what they cause is awaited here.
        let (said, mut orders) = mpsc::channel(8);
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if said.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        loop {
            tokio::select! {
                event = middle.events.recv() => match event {
                    Some(event) => middle.on(event).await,
                    None => return,
                },
                line = orders.recv() => {
                    let Some(line) = line else { return };
                    let mut words = line.split(' ');
                    match words.next() {
                        Some("change") => middle.changes = true,
                        Some("replay") => {
                            let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                            let addresses = [middle.dial.clone(), middle.owner.clone()];
                            let dice = middle.dice.split(count as u64);
                            let mut replay = pin!(replay(addresses, middle.recorded.clone(), dice, count));
                            middle.counts = loop {
                                tokio::select! {
                                    counts = &mut replay => break counts,
                                    Some(event) = middle.events.recv() => middle.on(event).await,
                                }
                            };
                        }
                        _ => middle.changes = false,
                    }
                    println!("{}", middle.counts.take());
                }
            }
        }
    });
}

#[derive(Debug, Default)]
struct Counts {
    passed: u64,
    changed: u64,
    replayed: u64,
    answered: u64,
    failed: u64,
    links: u64,
}

impl Counts {
    fn take(&mut self) -> Value {
        let Self { passed, changed, replayed, answered, failed, links } = std::mem::take(self);
        json!({ "passed": passed, "changed": changed, "replayed": replayed, "answered": answered, "failed": failed, "links": links })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Owner,
    Vendor,
}

struct Middle {
    network: mpsc::Sender<NetworkCommand>,
    events: mpsc::Receiver<NetworkEvent>,
    dial: String,
    owner: String,
    dice: Dice,
    /// The other half of each link.
    other: HashMap<Link, Link>,
    /// Which links lead to the owner.
    owners: HashMap<Link, bool>,
    /// Links of the owner's that wait for one to the vendor, and what they said meanwhile.
    waiting: HashMap<Errand, Link>,
    /// Requests that were passed on: who waits for the answer, and who gives it.
    asked: HashMap<Errand, Option<Exchange>>,
    next: u64,
    changes: bool,
    recorded: Vec<(Channel, To, Vec<u8>)>,
    counts: Counts,
}

impl Middle {
    async fn command(&self, command: NetworkCommand) {
        let _ = self.network.send(command).await;
    }

    fn errand(&mut self) -> Errand {
        self.next += 1;
        Errand(self.next)
    }

    async fn on(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::LinkUp { link, dialled: None } => {
                self.counts.links += 1;
                self.command(NetworkCommand::Protect { link, protected: true }).await;
                let errand = self.errand();
                self.waiting.insert(errand, link);
                self.owners.insert(link, true);
                self.command(NetworkCommand::Dial { errand, addresses: vec![self.dial.clone()] }).await;
            }
            NetworkEvent::LinkUp { link, dialled: Some(errand) } => {
                self.command(NetworkCommand::Protect { link, protected: true }).await;
                if let Some(owner) = self.waiting.remove(&errand) {
                    // One link to the vendor serves one link of the owner's: the last.
                    self.other.insert(link, owner);
                    self.other.insert(owner, link);
                    self.owners.insert(link, false);
                }
            }
            NetworkEvent::LinkDown { link } => {
                if let Some(other) = self.other.remove(&link) {
                    self.other.remove(&other);
                    self.command(NetworkCommand::Close { link: other }).await;
                }
                self.owners.remove(&link);
            }
            NetworkEvent::DialFailed { errand, .. } => {
                if let Some(link) = self.waiting.remove(&errand) {
                    self.command(NetworkCommand::Close { link }).await;
                }
            }
            NetworkEvent::Request { link, exchange, channel, bytes } => {
                let Some(other) = self.other.get(&link).copied() else {
                    return self.command(NetworkCommand::Refuse { exchange }).await;
                };
                let to = if self.owners.get(&link) == Some(&true) { To::Vendor } else { To::Owner };
                let frames = self.made_of(channel, to, bytes);
                for (number, bytes) in frames.into_iter().enumerate() {
                    let errand = self.errand();
                    self.asked.insert(errand, (number == 0).then_some(exchange));
                    self.command(NetworkCommand::Request { errand, link: other, channel, bytes }).await;
                }
            }
            NetworkEvent::Answered { errand, bytes } => {
                if let Some(Some(exchange)) = self.asked.remove(&errand) {
                    let bytes =
                        if self.changes && self.dice.one_in(4) { changed(&mut self.dice, bytes) } else { bytes };
                    self.command(NetworkCommand::Answer { exchange, bytes }).await;
                }
            }
            NetworkEvent::Failed { errand, .. } => {
                if let Some(Some(exchange)) = self.asked.remove(&errand) {
                    self.command(NetworkCommand::Refuse { exchange }).await;
                }
            }
            _ => {}
        }
    }

    /// What is passed on in place of a frame.
    fn made_of(&mut self, channel: Channel, to: To, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        if self.recorded.len() < RECORDED_MAX {
            self.recorded.push((channel, to, bytes.clone()));
        }
        self.counts.passed += 1;
        // The first words of a session are let through more often, so that there is a session to disturb.
        if !self.changes || !self.dice.one_in(4) {
            return vec![bytes];
        }
        self.counts.changed += 1;
        let old = |dice: &mut Dice, recorded: &[(Channel, To, Vec<u8>)], same: bool| {
            let fits: Vec<_> = recorded.iter().filter(|(of, way, _)| *of == channel && (*way == to) == same).collect();
            (!fits.is_empty()).then(|| fits[dice.index(fits.len())].2.clone())
        };
        match self.dice.below(5) {
            0 => vec![bytes.clone(), bytes],
            1 => old(&mut self.dice, &self.recorded, true).map_or_else(Vec::new, |old| vec![old]),
            2 => old(&mut self.dice, &self.recorded, false).map_or_else(Vec::new, |old| vec![old]),
            3 => old(&mut self.dice, &self.recorded, true).map_or_else(Vec::new, |old| vec![bytes, old]),
            _ => vec![changed(&mut self.dice, bytes)],
        }
    }
}

/// A frame with a bit, a byte more, or a part of it gone.
fn changed(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![0];
    }
    match dice.below(3) {
        0 => bytes.push(dice.next() as u8),
        1 => bytes.truncate(dice.index(bytes.len())),
        _ => {
            let at = dice.index(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
    }
    bytes
}

/// Says recorded frames again, to whom they were meant for and to the other side, some of them changed, under another libp2p key, while
/// what the honest two have stays up.
async fn replay(addresses: [String; 2], recorded: Vec<(Channel, To, Vec<u8>)>, mut dice: Dice, count: usize) -> Counts {
    const AT_ONCE: usize = 12;
    let mut counts = Counts::default();
    let (told, mut events) = mpsc::channel(512);
    let network = network::start(NetworkConfig::default(), told).await.expect("a network that only dials starts");
    let until = Instant::now() + Duration::from_secs(900);
    let mut last = 0;
    let mut errand = || {
        last += 1;
        Errand(last)
    };
    while counts.replayed < count as u64 && !recorded.is_empty() && Instant::now() < until {
        let dial = errand();
        let addresses = vec![addresses[dice.index(2)].clone()];
        let _ = network.send(NetworkCommand::Dial { errand: dial, addresses }).await;
        let link = loop {
            match timeout(Duration::from_secs(12), events.recv()).await {
                Ok(Some(NetworkEvent::LinkUp { link, dialled: Some(errand) })) if errand == dial => break Some(link),
                Ok(Some(NetworkEvent::DialFailed { errand, .. })) if errand == dial => break None,
                Ok(Some(_)) => {}
                _ => break None,
            }
        };
        let Some(link) = link else { continue };
        counts.links += 1;
        let mut open = Vec::new();
        for _ in 0..AT_ONCE {
            let (channel, _, bytes) = recorded[dice.index(recorded.len())].clone();
            let bytes = if dice.one_in(3) { changed(&mut dice, bytes) } else { bytes };
            let errand = errand();
            open.push(errand);
            let _ = network.send(NetworkCommand::Request { errand, link, channel, bytes }).await;
            counts.replayed += 1;
        }
        while !open.is_empty() {
            let (errand, number) = match timeout(Duration::from_secs(35), events.recv()).await {
                Ok(Some(NetworkEvent::Answered { errand, .. })) => (errand, &mut counts.answered),
                Ok(Some(NetworkEvent::Failed { errand, .. })) => (errand, &mut counts.failed),
                Ok(Some(_)) => continue,
                _ => break,
            };
            *number += u64::from(open.contains(&errand));
            open.retain(|other| *other != errand);
        }
        let _ = network.send(NetworkCommand::Close { link }).await;
    }
    counts
}
