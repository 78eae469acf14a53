//! Requests and answers.

use super::*;

#[tokio::test]
async fn a_pairing_and_a_session_request_are_answered_over_tcp_and_over_quic() {
    for transport in [TCP, QUIC] {
        let (mut alice, out, mut shop, back) = linked(transport).await;
        for (channel, size) in [(Channel::Pair, 4000), (Channel::Session, 100_000), (Channel::Session, 0)] {
            shop.protect(back).await;
            let errand = alice.request(out, channel, vec![1; size]).await;
            let (link, exchange, came_over, bytes) = shop.asked().await;
            assert_eq!((link, came_over, bytes), (back, channel, vec![1; size]));
            shop.answer(exchange, vec![2; size]).await;
            assert_eq!(alice.result(errand).await, Ok(vec![2; size]));
        }
        let errand = shop.request(back, Channel::Session, vec![3]).await;
        let (_, exchange, _, bytes) = alice.asked().await;
        alice.answer(exchange, bytes).await;
        assert_eq!(shop.result(errand).await, Ok(vec![3]), "and in the other direction over the same link");
    }
}
