//! Limits on connections, each taken to its edge and past it.

use tokio::io::AsyncReadExt;

use super::raw::{Noticed, Raw};
use super::*;

async fn dialers(count: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(Node::listening(&[]).await);
    }
    nodes
}

/// A stranger that found no seat has one now, and is served.
async fn takes_the_seat(stranger: &mut Node, node: &mut Node) {
    let link = stranger.dial(&node.addresses).await.expect("the proven peer left its seat");
    let here = node.link_up().await;
    let errand = node.request(here, Channel::Session, vec![1]).await;
    let (over, exchange, _, _) = stranger.asked().await;
    assert_eq!(over, link);
    stranger.answer(exchange, vec![2]).await;
    assert_eq!(node.result(errand).await, Ok(vec![2]));
}

#[tokio::test]
async fn a_handshake_more_than_the_limit_is_cut_and_those_before_it_stay() {
    let node = Node::listening(&[TCP]).await;
    let port: u16 = node.addresses[0].rsplit('/').next().unwrap().parse().unwrap();
    let mut silent = Vec::new();
    for _ in 0..limits::PENDING_IN {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let mut over = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut byte = [0];
    let end = tokio::time::timeout(DEADLINE, over.read(&mut byte)).await.expect("cut at once");
    assert!(matches!(end, Ok(0) | Err(_)));
    for waiting in &silent {
        let state = waiting.try_read(&mut byte).map_err(|error| error.kind());
        assert_eq!(state, Err(std::io::ErrorKind::WouldBlock));
    }
}

#[tokio::test]
async fn a_dial_more_than_the_limit_fails_at_once() {
    // Accepts by its backlog, and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", mute.local_addr().unwrap().port());
    let mut node = Node::listening(&[]).await;
    for _ in 0..limits::PENDING_OUT {
        let errand = node.errand();
        node.send(NetworkCommand::Dial { errand, addresses: vec![address.clone()] }).await;
    }
    assert_eq!(node.dial(&[address]).await, Err(DialFailure::Busy));
    assert!(node.unread.is_empty(), "none of those before it has ended");
}

#[tokio::test]
async fn a_node_full_of_strangers_closes_the_next_and_takes_a_new_one_when_one_is_proven() {
    let mut node = Node::for_everybody().await;
    let address = node.addresses.clone();
    let mut strangers = dialers(limits::STRANGERS_IN + 1).await;
    let mut links = Vec::new();
    for stranger in &mut strangers[..limits::STRANGERS_IN] {
        stranger.dial(&address).await.expect("there is a seat");
        links.push(node.link_up().await);
    }
    let last = strangers.last_mut().unwrap();
    // It sees a connection and then its end: that is why a backoff is reset by a hello only.
    let link = last.dial(&address).await.expect("looks established");
    last.link_down(link).await;
    node.protect(links[0]).await;
    takes_the_seat(last, &mut node).await;
}

#[tokio::test]
async fn we_open_no_more_links_to_strangers_than_the_limit_and_no_more_in_all() {
    let mut node = Node::for_everybody().await;
    let mut listeners = Vec::new();
    for _ in 0..=limits::STRANGERS_OUT {
        listeners.push(Node::listening(&[TCP]).await);
    }
    let (over, within) = listeners.split_last().unwrap();
    let mut first = None;
    for listener in within {
        let link = node.dial(&listener.addresses).await.expect("there is a seat");
        first.get_or_insert(link);
    }
    assert_eq!(node.dial(&over.addresses).await, Err(DialFailure::Busy));
    let free = limits::STRANGERS_ALL - limits::STRANGERS_OUT;
    let mut inbound = dialers(free + 1).await;
    for stranger in &mut inbound[..free] {
        stranger.dial(&node.addresses).await.expect("there is a seat");
        node.link_up().await;
    }
    let last = inbound.last_mut().unwrap();
    let link = last.dial(&node.addresses).await.expect("looks established");
    last.link_down(link).await;
}

#[tokio::test]
async fn strangers_of_one_address_do_not_take_all_seats() {
    let config = NetworkConfig { listen: vec![TCP.to_owned()], ..NetworkConfig::default() };
    let often = Pace { burst: 1_000, per_second: 0 };
    let mut node = Node::seated(config, Seats { address: often, newcomers: often, ..Seats::default() }).await;
    let mut strangers = dialers(limits::STRANGERS_PER_ADDRESS + 1).await;
    let mut links = Vec::new();
    for stranger in &mut strangers[..limits::STRANGERS_PER_ADDRESS] {
        stranger.dial(&node.addresses).await.expect("there is a seat");
        links.push(node.link_up().await);
    }
    let last = strangers.last_mut().unwrap();
    let link = last.dial(&node.addresses).await.expect("looks established");
    last.link_down(link).await;
    node.protect(links[0]).await;
    node.settled().await;
    takes_the_seat(last, &mut node).await;
}

#[tokio::test]
async fn peers_behind_one_address_come_as_often_as_they_like_and_strangers_do_not() {
    let config = NetworkConfig { listen: vec![TCP.to_owned()], ..NetworkConfig::default() };
    let seats = Seats { address: Pace { burst: 2, per_second: 0 }, ..Seats::default() };
    let mut node = Node::seated(config, seats).await;
    let mut peers = dialers(4).await;
    for peer in &mut peers {
        peer.dial(&node.addresses).await.expect("the others' are put back");
        let link = node.link_up().await;
        node.protect(link).await;
        node.settled().await;
    }
    let mut strangers = dialers(3).await;
    for stranger in &mut strangers[..2] {
        stranger.dial(&node.addresses).await.expect("within the burst");
        node.link_up().await;
    }
    assert_eq!(strangers[2].dial(&node.addresses).await, Err(DialFailure::Unreachable));
}

#[tokio::test]
async fn proven_peers_too_have_an_end() {
    let config = NetworkConfig { listen: vec![TCP.to_owned()], ..NetworkConfig::default() };
    let mut node = Node::seated(config, Seats { all: 3, ..Seats::default() }).await;
    let mut peers = dialers(4).await;
    for peer in &mut peers[..3] {
        peer.dial(&node.addresses).await.expect("there is a seat");
        let link = node.link_up().await;
        node.protect(link).await;
    }
    let link = peers[3].dial(&node.addresses).await.expect("looks established");
    peers[3].link_down(link).await;
}

#[tokio::test]
async fn one_peer_has_three_connections_and_they_are_one_link() {
    let mut node = Node::listening(&[TCP]).await;
    let mut raw = Raw::connected(&node.addresses[0]).await;
    let link = node.link_up().await;
    for _ in 1..limits::CONNECTIONS_PER_PEER {
        raw.dial(&node.addresses[0]);
        raw.until(|noticed| matches!(noticed, Noticed::Up(_)).then_some(())).await;
    }
    raw.dial(&node.addresses[0]);
    let left = raw
        .until(|noticed| match noticed {
            Noticed::Down(left) => Some(*left as usize),
            _ => None,
        })
        .await;
    assert_eq!(left, limits::CONNECTIONS_PER_PEER);
    let request = raw.request(Channel::Session, vec![1]).await;
    let (over, exchange, _, _) = node.asked().await;
    assert_eq!(over, link);
    node.answer(exchange, vec![]).await;
    assert_eq!(raw.answer(request).await, Ok(Some(vec![])));
}

#[tokio::test]
async fn a_process_over_its_memory_neither_takes_a_connection_nor_makes_one() {
    let listen = vec![TCP.to_owned()];
    let mut full = Node::start(NetworkConfig { listen, memory_max_bytes: 1, ..NetworkConfig::default() }).await;
    let mut roomy = Node::listening(&[TCP]).await;
    assert_eq!(roomy.dial(&full.addresses.clone()).await, Err(DialFailure::Unreachable));
    assert_eq!(full.dial(&roomy.addresses.clone()).await, Err(DialFailure::Busy));
}

#[tokio::test]
async fn an_idle_stranger_is_closed_and_a_proven_peer_is_not() {
    let listen = vec![TCP.to_owned()];
    let pacing = Pacing { stranger_idle: Duration::from_millis(400), ..Pacing::default() };
    let mut node = Node::start(NetworkConfig { listen, pacing, ..NetworkConfig::default() }).await;
    let mut peers = dialers(2).await;
    let proven_there = peers[0].dial(&node.addresses).await.unwrap();
    let proven = node.link_up().await;
    node.protect(proven).await;
    let stranger_there = peers[1].dial(&node.addresses).await.unwrap();
    let stranger = node.link_up().await;
    node.link_down(stranger).await;
    peers[1].link_down(stranger_there).await;
    let errand = peers[0].request(proven_there, Channel::Session, vec![1]).await;
    let (over, exchange, _, _) = node.asked().await;
    assert_eq!(over, proven);
    node.answer(exchange, vec![2]).await;
    assert_eq!(peers[0].result(errand).await, Ok(vec![2]));
}
