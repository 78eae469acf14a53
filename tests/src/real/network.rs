//! Bad networks, between hosts that are network namespaces: loss, delay, partitions, addresses that change.
//!
//! Each host has its own address on one bridge; nodes run in the hosts and are driven through their sockets as ever. Records are written,
//! lent and taken back while the network is bad; once it is good again both sides are level within half a minute, every log has each of
//! its entries once, and no value was ever seen on the wire. What the wire is searched for was seen there once, on purpose, in a
//! datagram of the test's own: a search that finds nothing anywhere would prove nothing.
//!
//! Loss is made by nft's random numbers and delay by a small program between tap devices (`delay.py`), since not every kernel has netem. A vendor behind a firewall, which learns of a change by a hint,
//! is a test of its own (`tests/tests/processes/roads.rs`).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use super::{
    Extent, Findings, Form, Plan,
    api::{Api, items},
    dice::Dice,
    has_program, is_root,
    kill::{LEVEL_WITHIN, dishonest, spoke_of_a_panic, verified},
    oracle::{Oracle, read},
    pairing::{Pair, pair},
    process::Node,
    workload::{self, Sizes},
};

/// What stands in every value of the workload, and must never be on the wire.
const CANARY: &str = "note/lane-";
/// What the test itself puts on the wire.
const SEEN: &str = "the-search-finds-this";
const PORT: u16 = 7_700;
/// One way, on a line that takes its time. Milliseconds.
const DELAY_MS: u32 = 200;
const JITTER_MS: u32 = 80;

/// All bad networks.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    if !is_root() || ["ip", "nft"].iter().any(|name| !has_program(name)) {
        plan.left_out.note(Extent::Whole, "it takes root, ip and nft");
        return Findings::new();
    }
    let engine = plan.engines.first().map_or("sled", String::as_str);
    let mut findings = Findings::new();
    let Some(lab) = Lab::made(&["a", "b", "c"]) else {
        plan.left_out.note(Extent::Whole, "namespaces can't be made");
        return findings;
    };
    type Story = fn(&Plan, &str, &Lab) -> Findings;
    let stories: [(&str, Story); 4] = [
        ("loss", loss),
        ("partition", partition),
        ("the person's address changes", persons_address),
        ("the vendor's address changes", vendors_address),
    ];
    for (name, story) in stories {
        lab.heal();
        let found = story(plan, engine, &lab);
        findings.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    drop(lab);
    match Lab::delayed(&["a", "b"], DELAY_MS, JITTER_MS) {
        Some(lab) => findings.extend(delay(plan, engine, &lab).into_iter().map(|what| format!("delay: {what}"))),
        None => plan.left_out.note(Extent::Part, "delay takes python3 and /dev/net/tun"),
    }
    findings
}

/// Hosts on one bridge.
pub struct Lab {
    names: Vec<String>,
    bridge: String,
    /// What takes its time between the hosts, if anything does. It ends with its input.
    slow: Option<(Child, ChildStdin)>,
}

impl Lab {
    /// `None` if the system does not let us.
    #[must_use]
    pub fn made(hosts: &[&str]) -> Option<Self> {
        let prefix = format!("allod{}", std::process::id());
        let lab = Self {
            names: hosts.iter().map(|host| format!("{prefix}-{host}")).collect(),
            bridge: format!("{prefix}-net"),
            slow: None,
        };
        let bridge = &lab.bridge;
        let mut done = ip(&format!("netns add {bridge}")) && ip(&format!("-n {bridge} link add br0 type bridge"));
        done &= ip(&format!("-n {bridge} link set br0 up"));
        for (number, name) in lab.names.iter().enumerate() {
            done &= ip(&format!("netns add {name}"))
                && ip(&format!("link add eth0 netns {name} type veth peer name v{number} netns {bridge}"))
                && ip(&format!("-n {bridge} link set v{number} master br0 up"))
                && ip(&format!("-n {name} link set lo up"))
                && ip(&format!("-n {name} addr add {}/24 dev eth0", address(number)))
                && ip(&format!("-n {name} link set eth0 up"));
        }
        done.then_some(lab)
    }

    /// Hosts on a line that takes its time, each way. `None` if the system does not let us.
    #[must_use]
    pub fn delayed(hosts: &[&str], milliseconds: u32, jitter: u32) -> Option<Self> {
        if !has_program("python3") || !Path::new("/dev/net/tun").exists() {
            return None;
        }
        let prefix = format!("allod{}-slow", std::process::id());
        let names: Vec<String> = hosts.iter().map(|host| format!("{prefix}-{host}")).collect();
        let mut lab = Self { names, bridge: format!("{prefix}-net"), slow: None };
        if !lab.names.iter().all(|name| ip(&format!("netns add {name}"))) {
            return None;
        }
        let mut slow = Command::new("python3");
        slow.args(["-c", include_str!("delay.py"), &milliseconds.to_string(), &jitter.to_string()]).args(&lab.names);
        let mut child = slow.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut said = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take()?);
        std::io::BufRead::read_line(&mut out, &mut said).ok()?;
        let input = child.stdin.take()?;
        lab.slow = Some((child, input));
        let up = |(number, name): (usize, &String)| {
            ip(&format!("-n {name} link set lo up"))
                && ip(&format!("-n {name} addr add {}/24 dev eth0", address(number)))
                && ip(&format!("-n {name} link set eth0 up"))
        };
        (said == "ready\n" && lab.names.iter().enumerate().all(up)).then_some(lab)
    }

    /// Rules for what comes into a host.
    fn rules(&self, host: usize, rules: &str) {
        let table = format!(
            "flush ruleset\ntable inet t {{\nchain in {{\ntype filter hook input priority 0;\n{rules}\n}}\n}}\n"
        );
        let mut nft = Command::new("ip");
        nft.args(["netns", "exec", &self.names[host], "nft", "-f", "-"]).stdin(Stdio::piped());
        let mut child = nft.spawn().expect("nft starts");
        let mut input = child.stdin.take().expect("stdin is a pipe");
        std::io::Write::write_all(&mut input, table.as_bytes()).expect("nft reads its rules");
        drop(input);
        assert!(child.wait().is_ok_and(|status| status.success()), "nft takes the rules: {rules}");
    }

    fn heal(&self) {
        (0..self.names.len()).for_each(|host| self.rules(host, ""));
    }

    /// A node on a host, which listens on all of the host's addresses.
    fn node(&self, plan: &Plan, engine: &str, dir: &Path, host: usize, name: &str) -> Node {
        let listen = vec![format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1"), format!("/ip4/0.0.0.0/tcp/{PORT}")];
        let mut node = Node::new(&plan.exe, &dir.join(name), name, listen);
        node.under = ["ip", "netns", "exec", &self.names[host]].map(str::to_owned).to_vec();
        fs::create_dir_all(dir).expect("a directory can be made");
        node.init(engine, if name == "alice" { "person" } else { "vendor" });
        node
    }

    fn capture(&self, plan: &Plan, dir: &Path) -> Option<Capture> {
        if !has_program("tcpdump") {
            plan.left_out.note(Extent::Part, "the wire is not searched, tcpdump is not at hand");
            return None;
        }
        let file = dir.join("wire.pcap");
        let mut tcpdump = Command::new("ip");
        tcpdump.args([
            "netns",
            "exec",
            &self.bridge,
            "tcpdump",
            "-Z",
            "root",
            "-U",
            "-s0",
            "-i",
            "br0",
            "--immediate-mode",
            "-w",
        ]);
        let mut child = tcpdump.arg(&file).stderr(Stdio::piped()).spawn().ok()?;
        // It says that it listens, then counts at its end.
        let mut said = std::io::BufReader::new(child.stderr.take()?);
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).ok()?;
        // Bridges show broadcasts and what is meant for them; so the canary of the test is one.
        let seen = Command::new("ip")
            .args(["netns", "exec", &self.names[0], "bash", "-c"])
            .arg(format!("echo {SEEN} > /dev/udp/{}/9", address(1)))
            .status();
        let _ = seen;
        Some(Capture { child, file, _said: said })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some((mut child, input)) = self.slow.take() {
            drop(input);
            let _ = child.wait();
        }
        for name in self.names.iter().chain([&self.bridge]) {
            ip(&format!("netns del {name}"));
        }
    }
}

/// The address of a host.
#[must_use]
pub fn address(host: usize) -> String {
    format!("10.88.0.{}", host + 1)
}

/// Runs `ip` with these words.
pub fn ip(words: &str) -> bool {
    let status = Command::new("ip").args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// What went over the wire.
struct Capture {
    child: Child,
    file: PathBuf,
    _said: std::io::BufReader<std::process::ChildStderr>,
}

impl Capture {
    /// Searches for values in each of the ways in which they might be written.
    fn search(mut self) -> Findings {
        // What is on its way into the file.
        thread::sleep(Duration::from_millis(300));
        let _ = self.child.kill();
        let _ = self.child.wait();
        let wire = fs::read(&self.file).unwrap_or_default();
        let holds = |needle: &[u8]| wire.windows(needle.len()).any(|window| window == needle);
        let mut findings = Findings::new();
        if !holds(SEEN.as_bytes()) {
            findings.push(format!("the wire was not seen: {} bytes were captured", wire.len()));
        }
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
        let wide: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (how, needle) in [("as it is", CANARY.as_bytes()), ("in hex", hex.as_bytes()), ("in UTF-16", &wide)] {
            if holds(needle) {
                findings.push(format!("a value is on the wire, {how}"));
            }
        }
        // Each shift of three that Base64 makes of it, without the letters that its neighbours decide.
        for skip in 0..3 {
            let inner = &base64(&[&vec![0; skip][..], CANARY.as_bytes()].concat())[skip.div_ceil(3) * 4..];
            if holds(&inner.as_bytes()[..inner.len() - 4]) {
                findings.push("a value is on the wire, in Base64".to_owned());
            }
        }
        println!("network: {} KiB of wire searched", wire.len() >> 10);
        findings
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let three = |piece: &[u8]| {
        let number =
            piece.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte)) << (8 * (3 - piece.len()));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[number >> shift & 63]))
    };
    bytes.chunks(3).flat_map(three).collect()
}

/// Two nodes on two hosts, paired, with the notes of what was done.
struct World {
    alice: Node,
    shop: Node,
    names: Pair,
    oracle: Mutex<Oracle>,
    began: Instant,
}

impl World {
    fn begin(plan: &Plan, engine: &str, lab: &Lab, story: &str) -> Self {
        let dir = plan.dir.join(format!("network-{story}"));
        let mut alice = lab.node(plan, engine, &dir, 0, "alice");
        let mut shop = lab.node(plan, engine, &dir, 1, "shop");
        shop.must_start();
        alice.must_start();
        let names = pair(&shop, &alice).expect("two running nodes pair");
        Self { alice, shop, names, oracle: Mutex::new(Oracle::default()), began: Instant::now() }
    }

    /// Works for a while, and does something to the network in the middle.
    fn work(&self, plan: &Plan, lasts: Duration, in_the_middle: impl FnOnce()) -> Findings {
        let stop = AtomicBool::new(false);
        let api = self.alice.api();
        let dice = Dice::seeded(plan.seed).split(900);
        thread::scope(|scope| {
            let calls =
                scope.spawn(|| workload::run(&api, &self.names.acceptors, Sizes::Usual, &dice, &self.oracle, &stop));
            thread::sleep(lasts / 2);
            in_the_middle();
            thread::sleep(lasts / 2);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            let faults = calls.join().expect("the workload does not panic");
            faults.iter().map(|fault| dishonest(fault).unwrap_or_else(|| format!("{fault:?}"))).collect()
        })
    }

    /// Waits until both are level; then everything is there once.
    fn end(mut self, name: &str) -> Findings {
        let healed = Instant::now();
        let oracle = self.oracle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings = oracle.compare_holder(&self.shop.api(), &self.names.inviters, LEVEL_WITHIN);
        let level = healed.elapsed();
        println!(
            "network: {name}: {} acknowledged, {} of them revocations; level {:.1} s after healing, {:.0} s in all; findings: {}",
            oracle.acknowledged,
            oracle.revocations,
            level.as_secs_f64(),
            self.began.elapsed().as_secs_f64(),
            findings.len()
        );
        drop(oracle);
        for node in [&self.alice, &self.shop] {
            findings.extend(verified(&node.api()).err());
            findings.extend(once(&node.api()).err());
            findings.extend(spoke_of_a_panic(node));
        }
        for node in [&mut self.alice, &mut self.shop] {
            findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
        }
        findings
    }
}

/// Every entry of every log is there once, and none is missing.
fn once(api: &Api) -> Result<(), String> {
    let mut seen: BTreeSet<(String, u64)> = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = vec![("limit", "1000")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = api.get("/v1/log", &query).map_err(|fault| format!("log: {fault:?}"))?;
        for entry in items(&page) {
            let log = format!("{} {} {}", entry["peer"], entry["log"], entry["direction"]);
            let number = entry["seq"].as_u64().unwrap_or(u64::MAX);
            if !seen.insert((log.clone(), number)) {
                return Err(format!("entry {number} of {log} is there twice"));
            }
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    let logs: BTreeSet<_> = seen.iter().map(|(log, _)| log.clone()).collect();
    for log in logs {
        let numbers: Vec<_> = seen.iter().filter(|(other, _)| *other == log).map(|(_, number)| *number).collect();
        if numbers.windows(2).any(|two| two[0] + 1 != two[1]) {
            return Err(format!("{log} has a gap"));
        }
    }
    Ok(())
}

fn lasts(plan: &Plan, short: u64, soak: u64) -> Duration {
    Duration::from_secs(if plan.form == Form::Soak { soak } else { short })
}

/// A fifth of all packets, both ways.
fn loss(plan: &Plan, engine: &str, lab: &Lab) -> Findings {
    let world = World::begin(plan, engine, lab, "loss");
    let capture = lab.capture(plan, &plan.dir.join("network-loss"));
    let lose = |host| lab.rules(host, "iifname \"eth0\" numgen random mod 100 < 20 counter drop");
    let mut findings = world.work(plan, lasts(plan, 6, 60), || (0..2).for_each(lose));
    let under = Instant::now();
    // A change still gets through, while packets go on being lost.
    findings.extend(delivers(&world, Duration::from_secs(60)).err());
    println!("network: loss: a change crossed in {:.1} s while a fifth was lost", under.elapsed().as_secs_f64());
    lab.heal();
    findings.extend(world.end("loss of 20 %"));
    findings.extend(capture.map(Capture::search).unwrap_or_default());
    findings
}

/// One lent field changes, and the holder reads it.
fn delivers(world: &World, within: Duration) -> Result<(), String> {
    let path = "note/last/text";
    let api = world.alice.api();
    let content = world.oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(60);
    let failed = |fault| format!("{fault:?}");
    workload::set(&api, path, content, &world.oracle).map_err(failed)?;
    if !world.oracle.lock().unwrap_or_else(PoisonError::into_inner).is_lent(path) {
        workload::grant(&api, &world.names.acceptors, path, &world.oracle).map_err(failed)?;
    }
    let until = Instant::now() + within;
    while read(&world.shop.api(), path, Some(&world.names.inviters)).ok().flatten() != content.text(path) {
        if Instant::now() > until {
            return Err(format!("a change did not cross in {within:?}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Nothing passes for a while, in the middle of grants and revocations.
fn partition(plan: &Plan, engine: &str, lab: &Lab) -> Findings {
    let world = World::begin(plan, engine, lab, "partition");
    let mut findings = world.work(plan, lasts(plan, 4, 20), || lab.rules(0, "iifname \"eth0\" drop"));
    thread::sleep(lasts(plan, 4, 60));
    lab.heal();
    findings.extend(world.end("partition"));
    findings
}

/// A line around half the world and back, whose packets overtake each other.
fn delay(plan: &Plan, engine: &str, lab: &Lab) -> Findings {
    let world = World::begin(plan, engine, lab, "delay");
    let mut findings = world.work(plan, lasts(plan, 6, 60), || ());
    let took = Instant::now();
    findings.extend(delivers(&world, Duration::from_secs(60)).err());
    println!(
        "network: delay: a change crossed in {:.1} s on a line of {DELAY_MS} ms each way, give or take {JITTER_MS}",
        took.elapsed().as_secs_f64()
    );
    findings.extend(world.end("delay of 200 ms each way"));
    findings
}

/// The person moves to another address while lending.
fn persons_address(plan: &Plan, engine: &str, lab: &Lab) -> Findings {
    let world = World::begin(plan, engine, lab, "person-moves");
    let name = &lab.names[0];
    let mut findings = world.work(plan, lasts(plan, 4, 20), || {
        assert!(ip(&format!("-n {name} addr del {}/24 dev eth0", address(0))), "an address can be removed");
        assert!(ip(&format!("-n {name} addr add 10.88.0.101/24 dev eth0")), "an address can be added");
    });
    findings.extend(world.end("a person's new address"));
    assert!(ip(&format!("-n {name} addr del 10.88.0.101/24 dev eth0")), "an address can be removed");
    assert!(ip(&format!("-n {name} addr add {}/24 dev eth0", address(0))), "an address can be added");
    findings
}

/// The vendor moves; the person can be dialled.
fn vendors_address(plan: &Plan, engine: &str, lab: &Lab) -> Findings {
    let world = World::begin(plan, engine, lab, "vendor-moves");
    let name = &lab.names[1];
    let mut findings = world.work(plan, lasts(plan, 4, 20), || {
        assert!(ip(&format!("-n {name} addr del {}/24 dev eth0", address(1))), "an address can be removed");
        assert!(ip(&format!("-n {name} addr add 10.88.0.102/24 dev eth0")), "an address can be added");
    });
    findings.extend(world.end("a vendor's new address"));
    assert!(ip(&format!("-n {name} addr del 10.88.0.102/24 dev eth0")), "an address can be removed");
    assert!(ip(&format!("-n {name} addr add {}/24 dev eth0", address(1))), "an address can be added");
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_everybody_else_makes() {
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(b"light w"), "bGlnaHQgdwAA");
    }
}
