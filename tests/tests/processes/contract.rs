//! The contract of the commands: the JSON keys of each, tables for people, both languages, and the control API behind them.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use allod_tests::process::{
    Engine, Node, Outcome, World,
    control::{answer, connect, request},
    eventually, has_tool, until,
};
use serde_json::{Value, json};

use crate::lending::{alice_and_shop, lent};

on_both_engines![
    each_answer_has_the_keys_that_the_contract_names,
    the_log_is_followed_and_cut_by_time,
    events_are_watched_as_they_happen,
    people_are_told_in_their_language,
    curl_at_the_control_socket,
    the_control_socket_refuses_what_it_should,
    ids_are_short_and_any_unambiguous_beginning_is_taken,
    help_completions_and_manual_are_there_without_a_home,
];

/// What is missing of these keys.
fn lacks(what: &str, value: &Value, keys: &str) -> Vec<String> {
    let missing = keys.split(' ').filter(|key| value.get(key).is_none());
    missing.map(|key| format!("{what}: no \"{key}\" in {value}")).collect()
}

fn each_answer_has_the_keys_that_the_contract_names(engine: Engine) {
    let world = World::new(engine);
    let mut wrong = Vec::new();
    let (alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    let mut check = |what: &str, value: &Value, keys: &str| wrong.extend(lacks(what, value, keys));

    let other = world.nowhere("other");
    let made = other.does("init --name other --no-passphrase");
    check("init", &made, "node name phrase home");
    let status = alice.does("status");
    check("status", &status, "name version uptime_s listen peers records fields grants due vault store rss_bytes");
    check("status.peers", &status["peers"], "paired online");
    check("status.grants", &status["grants"], "given held");
    check("status.store", &status["store"], "engine bytes");
    let doctor = alice.does("doctor");
    check("doctor", &doctor["checks"][0], "name ok detail try");
    let set = alice.does("set contact/me/phone=1");
    check("set", &set, "written told");
    check("set.written", &set["written"][0], "path version");
    check("get", &alice.items("get contact/me/city")[0], "path value type version at source");
    check("list", &alice.items("list")[0], "id kind fields at");
    assert_eq!(alice.items("list")[0]["id"], "contact/me");
    check("history", &alice.items("history contact/me/city")[0], "value source at");
    let file = allod_tests::process::root().join("tests/samples/vcard/v30-gmail.vcf");
    check(
        "import",
        &alice.does(&format!("import {} --dry-run", file.display())),
        "format records new changed unchanged skipped",
    );
    check("remove", &alice.does("remove contact/me/phone --yes"), "removed");
    let peer = alice.items("peers")[0].clone();
    check("peers", &peer, "peer kind calls_itself since online last_seen lease_until theirs mine state");
    check("peers.theirs", &peer["theirs"], "seq");
    check(
        "peers show",
        &alice.does("peers show shop"),
        "peer kind calls_itself since online last_seen lease_until theirs mine state",
    );
    let mut inviting = alice.begins("invite --yes --json");
    check("invite", &inviting.next_json(), "invitation expires");
    check("invitations", &alice.items("invitations").last().cloned().unwrap(), "expires state");
    alice.does("invitations cancel");
    inviting.end();

    let asked = shop
        .does(&format!("ask {from} contact/me/city --optional contact/me/street --purpose DeliveryOfGoods --until 5d"));
    check("ask", &asked, "ask state");
    let ask = eventually("the ask arrives", 20, || alice.items("asks --in").first().cloned());
    check("asks", &ask, "ask peer direction selectors purpose reason mode until terms state");
    check("asks.selectors", &ask["selectors"][0], "selector required");
    check(
        "asks show",
        &alice.does(&format!("asks show {}", ask["ask"].as_str().unwrap())),
        "ask peer direction selectors state",
    );
    let given = alice.does(&format!("answer {} --yes", ask["ask"].as_str().unwrap()));
    check("answer", &given, "grant peer selectors until lease_until told");
    check("answer.told", &given["told"][0], "peer state");
    check("asks.grant", &alice.items("asks --in")[0], "grant");
    let grant = alice.does("grant shop contact/me/email --purpose care --until 5d --yes");
    check("grant", &grant, "grant peer selectors until lease_until told");
    let keys = "grant peer direction selectors purpose mode from until lease_until state purge agreement";
    check("grants", &alice.items("grants --given")[0], keys);
    check("grants held", &shop.items("grants --held")[0], keys);
    check("grants show", &alice.does(&format!("grants show {}", lent(&grant))), keys);
    shop.awaits("contact/me/email", from, "alice@example.org");
    check(
        "get --from",
        &shop.items(&format!("get contact/me/email --from {from}"))[0],
        "path value type version at source peer grant",
    );
    check("list --from", &shop.items(&format!("list --from {from}"))[0], "id kind fields at");
    until("use is reported", 20, || !alice.items("used shop").is_empty());
    check("used", &alice.items("used shop")[0], "grant path count");
    check(
        "access path",
        &alice.items("access contact/me/email")[0],
        "grant peer direction selectors last_delivery last_use",
    );
    check("access peer", &alice.items("access shop")[0], "grant peer direction selectors last_delivery last_use");
    let entries = alice.items("log");
    check("log", &entries[0], "at peer direction log seq kind summary");
    let granted = entries.iter().find(|entry| entry["kind"] == "Granted").expect("it was granted");
    check("log of a grant", granted, "grant selectors");
    let verified = alice.does("log --verify");
    check("log --verify", &verified, "ok entries gaps heads");
    let taken = alice.does(&format!("revoke {}", lent(&grant)));
    check("revoke", &taken, "revoked still_lent told purge");
    check("revoke.revoked", &taken["revoked"][0], "grant selectors at delivered_through");
    let gone = alice.does("forget shop --yes");
    check("forget", &gone, "peer revoked told");
    check("stop", &alice.does("stop"), "stopped");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Times are RFC 3339, UTC; ids are short.
    assert!(entries[0]["at"].as_str().is_some_and(|at| at.ends_with('Z') && at.contains('T')), "{}", entries[0]);
    assert!(lent(&grant).starts_with("g-") && ask["ask"].as_str().unwrap().starts_with("a-"));
}

fn the_log_is_followed_and_cut_by_time(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let mut following = alice.begins("log shop --follow --json");
    let first = following.next_json();
    assert_eq!(first["peer"], "shop", "{first}");
    alice.does("grant shop contact/me/city --purpose care --yes");
    let granted = loop {
        let entry = following.next_json();
        if entry["kind"] == "Granted" {
            break entry;
        }
    };
    assert_eq!(granted["selectors"], json!(["contact/me/city"]));
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    following.signal("INT");
    assert_eq!(following.end().0, 130);

    let all = alice.items("log");
    let mark = granted["at"].as_str().unwrap();
    let since = alice.items(&format!("log --since {mark}"));
    assert!(!since.is_empty() && since.len() < all.len(), "{} of {}", since.len(), all.len());
    assert!(since.iter().all(|entry| entry["at"].as_str() >= Some(mark)), "{since:?}");
    assert_eq!(alice.items("log --since 1h").len(), all.len());
    assert_eq!(alice.items("log --since 2099-01-01").len(), 0);
    let limited = alice.does("log --limit 2");
    assert_eq!(limited["items"].as_array().map(Vec::len), Some(2));
    assert!(limited["next"].is_string(), "{limited}");
    // No value in it, ever.
    assert!(!serde_json::to_string(&all).unwrap().contains("Paris"));
    // Newest last.
    let times: Vec<_> = all.iter().map(|entry| entry["at"].as_str().unwrap().to_owned()).collect();
    let mut sorted = times.clone();
    sorted.sort();
    assert_eq!(times, sorted);
}

fn events_are_watched_as_they_happen(engine: Engine) {
    let world = World::new(engine);
    let (alice, mut shop, names) = alice_and_shop(&world);
    let mut watching = shop.begins("watch --json");
    let mut waits = alice.begins("watch --json");
    // Whoever watches hears what happens after it began: the first event that it hears says that it began.
    let mut ticks = 0..;
    let first = eventually("it watches", 20, || {
        alice.does(&format!("set contact/me/tick={}", ticks.next().unwrap()));
        waits.line_now()
    });
    assert!(first.contains("field_changed"), "{first}");
    let given = lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
    let granted = watching.line_with("\"granted\"");
    assert!(granted.contains(&given) && granted.contains("contact/me/city"), "{granted}");
    alice.does(&format!("revoke {given}"));
    watching.line_with("\"revoked\"");
    shop.does(&format!("ask {} contact/me/email --purpose care", names.inviter));
    waits.line_with("\"asked\"");
    watching.signal("INT");
    assert_eq!(watching.end().0, 130);
    shop.stop();
    waits.line_with("\"peer_offline\"");
    shop.start();
    waits.line_with("\"peer_online\"");
    // One that waits for an event ends with it.
    let mut until = alice.begins("watch --until revoked --json");
    alice.does("grant shop contact/me/city --purpose care --yes");
    eventually("it ends with its event", 20, || {
        alice.does("grant shop contact/me/email --purpose care --yes");
        alice.does("revoke shop --yes");
        (!until.is_alive()).then_some(())
    });
    assert_eq!(until.end().0, 0);
}

fn people_are_told_in_their_language(engine: Engine) {
    let world = World::new(engine);
    let (alice, _shop, _) = alice_and_shop(&world);
    let grant = lent(&alice.does("grant shop contact/me/city --purpose DeliveryOfGoods --until 5d --yes"));
    let lines = ["status", "peers", "list", "get contact/me", "grants", "log", "access contact/me/city", "doctor"];
    for line in lines {
        let english = alice.types(line).good().said();
        let french = alice.types(&format!("{line} --lang fr")).good().said();
        assert_ne!(english, french, "{line}");
        let locale = Outcome::of(alice.command(&line.split(' ').collect::<Vec<_>>()).env("LC_ALL", "fr_FR.UTF-8"), b"");
        assert_eq!(without_times(&locale.said()), without_times(&french), "{line}");
        // JSON is the same in each.
        if line != "status" && line != "doctor" && line != "peers" {
            let json = |lang: &str| alice.types(&format!("{line} --json --lang {lang}")).good().said();
            assert_eq!(json("en"), json("fr"), "{line}");
        }
        // Nobody is at a terminal: no colour, no movement.
        assert!(!english.contains('\u{1b}'), "{line}: {english:?}");
    }
    assert!(alice.types("grants").good().said().contains("Delivery of goods"));
    assert!(alice.types("grants --lang fr").good().said().contains("Livraison"));
    assert!(alice.types("peers show shop").good().said().contains("(unproven)"));
    // What taking back can't do is said where it is done.
    let taken = alice.types(&format!("revoke {grant}")).good().said();
    assert!(taken.contains("may be remembered"), "{taken}");
    assert!(!taken.to_lowercase().contains("erased"), "{taken}");
}

/// Minutes pass between two calls.
fn without_times(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

fn curl_at_the_control_socket(engine: Engine) {
    let world = World::new(engine);
    let (alice, _shop, _) = alice_and_shop(&world);
    if !has_tool("curl") {
        return;
    }
    let socket = alice.home.join("control.sock");
    let curl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("curl");
        command.args(["-sS", "--max-time", "20", "--unix-socket"]).arg(&socket).args(arguments);
        Outcome::of(&mut command, b"").good().said()
    };
    let parsed = |text: String| -> Value { serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")) };
    assert_eq!(parsed(curl(&["http://allod/v1/status"]))["name"], "alice");
    let body = r#"{"items":[{"path":"contact/me/city","text":"Lyon"}]}"#;
    let set = parsed(curl(&["-H", "content-type: application/json", "-d", body, "http://allod/v1/set"]));
    // Versions are counted for a record as a whole, and three of its fields were written before.
    assert_eq!(set["written"][0]["version"], 4, "{set}");
    let got = parsed(curl(&["http://allod/v1/fields?path=contact/me/city"]));
    assert_eq!(got["items"][0]["value"], "Lyon");
    let refused = parsed(curl(&["http://allod/v1/fields?path=contact/me/nothing"]));
    assert_eq!(refused["error"]["code"], "not_found", "{refused}");
    let code = curl(&["-o", "/dev/null", "-w", "%{http_code}", "http://allod/v1/fields?path=contact/me/nothing"]);
    assert_eq!(code, "404");
    let document = parsed(curl(&["http://allod/v1/openapi.json"]));
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{document}");
    // Events come as server-sent events.
    let mut watching = std::process::Command::new("curl");
    watching.args(["-sSN", "--unix-socket"]).arg(&socket).arg("http://allod/v1/watch");
    let mut watching = allod_tests::process::Running::start(&mut watching);
    let mut ticks = 0..;
    eventually("an event comes", 20, || {
        alice.does(&format!("set contact/me/tick={}", ticks.next().unwrap()));
        watching
            .line_now()
            .filter(|line| line.starts_with("id:") || line.starts_with("event:") || line.starts_with("data:"))
    });
}

fn the_control_socket_refuses_what_it_should(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let rows = [
        ("GET", "/v1/nothing", String::new(), 404, "not_found"),
        ("DELETE", "/v1/status", String::new(), 405, "usage"),
        ("POST", "/v1/set", "not JSON".to_owned(), 400, "usage"),
        ("POST", "/v1/set", r#"{"items":[],"extra":1}"#.to_owned(), 400, "usage"),
        ("POST", "/v1/set", r#"{"items":[{"path":"a/b/c"}]}"#.to_owned(), 400, "usage"),
        ("GET", "/v1/fields", String::new(), 400, "usage"),
        ("GET", "/v1/fields?path=a/b/c&color=red", String::new(), 400, "usage"),
        ("POST", "/v1/set", "x".repeat(2_000_000), 413, "too_large"),
    ];
    for (method, path, body, status, code) in rows {
        let response = request(&alice, method, path, &body);
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
        let error = &response.json()["error"];
        assert_eq!(error["code"], code, "{method} {path}: {error}");
        assert!(error["message"].is_string() && error["try"].is_string(), "{error}");
    }
    // A caller that sends its request a little at a time is cut off, and others are served meanwhile.
    let mut slow = connect(&alice);
    slow.write_all(
        b"POST /v1/set HTTP/1.1\r\nhost: allod\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    )
    .unwrap();
    let began = Instant::now();
    assert_eq!(alice.does("status")["name"], "alice");
    let cut = answer(&mut slow);
    assert!(cut.status == 408 || cut.status == 400, "{cut:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
    // Many callers at once are all served.
    let threads: Vec<_> = (0..24)
        .map(|i| {
            let mut command = alice.command(&["set", &format!("thing/t{i}/a=1"), "--json"]);
            std::thread::spawn(move || Outcome::of(&mut command, b"").exit)
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 0));
    assert_eq!(alice.items("list thing").len(), 24);
}

fn ids_are_short_and_any_unambiguous_beginning_is_taken(engine: Engine) {
    let world = World::new(engine);
    let (alice, _shop, _) = alice_and_shop(&world);
    let ids: Vec<String> =
        (0..3).map(|_| lent(&alice.does("grant shop contact/me/city --purpose care --yes"))).collect();
    let id = &ids[0];
    assert!(id.len() <= 14, "{id}");
    let unique = (3..=id.len())
        .map(|length| &id[..length])
        .find(|part| ids.iter().filter(|id| id.starts_with(*part)).count() == 1);
    assert_eq!(alice.does(&format!("grants show {}", unique.unwrap()))["grant"], id.as_str());
    let ambiguous = alice.refused("grants show g-");
    assert_eq!((ambiguous.exit, ambiguous.code.as_str()), (2, "usage"));
}

fn help_completions_and_manual_are_there_without_a_home(engine: Engine) {
    let world = World::new(engine);
    let nobody: Node = world.nowhere("nobody");
    for line in [
        "--help",
        "--version",
        "revoke --help",
        "completions bash",
        "completions fish",
        "man",
        "man revoke",
        "--help --lang fr",
    ] {
        let outcome = nobody.types(line);
        assert!(outcome.exit == 0 && outcome.stdout.len() > 5, "{outcome}");
    }
    let help = nobody.types("--help").said();
    assert!(help.contains("Unknown codes mean failure"), "{help}");
    assert!(nobody.types("set --help").said().to_lowercase().contains("history"), "set warns of the shell's history");
    let wrong = nobody.types("stauts");
    assert_eq!(wrong.exit, 2);
    assert!(wrong.stderr.contains("status"), "{wrong}");
    assert!(!nobody.home.exists());
}
