//! One node under measurement: the daemon's engine over the daemon's store, driven in the daemon's order.
//!
//! ```text
//! event -> engine.handle -> store.commit -> effects, in order -> engine.message_bytes
//! ```
//! What differs from the daemon is the network, which [`super::pair`] and [`super::wire`] stand in for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use allod_crypto::{Protection, Vault};
use allod_node::store::{self, EngineName, MemoryStore};
use allod_protocol::{
    command::{Answer, Command, NodeKind, Outcome, Ticket},
    effect::{Effect, Message},
    engine::{Engine, Settings},
    event::Event,
    store::{Batch, Overlay, Store, View},
    table::Table,
    time::{Now, Timestamp},
};
use getrandom::SysRng;
use rand_core::UnwrapErr;

/// Rows in one batch when a whole store is copied.
const COPY_ROWS: usize = 500;

/// Which store a node under measurement keeps its rows in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// On the disk, by one of the daemon's engines.
    OnDisk(EngineName),
    /// Nowhere: for what is prepared before anything is measured.
    InMemory,
}

/// The engine, its store, its clock and its dice.
pub struct Node {
    engine: Engine,
    store: Box<dyn Store>,
    dice: UnwrapErr<SysRng>,
    settings: Settings,
    started: Instant,
    /// How far both clocks are ahead, so that what is limited by time can be prepared without waiting.
    ahead: Duration,
    next_ticket: u64,
    /// What commands came to, since it was last asked.
    replies: Vec<(Ticket, Outcome)>,
    /// Keys and values of the last commit, in bytes.
    last_commit: Rows,
    commits: u64,
}

/// What one commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub count: usize,
    pub size_bytes: usize,
    /// How many of them are cells lent to us.
    pub cells: usize,
}

impl Node {
    /// A new node. A directory is where it keeps its rows, if it keeps them.
    pub fn create(name: &str, kind: NodeKind, kept: Kept, dir: &Path) -> Node {
        let mut dice = UnwrapErr(SysRng);
        let (vault, _) = Vault::create(Protection::None, &mut dice);
        let store: Box<dyn Store> = match kept {
            Kept::InMemory => Box::new(MemoryStore::new()),
            Kept::OnDisk(engine) => store::open(engine, dir, false).expect("an empty directory takes a new store"),
        };
        Node::start(vault, store, Settings { name: name.to_owned(), kind, carrier: false }, Duration::ZERO)
    }

    /// Opens the engine over a store, as the daemon does at its start.
    pub fn start(vault: Vault, store: Box<dyn Store>, settings: Settings, ahead: Duration) -> Node {
        let started = Instant::now();
        let mut dice = UnwrapErr(SysRng);
        let now = now(started, ahead);
        let (engine, first) = Engine::open(&*store, vault, settings.clone(), now, &mut dice).expect("it opens");
        let mut node = Node {
            engine,
            store,
            dice,
            settings,
            started,
            ahead,
            next_ticket: 0,
            replies: Vec::new(),
            last_commit: Rows::default(),
            commits: 0,
        };
        node.commit(&first.writes);
        node
    }

    /// The same node over a store on the disk: what was prepared in memory is copied.
    pub fn moved_to(&self, engine: EngineName, dir: &Path) -> Node {
        self.over(store::open(engine, dir, false).expect("an empty directory takes a new store"))
    }

    /// The same node once more, in memory.
    pub fn copied(&self) -> Node {
        self.over(Box::new(MemoryStore::new()))
    }

    fn over(&self, mut store: Box<dyn Store>) -> Node {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.store.scan(&[], after.as_deref(), COPY_ROWS).expect("memory can be read");
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            let mut batch = Batch::new();
            for (key, value) in rows {
                batch.put(key, value);
            }
            store.commit(&batch).expect("the disk takes it");
        }
        Node::start(self.vault(), store, self.settings.clone(), self.ahead)
    }

    /// A second handle on the same keys.
    pub fn vault(&self) -> Vault {
        let bytes = self.engine.vault_bytes(&mut UnwrapErr(SysRng));
        Vault::read(&bytes).expect("just written").unlock_open().expect("it has no passphrase")
    }

    /// Writes its keys to a file, for a process of their own.
    pub fn keep_vault(&self, file: &Path) {
        let bytes = self.engine.vault_bytes(&mut UnwrapErr(SysRng));
        std::fs::write(file, bytes.as_slice()).expect("there is room for a small file");
    }

    /// What it calls itself, and its kind.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// How far ahead its clocks are.
    pub fn ahead(&self) -> Duration {
        self.ahead
    }

    /// Both clocks go on at once.
    pub fn let_pass(&mut self, span: Duration) {
        self.ahead += span;
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        now(self.started, self.ahead)
    }

    /// One event: handled, committed. What it wants done is returned, and due now.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let now = self.now();
        let pending = Batch::new();
        let view = Overlay::new(&*self.store, &pending);
        let step = self.engine.handle(event, now, &mut self.dice, &view).expect("the store can be read");
        self.commit(&step.writes);
        step.effects
    }

    /// The first half of [`Node::step`]: what would be written, and what would follow. Nothing is kept.
    pub fn handle(&mut self, event: Event) -> (Batch, Vec<Effect>) {
        let now = self.now();
        let step = self.engine.handle(event, now, &mut self.dice, &*self.store).expect("the store can be read");
        (step.writes, step.effects)
    }

    /// The second half.
    pub fn commit(&mut self, writes: &Batch) {
        if !writes.is_empty() {
            self.store.commit(writes).expect("the disk takes it");
            self.commits += 1;
            let size_bytes = writes.writes().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum();
            let cells = writes.writes().filter(|(key, _)| key[0] == Table::Cells.byte()).count();
            self.last_commit = Rows { count: writes.len(), size_bytes, cells };
        }
    }

    /// A message as it leaves.
    pub fn bytes_of(&mut self, message: Message) -> Option<Vec<u8>> {
        let now = self.now();
        self.engine.message_bytes(message, now, &mut self.dice, &*self.store).expect("the store can be read")
    }

    /// A command, as an event.
    pub fn event_of(&mut self, command: Command) -> (Ticket, Event) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        (ticket, Event::Command { ticket, command })
    }

    /// Keeps what a command came to.
    pub fn keep_reply(&mut self, ticket: Ticket, outcome: Outcome) {
        self.replies.push((ticket, outcome));
    }

    /// What a command came to, once it is there.
    pub fn take_reply(&mut self, ticket: Ticket) -> Option<Outcome> {
        let place = self.replies.iter().position(|(of, _)| *of == ticket)?;
        Some(self.replies.swap_remove(place).1)
    }

    /// A command that needs nobody else, from the event to the answer.
    pub fn ask(&mut self, command: Command) -> Answer {
        let (ticket, event) = self.event_of(command);
        for effect in self.step(event) {
            if let Effect::Reply { ticket, outcome } = effect {
                self.keep_reply(ticket, outcome);
            }
        }
        self.take_reply(ticket).expect("it needs nobody else").expect("it is allowed")
    }

    /// Whether it has work of its own to do at once.
    pub fn is_restless(&self) -> bool {
        self.engine.wake_in(self.now()) == Some(Duration::ZERO)
    }

    /// The store, for floors.
    pub fn store(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// What is stored, for sizes.
    pub fn view(&self) -> &dyn View {
        &*self.store
    }

    /// How many keys it keeps ready for the next read.
    pub fn keys_at_hand(&self) -> usize {
        self.engine.keys_at_hand()
    }

    /// What the last commit wrote.
    pub fn last_commit(&self) -> Rows {
        self.last_commit
    }

    /// How many commits there were.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Ends as the daemon does: what is only in memory is written, and the store is closed.
    pub fn close(mut self) {
        self.step(Event::Closing);
    }
}

fn now(started: Instant, ahead: Duration) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970") + ahead;
    Now {
        wall: Timestamp::from_millis(
            u64::try_from(wall.as_millis()).expect("the clock is before the year 500 million"),
        ),
        running: started.elapsed() + ahead,
    }
}

/// A directory that goes with its owner, on the disk whose speed is measured.
pub struct Dir(tempfile::TempDir);

impl Dir {
    /// A new one, where the environment says that temporary files go.
    pub fn new() -> Dir {
        Dir(tempfile::Builder::new().prefix("allod-bench-").tempdir().expect("there is room for a directory"))
    }

    /// A directory in it that is not there yet.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Default for Dir {
    fn default() -> Self {
        Self::new()
    }
}
