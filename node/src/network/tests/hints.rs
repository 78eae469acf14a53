//! Gossip: hints that arrive, and floods that do not.

use super::raw::Raw;
use super::wire::Wire;
use super::*;

impl Node {
    async fn next_hint(&mut self) -> (u8, u16) {
        self.until("hint", |event| match event {
            NetworkEvent::Hint { topic, bytes } => {
                assert_eq!(bytes.len(), limits::HINT_BYTES);
                Some((*topic, u16::from_be_bytes([bytes[0], bytes[1]])))
            }
            _ => None,
        })
        .await
    }

    /// Hints until none comes any more.
    async fn all_hints(&mut self) -> Vec<(u8, u16)> {
        let mut hints = Vec::new();
        while let Ok(hint) = tokio::time::timeout(Duration::from_millis(500), self.next_hint()).await {
            hints.push(hint);
        }
        hints
    }
}

/// Publishes, again and again until one arrives: a subscription takes a moment to be known, and no event tells.
async fn hint_arrives(from: &mut Node, to: &mut Node, topic: u8) {
    for mark in 0..100 {
        from.publish(topic, 10_000 + mark).await;
        if let Ok((came_in, _)) = tokio::time::timeout(Duration::from_millis(100), to.next_hint()).await {
            assert_eq!(came_in, topic);
            return;
        }
    }
    panic!("no hint in ten seconds");
}

/// A node that listens to all topics, and a raw peer that knows it.
async fn carrier_and_raw() -> (Node, Link, Raw) {
    let mut node = Node::carrier(TCP).await;
    let mut raw = Raw::connected(&node.addresses[0]).await;
    let link = node.link_up().await;
    raw.subscribed("/allod/mail/63").await;
    (node, link, raw)
}

#[tokio::test]
async fn two_nodes_alone_give_each_other_hints_over_tcp_and_over_quic() {
    for transport in [TCP, QUIC] {
        let (mut alice, _, mut shop, _) = linked(transport).await;
        shop.subscribe(&[7]).await;
        alice.subscribe(&[9]).await;
        hint_arrives(&mut alice, &mut shop, 7).await;
        hint_arrives(&mut shop, &mut alice, 9).await;
    }
}

#[tokio::test]
async fn two_persons_who_only_know_the_same_carrier_get_each_others_hints() {
    let mut carrier = Node::carrier(QUIC).await;
    let (mut alice, mut bob) = (Node::listening(&[]).await, Node::listening(&[]).await);
    for (node, topic) in [(&mut alice, 3), (&mut bob, 61)] {
        node.dial(&carrier.addresses.clone()).await.expect("connects");
        node.subscribe(&[topic]).await;
        carrier.link_up().await;
    }
    hint_arrives(&mut alice, &mut bob, 61).await;
    hint_arrives(&mut bob, &mut alice, 3).await;
}

#[tokio::test]
async fn a_hint_that_nobody_listens_to_is_no_error_and_one_published_twice_comes_once() {
    let (mut alice, _, mut shop, _) = linked(TCP).await;
    alice.publish(5, 1).await;
    shop.subscribe(&[5]).await;
    hint_arrives(&mut alice, &mut shop, 5).await;
    shop.all_hints().await;
    for _ in 0..3 {
        alice.publish(5, 2).await;
    }
    assert_eq!(shop.all_hints().await, [(5, 2)]);
}

#[tokio::test]
async fn a_topic_that_is_no_longer_wanted_brings_no_more_hints() {
    let (mut alice, _, mut shop, _) = linked(TCP).await;
    shop.subscribe(&[5]).await;
    hint_arrives(&mut alice, &mut shop, 5).await;
    shop.subscribe(&[6]).await;
    hint_arrives(&mut alice, &mut shop, 6).await;
    alice.publish(5, 1).await;
    alice.publish(6, 2).await;
    assert_eq!(shop.all_hints().await.last(), Some(&(6, 2)));
}

#[tokio::test]
async fn a_burst_of_two_hundred_hints_arrives_whole() {
    for transport in [TCP, QUIC] {
        let mut shop = Node::carrier(transport).await;
        let mut alice = Node::listening(&[]).await;
        alice.dial(&shop.addresses).await.unwrap();
        hint_arrives(&mut alice, &mut shop, 1).await;
        shop.all_hints().await;
        let publish = async {
            for mark in 0..200 {
                alice.publish(1, mark).await;
            }
        };
        let (_, mut hints) = tokio::join!(publish, shop.all_hints());
        hints.sort();
        assert_eq!(hints, (0..200).map(|mark| (1, mark)).collect::<Vec<_>>());
        hint_arrives(&mut alice, &mut shop, 2).await;
    }
}

#[tokio::test]
async fn a_carrier_listens_to_all_topics_at_once() {
    let (mut node, _, raw) = carrier_and_raw().await;
    for number in 0..limits::MAIL_TOPICS {
        raw.publish(&format!("/allod/mail/{number:02}"), hint(u16::from(number)));
    }
    let mut hints = node.all_hints().await;
    hints.sort();
    assert_eq!(hints, (0..limits::MAIL_TOPICS).map(|number| (number, u16::from(number))).collect::<Vec<_>>());
}

#[tokio::test]
async fn three_junk_hints_and_a_neighbour_is_not_heard_any_more() {
    let topic = "/allod/mail/01";
    let sizes = [limits::HINT_BYTES - 1, limits::HINT_BYTES + 1, limits::HINT_ENCODED_MAX_BYTES + 1];
    let (mut node, _, raw) = carrier_and_raw().await;
    raw.publish(topic, hint(1));
    assert_eq!(node.next_hint().await, (1, 1));
    for size in sizes {
        raw.publish(topic, vec![7; size]);
    }
    raw.publish(topic, hint(2));
    assert_eq!(node.all_hints().await, [], "the good one is no longer believed");
    let mut other = Raw::connected(&node.addresses[0]).await;
    other.subscribed(topic).await;
    other.publish(topic, hint(3));
    assert_eq!(node.next_hint().await, (1, 3), "another neighbour is");
}

#[tokio::test]
async fn messages_in_topics_we_never_wanted_are_not_ours_and_cost_no_trust() {
    let mut node = Node::listening(&[TCP]).await;
    node.subscribe(&[1]).await;
    let mut raw = Raw::connected(&node.addresses[0]).await;
    raw.subscribed("/allod/mail/01").await;
    raw.subscribe("/other".to_owned());
    for junk in 0..200u16 {
        raw.publish("/other", junk.to_be_bytes().to_vec());
    }
    raw.publish("/allod/mail/01", hint(1));
    assert_eq!(node.next_hint().await, (1, 1));
    assert!(node.all_hints().await.is_empty());
}

#[tokio::test]
async fn a_message_over_the_rpc_cap_harms_nobody_else() {
    let (mut node, _, raw) = carrier_and_raw().await;
    raw.publish("/allod/mail/01", vec![1; limits::GOSSIP_RPC_MAX_BYTES + 1]);
    let mut other = Raw::connected(&node.addresses[0]).await;
    other.subscribed("/allod/mail/01").await;
    other.publish("/allod/mail/01", hint(3));
    assert_eq!(node.all_hints().await, [(1, 3)]);
}

#[tokio::test]
async fn hints_over_a_neighbours_rate_are_ignored_and_others_are_heard() {
    let (mut node, _, raw) = carrier_and_raw().await;
    let started = std::time::Instant::now();
    let burst = limits::HINTS_BURST as u16;
    for mark in 0..burst * 2 {
        raw.publish("/allod/mail/01", hint(mark));
    }
    let heard = node.all_hints().await.len();
    let refilled = (started.elapsed().as_secs() as usize + 1) * limits::HINTS_PER_SECOND as usize;
    // The driver keeps half of the event channel for what matters more: under a flood some within the rate go too.
    assert!(heard <= burst as usize + refilled, "{heard} heard");
    let mut other = Raw::connected(&node.addresses[0]).await;
    other.subscribed("/allod/mail/02").await;
    other.publish("/allod/mail/02", hint(9));
    assert!(node.all_hints().await.contains(&(2, 9)));
}

#[tokio::test]
async fn a_stranger_that_floods_is_cut_and_a_proven_peer_is_silenced() {
    for proven in [false, true] {
        let (mut node, link, mut raw) = carrier_and_raw().await;
        if proven {
            node.protect(link).await;
        }
        let flood = limits::HINTS_BURST + limits::HINTS_OVERDRAWN_MAX + 1000;
        for mark in 0..flood as u16 {
            raw.publish("/allod/mail/01", hint(mark));
        }
        if !proven {
            node.link_down(link).await;
            let next = Node::listening(&[]).await.dial(&node.addresses).await;
            assert_eq!(next, Err(DialFailure::Unreachable), "its address waits");
            continue;
        }
        node.all_hints().await;
        raw.publish("/allod/mail/02", hint(1));
        assert!(node.all_hints().await.is_empty(), "silent for a while, even within the rate");
        let request = raw.request(Channel::Session, vec![1]).await;
        let (over, exchange, _, _) = node.asked().await;
        assert_eq!(over, link);
        node.answer(exchange, vec![2]).await;
        assert_eq!(raw.answer(request).await, Ok(Some(vec![2])), "and yet served");
    }
}

#[tokio::test]
async fn when_too_many_hints_come_strangers_with_many_are_silenced_and_those_with_few_are_heard() {
    let listen = vec![TCP.to_owned()];
    let config = NetworkConfig { listen, carry_for_others: true, ..NetworkConfig::default() };
    let many = limits::HINTS_HEAVY * 2;
    let seats = Seats { hints: Pace { burst: many * 2, per_second: 0 }, ..Seats::default() };
    let mut node = Node::seated(config, seats).await;
    let mut peers = Vec::new();
    // One that says a little, one that says much, and one that says as much and is proven.
    for proven in [false, false, true] {
        let mut raw = Raw::connected(&node.addresses[0]).await;
        let link = node.link_up().await;
        if proven {
            node.protect(link).await;
        }
        raw.subscribed("/allod/mail/02").await;
        peers.push(raw);
    }
    let [few, heavy, proven] = &peers[..] else { unreachable!("three were made") };
    for (number, raw) in [heavy, proven].into_iter().enumerate() {
        for mark in 0..many as u16 {
            raw.publish("/allod/mail/01", hint(mark + number as u16 * 1_000));
            // One by one: the driver keeps half of the event channel for what matters more.
            node.until("hint", |event| matches!(event, NetworkEvent::Hint { .. }).then_some(())).await;
        }
    }
    // The next is one too many: whoever said much has said its last for a while.
    heavy.publish("/allod/mail/01", hint(5_000));
    assert!(node.all_hints().await.is_empty());
    heavy.publish("/allod/mail/01", hint(5_001));
    few.publish("/allod/mail/02", hint(1));
    proven.publish("/allod/mail/02", hint(2));
    let mut heard = node.all_hints().await;
    heard.sort_unstable();
    assert_eq!(heard, [(2, 1), (2, 2)]);
}

#[tokio::test]
async fn a_neighbour_that_reads_nothing_delays_no_other() {
    let (mut slow, mut quick) = (Node::carrier(TCP).await, Node::listening(&[TCP]).await);
    quick.subscribe(&[2]).await;
    let wire = Wire::to(&slow.addresses[0]).await;
    let mut node = Node::listening(&[]).await;
    node.dial(std::slice::from_ref(&wire.address)).await.unwrap();
    hint_arrives(&mut node, &mut slow, 1).await;
    node.dial(&quick.addresses).await.unwrap();
    wire.freeze();
    for mark in 0..limits::GOSSIP_QUEUE_MESSAGES as u16 * 3 {
        node.publish(1, mark).await;
    }
    hint_arrives(&mut node, &mut quick, 2).await;
}
