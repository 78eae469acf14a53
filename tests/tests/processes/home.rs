//! A home: its making, its vault, its one daemon, and what is said when something about it is wrong.

use std::{
    fs::{self, OpenOptions, Permissions},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use allod_crypto::Vault;
use allod_protocol::table::Table;
use allod_tests::process::{Engine, Node, Outcome, World, canary, memory::Memory, pair, raw_store::opened, until};
use serde_json::Value;

on_both_engines![
    a_home_is_private_and_made_once,
    a_passphrase_opens_it_and_a_wrong_one_is_refused_at_once,
    a_locked_node_answers_nothing_until_it_is_unlocked,
    a_locked_node_has_no_key_in_its_memory,
    the_phrase_sets_a_new_passphrase_when_the_old_one_is_forgotten,
    a_second_daemon_is_refused_and_the_first_goes_on,
    a_lock_that_was_removed_lets_no_second_daemon_in,
    a_node_whose_home_is_gone_from_its_place_stops,
    a_control_socket_that_was_removed_comes_back,
    a_home_of_a_newer_version_is_refused_untouched,
    a_damaged_store_is_told_in_plain_words,
    a_damaged_vault_is_told_in_plain_words,
    a_node_ends_in_order_when_it_is_told_to,
    without_a_node_every_command_says_so,
    a_node_with_nothing_in_it_refuses_as_its_table_says,
];

/// A file with a passphrase, for its owner alone.
fn passphrase_file(world: &World, name: &str, text: &str) -> String {
    let path = world.place().join(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// A home that a passphrase opens, and the file with it.
pub(super) fn sealed_home(world: &World) -> (Node, String) {
    let file = passphrase_file(world, "old.pass", "correct horse battery");
    let mut alice = world.nowhere("alice");
    alice.init(&["--passphrase-file", &file]);
    alice.run_with = vec!["--passphrase-file".to_owned(), file.clone()];
    (alice, file)
}

/// How its daemon ends, which does not become ready.
fn refused_start(node: &Node) -> (i32, Value) {
    let outcome = Outcome::of(&mut node.daemon_command(), b"");
    let error = outcome.stderr.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let error = error.unwrap_or_else(|| panic!("no JSON error: {outcome}"));
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    (outcome.exit, error["error"].clone())
}

/// Every file below a directory with its content, except the lock.
fn content(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = canary::files(directory);
    all.retain(|(path, _)| path.file_name().is_some_and(|name| name != "lock"));
    all.sort();
    all
}

fn a_home_is_private_and_made_once(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.home("alice", "person");
    alice.start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&alice.home), 0o700);
    for (name, expected) in
        [("vault", 0o600), ("config.toml", 0o600), ("control.sock", 0o600), ("store", 0o700), ("log", 0o700)]
    {
        assert_eq!(mode(&alice.home.join(name)), expected, "{name}");
    }
    let words: Vec<&str> = alice.phrase.split(' ').collect();
    assert_eq!(words.len(), 24);
    let before = content(&alice.home.join("vault").parent().unwrap().join("store"));
    let again = alice.refused("init --name other --no-passphrase");
    assert_eq!((again.exit, again.code.as_str()), (1, "already_exists"));
    assert_eq!(content(&alice.home.join("store")), before);
    // No terminal, no file: no wait.
    let nowhere = world.nowhere("nobody");
    let refused = nowhere.refused("init --name nobody");
    assert_eq!((refused.exit, refused.code.as_str()), (6, "locked"));
    assert!(!nowhere.home.exists());
    // A home that others may enter is not used.
    alice.stop();
    fs::set_permissions(&alice.home, Permissions::from_mode(0o755)).unwrap();
    let (exit, error) = refused_start(&alice);
    assert_eq!(exit, 1, "{error}");
    fs::set_permissions(&alice.home, Permissions::from_mode(0o700)).unwrap();
    alice.start();
    assert_eq!(alice.does("status")["vault"], "open");
}

fn a_passphrase_opens_it_and_a_wrong_one_is_refused_at_once(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, _) = sealed_home(&world);
    let wrong = passphrase_file(&world, "wrong.pass", "wrong horse battery");
    let right = std::mem::replace(&mut alice.run_with, vec!["--passphrase-file".to_owned(), wrong]);
    let (exit, error) = refused_start(&alice);
    assert_eq!((exit, error["code"].as_str()), (6, Some("locked")));
    alice.run_with = vec!["--passphrase-file".to_owned(), "missing.pass".to_owned()];
    assert_eq!(refused_start(&alice).0, 6);
    alice.run_with = Vec::new();
    let (exit, error) = refused_start(&alice);
    assert_eq!((exit, error["code"].as_str()), (6, Some("locked")), "no terminal, no file: refused at once");
    alice.run_with = right;
    alice.start();
    alice.does("set contact/me/city=Paris");
    alice.crash();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

fn a_locked_node_answers_nothing_until_it_is_unlocked(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, file) = sealed_home(&world);
    alice.start();
    alice.does("set contact/me/city=Paris");
    alice.does("lock");
    assert_eq!(alice.does("status")["vault"], "sealed");
    for line in ["get contact/me/city", "set contact/me/city=Lyon", "list", "peers", "grants", "log", "export"] {
        let refused = alice.types(&format!("{line} --json"));
        let error = refused.json().unwrap_err();
        assert_eq!((error.exit, error.code.as_str()), (6, "locked"), "{line}");
    }
    let wrong = passphrase_file(&world, "wrong.pass", "wrong horse battery");
    assert_eq!(alice.refused(&format!("unlock --passphrase-file {wrong}")).exit, 6);
    assert_eq!(alice.refused("unlock").exit, 6);
    alice.does(&format!("unlock --passphrase-file {file}"));
    assert_eq!(alice.get("contact/me/city"), "Paris");
    alice.does("lock");
    let phrase = alice.phrase.clone();
    alice.types_with("unlock --from-phrase", &format!("{phrase}\n")).good();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

/// A home's vault, opened by its passphrase.
fn vault_of(node: &Node, passphrase: &str) -> Vault {
    let file = Vault::read(&fs::read(node.home.join("vault")).unwrap()).unwrap();
    file.unlock_passphrase(passphrase.as_bytes()).unwrap()
}

fn a_locked_node_has_no_key_in_its_memory(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, file) = sealed_home(&world);
    alice.start();
    let shop = world.vendor("shop");
    pair(&alice, &shop);
    for number in 0..40 {
        alice.does(&format!("set contact/{number}/city=Paris"));
    }
    alice.does("grant shop contact/1/city --purpose DeliveryOfGoods --yes");
    shop.awaits("contact/1/city", "alice", "Paris");
    let Some(open) = Memory::of(alice.process()) else {
        println!("skipped: the memory of another process is not ours to read");
        return;
    };
    alice.does("lock");
    let locked = Memory::of(alice.process()).unwrap();
    alice.does(&format!("unlock --passphrase-file {file}"));
    assert_eq!(alice.get("contact/1/city"), "Paris");
    alice.stop();
    // What the keys are, as the home gives them to who knows the passphrase. Their second halves: into the first half of a piece of memory
    // that was freed the allocator writes.
    let vault = vault_of(&alice, "correct horse battery");
    let buckets = (0..=255).map(|bucket| vault.bucket(bucket).key().expose()[16..].to_vec());
    let of_the_vault: Vec<_> = buckets.chain([vault.index_key().expose()[16..].to_vec()]).collect();
    let tables = [Table::FieldKeys, Table::EntryKeys, Table::HintKeys];
    let rows = tables.into_iter().flat_map(|table| opened(&alice, engine, &vault, table));
    let of_rows: Vec<_> = rows.map(|row| row[16..32].to_vec()).collect();
    assert!(of_rows.len() >= 4, "a field's key, two entries' and one of hints");
    let there = open.places_of(&of_the_vault).iter().filter(|places| !places.is_empty()).count();
    assert!(there >= 256, "while it is open its keys are there, and found: {there}");
    for (whose, keys) in [("the vault's", of_the_vault), ("rows'", of_rows)] {
        let left = locked.places_of(&keys);
        let left: Vec<_> = left.iter().enumerate().filter(|(_, places)| !places.is_empty()).collect();
        assert!(left.is_empty(), "{whose} keys that are still there: {left:#?}");
    }
    // It came in a file; one that comes over the socket passes through buffers of the HTTP library, which wipes nothing.
    let passphrase = locked.places_of(&[b"correct horse battery".to_vec()]);
    assert!(passphrase[0].is_empty(), "the passphrase is there after it was used: {passphrase:?}");
}

fn the_phrase_sets_a_new_passphrase_when_the_old_one_is_forgotten(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, old) = sealed_home(&world);
    alice.start();
    alice.does("set contact/me/city=Paris");
    // While it runs, by the old one.
    let second = passphrase_file(&world, "second.pass", "second horse battery");
    let line = format!("passphrase --passphrase-file {old} --new-passphrase-file {second}");
    alice.types(&line).good();
    assert_eq!(
        alice.types(&format!("{line} --json")).json().unwrap_err().exit,
        6,
        "the old one opens nothing any more"
    );
    alice.stop();
    assert_eq!(refused_start(&alice).0, 6);
    // Forgotten, and no node runs: by the 24 words.
    let third = passphrase_file(&world, "third.pass", "third horse battery");
    let line = format!("passphrase --from-phrase --new-passphrase-file {third}");
    let mut wrong: Vec<&str> = alice.phrase.split(' ').collect();
    wrong.swap(0, 1);
    for phrase in [wrong.join(" "), "abandon abandon".to_owned(), String::new()] {
        let refused = alice.types_with(&format!("{line} --json"), &format!("{phrase}\n"));
        assert_ne!(refused.exit, 0, "{refused}");
    }
    let phrase = alice.phrase.clone();
    alice.types_with(&line, &format!("{phrase}\n")).good();
    alice.run_with = vec!["--passphrase-file".to_owned(), third];
    alice.start();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

fn a_second_daemon_is_refused_and_the_first_goes_on(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    let process = alice.process();
    let (exit, error) = refused_start(&alice);
    assert_eq!(exit, 1, "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(&process.to_string())), "{error}");
    assert_eq!(alice.get("contact/me/city"), "Paris");
    // A daemon that was killed leaves nothing that keeps the next one out.
    alice.crash();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

fn a_home_of_a_newer_version_is_refused_untouched(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    alice.stop();
    let settings = alice.home.join("config.toml");
    let text = fs::read_to_string(&settings).unwrap();
    assert!(text.contains("format = 1"), "{text}");
    fs::write(&settings, text.replace("format = 1", "format = 999\nnews = \"of tomorrow\"")).unwrap();
    let before = content(&alice.home);
    let (exit, error) = refused_start(&alice);
    assert_eq!(exit, 1);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("newer")), "{error}");
    assert_eq!(content(&alice.home), before);
    fs::write(&settings, text).unwrap();
    alice.start();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

/// The file that holds the store's rows.
fn data_file(node: &Node, engine: Engine) -> PathBuf {
    let store = node.home.join("store");
    let largest = content(&store).into_iter().max_by_key(|(_, bytes)| bytes.len());
    let path = largest.expect("the store has files").0;
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(engine == Engine::Sled || name.contains("redb"), "{name}");
    path
}

fn a_damaged_store_is_told_in_plain_words(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    let many: Vec<String> = (0..200).map(|i| format!("thing/t{i}/a=value-{i}")).collect();
    alice.does(&format!("set {}", many.join(" ")));
    alice.stop();
    let file = data_file(&alice, engine);
    let whole = fs::read(&file).unwrap();
    let damages: [(&str, &dyn Fn()); 4] = [
        ("emptied", &|| fs::write(&file, b"").unwrap()),
        ("cut in half", &|| fs::write(&file, &whole[..whole.len() / 2]).unwrap()),
        ("overwritten with noise", &|| {
            let noise: Vec<u8> =
                (0..whole.len()).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect();
            fs::write(&file, noise).unwrap();
        }),
        ("gone", &|| fs::remove_file(&file).unwrap()),
    ];
    for (what, damage) in damages {
        damage();
        let (exit, error) = refused_start(&alice);
        assert_eq!((exit, error["code"].as_str()), (7, Some("damaged")), "{what}: {error}");
        assert!(
            error["try"].as_str().is_some_and(|attempt| attempt.contains("a copy of this home made earlier")),
            "{what}: {error}"
        );
        fs::write(&file, &whole).unwrap();
    }
    // Single bytes: it starts and every value that it shows is right, or it says that it is damaged. Nothing in between.
    let step = whole.len() / 12;
    for place in (step..whole.len() - 1).step_by(step) {
        let handle = OpenOptions::new().write(true).open(&file).unwrap();
        handle.write_all_at(&[whole[place] ^ 0x40], place as u64).unwrap();
        drop(handle);
        starts_right_or_says_damaged(&mut alice, place);
        fs::write(&file, &whole).unwrap();
    }
    alice.start();
    assert_eq!(alice.get("thing/t7/a"), "value-7");
}

fn starts_right_or_says_damaged(alice: &mut Node, place: usize) {
    let mut daemon = allod_tests::process::Running::start(&mut alice.daemon_command());
    let Some(_) = daemon.first_line() else {
        assert_eq!(daemon.end().0, 7, "byte {place}: {}", daemon.complaints());
        return;
    };
    for i in (0..200).step_by(40) {
        match alice.tries(&format!("get thing/t{i}/a")) {
            Ok(answer) => assert_eq!(answer["items"][0]["value"], format!("value-{i}"), "byte {place}"),
            Err(refused) => assert!(
                refused.code == "damaged" || !daemon.is_alive(),
                "byte {place}: {refused:?}\n{}",
                daemon.complaints()
            ),
        }
    }
    daemon.kill();
}

fn a_damaged_vault_is_told_in_plain_words(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    alice.stop();
    let file = alice.home.join("vault");
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [Vec::new(), whole[..whole.len() - 1].to_vec(), flipped] {
        fs::write(&file, &damaged).unwrap();
        let (exit, error) = refused_start(&alice);
        assert_eq!((exit, error["code"].as_str()), (7, Some("damaged")), "{error}");
    }
    fs::remove_file(&file).unwrap();
    assert_ne!(refused_start(&alice).0, 0);
    fs::write(&file, &whole).unwrap();
    alice.start();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

fn a_node_ends_in_order_when_it_is_told_to(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    let (exit, said) = alice.stop();
    assert_eq!(exit, 0, "{said}");
    assert!(!alice.home.join("control.sock").exists());
    alice.start();
    assert_eq!(alice.does("stop")["stopped"], true);
    assert_eq!(alice.ended().0, 0);
    // `stop` answers when the next daemon can start.
    alice.start();
    alice.daemon().signal("INT");
    assert_eq!(alice.ended().0, 130);
    alice.start();
    assert_eq!(alice.get("contact/me/city"), "Paris");
    // What waits for the node hears that it stops.
    let mut waiting = alice.begins("invite --yes --json");
    waiting.next_json();
    let mut watching = alice.begins("watch --json");
    until("it watches", 20, || watching.is_alive());
    alice.does("stop");
    assert_ne!(waiting.end().0, 0);
    watching.end();
}

fn without_a_node_every_command_says_so(engine: Engine) {
    let world = World::new(engine);
    let alice = world.home("alice", "person");
    for line in [
        "status",
        "stop",
        "lock",
        "set a/b/c=1",
        "get a/b/c",
        "list",
        "history a/b/c",
        "remove a/b/c --yes",
        "export",
        "invite --yes",
        "accept ALLOD:AAAA --yes",
        "invitations",
        "peers",
        "sync",
        "forget x --yes",
        "ask x a/b/c --purpose care",
        "asks",
        "decline a-1",
        "answer a-1 --yes",
        "grant x a/b/c --purpose care --yes",
        "grants",
        "used",
        "revoke g-1",
        "access a/b/c",
        "log",
        "log --verify",
        "watch",
    ] {
        let refused = alice.refused(line);
        assert_eq!((refused.exit, refused.code.as_str()), (3, "not_running"), "{line}");
        let plain = alice.types(line);
        let lines: Vec<&str> = plain.stderr.trim_end().lines().collect();
        assert_eq!(lines.len(), 2, "{plain}");
        assert_eq!(lines[1], "try: allod run", "{plain}");
    }
    let nobody = world.nowhere("nobody");
    assert_eq!(nobody.refused("status").exit, 3);
}

fn a_node_with_nothing_in_it_refuses_as_its_table_says(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let rows: [(&str, i32, &str); 40] = [
        ("get contact/me/email", 4, "not_found"),
        ("get contact", 2, "usage"),
        ("get contact/me/email --from acme", 4, "not_found"),
        ("list Contact", 2, "usage"),
        ("history contact/me/email", 4, "not_found"),
        ("history contact/me", 2, "usage"),
        ("remove contact/me/email --yes", 4, "not_found"),
        ("remove contact/me", 2, "usage"),
        ("set contact/me=x", 2, "usage"),
        ("set contact/me/age:integer=seven", 1, "invalid"),
        ("set contact/me/age:number=7", 2, "usage"),
        ("set contact/me/id=x", 2, "usage"),
        ("set contact/*/city=x", 2, "usage"),
        ("set contact/me/city", 2, "usage"),
        ("import missing.vcf", 4, "not_found"),
        ("import .", 1, "failed"),
        ("accept hello --yes", 1, "invalid"),
        ("accept ALLOD: --yes", 1, "invalid"),
        ("accept --image missing.png --yes", 4, "not_found"),
        ("accept ALLOD:AAAA", 2, "usage"),
        ("invite", 2, "usage"),
        ("invite --expires 2h --yes", 2, "usage"),
        ("peers show acme", 4, "not_found"),
        ("peers rename acme shop", 4, "not_found"),
        ("sync acme", 4, "not_found"),
        ("forget acme --yes", 4, "not_found"),
        ("ask acme contact/me/email --purpose delivery", 4, "not_found"),
        ("ask acme contact/me/email --purpose fun", 2, "usage"),
        ("ask withdraw a-1", 4, "not_found"),
        ("asks show a-1", 4, "not_found"),
        ("answer a-1 --yes", 4, "not_found"),
        ("decline a-1", 4, "not_found"),
        ("grant acme contact/me/email --purpose delivery --yes", 4, "not_found"),
        ("grant acme contact/me/email --purpose delivery --lease 1s --yes", 2, "usage"),
        ("grants show g-1", 4, "not_found"),
        ("revoke g-1", 4, "not_found"),
        ("revoke acme contact/me/email", 4, "not_found"),
        ("access acme", 4, "not_found"),
        ("log acme", 4, "not_found"),
        ("used acme", 4, "not_found"),
    ];
    let mut wrong = Vec::new();
    for (line, exit, code) in rows {
        let refused = alice.refused(line);
        if (refused.exit, refused.code.as_str()) != (exit, code) {
            wrong.push(format!("{line}: not exit {exit} {code}, but {refused:?}"));
        }
        let plain = alice.types(line);
        let lines: Vec<&str> = plain.stderr.trim_end().lines().collect();
        let two = [refused.message.clone(), format!("try: {}", refused.attempt)];
        if plain.exit != refused.exit || lines.len() < 2 || lines[lines.len() - 2..] != two[..] {
            wrong.push(format!("{line}: the two lines are not those of the JSON\n{plain}\n{refused:?}"));
        }
        let french = alice.types(&format!("{line} --lang fr"));
        if french.exit != refused.exit || !french.stderr.contains("essayez\u{a0}: ") || french.stderr.contains("try: ")
        {
            wrong.push(format!("{line}: not in French\n{french}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing of all this left anything behind.
    for line in ["list", "peers", "grants", "asks", "invitations", "log"] {
        assert_eq!(alice.items(line), Vec::<Value>::new(), "{line}");
    }
}

fn a_lock_that_was_removed_lets_no_second_daemon_in(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    fs::remove_file(alice.home.join("lock")).unwrap();
    let (exit, error) = refused_start(&alice);
    assert_eq!(exit, 1, "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("in use by another running node")), "{error}");
    alice.does("set contact/me/street=Rivoli");
    alice.crash();
    assert_eq!(alice.get("contact/me/city"), "Paris");
    assert_eq!(alice.get("contact/me/street"), "Rivoli");
}

fn a_node_whose_home_is_gone_from_its_place_stops(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    let away = world.place().join("away");
    fs::rename(&alice.home, &away).unwrap();
    // What stands there now is another's, and nothing is written into it.
    fs::create_dir(&alice.home).unwrap();
    let (exit, said) = alice.ended();
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("node-home-moved") && said.contains("was moved, replaced or removed"), "{said}");
    assert_eq!(fs::read_dir(&alice.home).unwrap().count(), 0);
    fs::remove_dir(&alice.home).unwrap();
    fs::rename(&away, &alice.home).unwrap();
    alice.start();
    assert_eq!(alice.get("contact/me/city"), "Paris");
}

fn a_control_socket_that_was_removed_comes_back(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    fs::remove_file(alice.home.join("control.sock")).unwrap();
    until("it can be called again", 20, || alice.tries("status").is_ok());
    assert_eq!(alice.get("contact/me/city"), "Paris");
    assert_eq!(fs::metadata(alice.home.join("control.sock")).unwrap().permissions().mode() & 0o777, 0o600);
    let (exit, said) = alice.stop();
    assert_eq!(exit, 0, "{said}");
    assert!(!alice.home.join("control.sock").exists());
}
