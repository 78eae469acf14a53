//! From strangers to a pair: invitations and everything that can be wrong with one, the words, and what a person types.

use std::{fs, os::unix::fs::PermissionsExt as _};

use allod_tests::process::{Engine, Node, Running, World, pair, root, terminal::at_terminal, until};

on_both_engines![
    each_wrong_invitation_has_its_own_refusal,
    pairing_by_a_picture_that_was_written_and_read_back,
    a_peer_has_a_name_of_ours_and_a_clash_gets_a_number,
    two_people_compare_the_words_at_their_terminals,
    one_who_says_that_the_words_differ_ends_it_for_both,
    ctrl_c_in_an_invitation_withdraws_it,
    ctrl_c_while_the_words_are_compared_ends_it_for_both,
    an_invitation_is_read_from_stdin,
    an_open_invitation_is_listed_and_cancelled,
    a_pairing_survives_a_restart_of_both,
];

/// An invitation that waits, and its text.
fn invitation(node: &Node, options: &str) -> (Running, String) {
    let mut waiting = node.begins(&format!("invite --yes --json {options}"));
    let text = waiting.next_json()["invitation"].as_str().expect("an invitation").to_owned();
    (waiting, text)
}

fn each_wrong_invitation_has_its_own_refusal(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, bank) = (world.person("alice"), world.vendor("shop"), world.vendor("bank"));
    let refusal = |node: &Node, text: &str| {
        let refused = node.refused(&format!("accept '{text}' --yes"));
        (refused.exit, refused.code, refused.message)
    };
    let mut messages = Vec::new();
    let mut expect = |(exit, code, message): (i32, String, String), wanted: (i32, &str)| {
        assert_eq!((exit, code.as_str()), wanted, "{message}");
        messages.push(message);
    };

    let (mut waiting, text) = invitation(&alice, "");
    // Its own; foreign text; cut; one letter wrong; what a newer program would write.
    expect(refusal(&alice, &text), (1, "invalid"));
    expect(refusal(&shop, "https://example.org/pair"), (1, "invalid"));
    expect(refusal(&shop, &text[..text.len() / 2]), (1, "invalid"));
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "A" { "B" } else { "A" };
    expect(refusal(&shop, &format!("{}{other}{}", &text[..middle], &text[middle + 1..])), (1, "invalid"));
    // Nothing of this used it up, and either case is read, with a messenger's line ends around it.
    let accepted = shop.types_with("accept --yes --json", &format!("\n  {}\r\n", text.to_lowercase())).good();
    assert_eq!(accepted.json().unwrap()["confirmed"], true);
    assert_eq!(waiting.end().0, 0);
    // Used: for another, and for the same.
    expect(refusal(&bank, &text), (1, "conflict"));
    expect(refusal(&shop, &text), (1, "conflict"));
    // Expired.
    let (mut waiting, text) = invitation(&alice, "--expires 1s");
    let (exit, _) = waiting.end();
    assert_eq!(exit, 5, "{}", waiting.complaints());
    expect(refusal(&bank, &text), (5, "expired"));
    // Nobody there any more.
    let mut gone = world.person("gone");
    let (_waiting, text) = invitation(&gone, "");
    gone.kill();
    expect(refusal(&bank, &text), (8, "unreachable"));
    messages.sort();
    // "1 second ago" and the two used ones aside, all differ.
    messages.dedup();
    assert_eq!(messages.len(), 7, "{messages:#?}");
    assert_eq!(bank.items("peers").len(), 0);
}

fn pairing_by_a_picture_that_was_written_and_read_back(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (png, svg) = (world.place().join("code.png"), world.place().join("code.svg"));
    let options = format!("--png {} --svg {}", png.display(), svg.display());
    let (mut waiting, text) = invitation(&alice, &options);
    for file in [&png, &svg] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert!(fs::read_to_string(&svg).unwrap().starts_with("<?xml"));
    let words = shop.does(&format!("accept --image {} --name 'dear alice' --yes", png.display()));
    assert_eq!(words["peer"], "dear alice");
    assert_eq!(waiting.next_json()["words"], words["words"]);
    assert!(text.starts_with("ALLOD:"));
    // Pictures that hold no invitation.
    let pictures = root().join("tests/pictures");
    let none = shop.refused(&format!("accept --image {} --yes", pictures.join("none-room.jpg").display()));
    let other = shop.refused(&format!("accept --image {} --yes", pictures.join("other-address.png").display()));
    assert_eq!((none.exit, other.exit), (1, 1));
    assert_ne!(none.message, other.message);
    let svg = shop.refused(&format!("accept --image {} --yes", svg.display()));
    assert_eq!((svg.exit, svg.code.as_str()), (1, "invalid"));
}

fn a_peer_has_a_name_of_ours_and_a_clash_gets_a_number(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let (mut first, mut second) = (world.nowhere("shop-one"), world.nowhere("shop-two"));
    for shop in [&mut first, &mut second] {
        shop.name = "Corner Shop".to_owned();
        shop.init(&["--kind", "vendor", "--no-passphrase"]);
        shop.start();
    }
    let one = pair(&alice, &first).scanner;
    let two = pair(&alice, &second).scanner;
    assert_eq!((one.as_str(), two.as_str()), ("Corner Shop", "Corner Shop-2"));
    let peers = alice.items("peers");
    assert!(peers.iter().all(|peer| peer["calls_itself"] == "Corner Shop" && peer["kind"] == "vendor"), "{peers:?}");
    assert!(alice.types("peers show 'Corner Shop'").good().said().contains("(unproven)"));
    alice.does("peers rename 'Corner Shop' grocer");
    assert_eq!(alice.does("peers show grocer")["calls_itself"], "Corner Shop");
    assert_eq!(alice.refused("peers show 'Corner Shop'").exit, 4);
    let taken = alice.refused("peers rename 'Corner Shop-2' grocer");
    assert_eq!((taken.exit, taken.code.as_str()), (1, "already_exists"));
    for name in ["a/b", "g-1234", "a-1", "i-7", "''"] {
        assert_eq!(alice.refused(&format!("peers rename grocer {name}")).exit, 2, "{name}");
    }
}

fn two_people_compare_the_words_at_their_terminals(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let Some(mut inviting) = at_terminal(&alice, "invite") else { return };
    let text = inviting.line_with("ALLOD:");
    let text = text.trim().trim_start_matches(|letter: char| letter != 'A').to_owned();
    let mut accepting = at_terminal(&shop, "accept").expect("there was one");
    accepting.prompt("Invitation");
    accepting.type_in(&format!("{text}\n"));
    let (theirs, ours) = (accepting.line_with("1 "), inviting.line_with("  1 "));
    assert_eq!(theirs.trim(), ours.trim());
    inviting.prompt("[y/N]");
    inviting.type_in("perhaps\n");
    inviting.prompt("Please answer y or n.");
    inviting.type_in("y\n");
    accepting.prompt("[y/N]");
    accepting.type_in("yes\n");
    for side in [&mut inviting, &mut accepting] {
        let (exit, lines) = side.end();
        assert_eq!(exit, 0, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("Paired with")), "{lines:#?}");
    }
    assert_eq!(alice.items("peers")[0]["state"], "paired");
    assert!(alice.items("grants").is_empty());
}

fn one_who_says_that_the_words_differ_ends_it_for_both(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let Some(mut inviting) = at_terminal(&alice, "invite") else { return };
    let text = inviting.line_with("ALLOD:");
    let text = text[text.find("ALLOD:").unwrap()..].trim().to_owned();
    let mut accepting = shop.begins(&format!("accept {text} --yes --json"));
    inviting.prompt("[y/N]");
    inviting.type_in("n\n");
    assert_eq!(inviting.end().0, 5);
    assert_eq!(accepting.end().0, 5);
    let complaint = accepting.complaints();
    assert!(complaint.contains("\"declined\""), "{complaint}");
    until("nobody is left", 20, || alice.items("peers").is_empty() && shop.items("peers").is_empty());
}

fn ctrl_c_in_an_invitation_withdraws_it(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (mut waiting, text) = invitation(&alice, "");
    waiting.signal("INT");
    assert_eq!(waiting.end().0, 130);
    let refused = shop.refused(&format!("accept {text} --yes"));
    assert_ne!(refused.exit, 0, "{refused:?}");
    assert!(alice.items("invitations").iter().all(|invitation| invitation["state"] != "open"));
    assert!(shop.items("peers").is_empty() && alice.items("peers").is_empty());
    // Both go on as if nothing had been.
    pair(&alice, &shop);
}

fn ctrl_c_while_the_words_are_compared_ends_it_for_both(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (mut waiting, text) = invitation(&alice, "");
    let Some(mut accepting) = at_terminal(&shop, &format!("accept {text}")) else { return };
    accepting.prompt("[y/N]");
    // What the terminal makes of Ctrl-C.
    accepting.type_in("\u{3}");
    assert_eq!(accepting.end().0, 130);
    let (exit, _) = waiting.end();
    assert_eq!(exit, 5, "{}", waiting.complaints());
    until("nobody is left", 20, || alice.items("peers").is_empty() && shop.items("peers").is_empty());
}

fn an_invitation_is_read_from_stdin(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (mut waiting, text) = invitation(&alice, "");
    shop.types_with("accept - --yes", &format!("{text}\n")).good();
    assert_eq!(waiting.end().0, 0);
    // Nothing on stdin, and nobody to ask: no wait.
    let nothing = shop.types("accept --yes --json").json().unwrap_err();
    assert_eq!(nothing.code, "invalid", "{nothing:?}");
}

fn an_open_invitation_is_listed_and_cancelled(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (mut waiting, text) = invitation(&alice, "--expires 10m");
    let listed = alice.items("invitations");
    assert_eq!((listed.len(), &listed[0]["state"]), (1, &"open".into()), "{listed:?}");
    assert!(listed[0]["expires"].as_str().is_some_and(|expires| expires.ends_with('Z')), "{listed:?}");
    alice.does("invitations cancel");
    assert_eq!(waiting.end().0, 5, "{}", waiting.complaints());
    assert_ne!(shop.refused(&format!("accept {text} --yes")).exit, 0);
}

fn a_pairing_survives_a_restart_of_both(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, mut shop) = (world.person("alice"), world.vendor("shop"));
    let names = pair(&alice, &shop);
    alice.kill();
    shop.kill();
    alice.start();
    shop.start();
    until("they meet again", 30, || {
        [(&alice, &names.scanner), (&shop, &names.inviter)]
            .iter()
            .all(|(node, peer)| node.does(&format!("peers show '{peer}'"))["online"] == true)
    });
}
