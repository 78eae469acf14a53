//! Two nodes and the network between them, in one thread and without a wire: what is prepared before anything is measured.
//!
//! A person and a vendor pair as people do, through the same commands; the vendor listens, the person dials. [`Pair::settle`] carries
//! messages until nobody has anything to say.

use std::collections::VecDeque;
use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Input, Lending, Mode, NodeKind, Outcome, PairingStage, SetItem, WordsAre},
    effect::{Channel, Effect},
    event::Event,
    path::{FieldPath, Selector},
    purpose::Purpose,
    value::Value,
};

use super::node::{Kept, Node};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Person,
    Vendor,
}

impl Who {
    fn other(self) -> Who {
        match self {
            Who::Person => Who::Vendor,
            Who::Vendor => Who::Person,
        }
    }
}

/// Bytes that went over the wire, without what the transport adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    pub messages: usize,
    pub size_bytes: usize,
}

/// A person's node and a vendor's.
pub struct Pair {
    pub person: Node,
    pub vendor: Node,
    links: u64,
    /// The exchanges that wait for an answer: who asked, the errand, the link.
    exchanges: Vec<(u64, Who, u64)>,
    next_exchange: u64,
    inbox: VecDeque<(Who, Event)>,
    wire: Wire,
}

/// What a person calls the n-th vendor.
pub fn petname(n: usize) -> String {
    format!("shop{n}")
}

/// What a vendor calls the n-th person.
pub fn customer(n: usize) -> String {
    format!("alice-{n}")
}

/// A path that is known to be one.
pub fn path(text: &str) -> FieldPath {
    text.parse().expect("the benchmark writes paths that are ones")
}

/// A column's selector.
pub fn column(text: &str) -> Selector {
    text.parse().expect("the benchmark writes selectors that are ones")
}

/// A field that is set to a text.
pub fn item(path: FieldPath, text: &str) -> SetItem {
    SetItem { path, explicit: None, schema: None, input: Input::Typed(Value::text(text)) }
}

/// A purpose that anything may be lent for here.
pub fn purpose() -> Purpose {
    Purpose::parse("delivery").expect("one of the vocabulary")
}

/// `grant`, as a command.
pub fn grant(peer: &str, selectors: Vec<Selector>, mode: Mode) -> Command {
    let lending = Lending { peer: peer.to_owned(), selectors, purpose: purpose(), until: None, mode };
    Command::Grant { lending, lease: None }
}

impl Pair {
    /// Two new nodes in memory that have not met.
    pub fn in_memory() -> Pair {
        let nowhere = std::path::Path::new("");
        let person = Node::create("alice", NodeKind::Person, Kept::InMemory, nowhere);
        let vendor = Node::create("shop", NodeKind::Vendor, Kept::InMemory, nowhere);
        Pair::of(person, vendor)
    }

    /// Two nodes, whatever they know of each other. Nothing connects them yet.
    pub fn of(person: Node, vendor: Node) -> Pair {
        let mut pair = Pair {
            person,
            vendor,
            links: 0,
            exchanges: Vec::new(),
            next_exchange: 0,
            inbox: VecDeque::new(),
            wire: Wire::default(),
        };
        let addresses = vec!["/ip4/127.0.0.1/tcp/4100".to_owned()];
        pair.inbox.push_back((Who::Vendor, Event::Listening { addresses }));
        pair.inbox.push_back((Who::Person, Event::Listening { addresses: Vec::new() }));
        pair
    }

    /// The same two on disks, or wherever `moved` puts them.
    pub fn moved(&self, mut moved: impl FnMut(&Node, &str) -> Node) -> Pair {
        Pair::of(moved(&self.person, "person"), moved(&self.vendor, "vendor"))
    }

    /// Pairs them once more: each time is a relationship of its own. The names that each gives the other.
    pub fn meet(&mut self, n: usize) {
        // First messages are rationed by the second.
        self.let_pass(Duration::from_millis(20));
        let (ticket, event) = self.vendor.event_of(Command::Invite { lifetime: Duration::from_secs(60) });
        self.run(Who::Vendor, event);
        let Some(Ok(Answer::Invited { id: invited, text, .. })) = self.vendor.take_reply(ticket) else {
            panic!("an invitation is made")
        };
        let (ticket, event) = self.person.event_of(Command::Accept { text, petname: Some(petname(n)) });
        self.run(Who::Person, event);
        let Some(Ok(Answer::Pairing(accepted))) = self.person.take_reply(ticket) else {
            panic!("an invitation is accepted")
        };
        assert_eq!(accepted.stage, PairingStage::Comparing, "the words are there to compare");
        self.command(Who::Vendor, Command::Confirm { id: invited, words: WordsAre::TheSame }).expect("confirmed");
        self.command(Who::Person, Command::Confirm { id: accepted.id, words: WordsAre::TheSame }).expect("confirmed");
        let Answer::Peer(peer) = self.person.ask(Command::Peer { name: petname(n) }) else { panic!("a peer is shown") };
        assert_eq!(peer.state.as_str(), "paired");
        let known_as = self.newest_customer();
        if known_as != customer(n) {
            self.vendor.ask(Command::Rename { old: known_as, new: customer(n) });
        }
    }

    /// What the vendor calls whoever it met last: that peer has no name of our choosing yet.
    fn newest_customer(&mut self) -> String {
        let Ok(Answer::Peer(peer)) = self.try_ask_vendor(Command::Peer { name: "alice".to_owned() }) else {
            panic!("the vendor calls a new customer by the name that it gives itself")
        };
        peer.peer
    }

    fn try_ask_vendor(&mut self, command: Command) -> Outcome {
        self.command(Who::Vendor, command)
    }

    /// One of the two.
    pub fn node(&mut self, who: Who) -> &mut Node {
        match who {
            Who::Person => &mut self.person,
            Who::Vendor => &mut self.vendor,
        }
    }

    /// A command of one side, and all that follows from it on both.
    ///
    /// # Errors
    /// What it was refused for.
    pub fn command(&mut self, who: Who, command: Command) -> Outcome {
        let (ticket, event) = self.node(who).event_of(command);
        self.run(who, event);
        self.node(who).take_reply(ticket).expect("all that it can wait for has happened")
    }

    /// One event, and all that follows.
    pub fn run(&mut self, who: Who, event: Event) {
        self.inbox.push_back((who, event));
        self.settle();
    }

    /// Carries messages until there are none and nobody has work of its own.
    pub fn settle(&mut self) {
        loop {
            while let Some((who, event)) = self.inbox.pop_front() {
                let effects = self.node(who).step(event);
                for effect in effects {
                    self.perform(who, effect);
                }
            }
            for who in [Who::Person, Who::Vendor] {
                if self.node(who).is_restless() {
                    self.inbox.push_back((who, Event::Tick));
                }
            }
            if self.inbox.is_empty() {
                return;
            }
        }
    }

    /// Both clocks of both go on at once.
    pub fn let_pass(&mut self, span: Duration) {
        self.person.let_pass(span);
        self.vendor.let_pass(span);
    }

    /// What went over the wire since this was last asked.
    pub fn take_wire(&mut self) -> Wire {
        std::mem::take(&mut self.wire)
    }

    /// Cuts the link that is newest.
    pub fn cut(&mut self) {
        let link = self.links;
        for who in [Who::Person, Who::Vendor] {
            self.inbox.push_back((who, Event::LinkDown { link }));
        }
    }

    fn perform(&mut self, who: Who, effect: Effect) {
        match effect {
            Effect::Reply { ticket, outcome } => self.node(who).keep_reply(ticket, outcome),
            Effect::Dial { errand, .. } => {
                self.links += 1;
                let link = self.links;
                self.inbox.push_back((who.other(), Event::LinkUp { link, errand: None }));
                self.inbox.push_back((who, Event::LinkUp { link, errand: Some(errand) }));
            }
            Effect::Close { link } => {
                self.inbox.push_back((who.other(), Event::LinkDown { link }));
                self.inbox.push_back((who, Event::LinkDown { link }));
            }
            Effect::Send { errand, link, channel, message } => {
                if let Some(bytes) = self.node(who).bytes_of(message) {
                    self.count(channel, &bytes);
                    self.next_exchange += 1;
                    let exchange = self.next_exchange;
                    self.exchanges.push((exchange, who, errand));
                    self.inbox.push_back((who.other(), Event::Request { link, exchange, channel, bytes }));
                }
            }
            Effect::Answer { exchange, message } => match self.node(who).bytes_of(message) {
                Some(bytes) => {
                    self.count(Channel::Session, &bytes);
                    let (asker, errand) = self.take_exchange(exchange);
                    self.inbox.push_back((asker, Event::Answered { errand, bytes }));
                }
                None => self.refuse(exchange),
            },
            Effect::Refuse { exchange } => self.refuse(exchange),
            Effect::ReplaceVault => self.inbox.push_front((who, Event::VaultReplaced)),
            Effect::Happened(_) | Effect::Protect { .. } | Effect::Publish { .. } | Effect::Subscribe { .. } => {}
        }
    }

    fn count(&mut self, channel: Channel, bytes: &[u8]) {
        if channel == Channel::Session {
            self.wire.messages += 1;
            // Each message travels behind its length.
            self.wire.size_bytes += 4 + bytes.len();
        }
    }

    fn refuse(&mut self, exchange: u64) {
        let (asker, errand) = self.take_exchange(exchange);
        self.inbox.push_back((asker, Event::Failed { errand }));
    }

    fn take_exchange(&mut self, exchange: u64) -> (Who, u64) {
        let place = self.exchanges.iter().position(|(id, _, _)| *id == exchange).expect("each is answered once");
        let (_, asker, errand) = self.exchanges.swap_remove(place);
        (asker, errand)
    }
}
