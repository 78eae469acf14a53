//! Limits on requests, streams and the memory of frames.

use super::raw::Raw;
use super::*;

/// Long enough to say that nothing more comes.
pub(super) const QUIET: Duration = Duration::from_millis(300);

async fn node_and_raw(transport: &str) -> (Node, Link, Raw) {
    let mut node = Node::listening(&[transport]).await;
    let raw = Raw::connected(&node.addresses[0]).await;
    let link = node.link_up().await;
    (node, link, raw)
}

impl Node {
    /// Requests until none comes any more.
    async fn all_asked(&mut self) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        while let Ok((_, exchange, _, _)) = tokio::time::timeout(QUIET, self.asked()).await {
            exchanges.push(exchange);
        }
        exchanges
    }

    async fn too_large(&mut self) -> (Link, Channel, u32) {
        self.until("too large", |event| match event {
            NetworkEvent::TooLarge { link, channel, announced_bytes } => Some((*link, *channel, *announced_bytes)),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn a_frame_at_the_cap_passes_and_one_over_it_names_its_link_and_leaves_the_link_up() {
    for transport in [TCP, QUIC] {
        let (mut node, link, mut raw) = node_and_raw(transport).await;
        for channel in [Channel::Pair, Channel::Session] {
            let cap = channel.frame_max_bytes();
            let request = raw.request(channel, vec![5; cap]).await;
            let (_, exchange, _, bytes) = node.asked().await;
            assert_eq!(bytes.len(), cap);
            node.answer(exchange, vec![6; cap]).await;
            assert!(raw.answer(request).await == Ok(Some(vec![6; cap])));
            for announced in [cap as u32 + 1, u32::MAX] {
                let request = raw.announce(channel, announced).await;
                assert_eq!(node.too_large().await, (link, channel, announced));
                assert_eq!(raw.answer(request).await, Ok(None), "declined");
            }
        }
    }
}

#[tokio::test]
async fn our_own_message_over_the_cap_never_leaves() {
    let (mut alice, out, mut shop, back) = linked(QUIC).await;
    for channel in [Channel::Pair, Channel::Session] {
        let errand = alice.request(out, channel, vec![0; channel.frame_max_bytes() + 1]).await;
        assert_eq!(alice.result(errand).await, Err(RequestFailure::TooLarge));
    }
    let errand = alice.request(out, Channel::Session, vec![1]).await;
    let (link, exchange, _, bytes) = shop.asked().await;
    assert_eq!((link, bytes), (back, vec![1]), "it is the first that comes");
    shop.answer(exchange, vec![0; Channel::Session.frame_max_bytes() + 1]).await;
    assert_eq!(alice.result(errand).await, Err(RequestFailure::Refused));
}

#[tokio::test]
async fn the_seventeenth_request_of_ours_is_busy_until_one_is_answered() {
    let (mut alice, out, mut shop, _) = linked(TCP).await;
    let mut errands = Vec::new();
    for _ in 0..limits::WINDOW_REQUESTS {
        errands.push(alice.request(out, Channel::Session, vec![1]).await);
    }
    let over = alice.request(out, Channel::Pair, vec![1]).await;
    assert_eq!(alice.result(over).await, Err(RequestFailure::Busy), "both channels share the window");
    let (_, exchange, _, _) = shop.asked().await;
    shop.answer(exchange, vec![2]).await;
    alice.until("answer", |event| matches!(event, NetworkEvent::Answered { .. }).then_some(())).await;
    let again = alice.request(out, Channel::Session, vec![3]).await;
    loop {
        let (_, exchange, _, bytes) = shop.asked().await;
        shop.answer(exchange, bytes.clone()).await;
        if bytes == [3] {
            break;
        }
    }
    assert_eq!(alice.result(again).await, Ok(vec![3]));
}

#[tokio::test]
async fn the_seventeenth_request_of_a_peer_is_refused_until_we_answered_one() {
    let (mut node, _, mut raw) = node_and_raw(TCP).await;
    for _ in 0..limits::WINDOW_EXCHANGES {
        raw.request(Channel::Session, vec![1]).await;
    }
    let mut asked = Vec::new();
    for _ in 0..limits::WINDOW_EXCHANGES {
        asked.push(node.asked().await.1);
    }
    let over = raw.request(Channel::Session, vec![2]).await;
    assert_eq!(raw.answer(over).await, Ok(None));
    node.send(NetworkCommand::Refuse { exchange: asked[0] }).await;
    raw.until(|noticed| matches!(noticed, super::raw::Noticed::Answer(..)).then_some(())).await;
    let again = raw.request(Channel::Session, vec![3]).await;
    let (_, exchange, _, bytes) = node.asked().await;
    assert_eq!(bytes, [3]);
    node.answer(exchange, vec![4]).await;
    assert_eq!(raw.answer(again).await, Ok(Some(vec![4])));
}

#[tokio::test]
async fn a_stream_over_the_limit_is_dropped_and_one_at_the_limit_is_served() {
    for (channel, streams) in [(Channel::Pair, limits::PAIR_STREAMS), (Channel::Session, limits::SESSION_STREAMS)] {
        let (mut node, _, mut raw) = node_and_raw(TCP).await;
        for _ in 0..streams - 1 {
            raw.hold(channel, 8).await;
        }
        let last = raw.request(channel, vec![1]).await;
        let (_, exchange, _, _) = node.asked().await;
        let over = raw.request(channel, vec![2]).await;
        assert_eq!(raw.answer(over).await.unwrap_or(None), None);
        node.answer(exchange, vec![3]).await;
        assert_eq!(raw.answer(last).await, Ok(Some(vec![3])));
    }
}

#[tokio::test]
async fn a_stranger_that_asks_too_often_is_refused_and_a_proven_peer_is_not() {
    // Each request is a stream; these are bounded apart.
    let mut node = Node::for_everybody().await;
    let mut raw = Raw::connected(&node.addresses[0]).await;
    let link = node.link_up().await;
    let mut refused = 0;
    for round in 0..limits::STRANGER_REQUESTS_BURST * 2 {
        let request = raw.request(Channel::Session, vec![1]).await;
        tokio::select! {
            (_, exchange, _, _) = node.asked() => {
                node.answer(exchange, vec![2]).await;
                assert_eq!(raw.answer(request).await, Ok(Some(vec![2])));
            }
            answer = raw.answer(request) => {
                assert_eq!(answer, Ok(None));
                assert!(round >= limits::STRANGER_REQUESTS_BURST, "refused within the burst");
                refused += 1;
            }
        }
    }
    assert!(refused > limits::STRANGER_REQUESTS_BURST / 2, "only {refused} refused");
    node.protect(link).await;
    for _ in 0..limits::STRANGER_REQUESTS_BURST * 2 {
        let request = raw.request(Channel::Session, vec![1]).await;
        let (_, exchange, _, _) = node.asked().await;
        node.answer(exchange, vec![2]).await;
        assert_eq!(raw.answer(request).await, Ok(Some(vec![2])));
    }
}

#[tokio::test]
async fn large_frames_of_strangers_wait_for_room_and_a_hello_passes_them_by() {
    for transport in [TCP, QUIC] {
        let (mut node, _, greedy) = node_and_raw(transport).await;
        let fits = limits::STRANGER_BUDGET_BYTES / (1 << 20);
        for _ in 0..fits + 4 {
            greedy.request(Channel::Session, vec![1; 1 << 20]).await;
        }
        let mut asked = node.all_asked().await;
        assert_eq!(asked.len(), fits);
        // From the same peer over the same connection, and from another.
        let mut other = Raw::connected(&node.addresses[0]).await;
        node.link_up().await;
        for raw in [&greedy, &other] {
            raw.request(Channel::Session, vec![2; limits::STRANGER_OWN_BYTES]).await;
            let (_, exchange, _, bytes) = node.asked().await;
            assert_eq!(bytes.len(), limits::STRANGER_OWN_BYTES);
            asked.push(exchange);
        }
        // Its own room is full as well: even one byte waits.
        let small = other.request(Channel::Session, vec![3]).await;
        assert!(node.all_asked().await.is_empty());
        node.answer(asked.pop().unwrap(), vec![]).await;
        let (_, exchange, _, bytes) = node.asked().await;
        assert_eq!(bytes, [3]);
        node.answer(exchange, vec![4]).await;
        assert_eq!(other.answer(small).await, Ok(Some(vec![4])));
        node.send(NetworkCommand::Refuse { exchange: asked[0] }).await;
        assert_eq!(node.asked().await.3.len(), 1 << 20, "room for one more");
    }
}

#[tokio::test]
async fn slow_strangers_that_fill_the_strangers_room_do_not_hold_up_a_proven_peer() {
    let (mut node, _, greedy) = node_and_raw(QUIC).await;
    for _ in 0..limits::SESSION_STREAMS {
        greedy.hold(Channel::Session, 1 << 20).await;
    }
    let mut friend = Raw::connected(&node.addresses[0]).await;
    let link = node.link_up().await;
    node.protect(link).await;
    let request = friend.request(Channel::Session, vec![7; 1 << 20]).await;
    let (over, exchange, _, bytes) = node.asked().await;
    assert_eq!((over, bytes.len()), (link, 1 << 20));
    node.answer(exchange, vec![8]).await;
    assert_eq!(friend.answer(request).await, Ok(Some(vec![8])));
}

#[tokio::test]
async fn frames_of_all_proven_peers_share_one_room() {
    let mut node = Node::listening(&[TCP]).await;
    let mut raws = Vec::new();
    for _ in 0..3 {
        let raw = Raw::connected(&node.addresses[0]).await;
        let link = node.link_up().await;
        node.protect(link).await;
        raws.push(raw);
    }
    for raw in &raws {
        for _ in 0..limits::WINDOW_EXCHANGES {
            raw.request(Channel::Session, vec![1; 1 << 20]).await;
        }
    }
    let asked = node.all_asked().await;
    assert_eq!(asked.len(), limits::SESSION_BUDGET_BYTES / (1 << 20));
    node.send(NetworkCommand::Refuse { exchange: asked[0] }).await;
    assert_eq!(node.asked().await.3.len(), 1 << 20);
}

#[tokio::test]
async fn pairing_frames_have_a_small_room_for_each_peer() {
    let (mut node, _, raw) = node_and_raw(TCP).await;
    for _ in 0..limits::PAIR_STREAMS {
        raw.request(Channel::Pair, vec![1; limits::PAIR_FRAME_MAX_BYTES]).await;
    }
    let asked = node.all_asked().await;
    assert_eq!(asked.len(), limits::PAIR_OWN_BYTES / limits::PAIR_FRAME_MAX_BYTES);
    let other = Raw::connected(&node.addresses[0]).await;
    node.link_up().await;
    other.request(Channel::Pair, vec![2; limits::PAIR_FRAME_MAX_BYTES]).await;
    assert_eq!(node.asked().await.3[0], 2);
    node.answer(asked[0], vec![]).await;
    assert_eq!(node.asked().await.3[0], 1);
}

#[tokio::test]
async fn commands_wait_in_a_channel_that_ends() {
    let node = Node::listening(&[]).await;
    // One thread, and no await: the driver cannot take any meanwhile.
    for link in 0..limits::COMMANDS_WAITING as u64 {
        node.commands.try_send(NetworkCommand::Close { link: Link(link) }).expect("there is a place");
    }
    assert!(node.commands.try_send(NetworkCommand::Close { link: Link(0) }).is_err());
}

#[tokio::test]
async fn an_engine_that_is_behind_costs_peers_a_refusal_and_no_link() {
    let (sender, mut events) = mpsc::channel(3);
    let listen = vec![TCP.to_owned()];
    let config = NetworkConfig { listen, ..NetworkConfig::default() };
    let commands = start(in_company(config), sender).unwrap();
    let Some(NetworkEvent::Listening { addresses }) = events.recv().await else { panic!("listens") };
    let mut raw = Raw::connected(&addresses[0]).await;
    // The engine takes nothing: its channel fills with what comes, and then requests are declined.
    let mut declined = 0;
    for _ in 0..6 {
        raw.request(Channel::Session, vec![1]).await;
    }
    while declined < 4 {
        raw.until(|noticed| matches!(noticed, super::raw::Noticed::Answer(_, bytes) if bytes.is_empty()).then_some(()))
            .await;
        declined += 1;
    }
    let mut exchange = None;
    while exchange.is_none() {
        if let NetworkEvent::Request { exchange: one, .. } = events.recv().await.unwrap() {
            exchange = Some(one);
        }
    }
    commands.send(NetworkCommand::Answer { exchange: exchange.unwrap(), bytes: vec![9] }).await.unwrap();
    raw.until(|noticed| {
        matches!(noticed, super::raw::Noticed::Answer(_, bytes) if bytes[..] == [0, 0, 0, 1, 9]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_without_an_answer_times_out_on_both_sides() {
    let listen = vec![TCP.to_owned()];
    let pacing = Pacing { request_timeout: Duration::from_millis(300), ..Pacing::default() };
    let mut shop = Node::start(NetworkConfig { listen, pacing, ..NetworkConfig::default() }).await;
    let mut alice = Node::start(NetworkConfig { pacing, ..NetworkConfig::default() }).await;
    let out = alice.dial(&shop.addresses).await.unwrap();
    let errand = alice.request(out, Channel::Session, vec![1]).await;
    let (_, late, _, _) = shop.asked().await;
    assert!(matches!(
        alice.result(errand).await,
        Err(RequestFailure::Timeout | RequestFailure::Refused | RequestFailure::Broken)
    ));
    shop.answer(late, vec![2]).await;
    let errand = alice.request(out, Channel::Session, vec![3]).await;
    let (_, exchange, _, bytes) = shop.asked().await;
    assert_eq!(bytes, [3]);
    shop.answer(exchange, vec![4]).await;
    assert_eq!(alice.result(errand).await, Ok(vec![4]), "the late answer went nowhere");
}
