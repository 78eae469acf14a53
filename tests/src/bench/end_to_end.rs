//! The same through the doors that people use: two real daemons, their control sockets, libp2p between them.
//!
//! Needs the daemon's binary beside this one; without it this says so and measures nothing. Each figure is the time of one request over a
//! control socket. W1 keeps its connection open, and its floor is a ping-pong over a Unix socket with messages of the same sizes between
//! two threads of this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::measure::{Series, Spread, line, print, print_alone, verdict};
use super::node::Dir;
use super::prepared;
use crate::real::{self, pairing, process::Node};

/// Fields that are read, changed and taken back.
const FIELDS: usize = 200;
const READS: usize = 4_000;
const CHANGES: usize = 100;
/// Rows of the lent column, and how often it is lent.
const ROWS: usize = 10_000;
const COLUMNS: usize = 3;
/// Relationships of the node whose memory is read.
const PEERS: usize = 10;

/// Measures and prints.
pub fn run() {
    let Some(binary) = binary() else {
        line("end to end", "", format_args!("no daemon beside this program: cargo build --release -p allod-node"));
        return;
    };
    for engine in real::ENGINES {
        measure(engine, &binary);
    }
}

/// The daemon that was built with this program.
fn binary() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let binary = here.parent()?.join("allod");
    binary.exists().then_some(binary)
}

fn measure(engine: &str, binary: &Path) {
    let dir = Dir::new();
    let mut person = Node::made(binary, &dir.at("alice"), "alice", engine);
    let mut vendor = Node::made(binary, &dir.at("shop"), "shop", engine);
    person.must_start();
    vendor.must_start();
    for page in 0..FIELDS / 100 {
        let item = |number| json!({ "path": format!("note/n{number}/text"), "type": "text", "text": prepared::text(number, 200) });
        let items: Vec<Value> = (page * 100..(page + 1) * 100).map(item).collect();
        person.api().post("/v1/set", &json!({ "items": items })).expect("fields are set");
    }
    let pair = pairing::pair(&vendor, &person).expect("they pair");
    let selectors: Vec<String> = (0..FIELDS).map(|number| format!("note/n{number}/text")).collect();
    lend(&person, &pair.acceptors, &selectors);

    read(engine, &vendor, &pair.inviters);
    change(engine, &person);
    revoke(engine, &person, &pair.acceptors, "with the vendor there");
    columns(engine, &person, &pair.acceptors);
    vendor.stop().expect("it stops in order");
    revoke(engine, &person, &pair.acceptors, "with the vendor gone");
    drop((person, vendor));
    rest(engine, binary);
}

/// Lends, and waits until the vendor has all of it.
fn lend(person: &Node, peer: &str, selectors: &[String]) -> String {
    let body = json!({ "peer": peer, "selectors": selectors, "purpose": "DeliveryOfGoods" });
    let granted = person.api().post("/v1/grants", &body).expect("it is lent");
    settled(person, peer);
    granted["grant"].as_str().expect("a grant has an id").to_owned()
}

/// Nothing is due to this peer, and it has all entries.
fn settled(person: &Node, peer: &str) {
    loop {
        let shown = person.api().get(&format!("/v1/peers/{peer}"), &[]).expect("a peer is shown");
        if shown["queued"] == 0 && shown["due"] == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read(engine: &str, vendor: &Node, owner: &str) {
    let mut open = Open::to(vendor);
    let mut echo = Echo::start(open.get(&target(0, owner)).1);
    let mut series = Series::default();
    for number in 0..READS {
        let target = target(number * 7 % FIELDS, owner);
        let floor = echo.ping_pong(open.request(&target).len());
        let start = Instant::now();
        let (answer, _) = open.get(&target);
        series.push(floor, start.elapsed(), 1);
        assert!(answer.contains("the quick brown fox"), "a value is answered: {answer}");
    }
    let reached = verdict(&[(series.ratio().median, 4.0)]);
    print("W1 read over an open control socket", engine, &series, format_args!("goal 4: {reached}"));
}

fn target(number: usize, owner: &str) -> String {
    format!("/v1/fields?path=note/n{number}/text&from={owner}")
}

fn change(engine: &str, person: &Node) {
    let api = person.api();
    let times = (0..CHANGES).map(|number| {
        let text = prepared::text(number, 20);
        let items = json!({ "items": [{ "path": format!("note/n{number}/text"), "type": "text", "text": text }] });
        let start = Instant::now();
        let written = api.post("/v1/set", &items).expect("it is set");
        let took = start.elapsed().as_secs_f64();
        assert_eq!(written["told"][0]["state"], "delivered", "the vendor has it: {written}");
        took
    });
    let spread = Spread::of(times.collect::<Vec<_>>());
    print_alone("W2 set, answered when the vendor has it", engine, spread, format_args!(""));
}

fn revoke(engine: &str, person: &Node, peer: &str, heading: &str) {
    let api = person.api();
    let mut times = Vec::new();
    for number in 0..CHANGES / 4 {
        let body = json!({ "peer": peer, "selectors": [format!("note/n{number}/text")], "purpose": "DeliveryOfGoods" });
        let granted = api.post("/v1/grants", &body).expect("it is lent");
        let id = granted["grant"].as_str().expect("a grant has an id");
        let start = Instant::now();
        api.post(&format!("/v1/grants/{id}/revoke"), &json!({})).expect("it is taken back");
        times.push(start.elapsed().as_secs_f64());
    }
    print_alone(&format!("W3 revoke, answered, {heading}"), engine, Spread::of(times), format_args!(""));
}

fn columns(engine: &str, person: &Node, peer: &str) {
    let api = person.api();
    for start in (0..ROWS).step_by(500) {
        let item = |number| {
            let record = prepared::record(number);
            json!({ "path": format!("{record}/amount"), "type": "text", "text": prepared::text(number, 20) })
        };
        let items: Vec<Value> = (start..start + 500).map(item).collect();
        api.post("/v1/set", &json!({ "items": items })).expect("fields are set");
    }
    let times: Vec<f64> = (0..COLUMNS)
        .map(|_| {
            let start = Instant::now();
            lend(person, peer, &[prepared::COLUMN.to_owned()]);
            start.elapsed().as_secs_f64()
        })
        .collect();
    let spread = Spread::of(times);
    let reached = verdict(&[(spread.median, 0.5)]);
    print_alone("W8 lend 10,000 rows, seen to be there", engine, spread, format_args!("goal 0.5 s: {reached}"));
}

/// A node with 1,000 records and ten relationships, of which none is connected, started afresh.
fn rest(engine: &str, binary: &Path) {
    let dir = Dir::new();
    let mut person = Node::made(binary, &dir.at("alice"), "alice", engine);
    let mut vendor = Node::made(binary, &dir.at("shop"), "shop", engine);
    person.must_start();
    vendor.must_start();
    for start in (0..1_000).step_by(500) {
        let item = |number| {
            let record = prepared::record(number);
            json!({ "path": format!("{record}/amount"), "type": "text", "text": prepared::text(number, 100) })
        };
        let items: Vec<Value> = (start..start + 500).map(item).collect();
        person.api().post("/v1/set", &json!({ "items": items })).expect("fields are set");
    }
    for _ in 0..PEERS {
        pairing::pair(&vendor, &person).expect("they pair");
    }
    person.stop().expect("it stops in order");
    person.must_start();
    std::thread::sleep(Duration::from_secs(3));
    let connected = person.rss_bytes() as f64 / f64::from(1 << 20);
    let reached = verdict(&[(connected, 25.0)]);
    line(
        "W6 daemon at rest, 1,000 records, 10 peers",
        engine,
        format_args!("{connected:.1} MiB  goal 25 MiB: {reached}"),
    );
}

/// One connection to a control socket, kept open.
struct Open {
    stream: BufReader<UnixStream>,
}

impl Open {
    fn to(node: &Node) -> Open {
        let stream = UnixStream::connect(node.api().socket()).expect("the daemon listens");
        Open { stream: BufReader::new(stream) }
    }

    fn request(&self, target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nhost: allod\r\n\r\n")
    }

    /// The body, and the length of the whole answer.
    fn get(&mut self, target: &str) -> (String, usize) {
        let request = self.request(target);
        self.stream.get_mut().write_all(request.as_bytes()).expect("the daemon reads");
        let (mut body_bytes, mut head_bytes) = (0, 0);
        loop {
            let mut line = String::new();
            head_bytes += self.stream.read_line(&mut line).expect("the daemon answers");
            if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
                body_bytes = length.trim().parse().expect("a length is a number");
            }
            if line == "\r\n" {
                break;
            }
            assert!(!line.is_empty(), "the daemon closed the connection");
        }
        let mut body = vec![0; body_bytes];
        self.stream.read_exact(&mut body).expect("the answer is whole");
        (String::from_utf8(body).expect("JSON is UTF-8"), head_bytes + body_bytes)
    }
}

/// A thread that answers each message of a Unix socket with one of the size that an answer has.
struct Echo {
    stream: UnixStream,
    answer_bytes: usize,
}

impl Echo {
    fn start(answer_bytes: usize) -> Echo {
        let (near, mut far) = UnixStream::pair().expect("two sockets");
        std::thread::spawn(move || {
            let mut buffer = vec![0; 4_096];
            while far.read(&mut buffer).is_ok_and(|count| count > 0) {
                if far.write_all(&vec![7; answer_bytes]).is_err() {
                    return;
                }
            }
        });
        Echo { stream: near, answer_bytes }
    }

    fn ping_pong(&mut self, request_bytes: usize) -> Duration {
        let (request, mut answer) = (vec![1; request_bytes], vec![0; self.answer_bytes]);
        let start = Instant::now();
        self.stream.write_all(&request).expect("the other side reads");
        self.stream.read_exact(&mut answer).expect("the other side answers");
        start.elapsed()
    }
}
