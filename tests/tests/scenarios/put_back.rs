//! What must not come of a restore: keys, codes, logs and heads of before are good for nothing after it, whoever shows them.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Direction, GrantState, Mode, PairingStage, PeerState, Purge},
    id::{GrantId, LogId},
    limits::{EPOCH_MAX, RESTORES_AHEAD_MAX, STATED_MAX},
    log,
    refusal::Code,
    relationship::Relationship,
    restore::{self, Incarnation},
    wire::{
        body::{Body, Closed, Paired, Resumed, Stated},
        session::Sync,
    },
};
use allod_tests::{
    World,
    evil::{Evil, Met},
    network::NodeId,
    story::Terms,
};

use super::restoring::{backup, lent};

const CITY: &str = "contact/me/city";
const PHONE: &str = "contact/me/phone";
const MONTH: Duration = Duration::from_secs(31 * 86_400);

/// All logs of a node with one peer, those that ended first.
fn logs(world: &World, node: NodeId, peer: &str) -> Vec<LogId> {
    world.inspect(node, |tx| {
        let relationship = Relationship::named(tx, peer).unwrap();
        restore::logs(tx, &relationship).unwrap().into_iter().map(|(log, _)| log).collect()
    })
}

/// What one that was put back says first.
fn first_words(world: &World, evil: &Evil) -> Sync {
    let through = evil.written(world);
    Sync { have: Vec::new(), ..evil.message(world, evil.entries(world, 1..=through)) }
}

/// One that was put back, whose new log begins with this, under this id.
fn begins_with(
    world: &mut World,
    node: NodeId,
    victim: NodeId,
    under: Option<LogId>,
    body: &Body,
) -> Option<(Evil, Sync)> {
    let mut evil = Evil::comes_back(world, node, victim)?;
    evil.begins(world, under);
    assert_eq!(evil.writes(world, body, None), 1);
    let said = first_words(world, &evil);
    Some((evil, said))
}

fn statement(given: Vec<Stated>, held: Vec<Stated>) -> Body {
    Body::Resumed(Resumed { given, held, asked: Vec::new(), asked_of: Vec::new() })
}

/// It says this, and nothing of it is kept.
fn is_dropped(world: &mut World, victim: NodeId, evil: &mut Evil, said: &Sync, what: &str) {
    let before = world.inspect(victim, |tx| {
        let relationship = Relationship::named(tx, "shop").unwrap();
        (log::own(tx, &relationship).unwrap().log, log::theirs(tx, &relationship).unwrap().log)
    });
    assert_eq!(evil.says(world, said), Met::Silence, "{what}");
    let after = world.inspect(victim, |tx| {
        let relationship = Relationship::named(tx, "shop").unwrap();
        (log::own(tx, &relationship).unwrap().log, log::theirs(tx, &relationship).unwrap().log)
    });
    assert_eq!(before, after, "{what}");
}

#[test]
fn a_code_that_was_shown_before_a_restore_opens_nothing_after_it() {
    let mut world = World::seeded(4_200);
    let alice = world.person("alice");
    let (first, second) = (world.vendor("first"), world.vendor("second"));
    let (_, text) = world.invitation(alice);
    let home = backup(&world, alice);
    // Somebody used it since, which the backup does not know.
    assert_eq!(world.accepted(first, &text).stage, PairingStage::Comparing);
    world.put_back(alice, home);
    let came = world.outcome(second, Command::Accept { text, petname: None });
    let began = matches!(&came, Ok(Answer::Pairing(view)) if view.stage == PairingStage::Comparing);
    assert!(!began, "{came:?}");
    assert!(world.known_peers(alice).is_empty());
}

#[test]
fn no_log_begins_under_the_id_of_one_that_ended_or_of_another_peers() {
    let (mut world, alice, shop, _) = lent(4_201);
    let gym = world.vendor("gym");
    world.pair(alice, gym);
    world.grant(alice, gym, [CITY]);
    world.settle();
    // The shop was put back once, so that two logs ended.
    let early = backup(&world, shop);
    world.put_back(shop, early);
    world.run_for(Duration::from_secs(800));
    let (with_shop, with_gym) = (logs(&world, alice, "shop"), logs(&world, alice, "gym"));
    assert_eq!((with_shop.len(), with_gym.len()), (4, 2));
    let home = backup(&world, shop);
    for taken in with_shop[..3].iter().chain(&with_gym) {
        world.stop(shop);
        world.nodes[shop.0].disk = home.clone();
        let (mut evil, said) = begins_with(&mut world, shop, alice, Some(*taken), &statement(Vec::new(), Vec::new()))
            .expect("the first keys are known");
        assert_eq!(evil.says(&mut world, &said), Met::Silence, "{taken:?}");
        assert_eq!(logs(&world, alice, "shop"), with_shop);
        assert_eq!(logs(&world, alice, "gym"), with_gym);
    }
    world.verify(alice);
    world.set(alice, CITY, "Lyon");
    world.settle();
    assert_eq!(world.text(gym, alice, CITY), "Lyon");
}

#[test]
fn one_that_waits_is_content_with_nothing_but_a_statement() {
    let (mut world, alice, shop, grant) = lent(4_202);
    let home = backup(&world, alice);
    let profile = world.inspect(alice, |tx| Relationship::named(tx, "shop").unwrap().their_profile.clone());
    world.revoke(alice, &grant);
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
    world.stop(shop);
    let theirs = backup(&world, shop);
    for body in [Body::Paired(Paired { profile: profile.clone() }), Body::Closed(Closed {}), Body::Profile(profile)] {
        world.put_back(alice, home.clone());
        world.nodes[shop.0].disk = theirs.clone();
        let (mut evil, said) = begins_with(&mut world, shop, alice, None, &body).expect("it waits for this");
        assert_eq!(evil.says(&mut world, &said), Met::Silence, "{}", body.name());
        let command = Command::Resume { peer: "shop".to_owned() };
        assert_eq!(world.outcome(alice, command).unwrap_err().code(), Code::Unreachable, "{}", body.name());
        world.stop(alice);
    }
}

#[test]
fn a_statement_in_the_middle_of_a_log_moves_nothing() {
    for comes_back in [false, true] {
        let (mut world, alice, shop, _) = lent(4_203);
        let stands = |world: &World| {
            let next = world.inspect(alice, |tx| {
                let relationship = Relationship::named(tx, "shop").unwrap();
                log::own(tx, &relationship).unwrap().next
            });
            (next, world.stored_grants(alice, Direction::Given)[0].selectors[0].epoch)
        };
        let mut evil = if comes_back {
            let begun = begins_with(&mut world, shop, alice, None, &statement(Vec::new(), Vec::new()));
            let (mut evil, said) = begun.expect("the first keys are known");
            assert!(matches!(evil.says(&mut world, &said), Met::Answer(_)));
            evil
        } else {
            Evil::takes_over(&mut world, shop, alice)
        };
        world.run_for(Duration::from_secs(60));
        let before = stands(&world);
        let held = vec![Stated { grant: world.stored_grants(alice, Direction::Given)[0].id, live: vec![(0, 1_000)] }];
        let held = Body::Resumed(Resumed { given: Vec::new(), held, asked: Vec::new(), asked_of: Vec::new() });
        for body in [statement(Vec::new(), Vec::new()), held] {
            let sequence = evil.writes(&mut world, &body, None);
            let entries = evil.entries(&world, sequence..=sequence);
            let said = Sync { have: Vec::new(), ..evil.message(&world, entries) };
            assert!(matches!(evil.says(&mut world, &said), Met::Answer(_)), "it is kept");
            world.run_for(Duration::from_secs(60));
            assert_eq!(stands(&world), before, "comes back: {comes_back}");
        }
    }
}

#[test]
fn nothing_that_is_lent_goes_out_while_it_is_suspended() {
    let (mut world, alice, shop, _) = lent(4_209);
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.settle();
    world.set(alice, CITY, "Nice");
    // Whoever comes again is handed all that is due to it.
    world.stop(shop);
    world.start(shop);
    world.run_for(Duration::from_secs(800));
    assert!(world.peer(alice, shop).online);
    let sent = world.inspect(alice, |tx| {
        let relationship = Relationship::named(tx, "shop").unwrap();
        let own = log::own(tx, &relationship).unwrap();
        let bodies = (1..own.next).filter_map(|n| log::kept_body(tx, &relationship, own.log, n).unwrap());
        bodies.map(|(_, body)| body.name().to_owned()).collect::<Vec<_>>()
    });
    assert!(!sent.iter().any(|name| ["Cells", "Keys", "Granted"].contains(&name.as_str())), "{sent:?}");
    world.resume(alice, shop);
    world.settle();
    assert_eq!(world.text(shop, alice, CITY), "Nice");
}

#[test]
fn what_lay_ready_in_a_log_that_ended_is_withdrawn() {
    let (mut world, alice, shop, _) = lent(4_210);
    let home = backup(&world, shop);
    world.stop(shop);
    world.set(alice, PHONE, "1");
    world.grant(alice, shop, [PHONE]);
    let own = logs(&world, alice, "shop")[0];
    let ready = |world: &World| {
        world.inspect(alice, |tx| {
            let entries = (1..).map_while(|n| log::wire_entry(tx, own, n).unwrap());
            entries.filter(|entry| !entry.payload.is_empty()).count()
        })
    };
    assert!(ready(&world) > 0);
    world.put_back(shop, home);
    world.run_for(Duration::from_secs(800));
    assert_eq!(ready(&world), 0);
    assert_eq!(world.text(shop, alice, PHONE), "1");
}

#[test]
fn no_head_of_a_log_that_ended_is_relied_on() {
    let (mut world, alice, shop, _) = lent(4_204);
    let home = backup(&world, alice);
    for n in 0..40 {
        world.set(alice, CITY, &format!("City {n}"));
        world.settle();
    }
    let head = |world: &World| {
        world.inspect(shop, |tx| {
            let relationship = Relationship::named(tx, "alice").unwrap();
            let their = log::theirs(tx, &relationship).unwrap();
            (their.next, their.head)
        })
    };
    let (_, former) = head(&world);
    let former = former.expect("it was heard");
    world.put_back(alice, home);
    world.settle();
    let (next, of_new) = head(&world);
    let of_new = of_new.expect("it was heard again");
    assert!(of_new.sequence < next && next < former.sequence, "{of_new:?}, {former:?}");
    assert_eq!(of_new.until, of_new.at, "it promises nothing before its person says so");
    world.resume(alice, shop);
    for _ in 0..2 {
        world.run_for(MONTH);
        assert_eq!(world.text(shop, alice, CITY), "Paris");
    }
}

#[test]
fn what_is_read_live_is_suspended_too() {
    let (mut world, alice, shop, _) = lent(4_205);
    world.set(alice, PHONE, "1");
    let live = world.grant_on(alice, shop, [PHONE], Terms { mode: Mode::Reference, ..Terms::default() });
    world.settle();
    assert_eq!(world.text(shop, alice, PHONE), "1");
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.settle();
    assert_eq!(world.grant_of(alice, &live).state, GrantState::Suspended);
    assert_eq!(world.refused(shop, alice, PHONE), Code::NoGrant);
    world.resume(alice, shop);
    world.run_for(Duration::from_secs(4_000));
    assert_eq!(world.text(shop, alice, PHONE), "1");
}

#[test]
fn where_a_log_began_is_forgotten_once_the_other_side_has_it() {
    for both in [false, true] {
        let (mut world, alice, shop, _) = lent(4_206);
        let homes = [backup(&world, alice), backup(&world, shop)];
        // Whether the chain's beginning is kept, and whether the other side has all.
        let stands = |world: &World, node, peer: &str| {
            world.inspect(node, |tx| {
                let relationship = Relationship::named(tx, peer).unwrap();
                let own = log::own(tx, &relationship).unwrap();
                let row = Incarnation::of(tx, &relationship).unwrap();
                (row.is_some_and(|row| row.offer(own.log).is_some()), own.acknowledged + 1 == own.next)
            })
        };
        world.stop(shop);
        let [first, second] = homes;
        world.put_back(alice, first);
        assert_eq!(stands(&world, alice, "shop"), (true, false), "it waits");
        if both {
            // They call each other at once, and each takes the other's word in the other's session.
            world.restore(shop, second);
        }
        world.start(shop);
        world.run_for(Duration::from_secs(800));
        assert_eq!(stands(&world, alice, "shop"), (false, true), "both: {both}");
        assert_eq!(stands(&world, shop, "alice"), (false, true), "both: {both}");
    }
}

#[test]
fn keys_of_before_a_restore_open_no_session_after_it() {
    let (mut world, alice, shop, _) = lent(4_207);
    let home = backup(&world, alice);
    for _ in 0..4 {
        world.run_for(MONTH);
    }
    assert!(world.key_changes(alice) > 0, "keys changed");
    world.stop(alice);
    let lost = backup(&world, alice);
    world.put_back(alice, home);
    world.run_for(Duration::from_secs(800));
    assert_eq!(world.peer(alice, shop).state, PeerState::Restored);
    world.stop(alice);
    // A thief has what the machine that was lost held, and calls under the newest keys in it.
    world.nodes[alice.0].disk = lost;
    assert!(Evil::greets(&mut world, alice, shop).is_none());
}

#[test]
fn what_was_taken_back_is_not_gone_before_its_holder_says_so() {
    let (mut world, alice, shop, grant) = lent(4_208);
    world.stop(shop);
    world.revoke(alice, &grant);
    let held = vec![Stated { grant: world.stored_grants(alice, Direction::Given)[0].id, live: vec![(0, 0)] }];
    let body = Body::Resumed(Resumed { given: Vec::new(), held, asked: Vec::new(), asked_of: Vec::new() });
    let (mut evil, said) = begins_with(&mut world, shop, alice, None, &body).expect("the first keys are known");
    assert!(matches!(evil.says(&mut world, &said), Met::Answer(_)));
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Awaited);
}

#[test]
fn two_that_were_put_back_hear_each_other_though_one_knew_the_others_new_log() {
    let (mut world, alice, shop, grant) = lent(4_211);
    world.set(alice, PHONE, "1");
    world.stop(shop);
    let unheard = world.grant(alice, shop, [PHONE]);
    // Alice takes the log that the shop begins anew. The shop never gets her answer, and her next backup has its log.
    let mut evil = Evil::comes_back(&mut world, shop, alice).expect("the first keys are known");
    let said = Sync { have: Vec::new(), ..evil.message(&world, evil.entries(&world, 1..=evil.written(&world))) };
    assert!(matches!(evil.says(&mut world, &said), Met::Answer(_)));
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.start(shop);
    world.run_for(Duration::from_secs(1_500));
    for node in [alice, shop] {
        assert!(!world.known_peers(node)[0].waits, "{}", world.name(node));
    }
    assert_eq!(world.grant_of(alice, &unheard).state, GrantState::Revoked, "its holder never heard of it");
    world.resume(alice, shop);
    world.set(alice, CITY, "Lyon");
    world.run_for(Duration::from_secs(800));
    assert_eq!(world.text(shop, alice, CITY), "Lyon");
    assert_eq!(world.grant_of(shop, &grant).state, GrantState::Active);
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn a_new_log_begins_with_a_statement_and_under_an_id_that_nobody_had() {
    let (mut world, alice, shop, _) = lent(4_020);
    let home = backup(&world, shop);
    let mut silenced = |what: &str, change: &mut dyn FnMut(&World, &mut Evil, &mut Sync)| {
        world.stop(shop);
        world.nodes[shop.0].disk = home.clone();
        let mut evil = Evil::comes_back(&mut world, shop, alice).expect("the first keys are known");
        let mut said = first_words(&world, &evil);
        change(&world, &mut evil, &mut said);
        is_dropped(&mut world, alice, &mut evil, &said, what);
    };
    silenced("no entry", &mut |_, _, said| said.entries.clear());
    silenced("no offer", &mut |_, evil, _| evil.offer = None);
    silenced("another chain", &mut |_, evil, _| evil.offer = evil.offer.map(|(log, _)| (log, [7; 32])));
    silenced("another log than that of its entries", &mut |_, evil, _| {
        evil.offer = evil.offer.map(|(_, chain)| (LogId::from_bytes([7; 16]), chain));
    });
    silenced("a log of its victim", &mut |world, evil, _| {
        let log = world.inspect(alice, |tx| {
            let relationship = Relationship::named(tx, "shop").unwrap();
            log::own(tx, &relationship).unwrap().log
        });
        evil.offer = evil.offer.map(|(_, chain)| (log, chain));
    });
    silenced("how far it has a log that ended", &mut |world, evil, said| said.have.push(evil.have(world)));
    for body in [Body::Closed(Closed {}), statement(vec![too_far()], Vec::new()), statement(Vec::new(), too_many())] {
        world.stop(shop);
        world.nodes[shop.0].disk = home.clone();
        let (mut evil, said) = begins_with(&mut world, shop, alice, None, &body).unwrap();
        is_dropped(&mut world, alice, &mut evil, &said, &body.name());
    }
    // Left alone it is taken.
    world.stop(shop);
    world.nodes[shop.0].disk = home;
    let mut evil = Evil::comes_back(&mut world, shop, alice).unwrap();
    let said = first_words(&world, &evil);
    assert!(matches!(evil.says(&mut world, &said), Met::Answer(answer) if answer.entries.len() > 2));
}

fn too_far() -> Stated {
    Stated { grant: GrantId::from_bytes([1; 16]), live: vec![(0, EPOCH_MAX + 1)] }
}

fn too_many() -> Vec<Stated> {
    (0..=STATED_MAX)
        .map(|n| {
            let mut grant = [2; 16];
            grant[..8].copy_from_slice(&n.to_le_bytes());
            Stated { grant: GrantId::from_bytes(grant), live: vec![(0, 0)] }
        })
        .collect()
}

#[test]
fn who_claims_to_hold_what_was_taken_back_gets_nothing_of_it() {
    let (mut world, alice, shop, taken) = lent(4_021);
    world.set(alice, "contact/me/phone", "1");
    world.grant(alice, shop, ["contact/me/phone"]);
    let home = backup(&world, shop);
    world.revoke(alice, &taken);
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    world.stop(shop);
    world.nodes[shop.0].disk = home;
    let mut evil = Evil::comes_back(&mut world, shop, alice).unwrap();
    let said = first_words(&world, &evil);
    let Met::Answer(answer) = evil.says(&mut world, &said) else { panic!("it is taken") };
    assert!(!answer.entries.is_empty());
    let sent = world.inspect(alice, |tx| {
        let relationship = Relationship::named(tx, "shop").unwrap();
        let own = log::own(tx, &relationship).unwrap();
        let bodies = (1..own.next).filter_map(|n| log::kept_body(tx, &relationship, own.log, n).unwrap());
        bodies
            .filter(|(_, body)| match body {
                Body::Keys(keys) => keys.grant.to_string() == taken,
                Body::Cells(cells) => cells.grant.to_string() == taken,
                Body::Granted(granted) => granted.grant.to_string() == taken,
                _ => false,
            })
            .count()
    });
    assert_eq!(sent, 0);
}

#[test]
fn a_purge_that_was_said_in_a_log_that_was_lost_is_confirmed_all_the_same() {
    for backup_of_holder in [false, true] {
        let (mut world, alice, shop, grant) = lent(4_025);
        let before = backup(&world, shop);
        world.stop(shop);
        world.revoke(alice, &grant);
        let later = backup(&world, alice);
        if backup_of_holder {
            // The shop's new home never heard of the grant, or of its end.
            world.restore(shop, before);
        }
        world.start(shop);
        world.settle();
        if !backup_of_holder {
            assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
            world.put_back(alice, later);
            assert_eq!(world.grant_of(alice, &grant).purge, Purge::Awaited);
        }
        world.run_for(Duration::from_secs(800));
        assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed, "{backup_of_holder}");
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    }
}

#[test]
fn a_log_begins_once_in_a_session() {
    let (mut world, alice, shop, _) = lent(4_026);
    let mut evil = Evil::comes_back(&mut world, shop, alice).unwrap();
    let said = first_words(&world, &evil);
    assert!(matches!(evil.says(&mut world, &said), Met::Answer(_)));
    let mut again = Evil::comes_back(&mut world, shop, alice).unwrap();
    let said = first_words(&world, &again);
    evil.offer = again.offer;
    is_dropped(&mut world, alice, &mut evil, &said, "a second log in one session");
    assert!(matches!(again.says(&mut world, &said), Met::Answer(_)), "in another it may");
}

#[test]
fn who_states_the_grants_of_others_moves_nothing() {
    let (mut world, alice, shop, _) = lent(4_022);
    let home = backup(&world, shop);
    let id = world.stored_grants(alice, Direction::Given)[0].id;
    let of_ours = |live: Vec<(u16, u32)>| Stated { grant: id, live };
    // What we lend, as if it were lent to us; a selector that there is not; one stated twice.
    for body in [
        statement(vec![of_ours(vec![(0, 0)])], vec![of_ours(vec![(0, 0)])]),
        statement(Vec::new(), vec![of_ours(vec![(0, 0), (9, 5), (u16::MAX, EPOCH_MAX)])]),
        statement(Vec::new(), vec![of_ours(vec![(0, EPOCH_MAX)]), of_ours(vec![(0, 1)])]),
    ] {
        world.stop(shop);
        world.nodes[shop.0].disk = home.clone();
        let (mut evil, said) = begins_with(&mut world, shop, alice, None, &body).unwrap();
        assert!(matches!(evil.says(&mut world, &said), Met::Answer(_)));
        world.run_for(Duration::from_secs(60));
        assert!(world.runs(alice));
        let row = &world.stored_grants(alice, Direction::Given)[0];
        assert!(row.ended.is_none() && row.selectors.len() == 1 && row.direction == Direction::Given);
    }
    assert_eq!(world.own(alice, "contact/me/city"), "Paris");
}

#[test]
fn nobody_begins_anew_without_end() {
    let (mut world, alice, shop, _) = lent(4_023);
    let home = backup(&world, shop);
    let begins = |world: &mut World| {
        world.stop(shop);
        world.nodes[shop.0].disk = home.clone();
        let mut evil = Evil::comes_back(world, shop, alice).unwrap();
        let said = first_words(world, &evil);
        matches!(evil.says(world, &said), Met::Answer(_))
    };
    for round in 0..RESTORES_AHEAD_MAX {
        assert!(begins(&mut world), "round {round}");
        world.run_for(Duration::from_secs(400));
    }
    assert!(!begins(&mut world));
    // In time one more is.
    world.run_for(Duration::from_secs(31 * 86_400));
    assert!(begins(&mut world));
    world.verify(alice);
}

#[test]
fn one_that_was_frozen_or_never_confirmed_is_not_found_by_the_first_keys() {
    let (mut world, alice, shop, _) = lent(4_024);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let home = backup(&world, shop);
    evil.tells(&mut world, &Body::Closed(Closed {}), None);
    world.nodes[shop.0].disk = home;
    // Another entry in the same place: alice keeps both as a proof.
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    evil.tells(&mut world, &statement(Vec::new(), Vec::new()), None);
    world.settle();
    let frozen = world.inspect(alice, |tx| Relationship::named(tx, "shop").unwrap().frozen.is_some());
    assert!(frozen);
    let state = world.peer(alice, shop).state;
    let found = Evil::comes_back(&mut world, shop, alice).is_some();
    assert_eq!(found, state == PeerState::Closed, "{state:?}");
}

#[test]
fn a_thief_who_says_nothing_under_the_first_keys_takes_no_line_of_the_peers() {
    let (mut world, alice, shop, _) = lent(4_027);
    let thief = world.vendor("thief");
    world.stop(thief);
    world.nodes[thief.0].disk = backup(&world, shop);
    let mut evil = Evil::comes_back(&mut world, thief, alice).expect("the first keys are known");
    evil.offer = None;
    assert!(matches!(evil.says(&mut world, &Sync::nothing()), Met::Answer(answer) if answer.is_nothing()));
    assert!(world.peer(alice, shop).online);
    world.set(alice, CITY, "Lyon");
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.text(shop, alice, CITY), "Lyon", "the shop's own line is the one that is used");
}
