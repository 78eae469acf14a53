//! What tests of the daemon stand on: a machine in the engine's place that does as it is told, homes that go away, and a caller.

use std::{
    os::unix::net::UnixStream as Plain,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use allod_crypto::{Protection, Vault};
use allod_protocol::{
    command::{
        Answer, Command, Happening, ImportCounts, Listing, NodeKind, StatusView, Ticket, VerifiedView, WrittenView,
    },
    effect::{Effect, Message},
    engine::Step,
    event::Event,
    refusal::Refusal,
    store::{StoreFault, View},
    time::{Now, Timestamp},
};
use axum::body::Body;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rand_core::CryptoRng;
use serde_json::Value;
use tokio::net::UnixStream;

use super::{
    Daemon, Failure, InitOptions, MakeOpener, Parts, dice,
    driver::{Machine, Opener},
    init::init,
    passphrase::Ways,
};

/// What the machine in the engine's place saw, and what it is to do.
#[derive(Default)]
pub struct Script {
    pub events: Mutex<Vec<String>>,
    pub wake_at: Mutex<Option<Timestamp>>,
    /// Bytes that each `Set` writes.
    pub write_bytes: Mutex<usize>,
}

impl Script {
    /// What it saw since it was asked last.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

/// Plays the engine: `Set` writes a row a field and tells watchers, a few others answer, the rest is `Done`.
pub struct Puppet {
    script: Arc<Script>,
    vault: Vault,
    writes: u64,
    waiting: Vec<Ticket>,
}

/// The key under which the puppet's `number`th write stands.
pub fn row_key(number: u64) -> Vec<u8> {
    [b"w".as_slice(), &number.to_be_bytes()].concat()
}

impl Puppet {
    pub fn new(script: Arc<Script>, vault: Vault) -> Self {
        Self { script, vault, writes: 0, waiting: Vec::new() }
    }

    fn command(&mut self, ticket: Ticket, command: Command, now: Now, step: &mut Step) {
        let outcome = match command {
            Command::Set { items } => {
                let mut written = Vec::new();
                for item in items {
                    self.writes += 1;
                    let bytes = vec![7; *self.script.write_bytes.lock().unwrap()];
                    step.writes.put(row_key(self.writes), bytes);
                    step.effects.push(Effect::Happened(Happening {
                        at: now.wall,
                        event: "field_changed",
                        peer: None,
                        grant: None,
                        ask: None,
                        selectors: Vec::new(),
                        path: Some(item.path.to_string()),
                    }));
                    written.push(WrittenView { path: item.path, version: self.writes });
                }
                Ok(Answer::Written { written, told: Vec::new() })
            }
            Command::Status => Ok(Answer::Status(Box::new(StatusView {
                name: "alice".to_owned(),
                kind: NodeKind::Person,
                peers_paired: 0,
                peers_online: 0,
                records: self.writes,
                fields: self.writes,
                grants_given: 0,
                grants_held: 0,
                due: 0,
            }))),
            Command::Import { items, .. } => {
                let records = items.len() as u64;
                Ok(Answer::Imported(ImportCounts { records, new: records, ..ImportCounts::default() }))
            }
            Command::Verify { .. } => {
                Ok(Answer::Verified(VerifiedView { ok: true, entries: 0, gaps: Vec::new(), heads: Vec::new() }))
            }
            Command::Peers => Ok(Answer::Peers(Vec::new())),
            Command::List { .. } => Ok(Answer::Records(Listing { items: Vec::new(), next: None })),
            Command::Peer { name } => Err(Refusal::NoPeer { name }),
            Command::Sync { .. } => {
                step.effects.push(Effect::Dial { errand: 5, addresses: vec!["/ip4/192.0.2.1/tcp/1".to_owned()] });
                Ok(Answer::Done)
            }
            Command::Remove { .. } => {
                self.vault.begin_rotation(1, &mut dice()).expect("one rotation a test");
                step.effects.push(Effect::ReplaceVault);
                Ok(Answer::Removed { removed: 1, told: Vec::new() })
            }
            Command::AwaitPairing { .. } => {
                self.waiting.push(ticket);
                return;
            }
            Command::CancelInvitations => panic!("a step that fails"),
            _ => Ok(Answer::Done),
        };
        step.effects.push(Effect::Reply { ticket, outcome });
    }
}

impl Machine for Puppet {
    fn handle(
        &mut self,
        event: Event,
        now: Now,
        _dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Step, StoreFault> {
        let mut step = Step::default();
        // What was written before, in the same batch or not, must be seen.
        if self.writes > 0 {
            assert!(view.get(&row_key(self.writes))?.is_some(), "a write is not seen by the next step");
        }
        let seen = match &event {
            Event::Command { command, .. } => {
                let name = format!("{command:?}");
                name.split([' ', '{', '(']).next().unwrap().to_owned()
            }
            other => format!("{other:?}"),
        };
        self.script.events.lock().unwrap().push(seen);
        match event {
            Event::Command { ticket, command } => self.command(ticket, command, now, &mut step),
            Event::Tick => *self.script.wake_at.lock().unwrap() = None,
            Event::Request { exchange, bytes, .. } => {
                self.writes += 1;
                step.writes.put(row_key(self.writes), bytes);
                step.effects.push(Effect::Answer { exchange, message: Message::Bytes(row_key(self.writes)) });
            }
            _ => {}
        }
        Ok(step)
    }

    /// The row that the message names: it must be committed by the time that it is sent.
    fn message_bytes(
        &mut self,
        message: Message,
        _now: Now,
        _dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        match message {
            Message::Bytes(key) => Ok(view.get(&key)?),
            _ => Ok(None),
        }
    }

    fn wake_in(&self, now: Now) -> Option<Duration> {
        self.script.wake_at.lock().unwrap().map(|at| at.since(now.wall))
    }

    fn vault(&mut self) -> &mut Vault {
        &mut self.vault
    }
}

/// Opens a puppet.
pub fn opener(script: &Arc<Script>) -> Opener {
    make_opener(script)(Vault::create(Protection::None, &mut dice()).0)
}

/// Makes openers of puppets.
pub fn make_opener(script: &Arc<Script>) -> MakeOpener {
    let script = Arc::clone(script);
    Arc::new(move |vault| {
        let script = Arc::clone(&script);
        Box::new(move |_, _, _| {
            let machine: Box<dyn Machine> = Box::new(Puppet::new(script, vault));
            Ok((machine, Step::default()))
        })
    })
}

/// All tests of this crate share one process, which may be larger than a node that is about to take a connection.
pub const SHARED_MEMORY_MAX_BYTES: usize = 1 << 40;

/// A home in a directory that goes away.
pub struct TestHome {
    outside: tempfile::TempDir,
    pub phrase: String,
}

impl TestHome {
    /// A new home with this passphrase, or without any.
    pub fn new(passphrase: Option<&str>) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let options = InitOptions {
            home: outside.path().join("home"),
            name: Some("alice".to_owned()),
            kind: NodeKind::Person,
            passphrase: passphrase.map(|text| text.to_owned().into()),
        };
        let mut phrase = String::new();
        let shown = init(options, |made| {
            phrase = made.phrase.to_string();
            Ok::<(), Failure>(())
        });
        shown.unwrap();
        Self { phrase, outside }
    }

    pub fn dir(&self) -> PathBuf {
        self.outside.path().join("home")
    }

    /// What it takes to start a daemon there, on ports of this machine alone.
    pub fn parts(&self, script: &Arc<Script>, passphrase: Option<&str>) -> Parts {
        let file = passphrase.map(|text| {
            let path = self.outside.path().join("passphrase");
            std::fs::write(&path, text).unwrap();
            path
        });
        Parts {
            home: self.dir(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            passphrase: Ways { file, prompt: None },
            memory_max_bytes: SHARED_MEMORY_MAX_BYTES,
            make_opener: {
                let script = Arc::clone(script);
                Box::new(move |_| make_opener(&script))
            },
        }
    }

    pub async fn start(&self, script: &Arc<Script>, passphrase: Option<&str>) -> Daemon {
        Daemon::start(self.parts(script, passphrase)).await.unwrap()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join(super::SOCKET)
    }
}

/// A caller of the control API, with one connection.
pub struct Caller {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Caller {
    pub async fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// The status and the JSON of one call; `None` if the connection broke before there was an answer.
    pub async fn try_call(&mut self, method: &str, path: &str, body: impl Into<Bytes>) -> Option<(u16, Value)> {
        let request = Request::builder().method(method).uri(path).header("host", "allod");
        let response = self.sender.send_request(request.body(Full::new(body.into())).unwrap()).await.ok()?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    pub async fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.try_call(method, path, body).await.expect("an answer")
    }

    /// The body of an answer that does not end, as it comes.
    pub async fn stream(&mut self, path: &str, last_id: Option<&str>) -> Body {
        let mut request = Request::builder().uri(path).header("host", "allod");
        if let Some(last_id) = last_id {
            request = request.header("last-event-id", last_id);
        }
        let response = self.sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        Body::new(response.into_body())
    }
}

/// One call on a connection of its own.
pub async fn call(socket: &Path, method: &str, path: &str, body: Value) -> (u16, Value) {
    Caller::connect(socket).await.call(method, path, &body).await
}

/// A connection that says nothing by itself.
pub fn silent(socket: &Path) -> Plain {
    Plain::connect(socket).unwrap()
}
