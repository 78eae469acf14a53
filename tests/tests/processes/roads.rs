//! How news finds its way: a hint through a third node, a changed address, a node that nobody can call.

use std::{fs, thread, time::Duration};

use allod_tests::process::{Engine, Node, Paired, Running, World, eventually, namespace::Network, pair, until};

use crate::lending::alice_and_shop;

on_both_engines![
    a_vendor_that_moved_calls_whom_it_could_not_tell,
    a_vendor_that_only_a_third_node_reaches_learns_of_a_change_by_a_hint,
    a_changed_address_is_told_and_used,
    a_person_that_nobody_can_call_lends_and_takes_back,
    both_transports_carry_all_of_it,
];

/// Waits until these two are connected.
fn until_online(node: &Node, peer: &str) {
    until("they are connected", 30, || node.does(&format!("peers show '{peer}'"))["online"] == true);
}

/// The event that a field of a peer's changed, in what a node watches.
fn hears_of_a_change(watching: &mut Running, peer: &str) {
    loop {
        let event = watching.next_json();
        if event["event"] == "field_changed" && event["peer"] == peer {
            return;
        }
    }
}

/// Waits until a command that watches does watch: a change of its own node's is its first event.
fn watching(node: &Node) -> Running {
    let mut watching = node.begins("watch --json");
    let mut ticks = 0..;
    eventually("it watches", 20, || {
        node.does(&format!("set thing/tick/a={}", ticks.next().expect("they do not end")));
        watching.line_now()
    });
    thread::sleep(Duration::from_millis(100));
    while watching.line_now().is_some() {}
    watching
}

/// The carrier hears from the shop because the shop has something to say to it.
fn joined(carrier: &Node, shop: &Node, carrier_at_shop: &str) {
    shop.does("set thing/shelf/a=1");
    shop.does(&format!("grant {carrier_at_shop} thing/shelf/a --purpose care --yes"));
    until_online(shop, carrier_at_shop);
    assert_eq!(carrier.does("status")["peers"]["online"].as_u64(), Some(2), "alice and the shop");
    // The gossip of a new neighbour begins with its next heartbeat.
    thread::sleep(Duration::from_millis(2_500));
}

/// A change that no direct way carries arrives by a hint, at the one that has a carrier and not at the one that has none.
fn only_a_hint_carries(alice: &Node, carrier: &Node, shop: &Node, lonely: &Node, names: &[Paired; 4]) {
    let [shop_names, lonely_names, _, carrier_of_shop] = names;
    joined(carrier, shop, &carrier_of_shop.inviter);
    for peer in [&shop_names.scanner, &lonely_names.scanner] {
        assert_eq!(alice.does(&format!("peers show {peer}"))["online"], false, "{peer}");
    }
    let mut at_shop = watching(shop);
    let mut at_lonely = watching(lonely);
    let told = alice.does("set contact/me/city=Lyon")["told"].clone();
    assert!(
        told.as_array().is_some_and(|told| told.len() == 2 && told.iter().all(|one| one["state"] == "queued")),
        "{told}"
    );
    hears_of_a_change(&mut at_shop, &shop_names.inviter);
    assert_eq!(shop.reads("contact/me/city", &shop_names.inviter).unwrap(), "Lyon");
    let missed = at_lonely.line_now();
    assert!(missed.is_none(), "nothing can tell the other one: {missed:?}");
    assert_eq!(alice.does(&format!("peers show {}", lonely_names.scanner))["due"], 1);
}

fn a_vendor_that_moved_calls_whom_it_could_not_tell(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    let mut shop = world.vendor("shop");
    alice.does("set contact/me/city=Paris");
    let names = pair(&alice, &shop);
    alice.does(&format!("grant {} contact/me/city --purpose care --yes", names.scanner));
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    // It is elsewhere when it starts again, and Alice calls it where it was.
    shop.stop();
    until("alice has noticed", 20, || alice.does("status")["peers"]["online"] == 0);
    shop.listen = shop.listen.iter().map(|address| address.replace("/400", "/500")).collect();
    shop.start();
    until_online(&alice, &names.scanner);
    alice.does("set contact/me/city=Lyon");
    shop.awaits("contact/me/city", &names.inviter, "Lyon");
}

fn a_vendor_that_only_a_third_node_reaches_learns_of_a_change_by_a_hint(engine: Engine) {
    let Some(network) = Network::new(4) else { return };
    let world = World::new(engine);
    let started = |name: &str, kind: &str, host: usize| {
        let mut node = world.home(name, kind);
        // TCP alone: to a firewall, a datagram between two ports that spoke lately is still the same conversation.
        node.listen = vec![format!("/ip4/{}/tcp/4001", network.address(host))];
        node.inside = network.inside(host);
        node.started()
    };
    let alice = started("alice", "person", 0);
    let carrier = started("carrier", "vendor", 1);
    let (mut shop, mut lonely) = (started("shop", "vendor", 2), started("lonely", "vendor", 3));
    alice.does("set contact/me/city=Paris");
    let names = [pair(&alice, &shop), pair(&alice, &lonely), pair(&alice, &carrier), pair(&carrier, &shop)];
    for (vendor, names) in [(&shop, &names[0]), (&lonely, &names[1])] {
        alice.does(&format!("grant {} contact/me/city --purpose care --yes", names.scanner));
        vendor.awaits("contact/me/city", &names.inviter, "Paris");
    }
    until("use is reported", 20, || alice.items("used").len() >= 2);
    // From now on Alice's host reaches neither of them; they reach hers.
    network.forbid_calls(0, &[2, 3]);
    for vendor in [&mut shop, &mut lonely] {
        vendor.stop();
        vendor.start();
    }
    until("alice has noticed", 20, || alice.does("status")["peers"]["online"] == 1);
    only_a_hint_carries(&alice, &carrier, &shop, &lonely, &names);
}

fn a_changed_address_is_told_and_used(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    alice.does("grant shop contact/me/city --purpose care --yes");
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    alice.stop();
    alice.listen = alice.listen.iter().map(|address| address.replace("/4001", "/6001")).collect();
    alice.start();
    until_online(&alice, "shop");
    until("the shop knows", 20, || {
        shop.does(&format!("peers show {}", names.inviter))["addresses"].to_string().contains("/6001")
    });
    // The shop comes back elsewhere and has something to say: it calls Alice where she is.
    shop.stop();
    shop.listen = shop.listen.iter().map(|address| address.replace("/4002", "/6002")).collect();
    shop.start();
    shop.does(&format!("ask {} contact/me/email --purpose care", names.inviter));
    until("the ask arrives", 30, || alice.items("asks --in").len() == 1);
    until("alice knows", 20, || alice.does("peers show shop")["addresses"].to_string().contains("/6002"));
    assert_eq!(shop.items("asks --out").len(), 1);
}

fn a_person_that_nobody_can_call_lends_and_takes_back(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.home("alice", "person");
    alice.listen.clear();
    let settings = alice.home.join("config.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let lines: Vec<&str> =
        text.lines().map(|line| if line.starts_with("listen") { "listen = []" } else { line }).collect();
    fs::write(&settings, lines.join("\n")).unwrap();
    let mut alice = alice.started();
    let mut shop = world.vendor("shop");
    assert_eq!(alice.refused("invite --yes").exit, 1);
    let names = pair(&shop, &alice);
    alice.does("set contact/me/city=Paris");
    alice.does(&format!("grant {} contact/me/city --purpose care --yes", names.inviter));
    shop.awaits("contact/me/city", &names.scanner, "Paris");
    // Each comes back in turn; Alice finds the shop again by herself.
    shop.crash();
    alice.does("set contact/me/city=Lyon");
    shop.awaits("contact/me/city", &names.scanner, "Lyon");
    alice.crash();
    until_online(&alice, &names.inviter);
    alice.does(&format!("revoke {} --yes", names.inviter));
    shop.awaits_refusal("contact/me/city", &names.scanner, "revoked");
    let peer = shop.does(&format!("peers show {}", names.scanner));
    assert_eq!(peer["addresses"], serde_json::json!([]), "{peer}");
}

fn both_transports_carry_all_of_it(engine: Engine) {
    for keep in ["/tcp/", "/quic-v1"] {
        let world = World::new(engine);
        let node = |name: &str, kind: &str| {
            let mut node = world.home(name, kind);
            node.listen.retain(|address| address.contains(keep));
            node.started()
        };
        let (alice, shop) = (node("alice", "person"), node("shop", "vendor"));
        alice.does("set contact/me/city=Paris");
        let names = pair(&alice, &shop);
        let grant = crate::lending::lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
        shop.awaits("contact/me/city", &names.inviter, "Paris");
        alice.does(&format!("revoke {grant}"));
        shop.awaits_refusal("contact/me/city", &names.inviter, "revoked");
    }
}
