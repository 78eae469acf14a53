//! What must never be seen: values, field names, ids and names of peers in a home, a log, a command line or an environment.

use std::{fs, path::Path};

use allod_tests::process::{Engine, Node, World, canary, pair, root, until};

use crate::lending::lent;

on_both_engines![no_canary_is_in_a_home_a_log_or_a_process, what_was_removed_or_taken_back_is_in_no_file];

/// What the daemon's process shows of itself.
fn process_shows(node: &Node, canaries: &[String]) -> Vec<String> {
    let process = node.process();
    let mut seen = Vec::new();
    for part in ["cmdline", "environ", "comm"] {
        let bytes = fs::read(format!("/proc/{process}/{part}")).unwrap_or_default();
        let here = canaries.iter().filter(|canary| canary::holds(&bytes, canary));
        seen.extend(here.map(|canary| format!("{canary} in {part} of {}", node.name)));
    }
    seen
}

fn no_canary_is_in_a_home_a_log_or_a_process(engine: Engine) {
    let world = World::new(engine);
    let mut nodes = Vec::new();
    for (place, name) in [("one", "Canaryalice"), ("two", "Canaryshop")] {
        let mut node = world.nowhere(place);
        node.name = name.to_owned();
        node.init(&["--kind", "vendor", "--no-passphrase"]);
        node.environment = vec![("ALLOD_LOG".to_owned(), "trace".to_owned())];
        node.start();
        nodes.push(node);
    }
    let [mut alice, mut shop] = <[Node; 2]>::try_from(nodes).ok().unwrap();
    let names = pair(&alice, &shop);
    // 240 values, field names and record ids; values go in by stdin, as a person would type them.
    let mut canaries = Vec::new();
    for chunk in 0..8 {
        let mut paths = Vec::new();
        let mut values = String::new();
        for place in 0..10 {
            let number = chunk * 10 + place;
            let (value, field, id) = (
                format!("canary-value-{number:03}x"),
                format!("canaryfield{number:03}x"),
                format!("canary-id-{number:03}x"),
            );
            paths.push(format!("thing/{id}/{field}"));
            values.push_str(&value);
            values.push('\n');
            canaries.extend([value, field, id]);
        }
        alice.types_with(&format!("set {}", paths.join(" ")), &values).good();
    }
    assert_eq!(canaries.len(), 240);
    canaries.push("canarykind".to_owned());
    alice.types_with("set canarykind/a/b", "canary-long-value-".repeat(400).as_str()).good();
    canaries.push("canary-long-value".to_owned());
    // Lent, read, changed, asked for, taken back.
    let fields: Vec<String> =
        (0..40).map(|number| format!("thing/canary-id-{number:03}x/canaryfield{number:03}x")).collect();
    let grant = lent(&alice.does(&format!(
        "grant '{}' {} canarykind/*/b --purpose care --yes",
        names.scanner,
        fields.join(" ")
    )));
    shop.awaits(&fields[39], &names.inviter, "canary-value-039x");
    for field in &fields[..5] {
        assert!(shop.reads(field, &names.inviter).is_ok());
    }
    shop.does(&format!(
        "ask '{}' thing/canary-id-050x/canaryfield050x --purpose care --reason 'canary-reason-for-all'",
        names.inviter
    ));
    alice.does(&format!("set {}=canary-value-new", fields[0]));
    shop.awaits(&fields[0], &names.inviter, "canary-value-new");
    alice.does(&format!("revoke {grant}"));
    until("the purge is confirmed", 20, || alice.does(&format!("grants show {grant}"))["purge"] == "confirmed");
    let sample = root().join("tests/samples/vcard/v40-all.vcf");
    alice.does(&format!("import {}", sample.display()));
    canaries.extend(["canary-reason-for-all", "canary-value-new", "TEL;TYPE", "BEGIN:VCARD"].map(str::to_owned));
    let words: Vec<String> =
        alice.phrase.split(' ').collect::<Vec<_>>().windows(3).map(|three| three.join(" ")).collect();
    canaries.extend(words);
    canaries.push(names.invitation.clone());

    let mut seen = [process_shows(&alice, &canaries), process_shows(&shop, &canaries)].concat();
    for node in [&alice, &shop] {
        seen.extend(canary::found(&node.home, &canaries));
    }
    for node in [&mut alice, &mut shop] {
        let (exit, said) = node.stop();
        assert_eq!(exit, 0);
        seen.extend(canary::found(&node.home, &canaries));
        // Nor the other's name, nor an address, in what a daemon writes.
        let logged = canaries.iter().map(String::as_str).chain(["Canaryalice", "Canaryshop", "/ip4/", "quic-v1"]);
        seen.extend(
            logged.filter(|canary| said.contains(canary)).map(|canary| format!("{canary} in the log of {}", node.name)),
        );
        assert!(said.contains("ready"), "the log is looked at: {said}");
    }
    assert!(seen.is_empty(), "{}", seen.join("\n"));
    // The look itself finds what is there.
    fs::write(alice.home.join("log/planted"), "xx canary-value-007x xx").unwrap();
    assert_eq!(canary::found(&alice.home, &canaries).len(), 1);
    fs::write(
        alice.home.join("log/planted"),
        "canary-value-008x".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    )
    .unwrap();
    assert_eq!(canary::found(&alice.home, &canaries).len(), 1);
}

fn what_was_removed_or_taken_back_is_in_no_file(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let names = pair(&alice, &shop);
    alice.types_with("set contact/me/city", "canary-removed-city\n").good();
    alice.does("grant shop contact/me/city --purpose care --yes");
    shop.awaits("contact/me/city", &names.inviter, "canary-removed-city");
    alice.does("remove contact/me/city --yes");
    until("it is gone there", 20, || shop.reads("contact/me/city", &names.inviter).is_err());
    let canaries = ["canary-removed-city".to_owned()];
    for home in [&alice.home, &shop.home] {
        assert_eq!(canary::found(Path::new(home), &canaries), Vec::<String>::new());
    }
    assert!(!alice.types("log").good().said().contains("canary"));
    assert!(!alice.types("export").good().said().contains("canary"));
}
