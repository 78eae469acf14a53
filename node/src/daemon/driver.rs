//! The engine's thread: the one place where events become steps, steps become durable, and effects are performed.
//!
//! ```text
//! orders (API) ──┐
//!                ├─▶ handle, handle, … ─▶ one commit ─▶ effects in order ─▶ API, network, watchers
//! network ───────┘
//! ```
//!
//! Whatever waits is handled together, up to [`BATCH_EVENTS_MAX`] events, and shares one commit: many writers, one sync. No effect of
//! a batch is performed before its commit is durable, and a message is read from the log only then. If a commit fails, its effects are
//! dropped, every caller is told so, and the thread ends: the engine is ahead of the disk, and nothing that it says could be relied on.
//!
//! The engine can be gone while the thread goes on: `lock` drops it with all its keys, closes every link and refuses commands until
//! `unlock` hands in another one. Errands of an engine that is gone are told apart from those of the present one by its number.

mod snapshot;
mod trace;

use std::{
    collections::HashMap,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use allod_crypto::Vault;
use allod_protocol::{
    command::{Answer, Command, Ticket},
    effect::{Effect, Message},
    engine::Step,
    event::Event,
    refusal::Refusal,
    store::{Batch, Counted, Overlay, Store, StoreFault, View},
    time::Now,
};
use rand_core::CryptoRng;
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
};
use zeroize::Zeroizing;

use super::{
    backup::Made,
    bridge::Bridge,
    clock::Clock,
    failure::{Failure, NodeRefusal},
    hygiene,
    limits::{BATCH_EVENTS_MAX, BATCH_MAX_BYTES, ORDERS_MAX, ROOM_LOOKED_AT, TICKETS_MAX},
    room::Room,
    vault_file::{self, VaultFile},
};
use crate::{api::watch::Ring, config::Settings, network::NetworkEvent};

/// The longest sleep: a wall clock that was set, or a machine that slept, is noticed after this at the latest.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// After so long without an input the node is at rest, and what an import or a crowd took of the memory goes back; and once more when the
/// network has forgotten what it heard, which it does after a minute.
const RESTS_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(75)];

/// What the thread runs: the engine, or in tests something that plays its part.
pub trait Machine: Send {
    /// One event, and what follows from it.
    ///
    /// # Errors
    /// [`StoreFault`]: the process says so and stops.
    fn handle(&mut self, event: Event, now: Now, dice: &mut dyn CryptoRng, view: &dyn View)
    -> Result<Step, StoreFault>;

    /// The bytes of a message as they leave, after all that it depends on is durable; `None` if there is nothing left to say.
    ///
    /// # Errors
    /// [`StoreFault`]: the process says so and stops.
    fn message_bytes(
        &mut self,
        message: Message,
        now: Now,
        dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Option<Vec<u8>>, StoreFault>;

    /// How long it can sleep if nothing comes in.
    fn wake_in(&self, now: Now) -> Option<Duration>;

    /// Its keys, to be written to the vault's file and to change how that opens.
    fn vault(&mut self) -> &mut Vault;
}

/// Makes a machine over the store, with keys that it brings along.
pub type Opener =
    Box<dyn FnOnce(&dyn View, Now, &mut dyn CryptoRng) -> Result<(Box<dyn Machine>, Step), StoreFault> + Send>;

/// What a caller is told of its command.
pub type Told = Result<Answer, Failure>;

/// What the thread is asked to do.
pub enum Order {
    Command {
        command: Command,
        told: oneshot::Sender<Told>,
    },
    /// Drops the engine with its keys and closes all links.
    Lock {
        done: oneshot::Sender<()>,
    },
    /// Starts an engine, unless one runs.
    Unlock {
        open: Opener,
        done: oneshot::Sender<()>,
    },
    /// Changes the passphrase, durably.
    Protect {
        passphrase: Option<Zeroizing<String>>,
        done: oneshot::Sender<Result<(), Failure>>,
    },
    Store {
        told: oneshot::Sender<StoreState>,
    },
    CheckStore {
        told: oneshot::Sender<Result<(), StoreFault>>,
    },
    /// Writes a backup into this file, which is empty.
    Backup {
        file: File,
        settings: Settings,
        told: oneshot::Sender<Result<Made, Failure>>,
    },
    /// Finishes what it has begun and ends; `done` is told when the store is closed.
    Stop {
        done: oneshot::Sender<()>,
    },
}

/// The store as `status` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreState {
    pub engine: &'static str,
    pub size_bytes: u64,
    pub locked: bool,
}

/// Why the thread ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// A commit, or reading, failed.
    Store(StoreFault),
    /// The vault's file could not be replaced.
    Vault(Failure),
    /// A step panicked: the engine found what cannot be.
    Engine(String),
    /// The network is gone.
    Network,
}

impl Ended {
    /// What those who wait are told.
    fn last_word(&self) -> Failure {
        match self {
            Self::Store(StoreFault::Full) => Refusal::DiskFull {}.into(),
            Self::Store(StoreFault::Damaged { .. }) => Refusal::Damaged {}.into(),
            Self::Store(StoreFault::Io { .. }) => Refusal::StoreFailed {}.into(),
            Self::Vault(failure) => failure.clone(),
            Self::Engine(detail) => NodeRefusal::EngineFault { detail: detail.clone() }.into(),
            Self::Stopped | Self::Network => NodeRefusal::Stopping {}.into(),
        }
    }
}

impl From<StoreFault> for Ended {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

/// The way to the engine's thread. Never waits for room: a thread that is far behind is busy, and says so.
#[derive(Clone)]
pub struct Door(mpsc::Sender<Order>);

impl Door {
    /// What comes of a command.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn ask(&self, command: Command) -> Result<Answer, Failure> {
        let (told, answer) = oneshot::channel();
        self.0.try_send(Order::Command { command, told }).map_err(|error| match error {
            TrySendError::Full(_) => Failure::from(Refusal::Busy {}),
            TrySendError::Closed(_) => NodeRefusal::Stopping {}.into(),
        })?;
        answer.await.unwrap_or_else(|_| Err(NodeRefusal::Stopping {}.into()))
    }

    /// Locks; returns when the keys are gone. `None` if the thread is.
    pub async fn lock(&self) -> Option<()> {
        self.tell(|done| Order::Lock { done }).await
    }

    /// Unlocks; returns when the engine runs. `None` if the thread ended over it.
    pub async fn unlock(&self, open: Opener) -> Option<()> {
        self.tell(|done| Order::Unlock { open, done }).await
    }

    /// Changes the passphrase. `None` if the thread is gone.
    pub async fn protect(&self, passphrase: Option<Zeroizing<String>>) -> Option<Result<(), Failure>> {
        self.tell(|done| Order::Protect { passphrase, done }).await
    }

    /// The store's state. `None` if the thread is gone.
    pub async fn store(&self) -> Option<StoreState> {
        self.tell(|told| Order::Store { told }).await
    }

    /// Reads the whole store once. `None` if the thread is gone.
    pub async fn check_store(&self) -> Option<Result<(), StoreFault>> {
        self.tell(|told| Order::CheckStore { told }).await
    }

    /// Writes a backup into an empty file, between two steps. `None` if the thread is gone, or ended over it.
    pub async fn backup(&self, file: File, settings: Settings) -> Option<Result<Made, Failure>> {
        self.tell(|told| Order::Backup { file, settings, told }).await
    }

    /// Ends the thread; returns when its store is closed.
    pub async fn stop(&self) {
        let _ = self.tell(|done| Order::Stop { done }).await;
    }

    async fn tell<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (told, answer) = oneshot::channel();
        self.0.send(order(told)).await.ok()?;
        answer.await.ok()
    }
}

/// What the thread is given.
pub struct Driver {
    pub store: Box<dyn Store>,
    pub bridge: Bridge,
    pub network: mpsc::Receiver<NetworkEvent>,
    pub ring: Arc<Ring>,
    pub clock: Clock,
    pub dice: Box<dyn CryptoRng + Send>,
    pub vault_file: Arc<VaultFile>,
    pub room: Room,
}

impl Driver {
    /// Starts the thread, locked. Its end comes through the second channel, and the thread can be joined then.
    #[must_use]
    pub fn start(self, runtime: Handle) -> (Door, oneshot::Receiver<Ended>, JoinHandle<()>) {
        let (orders_in, orders) = mpsc::channel(ORDERS_MAX);
        let (end_told, end) = oneshot::channel();
        let work = move || {
            let mut running = Running {
                machine: None,
                driver: self,
                orders,
                runtime,
                tickets: HashMap::new(),
                next_ticket: 0,
                orders_first: true,
                counted: Counted::SoFar,
                stirred: Duration::ZERO,
                rests: 0,
            };
            // A panic has been reported by the hook, without what it says: here it only ends the process in order.
            let (ended, done) = catch_unwind(AssertUnwindSafe(|| running.run()))
                .unwrap_or_else(|_| (Ended::Engine("a step panicked".to_owned()), None));
            running.refuse_everyone(&ended);
            drop(running);
            let _ = end_told.send(ended);
            if let Some(done) = done {
                let _ = done.send(());
            }
        };
        let thread = thread::Builder::new().name("engine".to_owned()).spawn(work);
        (Door(orders_in), end, thread.expect("the system can start one more thread at start"))
    }
}

struct Running {
    machine: Option<Box<dyn Machine>>,
    driver: Driver,
    orders: mpsc::Receiver<Order>,
    runtime: Handle,
    tickets: HashMap<Ticket, oneshot::Sender<Told>>,
    next_ticket: u64,
    /// Whose turn it is when both have something: neither starves the other.
    orders_first: bool,
    /// Whether the store still looks itself through, after an unclean end.
    counted: Counted,
    /// When the last input came, on the monotonic clock.
    stirred: Duration,
    /// How often the memory that inputs took was given back since.
    rests: usize,
}

enum Input {
    Order(Order),
    Network(NetworkEvent),
    Tick,
    Idle,
    NobodyLeft,
    NetworkGone,
}

/// Steps that share a commit.
#[derive(Default)]
struct Together {
    writes: Batch,
    /// A step that found no room in `writes`: it gets a commit of its own, right after, and ends the batch.
    overflow: Option<Batch>,
    effects: Vec<Effect>,
    /// A step wants the vault's file replaced: no row may be sealed under a key that is not in it yet, hence the batch ends.
    replaces_vault: bool,
}

impl Together {
    fn add(&mut self, step: Step) {
        if self.writes.is_empty() || self.writes.size_bytes() + step.writes.size_bytes() <= BATCH_MAX_BYTES {
            self.writes.append(step.writes);
        } else {
            self.overflow = Some(step.writes);
        }
        self.replaces_vault |= step.effects.iter().any(|effect| matches!(effect, Effect::ReplaceVault));
        self.effects.extend(step.effects);
    }

    fn is_full(&self) -> bool {
        self.replaces_vault || self.overflow.is_some() || self.writes.size_bytes() >= BATCH_MAX_BYTES
    }
}

impl Running {
    fn run(&mut self) -> (Ended, Option<oneshot::Sender<()>>) {
        loop {
            match self.turn() {
                Ok(None) => {}
                Ok(Some(Order::Stop { done })) => match self.close() {
                    Ok(()) => return (Ended::Stopped, Some(done)),
                    Err(ended) => return (ended, None),
                },
                Ok(Some(order)) => {
                    if let Err(ended) = self.control(order) {
                        return (ended, None);
                    }
                }
                Err(ended) => return (ended, None),
            }
        }
    }

    /// One batch: waits for an input, takes what else is there, commits, performs. Returns an order that is not the engine's.
    fn turn(&mut self) -> Result<Option<Order>, Ended> {
        if self.counted == Counted::SoFar {
            self.counted = self.driver.store.count_on()?;
        }
        let mut together = Together::default();
        let mut next = Some(self.wait());
        self.look_at_room(&mut together)?;
        let mut count = 0;
        let mut control = None;
        while let Some(input) = next {
            let event = match input {
                Input::Order(Order::Command { command, told }) => self.ticketed(command, told),
                Input::Order(order) => {
                    control = Some(order);
                    None
                }
                Input::Network(event) => self.driver.bridge.event(event, self.machine.is_some()),
                Input::Tick => Some(Event::Tick),
                Input::Idle => None,
                Input::NobodyLeft => return Err(Ended::Stopped),
                Input::NetworkGone => return Err(Ended::Network),
            };
            if let Some(event) = event {
                self.step(event, &mut together)?;
            }
            count += 1;
            let more = count < BATCH_EVENTS_MAX && !together.is_full() && control.is_none();
            next = if more { self.waiting() } else { None };
        }
        self.finish(together)?;
        Ok(control)
    }

    /// The engine is told when the disk is nearly full, and when it is not any more.
    fn look_at_room(&mut self, together: &mut Together) -> Result<(), Ended> {
        if self.machine.is_some()
            && let Some(is_short) = self.driver.room.news()
        {
            self.step(Event::Room { is_short }, together)?;
        }
        Ok(())
    }

    fn ticketed(&mut self, command: Command, told: oneshot::Sender<Told>) -> Option<Event> {
        // Whoever hung up meanwhile (a long poll that ended) is forgotten before anybody is refused.
        if self.tickets.len() >= TICKETS_MAX {
            self.tickets.retain(|_, told| !told.is_closed());
        }
        let refusal = match &self.machine {
            None => Refusal::Locked {},
            Some(_) if self.tickets.len() >= TICKETS_MAX => Refusal::Busy {},
            Some(_) => {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.tickets.insert(ticket, told);
                return Some(Event::Command { ticket, command });
            }
        };
        let _ = told.send(Err(refusal.into()));
        None
    }

    fn step(&mut self, event: Event, together: &mut Together) -> Result<(), Ended> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let Driver { store, clock, dice, .. } = &mut self.driver;
        let store: &dyn View = &**store;
        tracing::trace!(event = %trace::Event(&event));
        let step = machine.handle(event, clock.now(), &mut **dice, &Overlay::new(store, &together.writes))?;
        together.add(step);
        Ok(())
    }

    fn finish(&mut self, together: Together) -> Result<(), Ended> {
        for writes in std::iter::once(together.writes).chain(together.overflow) {
            if !writes.is_empty() {
                self.driver.store.commit(&writes).map_err(Ended::Store)?;
            }
        }
        together.effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn perform(&mut self, effect: Effect) -> Result<(), Ended> {
        tracing::trace!(effect = %trace::Effect(&effect));
        match effect {
            Effect::Reply { ticket, outcome } => {
                // A caller that hung up loses its answer and nothing else.
                if let Some(told) = self.tickets.remove(&ticket) {
                    let _ = told.send(outcome.map_err(Failure::from));
                }
            }
            Effect::Happened(happening) => self.driver.ring.push(happening),
            Effect::Send { errand, link, channel, message } => {
                if let Some(bytes) = self.bytes_of(message)? {
                    self.driver.bridge.request(errand, link, channel, bytes);
                }
            }
            Effect::Answer { exchange, message } => match self.bytes_of(message)? {
                Some(bytes) => self.driver.bridge.answer(exchange, bytes),
                None => self.driver.bridge.refuse(exchange),
            },
            Effect::Refuse { exchange } => self.driver.bridge.refuse(exchange),
            Effect::Dial { errand, addresses } => self.driver.bridge.dial(errand, addresses),
            Effect::Close { link } => self.driver.bridge.close(link),
            Effect::Protect { link } => self.driver.bridge.protect(link),
            Effect::Publish { topic, bytes } => self.driver.bridge.publish(topic, bytes),
            Effect::Subscribe { topics } => self.driver.bridge.subscribe(topics),
            Effect::ReplaceVault => {
                self.replace_vault()?;
                let mut together = Together::default();
                self.step(Event::VaultReplaced, &mut together)?;
                self.finish(together)?;
            }
        }
        Ok(())
    }

    fn replace_vault(&mut self) -> Result<(), Ended> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        self.driver.vault_file.replace(machine.vault(), &mut *self.driver.dice).map_err(Ended::Vault)
    }

    fn bytes_of(&mut self, message: Message) -> Result<Option<Vec<u8>>, Ended> {
        let Some(machine) = &mut self.machine else { return Ok(None) };
        let Driver { store, clock, dice, .. } = &mut self.driver;
        let store: &dyn View = &**store;
        Ok(machine.message_bytes(message, clock.now(), &mut **dice, store)?)
    }

    fn control(&mut self, order: Order) -> Result<(), Ended> {
        match order {
            Order::Lock { done } => {
                self.close()?;
                for (_, told) in self.tickets.drain() {
                    let _ = told.send(Err(Refusal::Locked {}.into()));
                }
                self.driver.bridge.close_all();
                let _ = done.send(());
            }
            Order::Unlock { open, done } => {
                if self.machine.is_none() {
                    self.open(open)?;
                }
                let _ = done.send(());
            }
            Order::Protect { passphrase, done } => {
                if let Some(machine) = &mut self.machine {
                    vault_file::protect(machine.vault(), passphrase.as_ref(), &mut *self.driver.dice);
                    // The vault in memory is ahead of a file that could not be replaced, as an engine is of its store.
                    self.replace_vault()?;
                    let _ = done.send(Ok(()));
                } else {
                    let _ = done.send(Err(Refusal::Locked {}.into()));
                }
            }
            Order::Store { told } => {
                let (engine, size_bytes) = (self.driver.store.engine(), self.driver.store.size_bytes());
                let _ = told.send(StoreState { engine, size_bytes, locked: self.machine.is_none() });
            }
            Order::CheckStore { told } => {
                let _ = told.send(self.driver.store.check());
            }
            Order::Backup { file, settings, told } => {
                let made = self.backup(file, &settings);
                let (made, ended) = match made {
                    Ok(made) => (made, Ok(())),
                    Err(ended) => (Err(ended.last_word()), Err(ended)),
                };
                let _ = told.send(made);
                return ended;
            }
            Order::Command { .. } | Order::Stop { .. } => unreachable!("the turn and the loop take these"),
        }
        Ok(())
    }

    /// Drops the engine, and with it all keys, after it wrote what it holds in memory only.
    fn close(&mut self) -> Result<(), Ended> {
        let mut together = Together::default();
        self.step(Event::Closing, &mut together)?;
        self.finish(together)?;
        self.machine = None;
        hygiene::clear_stack();
        hygiene::give_back_memory();
        Ok(())
    }

    fn open(&mut self, open: Opener) -> Result<(), Ended> {
        let Driver { store, clock, dice, bridge, room, .. } = &mut self.driver;
        let store: &dyn View = &**store;
        let (machine, first) = open(store, clock.now(), &mut **dice)?;
        bridge.begin();
        room.begin();
        self.machine = Some(machine);
        let mut together = Together::default();
        together.add(first);
        self.finish(together)?;
        let mut together = Together::default();
        let addresses = self.driver.bridge.listening();
        self.step(Event::Listening { addresses }, &mut together)?;
        self.finish(together)
    }

    /// The next input that is there already.
    fn waiting(&mut self) -> Option<Input> {
        self.orders_first = !self.orders_first;
        let order = |running: &mut Self| running.orders.try_recv().ok().map(Input::Order);
        let event = |running: &mut Self| running.driver.network.try_recv().ok().map(Input::Network);
        if self.orders_first { order(self).or_else(|| event(self)) } else { event(self).or_else(|| order(self)) }
    }

    fn wait(&mut self) -> Input {
        loop {
            // First of all, so that work which is due goes on, a step a batch, however much comes in.
            let wake_in = self.machine.as_ref().and_then(|machine| machine.wake_in(self.driver.clock.now()));
            if wake_in == Some(Duration::ZERO) {
                return Input::Tick;
            }
            if let Some(input) = self.waiting() {
                self.stir();
                return input;
            }
            if self.counted == Counted::SoFar {
                return Input::Idle;
            }
            let look_in = if self.driver.room.is_short() { ROOM_LOOKED_AT } else { SLEEP_MAX };
            let sleep = wake_in.unwrap_or(SLEEP_MAX).min(self.rest_in()).min(look_in);
            let Self { orders, driver, runtime, .. } = self;
            let input = runtime.block_on(async {
                tokio::select! {
                    order = orders.recv() => Some(order.map_or(Input::NobodyLeft, Input::Order)),
                    event = driver.network.recv() => Some(event.map_or(Input::NetworkGone, Input::Network)),
                    () = tokio::time::sleep(sleep) => None,
                }
            });
            if let Some(input) = input {
                self.stir();
                return input;
            }
            if self.driver.room.is_short() {
                return Input::Idle;
            }
        }
    }

    fn stir(&mut self) {
        self.stirred = self.driver.clock.now().running;
        self.rests = 0;
    }

    /// How long until it is at rest; a node that is gives back what it does not need.
    fn rest_in(&mut self) -> Duration {
        let Some(after) = RESTS_AFTER.get(self.rests) else { return SLEEP_MAX };
        let quiet = self.driver.clock.now().running.saturating_sub(self.stirred);
        if quiet < *after {
            return *after - quiet;
        }
        hygiene::give_back_memory();
        self.rests += 1;
        self.rest_in()
    }

    /// The last words to all who wait.
    fn refuse_everyone(&mut self, ended: &Ended) {
        for (_, told) in self.tickets.drain() {
            let _ = told.send(Err(ended.last_word()));
        }
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            if let Order::Command { told, .. } = order {
                let _ = told.send(Err(ended.last_word()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
