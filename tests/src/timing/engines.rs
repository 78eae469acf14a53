//! What a node answers to strangers and to peers about things that are absent, gone or somebody else's.
//!
//! The engine is called as the driver calls it, and what a step writes is kept as the driver keeps it; only `Engine::handle` is timed.

use std::time::Duration;

use allod_protocol::{
    codec::Coded,
    command::{Direction, Mode},
    effect::{Channel, SessionId},
    event::Event,
    id::{GrantId, RouteId},
    wire::{
        body::{Body, Read},
        session::SessionRequest,
    },
};

use super::{Expected, Figure, Kind, compare, parts::timed};
use crate::{
    dice::Dice,
    evil::Evil,
    network::NodeId,
    story::Terms,
    world::{Frame, World},
};

pub(super) fn run(samples: usize, say: &mut impl FnMut(Figure)) {
    let mut hellos = Hellos::new();
    say(hellos.compare(
        "hello to a route that nobody has: near to one of ours / far",
        Expected::Known,
        samples / 4,
        [Hellos::near, Hellos::far],
    ));
    say(hellos.compare(
        "hello: to a route that nobody has / to ours, with wrong keys",
        Expected::Known,
        samples / 20,
        [Hellos::far, Hellos::ours],
    ));
    say(reads(samples / 20));
}

/// One event for a node; the time that its engine takes for it.
fn handled(world: &mut World, id: NodeId, event: Event) -> Duration {
    let now_us = world.now_us;
    let node = &mut world.nodes[id.0];
    let now = node.now(now_us);
    let engine = node.engine.as_mut().expect("it runs");
    let mut step = None;
    let took = timed(|| step = engine.handle(event, now, &mut node.dice, &node.disk).ok());
    let step = step.expect("its disk is honest");
    node.disk.commit(&step.writes).expect("its disk is honest");
    took
}

/// A node, a stranger's link to it, and a real hello of its peer.
struct Hellos {
    world: World,
    node: NodeId,
    link: u64,
    route: RouteId,
    generation: u32,
    noise: Vec<u8>,
    dice: Dice,
}

impl Hellos {
    fn new() -> Self {
        let mut world = World::seeded(3);
        world.wiretap = Some(Vec::new());
        let (alice, shop) = world.paired("alice", "shop");
        let frames = world.wiretap.take().expect("it listens");
        let hello = |node| hello_to(&frames, node).map(|hello| (node, hello));
        let greeted = hello(alice).or_else(|| hello(shop));
        let (node, (route, generation, noise)) = greeted.expect("two who paired greet each other");
        let link = world.stranger(node);
        world.settle();
        Self { world, node, link, route, generation, noise, dice: Dice::stream(3, "hellos") }
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.dice.below(256)).expect("below 256")
    }

    // Another one each time: a single one would always lie at the same place among the rows.
    fn near(&mut self) -> RouteId {
        let mut bytes = *self.far().as_bytes();
        bytes[..15].copy_from_slice(&self.route.as_bytes()[..15]);
        RouteId::from_bytes(bytes)
    }

    fn far(&mut self) -> RouteId {
        RouteId::from_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn ours(&mut self) -> RouteId {
        self.route
    }

    fn compare(
        &mut self,
        what: &'static str,
        expected: Expected,
        samples: usize,
        kinds: [fn(&mut Self) -> RouteId; 2],
    ) -> Figure {
        compare(what, expected, samples, |kind| {
            let route = kinds[usize::from(kind == Kind::Other)](self);
            let session = SessionId(std::array::from_fn(|_| self.byte()));
            let mut noise = self.noise.clone();
            *noise.last_mut().expect("a hello is not empty") ^= 1;
            let bytes = SessionRequest::Hello { route, generation: self.generation, session, noise }.encode();
            let event = Event::Request { link: self.link, exchange: 1, channel: Channel::Session, bytes };
            handled(&mut self.world, self.node, event)
        })
    }
}

fn hello_to(frames: &[Frame], node: NodeId) -> Option<(RouteId, u32, Vec<u8>)> {
    let heard = frames.iter().filter(|frame| frame.to == node && frame.channel == Channel::Session);
    heard.filter_map(|frame| SessionRequest::decode(&frame.bytes).ok()).find_map(|said| match said {
        SessionRequest::Hello { route, generation, noise, .. } => Some((route, generation, noise)),
        SessionRequest::Sealed { .. } => None,
    })
}

/// A peer reads live under a grant that was given to another, or under one that nobody ever gave.
fn reads(samples: usize) -> Figure {
    let mut world = World::seeded(4);
    let (alice, shop) = world.paired("alice", "shop");
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { mode: Mode::Reference, ..Terms::default() };
    world.grant_on(alice, bank, ["contact/me/city"], terms);
    world.settle();
    let foreign = world.stored_grants(alice, Direction::Given).first().expect("one was given").id;
    let absent = GrantId::from_bytes(foreign.as_bytes().map(|byte| byte ^ 0xa5));
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    compare("live read under a grant: another's / one that is not there", Expected::Alike, samples, |kind| {
        let grant = if kind == Kind::One { foreign } else { absent };
        let read = Body::Read(Read { grant, selector: 0, record: None, nonce: [7; 16] });
        let sequence = evil.writes(&mut world, &read, None);
        let entries = evil.entries(&world, sequence..=sequence);
        let message = evil.message(&world, entries);
        let bytes = evil.sealed(&message);
        let event = Event::Request { link: evil.link(), exchange: 1, channel: Channel::Session, bytes };
        handled(&mut world, alice, event)
    })
}
