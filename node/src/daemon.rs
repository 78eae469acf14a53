//! The daemon: one home, one engine, one network, one control socket.
//!
//! [`run`] goes through these steps, and each may refuse: harden the process, read the settings, take the home, open the vault, open the
//! store, start the network, start the engine's thread, bind the socket. Then the node is ready and says so, on stdout and to systemd.
//! It ends in the opposite order: the engine finishes what it has begun, the store is closed, the network says goodbye, callers get
//! their last answers, the socket goes, and with the process the lock.

pub mod background;
pub mod backup;
pub mod bridge;
pub mod clock;
pub mod doctor;
pub mod driver;
pub mod engine;
pub mod failure;
pub mod hygiene;
pub mod init;
pub mod limits;
pub mod logging;
mod node;
pub mod passphrase;
pub mod restore;
#[cfg(test)]
pub(crate) mod rig;
pub mod room;
pub mod signals;
#[cfg(test)]
mod tests;
pub mod vault_file;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use allod_crypto::Vault;
use allod_protocol::store::{Store, StoreFault};
use rand_core::{CryptoRng, UnwrapErr};
use serde_json::json;
use tokio::{
    runtime::Handle,
    sync::{Mutex, Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use self::{
    background::Background,
    bridge::{Bridge, Listening},
    clock::Clock,
    driver::{Driver, Ended},
    limits::{GOODBYE, HOME_LOOKED_AT, NETWORK_EVENTS_MAX, PREDECESSOR},
    node::{Stages, blocking, reached},
    passphrase::Ways,
    room::{Room, Space},
    signals::Signals,
    vault_file::{Key, VaultFile},
};
pub use self::{
    failure::{Failure, NodeRefusal},
    init::{InitOptions, Initialised, init},
    node::{MakeOpener, Node},
    passphrase::{Prompt, set_by_phrase},
    restore::{RestoreOptions, Restored, restore},
};
use crate::{
    api::{
        self,
        server::{Pace, Socket},
        watch::Ring,
    },
    config::{Ports, Settings},
    network::{self, NetworkCommand, NetworkConfig, StartError},
    store::{
        self,
        home::{Home, HomeError},
    },
};

/// The control socket's name in the home.
pub const SOCKET: &str = "control.sock";

/// How long a start waits for the network to say where it listens, before it is ready without that.
const LISTENING_WITHIN: Duration = Duration::from_secs(2);

/// How the daemon is started.
pub struct RunOptions {
    pub home: PathBuf,
    /// In place of the settings' own, if there are any.
    pub listen: Vec<String>,
    pub passphrase_file: Option<PathBuf>,
    /// Asks a person, where there is one.
    pub prompt: Option<Prompt>,
    pub json: bool,
}

/// What ended a node that ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// `stop`.
    Asked,
    /// The system.
    Terminated,
    /// Ctrl-C: the program exits with [`signals::INTERRUPTED`].
    Interrupted,
}

/// The machine's dice.
#[must_use]
pub fn dice() -> impl CryptoRng + Send {
    // A machine without randomness cannot keep a secret: it stops.
    UnwrapErr(getrandom::SysRng)
}

/// A node that runs.
pub struct Daemon {
    node: Arc<Node>,
    socket: PathBuf,
    end: oneshot::Receiver<Ended>,
    network: mpsc::Sender<NetworkCommand>,
    serving: JoinHandle<()>,
    socket_gone: Arc<Notify>,
    background: Background,
    /// Held to the end.
    home: Home,
}

/// What a daemon is made from.
pub struct Parts {
    pub home: PathBuf,
    /// In place of the settings' own, if there are any.
    pub listen: Vec<String>,
    pub passphrase: Ways,
    /// Resident memory over which the network makes and takes no connection.
    pub memory_max_bytes: usize,
    pub make_opener: Box<dyn FnOnce(&Settings) -> MakeOpener + Send>,
}

impl Daemon {
    /// Starts a node, and returns when callers can be answered.
    ///
    /// # Errors
    /// The failure to show; then nothing is left running.
    pub async fn start(parts: Parts) -> Result<Self, Failure> {
        let Parts { home: dir, listen, passphrase, memory_max_bytes, make_opener } = parts;
        if init::is_half_made(&dir) {
            return Err(NodeRefusal::HomeHalfMade { home: dir.display().to_string() }.into());
        }
        clock::confirm()?;
        let settings = Settings::load(&dir)?;
        let make_opener = make_opener(&settings);
        let home = take(&dir).await?;
        let vault_file = Arc::new(VaultFile::of(&dir));
        let key = passphrase.key(vault_file.read()?.protection())?;
        let (vault, store) = {
            let (file, settings, dir) = (Arc::clone(&vault_file), settings.clone(), dir.clone());
            blocking(move || open_store(&file, &key, &settings, &dir)).await?
        };

        let listen = if listen.is_empty() { settings.listen.clone() } else { listen };
        let (events_in, events) = mpsc::channel(NETWORK_EVENTS_MAX);
        let wanted = NetworkConfig {
            listen: listen.clone(),
            carry_for_others: settings.carries(),
            memory_max_bytes,
            ..NetworkConfig::default()
        };
        let background = Background::start()
            .map_err(|error| NodeRefusal::Internal { what: format!("no threads can be started: {error}") })?;
        let network = start_network(background.handle(), &dir, &wanted, &events_in)?;
        let clock = Clock::start();
        let listening = Listening::default();
        let ring = Arc::new(Ring::new(format!("{:x}", clock.now().wall.as_millis())));
        let under = dir.clone();
        let driver = Driver {
            store,
            bridge: Bridge::new(network.clone(), listening.clone()),
            network: events,
            ring: Arc::clone(&ring),
            clock,
            dice: Box::new(dice()),
            vault_file: Arc::clone(&vault_file),
            room: Room::new(move || Space::under(&under)),
        };
        let (door, mut end, _) = driver.start(Handle::current());
        let opened = door.unlock(make_opener(vault)).await;
        let socket_path = dir.join(SOCKET);
        let node = Arc::new(Node {
            home: dir,
            settings,
            clock,
            listening,
            door,
            ring,
            vault_file,
            make_opener,
            stages: Stages::new(),
            turn: Mutex::new(()),
        });
        let socket = match opened {
            Some(()) => Socket::bind(&socket_path),
            None => Err(end_failure((&mut end).await.unwrap_or(Ended::Engine("it did not start".to_owned())))),
        };
        let socket = match socket {
            Ok(socket) => socket,
            Err(failure) => {
                node.door.stop().await;
                shut_down(&network).await;
                return Err(failure);
            }
        };
        let router = api::router(Arc::clone(&node));
        let socket_gone = socket.gone();
        let behind = background.handle().clone();
        let serving = api::server::serve(socket, hygiene::own_user(), router, Pace::default(), behind, node.stopping());
        let serving = tokio::spawn(serving);
        node.listening.wait(listen.len(), LISTENING_WITHIN).await;
        Ok(Self { node, socket: socket_path, end, network, serving, socket_gone, background, home })
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs until it is asked to stop, by `stop` or by what is handed in, or until its store or engine fails; then ends in order.
    ///
    /// # Errors
    /// The failure to show, if it ended by itself.
    pub async fn until(mut self, told: impl Future<Output = Farewell>) -> Result<Farewell, Failure> {
        let ended = tokio::select! {
            farewell = told => Ok(farewell),
            () = reached(self.node.stages.asked.subscribe()) => Ok(Farewell::Asked),
            ended = &mut self.end => Err(end_failure(ended.unwrap_or(Ended::Engine("its thread is gone".to_owned())))),
            failure = lost(&self.home, &self.socket, &self.socket_gone) => Err(failure),
        };
        let ended = ended.inspect_err(|failure: &Failure| {
            // In the log too, in plain words and before anything else can go wrong.
            tracing::error!(id = failure.id, "the node cannot go on and stops");
        });
        notify(&[sd_notify::NotifyState::Stopping]);
        self.node.door.stop().await;
        shut_down(&self.network).await;
        self.node.stages.engine_stopped.send_replace(true);
        self.node.stages.closing.send_replace(true);
        let _ = self.serving.await;
        drop(self.background);
        ended
    }
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// The failure to show: why it did not start, or had to stop.
pub async fn run(options: RunOptions) -> Result<Farewell, Failure> {
    logging::start();
    hygiene::harden()?;
    let passphrase = Ways { file: options.passphrase_file, prompt: options.prompt };
    let make_opener = Box::new(engine::make_opener);
    let parts = Parts {
        home: options.home,
        listen: options.listen,
        passphrase,
        memory_max_bytes: network::limits::MEMORY_MAX_BYTES,
        make_opener,
    };
    // Until it is ready a signal ends it where it stands, like a loss of power: nobody was answered yet.
    let daemon = Daemon::start(parts).await?;
    let signals = Signals::listen()
        .map_err(|error| NodeRefusal::Internal { what: format!("no signals can be listened to: {error}") })?;
    // The store's files were read through, and a passphrase may have been checked.
    hygiene::give_back_memory();
    // Whoever reads it may be gone: no reason not to run.
    let _ = say_ready(&daemon, options.json, &mut io::stdout().lock());
    notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!("ready");
    daemon.until(signals.farewell()).await
}

fn say_ready(daemon: &Daemon, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let listen = daemon.node().listening();
    if json {
        let line = json!({ "ready": true, "listen": listen, "socket": daemon.socket().display().to_string() });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "ready")?;
        for address in listen {
            writeln!(out, "  {address}")?;
        }
    }
    out.flush()
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(states);
}

/// Returns once the home's path leads elsewhere: what a node acknowledges must be where its owner will look for it; or once there is no
/// time. Says meanwhile when the socket is gone from the home.
async fn lost(home: &Home, socket: &Path, socket_gone: &Notify) -> Failure {
    while home.is_in_place() {
        if let Err(failure) = clock::confirm() {
            return failure;
        }
        if !socket.exists() {
            socket_gone.notify_one();
        }
        sleep(HOME_LOOKED_AT).await;
    }
    NodeRefusal::HomeMoved { home: home.dir().display().to_string() }.into()
}

/// Takes the home for this process. One that is being given up by a node that stops is waited for.
async fn take(dir: &Path) -> Result<Home, Failure> {
    let began = Instant::now();
    loop {
        let error = match Home::open(dir) {
            Ok(home) => return Ok(home),
            Err(error) => error,
        };
        // A node that answers is no node that stops.
        let leaving = matches!(error, HomeError::InUse { .. })
            && std::os::unix::net::UnixStream::connect(dir.join(SOCKET)).is_err()
            && began.elapsed() < PREDECESSOR;
        if !leaving {
            return Err(home_failure(&error));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What a home's error says to a person.
fn home_failure(error: &HomeError) -> Failure {
    let shown = |path: &Path| path.display().to_string();
    match error {
        HomeError::Missing { dir } => NodeRefusal::NoHome { home: shown(dir) },
        HomeError::OpenToOthers { path, mode } => {
            NodeRefusal::HomeOpenToOthers { path: shown(path), mode: format!("{mode:o}") }
        }
        HomeError::InUse { process } => NodeRefusal::AlreadyRunning {
            process: process.map_or_else(|| "?".to_owned(), |process| process.to_string()),
        },
        HomeError::NotADirectory { dir } => {
            NodeRefusal::HomeIo { path: shown(dir), detail: "it is not a directory".to_owned() }
        }
        HomeError::Io { path, detail } => NodeRefusal::HomeIo { path: shown(path), detail: detail.clone() },
    }
    .into()
}

/// Opens vault and store. That a store exists is noted in the vault as soon as it does: one that is missing later is lost, not new.
fn open_store(
    file: &VaultFile,
    key: &Key,
    settings: &Settings,
    dir: &Path,
) -> Result<(Vault, Box<dyn Store>), Failure> {
    let mut vault = file.open(key)?;
    let store = store::open(settings.store.engine, &dir.join(init::STORE), vault.store_created())
        .map_err(|fault| store_failure(&fault))?;
    if !vault.store_created() {
        vault.set_store_created();
        file.replace(&vault, &mut dice())?;
    }
    Ok((vault, store))
}

fn store_failure(fault: &StoreFault) -> Failure {
    match fault {
        StoreFault::Damaged { detail } => NodeRefusal::StoreDamaged { detail: detail.clone() }.into(),
        StoreFault::Full => allod_protocol::refusal::Refusal::DiskFull {}.into(),
        StoreFault::Io { detail } => NodeRefusal::StoreIo { detail: detail.clone() }.into(),
    }
}

fn end_failure(ended: Ended) -> Failure {
    match ended {
        Ended::Stopped => NodeRefusal::Stopping {}.into(),
        Ended::Store(fault) => store_failure(&fault),
        Ended::Vault(failure) => failure,
        Ended::Engine(detail) => NodeRefusal::EngineFault { detail }.into(),
        Ended::Network => NodeRefusal::NetworkFailed { why: "it ended".to_owned() }.into(),
    }
}

/// Starts the network on the addresses, with ports that were remembered, and remembers those that were chosen.
fn start_network(
    background: &Handle,
    dir: &Path,
    wanted: &NetworkConfig,
    events: &mpsc::Sender<network::NetworkEvent>,
) -> Result<mpsc::Sender<NetworkCommand>, Failure> {
    const TRIES: u32 = 3;
    let _there = background.enter();
    let mut ports = Ports::load(dir);
    for left in (0..TRIES).rev() {
        let listen: Vec<_> = wanted.listen.iter().map(|address| ports.choose(address)).collect();
        let chose = listen != wanted.listen;
        let config = NetworkConfig { listen, ..wanted.clone() };
        match network::start(config, events.clone()) {
            Ok(network) => {
                ports.save(dir).map_err(|error| NodeRefusal::HomeIo {
                    path: dir.display().to_string(),
                    detail: error.to_string(),
                })?;
                return Ok(network);
            }
            // Between choosing a port and listening there somebody else took it.
            Err(StartError::Listen { .. }) if left > 0 && chose => {
                wanted.listen.iter().for_each(|address| ports.forget(address));
            }
            Err(StartError::SecretsWouldBeLogged) => return Err(NodeRefusal::SecretsWouldBeLogged {}.into()),
            Err(error) => return Err(NodeRefusal::NetworkFailed { why: error.to_string() }.into()),
        }
    }
    Err(NodeRefusal::NetworkFailed { why: "no port was free".to_owned() }.into())
}

async fn shut_down(network: &mpsc::Sender<NetworkCommand>) {
    let (done, closed) = oneshot::channel();
    let goodbye = async {
        if network.send(NetworkCommand::Shutdown { done }).await.is_ok() {
            let _ = closed.await;
        }
    };
    let _ = timeout(GOODBYE, goodbye).await;
}
