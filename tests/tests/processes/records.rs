//! Records: what is written, read, kept, removed; what comes in from files and goes out to one.

use std::{fs, path::PathBuf};

use allod_tests::process::{Engine, Node, World, root};
use serde_json::{Value, json};

on_both_engines![
    a_value_has_the_type_that_was_said_or_known_and_never_a_guess,
    values_come_from_stdin_and_from_files,
    all_of_a_set_is_written_or_nothing,
    history_keeps_every_version_and_removal_ends_it,
    every_sample_file_comes_in_and_coming_again_changes_nothing,
    an_export_comes_in_again_at_another_node_with_every_value,
    files_that_cannot_be_read_are_refused_in_plain_words,
    a_listing_has_pages,
    records_survive_a_kill_after_each_answer,
];

fn field(node: &Node, path: &str) -> Value {
    node.items(&format!("get {path}"))[0].clone()
}

fn a_value_has_the_type_that_was_said_or_known_and_never_a_guess(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let rows: [(&str, &str, Value, &str); 14] = [
        ("thing/a/text=42", "thing/a/text", json!("42"), "text"),
        ("thing/a/int:integer=42", "thing/a/int", json!(42), "integer"),
        ("thing/a/big:integer=9007199254740993", "thing/a/big", json!("9007199254740993"), "integer"),
        ("thing/a/dec:decimal=12.50", "thing/a/dec", json!("12.5"), "decimal"),
        ("thing/a/yes:boolean=true", "thing/a/yes", json!(true), "boolean"),
        ("thing/a/day:date=2026-02-28", "thing/a/day", json!("2026-02-28"), "date"),
        ("thing/a/then:instant=2026-02-28T10:00:00+01:00", "thing/a/then", json!("2026-02-28T09:00:00Z"), "instant"),
        ("thing/a/raw:bytes=AAEC", "thing/a/raw", json!("AAEC"), "bytes"),
        ("thing/a/raw=AP8=", "thing/a/raw", json!("AP8="), "bytes"),
        ("thing/a/list:list=[\"a\",1,true]", "thing/a/list", json!(["a", 1, true]), "list"),
        ("thing/a/list=[2]", "thing/a/list", json!([2]), "list"),
        ("thing/a/map:map={\"b\":1,\"a\":\"x\"}", "thing/a/map", json!({"a": "x", "b": 1}), "map"),
        ("transaction/t1/amount=42.00", "transaction/t1/amount", json!("42"), "decimal"),
        ("contact/me/birthday=1980-01-02", "contact/me/birthday", json!("1980-01-02"), "date"),
    ];
    for (set, path, value, kind) in rows {
        alice.does(&format!("set '{set}'"));
        let field = field(&alice, path);
        assert_eq!((&field["value"], &field["type"]), (&value, &kind.into()), "{set}: {field}");
    }
    // A field's present type stays.
    alice.does("set thing/a/int=43");
    assert_eq!(field(&alice, "thing/a/int")["value"], 43);
    for (wrong, code) in [
        ("thing/a/int=many", "invalid"),
        ("thing/a/x:integer=1.5", "invalid"),
        ("thing/a/x:date=2026-02-30", "invalid"),
        ("transaction/t1/amount=12,50", "invalid"),
        ("thing/a/x:list=[[1]]", "invalid"),
        ("thing/a/x:bytes=no Base64", "invalid"),
        ("thing/a/raw=no Base64", "invalid"),
        ("thing/a/id=5", "usage"),
        ("Thing/a/x=5", "usage"),
        ("thing/a=5", "usage"),
        ("thing/*/x=5", "usage"),
    ] {
        let refused = alice.refused(&format!("set '{wrong}'"));
        assert_eq!(refused.code, code, "{wrong}: {refused:?}");
    }
    assert_eq!(field(&alice, "thing/a/int")["value"], 43);
}

fn values_come_from_stdin_and_from_files(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    alice.types_with("set contact/me/note", "two\nlines\n").good();
    assert_eq!(alice.get("contact/me/note"), "two\nlines");
    alice.types_with("set contact/me/name contact/me/city", "Ana\nParis\n").good();
    assert_eq!((alice.get("contact/me/name"), alice.get("contact/me/city")), ("Ana".into(), "Paris".into()));
    let file = world.place().join("scan.bin");
    fs::write(&file, [0, 255, 1, 2]).unwrap();
    alice.does(&format!("set document/d/scan:bytes=@{}", file.display()));
    assert_eq!(field(&alice, "document/d/scan")["value"], "AP8BAg==");
    alice.does("set contact/me/handle=@@ana");
    assert_eq!(alice.get("contact/me/handle"), "@ana");
}

fn all_of_a_set_is_written_or_nothing(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    assert_eq!(alice.refused("set contact/me/city=Paris contact/me/age:integer=old").code, "invalid");
    assert_eq!(alice.refused("get contact/me/city").exit, 4);
    let written = alice.does("set contact/me/city=Paris contact/me/name=Ana");
    assert_eq!(written["written"].as_array().map(Vec::len), Some(2), "{written}");
    assert_eq!(written["told"], json!([]));
}

fn history_keeps_every_version_and_removal_ends_it(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    for city in ["Paris", "Lyon", "Nice"] {
        alice.does(&format!("set contact/me/city={city}"));
    }
    let history = alice.items("history contact/me/city");
    let mut seen: Vec<_> =
        history.iter().map(|version| (version["version"].as_u64(), version["value"].clone())).collect();
    seen.sort_by_key(|(version, _)| *version);
    assert_eq!(seen, [(Some(1), json!("Paris")), (Some(2), json!("Lyon")), (Some(3), json!("Nice"))]);
    assert!(history.iter().all(|version| version["source"].is_string() && version["at"].is_string()), "{history:?}");
    assert_eq!(alice.does("remove contact/me/city --yes")["removed"], 1);
    assert_eq!(alice.refused("history contact/me/city").exit, 4);
    assert_eq!(alice.refused("remove contact/me/city --yes").exit, 4);
    alice.does("set contact/me/a=1 contact/me/b=2 contact/you/a=3");
    assert_eq!(alice.does("remove contact/me --yes")["removed"], 2);
    assert_eq!(alice.items("list contact").len(), 1);
}

/// The sample files, each with the words that its import takes besides.
fn samples() -> Vec<(PathBuf, &'static str)> {
    let mut samples = Vec::new();
    for folder in ["vcard", "csv", "json"] {
        let files = fs::read_dir(root().join("tests/samples").join(folder)).expect("the samples are there");
        for file in files {
            let kind = if folder == "vcard" { "" } else { "--kind sample" };
            samples.push((file.unwrap().path(), kind));
        }
    }
    samples.sort();
    assert!(samples.len() >= 15, "{samples:?}");
    samples
}

fn every_sample_file_comes_in_and_coming_again_changes_nothing(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    for (file, options) in samples() {
        let line = format!("import {} {options}", file.display());
        let dry = alice.does(&format!("{line} --dry-run"));
        let first = alice.does(&line);
        let again = alice.does(&line);
        let records = first["records"].as_u64().unwrap();
        assert!(records > 0, "{line}: {first}");
        assert_eq!(dry["records"], first["records"], "{line}: {dry} and {first}");
        assert_eq!((first["new"].as_u64(), first["unchanged"].as_u64()), (Some(records), Some(0)), "{line}: {first}");
        let counts =
            (again["records"].as_u64(), again["new"].as_u64(), again["changed"].as_u64(), again["unchanged"].as_u64());
        assert_eq!(counts, (Some(records), Some(0), Some(0), Some(records)), "{line}: {again}");
        for skipped in first["skipped"].as_array().expect("a list") {
            assert!(skipped["where"].is_string() && skipped["why"].is_string(), "{line}: {skipped}");
        }
    }
}

fn an_export_comes_in_again_at_another_node_with_every_value(engine: Engine) {
    let world = World::new(engine);
    let (alice, other) = (world.person("alice"), world.person("other"));
    for (file, options) in samples() {
        alice.does(&format!("import {} {options}", file.display()));
    }
    alice.does(
        "set thing/a/int:integer=42 thing/a/day:date=2026-02-28 'thing/a/list:list=[1,true]' thing/a/raw:bytes=AAEC",
    );
    let file = world.place().join("all.json");
    alice.does(&format!("export --to {}", file.display()));
    let refused = alice.refused(&format!("export --to {}", file.display()));
    assert_eq!((refused.exit, refused.code.as_str()), (1, "already_exists"));
    let came = other.does(&format!("import {}", file.display()));
    assert_eq!(came["skipped"], json!([]), "{came}");
    let everything = |node: &Node| {
        let mut text = serde_json::from_slice::<Value>(&node.types("export").good().stdout).expect("JSON");
        strip_times(&mut text);
        let mut records = text["records"].as_array().expect("records").clone();
        records.sort_by_key(|record| record["record"].to_string());
        records
    };
    assert_eq!(everything(&alice), everything(&other));
    let again = other.does(&format!("import {}", file.display()));
    assert_eq!((&again["new"], &again["changed"]), (&json!(0), &json!(0)), "{again}");
    // One kind alone.
    let part: Value = serde_json::from_slice(&alice.types("export --kind thing").good().stdout).unwrap();
    assert!(part.to_string().contains("2026-02-28") && !part.to_string().contains("sample/"), "{part}");
}

/// Everything but who exported when, and which node's own versions and times there are.
fn strip_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["at", "exported_at", "version", "source", "node", "name", "exported"] {
                map.remove(key);
            }
            map.values_mut().for_each(strip_times);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_times),
        _ => {}
    }
}

fn files_that_cannot_be_read_are_refused_in_plain_words(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let write = |name: &str, bytes: &[u8]| {
        let path = world.place().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let rows = [
        (write("empty.vcf", b""), ""),
        (write("empty.json", b"[]"), ""),
        (write("header-only.csv", b"a;b;c\n"), "--kind thing"),
        (write("noise.bin", &[0, 159, 146, 150, 7, 8, 9]), ""),
        (write("broken.json", b"{\"a\": [1, 2"), ""),
        (write("no-card.vcf", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), ""),
    ];
    for (file, options) in &rows {
        let refused = alice.refused(&format!("import {file} {options}"));
        assert_eq!(refused.exit, 1, "{file}: {refused:?}");
        assert!(!refused.message.is_empty() && !refused.attempt.is_empty(), "{file}: {refused:?}");
        assert!(!refused.message.contains("panicked"), "{refused:?}");
    }
    assert_eq!(alice.refused("import nowhere.vcf").exit, 4);
    // One bad part of a good file is named, and --strict makes it a failure that writes nothing.
    let half =
        write("half.csv", b"date;amount;note\n2026-01-01;1,50;ok\n2026-01-02;2,50;\"broken\n2026-01-03;3,50;fine\n");
    let strict = alice.types(&format!("import {half} --kind thing --strict --json"));
    let lax = alice.types(&format!("import {half} --kind thing --json"));
    if let Ok(answer) = lax.json()
        && answer["skipped"].as_array().is_some_and(|skipped| !skipped.is_empty())
    {
        assert_eq!(strict.exit, 1, "{strict}");
    }
}

fn a_listing_has_pages(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let many: Vec<String> = (0..25).map(|i| format!("thing/t{i:02}/n:integer={i}")).collect();
    alice.does(&format!("set {}", many.join(" ")));
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = alice.does(&format!("list thing --limit 10{after}"));
        let items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= 10);
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!(" --after '{next}'"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), sorted.len()), (25, 25), "{seen:?}");
    assert_eq!(alice.refused("list thing --after nonsense").exit, 2);
}

fn records_survive_a_kill_after_each_answer(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.person("alice");
    for round in 0..6 {
        alice.does(&format!("set thing/t{round}/a=value-{round} thing/last/a=value-{round}"));
        alice.crash();
        for earlier in 0..=round {
            assert_eq!(alice.get(&format!("thing/t{earlier}/a")), format!("value-{earlier}").as_str());
        }
        assert_eq!(alice.get("thing/last/a"), format!("value-{round}").as_str());
    }
    let file = root().join("tests/samples/vcard/v40-all.vcf");
    let came = alice.does(&format!("import {}", file.display()));
    alice.crash();
    let again = alice.does(&format!("import {}", file.display()));
    assert_eq!((&again["new"], &again["unchanged"]), (&json!(0), &came["records"]), "{again}");
}
