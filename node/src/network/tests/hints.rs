//! Gossip.

use super::*;

/// Publishes, again and again until one arrives: a subscription takes a moment to be known, and no event tells.
async fn hint_arrives(from: &mut Node, to: &mut Node, topic: u8) {
    for mark in 0..100 {
        from.publish(topic, mark).await;
        let came = tokio::time::timeout(Duration::from_millis(100), to.next_hint()).await;
        if let Ok((came_in, bytes)) = came {
            assert_eq!((came_in, bytes.len()), (topic, limits::HINT_BYTES));
            return;
        }
    }
    panic!("no hint in ten seconds");
}

impl Node {
    async fn next_hint(&mut self) -> (u8, Vec<u8>) {
        self.until("hint", |event| match event {
            NetworkEvent::Hint { topic, bytes } => Some((*topic, bytes.clone())),
            _ => None,
        })
        .await
    }
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
