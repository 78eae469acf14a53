//! Homes and processes: what a start may find, and what it does about it.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use allod_protocol::refusal::{Code, Fact};
use tokio::time::timeout;

use super::{
    rig::{Script, TestHome, call},
    *,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn script() -> Arc<Script> {
    Arc::default()
}

async fn refused(parts: Parts) -> Failure {
    timeout(PATIENCE, Daemon::start(parts)).await.unwrap().err().expect("it does not start")
}

async fn stopped(daemon: Daemon) {
    let told = daemon.until(async { Farewell::Terminated });
    assert_eq!(timeout(PATIENCE, told).await.unwrap(), Ok(Farewell::Terminated));
}

/// Every file of a directory, with its bytes and when it was changed.
fn files(dir: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let changed = entry.metadata().unwrap().modified().unwrap();
            (entry.file_name().into_string().unwrap(), (fs::read(entry.path()).unwrap(), changed))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_is_refused_with_the_process_of_the_first() {
    let home = TestHome::new(None);
    let first = home.start(&script(), None).await;
    let failure = refused(home.parts(&script(), None)).await;
    assert_eq!((failure.id, failure.code), ("node-already-running", Code::Conflict));
    assert_eq!(failure.facts, [("process", Fact::Text(std::process::id().to_string()))]);
    let (status, _) = call(&home.socket(), "GET", "/v1/status", serde_json::Value::Null).await;
    assert_eq!(status, 200, "the first is not disturbed");
    stopped(first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_of_a_newer_program_is_refused_untouched() {
    let home = TestHome::new(None);
    let settings = home.dir().join(crate::config::FILE);
    let text = fs::read_to_string(&settings).unwrap().replace("format = 1", "format = 2\nfleet = true");
    fs::write(&settings, text).unwrap();
    let before = files(&home.dir());
    let failure = refused(home.parts(&script(), None)).await;
    assert_eq!(failure, NodeRefusal::HomeNewer { version: 2 }.into());
    assert_eq!(files(&home.dir()), before);
    assert_eq!(fs::read_dir(home.dir().join(init::STORE)).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_home_and_half_a_home_are_told_apart() {
    let home = TestHome::new(None);
    let mut parts = home.parts(&script(), None);
    parts.home = home.dir().join("elsewhere");
    let failure = refused(parts).await;
    assert_eq!((failure.id, failure.code.exit()), ("node-no-home", 4));
    fs::write(home.dir().join("unfinished"), "").unwrap();
    assert_eq!(refused(home.parts(&script(), None)).await.id, "node-home-half-made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_others_may_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = TestHome::new(None);
    fs::set_permissions(home.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(refused(home.parts(&script(), None)).await.id, "node-home-open-to-others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_is_needed_and_must_be_right() {
    let home = TestHome::new(Some("open sesame"));
    let failure = refused(home.parts(&script(), None)).await;
    assert_eq!((failure.id, failure.code.exit()), ("node-no-passphrase", 6));
    let failure = refused(home.parts(&script(), Some("open barley"))).await;
    assert_eq!((failure.id, failure.code.exit()), ("node-wrong-passphrase", 6));
    stopped(home.start(&script(), Some("open sesame\n")).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_daemon_left_behind_is_no_hindrance() {
    let home = TestHome::new(None);
    stopped(home.start(&script(), None).await).await;
    // A killed process leaves its socket and its lock file, and nobody who holds them.
    drop(std::os::unix::net::UnixListener::bind(home.socket()).unwrap());
    fs::write(home.dir().join("lock"), "1\n").unwrap();
    fs::write(home.dir().join("vault.new"), "half a vault").unwrap();
    assert!(home.socket().exists());
    let daemon = home.start(&script(), None).await;
    assert_eq!(call(&home.socket(), "GET", "/v1/status", serde_json::Value::Null).await.0, 200);
    stopped(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_listens_where_it_did() {
    let home = TestHome::new(None);
    let first = home.start(&script(), None).await;
    let addresses = first.node().listening();
    assert_eq!(addresses.len(), 1);
    stopped(first).await;
    let second = home.start(&script(), None).await;
    assert_eq!(second.node().listening(), addresses);
    stopped(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_damage_and_not_a_new_store() {
    let home = TestHome::new(None);
    stopped(home.start(&script(), None).await).await;
    fs::remove_dir_all(home.dir().join(init::STORE)).unwrap();
    let failure = refused(home.parts(&script(), None)).await;
    assert_eq!((failure.id, failure.code.exit()), ("node-store-damaged", 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_is_gone_or_damaged_is_said_to_be() {
    let home = TestHome::new(None);
    let vault = home.dir().join(vault_file::FILE);
    let mut bytes = fs::read(&vault).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&vault, bytes).unwrap();
    assert_eq!(refused(home.parts(&script(), None)).await.id, "node-vault-damaged");
    fs::write(&vault, vec![0; usize::try_from(limits::VAULT_MAX_BYTES).unwrap() + 1]).unwrap();
    assert_eq!(refused(home.parts(&script(), None)).await.id, "node-vault-damaged");
    fs::remove_file(&vault).unwrap();
    let failure = refused(home.parts(&script(), None)).await;
    assert_eq!((failure.id, failure.code.exit()), ("node-no-vault", 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_none_is_refused() {
    let home = TestHome::new(None);
    let mut parts = home.parts(&script(), None);
    parts.listen = vec!["127.0.0.1:80".to_owned()];
    assert_eq!(refused(parts).await.id, "node-network-failed");
    stopped(home.start(&script(), None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_line_says_where_the_node_is() {
    let home = TestHome::new(None);
    let daemon = home.start(&script(), None).await;
    let mut out = Vec::new();
    say_ready(&daemon, true, &mut out).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(line["ready"], true);
    assert_eq!(line["socket"], home.socket().display().to_string());
    assert_eq!(line["listen"].as_array().unwrap().len(), 1);
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    stopped(daemon).await;
}

#[test]
fn the_catalogues_cover_what_the_node_and_its_doctor_say() {
    use crate::messages::{Lang, Messages};
    for lang in Lang::ALL {
        let messages = Messages::of(lang);
        let ids = NodeRefusal::CASES.iter().map(|case| case.0).chain(doctor::DETAILS.iter().map(|detail| detail.0));
        let missing: Vec<_> = ids.filter(|id| !messages.has(id)).collect();
        assert!(missing.is_empty(), "{lang:?}: {missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_finds_no_room_is_refused_and_the_node_goes_on() {
    let home = TestHome::new(None);
    let daemon = home.start(&script(), None).await;
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let settings = daemon.node().settings().clone();
    let failure = daemon.node().door().backup(full, settings).await.unwrap().unwrap_err();
    assert_eq!((failure.id, failure.code), ("node-backup-no-room", Code::Failed));
    let made = daemon.node().backup().await.unwrap();
    assert_eq!(made.file.metadata().unwrap().len(), made.size_bytes);
    let names = || fs::read_dir(home.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let with_it_open = names();
    drop(made);
    assert_eq!(names(), with_it_open, "it has no name");
    daemon.node().lock().await.unwrap();
    assert_eq!(daemon.node().backup().await.unwrap_err().code, Code::Locked);
    stopped(daemon).await;
}
