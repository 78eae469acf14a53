use std::{
    collections::VecDeque,
    os::unix::fs::FileExt,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use allod_protocol::{
    command::{PairingStage, SetItem},
    effect::Channel,
    id::InvitationId,
    store::Row,
    value::Value,
};

use super::*;
use crate::{
    daemon::{
        bridge::Listening,
        dice,
        rig::{self, Script, opener, row_key},
        room::Space,
    },
    network::{self, Errand, Exchange, Link, NetworkCommand},
    store::MemoryStore,
};

/// Far beyond what anything here takes: longer means that it never comes.
const HUNG: Duration = Duration::from_secs(60);

/// A store that counts its commits, and fails when it is told to.
#[derive(Clone, Default)]
struct Watched {
    inner: Arc<Mutex<MemoryStore>>,
    commits: Arc<AtomicUsize>,
    sizes: Arc<Mutex<Vec<usize>>>,
    fault: Arc<Mutex<Option<StoreFault>>>,
    /// What the pieces of its count find; all is counted after them.
    pieces: Arc<Mutex<VecDeque<Result<Counted, StoreFault>>>>,
    /// Where its last check left something on the stack of its thread.
    left_at: Arc<AtomicUsize>,
}

const LEFT: u8 = 0xa7;
const LEFT_BYTES: usize = 128 * 1024;

/// Leaves something on this thread's stack, deeper than what a driver does between two steps; returns where.
#[inline(never)]
fn leave_on_stack() -> usize {
    let mut deep = [LEFT; LEFT_BYTES];
    std::hint::black_box(&mut deep);
    deep.as_ptr().addr()
}

impl View for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        self.inner.lock().unwrap().get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        self.inner.lock().unwrap().scan(prefix, after, limit)
    }
}

impl Store for Watched {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Err(fault);
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.sizes.lock().unwrap().push(batch.size_bytes());
        self.inner.lock().unwrap().commit(batch)
    }

    fn check(&self) -> Result<(), StoreFault> {
        self.left_at.store(leave_on_stack(), Ordering::SeqCst);
        self.inner.lock().unwrap().check()
    }

    fn count_on(&mut self) -> Result<Counted, StoreFault> {
        self.pieces.lock().unwrap().pop_front().unwrap_or(Ok(Counted::All))
    }

    fn size_bytes(&self) -> u64 {
        self.inner.lock().unwrap().size_bytes()
    }

    fn engine(&self) -> &'static str {
        "memory"
    }
}

struct Rig {
    store: Watched,
    script: Arc<Script>,
    door: Door,
    end: oneshot::Receiver<Ended>,
    events: mpsc::Sender<NetworkEvent>,
    commands: mpsc::Receiver<NetworkCommand>,
    ring: Arc<Ring>,
    vault_file: Arc<VaultFile>,
    /// Free on a disk of a terabyte.
    free_bytes: Arc<AtomicU64>,
    _outside: tempfile::TempDir,
}

impl Rig {
    fn locked() -> Self {
        Self::counting([])
    }

    /// Locked, over a store that finds this when it counts.
    fn counting(pieces: impl IntoIterator<Item = Result<Counted, StoreFault>>) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let store = Watched { pieces: Arc::new(Mutex::new(pieces.into_iter().collect())), ..Watched::default() };
        let (events, network) = mpsc::channel(1_024);
        let (commands_in, commands) = mpsc::channel(1_024);
        let ring = Arc::new(Ring::new("run".to_owned()));
        let vault_file = Arc::new(VaultFile::of(outside.path()));
        let free_bytes = Arc::new(AtomicU64::new(1 << 39));
        let free = Arc::clone(&free_bytes);
        let look = move || Some(Space { free_bytes: free.load(Ordering::SeqCst), whole_bytes: 1 << 40 });
        let driver = Driver {
            store: Box::new(store.clone()),
            bridge: Bridge::new(commands_in, Listening::default()),
            network,
            ring: Arc::clone(&ring),
            clock: Clock::start(),
            dice: Box::new(dice()),
            vault_file: Arc::clone(&vault_file),
            room: Room::new(look),
        };
        let (door, end, _) = driver.start(Handle::current());
        Self {
            store,
            script: Arc::default(),
            door,
            end,
            events,
            commands,
            ring,
            vault_file,
            free_bytes,
            _outside: outside,
        }
    }

    async fn open() -> Self {
        let rig = Self::locked();
        rig.door.unlock(opener(&rig.script)).await.unwrap();
        assert_eq!(rig.script.seen(), ["Listening { addresses: [] }"]);
        rig
    }

    async fn command(&mut self) -> String {
        match self.commands.recv().await.unwrap() {
            NetworkCommand::Dial { errand, .. } => format!("dial {}", errand.0 & 0xffff),
            NetworkCommand::Answer { exchange, bytes } => format!("answer {} with {} bytes", exchange.0, bytes.len()),
            NetworkCommand::Refuse { exchange } => format!("refuse {}", exchange.0),
            NetworkCommand::Close { link } => format!("close {}", link.0),
            NetworkCommand::Subscribe { topics } => format!("subscribe {topics:?}"),
            _ => "another".to_owned(),
        }
    }
}

fn set() -> Command {
    let item = SetItem {
        path: "contact/me/city".parse().unwrap(),
        explicit: None,
        schema: None,
        input: allod_protocol::command::Input::Typed(Value::text("Lyon")),
    };
    Command::Set { items: vec![item] }
}

fn request(link: u64, exchange: u64, bytes: &[u8]) -> NetworkEvent {
    NetworkEvent::Request {
        link: Link(link),
        exchange: Exchange(exchange),
        channel: network::Channel::Session,
        bytes: bytes.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commands_that_wait_share_one_commit() {
    let rig = Rig::open().await;
    // The thread is held by a lock that the first command needs, so that the others gather behind it.
    let held = rig.script.write_bytes.lock().unwrap();
    let mut asked: VecDeque<_> = (0..100)
        .map(|_| {
            let (told, answer) = oneshot::channel();
            rig.door.0.try_send(Order::Command { command: set(), told }).unwrap();
            answer
        })
        .collect();
    drop(held);
    while let Some(answer) = asked.pop_front() {
        assert!(matches!(answer.await.unwrap(), Ok(Answer::Written { .. })));
    }
    // The first may have been taken alone, before the second was there.
    assert!(rig.store.commits.load(Ordering::SeqCst) <= 2);
    assert!(rig.store.get(&row_key(100)).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_and_peers_that_both_have_much_to_say_take_turns() {
    let rig = Rig::open().await;
    // The thread is held by a lock that the first step needs, so that both sides gather behind it.
    let held = rig.script.events.lock().unwrap();
    for link in 0..20 {
        let (told, _) = oneshot::channel();
        rig.door.0.try_send(Order::Command { command: Command::Status, told }).unwrap();
        rig.events.try_send(NetworkEvent::LinkDown { link: Link(link) }).unwrap();
    }
    drop(held);
    for _ in 0..2 {
        rig.door.ask(Command::Status).await.unwrap();
    }
    let seen = rig.script.seen();
    let of_callers = seen[..20].iter().filter(|seen| *seen == "Status").count();
    assert!((8..=12).contains(&of_callers), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_runs_is_not_replaced_by_another_unlocking() {
    let rig = Rig::open().await;
    rig.door.ask(set()).await.unwrap();
    rig.script.seen();
    rig.door.unlock(opener(&rig.script)).await.unwrap();
    // A second engine would have been told where the node listens, and would number its writes anew.
    assert!(rig.script.seen().is_empty());
    let Ok(Answer::Written { written, .. }) = rig.door.ask(set()).await else { panic!("it goes on") };
    assert_eq!(written[0].version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_never_larger_than_a_step_may_be() {
    let rig = Rig::open().await;
    *rig.script.write_bytes.lock().unwrap() = BATCH_MAX_BYTES / 3;
    let held = rig.script.events.lock().unwrap();
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let (told, answer) = oneshot::channel();
            rig.door.0.try_send(Order::Command { command: set(), told }).unwrap();
            answer
        })
        .collect();
    drop(held);
    for answer in asked {
        answer.await.unwrap().unwrap();
    }
    let sizes = rig.store.sizes.lock().unwrap().clone();
    assert!(sizes.iter().all(|size| *size <= BATCH_MAX_BYTES), "{sizes:?}");
    assert!(sizes.len() < 20, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_drops_its_effects_tells_all_who_wait_and_ends_the_thread() {
    let mut rig = Rig::open().await;
    let (told, waiting) = oneshot::channel();
    let long = Command::AwaitPairing { id: InvitationId::from_bytes([0; 16]), seen: PairingStage::Open };
    rig.door.0.try_send(Order::Command { command: long, told }).unwrap();
    *rig.store.fault.lock().unwrap() = Some(StoreFault::Full);
    rig.events.send(request(1, 9, b"ask")).await.unwrap();
    assert_eq!((&mut rig.end).await.unwrap(), Ended::Store(StoreFault::Full));
    assert_eq!(waiting.await.unwrap().unwrap_err().id, "disk-full");
    assert!(rig.commands.recv().await.is_none(), "an effect left without its commit");
    assert_eq!(rig.door.ask(Command::Status).await.unwrap_err().id, "node-stopping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_of_a_command_is_what_its_caller_is_told() {
    for (fault, id) in [
        (StoreFault::Full, "disk-full"),
        (StoreFault::Damaged { detail: String::new() }, "damaged"),
        (StoreFault::Io { detail: String::new() }, "store-failed"),
    ] {
        let rig = Rig::open().await;
        *rig.store.fault.lock().unwrap() = Some(fault);
        assert_eq!(rig.door.ask(set()).await.unwrap_err().id, id);
        assert_eq!(rig.ring.newest(), 0, "a watcher heard of what was not kept");
        assert!(rig.store.get(&row_key(1)).unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_put_together_from_what_is_committed() {
    let mut rig = Rig::open().await;
    rig.events.send(request(1, 4, b"hello")).await.unwrap();
    assert_eq!(rig.command().await, "answer 4 with 5 bytes");
    assert_eq!(rig.store.get(&row_key(1)).unwrap().unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_panics_ends_the_thread_and_nobody_waits_for_ever() {
    let rig = Rig::open().await;
    assert_eq!(rig.door.ask(Command::CancelInvitations).await.unwrap_err().id, "node-engine-fault");
    assert!(matches!(rig.end.await.unwrap(), Ended::Engine(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_counted_to_its_end_while_the_engine_works_and_while_nobody_asks() {
    let endless = 1_000_000;
    let rig = Rig::counting(std::iter::repeat_n(Ok(Counted::SoFar), endless));
    rig.door.unlock(opener(&rig.script)).await.unwrap();
    assert!(rig.door.ask(set()).await.is_ok());
    let left = || rig.store.pieces.lock().unwrap().len();
    assert!((1..endless).contains(&left()), "{} pieces are left when the first command is answered", left());
    rig.store.pieces.lock().unwrap().truncate(1_000);
    let counted = async {
        while left() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HUNG, counted).await.expect("the count goes on");
    assert!(rig.door.ask(set()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_finds_damage_ends_the_thread() {
    let fault = StoreFault::Damaged { detail: "rows are missing".to_owned() };
    let rig = Rig::counting([Ok(Counted::SoFar), Err(fault.clone())]);
    let ended = tokio::time::timeout(HUNG, rig.end).await.expect("the count goes on");
    assert_eq!(ended.unwrap(), Ended::Store(fault));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_locked_commands_and_requests_are_refused_and_links_are_closed() {
    let mut rig = Rig::open().await;
    rig.events.send(NetworkEvent::LinkUp { link: Link(3), dialled: None }).await.unwrap();
    rig.events.send(request(3, 1, b"x")).await.unwrap();
    assert_eq!(rig.command().await, "answer 1 with 1 bytes");

    rig.door.lock().await.unwrap();
    assert_eq!(rig.command().await, "close 3");
    assert_eq!(rig.command().await, "subscribe []");
    assert_eq!(rig.door.ask(Command::Status).await.unwrap_err().code.as_str(), "locked");
    rig.events.send(NetworkEvent::LinkUp { link: Link(4), dialled: None }).await.unwrap();
    rig.events.send(request(4, 2, b"x")).await.unwrap();
    assert_eq!(rig.command().await, "close 4");
    assert_eq!(rig.command().await, "refuse 2");
    assert!(rig.door.store().await.unwrap().locked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locking_overwrites_what_steps_left_on_the_stack() {
    let rig = Rig::open().await;
    rig.door.check_store().await.unwrap().unwrap();
    let left = || {
        let mut stack = vec![0; LEFT_BYTES];
        let at = rig.store.left_at.load(Ordering::SeqCst) as u64;
        std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut stack, at).unwrap();
        stack.chunks(16).filter(|piece| piece.iter().all(|byte| *byte == LEFT)).count()
    };
    assert!(left() > 1_000, "it is there as long as the node is open: else this shows nothing");
    rig.door.lock().await.unwrap();
    assert_eq!(left(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locking_tells_those_who_wait() {
    let rig = Rig::open().await;
    let (told, waiting) = oneshot::channel();
    let long = Command::AwaitPairing { id: InvitationId::from_bytes([0; 16]), seen: PairingStage::Open };
    rig.door.0.try_send(Order::Command { command: long, told }).unwrap();
    rig.door.lock().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err().id, "locked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_errand_of_a_former_engine_brings_is_dropped() {
    let mut rig = Rig::open().await;
    rig.door.ask(Command::Sync { peer: None }).await.unwrap();
    let NetworkCommand::Dial { errand: former, .. } = rig.commands.recv().await.unwrap() else { panic!("a dial") };
    rig.door.lock().await.unwrap();
    rig.door.unlock(opener(&rig.script)).await.unwrap();
    rig.door.ask(Command::Sync { peer: None }).await.unwrap();
    assert_eq!(rig.command().await, "subscribe []");
    let NetworkCommand::Dial { errand, .. } = rig.commands.recv().await.unwrap() else { panic!("a dial") };
    assert_ne!(errand, former);
    rig.script.seen();
    for errand in [former, errand, Errand(5)] {
        rig.events.send(NetworkEvent::Answered { errand, bytes: vec![0; 8] }).await.unwrap();
    }
    rig.door.ask(Command::Status).await.unwrap();
    rig.door.ask(Command::Status).await.unwrap();
    let answered: Vec<_> = rig.script.seen().into_iter().filter(|seen| seen.starts_with("Answered")).collect();
    assert_eq!(answered.len(), 1);
    assert!(answered[0].starts_with("Answered { errand: 5,"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_knows_before_anything_else_that_the_disk_is_nearly_full_and_when_it_is_not() {
    let rig = Rig::open().await;
    rig.free_bytes.store(1, Ordering::SeqCst);
    rig.events.send(request(1, 4, b"hello")).await.unwrap();
    rig.door.ask(Command::Status).await.unwrap();
    // The two come over channels of their own, in any order.
    assert_eq!(rig.script.seen()[0], "Room { is_short: true }");

    rig.door.lock().await.unwrap();
    rig.door.unlock(opener(&rig.script)).await.unwrap();
    rig.door.ask(Command::Status).await.unwrap();
    assert!(rig.script.seen().contains(&"Room { is_short: true }".to_owned()), "the next engine was not told");

    // Nothing comes in any more.
    rig.free_bytes.store(1 << 39, Ordering::SeqCst);
    let deadline = tokio::time::Instant::now() + HUNG;
    while rig.script.events.lock().unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the engine was not told that there is room");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rig.script.seen(), ["Room { is_short: false }"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_is_woken_when_it_wants_to_be() {
    let rig = Rig::open().await;
    let soon = Clock::start().now().wall.after(Duration::from_millis(30));
    *rig.script.wake_at.lock().unwrap() = Some(soon);
    // The thread looks at the time again when something happens.
    rig.door.ask(Command::Status).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !rig.script.events.lock().unwrap().iter().any(|seen| seen == "Tick") {
        assert!(tokio::time::Instant::now() < deadline, "it was not woken");
        tokio::task::yield_now().await;
    }
    assert!(Clock::start().now().wall >= soon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_reaches_the_vault_file_before_the_engine_is_told() {
    let rig = Rig::open().await;
    let path = "contact/me/city".parse().map(allod_protocol::path::Path::Field).unwrap();
    rig.door.ask(Command::Remove { path }).await.unwrap();
    // The reply goes out before the vault is replaced: the next answer comes after it.
    rig.door.ask(Command::Status).await.unwrap();
    assert!(rig.script.seen().contains(&"VaultReplaced".to_owned()));
    let vault = rig.vault_file.open(&crate::daemon::vault_file::Key::None).unwrap();
    assert!(vault.bucket(1).previous().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_hung_up_make_room_for_others() {
    let rig = Rig::open().await;
    let long = || Command::AwaitPairing { id: InvitationId::from_bytes([0; 16]), seen: PairingStage::Open };
    for _ in 0..TICKETS_MAX {
        let (told, _) = oneshot::channel();
        rig.door.0.send(Order::Command { command: long(), told }).await.unwrap();
    }
    // A word that waits for its turn, where a command would be refused while so much stands in front of it.
    rig.door.store().await.unwrap();
    rig.door.ask(Command::Status).await.unwrap();
    let mut kept = Vec::new();
    for _ in 0..TICKETS_MAX {
        let (told, answer) = oneshot::channel();
        rig.door.0.send(Order::Command { command: long(), told }).await.unwrap();
        kept.push(answer);
    }
    rig.door.store().await.unwrap();
    assert_eq!(rig.door.ask(Command::Status).await.unwrap_err().id, "busy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_is_far_behind_says_that_it_is_busy() {
    let rig = Rig::open().await;
    let held = rig.script.events.lock().unwrap();
    let mut refused = 0;
    let mut kept = Vec::new();
    for _ in 0..ORDERS_MAX + BATCH_EVENTS_MAX + 2 {
        let (told, answer) = oneshot::channel();
        refused += usize::from(rig.door.0.try_send(Order::Command { command: set(), told }).is_err());
        kept.push(answer);
    }
    drop(held);
    assert!(refused > 0);
    rig.door.stop().await;
    assert_eq!(rig.end.await.unwrap(), Ended::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_writes_what_it_holds_before_it_goes() {
    let rig = Rig::open().await;
    rig.door.ask(set()).await.unwrap();
    assert_eq!(rig.ring.newest(), 1);
    rig.script.seen();
    rig.door.lock().await.unwrap();
    assert_eq!(rig.script.seen(), ["Closing"]);
    rig.door.unlock(opener(&rig.script)).await.unwrap();
    rig.door.stop().await;
    assert_eq!(rig.script.seen().last().unwrap(), "Closing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_follows_one_that_replaces_the_vault_until_it_is_replaced() {
    let rig = Rig::open().await;
    rig.script.seen();
    let held = rig.script.events.lock().unwrap();
    let path = || "contact/me/city".parse().map(allod_protocol::path::Path::Field).unwrap();
    let asked: Vec<_> = [Command::Status, Command::Remove { path: path() }, set()]
        .into_iter()
        .map(|command| {
            let (told, answer) = oneshot::channel();
            rig.door.0.try_send(Order::Command { command, told }).unwrap();
            answer
        })
        .collect();
    drop(held);
    for answer in asked {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(rig.script.seen(), ["Status", "Remove", "VaultReplaced", "Set"]);
}

#[test]
fn both_channels_have_the_same_names_on_both_sides() {
    assert_eq!(format!("{:?}", Channel::Pair), format!("{:?}", network::Channel::Pair));
    assert_eq!(rig::row_key(1).len(), 9);
}
