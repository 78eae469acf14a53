//! A peer below libp2p's swarm: a connection, and streams on it that say only what the test says.

use std::future::poll_fn;
use std::task::Poll;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::StreamMuxerExt;
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::{Endpoint, Transport};
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, noise, tcp, yamux};

use super::raw::{Noticed, Raw};
use super::windows::QUIET;
use super::*;

type Stream = <yamux::Muxer<libp2p::noise::Output<tcp::tokio::TcpStream>> as libp2p::core::StreamMuxer>::Substream;

/// So many streams on a new connection, each with one byte sent so that the other side has it.
async fn silent_streams(address: &str, count: usize) -> Vec<Stream> {
    let key = Keypair::generate_ed25519();
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(4_000);
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(yamux);
    let address: Multiaddr = address.parse().unwrap();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let (_, mut muxer) = transport.dial(address, options).unwrap().await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.unwrap());
    }
    // Kept and left unanswered: a stream that is dropped tells the node that its ping failed.
    let mut theirs = Vec::new();
    tokio::spawn(poll_fn(move |cx| {
        while let Poll::Ready(Ok(stream)) = muxer.poll_inbound_unpin(cx) {
            theirs.push(stream);
        }
        while let Poll::Ready(event) = muxer.poll_unpin(cx) {
            if event.is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }));
    for stream in &mut streams {
        let _ = stream.write_all(&HELLO[..1]).await;
        let _ = stream.flush().await;
    }
    streams
}

/// What both sides say first on each stream.
const HELLO: &[u8] = b"\x13/multistream/1.0.0\n";

async fn is_greeted(stream: &mut Stream) -> bool {
    let mut heard = [0; HELLO.len()];
    let read = tokio::time::timeout(QUIET, stream.read_exact(&mut heard)).await;
    read.is_ok_and(|read| read.is_ok() && heard == HELLO)
}

#[tokio::test]
async fn a_connection_with_too_many_streams_ends_and_no_other_does() {
    let mut node = Node::for_everybody().await;
    let address = node.addresses[0].clone();
    // Our own side opens a few streams as well.
    let within = silent_streams(&address, limits::YAMUX_STREAMS - 20).await;
    let good = node.link_up().await;
    let over = silent_streams(&address, limits::YAMUX_STREAMS + 1).await;
    let bad = node.link_up().await;
    node.link_down(bad).await;
    assert!(!node.unread.contains(&NetworkEvent::LinkDown { link: good }));
    drop((within, over));
}

#[tokio::test]
async fn a_stream_that_would_be_one_too_many_to_agree_on_its_protocol_waits_for_another_to_end() {
    let mut node = Node::for_everybody().await;
    let mut streams = silent_streams(&node.addresses[0].clone(), limits::NEGOTIATING_STREAMS + 1).await;
    node.link_up().await;
    let mut last = streams.pop().unwrap();
    last.write_all(&HELLO[1..]).await.unwrap();
    last.flush().await.unwrap();
    assert!(!is_greeted(&mut last).await);
    let mut first = streams.remove(0);
    first.write_all(&HELLO[1..]).await.unwrap();
    first.flush().await.unwrap();
    assert!(is_greeted(&mut first).await, "one of those before it is served");
    first.close().await.unwrap();
    drop(first);
    assert!(is_greeted(&mut last).await);
}

#[tokio::test]
async fn a_stranger_with_too_many_streams_is_cut_and_its_address_waits() {
    for (transport, other_way) in [(TCP, QUIC), (QUIC, TCP)] {
        let listen = vec![transport.to_owned(), other_way.to_owned()];
        // Nothing is added while the test runs: what is left is what the streams left.
        let address = Pace { per_second: 0, ..Seats::default().address };
        let streams = Pace { per_second: 0, ..Seats::default().streams };
        let seats = Seats { address, streams, ..Seats::default() };
        let mut node = Node::seated(NetworkConfig { listen, ..NetworkConfig::default() }, seats).await;
        let is_tcp = |address: &&String| address.contains("/tcp/");
        let here = node.addresses.iter().find(|one| is_tcp(one) == (transport == TCP)).unwrap().clone();
        let mut peer = Raw::connected(&here).await;
        let proven = node.link_up().await;
        node.protect(proven).await;
        node.settled().await;
        let mut stranger = Raw::connected(&here).await;
        let link = node.link_up().await;
        let many = limits::STRANGER_STREAMS_BURST + 1;
        for _ in 0..many {
            peer.hold(Channel::Session, 1).await;
            stranger.hold(Channel::Session, 1).await;
        }
        node.link_down(link).await;
        assert_eq!(stranger.until(|noticed| matches!(noticed, Noticed::Down(_)).then_some(())).await, ());
        let mut next = Node::listening(&[]).await;
        assert_eq!(
            next.dial(&node.addresses.clone()).await,
            Err(DialFailure::Unreachable),
            "{transport}: over any transport"
        );
        let request = peer.request(Channel::Pair, vec![1]).await;
        let (over, exchange, _, _) = node.asked().await;
        assert_eq!(over, proven, "{transport}: a proven peer opens as many as it likes");
        node.answer(exchange, vec![2]).await;
        assert_eq!(peer.answer(request).await, Ok(Some(vec![2])));
    }
}
