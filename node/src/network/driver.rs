//! The loop that owns the swarm.
//!
//! It waits for four things and for nothing else: the swarm, a command, a place for an event it kept, and the clock.
//! No branch awaits, so pings and keep-alives go on whatever the engine does.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{InboundRequestId, OutboundRequestId, ResponseChannel};
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, Swarm, TransportError};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use super::admission::Seats;
use super::behaviour::{self, Behaviour};
use super::bucket::Bucket;
use super::codec::{Frame, Room};
use super::dialling::Dialling;
use super::gossip::{self, EverSubscribed};
use super::links::Links;
use super::outbox::Outbox;
use super::{
    Channel, DialFailure, Errand, Exchange, Link, NetworkCommand, NetworkConfig, NetworkEvent, Pacing, RequestFailure,
    StartError, limits,
};

mod inbound;
mod observed;

use observed::Observed;

/// A request of a peer that the engine has not answered.
struct Open {
    link: Link,
    channel: Channel,
    request: InboundRequestId,
    reply: ResponseChannel<Frame>,
    /// Held until the answer: what the engine works on counts as memory in use.
    _room: Option<Room>,
}

/// The swarm and all that belongs to it.
pub(super) struct Driver {
    swarm: Swarm<Behaviour>,
    outbox: Outbox,
    links: Links,
    dialling: Dialling,
    pacing: Pacing,
    carries: bool,
    subscribed: EverSubscribed,
    /// Hints of all neighbours together.
    hints: Bucket,
    listening: Vec<(ListenerId, Multiaddr)>,
    observed: Observed,
    requests: HashMap<(Channel, OutboundRequestId), (Errand, Link)>,
    open: HashMap<Exchange, Open>,
    by_request: HashMap<(Channel, InboundRequestId), Exchange>,
    /// Answers handed to libp2p and not yet on the wire.
    flushing: HashSet<(Channel, InboundRequestId)>,
    last_answer: Option<Instant>,
    last_exchange: u64,
    sweep_at: Option<Instant>,
}

/// Binds, then runs on the current runtime.
pub(super) fn start(
    config: NetworkConfig,
    seats: Seats,
    events: mpsc::Sender<NetworkEvent>,
) -> Result<mpsc::Sender<NetworkCommand>, StartError> {
    if std::env::var_os("SSLKEYLOGFILE").is_some() {
        return Err(StartError::SecretsWouldBeLogged);
    }
    let subscribed = EverSubscribed::default();
    let hints = Bucket::full(seats.hints.burst, seats.hints.per_second, Instant::now());
    let mut swarm =
        behaviour::swarm(&config, seats, subscribed.clone()).map_err(|reason| StartError::Setup { reason })?;
    for address in &config.listen {
        let parsed: Multiaddr = address.parse().map_err(|_| StartError::BadAddress { address: address.clone() })?;
        swarm.listen_on(parsed).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(_) => StartError::BadAddress { address: address.clone() },
            TransportError::Other(error) => StartError::Listen { address: address.clone(), reason: error.to_string() },
        })?;
    }
    let mut driver = Driver {
        swarm,
        outbox: Outbox::new(events),
        links: Links::default(),
        dialling: Dialling::default(),
        pacing: config.pacing,
        carries: config.carry_for_others,
        subscribed,
        hints,
        listening: Vec::new(),
        observed: Observed::default(),
        requests: HashMap::new(),
        open: HashMap::new(),
        by_request: HashMap::new(),
        flushing: HashSet::new(),
        last_answer: None,
        last_exchange: 0,
        sweep_at: None,
    };
    driver.subscribe(&[]);
    let (sender, commands) = mpsc::channel(limits::COMMANDS_WAITING);
    tokio::spawn(driver.run(commands));
    Ok(sender)
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<NetworkCommand>) {
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                command = commands.recv(), if !self.outbox.is_overfull() => match command {
                    Some(NetworkCommand::Shutdown { done }) => return self.shut_down(Some(done)).await,
                    Some(command) => self.on_command(command),
                    None => return self.shut_down(None).await,
                },
                () = self.outbox.ready() => self.outbox.push(),
                () = sleep_until(wake_at) => self.on_clock(),
            }
        }
    }

    /// The moment at which time alone makes something to do.
    fn wake_at(&mut self) -> Option<Instant> {
        if self.sweep_at.is_none() && self.links.need_a_sweep() {
            self.sweep_at = Some(Instant::now() + (self.pacing.stranger_idle / 4).min(Duration::from_secs(5)));
        }
        self.sweep_at.into_iter().chain(self.dialling.next_at()).min()
    }

    fn on_clock(&mut self) {
        let now = Instant::now();
        self.dial_due(now);
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_at = None;
            let (strangers, heard) = self.links.sweep(now, self.pacing.stranger_idle);
            for peer in strangers {
                // Err: it is gone already.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            for peer in heard {
                self.swarm.behaviour_mut().gossip.set_application_score(&peer, 0.0);
            }
        }
    }

    fn on_command(&mut self, command: NetworkCommand) {
        match command {
            NetworkCommand::Dial { errand, addresses } => {
                let now = Instant::now();
                match self.dialling.begin(errand, &addresses, now) {
                    Ok(()) => self.dial_due(now),
                    Err(reason) => self.outbox.must(NetworkEvent::DialFailed { errand, reason }, None),
                }
            }
            NetworkCommand::Request { errand, link, channel, bytes } => {
                if let Err(reason) = self.request(errand, link, channel, bytes) {
                    self.outbox.must(NetworkEvent::Failed { errand, reason }, None);
                }
            }
            NetworkCommand::Answer { exchange, bytes } => self.answer(exchange, bytes),
            NetworkCommand::Refuse { exchange } => drop(self.close_exchange(exchange)),
            NetworkCommand::Close { link } => {
                if let Some((peer, _)) = self.links.of_link(link) {
                    let _ = self.swarm.disconnect_peer_id(peer);
                }
            }
            NetworkCommand::Publish { topic, bytes } => {
                if topic >= limits::MAIL_TOPICS || bytes.len() != limits::HINT_BYTES {
                    debug!(topic, bytes = bytes.len(), "not a hint, not published");
                    return;
                }
                // Nobody listening, full queues and a repeat are all the ordinary life of a hint.
                let _ = self.swarm.behaviour_mut().gossip.publish(gossip::topic(topic).hash(), bytes);
            }
            NetworkCommand::Subscribe { topics } => self.subscribe(&topics),
            NetworkCommand::Protect { link, protected } => {
                if let Some((peer, state)) = self.links.of_link(link) {
                    state.protected = protected;
                    state.used = Instant::now();
                    let behaviour = self.swarm.behaviour_mut();
                    behaviour.admission.protect(&peer, protected);
                    behaviour.session.set_proven(&peer, protected);
                }
            }
            NetworkCommand::Shutdown { .. } => unreachable!("the loop takes it first"),
        }
    }

    /// Hands every address that is due to libp2p.
    fn dial_due(&mut self, now: Instant) {
        while let Some((errand, address)) = self.dialling.due(now) {
            let options = DialOpts::unknown_peer_id().address(address).build();
            let connection = options.connection_id();
            self.dialling.started(errand, connection);
            // An error here raises no event.
            if let Err(error) = self.swarm.dial(options)
                && let Some(reason) = self.dialling.failed(errand, connection, dial_failure(&error), now)
            {
                self.outbox.must(NetworkEvent::DialFailed { errand, reason }, None);
            }
        }
    }

    fn exchanges(&mut self, channel: Channel) -> &mut super::exchanges::Exchanges {
        let behaviour = self.swarm.behaviour_mut();
        match channel {
            Channel::Pair => &mut behaviour.pair,
            Channel::Session => &mut behaviour.session,
        }
    }

    fn request(&mut self, errand: Errand, link: Link, channel: Channel, bytes: Vec<u8>) -> Result<(), RequestFailure> {
        let (peer, state) = self.links.of_link(link).ok_or(RequestFailure::Gone)?;
        if bytes.len() > channel.frame_max_bytes() {
            return Err(RequestFailure::TooLarge);
        }
        if state.requests >= limits::WINDOW_REQUESTS {
            return Err(RequestFailure::Busy);
        }
        state.requests += 1;
        state.used = Instant::now();
        let request = self.exchanges(channel).request(&peer, bytes);
        self.requests.insert((channel, request), (errand, link));
        Ok(())
    }

    fn answer(&mut self, exchange: Exchange, bytes: Vec<u8>) {
        let Some(open) = self.close_exchange(exchange) else { return };
        if bytes.len() > open.channel.frame_max_bytes() {
            debug!(bytes = bytes.len(), "an answer over the cap, not sent");
            return;
        }
        if self.exchanges(open.channel).answer(open.reply, bytes) {
            self.flushing.insert((open.channel, open.request));
            self.last_answer = Some(Instant::now());
        }
    }

    /// Takes an exchange off the books. Dropping what it returns refuses the peer.
    fn close_exchange(&mut self, exchange: Exchange) -> Option<Open> {
        let open = self.open.remove(&exchange)?;
        self.by_request.remove(&(open.channel, open.request));
        if let Some((_, state)) = self.links.of_link(open.link) {
            state.exchanges -= 1;
            state.used = Instant::now();
        }
        Some(open)
    }

    fn subscribe(&mut self, topics: &[u8]) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        for number in 0..limits::MAIL_TOPICS {
            let topic = gossip::topic(number);
            if self.carries || topics.contains(&number) {
                self.subscribed.add(number);
                if gossip.subscribe(&topic).is_err() {
                    debug!(number, "could not subscribe");
                }
            } else {
                gossip.unsubscribe(&topic);
            }
        }
    }

    /// Refuses what is unanswered, flushes answers, closes connections and sockets.
    async fn shut_down(mut self, done: Option<oneshot::Sender<()>>) {
        self.open.clear();
        self.by_request.clear();
        let lingers_until = self.last_answer.map(|at| at + limits::SHUTDOWN_LINGER);
        let flushed = async {
            while !self.flushing.is_empty() {
                let event = self.swarm.select_next_some().await;
                self.note_flushed(&event);
            }
            // libp2p calls an answer sent when its own buffers have it, and closing a connection empties those.
            while lingers_until.is_some_and(|until| Instant::now() < until) {
                tokio::select! {
                    _ = self.swarm.select_next_some() => {}
                    () = sleep_until(lingers_until) => {}
                }
            }
            // Not before: QUIC's connections end with its listener.
            let listeners: HashSet<ListenerId> = self.listening.iter().map(|(listener, _)| *listener).collect();
            for listener in listeners {
                self.swarm.remove_listener(listener);
            }
            for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(limits::SHUTDOWN_GRACE, flushed).await.is_err() {
            info!("connections cut at shutdown: a peer did not take its answer in time");
        }
        drop(self);
        if let Some(done) = done {
            // Err: the engine did not wait.
            let _ = done.send(());
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn dial_failure(error: &DialError) -> DialFailure {
    match error {
        DialError::LocalPeerId { .. } | DialError::NoAddresses => DialFailure::Ourselves,
        DialError::Denied { .. } => DialFailure::Busy,
        _ => DialFailure::Unreachable,
    }
}

/// An address as others may dial it: without a key.
fn without_key(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}
