//! The control socket from outside: what callers may do, and what is done with those that may not.

mod together;

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::server::{Pace, Socket, serve};
use crate::daemon::{
    Daemon, Farewell,
    background::Background,
    hygiene,
    limits::{
        BODY_MAX_BYTES, CONNECTIONS_MAX, HEAD_MAX_BYTES, IMPORT_MAX_BYTES, RECEIVED_MAX, SAID_MAX_BYTES, WATCHERS_MAX,
    },
    rig::{Caller, Script, TestHome, call, silent},
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    home: TestHome,
    script: Arc<Script>,
    daemon: Daemon,
}

impl Running {
    async fn new(passphrase: Option<&str>) -> Self {
        let home = TestHome::new(passphrase);
        let script = Arc::<Script>::default();
        let daemon = home.start(&script, passphrase).await;
        Self { home, script, daemon }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        call(&self.home.socket(), method, path, body).await
    }

    /// The same node behind a second socket, for another user or with less patience.
    fn serve(&self, path: &Path, owner: u32, pace: Pace) -> JoinHandle<()> {
        let node = self.daemon.node();
        let router = super::router(Arc::clone(node));
        tokio::spawn(serve(Socket::bind(path).unwrap(), owner, router, pace, Handle::current(), node.stopping()))
    }

    fn second_socket(&self) -> std::path::PathBuf {
        self.home.dir().join("second.sock")
    }
}

fn city() -> Value {
    json!({ "items": [{ "path": "contact/me/city", "text": "Lyon" }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_is_written_and_status_counts_it() {
    let node = Running::new(None).await;
    let (status, body) = node.call("POST", "/v1/set", city()).await;
    assert_eq!((status, body), (200, json!({ "written": [{ "path": "contact/me/city", "version": 1 }], "told": [] })));
    let (status, body) = node.call("GET", "/v1/status", Value::Null).await;
    assert_eq!(
        (status, &body["name"], &body["records"], &body["vault"]),
        (200, &json!("alice"), &json!(1), &json!("open"))
    );
    assert_eq!(body["peers"], json!({ "paired": 0, "online": 0 }));
    assert_eq!(body["store"]["engine"], "sled");
    assert!(body["listen"][0].as_str().unwrap().starts_with("/ip4/127.0.0.1/tcp/"));
    assert!(body["rss_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_well_formed_is_refused_with_its_reason() {
    let node = Running::new(None).await;
    let item = |item: Value| json!({ "items": [item] });
    for (method, path, body, code, id) in [
        ("POST", "/v1/set", json!({ "items": [], "more": 1 }), "usage", "node-bad-body"),
        ("POST", "/v1/set", item(json!({ "path": "contact/me", "text": "x" })), "usage", "needs-field"),
        ("POST", "/v1/set", item(json!({ "path": "Contact/me/x", "text": "x" })), "usage", "bad-path"),
        ("POST", "/v1/set", item(json!({ "path": "contact/me/x" })), "usage", "node-bad-parameter"),
        (
            "POST",
            "/v1/set",
            item(json!({ "path": "contact/me/x", "text": "x", "type": "number" })),
            "usage",
            "unknown-type",
        ),
        (
            "POST",
            "/v1/set",
            item(json!({ "path": "contact/me/x", "text": "[[]]", "type": "list" })),
            "invalid",
            "bad-shape",
        ),
        ("GET", "/v1/fields", Value::Null, "usage", "node-bad-parameter"),
        ("GET", "/v1/records?limit=1001", Value::Null, "usage", "node-bad-parameter"),
        ("GET", "/v1/records?limit=5&limit=6", Value::Null, "usage", "node-bad-parameter"),
        ("GET", "/v1/records?limit=0", Value::Null, "usage", "node-bad-parameter"),
        ("GET", "/v1/records?colour=red", Value::Null, "usage", "node-bad-parameter"),
        ("GET", "/v1/log?since=yesterday", Value::Null, "usage", "node-bad-time"),
        ("GET", "/v1/peers/nobody", Value::Null, "not_found", "no-peer"),
        ("GET", "/v1/pairings/v-1", Value::Null, "not_found", "no-such-pairing"),
        ("GET", "/v2/status", Value::Null, "not_found", "node-no-route"),
        ("GET", "/v1/peers/%FF", Value::Null, "not_found", "node-no-route"),
        ("PUT", "/v1/status", Value::Null, "usage", "node-no-method"),
        (
            "POST",
            "/v1/grants",
            json!({ "peer": "shop", "selectors": [], "purpose": "evil" }),
            "usage",
            "unknown-purpose",
        ),
    ] {
        let (status, answer) = node.call(method, path, body).await;
        let error = &answer["error"];
        assert_eq!((&error["code"], &error["id"]), (&json!(code), &json!(id)), "{method} {path}: {answer}");
        assert!((400..500).contains(&status), "{method} {path}: {status}");
        assert!(error["message"].is_string() && error["try"].is_string() && error["facts"].is_object());
    }
    assert!(!node.script.seen().contains(&"Set".to_owned()), "a refused request reached the engine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_bytes_becomes_text_only_where_text_is_meant() {
    let node = Running::new(None).await;
    for (item, status) in [
        (json!({ "path": "contact/me/x", "bytes": "THlvbg==" }), 200),
        (json!({ "path": "contact/me/x", "bytes": "//79" }), 200),
        (json!({ "path": "contact/me/x", "bytes": "//79", "type": "bytes" }), 200),
        (json!({ "path": "contact/me/x", "bytes": "//79", "type": "text" }), 400),
        (json!({ "path": "contact/me/x", "bytes": "not base64" }), 400),
        (json!({ "path": "contact/me/x", "bytes": "", "text": "" }), 400),
    ] {
        let shown = item.to_string();
        assert_eq!(node.call("POST", "/v1/set", json!({ "items": [item] })).await.0, status, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_is_turned_away_with_one_sentence() {
    let node = Running::new(None).await;
    let path = node.second_socket();
    let serving = node.serve(&path, hygiene::own_user() + 1, Pace::default());
    let mut stream = silent(&path);
    let answer = tokio::task::spawn_blocking(move || {
        // Nothing needs to be said to be turned away.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("node-other-user"));
    assert!(!node.script.seen().iter().any(|seen| seen == "Status"));
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_dawdle_are_cut_off() {
    let node = Running::new(None).await;
    let path = node.second_socket();
    let quick = Duration::from_millis(150);
    let _serving = node.serve(&path, hygiene::own_user(), Pace { deadline: quick, silence: quick, ..Pace::default() });
    for beginning in [
        "",
        "GET /v1/st",
        "GET /v1/status HTTP/1.1\r\nhost: a",
        "POST /v1/set HTTP/1.1\r\nhost: allod\r\ncontent-length: 9\r\n\r\n{",
        "POST /v1/import HTTP/1.1\r\nhost: allod\r\ncontent-length: 9\r\n\r\nB",
    ] {
        let mut stream = silent(&path);
        stream.write_all(beginning.as_bytes()).unwrap();
        let cut = tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        });
        timeout(PATIENCE, cut).await.unwrap_or_else(|_| panic!("still waited for after {beginning:?}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_reads_nothing_is_cut_off() {
    let node = Running::new(None).await;
    let path = node.second_socket();
    let quick = Duration::from_millis(150);
    let _serving =
        node.serve(&path, hygiene::own_user(), Pace { deadline: PATIENCE, silence: quick, ..Pace::default() });
    let stream = silent(&path);
    let mut writer = stream.try_clone().unwrap();
    // Asks for much, again and again, and reads nothing of it: at some point its writes fail, since nobody listens any more.
    let cut = tokio::task::spawn_blocking(move || {
        while writer.write_all(b"GET /v1/openapi.json HTTP/1.1\r\nhost: allod\r\n\r\n").is_ok() {}
    });
    timeout(PATIENCE, cut).await.expect("still written to").unwrap();
    drop(stream);
}

/// Whether nobody listens to a caller any more.
fn is_cut_off(mut stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_in_earnest_gets_through_a_thousand_that_are_not_and_they_are_let_wait() {
    let node = Running::new(None).await;
    let path = node.second_socket();
    let waiting_max = 600;
    let pace = Pace { deadline: PATIENCE, silence: PATIENCE, waiting_max };
    let _serving = node.serve(&path, hygiene::own_user(), pace);
    let set = format!("POST /v1/set HTTP/1.1\r\nhost: allod\r\ncontent-length: {BODY_MAX_BYTES}\r\n\r\n{{");
    let beginnings = ["", "GET /v1/status HT", &set];
    let dawdler = |number: usize| {
        let mut stream = silent(&path);
        // One that lost its place already has nobody to write to.
        let _ = stream.write_all(beginnings[number % 3].as_bytes());
        stream
    };
    let mut crowd: Vec<_> = (0..500).map(dawdler).collect();
    for _ in 0..20 {
        let (status, _) = timeout(PATIENCE, call(&path, "GET", "/v1/status", Value::Null)).await.unwrap();
        assert_eq!(status, 200);
    }
    assert!(!crowd.iter().any(is_cut_off), "there is room for them, and each that is cut off comes again");
    // The oldest give up their places to those for whom there is none.
    crowd.extend((500..1_000).map(dawdler));
    let (status, _) = timeout(PATIENCE, call(&path, "GET", "/v1/status", Value::Null)).await.unwrap();
    assert_eq!(status, 200);
    let all_gone = async {
        while !crowd[..1_000 - waiting_max].iter().all(is_cut_off) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all_gone).await.expect("the oldest are let wait still");
    assert!(!crowd[1_000 - waiting_max + 10..].iter().any(is_cut_off), "a newer one went before an older");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_requests_that_stall_keep_out_neither_short_ones_nor_a_long_one_that_does_not() {
    let node = Running::new(None).await;
    let socket = node.home.socket();
    let head = format!("POST /v1/set HTTP/1.1\r\nhost: allod\r\ncontent-length: {BODY_MAX_BYTES}\r\n\r\n");
    let stalled = [head.as_bytes(), &vec![b' '; 2 * SAID_MAX_BYTES]].concat();
    let _crowd: Vec<_> = (0..4 * RECEIVED_MAX)
        .map(|_| {
            let mut stream = silent(&socket);
            stream.write_all(&stalled).unwrap();
            stream
        })
        .collect();
    let (status, _) = timeout(PATIENCE, node.call("GET", "/v1/status", Value::Null)).await.unwrap();
    assert_eq!(status, 200);
    let long = format!("{}{}", " ".repeat(BODY_MAX_BYTES / 2), city());
    let mut caller = Caller::connect(&socket).await;
    let (status, _) = timeout(PATIENCE, caller.try_call("POST", "/v1/set", long)).await.unwrap().unwrap();
    assert_eq!(status, 200);
}

/// What a caller gets that says this, after a while in which it says nothing.
async fn answer_after_a_silence(path: &Path, said: String) -> String {
    let mut caller = silent(path);
    let answer = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(50));
        caller.write_all(said.as_bytes()).unwrap();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).map(|_| answer)
    });
    timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_waited_for_and_received_in_the_background_and_whole_requests_are_not_answered_there() {
    let home = TestHome::new(None);
    let path = home.socket();
    let where_answered = || async { std::thread::current().name().unwrap_or_default().to_owned() };
    let router = Router::new().route("/where", get(where_answered).post(where_answered));
    let (_stop, stopping) = watch::channel(false);
    let background = Background::start().unwrap();
    let behind = background.handle().clone();
    let socket = Socket::bind(&path).unwrap();
    let owner = hygiene::own_user();
    let _serving = tokio::spawn(serve(socket, owner, router, Pace::default(), behind.clone(), stopping));
    let request = |method: &str, body: usize| {
        let head = format!("{method} /where HTTP/1.1\r\nhost: allod\r\nconnection: close\r\n");
        format!("{head}content-length: {body}\r\n\r\n{}", " ".repeat(body))
    };

    let few: Vec<_> = (0..CONNECTIONS_MAX / 2).map(|_| silent(&path)).collect();
    let answer = answer_after_a_silence(&path, request("GET", 0)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("background"), "{answer}");
    assert_eq!(behind.metrics().num_alive_tasks(), 0, "few are waited for where they are answered");

    let crowd: Vec<_> = (0..2 * CONNECTIONS_MAX).map(|_| silent(&path)).collect();
    let answer = answer_after_a_silence(&path, request("GET", 0)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("background"), "{answer}");
    assert!(behind.metrics().num_alive_tasks() >= CONNECTIONS_MAX, "{:?}", behind.metrics());
    let answer = answer_after_a_silence(&path, request("POST", 2 * SAID_MAX_BYTES)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("background"), "{answer}");
    drop((few, crowd));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_late_is_answered_with_that() {
    let node = Running::new(None).await;
    let path = node.second_socket();
    let quick = Duration::from_millis(150);
    let pace = Pace { deadline: quick, silence: PATIENCE, ..Pace::default() };
    let _serving = node.serve(&path, hygiene::own_user(), pace);
    let mut stream = silent(&path);
    stream.write_all(b"POST /v1/set HTTP/1.1\r\nhost: allod\r\ncontent-length: 9\r\n\r\n{").unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("node-too-slow"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_spoke_is_heard_before_a_crowd_that_came_after_it() {
    let node = Running::new(None).await;
    let socket = node.home.socket();
    for _ in 0..20 {
        let mut earnest = silent(&socket);
        earnest.write_all(b"GET /v1/status HTTP/1.1\r\nhost: allod\r\nconnection: close\r\n\r\n").unwrap();
        let _crowd: Vec<_> = (0..4 * CONNECTIONS_MAX).map(|_| silent(&socket)).collect();
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            earnest.read_to_string(&mut answer).map(|_| answer)
        });
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_may_come_in_pieces() {
    let node = Running::new(None).await;
    let mut stream = silent(&node.home.socket());
    let answer = tokio::task::spawn_blocking(move || {
        for piece in ["GET /v1/sta", "tus HTTP/1.1\r\nhost: allod\r\nconnection: close\r", "\n\r", "\n"] {
            stream.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_taken_up_to_its_cap_and_no_further() {
    let node = Running::new(None).await;
    let filler = BODY_MAX_BYTES - json!({ "items": [], "x": "" }).to_string().len();
    let full = json!({ "items": [], "x": "y".repeat(filler) }).to_string();
    assert_eq!(full.len(), BODY_MAX_BYTES);
    let mut caller = Caller::connect(&node.home.socket()).await;
    let (_, answer) = caller.try_call("POST", "/v1/set", full.clone()).await.unwrap();
    assert_eq!(answer["error"]["id"], "node-bad-body", "the largest body is read");
    let mut stream = silent(&node.home.socket());
    for (path, bytes) in [("/v1/set", BODY_MAX_BYTES + 1), ("/v1/import", IMPORT_MAX_BYTES + 1)] {
        // Announced, and refused before a byte of it is sent.
        let head = format!("POST {path} HTTP/1.1\r\nhost: allod\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("node-body-too-large"), "{answer}");
        stream = silent(&node.home.socket());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_read_up_to_their_cap_and_no_further() {
    let node = Running::new(None).await;
    let mut caller = Caller::connect(&node.home.socket()).await;
    let path = |bytes: usize| format!("/v1/records?prefix={}", "x".repeat(bytes));
    let (status, answer) = caller.try_call("GET", &path(HEAD_MAX_BYTES - 1_024), "").await.unwrap();
    assert_eq!((status, &answer["error"]["id"]), (400, &json!("bad-path")));
    let mut stream = silent(&node.home.socket());
    let answer = tokio::task::spawn_blocking(move || {
        let head = format!("GET /v1/status HTTP/1.1\r\nhost: allod\r\nx: {}", "y".repeat(2 * HEAD_MAX_BYTES));
        let _ = stream.write_all(head.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    });
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(!node.script.seen().contains(&"Status".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_an_announced_length_is_capped_too() {
    let node = Running::new(None).await;
    let mut stream = silent(&node.home.socket());
    let answer = tokio::task::spawn_blocking(move || {
        stream.write_all(b"POST /v1/set HTTP/1.1\r\nhost: allod\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        let piece = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        for _ in 0..=BODY_MAX_BYTES / 0x10000 {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    });
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert!(answer.contains("node-body-too-large"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_imported_in_pages() {
    let node = Running::new(None).await;
    let cards: String = (0..1_500)
        .map(|n| format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Person {n}\r\nTEL:+3360000{n:04}\r\nEND:VCARD\r\n"))
        .collect();
    let mut caller = Caller::connect(&node.home.socket()).await;
    let (status, answer) = caller.try_call("POST", "/v1/import?name=people.vcf&dry_run=true", cards).await.unwrap();
    assert_eq!((status, &answer["format"], &answer["records"]), (200, &json!("vcard"), &json!(1_500)), "{answer}");
    assert!(node.script.seen().iter().filter(|seen| *seen == "Import").count() > 1);
    let mut caller = Caller::connect(&node.home.socket()).await;
    let (status, answer) = caller.try_call("POST", "/v1/import?name=x.vcf", "nothing at all").await.unwrap();
    assert_eq!((status, &answer["error"]["id"]), (400, &json!("node-import-nothing")));
}

async fn next_text(body: &mut axum::body::Body) -> String {
    let frame = timeout(PATIENCE, body.frame()).await.expect("an event").unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_hears_what_happens_and_what_it_missed() {
    let node = Running::new(None).await;
    let mut watching = Caller::connect(&node.home.socket()).await.stream("/v1/watch", None).await;
    node.call("POST", "/v1/set", city()).await;
    let text = next_text(&mut watching).await;
    let lines: Vec<_> = text.lines().collect();
    let id = lines.iter().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    assert!(lines.contains(&"event: field_changed"), "{text}");
    let data: Value = serde_json::from_str(lines.iter().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    assert_eq!((&data["event"], &data["path"]), (&json!("field_changed"), &json!("contact/me/city")));
    drop(watching);
    node.call("POST", "/v1/set", city()).await;
    let mut watching = Caller::connect(&node.home.socket()).await.stream("/v1/watch", Some(&id)).await;
    let text = next_text(&mut watching).await;
    assert!(text.contains("field_changed") && !text.contains(&format!("id: {id}\n")), "{text}");
    let mut watching = Caller::connect(&node.home.socket()).await.stream("/v1/watch", Some("earlier.1")).await;
    assert!(next_text(&mut watching).await.contains("event: missed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_leave_room_for_commands() {
    let node = Running::new(None).await;
    let mut kept = Vec::new();
    for _ in 0..WATCHERS_MAX {
        let mut caller = Caller::connect(&node.home.socket()).await;
        kept.push((caller.stream("/v1/watch", None).await, caller));
    }
    let (status, answer) = node.call("GET", "/v1/watch", Value::Null).await;
    assert_eq!((status, &answer["error"]["id"]), (409, &json!("node-too-many-watchers")));
    assert_eq!(node.call("GET", "/v1/status", Value::Null).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_node_answers_status_and_nothing_else_until_it_is_unlocked() {
    let node = Running::new(Some("open sesame")).await;
    let (status, body) = node.call("POST", "/v1/unlock", json!({ "passphrase": "open barley" })).await;
    assert_eq!((status, &body["error"]["id"]), (423, &json!("node-wrong-passphrase")), "while it is open too");
    assert_eq!(node.call("POST", "/v1/lock", Value::Null).await.0, 200);
    let (status, body) = node.call("GET", "/v1/status", Value::Null).await;
    assert_eq!(
        (status, &body["vault"], &body["name"], &body["records"]),
        (200, &json!("sealed"), &json!("alice"), &Value::Null)
    );
    let (status, body) = node.call("POST", "/v1/set", city()).await;
    assert_eq!((status, &body["error"]["code"]), (423, &json!("locked")));
    let (status, body) = node.call("POST", "/v1/unlock", json!({ "passphrase": "open barley" })).await;
    assert_eq!((status, &body["error"]["id"]), (423, &json!("node-wrong-passphrase")));
    let (status, body) = node.call("POST", "/v1/unlock", json!({})).await;
    assert_eq!((status, &body["error"]["id"]), (423, &json!("node-no-passphrase")));
    assert_eq!(node.call("POST", "/v1/unlock", json!({ "phrase": node.home.phrase })).await.0, 200);
    assert_eq!(node.call("POST", "/v1/set", city()).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_is_changed_whether_the_node_is_locked_or_not() {
    let node = Running::new(Some("one")).await;
    let change = |old: &str, new: Value| json!({ "old": old, "new": new });
    let (status, body) = node.call("POST", "/v1/passphrase", change("wrong", json!("two"))).await;
    assert_eq!((status, &body["error"]["id"]), (423, &json!("node-wrong-passphrase")));
    assert_eq!(node.call("POST", "/v1/passphrase", change("one", json!("two"))).await.0, 200);
    node.call("POST", "/v1/lock", Value::Null).await;
    assert_eq!(node.call("POST", "/v1/unlock", json!({ "passphrase": "one" })).await.0, 423);
    assert_eq!(node.call("POST", "/v1/passphrase", change("two", json!("three"))).await.0, 200);
    assert_eq!(node.call("POST", "/v1/unlock", json!({ "passphrase": "three" })).await.0, 200);
    assert_eq!(
        node.call("POST", "/v1/passphrase", change("three", Value::Null)).await.1,
        json!({ "protection": "none" })
    );
    node.call("POST", "/v1/lock", Value::Null).await;
    assert_eq!(node.call("POST", "/v1/unlock", json!({})).await.0, 200);
    let phrase = json!({ "phrase": node.home.phrase, "new": "" });
    assert_eq!(node.call("POST", "/v1/passphrase", phrase).await.1["error"]["id"], "node-bad-passphrase");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_looks_at_each_thing() {
    let node = Running::new(None).await;
    let (status, body) = node.call("GET", "/v1/doctor", Value::Null).await;
    assert_eq!(status, 200);
    let checks = body["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["home", "vault", "store", "disk", "logs", "clock", "reachability", "peers", "memory"]);
    for check in checks {
        // Tests listen on this machine alone.
        let expected = check["name"] != "reachability";
        assert_eq!(check["ok"], json!(expected), "{check}");
        assert_eq!(check["try"].is_string(), !expected, "{check}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_answers_when_all_is_closed_and_leaves_no_socket() {
    let Running { home, script, daemon } = Running::new(None).await;
    let running = tokio::spawn(daemon.until(std::future::pending()));
    let mut watching = Caller::connect(&home.socket()).await.stream("/v1/watch", None).await;
    let (status, body) = timeout(PATIENCE, call(&home.socket(), "POST", "/v1/stop", Value::Null)).await.unwrap();
    assert_eq!((status, body), (200, json!({ "stopped": true })));
    assert!(timeout(PATIENCE, watching.frame()).await.unwrap().is_none(), "a watcher is not kept");
    assert_eq!(timeout(PATIENCE, running).await.unwrap().unwrap(), Ok(Farewell::Asked));
    assert!(!home.socket().exists());
    home.start(&script, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_served() {
    let node = Running::new(None).await;
    let (status, body) = node.call("GET", "/v1/openapi.json", Value::Null).await;
    assert_eq!((status, body["openapi"].as_str().map(|version| &version[..2])), (200, Some("3.")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_that_nobody_knows_is_refused_wherever_it_stands() {
    let node = Running::new(None).await;
    let (_, document) = node.call("GET", "/v1/openapi.json", Value::Null).await;
    let takes_some = |ways: &Value| {
        let parameters = ways["get"]["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["in"] == "query"))
    };
    let paths = document["paths"].as_object().unwrap().iter().filter(|(_, ways)| takes_some(ways));
    let mut refused = 0;
    for (path, _) in paths.filter(|(path, _)| !path.contains('{')) {
        let (status, body) = node.call("GET", &format!("{path}?nonsense=1"), Value::Null).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("usage")), "{path}: {body}");
        refused += 1;
    }
    assert!(refused >= 10, "{refused}");
}
