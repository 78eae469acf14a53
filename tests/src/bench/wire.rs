//! Two nodes with a loopback TCP connection between them, each on a thread of its own.
//!
//! Frames stand in for libp2p: nothing is encrypted on this way but what the session seals, and a frame costs one write and one read.
//! The far thread reads, steps, commits, answers; after each commit it notes the moment, so that a change can be timed from one node's
//! command to the other node's disk.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use allod_protocol::{
    command::{Command, Outcome, Ticket},
    effect::{Channel, Effect},
    event::Event,
    store::Batch,
};

use super::node::{Node, Rows};

/// The one link that there is.
const LINK: u64 = 1;
/// The longest frame that either side sends. Bytes.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LinkUp,
    Request,
    Answer,
    Refusal,
    /// A row to be committed as it is: the floor.
    Row,
    /// The floor was committed.
    Kept,
    Stop,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::LinkUp, Kind::Request, Kind::Answer, Kind::Refusal, Kind::Row, Kind::Kept, Kind::Stop];

    fn byte(self) -> u8 {
        let place = Kind::ALL.iter().position(|kind| *kind == self).expect("all kinds are listed");
        u8::try_from(place).expect("there are few")
    }
}

struct Frame {
    kind: Kind,
    exchange: u64,
    bytes: Vec<u8>,
}

/// One node at its end of the connection.
pub struct End {
    pub node: Node,
    stream: TcpStream,
    /// Requests of ours without an answer yet: exchange and errand.
    waiting: Vec<(u64, u64)>,
    next_exchange: u64,
    dialled: bool,
    pub sent_bytes: usize,
}

/// A commit on the far side.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub at: Instant,
    pub wrote: Rows,
}

/// The node on the other thread.
pub struct Far {
    thread: JoinHandle<Node>,
    stamps: Receiver<Stamp>,
}

/// Connects two nodes that have met. The one that dials stays here.
pub fn connect(near: Node, far: Node) -> (End, Far) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let ours = TcpStream::connect(address).expect("it listens");
    let (theirs, _) = listener.accept().expect("it was dialled");
    for stream in [&ours, &theirs] {
        stream.set_nodelay(true).expect("TCP has this option");
    }
    let (note, stamps) = mpsc::channel();
    let mut far = End::new(far, theirs);
    let thread = thread::spawn(move || {
        far.begin(vec!["/ip4/127.0.0.1/tcp/4100".to_owned()]);
        far.serve(&note);
        far.node
    });
    let mut near = End::new(near, ours);
    near.begin(Vec::new());
    while near.node.is_restless() || !near.waiting.is_empty() {
        if near.node.is_restless() {
            near.step(Event::Tick);
        } else {
            near.pump();
        }
    }
    (near, Far { thread, stamps })
}

impl Far {
    /// Forgets the commits so far.
    pub fn forget(&self) {
        while self.stamps.try_recv().is_ok() {}
    }

    /// The next commit.
    pub fn stamp(&self) -> Stamp {
        self.stamps.recv().expect("the far thread runs until it is told to stop")
    }

    /// The next commit, if there was one already.
    pub fn try_stamp(&self) -> Option<Stamp> {
        self.stamps.try_recv().ok()
    }

    /// Ends the far thread and gives its node back.
    pub fn stop(self, near: &mut End) -> Node {
        near.send(Kind::Stop, 0, &[]);
        self.thread.join().expect("the far thread ended in order")
    }
}

impl End {
    fn new(node: Node, stream: TcpStream) -> End {
        End { node, stream, waiting: Vec::new(), next_exchange: 0, dialled: false, sent_bytes: 0 }
    }

    fn begin(&mut self, addresses: Vec<String>) {
        self.step(Event::Listening { addresses });
    }

    /// One event: handled, committed, its effects performed.
    fn step(&mut self, event: Event) {
        let effects = self.node.step(event);
        self.perform(effects);
    }

    /// A command, and all messages until its answer is there and nothing of ours waits for the other side.
    pub fn command(&mut self, command: Command) -> Outcome {
        let (ticket, event) = self.node.event_of(command);
        self.step(event);
        self.answer_to(ticket)
    }

    fn answer_to(&mut self, ticket: Ticket) -> Outcome {
        loop {
            if self.waiting.is_empty() {
                if self.node.is_restless() {
                    self.step(Event::Tick);
                    continue;
                }
                if let Some(outcome) = self.node.take_reply(ticket) {
                    return outcome;
                }
            }
            self.pump();
        }
    }

    /// The floor of a change: commit here, send, commit there, answer. Returns when the far side had it.
    pub fn commit_send_commit(&mut self, key: &[u8], value: &[u8], far: &Far) -> Instant {
        let mut batch = Batch::new();
        batch.put(key.to_vec(), value.to_vec());
        self.node.commit(&batch);
        self.send(Kind::Row, 0, value);
        let stamp = far.stamp();
        let frame = self.receive().expect("the far side answers");
        assert_eq!(frame.kind, Kind::Kept, "nothing else is under way");
        stamp.at
    }

    fn serve(&mut self, note: &Sender<Stamp>) {
        let mut rows = 0u64;
        loop {
            while self.node.is_restless() {
                let commits = self.node.commits();
                self.step(Event::Tick);
                self.note(note, commits);
            }
            let Ok(frame) = self.receive() else { return };
            let commits = self.node.commits();
            match frame.kind {
                Kind::Stop => return,
                Kind::Row => {
                    rows += 1;
                    let mut batch = Batch::new();
                    batch.put(super::floor_key(rows % 1_000), frame.bytes);
                    self.node.commit(&batch);
                    self.note(note, commits);
                    self.send(Kind::Kept, 0, &[]);
                }
                _ => {
                    let event = self.event_of(frame);
                    let effects = self.node.step(event);
                    self.note(note, commits);
                    self.perform(effects);
                }
            }
        }
    }

    fn note(&self, note: &Sender<Stamp>, commits_before: u64) {
        if self.node.commits() > commits_before {
            // The near side may have stopped listening.
            let _ = note.send(Stamp { at: Instant::now(), wrote: self.node.last_commit() });
        }
    }

    /// Takes in one message of the far side.
    pub fn pump(&mut self) {
        let frame = self.receive().expect("the far side is there");
        let event = self.event_of(frame);
        self.step(event);
    }

    fn event_of(&mut self, frame: Frame) -> Event {
        let Frame { kind, exchange, bytes } = frame;
        match kind {
            Kind::LinkUp => Event::LinkUp { link: LINK, errand: None },
            Kind::Request => Event::Request { link: LINK, exchange, channel: Channel::Session, bytes },
            Kind::Answer => Event::Answered { errand: self.take(exchange), bytes },
            Kind::Refusal => Event::Failed { errand: self.take(exchange) },
            Kind::Row | Kind::Kept | Kind::Stop => unreachable!("whoever measures takes these"),
        }
    }

    fn take(&mut self, exchange: u64) -> u64 {
        let place = self.waiting.iter().position(|(id, _)| *id == exchange).expect("each is answered once");
        self.waiting.swap_remove(place).1
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { ticket, outcome } => self.node.keep_reply(ticket, outcome),
                Effect::Dial { errand, .. } => {
                    assert!(!self.dialled, "one connection is all there is");
                    self.dialled = true;
                    self.send(Kind::LinkUp, 0, &[]);
                    self.step(Event::LinkUp { link: LINK, errand: Some(errand) });
                }
                Effect::Send { errand, message, .. } => {
                    if let Some(bytes) = self.node.bytes_of(message) {
                        self.next_exchange += 1;
                        self.waiting.push((self.next_exchange, errand));
                        self.send(Kind::Request, self.next_exchange, &bytes);
                    }
                }
                Effect::Answer { exchange, message } => match self.node.bytes_of(message) {
                    Some(bytes) => self.send(Kind::Answer, exchange, &bytes),
                    None => self.send(Kind::Refusal, exchange, &[]),
                },
                Effect::Refuse { exchange } => self.send(Kind::Refusal, exchange, &[]),
                Effect::ReplaceVault => self.step(Event::VaultReplaced),
                Effect::Close { .. } => panic!("nodes that trust each other keep the link"),
                Effect::Happened(_) | Effect::Protect { .. } | Effect::Publish { .. } | Effect::Subscribe { .. } => {}
            }
        }
    }

    fn send(&mut self, kind: Kind, exchange: u64, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("frames are capped far below 4 GiB");
        let frame = [&[kind.byte()], exchange.to_be_bytes().as_slice(), &length.to_be_bytes(), bytes].concat();
        self.sent_bytes += frame.len();
        self.stream.write_all(&frame).expect("the other side reads");
    }

    fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 13];
        self.stream.read_exact(&mut head)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let length = usize::try_from(number(&head[9..])).expect("four bytes fit");
        assert!(length <= FRAME_MAX_BYTES, "a frame of {length} bytes");
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(Frame { kind: Kind::ALL[usize::from(head[0])], exchange: number(&head[1..9]), bytes })
    }
}
