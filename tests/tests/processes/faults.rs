//! Faults that a user meets: kills at any moment, a full disk, a clock that moves, Ctrl-C in the middle.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use allod_tests::process::{Engine, Node, World, eventually, has_tool, until};

use crate::lending::{alice_and_shop, lent};

on_both_engines![
    twenty_kills_of_either_node_lose_nothing_that_was_acknowledged,
    a_full_disk_is_told_in_plain_words_and_loses_nothing,
    a_clock_that_runs_ahead_is_named_and_nothing_of_it_is_believed,
    a_lease_and_an_end_are_kept_when_the_clock_moves_on,
    a_clock_that_was_turned_back_makes_no_lease_longer,
    ctrl_c_in_the_middle_of_an_import_leaves_whole_records,
];

fn twenty_kills_of_either_node_lose_nothing_that_was_acknowledged(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    let from = names.inviter.clone();
    alice.does("grant shop contact/me/city --purpose care --yes");
    let mut cities = 0;
    let mut taken_back = Vec::new();
    for round in 0..20_u32 {
        let victim_is_alice = round % 3 != 2;
        // Something is under way when it is killed: a program writes without a pause.
        let mut writer = alice.command(&["set", "contact/me/noise=1"]);
        alice.does(&format!("set thing/t{round}/a=before"));
        let grant = lent(&alice.does(&format!("grant shop thing/t{round}/a --purpose care --yes")));
        alice.does(&format!("set thing/t{round}/a=value-{round} contact/me/city=city-{round}"));
        cities = round;
        if round % 2 == 0 {
            alice.does(&format!("revoke {grant}"));
            taken_back.push((grant, round));
        }
        let mut under_way =
            writer.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(u64::from(round * 977 % 9_000)));
        if victim_is_alice {
            alice.crash();
        } else {
            shop.crash();
        }
        drop(under_way.wait());
        assert_eq!(alice.get("contact/me/city"), format!("city-{round}").as_str(), "round {round}");
        assert_eq!(alice.get(&format!("thing/t{round}/a")), format!("value-{round}").as_str());
        for (grant, _) in &taken_back {
            assert_eq!(alice.does(&format!("grants show {grant}"))["state"], "revoked", "round {round}");
        }
    }
    shop.awaits("contact/me/city", &from, &format!("city-{cities}"));
    for round in 0..20 {
        let path = format!("thing/t{round}/a");
        if taken_back.iter().any(|(_, taken)| *taken == round) {
            until("it is taken back there", 20, || shop.reads(&path, &from).is_err_and(|refused| refused.exit == 5));
        } else {
            shop.awaits(&path, &from, &format!("value-{round}"));
        }
    }
    for node in [&alice, &shop] {
        let check = node.does("log --verify");
        assert_eq!(check["ok"], true, "{check}");
        assert!(
            node.does("doctor")["checks"]
                .as_array()
                .unwrap()
                .iter()
                .all(|check| check["name"] != "store" || check["ok"] == true)
        );
    }
}

/// A small file system of its own, which goes with this.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mounted(world: &World, size: &str) -> Option<Self> {
        let place = world.place().join("disk");
        fs::create_dir(&place).unwrap();
        if !has_tool("mount") {
            return None;
        }
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(&place);
        if !mount.output().is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting needs root");
            return None;
        }
        Some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn a_full_disk_is_told_in_plain_words_and_loses_nothing(engine: Engine) {
    let world = World::new(engine);
    let Some(disk) = SmallDisk::mounted(&world, "24m") else { return };
    let mut alice = world.nowhere("alice");
    alice.home = disk.0.join("alice");
    alice.init(&["--no-passphrase"]);
    alice.start();
    // Some of what is left is taken, so that it fills soon.
    let value = "x".repeat(200_000);
    let mut kept = 0;
    let refused = loop {
        let outcome = alice.types_with(&format!("set thing/t{kept}/a --json"), &value);
        match outcome.json() {
            Ok(_) => kept += 1,
            Err(refused) => break refused,
        }
        if kept == 20 {
            fs::write(disk.0.join("other"), vec![0; 12 << 20]).ok();
        }
        assert!(kept < 400, "24 MiB never fill");
    };
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.message.contains("disk is full"), "{refused:?}");
    // It goes on, or it ended and said why; either way what it acknowledged is there once there is room.
    fs::remove_file(disk.0.join("other")).ok();
    if alice.tries("status").is_err() {
        let (exit, said) = alice.ended();
        assert_eq!(exit, 1, "{said}");
        assert!(said.contains("disk is full") && !said.contains("panicked"), "{said}");
    } else {
        alice.stop();
    }
    fs::remove_file(disk.0.join("other")).ok();
    alice.start();
    for number in [0, kept / 2, kept - 1] {
        assert_eq!(alice.get(&format!("thing/t{number}/a")).as_str().map(str::len), Some(200_000));
    }
    assert_eq!(alice.items("list thing --limit 1000").len(), kept);
    alice.does("set contact/me/city=Paris");
    assert_eq!(alice.get("contact/me/city"), "Paris");
    alice.stop();
    drop(disk);
}

/// The library that moves a process's clock.
fn faketime() -> Option<String> {
    let places = [
        "/usr/lib/x86_64-linux-gnu/faketime",
        "/usr/lib/aarch64-linux-gnu/faketime",
        "/usr/lib/faketime",
        "/usr/lib64/faketime",
    ];
    let found = places.iter().map(|place| format!("{place}/libfaketime.so.1")).find(|path| fs::metadata(path).is_ok());
    if found.is_none() {
        println!("skipped: faketime is not installed");
    }
    found
}

/// Starts its daemon with a clock that is this far off.
fn start_at(node: &mut Node, library: &str, offset: &str) {
    node.environment = vec![
        ("LD_PRELOAD".to_owned(), library.to_owned()),
        ("FAKETIME".to_owned(), offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ];
    node.start();
}

fn a_clock_that_runs_ahead_is_named_and_nothing_of_it_is_believed(engine: Engine) {
    let Some(library) = faketime() else { return };
    let world = World::new(engine);
    let (mut alice, shop, names) = alice_and_shop(&world);
    alice.does("grant shop contact/me/city --purpose care --yes");
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    alice.stop();
    start_at(&mut alice, &library, "+1h");
    alice.does("set contact/me/city=Lyon");
    let named = eventually("the shop's doctor names the clock", 30, || {
        shop.does("sync");
        let checks = shop.types("doctor --json").said();
        let checks: serde_json::Value = serde_json::from_str(checks.lines().next()?).ok()?;
        checks["checks"].as_array()?.iter().find(|check| check["name"] == "clock" && check["ok"] == false).cloned()
    });
    assert!(named["detail"].to_string().contains(&names.inviter), "{named}");
    // The clock is set right: everything goes on by itself.
    alice.stop();
    alice.environment.clear();
    alice.start();
    shop.awaits("contact/me/city", &names.inviter, "Lyon");
}

fn a_lease_and_an_end_are_kept_when_the_clock_moves_on(engine: Engine) {
    let Some(library) = faketime() else { return };
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    let from = names.inviter.clone();
    alice.does("grant shop contact/me/city --purpose care --until 30d --yes");
    alice.does("grant shop contact/me/email --purpose care --until 3d --yes");
    alice.does("grant shop contact/me/street --purpose care --until 30d --lease 30d --yes");
    for (field, value) in [("city", "Paris"), ("email", "alice@example.org"), ("street", "3 rue des Lilas")] {
        shop.awaits(&format!("contact/me/{field}"), &from, value);
    }
    alice.stop();
    shop.stop();
    // Eight days later, and Alice is away: past the default lease of a week, and past the end of three days.
    start_at(&mut shop, &library, "+8d");
    assert_eq!(shop.reads("contact/me/city", &from).unwrap_err().code, "lease_over");
    assert_eq!(shop.reads("contact/me/email", &from).unwrap_err().code, "expired");
    assert_eq!(shop.reads("contact/me/street", &from).unwrap(), "3 rue des Lilas");
    // She comes back, eight days later too.
    start_at(&mut alice, &library, "+8d");
    shop.awaits("contact/me/city", &from, "Paris");
    assert_eq!(shop.reads("contact/me/email", &from).unwrap_err().code, "expired");
    assert_eq!(alice.items("grants --given").iter().filter(|grant| grant["state"] == "expired").count(), 1);
}

fn a_clock_that_was_turned_back_makes_no_lease_longer(engine: Engine) {
    let Some(library) = faketime() else { return };
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    let from = names.inviter.clone();
    alice.does("grant shop contact/me/city --purpose care --lease 10s --yes");
    shop.awaits("contact/me/city", &from, "Paris");
    alice.kill();
    let silent_since = Instant::now();
    shop.awaits_refusal("contact/me/city", &from, "lease_over");
    assert!(silent_since.elapsed() < Duration::from_secs(16));
    // An hour back: the node knows when it last heard, and does not begin to read again because of it.
    shop.stop();
    start_at(&mut shop, &library, "-1h");
    let answer = shop.reads("contact/me/city", &from);
    let checks = shop.types("doctor --json").said();
    assert!(answer.is_err() || checks.contains("doctor-clock"), "{answer:?}\n{checks}");
}

fn ctrl_c_in_the_middle_of_an_import_leaves_whole_records(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let file = world.place().join("many.csv");
    let mut text = "date;amount;text\n".to_owned();
    for row in 0..60_000 {
        text.push_str(&format!("2026-01-{:02};{row},50;payment {row}\n", row % 28 + 1));
    }
    fs::write(&file, text).unwrap();
    let line = format!("import {} --kind transaction", file.display());
    let mut importing = alice.begins(&format!("{line} --json"));
    until("some of it is in", 60, || !importing.is_alive() || alice.does("status")["records"].as_u64() > Some(0));
    importing.signal("INT");
    let (exit, _) = importing.end();
    assert!(exit == 130 || exit == 0, "{exit}: {}", importing.complaints());
    // Whatever came in is whole, and the same again brings the rest and nothing twice.
    for record in alice.items("list transaction --limit 50") {
        assert_eq!(record["fields"].as_array().map(Vec::len), Some(3), "{record}");
    }
    let again = alice.does(&line);
    assert_eq!(again["records"], 60_000, "{again}");
    assert_eq!(alice.does("status")["records"], 60_000);
}
