//! Connecting, staying connected, and leaving.

use super::raw::{Noticed, Raw};
use super::wire::Wire;
use super::*;

/// Over this link, and back.
async fn speak(from: &mut Node, link: Link, to: &mut Node) {
    let errand = from.request(link, Channel::Session, vec![1]).await;
    let (_, exchange, _, bytes) = to.asked().await;
    to.answer(exchange, bytes).await;
    assert_eq!(from.result(errand).await, Ok(vec![1]));
}

#[tokio::test]
async fn a_dial_that_cannot_succeed_says_why() {
    let mut node = Node::listening(&[TCP]).await;
    let own = node.addresses.clone();
    assert_eq!(node.dial(&[]).await, Err(DialFailure::NoAddress));
    assert_eq!(node.dial(&["/dns4/example.org/tcp/1".to_owned()]).await, Err(DialFailure::BadAddress));
    assert_eq!(node.dial(&own).await, Err(DialFailure::Ourselves));
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    assert_eq!(node.dial(&[format!("/ip4/127.0.0.1/tcp/{port}")]).await, Err(DialFailure::Unreachable));
}

#[tokio::test]
async fn a_peer_that_accepts_and_never_speaks_is_unreachable_after_the_deadline() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", mute.local_addr().unwrap().port());
    let pacing = Pacing { connect_timeout: Duration::from_millis(300), ..Pacing::default() };
    let mut node = Node::start(NetworkConfig { pacing, ..NetworkConfig::default() }).await;
    assert_eq!(node.dial(&[address]).await, Err(DialFailure::Unreachable));
}

#[tokio::test]
async fn a_dead_address_before_a_live_one_is_no_obstacle() {
    let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dead = format!("/ip4/127.0.0.1/udp/{}/quic-v1", mute.local_addr().unwrap().port());
    let mut shop = Node::listening(&[TCP]).await;
    let mut alice = Node::listening(&[]).await;
    let link = alice.dial(&[dead, shop.addresses[0].clone()]).await.expect("by TCP, beside the dead QUIC");
    shop.link_up().await;
    speak(&mut alice, link, &mut shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slower_address_of_a_dial_takes_no_request_with_it() {
    // One round in five shows it where nothing refuses the slower one.
    for _ in 0..24 {
        let mut shop = Node::listening(&[TCP, QUIC]).await;
        let mut alice = Node::listening(&[]).await;
        let [tcp, quic] = [0, 1].map(|at| shop.addresses[at].clone());
        let slow = Wire::held_quic(&quic).await;
        let link = alice.dial(&[slow.address.clone(), tcp]).await.expect("by the second");
        alice.protect(link).await;
        let back = shop.link_up().await;
        shop.protect(back).await;
        tokio::spawn(async move {
            loop {
                let (_, exchange, _, bytes) = shop.asked().await;
                shop.answer(exchange, bytes).await;
            }
        });
        // Requests always wait for the driver, also when the slower one comes; those over the window are refused on this side.
        let commands = alice.commands.clone();
        let flood = tokio::spawn(async move {
            for errand in (1_000..).map(Errand) {
                let request = NetworkCommand::Request { errand, link, channel: Channel::Session, bytes: vec![1] };
                if commands.send(request).await.is_err() {
                    return;
                }
            }
        });
        slow.let_go();
        for _ in 0..1_000 {
            let broken = alice
                .until("an answer", |event| match event {
                    NetworkEvent::Answered { .. } => Some(None),
                    NetworkEvent::Failed { reason, .. } if *reason != RequestFailure::Busy => Some(Some(*reason)),
                    _ => None,
                })
                .await;
            assert_eq!(broken, None);
            alice.unread.clear();
        }
        flood.abort();
    }
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_at_once_end_up_with_a_link_each() {
    for round in 0..20 {
        let transport = if round % 2 == 0 { TCP } else { QUIC };
        let (mut a, mut b) = (Node::listening(&[transport]).await, Node::listening(&[transport]).await);
        let (to_a, to_b) = (a.addresses.clone(), b.addresses.clone());
        let (from_a, from_b) = tokio::join!(a.dial(&to_b), b.dial(&to_a));
        let (from_a, from_b) = (from_a.expect("connects"), from_b.expect("connects"));
        speak(&mut a, from_a, &mut b).await;
        speak(&mut b, from_b, &mut a).await;
    }
}

#[tokio::test]
async fn a_second_dial_to_a_peer_finds_the_link_that_is_there() {
    let (mut alice, out, shop, _) = linked(TCP).await;
    assert_eq!(alice.dial(&shop.addresses).await, Ok(out));
}

/// A node at an address that another node of this process just left. QUIC gives its socket up a moment after the end.
async fn restarted(listen: &[String]) -> Node {
    let config = NetworkConfig { listen: listen.to_vec(), ..NetworkConfig::default() };
    tokio::time::timeout(DEADLINE, async {
        loop {
            let (sender, events) = mpsc::channel(256);
            if let Ok(commands) = driver::start(in_company(config.clone()), Seats::default(), sender) {
                return Node { commands, events, unread: VecDeque::new(), addresses: listen.to_vec(), errands: 0 };
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the port is free again")
}

#[tokio::test]
async fn a_peer_that_restarts_under_a_new_key_is_a_new_link_at_the_old_address() {
    for transport in [TCP, QUIC] {
        let (mut alice, out, shop, _) = linked(transport).await;
        let address = shop.addresses.clone();
        shop.shut_down().await;
        alice.link_down(out).await;
        let gone = alice.request(out, Channel::Session, vec![1]).await;
        assert_eq!(alice.result(gone).await, Err(RequestFailure::Gone));
        let mut shop = restarted(&address).await;
        let again = alice.dial(&address).await.expect("the port is free again, and its new owner answers");
        assert_ne!(again, out);
        shop.link_up().await;
        speak(&mut alice, again, &mut shop).await;
    }
}

#[tokio::test]
async fn a_shutdown_flushes_the_last_answer_and_declines_the_rest() {
    for transport in [TCP, QUIC] {
        let (mut alice, out, mut shop, back) = linked(transport).await;
        shop.protect(back).await;
        let answered = alice.request(out, Channel::Session, vec![1]).await;
        let (_, exchange, _, _) = shop.asked().await;
        let open = alice.request(out, Channel::Session, vec![2]).await;
        shop.asked().await;
        shop.answer(exchange, vec![3; 1 << 20]).await;
        shop.shut_down().await;
        assert_eq!(alice.result(answered).await.map(|bytes| bytes.len()), Ok(1 << 20), "over {transport}");
        let declined = alice.result(open).await;
        assert!(matches!(declined, Err(RequestFailure::Refused | RequestFailure::Broken)), "{declined:?}");
        alice.link_down(out).await;
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_peer_that_reads_nothing() {
    let mut shop = Node::listening(&[TCP]).await;
    let wire = Wire::to(&shop.addresses[0]).await;
    let mut alice = Node::listening(&[]).await;
    let out = alice.dial(std::slice::from_ref(&wire.address)).await.unwrap();
    let back = shop.link_up().await;
    shop.protect(back).await;
    alice.request(out, Channel::Session, vec![1]).await;
    let (_, exchange, _, _) = shop.asked().await;
    wire.freeze();
    shop.answer(exchange, vec![0; 1 << 20]).await;
    let started = std::time::Instant::now();
    shop.shut_down().await;
    assert!(started.elapsed() < limits::SHUTDOWN_GRACE * 3, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_driver_whose_engine_is_gone_says_goodbye_by_itself() {
    let (mut alice, out, shop, _) = linked(QUIC).await;
    drop(shop);
    alice.link_down(out).await;
}

#[tokio::test]
async fn a_link_that_answers_no_ping_ends() {
    let mut shop = Node::listening(&[TCP]).await;
    let wire = Wire::to(&shop.addresses[0]).await;
    let pacing = Pacing {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(200),
        ..Pacing::default()
    };
    let mut alice = Node::start(NetworkConfig { pacing, ..NetworkConfig::default() }).await;
    let link = alice.dial(std::slice::from_ref(&wire.address)).await.unwrap();
    shop.link_up().await;
    speak(&mut alice, link, &mut shop).await;
    wire.freeze();
    alice.link_down(link).await;
}

#[tokio::test]
async fn a_close_ends_the_link_on_both_sides() {
    let (mut alice, out, mut shop, back) = linked(QUIC).await;
    alice.send(NetworkCommand::Close { link: out }).await;
    alice.link_down(out).await;
    shop.link_down(back).await;
}

#[tokio::test]
async fn identify_tells_the_constant_agent_and_no_address() {
    let node = Node::listening(&[TCP, QUIC]).await;
    let mut raw = Raw::connected(&node.addresses[0]).await;
    let (agent, addresses) = raw
        .until(|noticed| match noticed {
            Noticed::Identified(agent, addresses) => Some((agent.clone(), addresses.clone())),
            _ => None,
        })
        .await;
    assert_eq!((agent.as_str(), addresses.len()), ("allod", 0));
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    for (asked, named) in
        [(address.as_str(), "cannot listen"), ("/dns4/a.example/tcp/1", "not an address"), ("x", "not an address")]
    {
        let (sender, _events) = mpsc::channel(8);
        let listen = vec![asked.to_owned()];
        let error = start(NetworkConfig { listen, ..NetworkConfig::default() }, sender).unwrap_err();
        assert!(error.to_string().contains(named) && error.to_string().contains(asked), "{error}");
    }
}

/// QUIC writes the secrets of each connection to the file that the variable names, so the variable stops the start. In
/// a process of its own: the environment is the process's.
#[test]
fn a_node_does_not_start_while_sslkeylogfile_is_set() {
    const INNER: &str = "network::tests::links::start_under_sslkeylogfile";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", INNER, "--ignored"])
        .env("SSLKEYLOGFILE", &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && said.contains("1 passed"), "{said}");
    assert!(!file.exists());
}

#[tokio::test]
#[ignore = "run by the test above, in an environment of its own"]
async fn start_under_sslkeylogfile() {
    let (sender, _events) = mpsc::channel(8);
    let listen = vec![QUIC.to_owned()];
    let result = start(NetworkConfig { listen, ..NetworkConfig::default() }, sender);
    assert_eq!(result.map(drop), Err(StartError::SecretsWouldBeLogged));
}

/// Collects what is logged by this thread.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn our_log_at_every_level_names_no_address_no_peer_and_no_payload() {
    let log = Log::default();
    let kept = log.clone();
    let filter = tracing_subscriber::EnvFilter::new("allod_node=trace");
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || kept.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut node = Node::carrier(TCP).await;
    let mut raw = Raw::connected(&node.addresses[0]).await;
    let link = node.link_up().await;
    let marked = b"SECRETMARK".repeat(10);
    for channel in [Channel::Pair, Channel::Session] {
        let over = raw.announce(channel, u32::MAX).await;
        assert_eq!(raw.answer(over).await, Ok(None));
        let request = raw.request(channel, marked.clone()).await;
        let (_, exchange, _, _) = node.asked().await;
        node.answer(exchange, marked.clone()).await;
        assert_eq!(raw.answer(request).await, Ok(Some(marked.clone())));
    }
    node.send(NetworkCommand::Publish { topic: 1, bytes: marked.clone() }).await;
    for _ in 0..limits::STRANGER_REQUESTS_BURST * 2 {
        raw.announce(Channel::Session, u32::MAX).await;
    }
    node.send(NetworkCommand::Close { link }).await;
    node.link_down(link).await;
    let address = node.addresses[0].clone();
    node.shut_down().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("over the cap"), "something was logged: {text}");
    let peer = raw.node.to_string();
    let port = address.rsplit('/').next().unwrap().to_owned();
    for never in [peer.as_str(), "12D3Koo", "/ip4/", "127.0.0.1", &port, "SECRETMARK"] {
        assert!(!text.contains(never), "{never} in {text}");
    }
}
