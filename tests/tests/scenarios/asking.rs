//! Asks: all, some, no, and taken back.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, AskState, Command, Direction, Lending, Mode},
    purpose::Purpose,
    refusal::{Code, Refusal},
};
use allod_tests::{World, network::NodeId};

fn state(world: &mut World, node: NodeId) -> AskState {
    world.asks(node).last().expect("an ask").state
}

fn with_contact(seed: u64) -> (World, NodeId, NodeId) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/email", "alice@example.org");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    (world, alice, shop)
}

#[test]
fn some_of_what_was_asked_is_lent_and_the_rest_is_not() {
    let (mut world, alice, shop) = with_contact(60);
    world.ask(shop, alice, &["contact/me/city", "contact/me/email"], &["contact/me/street"]);
    world.settle();
    let asked = world.asks(alice).remove(0);
    assert_eq!(asked.state, AskState::Open);
    assert_eq!(asked.reason.as_deref(), Some("to deliver order 7"));
    assert_eq!(asked.selectors.iter().filter(|(_, required)| *required).count(), 2);
    world.answer_ask(alice, &asked.ask, &["contact/me/city", "contact/me/email"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    assert_eq!(world.refused(shop, alice, "contact/me/street"), Code::NoGrant);
    assert_eq!(state(&mut world, alice), AskState::Partly);
    assert_eq!(state(&mut world, shop), AskState::Partly);
}

#[test]
fn all_of_what_was_asked_is_lent() {
    let (mut world, alice, shop) = with_contact(61);
    world.ask(shop, alice, &["contact/me/city"], &["contact/me/street"]);
    world.settle();
    let ask = world.asks(alice).remove(0).ask;
    world.answer_ask(alice, &ask, &[]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/street"), "3 rue des Lilas");
    assert_eq!(state(&mut world, shop), AskState::Granted);
    let again = world.outcome(alice, Command::AnswerAsk { ask, only: Vec::new(), until: None }).unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
}

#[test]
fn silence_is_no_and_no_is_no() {
    let (mut world, alice, shop) = with_contact(62);
    world.ask(shop, alice, &["contact/me/city"], &[]);
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::NoGrant);
    let ask = world.asks(alice).remove(0).ask;
    world.done(alice, Command::DeclineAsk { ask, reason: Some("not needed".to_owned()) });
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::NoGrant);
    let asked = world.asks(shop).remove(0);
    assert_eq!(asked.state, AskState::Declined);
    assert_eq!(asked.declined_because.as_deref(), Some("not needed"));
}

#[test]
fn an_ask_that_was_withdrawn_cannot_be_answered() {
    let (mut world, alice, shop) = with_contact(63);
    let ask = world.ask(shop, alice, &["contact/me/city"], &[]);
    world.settle();
    world.done(shop, Command::WithdrawAsk { ask: ask.clone() });
    world.settle();
    assert_eq!(state(&mut world, alice), AskState::Withdrawn);
    let late = world.outcome(alice, Command::AnswerAsk { ask, only: Vec::new(), until: None }).unwrap_err();
    assert_eq!(late.code(), Code::Conflict);
}

#[test]
fn an_ask_waits_for_a_person_who_is_away() {
    let (mut world, alice, shop) = with_contact(64);
    world.stop(alice);
    world.settle();
    world.ask(shop, alice, &["contact/me/city"], &[]);
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert_eq!(state(&mut world, alice), AskState::Open);
}

#[test]
fn an_answer_and_a_withdrawal_that_cross_leave_what_was_lent_and_both_sides_agree() {
    let (mut world, alice, shop) = with_contact(65);
    let ask = world.ask(shop, alice, &["contact/me/city"], &[]);
    world.settle();
    world.give(shop, Command::WithdrawAsk { ask: ask.clone() });
    world.give(alice, Command::AnswerAsk { ask, only: Vec::new(), until: None });
    world.settle();
    // The grant stands on both sides, whatever became of the ask.
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    let (given, held) = (world.grants(alice, Direction::Given), world.grants(shop, Direction::Held));
    assert_eq!(given[0].grant, held[0].grant);
}

#[test]
fn a_peer_can_have_so_many_open_asks_and_no_more() {
    let (mut world, alice, shop) = with_contact(66);
    let asks: Vec<String> = (0..32).map(|_| world.ask(shop, alice, &["contact/me/city"], &[])).collect();
    let lending = Lending {
        peer: "alice".to_owned(),
        selectors: vec!["contact/me/city".parse().unwrap()],
        purpose: Purpose::parse("DeliveryOfGoods").unwrap(),
        until: None,
        mode: Mode::Follow,
    };
    let command = || Command::Ask { lending: lending.clone(), optional: Vec::new(), reason: None, benefit: None };
    let refused = world.outcome(shop, command()).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    world.settle();
    assert_eq!(world.asks(alice).len(), 32);
    // Those of the other side are counted by themselves, and one that is over makes room.
    world.ask(alice, shop, &["transaction/order-7/amount"], &[]);
    world.done(shop, Command::WithdrawAsk { ask: asks[0].clone() });
    world.done(shop, command());
    world.settle();
    assert_eq!(world.asks(alice).len(), 34);
}

#[test]
fn an_ask_is_answered_by_whoever_was_asked_and_with_what_was_asked_for() {
    let (mut world, alice, shop) = with_contact(67);
    let ask = world.ask(shop, alice, &["contact/me/city"], &["contact/me/street"]);
    world.settle();
    let answer = |only: &[&str]| Command::AnswerAsk {
        ask: ask.clone(),
        only: only.iter().map(|selector| selector.parse().unwrap()).collect(),
        until: None,
    };
    world.set(shop, "contact/me/city", "Rennes");
    assert!(matches!(world.outcome(shop, answer(&[])).unwrap_err(), Refusal::OwnAsk { .. }));
    let withdraw = Command::WithdrawAsk { ask: ask.clone() };
    assert!(matches!(world.outcome(alice, withdraw).unwrap_err(), Refusal::NotOwnAsk { .. }));
    let more = world.outcome(alice, answer(&["contact/me/city", "contact/me/email"])).unwrap_err();
    assert!(matches!(more, Refusal::NotAsked { .. }), "{more:?}");
    let values = |world: &mut World| match world.done(alice, Command::AskDetail { ask: ask.clone() }) {
        Answer::Ask { values, .. } => values.len(),
        other => panic!("an ask: {other:?}"),
    };
    assert_eq!((values(&mut world), state(&mut world, alice)), (2, AskState::Open));
    world.done(alice, Command::DeclineAsk { ask: ask.clone(), reason: None });
    assert_eq!(values(&mut world), 0, "what is over shows no values");
    for node in [alice, shop] {
        assert!(world.stored_grants(node, Direction::Given).is_empty());
    }
}

#[test]
fn the_beginning_of_a_name_fits_up_to_its_last_letter() {
    let (mut world, alice, shop) = with_contact(67);
    world.ask(shop, alice, &["contact/me/city"], &[]);
    world.settle();
    let ask = world.asks(alice).remove(0).ask;
    let grant = world.grant(alice, shop, ["contact/me/email"]);
    // An odd number of letters ends inside of a byte.
    for end in 8..=9 {
        let other = |name: &str| {
            let last = if &name[end..=end] == "0" { "1" } else { "0" };
            format!("{}{last}", &name[..end])
        };
        let refused = world.outcome(alice, Command::AskDetail { ask: other(&ask) });
        assert!(matches!(refused, Err(Refusal::NoSuchAsk { .. })), "{ask}: {refused:?}");
        let refused = world.outcome(alice, Command::GrantDetail { grant: other(&grant) });
        assert!(matches!(refused, Err(Refusal::NoSuchGrant { .. })), "{grant}: {refused:?}");
        world.done(alice, Command::AskDetail { ask: ask[..=end].to_owned() });
        world.done(alice, Command::GrantDetail { grant: grant[..=end].to_owned() });
    }
}
