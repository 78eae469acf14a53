//! Two nodes with the protocol's own engine, driven through their control sockets alone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::daemon::{
    Daemon, Farewell, Parts, engine,
    passphrase::Ways,
    rig::{SHARED_MEMORY_MAX_BYTES, TestHome, call},
};

const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    home: TestHome,
    daemon: Daemon,
}

async fn started(home: &TestHome) -> Daemon {
    let parts = Parts {
        home: home.dir(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        passphrase: Ways { file: None, prompt: None },
        memory_max_bytes: SHARED_MEMORY_MAX_BYTES,
        make_opener: Box::new(engine::make_opener),
    };
    Daemon::start(parts).await.unwrap()
}

impl Running {
    async fn new() -> Self {
        let home = TestHome::new(None);
        let daemon = started(&home).await;
        Self { home, daemon }
    }

    /// The answer of a call that must succeed.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.tried(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    async fn tried(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        timeout(PATIENCE, call(&self.home.socket(), method, path, body)).await.expect("an answer in time")
    }

    async fn restarted(self) -> Self {
        let Self { home, daemon } = self;
        daemon.until(async { Farewell::Terminated }).await.unwrap();
        let daemon = started(&home).await;
        Self { home, daemon }
    }

    /// Waits until the answer of this route is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (_, answer) = self.tried("GET", path, Value::Null).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{path} stays {answer}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Pairs two nodes: the second is `name` to the first, and the other way round.
async fn pair(inviter: &Running, scanner: &Running, names: (&str, &str)) {
    let invited = inviter.done("POST", "/v1/invitations", json!({})).await;
    let accepted = json!({ "text": invited["invitation"], "name": names.0 });
    let scanned = scanner.done("POST", "/v1/accept", accepted).await;
    assert_eq!((&scanned["stage"], scanned["words"].as_array().unwrap().len()), (&json!("comparing"), 6));
    let id = invited["id"].as_str().unwrap();
    let shown = inviter.done("GET", &format!("/v1/pairings/{id}?seen=open"), Value::Null).await;
    assert_eq!((&shown["words"], &shown["emoji"]), (&scanned["words"], &scanned["emoji"]));
    let scanner_id = scanned["id"].as_str().unwrap();
    inviter.done("POST", &format!("/v1/pairings/{id}/confirm"), json!({ "same": true })).await;
    scanner.done("POST", &format!("/v1/pairings/{scanner_id}/confirm"), json!({ "same": true })).await;
    for (node, id) in [(inviter, id), (scanner, scanner_id)] {
        node.until(&format!("/v1/pairings/{id}?seen=waiting"), |view| view["stage"] == "paired").await;
    }
    let peers = inviter.done("GET", "/v1/peers", Value::Null).await;
    let present = peers["items"][0]["peer"].as_str().unwrap().to_owned();
    if present != names.1 {
        inviter.done("POST", &format!("/v1/peers/{present}/rename"), json!({ "to": names.1 })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lent_is_read_until_it_is_taken_back_and_all_of_it_survives_restarts() {
    let (alice, shop) = (Running::new().await, Running::new().await);
    pair(&alice, &shop, ("alice", "shop")).await;
    alice.done("POST", "/v1/set", json!({ "items": [{ "path": "contact/me/city", "text": "Paris" }] })).await;
    let grant = json!({ "peer": "shop", "selectors": ["contact/me/city"], "purpose": "delivery" });
    let granted = alice.done("POST", "/v1/grants", grant).await;
    assert_eq!(granted["selectors"], json!(["contact/me/city"]));
    let lent = "/v1/fields?path=contact/me/city&from=alice";
    let read = shop.until(lent, |answer| answer["items"][0]["value"] == "Paris").await;
    assert_eq!((&read["items"][0]["peer"], &read["items"][0]["type"]), (&json!("alice"), &json!("text")));

    let shop = shop.restarted().await;
    shop.until(lent, |answer| answer["items"][0]["value"] == "Paris").await;
    alice.done("POST", "/v1/set", json!({ "items": [{ "path": "contact/me/city", "text": "Lyon" }] })).await;
    alice.done("POST", "/v1/sync", json!({})).await;
    shop.until(lent, |answer| answer["items"][0]["value"] == "Lyon").await;

    let alice = alice.restarted().await;
    let revoked = alice.done("POST", "/v1/peers/shop/revoke", json!({})).await;
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 1, "{revoked}");
    let refused = shop.until(lent, |answer| answer["error"]["code"] == "revoked").await;
    assert_eq!(refused["error"]["id"], "taken-back");
    for node in [&alice, &shop] {
        let verified = node.done("GET", "/v1/verify", Value::Null).await;
        assert_eq!(verified["ok"], true, "{verified}");
        let log = node.done("GET", "/v1/log", Value::Null).await;
        assert!(log["items"].as_array().unwrap().iter().any(|entry| entry["kind"] == "Revoked"));
        let doctor = node.done("GET", "/v1/doctor", Value::Null).await;
        let wrong: Vec<_> = doctor["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
        assert_eq!(wrong.len(), 1, "only that tests listen on this machine alone: {wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_node_forgets_nothing_and_its_peer_finds_it_again() {
    let (alice, shop) = (Running::new().await, Running::new().await);
    pair(&alice, &shop, ("alice", "shop")).await;
    shop.until("/v1/peers/alice", |peer| peer["online"] == true).await;
    alice.done("POST", "/v1/lock", Value::Null).await;
    shop.until("/v1/peers/alice", |peer| peer["online"] == false).await;
    assert_eq!(alice.tried("GET", "/v1/peers", Value::Null).await.0, 423);
    alice.done("POST", "/v1/unlock", json!({})).await;
    shop.until("/v1/peers/alice", |peer| peer["online"] == true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_record_is_gone_from_the_node_and_the_vault_still_opens() {
    let alice = Running::new().await;
    let items: Vec<_> = (0..20).map(|n| json!({ "path": format!("note/{n}/text"), "text": "a secret" })).collect();
    alice.done("POST", "/v1/set", json!({ "items": items })).await;
    let removed = alice.done("POST", "/v1/remove", json!({ "path": "note/7" })).await;
    assert_eq!(removed["removed"], 1);
    let alice = alice.restarted().await;
    assert_eq!(alice.tried("GET", "/v1/fields?path=note/7/text", Value::Null).await.0, 404);
    assert_eq!(alice.done("GET", "/v1/fields?path=note/8/text", Value::Null).await["items"][0]["value"], "a secret");
    let listed = alice.done("GET", "/v1/records?prefix=note&limit=5", Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 5);
    assert!(listed["next"].is_string());
}
