//! C15: a flood of 100,000 junk hints leaves memory bounded and an honest hint delivered.

use allod_protocol::{
    effect::Effect,
    event::Event,
    relationship::Relationship,
    time::Timestamp,
    tx::Tx,
    wire::hint::{self, HINT_BYTES},
};
use allod_tests::{World, dice::Dice, network::NodeId};
use rand_core::Rng;
use std::time::Duration;

use super::measured::memory_of;

const JUNK: usize = 100_000;
/// What may be left after all of it: the tables of hints are capped at a few thousand small entries. Bytes.
const LEFT_MAX_BYTES: isize = 512 * 1024;

/// What one hint leads to: effects, and rows written.
fn hear(world: &mut World, node: NodeId, bytes: Vec<u8>) -> (Vec<Effect>, usize) {
    let now_us = world.now_us;
    let node = &mut world.nodes[node.0];
    let now = node.now(now_us);
    let engine = node.engine.as_mut().expect("it runs");
    let step = engine.handle(Event::Hint { topic: 3, bytes }, now, &mut node.dice, &node.disk).expect("no fault");
    (step.effects, step.writes.len())
}

#[test]
fn junk_costs_no_memory_causes_nothing_and_an_honest_hint_is_heard() {
    let mut world = World::seeded(15_000);
    let (alice, shop) = world.paired("alice", "shop");
    world.stop(shop);
    world.run_for(Duration::from_secs(400));
    let (now_us, node) = (world.now_us, &mut world.nodes[alice.0]);
    let (vault, now, mut dice) = (node.vault(), node.now(now_us), node.dice.clone());
    let relationship = Relationship::named(&Tx::new(&node.disk, &vault, &mut dice, now), "shop").unwrap();
    // Alice invited, the shop hints: not from the inviter.
    let tag = hint::tag(&relationship.hint_key(), now.wall.day(), false);
    let mut chance = Dice::stream(15_001, "junk");
    let junk: Vec<Vec<u8>> = (0..JUNK)
        .map(|number| {
            let mut bytes = match number % 4 {
                0 => vec![0; usize::try_from(chance.below(1_024)).unwrap()],
                1 => vec![0; HINT_BYTES],
                // Well-formed but for the tag.
                2 => {
                    let mut other = [0; 16];
                    chance.fill_bytes(&mut other);
                    return hint::encode(other, now.wall, &mut chance);
                }
                // The right tag of another day.
                _ => {
                    let other = hint::tag(&relationship.hint_key(), now.wall.day() + 9, false);
                    return hint::encode(other, now.wall, &mut chance);
                }
            };
            chance.fill_bytes(&mut bytes);
            bytes
        })
        .collect();
    let ((), peak, left) = memory_of(|| {
        for bytes in &junk {
            let (effects, writes) = hear(&mut world, alice, bytes.clone());
            assert!(effects.is_empty() && writes == 0, "{effects:?}");
        }
    });
    println!("{JUNK} junk hints: {peak} bytes at most, {left} left");
    assert!(left <= LEFT_MAX_BYTES && peak <= 4 * LEFT_MAX_BYTES, "{peak} {left}");
    // Written five minutes ago, and one that says that it will be good for longer than hints are.
    for at_ms in [now.wall.as_millis() - 300_000, now.wall.as_millis() + 300_001] {
        let (effects, _) = hear(&mut world, alice, hint::encode(tag, Timestamp::from_millis(at_ms), &mut chance));
        assert!(effects.is_empty(), "{effects:?}");
    }
    let honest = hint::encode(tag, now.wall, &mut chance);
    let (effects, _) = hear(&mut world, alice, honest.clone());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Dial { .. })), "{effects:?}");
    // The same relationship hints again and again: one sync a minute, whatever the number.
    let ((), _, left) = memory_of(|| {
        for _ in 0..10_000 {
            let (effects, _) = hear(&mut world, alice, hint::encode(tag, now.wall, &mut chance));
            assert!(effects.is_empty(), "{effects:?}");
        }
    });
    assert!(left <= LEFT_MAX_BYTES, "{left}");
}
