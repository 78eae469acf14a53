//! Attacks from the network and from the control socket, while an honest pair goes on.
//!
//! A vendor's node is attacked on loopback in turn by connections that say nothing, half-open handshakes and junk of every kind, by
//! libp2p peers that open streams, announce gigabytes and leave them open, by gossip in floods and with control messages that mean
//! harm, and by callers of its control socket that dawdle. All the while a person's node, paired with it, changes a lent field, and the
//! time is taken until the vendor reads it; so is the time of a call to the vendor's socket. Before and after is calm. What must hold: the
//! node's memory stays under its bound, it neither ends nor panics, both times come back to calm in ten seconds, and nobody is let in.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

mod honest;

pub(super) use honest::{Honest, Watch};

use super::{
    Findings, Form, Plan,
    api::{Api, items},
    dice::Dice,
    kill::{spoke_of_a_panic, verified},
    pairing::{Pair, pair},
    process::Node,
    processors::Processors,
    raw::{Asker, Raw, Rpc, Score, Speaks, connect_from, frame, own_address},
};

/// Resident memory of a node under attack. Bytes.
pub(super) const RSS_MAX_BYTES: u64 = 256 << 20;
/// Calm again by then.
const RECOVERED_WITHIN: Duration = Duration::from_secs(10);
/// How much slower than in calm the slowest honest hundredth may be.
const SLOWER_MAX: f64 = 2.0;
pub(super) const PATH: &str = "contact/me/city";

/// The attacks, one after the other; in the long form on each engine.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    raise_open_files();
    plan.engines_of_its_form().iter().flat_map(|engine| on(plan, engine)).collect()
}

/// A person's and a vendor's node, paired, with one field lent that an honest caller changes.
pub(super) fn lent(plan: &Plan, dir: &Path, engine: &str) -> (Node, Node, Pair) {
    let mut alice = Node::made(&plan.exe, &dir.join("alice"), "alice", engine);
    let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
    alice.must_start();
    shop.must_start();
    let names = pair(&shop, &alice).expect("two running nodes pair");
    let body = json!({ "items": [{ "path": PATH, "text": "0" }] });
    alice.api().post("/v1/set", &body).expect("a sound node writes");
    let body = json!({ "peer": names.acceptors, "selectors": [PATH], "purpose": "DeliveryOfGoods" });
    alice.api().post("/v1/grants", &body).expect("a sound node lends");
    (alice, shop, names)
}

fn on(plan: &Plan, engine: &str) -> Findings {
    let dir = plan.dir.join(format!("hostile-{engine}"));
    // The long form judges times: there the attackers have a processor of their own, as they would on a machine of their own. What is
    // started from here on, nodes too, stays on the first.
    let processors = (plan.form == Form::Soak).then(Processors::now);
    let apart = processors.as_ref().is_some_and(|all| all.only(0));
    let (mut alice, mut shop, names) = lent(plan, &dir, engine);
    let before = picture(&shop.api());
    let honest = Honest::begin(&alice.api(), &shop.api(), &names.inviters);
    let watch = Watch::begin(shop.process().expect("the node runs"));
    let lasts = Duration::from_secs(plan.rounds(4, 60) as u64);
    thread::sleep(lasts);
    let calm = honest.take();
    println!("hostile {engine}: calm: {calm}; resident {} MiB", watch.now() >> 20);
    let apart = apart && processors.as_ref().is_some_and(|all| all.only(1));
    println!("hostile {engine}: attackers {}", if apart { "on a processor of their own" } else { "on all processors" });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let mut findings = Findings::new();
    let target = Target { shop: &shop, seed: plan.seed, lasts, form: plan.form };
    let chosen = |name: &str| plan.attack.as_deref().is_none_or(|only| only == name);
    for (attack_name, attack, sources) in ATTACKS.iter().filter(|(name, ..)| chosen(name)) {
        let name = format!("{engine}, {attack_name}");
        honest.take();
        watch.reset();
        let done = runtime.block_on(async { tokio::task::block_in_place(|| attack(&target, *sources)) });
        let under = honest.take();
        let began = Instant::now();
        let recovered = honest.recovers(&calm, plan.form);
        println!(
            "hostile {name}: {done}; {under}; resident at most {} MiB; calm again after {:.1} s",
            watch.most() >> 20,
            began.elapsed().as_secs_f64()
        );
        let ratios = [under.calls_to(&calm), under.deliveries_to(&calm)];
        println!("hostile {name}: p99 to calm: calls {:.2}, deliveries {:.2}", ratios[0], ratios[1]);
        // A shared machine decides nothing: the long form, run by hand, judges times.
        if target.form == Form::Soak && ratios.iter().any(|ratio| ratio.is_nan() || *ratio >= SLOWER_MAX) {
            findings.push(format!("{name}: honest work is slower by {ratios:.2?}"));
        }
        if let Err(still) = recovered {
            findings.push(format!("{name}: not as before within {RECOVERED_WITHIN:?}: {still} after {calm}"));
        }
        if watch.most() > RSS_MAX_BYTES {
            findings.push(format!("{name}: {} MiB resident", watch.most() >> 20));
        }
        findings.extend(spoke_of_a_panic(&shop));
        if shop.api().get("/v1/status", &[]).is_err() {
            findings.push(format!("{name}: the node does not answer any more: {}", shop.said()));
            return findings;
        }
    }
    drop(runtime);
    findings.extend(honest.end());
    let after = picture(&shop.api());
    if before != after {
        findings.push(format!("somebody was let in: before {before}, after {after}"));
    }
    findings.extend([&alice, &shop].into_iter().filter_map(|node| verified(&node.api()).err()));
    for node in [&mut alice, &mut shop] {
        findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
    }
    findings
}

/// What strangers can't change.
pub(super) fn picture(api: &Api) -> String {
    let peers = api.get("/v1/peers", &[]).unwrap_or_default();
    let peers: Vec<_> = items(&peers).iter().map(|peer| format!("{} {}", peer["peer"], peer["state"])).collect();
    let status = api.get("/v1/status", &[]).unwrap_or_default();
    let grants = api.get("/v1/grants", &[]).unwrap_or_default();
    let grants: Vec<_> = items(&grants).iter().map(|grant| format!("{} {}", grant["grant"], grant["state"])).collect();
    format!("{peers:?} {} {} {grants:?}", status["records"], status["fields"])
}

pub(super) fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[expect(unsafe_code, reason = "the standard library knows nothing of limits")]
    // SAFETY: reads and writes `limit`, which outlives both calls, and this process's own limits.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

struct Target<'a> {
    shop: &'a Node,
    seed: u64,
    lasts: Duration,
    form: Form,
}

impl Target<'_> {
    fn tcp(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.shop.port()))
    }

    fn address(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.shop.port())
    }

    fn raws(&self, count: usize, sources: Sources) -> (Vec<Raw>, Arc<Score>) {
        let score = Arc::new(Score::default());
        let raw = |number| Raw::at(&self.address(), sources.of(number), Arc::clone(&score));
        ((0..count).map(raw).collect(), score)
    }
}

/// Where attackers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sources {
    /// All have one address, which is that of the honest too.
    One,
    /// Each has one of its own.
    Many,
}

impl Sources {
    fn of(self, number: usize) -> Ipv4Addr {
        if self == Self::One { Ipv4Addr::LOCALHOST } else { own_address(number) }
    }
}

type Attack = fn(&Target<'_>, Sources) -> String;

const ATTACKS: &[(&str, Attack, Sources)] = &[
    ("connections", connections, Sources::One),
    ("connections from everywhere", connections, Sources::Many),
    ("handshakes", handshakes, Sources::One),
    ("handshakes from everywhere", handshakes, Sources::Many),
    ("datagrams", datagrams, Sources::One),
    ("streams", streams, Sources::One),
    ("streams from everywhere", streams, Sources::Many),
    ("frames", frames, Sources::One),
    ("frames from everywhere", frames, Sources::Many),
    ("gossip from everywhere", gossip, Sources::Many),
    ("gossip's control messages from everywhere", gossip_control, Sources::Many),
    ("slow callers", slow_callers, Sources::One),
];

/// Ten thousand, with four kinds of first words; as many as the node leaves open stay open.
fn connections(target: &Target<'_>, sources: Sources) -> String {
    let count = target.form.pick(2_500, 10_000);
    let mut dice = Dice::seeded(target.seed).split(31);
    let mut open: Vec<TcpStream> = Vec::new();
    let mut refused = 0;
    let runtime = tokio::runtime::Handle::current();
    for number in 0..count {
        let connected = tokio::time::timeout(Duration::from_secs(5), connect_from(sources.of(number), target.tcp()));
        let Ok(Ok(stream)) = runtime.block_on(connected) else {
            refused += 1;
            continue;
        };
        let mut stream = stream.into_std().expect("a socket of the runtime is one of the system");
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
        let _ = match number % 5 {
            0 => Ok(()),
            // The first half of a handshake, as libp2p begins it.
            1 => stream.write_all(b"\x13/multistream/1.0.0\n"),
            2 => stream.write_all(b"\x13/multistream/1.0.0\n\x07/noise\n\x00"),
            3 => stream.write_all(&[0xff; 600]),
            _ => stream.write_all(&std::array::from_fn::<u8, 97, _>(|_| dice.next() as u8)),
        };
        open.push(stream);
    }
    let opened = open.len();
    // Each says one byte now and then, as slowly as it can.
    let until = Instant::now() + target.lasts;
    while Instant::now() < until && !open.is_empty() {
        open.retain_mut(|stream| {
            let _ = stream.set_nonblocking(true);
            let gone = matches!(stream.read(&mut [0; 64]), Ok(0))
                || stream.write(&[0]).is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock);
            !gone
        });
        thread::sleep(Duration::from_millis(500));
    }
    format!("{opened} opened, {refused} refused, {} still open at the end", open.len())
}

/// Peers that shake hands, say nothing and come again.
fn handshakes(target: &Target<'_>, sources: Sources) -> String {
    let (until, done) = (Instant::now() + target.lasts, Arc::new(AtomicU64::new(0)));
    let (tried, address) = (Arc::new(AtomicU64::new(0)), target.address());
    let all: Vec<_> = (0..target.form.pick(16, 64))
        .map(|first| {
            let (done, tried, address) = (Arc::clone(&done), Arc::clone(&tried), address.clone());
            tokio::spawn(async move {
                // Each time from another address, where there are many.
                let mut number = first;
                while Instant::now() < until {
                    let asker = Asker::connected(&address, sources.of(number), Duration::from_secs(5)).await;
                    tried.fetch_add(1, Relaxed);
                    done.fetch_add(u64::from(asker.is_some()), Relaxed);
                    number += 64;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        })
        .collect();
    let runtime = tokio::runtime::Handle::current();
    for one in all {
        let _ = runtime.block_on(one);
    }
    format!("{} handshakes of {} tried", done.load(Relaxed), tried.load(Relaxed))
}

/// Junk to the QUIC port: noise, and noise with the first bytes of a handshake.
fn datagrams(target: &Target<'_>, _: Sources) -> String {
    let mut dice = Dice::seeded(target.seed).split(32);
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket can be bound");
    let mut sent = 0u64;
    let until = Instant::now() + target.lasts;
    while Instant::now() < until {
        let mut datagram: Vec<u8> = (0..1_200).map(|_| dice.next() as u8).collect();
        match dice.below(4) {
            0 => {}
            // Long header, Initial, version 1, connection ids of eight bytes.
            1 | 2 => datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]),
            _ => datagram.truncate(dice.index(60)),
        }
        sent += u64::from(socket.send_to(&datagram, target.tcp()).is_ok());
        if sent.is_multiple_of(50) {
            thread::sleep(Duration::from_millis(2));
        }
    }
    format!("{sent} datagrams")
}

/// Peers that open streams and leave them: nothing said, lengths announced up to 4 GiB, a part of a frame.
fn streams(target: &Target<'_>, sources: Sources) -> String {
    let (raws, score) = target.raws(target.form.pick(24, 150), sources);
    let mut dice = Dice::seeded(target.seed).split(33);
    let until = Instant::now() + target.lasts;
    while Instant::now() < until {
        for raw in &raws {
            let speaks = if dice.one_in(2) { Speaks::Pair } else { Speaks::Session };
            let (bytes, hold) = match dice.below(6) {
                0 => (Vec::new(), true),
                1 => (u32::MAX.to_be_bytes().to_vec(), true),
                2 => (u32::MAX.to_be_bytes().to_vec(), false),
                3 => ((1u32 << 20).to_be_bytes().to_vec(), true),
                4 => ([&60_000u32.to_be_bytes()[..], &[7; 30_000]].concat(), true),
                _ => (vec![0, 0], true),
            };
            raw.write(speaks, bytes, hold);
        }
        thread::sleep(Duration::from_millis(20));
    }
    told(&score)
}

/// Whole frames of junk on both protocols, of all lengths, and a frame of the largest length now and then.
fn frames(target: &Target<'_>, sources: Sources) -> String {
    let (raws, score) = target.raws(target.form.pick(24, 150), sources);
    let mut dice = Dice::seeded(target.seed).split(34);
    let until = Instant::now() + target.lasts;
    while Instant::now() < until {
        for raw in &raws {
            let speaks = if dice.one_in(2) { Speaks::Pair } else { Speaks::Session };
            let length = match (speaks, dice.below(20)) {
                (Speaks::Session, 0) => (1 << 20) - 100,
                (Speaks::Session, 1..=4) => dice.index(60_000),
                _ => dice.index(2_000),
            };
            // The first bytes of a true message: a version, a kind, then what would be a route.
            let mut body = vec![0, 1, 0, (dice.below(6)) as u8];
            body.resize_with(4 + length, || dice.next() as u8);
            raw.write(speaks, frame(&body), false);
        }
        thread::sleep(Duration::from_millis(20));
    }
    told(&score)
}

/// Ten thousand hints a second, of the right length in the right topics, all different, and some of wrong ones.
fn gossip(target: &Target<'_>, sources: Sources) -> String {
    let (raws, score) = target.raws(10, sources);
    let mut dice = Dice::seeded(target.seed).split(35);
    let (mut hints, began) = (0u64, Instant::now());
    while began.elapsed() < target.lasts {
        for raw in &raws {
            let mut rpc = Rpc::default();
            for _ in 0..50 {
                let topics = if dice.one_in(50) { 100 } else { 64 };
                let topic = format!("/allod/mail/{:02}", dice.below(topics));
                let length = if dice.one_in(200) { dice.index(900) } else { 512 };
                let data: Vec<u8> = (0..length).map(|_| dice.next() as u8).collect();
                rpc = rpc.publish(&topic, &data);
            }
            if raw.write(Speaks::Mesh, rpc.bytes(), true) {
                hints += 50;
            }
        }
        // Ten attackers with fifty hints each, twenty times a second.
        thread::sleep(Duration::from_millis(50));
    }
    let left = score.fed.load(Relaxed) * 50;
    format!("{hints} hints, {left} left, {} a second; {}", left / began.elapsed().as_secs().max(1), told(&score))
}

/// Control messages that mean harm: endless backoffs, topics that nobody has, ids by the thousand.
fn gossip_control(target: &Target<'_>, sources: Sources) -> String {
    let (raws, score) = target.raws(10, sources);
    let mut dice = Dice::seeded(target.seed).split(36);
    let until = Instant::now() + target.lasts;
    while Instant::now() < until {
        for raw in &raws {
            let topic = format!("/allod/mail/{:02}", dice.below(64));
            let rpc = match dice.below(6) {
                0 => Rpc::default().prune(&topic, u64::MAX),
                1 => Rpc::default().prune("/nobody/has/this", u64::MAX / 1_000),
                2 => (0..200).fold(Rpc::default(), |rpc, _| rpc.graft(&topic)),
                3 => (0..200).fold(Rpc::default(), |rpc, number| rpc.subscribe(&format!("/junk/{number}"))),
                4 => (0..64).fold(Rpc::default(), |rpc, number| rpc.subscribe(&format!("/allod/mail/{number:02}"))),
                _ => {
                    let mut dice = dice.split(5);
                    Rpc::default().i_have(&topic, (0..1_500).map(move |_| std::array::from_fn(|_| dice.next() as u8)))
                }
            };
            raw.write(Speaks::Mesh, rpc.bytes(), true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    told(&score)
}

/// A thousand callers of the control socket, each with one byte now and then, after nothing, headers, headers of a body of unknown
/// length, or much of a body.
fn slow_callers(target: &Target<'_>, _: Sources) -> String {
    let count = target.form.pick(300, 1_000);
    let socket = target.shop.api();
    let kinds = SlowCaller::kinds();
    // Of each kind as many; who is cut off comes again as it was.
    let mut missing: Vec<&SlowCaller> = kinds.iter().cycle().take(count).collect();
    let mut open: Vec<(UnixStream, &SlowCaller, usize)> = Vec::new();
    let (mut opened, mut cut) = (0, 0);
    let until = Instant::now() + target.lasts;
    while Instant::now() < until {
        while let Some(caller) = missing.pop() {
            let Some(mut stream) = connect(socket.socket()) else {
                missing.push(caller);
                break;
            };
            let _ = stream.set_nonblocking(true);
            let _ = stream.write(&caller.says[..caller.at_once]);
            open.push((stream, caller, caller.at_once));
            opened += 1;
        }
        open.retain_mut(|(stream, caller, at)| {
            let byte = caller.says.get(*at..=*at).unwrap_or(b" ");
            *at += 1;
            let heard = stream.write(byte).is_ok();
            missing.extend((!heard).then_some(*caller));
            heard
        });
        cut += missing.len();
        thread::sleep(Duration::from_millis(100));
    }
    format!("{opened} callers, {cut} cut off")
}

struct SlowCaller {
    says: Vec<u8>,
    /// So many bytes of it, and the others one by one.
    at_once: usize,
}

impl SlowCaller {
    fn kinds() -> [Self; 4] {
        let head = |body: &str| format!("POST /v1/set HTTP/1.1\r\nhost: allod\r\n{body}\r\n\r\n").into_bytes();
        let (known, unknown) = (head("content-length: 1000000"), head("transfer-encoding: chunked"));
        let much = [&known[..], &[b' '; 10_000]].concat();
        [
            Self { at_once: 0, says: known.clone() },
            Self { at_once: known.len(), says: known },
            Self { at_once: unknown.len(), says: [&unknown[..], b"100000\r\n"].concat() },
            Self { at_once: much.len(), says: much },
        ]
    }
}

fn connect(path: &Path) -> Option<UnixStream> {
    // A full backlog makes a blocking connect wait: that is the attacker's own time.
    UnixStream::connect(path).ok()
}

fn told(score: &Score) -> String {
    let [connected, cut, written, answered] =
        [&score.connected, &score.cut, &score.written, &score.answered].map(|number| number.load(Relaxed));
    format!("{connected} connections, {cut} cut off, {written} streams written, {answered} answered")
}
