//! What every engine owes, and what each owes beyond that.

mod conformance;
mod damage;
mod durability;
mod unclean;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use allod_protocol::store::{Batch, Store, StoreFault};
use tempfile::TempDir;

use super::{EngineName, MemoryStore, ended_cleanly, open};

const ON_DISK: [EngineName; 2] = [EngineName::Sled, EngineName::Redb];
/// Tells a test that it is the child of itself, and where its files are.
const CHILD_DIR: &str = "ALLOD_STORE_TEST_CHILD_DIR";
/// Tells such a child which engine it tests.
const CHILD_ENGINE: &str = "ALLOD_STORE_TEST_CHILD_ENGINE";
/// Far beyond what a child takes: longer means that it hangs.
const CHILD_TIME: Duration = Duration::from_secs(300);

/// A store under test, in a directory of its own.
struct Subject {
    engine: Option<EngineName>,
    dir: TempDir,
    store: Option<Box<dyn Store>>,
}

impl Subject {
    fn new(engine: Option<EngineName>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Box<dyn Store> = match engine {
            Some(engine) => open(engine, dir.path(), false).unwrap(),
            None => Box::new(MemoryStore::new()),
        };
        Self { engine, dir, store: Some(store) }
    }

    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap().as_mut()
    }

    fn commit(&mut self, batch: &Batch) {
        self.store().commit(batch).unwrap();
    }

    /// As after a clean end and a new start; memory has neither.
    fn reopen(&mut self) {
        if let Some(engine) = self.engine {
            drop(self.store.take());
            self.store = Some(open(engine, self.dir.path(), true).unwrap());
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        drop(self.store.take());
        if self.engine == Some(EngineName::Sled) && !thread::panicking() {
            assert_no_blobs(self.dir.path());
        }
    }
}

/// Every engine, one after the other, memory last.
fn each_engine(test: impl Fn(&mut Subject)) {
    for engine in [Some(EngineName::Sled), Some(EngineName::Redb), None] {
        println!("{engine:?}");
        test(&mut Subject::new(engine));
    }
}

/// Files of sled's that no sync of ours covers.
fn assert_no_blobs(dir: &Path) {
    assert_eq!(fs::read_dir(dir.join("blobs")).unwrap().count(), 0, "sled made a file beside its log");
}

/// One put.
fn put(key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.to_vec(), value.to_vec());
    batch
}

/// Where this test is the child of itself: its directory and engine.
fn as_child() -> Option<(std::path::PathBuf, EngineName)> {
    let dir = std::env::var_os(CHILD_DIR)?;
    Some((dir.into(), std::env::var(CHILD_ENGINE).unwrap().parse().unwrap()))
}

/// The command that runs `test` of this module as a child, after `before` (a tracer and its arguments).
fn child(before: &[&str], test: &str, engine: EngineName, dir: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut words = before.iter().map(|word| word.into()).chain([program.into_os_string()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", "--nocapture", &format!("store::tests::{test}")]);
    command.env(CHILD_DIR, dir).env(CHILD_ENGINE, engine.as_str());
    command
}

/// Runs `command` to its end; one that hangs fails the test.
fn finish(command: &mut Command) -> Output {
    let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = process.id();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(process.wait_with_output()));
    match receive.recv_timeout(CHILD_TIME) {
        Ok(output) => output.unwrap(),
        Err(_) => panic!("process {id} hangs"),
    }
}

/// Whether system calls can be traced here; if not, why.
fn tracing_is_possible() -> Result<(), String> {
    let output = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn an_engine_is_named_as_in_the_settings() {
    for engine in ON_DISK {
        assert_eq!(engine.to_string().parse(), Ok(engine));
        assert_eq!(serde_json::to_string(&engine).unwrap(), format!("\"{engine}\""));
    }
    assert_eq!(EngineName::default(), EngineName::Sled);
    assert!("rocks".parse::<EngineName>().is_err());
}

#[test]
fn where_a_store_must_be_none_is_made() {
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("store");
        let fault = open(engine, &gone, true).err();
        assert_eq!(fault, Some(StoreFault::Damaged { detail: format!("the {engine} store is gone") }));
        assert!(!gone.exists());
        drop(open(engine, &gone, false).unwrap());
        drop(open(engine, &gone, true).unwrap());
        let Some(StoreFault::Damaged { detail }) = open(engine.other(), &gone, true).err() else { panic!("{engine}") };
        assert!(detail.contains("look at store.engine"), "{detail}");
    }
}

#[test]
fn an_end_is_clean_when_the_store_was_closed() {
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        assert!(!ended_cleanly(dir.path()));
        let mut store = open(engine, dir.path(), false).unwrap();
        store.commit(&put(b"a", b"1")).unwrap();
        assert!(!ended_cleanly(dir.path()));
        drop(store);
        assert!(ended_cleanly(dir.path()));
        let store = open(engine, dir.path(), true).unwrap();
        assert!(!ended_cleanly(dir.path()));
        std::mem::forget(store);
    }
}

#[test]
#[should_panic(expected = "engines keep for themselves")]
fn a_key_of_the_engines_own_table_is_refused() {
    let _ = MemoryStore::new().commit(&put(&[super::RESERVED_TABLE, 1], b""));
}
