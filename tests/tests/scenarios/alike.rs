//! Refusals tell nothing apart: what is absent, what is another's and what was taken back are answered alike, in words of one length.

use allod_protocol::{
    codec::Coded,
    command::{Direction, Mode},
    effect::{Channel, SessionId},
    id::{GrantId, Pseudonym, RouteId},
    relationship::Relationship,
    wire::{
        body::{Body, Read},
        session::SessionRequest,
    },
};
use allod_tests::{
    World,
    evil::{Evil, Met},
    network::NodeId,
    story::Terms,
};

/// What a peer sees of an answer: how long it is on the line, and the entries that came, each with its length.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    line_bytes: usize,
    entries: Vec<usize>,
}

/// Alice lets a shop and a bank read her city and her amounts, live; the shop has a second grant that she took back.
struct Live {
    world: World,
    alice: NodeId,
    shop: NodeId,
    grants: [GrantId; 3],
}

impl Live {
    fn begin() -> Self {
        let mut world = World::seeded(9_300);
        let (alice, shop) = world.paired("alice", "shop");
        let bank = world.vendor("bank");
        world.pair(alice, bank);
        world.set(alice, "contact/me/city", "Paris");
        for id in ["one", "two"] {
            world.set(alice, &format!("transaction/{id}/amount"), "12");
        }
        let live = || Terms { mode: Mode::Reference, ..Terms::default() };
        let named = [(shop, live()), (bank, live()), (shop, live())]
            .map(|(peer, terms)| world.grant_on(alice, peer, ["contact/me/city", "transaction/*/amount"], terms));
        world.revoke(alice, &named[2]);
        world.remove(alice, "transaction/two");
        world.settle();
        let given = world.stored_grants(alice, Direction::Given);
        let grants = named.map(|name| given.iter().find(|row| row.id.to_string() == name).expect("it was given").id);
        Self { world, alice, shop, grants }
    }

    fn pseudonym(&self, peer: &str, id: &str) -> Option<Pseudonym> {
        self.world.inspect(self.alice, |tx| {
            let record = format!("transaction/{id}").parse().unwrap();
            Some(Relationship::named(tx, peer).unwrap().pseudonym(&record))
        })
    }

    /// What the shop, whose node was changed, sees when it asks for this.
    fn asks(mut self, grant: GrantId, selector: u16, record: Option<Pseudonym>) -> Seen {
        let world = &mut self.world;
        let mut evil = Evil::takes_over(world, self.shop, self.alice);
        let sequence = evil.writes(world, &Body::Read(Read { grant, selector, record, nonce: [5; 16] }), None);
        let entries = evil.entries(world, sequence..=sequence);
        let message = evil.message(world, entries);
        world.wiretap = Some(Vec::new());
        let Met::Answer(answer) = evil.says(world, &message) else { panic!("real keys are answered") };
        let frames = world.wiretap.iter().flatten();
        let line_bytes = frames.filter(|frame| frame.is_answer).map(|frame| frame.bytes.len()).sum();
        let entries = answer.entries.iter().map(|entry| entry.body.len() + entry.payload.len()).collect();
        Seen { line_bytes, entries }
    }
}

#[test]
fn a_live_read_does_not_tell_what_is_absent_from_what_is_anothers() {
    let [own, of_the_bank, _] = Live::begin().grants;
    let served = Live::begin().asks(own, 0, None);
    assert_eq!(served.entries.len(), 1, "what is lent is served");
    let absent = Live::begin().asks(GrantId::from_bytes([9; 16]), 0, None);
    assert_eq!(Live::begin().asks(of_the_bank, 0, None), absent, "a grant of the bank's, and none");
    assert_eq!(absent.entries, Vec::<usize>::new());
}

#[test]
fn within_a_column_a_record_that_is_not_there_is_like_one_that_was_removed_or_is_known_to_another() {
    let live = Live::begin();
    let own = live.grants[0];
    let [there, removed, to_the_bank] =
        [("shop", "one"), ("shop", "two"), ("bank", "one")].map(|(peer, id)| live.pseudonym(peer, id));
    let served = Live::begin().asks(own, 1, there);
    let absent = Live::begin().asks(own, 1, Some(Pseudonym::from_bytes([7; 16])));
    assert_ne!(served, absent, "one that is there is served");
    assert_eq!(absent.entries.len(), 1);
    for other in [removed, to_the_bank] {
        assert_eq!(Live::begin().asks(own, 1, other), absent);
    }
}

#[test]
fn all_that_is_refused_within_ones_own_grants_is_refused_in_one_length() {
    let [own, _, taken_back] = Live::begin().grants;
    let revoked = Live::begin().asks(taken_back, 0, None);
    assert_eq!(Live::begin().asks(own, 9, None), revoked, "a selector that never was, and one that was taken back");
    assert_eq!(Live::begin().asks(taken_back, 1, Some(Pseudonym::from_bytes([7; 16]))).entries.len(), 1);
}

#[test]
fn a_hello_under_a_route_that_never_was_is_like_one_under_a_route_that_is_closed_or_open() {
    let Live { mut world, alice, shop, .. } = Live::begin();
    let route = |world: &World| {
        world.inspect(alice, |tx| Relationship::named(tx, "shop").map(|shop| shop.speaking().my_route)).unwrap()
    };
    let open = route(&world);
    let hello = |world: &mut World, route: RouteId| {
        let request = SessionRequest::Hello { route, generation: 1, session: SessionId([3; 16]), noise: vec![5; 96] };
        let link = world.stranger(alice);
        world.requests(alice, link, Channel::Session, request.encode())
    };
    let unknown = hello(&mut world, RouteId::from_bytes([8; 16]));
    assert_eq!(hello(&mut world, open), unknown);
    world.forget(alice, shop);
    world.settle();
    assert_eq!(hello(&mut world, open), unknown);
    let junk = SessionRequest::Sealed { session: SessionId([3; 16]), counter: 0, sealed: vec![1; 64] };
    let link = world.stranger(alice);
    let to_nobody = world.requests(alice, link, Channel::Session, junk.encode());
    assert!(unknown.is_none() && to_nobody.is_none_or(|answer| answer.len() <= 3));
}
