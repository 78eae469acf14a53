//! Backup and restore: what comes back, when nothing does, and what is left when something goes wrong.

use std::{
    fs::{self, File, Permissions},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use allod_crypto::backup::BACKUP_HEADER_BYTES;
use allod_tests::process::{Engine, Node, Outcome, World, canary, control, pair, until};
use serde_json::Value;

use super::{
    home::sealed_home,
    lending::{alice_and_shop, lent},
};

on_both_engines![
    everything_of_one_moment_comes_back_on_either_engine,
    a_backup_that_was_changed_or_cut_is_refused_and_leaves_nothing,
    a_restore_that_was_cut_off_is_begun_again,
    a_backup_shows_one_moment_while_writes_go_on,
    no_canary_is_in_a_backup_or_in_the_home_that_comes_of_it,
    a_person_whose_disk_died_goes_on_with_her_vendors,
    what_was_lent_waits_for_the_peer_and_for_its_person,
    a_vendor_whose_disk_died_gets_what_is_lent_to_it,
];

/// A value that alone is nearly a part.
fn long_value(world: &World) -> PathBuf {
    let path = world.place().join("long");
    fs::write(&path, "long ".repeat(50_000)).unwrap();
    path
}

/// A node with some parts of records.
fn with_records(world: &World, name: &str) -> Node {
    let node = world.person(name);
    let long = long_value(world);
    for number in 0..4 {
        node.does(&format!("set note/{number}/text:text=@{}", long.display()));
    }
    node.does("set contact/me/city=Paris contact/me/name=Ana");
    node
}

/// The records, as an export shows them.
fn records(node: &Node) -> Value {
    let document: Value = serde_json::from_str(&node.types("export").good().said()).unwrap();
    document["records"].clone()
}

/// Makes a home of a backup, without a passphrase; the words come by stdin.
fn restored(to: &Node, backup: &Path, words: &str, engine: Engine) -> Outcome {
    let line = format!("restore {} --no-passphrase --engine {} --json", backup.display(), engine.word());
    to.types_with(&line, words)
}

fn state_of(node: &Node, peer: &str) -> String {
    node.does(&format!("peers show {peer}"))["state"].as_str().unwrap().to_owned()
}

/// A home is lost, and put back in another place, by a node that can be dialled where the lost one was.
fn put_back(world: &World, mut lost: Node, backup: &Path, engine: Engine) -> Node {
    lost.kill();
    fs::remove_dir_all(&lost.home).unwrap();
    let mut back = world.nowhere("back");
    back.listen.clone_from(&lost.listen);
    restored(&back, backup, &lost.phrase, engine).json().unwrap();
    back.start();
    back
}

fn a_person_whose_disk_died_goes_on_with_her_vendors(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    alice.does("set contact/me/phone=1");
    let give = |field: &str| lent(&alice.does(&format!("grant shop contact/me/{field} --purpose care --yes")));
    let (kept, taken) = (give("city"), give("phone"));
    shop.awaits("contact/me/phone", from, "1");
    let file = world.place().join("alice.backup");
    alice.does(&format!("backup {}", file.display()));
    alice.does(&format!("revoke {taken} --yes"));
    alice.does("set contact/me/city=Lyon");
    give("email");
    shop.awaits("contact/me/email", from, "alice@example.org");

    let back = put_back(&world, alice, &file, engine);
    until("the shop was heard", 30, || back.tries("resume shop --yes").is_ok());
    assert_eq!(state_of(&back, "shop"), "paired");
    // As of the backup, but for what was taken back since, and what was lent since.
    shop.awaits("contact/me/city", from, "Paris");
    for gone in ["phone", "email"] {
        shop.awaits_refusal(&format!("contact/me/{gone}"), from, "revoked");
    }
    let grants = back.items("grants --given");
    let state = |id: &str| grants.iter().find(|grant| grant["grant"] == id).map(|grant| grant["state"].clone());
    assert_eq!((state(&kept), state(&taken)), (Some("active".into()), Some("revoked".into())));
    back.does("set contact/me/city=Nice");
    shop.awaits("contact/me/city", from, "Nice");
    for node in [&back, &shop] {
        assert_eq!(node.does("log --verify")["ok"], true);
    }
    let twice = back.refused("resume shop --yes");
    assert_eq!((twice.exit, twice.code.as_str()), (1, "conflict"));
}

fn what_was_lent_waits_for_the_peer_and_for_its_person(engine: Engine) {
    let world = World::new(engine);
    let (alice, mut shop, names) = alice_and_shop(&world);
    let given = lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    shop.does("set offer/one/price=9");
    shop.does(&format!("grant '{}' offer/one/price --purpose care --yes", names.inviter));
    alice.awaits("offer/one/price", "shop", "9");
    let file = world.place().join("alice.backup");
    alice.does(&format!("backup {}", file.display()));
    shop.stop();
    let back = put_back(&world, alice, &file, engine);
    assert_eq!(state_of(&back, "shop"), "restored");
    let refused = back.refused("resume shop --yes");
    assert_eq!((refused.exit, refused.code.as_str()), (8, "unreachable"));
    let refused = back.refused("grant shop contact/me/email --purpose care --yes");
    assert_eq!((refused.exit, refused.code.as_str()), (1, "conflict"));
    // What the shop lends may have been taken back since.
    let refused = back.reads("offer/one/price", "shop").unwrap_err();
    assert_eq!((refused.exit, refused.code.as_str()), (5, "lease_over"));
    let doctor = String::from_utf8(back.types("doctor --json").stdout).unwrap();
    assert!(doctor.contains("doctor-peers-restored"), "{doctor}");
    assert_eq!(back.items("grants --given")[0]["state"], "suspended");
    // Taking back needs nobody.
    back.does(&format!("revoke {given} --yes"));
    shop.start();
    shop.awaits_refusal("contact/me/city", &names.inviter, "revoked");
    back.awaits("offer/one/price", "shop", "9");
    until("nothing waits any more", 20, || state_of(&back, "shop") == "paired");
}

fn a_vendor_whose_disk_died_gets_what_is_lent_to_it(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    alice.does("grant shop contact/me/city --purpose care --yes");
    shop.awaits("contact/me/city", from, "Paris");
    let file = world.place().join("shop.backup");
    shop.does(&format!("backup {}", file.display()));
    alice.does("grant shop contact/me/email --purpose care --yes");
    shop.awaits("contact/me/email", from, "alice@example.org");
    let back = put_back(&world, shop, &file, engine);
    alice.does("set contact/me/city=Lyon");
    back.awaits("contact/me/city", from, "Lyon");
    back.awaits("contact/me/email", from, "alice@example.org");
    assert_eq!(state_of(&back, from), "paired");
    assert!(alice.items("log shop").iter().any(|entry| entry["kind"] == "Resumed"));
}

/// Where each part of a backup begins, and its end.
fn parts(backup: &[u8]) -> Vec<usize> {
    let mut starts = vec![BACKUP_HEADER_BYTES];
    while let Some(length) = backup[starts[starts.len() - 1]..].first_chunk() {
        starts.push(starts[starts.len() - 1] + 4 + u32::from_le_bytes(*length) as usize);
    }
    assert_eq!(starts.last(), Some(&backup.len()));
    starts
}

fn everything_of_one_moment_comes_back_on_either_engine(engine: Engine) {
    let world = World::new(engine);
    let alice = with_records(&world, "alice");
    let mut shop = world.vendor("shop");
    pair(&alice, &shop);
    alice.does("set contact/me/city=Lyon");
    alice.does("set contact/former/city=Nice");
    alice.does("remove contact/former --yes");
    let (then, versions) = (records(&alice), alice.items("history contact/me/city"));
    let file = world.place().join("alice.backup");
    let made = alice.does(&format!("backup {}", file.display()));
    let about = fs::metadata(&file).unwrap();
    assert_eq!((made["records"].as_u64(), made["bytes"].as_u64()), (Some(5), Some(about.len())));
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let left = fs::read_dir(&alice.home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["config.toml", "control.sock", "lock", "log", "ports.toml", "store", "vault"]);
    // Afterwards: none of it is in the backup.
    alice.does("set contact/me/city=Nantes contact/later/city=Brest");
    alice.does("remove note/0 --yes");

    // Which of several nodes with one past is the one, no peer could tell.
    shop.stop();
    let second = world.place().join("second.pass");
    fs::write(&second, "second horse battery\n").unwrap();
    let words = world.place().join("words");
    fs::write(&words, format!("{}\n", alice.phrase.replacen(' ', "\n", 5).to_uppercase())).unwrap();
    for to in [Engine::Sled, Engine::Redb] {
        let mut back = world.nowhere(&format!("back-{}", to.word()));
        let line = format!(
            "restore {} --phrase-file {} --passphrase-file {} --engine {}",
            file.display(),
            words.display(),
            second.display(),
            to.word()
        );
        let said = back.does(&line);
        assert_eq!((said["records"].as_u64(), said["peers"].as_u64()), (Some(5), Some(1)));
        assert_eq!((&said["at"], said["name"].as_str()), (&made["at"], Some("alice")));
        assert_eq!(said["home"], back.home.display().to_string());
        for (name, expected) in [("vault", 0o600), ("config.toml", 0o600), ("store", 0o700), ("log", 0o700)] {
            let mode = fs::metadata(back.home.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected, "{name}");
        }
        let refused = Outcome::of(&mut back.daemon_command(), b"").json().unwrap_err();
        assert_eq!(refused.exit, 6, "it opens by its own passphrase");
        back.run_with = vec!["--passphrase-file".to_owned(), second.display().to_string()];
        back.start();
        assert_eq!(records(&back), then);
        assert_eq!(back.items("history contact/me/city"), versions);
        assert_eq!(back.does("status")["store"]["engine"], to.word());
        assert_eq!(back.items("peers").len(), 1);
        assert_eq!(back.does("log --verify")["ok"], true);
        // It is a home like any other: it can be written, backed up, and locked.
        back.does("set contact/me/city=Rennes");
        back.does(&format!("backup {}", world.place().join(format!("again-{}", to.word())).display()));
        back.crash();
        assert_eq!(back.get("contact/me/city"), "Rennes");
        back.stop();
        let again = restored(&back, &file, &alice.phrase, to).json().unwrap_err();
        assert_eq!((again.exit, again.code.as_str()), (1, "already_exists"));
    }
}

fn a_backup_that_was_changed_or_cut_is_refused_and_leaves_nothing(engine: Engine) {
    let world = World::new(engine);
    let alice = with_records(&world, "alice");
    let bob = world.person("bob");
    let place = world.place().join("backups");
    fs::create_dir(&place).unwrap();
    let backup_of = |node: &Node, name: &str| {
        let path = place.join(name);
        node.does(&format!("backup {}", path.display()));
        fs::read(path).unwrap()
    };
    let (whole, other) = (backup_of(&alice, "whole"), backup_of(&alice, "other"));
    let (starts, others) = (parts(&whole), parts(&other));
    let count = starts.len() - 1;
    assert!(count >= 4, "{count} parts");
    let changed = |at: usize| {
        let mut file = whole.clone();
        file[at] ^= 0x10;
        file
    };
    let part = |number: usize| &whole[starts[number]..starts[number + 1]];
    let header = &whole[..BACKUP_HEADER_BYTES];
    let cases = [
        ("the version", changed(8)),
        ("the id", changed(12)),
        ("what the header seals", changed(60)),
        ("the header's sum", changed(BACKUP_HEADER_BYTES - 1)),
        ("a part's length", changed(starts[1] + 1)),
        ("a part's beginning", changed(starts[0] + 10)),
        ("a part's middle", changed(starts[1] + 100_000)),
        ("the last byte", changed(whole.len() - 1)),
        ("the last part missing", whole[..starts[count - 1]].to_vec()),
        ("cut in a part", whole[..starts[2] + 1_000].to_vec()),
        ("the header alone", header.to_vec()),
        ("two parts exchanged", [header, part(0), part(2), part(1), &whole[starts[3]..]].concat()),
        ("a part twice", [&whole[..starts[2]], part(1), &whole[starts[2]..]].concat()),
        ("a part of another backup", [&whole[..starts[1]], &other[others[1]..others[2]], &whole[starts[2]..]].concat()),
        ("bytes behind it", [&whole[..], b"more"].concat()),
    ];
    let (nowhere, file) = (world.nowhere("nowhere"), place.join("case"));
    for (case, bytes) in cases {
        fs::write(&file, bytes).unwrap();
        let refused = restored(&nowhere, &file, &alice.phrase, engine).json().unwrap_err();
        assert_eq!((refused.exit, refused.code.as_str()), (7, "damaged"), "{case}: {refused:?}");
        assert!(!nowhere.home.exists(), "{case}: something is left");
    }
    for (case, words, exit, code) in [
        ("whole", bob.phrase.as_str(), 6, "locked"),
        ("whole", "twelve words", 1, "invalid"),
        ("missing", &alice.phrase, 4, "not_found"),
        ("", &alice.phrase, 1, "failed"),
    ] {
        let refused = restored(&nowhere, &place.join(case), words, engine).json().unwrap_err();
        assert_eq!((refused.exit, refused.code.as_str()), (exit, code), "{case}: {refused:?}");
        assert!(!nowhere.home.exists(), "{case}: something is left");
    }
    fs::write(&file, b"ALLODVLT and more").unwrap();
    assert_eq!(restored(&nowhere, &file, &alice.phrase, engine).json().unwrap_err().code, "invalid");
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    if File::open(&file).is_err() {
        assert_eq!(restored(&nowhere, &file, &alice.phrase, engine).json().unwrap_err().code, "failed");
    }
    // A directory that was there stays, with nothing in it; one with other things in it is not touched.
    fs::create_dir(&nowhere.home).unwrap();
    fs::write(place.join("cut"), &whole[..starts[2]]).unwrap();
    assert_eq!(restored(&nowhere, &place.join("cut"), &alice.phrase, engine).exit, 7);
    assert_eq!(fs::read_dir(&nowhere.home).unwrap().count(), 0);
    fs::write(nowhere.home.join("thesis.tex"), "").unwrap();
    let refused = restored(&nowhere, &place.join("whole"), &alice.phrase, engine).json().unwrap_err();
    assert_eq!(refused.code, "conflict");
    fs::remove_file(nowhere.home.join("thesis.tex")).unwrap();
    restored(&nowhere, &place.join("whole"), &alice.phrase, engine).good();
}

fn a_restore_that_was_cut_off_is_begun_again(engine: Engine) {
    let world = World::new(engine);
    let alice = with_records(&world, "alice");
    let (file, pipe, words) = (world.place().join("file"), world.place().join("pipe"), world.place().join("words"));
    alice.does(&format!("backup {}", file.display()));
    fs::write(&words, &alice.phrase).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bytes = fs::read(&file).unwrap();
    let most = parts(&bytes)[3] + 10;
    let mut back = world.nowhere("back");
    for signal in ["KILL", "INT", "TERM", "KILL"] {
        let line = format!(
            "restore {} --phrase-file {} --no-passphrase --engine {}",
            pipe.display(),
            words.display(),
            engine.word()
        );
        let mut restoring = back.begins(&line);
        let mut half = File::options().write(true).open(&pipe).unwrap();
        half.write_all(&bytes[..most]).unwrap();
        until("it is in the middle", 20, || back.home.join("store").exists() && back.home.join("unfinished").exists());
        restoring.signal(signal);
        let expected = [("KILL", 137), ("INT", 130), ("TERM", 143)].iter().find(|(name, _)| *name == signal).unwrap().1;
        assert_eq!(restoring.end().0, expected, "{signal}");
        drop(half);
        assert!(!back.home.join("vault").exists());
        let refused = Outcome::of(&mut back.daemon_command(), b"").json().unwrap_err();
        assert!(refused.message.contains("was interrupted"), "{refused:?}");
    }
    restored(&back, &file, &alice.phrase, engine).good();
    back.start();
    assert_eq!(records(&back), records(&alice));
}

fn a_backup_shows_one_moment_while_writes_go_on(engine: Engine) {
    const RECORDS: usize = 30;
    let world = World::new(engine);
    let alice = with_records(&world, "alice");
    let writes: Vec<Command> = (0..60)
        .map(|round| {
            // From the last to the first, so that a reader who goes through them in order would see two rounds.
            let fields = (0..RECORDS).rev().map(|number| format!("pair/{number}/a={round}"));
            let others = (0..RECORDS).map(|number| format!("pair/{number}/b={round}"));
            let arguments: Vec<String> = ["set".to_owned()].into_iter().chain(fields).chain(others).collect();
            alice.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let writer = thread::spawn(move || {
        for mut write in writes {
            Outcome::of(&mut write, b"").good();
        }
    });
    until("writes go on", 20, || alice.tries("get pair/0/a").is_ok());
    let files: Vec<PathBuf> = (0..4).map(|number| world.place().join(format!("{number}.backup"))).collect();
    for file in &files {
        alice.does(&format!("backup {}", file.display()));
    }
    assert!(!writer.is_finished(), "they went on meanwhile");
    writer.join().unwrap();
    let mut rounds = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let mut back = world.nowhere(&format!("back-{number}"));
        restored(&back, file, &alice.phrase, engine).good();
        back.start();
        let mut seen: Vec<String> = Vec::new();
        for record in 0..RECORDS {
            let values = back.items(&format!("get pair/{record}"));
            assert_eq!(values.len(), 2);
            seen.extend(values.iter().map(|item| item["value"].as_str().unwrap().to_owned()));
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "one round alone: {seen:?}");
        rounds.push(seen.remove(0).parse::<u32>().unwrap());
        assert_eq!(back.does("log --verify")["ok"], true);
    }
    assert!(rounds.is_sorted(), "{rounds:?}");
}

fn no_canary_is_in_a_backup_or_in_the_home_that_comes_of_it(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.nowhere("alice");
    alice.name = "Canaryalice".to_owned();
    alice.init(&["--no-passphrase"]);
    alice.start();
    let mut canaries = Vec::new();
    for number in 0..40 {
        let (value, field, id) = (
            format!("canary-value-{number:03}x"),
            format!("canaryfield{number:03}x"),
            format!("canary-id-{number:03}x"),
        );
        alice.types_with(&format!("set canarykind/{id}/{field}"), &format!("{value}\n")).good();
        canaries.extend([value, field, id]);
    }
    canaries.extend(["canarykind", "Canaryalice"].map(str::to_owned));
    canaries.extend(alice.phrase.split(' ').collect::<Vec<_>>().windows(3).map(|three| three.join(" ")));
    let place = world.place().join("backups");
    fs::create_dir(&place).unwrap();
    let file = place.join("alice.backup");
    alice.does(&format!("backup {}", file.display()));
    let back = world.nowhere("back");
    restored(&back, &file, &alice.phrase, engine).good();
    assert_eq!(canary::found(&place, &canaries), Vec::<String>::new());
    // The settings name the node.
    fs::remove_file(back.home.join("config.toml")).unwrap();
    assert_eq!(canary::found(&back.home, &canaries), Vec::<String>::new());
}

#[test]
fn a_backup_that_cannot_be_written_leaves_no_file_and_says_why() {
    let world = World::new(Engine::Sled);
    let alice = with_records(&world, "alice");
    let place = world.place().join("backups");
    fs::create_dir(&place).unwrap();
    let file = place.join("alice.backup");
    // No larger file may be written than a part.
    let plain = alice.command(&["backup", &file.display().to_string(), "--json"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 500; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    let refused = Outcome::of(&mut limited, b"").json().unwrap_err();
    assert!(refused.exit == 1 && refused.message.contains("could not be read or written"), "{refused:?}");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    let refused = alice.refused(&format!("backup {}", place.join("no/alice.backup").display()));
    assert_eq!((refused.exit, refused.code.as_str()), (4, "not_found"));
    // Like a device, and nobody misses it where this does not hold.
    let socket = world.place().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    for no_file in [&socket, &place] {
        for force in ["", " --force"] {
            let line = format!("backup {}{force}", no_file.display());
            assert_eq!(alice.refused(&line).code, "already_exists", "{line}");
        }
    }
    assert_eq!(alice.refused("backup -").exit, 2);
    fs::write(&file, "something else").unwrap();
    assert_eq!(alice.refused(&format!("backup {}", file.display())).code, "already_exists");
    assert_eq!(fs::read(&file).unwrap(), b"something else");
    alice.does(&format!("backup {} --force", file.display()));
    assert!(fs::read(&file).unwrap().starts_with(b"ALLODBAK"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
}

#[test]
fn a_home_with_a_passphrase_comes_back_without_one_or_under_another() {
    let world = World::new(Engine::Sled);
    let (mut alice, old) = sealed_home(&world);
    alice.start();
    alice.does("set contact/me/city=Paris");
    let file = world.place().join("alice.backup");
    alice.does(&format!("backup {}", file.display()));
    alice.stop();
    let mut back = world.nowhere("back");
    restored(&back, &file, &alice.phrase, Engine::Sled).good();
    back.start();
    assert_eq!(back.get("contact/me/city"), "Paris");
    back.stop();
    // Nothing of the old passphrase is in a home that another one opens.
    let mut other = world.nowhere("other");
    let new = world.place().join("new.pass");
    fs::write(&new, "new horse battery\n").unwrap();
    let line = format!("restore {} --passphrase-file {}", file.display(), new.display());
    other.types_with(&line, &alice.phrase).good();
    other.run_with = vec!["--passphrase-file".to_owned(), old];
    assert_eq!(Outcome::of(&mut other.daemon_command(), b"").json().unwrap_err().exit, 6);
    other.run_with = vec!["--passphrase-file".to_owned(), new.display().to_string()];
    other.start();
    assert_eq!(other.get("contact/me/city"), "Paris");
}

#[test]
fn a_locked_node_gives_no_backup() {
    let world = World::new(Engine::Sled);
    let (mut alice, _) = sealed_home(&world);
    alice.start();
    alice.does("lock");
    let file = world.place().join("alice.backup");
    assert_eq!(alice.refused(&format!("backup {}", file.display())).exit, 6);
    assert!(!file.exists());
    alice.stop();
    assert_eq!(alice.refused(&format!("backup {}", file.display())).exit, 3);
}

#[test]
fn a_caller_who_dawdles_over_a_backup_holds_up_nobody() {
    let world = World::new(Engine::Sled);
    let alice = with_records(&world, "alice");
    let mut dawdler = control::connect(&alice);
    dawdler.write_all(b"GET /v1/backup HTTP/1.1\r\nhost: allod\r\n\r\n").unwrap();
    let mut first = [0; 15];
    dawdler.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    alice.does("set contact/me/city=Lyon");
    assert_eq!(alice.get("contact/me/city"), "Lyon");
    let file = world.place().join("alice.backup");
    let refused = alice.refused(&format!("backup {}", file.display()));
    assert_eq!(refused.code, "conflict", "one at a time, each as large as the store: {refused:?}");
    drop(dawdler);
    until("it is given up", 30, || alice.tries(&format!("backup {}", file.display())).is_ok());
}

#[test]
fn a_restore_without_words_or_a_passphrase_is_refused_at_once() {
    let world = World::new(Engine::Sled);
    let alice = world.person("alice");
    let file = world.place().join("alice.backup");
    alice.does(&format!("backup {}", file.display()));
    let nowhere = world.nowhere("nowhere");
    let refused = nowhere.refused(&format!("restore {}", file.display()));
    assert_eq!((refused.exit, refused.code.as_str()), (6, "locked"), "no terminal and no file for the passphrase");
    let refused = nowhere.refused(&format!("restore {} --no-passphrase", file.display()));
    assert_eq!((refused.exit, refused.code.as_str()), (1, "invalid"), "no words");
    let missing = world.place().join("missing");
    let refused =
        nowhere.refused(&format!("restore {} --no-passphrase --phrase-file {}", file.display(), missing.display()));
    assert_eq!(refused.exit, 4);
    assert!(!nowhere.home.exists());
    let said = nowhere.types_with(&format!("restore {} --no-passphrase", file.display()), &alice.phrase).good().said();
    assert!(said.contains("Next: allod run") && !said.contains("suspended"), "{said}");
}
