//! C8: a used pairing secret never works again, under 1,000 racing scanners.

use std::time::Duration;

use allod_crypto::{BundleSecrets, Invitation, pairing::Scanner};
use allod_protocol::{
    codec::Coded,
    command::PairingStage,
    effect::Channel,
    wire::pair::{PairAnswer, PairRequest},
};
use allod_tests::{World, dice::Dice, network::NodeId};

fn first_messages(text: &str, count: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let invitation = Invitation::parse(text).unwrap();
    let first = |dice: &mut Dice| {
        let secrets = BundleSecrets::generate(dice);
        let (_, noise) = Scanner::start(&invitation, secrets, dice).unwrap();
        PairRequest::First { noise }.encode()
    };
    (0..count).map(|_| first(dice)).collect()
}

/// How the inviter answered: begun, used, expired.
fn answers(world: &World, inviter: NodeId) -> (usize, usize, usize) {
    let frames = world.wiretap.iter().flatten().filter(|frame| frame.from == inviter && frame.is_answer);
    let answers: Vec<_> = frames.filter_map(|frame| PairAnswer::decode(&frame.bytes).ok()).collect();
    let count = |wanted: fn(&PairAnswer) -> bool| answers.iter().filter(|answer| wanted(answer)).count();
    (
        count(|answer| matches!(answer, PairAnswer::Second { .. })),
        count(|answer| matches!(answer, PairAnswer::Used)),
        count(|answer| matches!(answer, PairAnswer::Expired)),
    )
}

#[test]
fn of_a_thousand_racing_scanners_one_begins_and_the_owner_learns_of_the_others() {
    for at_once in [true, false] {
        let mut world = World::seeded(8_000);
        world.wiretap = Some(Vec::new());
        let alice = world.person("alice");
        let (id, text) = world.invitation(alice);
        let mut dice = Dice::stream(8_001, "scanners");
        for (number, message) in first_messages(&text, 1_000, &mut dice).into_iter().enumerate() {
            world.inject(alice, Channel::Pair, message);
            if !at_once && number % 50 == 0 {
                world.run_for(Duration::from_secs(1));
            }
        }
        world.run_for(Duration::from_secs(10));
        let tried = world.pairing(alice, id, PairingStage::Open).others_tried;
        let (begun, used, expired) = answers(&world, alice);
        println!("1,000 scanners, at once: {at_once}: {begun} begun, {used} refused as used, {tried} reported");
        assert_eq!((begun, expired), (1, 0));
        assert_eq!(tried, u64::try_from(used).unwrap());
        // Of what comes in one second a hundred are looked at.
        assert_eq!(used, if at_once { 99 } else { 999 });
    }
}

#[test]
fn nor_does_it_work_again_after_a_crash_at_any_boundary_or_its_end() {
    let mut crashes = 0;
    for boundary in 0..40 {
        let mut world = World::seeded(8_100);
        world.wiretap = Some(Vec::new());
        let alice = world.person("alice");
        let (_, text) = world.invitation(alice);
        let mut dice = Dice::stream(8_101, "scanners");
        let messages = first_messages(&text, 21, &mut dice);
        world.crash_after(alice, boundary);
        for message in &messages[..10] {
            world.inject(alice, Channel::Pair, message.clone());
            world.run_for(Duration::from_millis(20));
        }
        crashes += u32::from(!world.runs(alice));
        world.start(alice);
        for message in &messages[10..20] {
            world.inject(alice, Channel::Pair, message.clone());
            world.run_for(Duration::from_millis(20));
        }
        let (begun, ..) = answers(&world, alice);
        assert!(begun <= 1, "boundary {boundary}: {begun} scanners began");
        world.run_for(Duration::from_secs(300));
        world.inject(alice, Channel::Pair, messages[20].clone());
        world.run_for(Duration::from_secs(1));
        assert!(answers(&world, alice).0 <= 1, "boundary {boundary}: after its end");
    }
    assert!(crashes > 5, "{crashes}");
}

#[test]
fn an_invitation_that_is_over_begins_nothing() {
    let mut world = World::seeded(8_200);
    world.wiretap = Some(Vec::new());
    let alice = world.person("alice");
    let (_, text) = world.invitation(alice);
    let mut dice = Dice::stream(8_201, "scanners");
    world.run_for(Duration::from_secs(121));
    for message in first_messages(&text, 30, &mut dice) {
        world.inject(alice, Channel::Pair, message);
        world.run_for(Duration::from_millis(50));
    }
    assert_eq!(answers(&world, alice), (0, 0, 30));
}
