//! Connecting, and staying connected.

use super::*;

#[tokio::test]
async fn a_dial_that_cannot_succeed_says_why() {
    let mut node = Node::listening(&[TCP]).await;
    let own = node.addresses.clone();
    assert_eq!(node.dial(&[]).await, Err(DialFailure::NoAddress));
    assert_eq!(node.dial(&["/dns4/example.org/tcp/1".to_owned()]).await, Err(DialFailure::BadAddress));
    assert_eq!(node.dial(&own).await, Err(DialFailure::Ourselves));
    // Bound and not listening: nobody else gets the port meanwhile.
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    assert_eq!(node.dial(&[format!("/ip4/127.0.0.1/tcp/{port}")]).await, Err(DialFailure::Unreachable));
}
