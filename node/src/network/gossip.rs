//! Hints: fixed-size messages in 64 mailbox topics, from nobody in particular.
//!
//! What any node can judge is judged before gossipsub stores the message or its id: the length, and that the topic is
//! one we ever subscribed to. Without that, messages to other topics would fill its caches and never reach us. The
//! driver then applies the neighbour's rate, and answers every message with a verdict.
//!
//! Scoring keeps only what holds on a quiet network: invalid messages cost, nothing earns. With gossipsub's default
//! weights honest silence is punished and 240 rejected messages moved nothing.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, DataTransform, IdentTopic, Message, MessageAuthenticity, MessageId, PeerScoreParams,
    PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use sha2::{Digest, Sha256};

use super::limits;

/// The gossip behaviour of the node.
pub(super) type Gossip = Behaviour<HintsOnly, WhitelistSubscriptionFilter>;

/// Application score of a neighbour that floods; times the weight of 10 it is under the graylist threshold of -80.
pub(super) const FLOOD_SCORE: f64 = -9.0;

/// The mailbox topic with this number.
pub(super) fn topic(number: u8) -> IdentTopic {
    IdentTopic::new(format!("/allod/mail/{number:02}"))
}

/// The number of a mailbox topic.
pub(super) fn topic_number(hash: &TopicHash) -> Option<u8> {
    let digits = hash.as_str().strip_prefix("/allod/mail/")?;
    let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&number| plain && number < limits::MAIL_TOPICS)
}

/// Topics this node subscribed to at some time in this run, a bit each.
#[derive(Clone, Debug, Default)]
pub(super) struct EverSubscribed(Arc<AtomicU64>);

impl EverSubscribed {
    pub(super) fn add(&self, number: u8) {
        self.0.fetch_or(1 << number, Ordering::Relaxed);
    }

    fn contains(&self, number: u8) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << number) != 0
    }
}

/// Lets through what has the length of a hint and a topic of ours.
#[derive(Debug)]
pub(super) struct HintsOnly(EverSubscribed);

impl DataTransform for HintsOnly {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        let ours = topic_number(&raw.topic).is_some_and(|number| self.0.contains(number));
        if !ours || raw.data.len() != limits::HINT_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Message { source: raw.source, data: raw.data, sequence_number: raw.sequence_number, topic: raw.topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        if data.len() == limits::HINT_BYTES { Ok(data) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Topic and content: the default, author and sequence number, is empty for anonymous messages and so always the same.
fn content_id(message: &Message) -> MessageId {
    let topic = message.topic.as_str();
    let mut hash = Sha256::new();
    hash.update((topic.len() as u32).to_be_bytes());
    hash.update(topic);
    hash.update(&message.data);
    MessageId::from(hash.finalize().to_vec())
}

fn score_parameters() -> (PeerScoreParams, PeerScoreThresholds) {
    let topics = (0..limits::MAIL_TOPICS).map(|number| {
        let parameters = TopicScoreParams {
            topic_weight: 1.0,
            time_in_mesh_weight: 0.0,
            first_message_deliveries_weight: 0.0,
            mesh_message_deliveries_weight: 0.0,
            mesh_failure_penalty_weight: 0.0,
            invalid_message_deliveries_weight: -10.0,
            invalid_message_deliveries_decay: 0.9,
            ..TopicScoreParams::default()
        };
        (topic(number).hash(), parameters)
    });
    let parameters = PeerScoreParams {
        topics: topics.collect::<HashMap<_, _>>(),
        // An office behind one address is honest: 40 neighbours there cost -64, which still lets them through.
        ip_colocation_factor_weight: -1.0,
        ip_colocation_factor_threshold: 32.0,
        ip_colocation_factor_whitelist: HashSet::from([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]),
        // Keys are thrown away at each start: a longer memory would hold keys that nobody has any more.
        retain_score: Duration::from_secs(60),
        ..PeerScoreParams::default()
    };
    (parameters, PeerScoreThresholds::default())
}

/// Builds the behaviour. `subscribed` is shared with the driver, which subscribes.
pub(super) fn gossip(subscribed: EverSubscribed) -> Result<Gossip, String> {
    let mut config = ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(content_id)
        .max_transmit_size(limits::GOSSIP_RPC_MAX_BYTES)
        .connection_handler_queue_len(limits::GOSSIP_QUEUE_MESSAGES)
        .flood_publish(true);
    let topics: HashSet<TopicHash> = (0..limits::MAIL_TOPICS).map(|number| topic(number).hash()).collect();
    for hash in &topics {
        config.max_transmit_size_for_topic(limits::HINT_ENCODED_MAX_BYTES, hash.clone());
    }
    let config = config.build().map_err(|error| error.to_string())?;
    let filter = WhitelistSubscriptionFilter(topics);
    let authorship = MessageAuthenticity::Anonymous;
    let transform = HintsOnly(subscribed);
    let mut gossip = Gossip::new_with_subscription_filter_and_transform(authorship, config, filter, transform)?;
    let (parameters, thresholds) = score_parameters();
    gossip.with_peer_score(parameters, thresholds)?;
    Ok(gossip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(topic: &IdentTopic, bytes: usize) -> RawMessage {
        RawMessage {
            source: None,
            data: vec![1; bytes],
            sequence_number: None,
            topic: topic.hash(),
            signature: None,
            key: None,
            validated: false,
        }
    }

    #[test]
    fn only_the_length_of_a_hint_and_a_subscribed_topic_get_in() {
        let subscribed = EverSubscribed::default();
        subscribed.add(63);
        let transform = HintsOnly(subscribed);
        let enters = |name: &IdentTopic, bytes| transform.inbound_transform(raw(name, bytes)).is_ok();
        assert!(enters(&topic(63), limits::HINT_BYTES));
        assert!(!enters(&topic(63), limits::HINT_BYTES - 1));
        assert!(!enters(&topic(63), limits::HINT_BYTES + 1));
        assert!(!enters(&topic(62), limits::HINT_BYTES));
        assert!(!enters(&IdentTopic::new("/allod/mail/063"), limits::HINT_BYTES));
        assert!(!enters(&IdentTopic::new("/allod/mail/64"), limits::HINT_BYTES));
        assert!(!enters(&IdentTopic::new("/other"), limits::HINT_BYTES));
    }

    #[test]
    fn every_topic_has_its_number_and_no_other_name_has_one() {
        for number in 0..limits::MAIL_TOPICS {
            assert_eq!(topic_number(&topic(number).hash()), Some(number));
        }
        for name in ["/allod/mail/64", "/allod/mail/7", "/allod/mail/+7", "/allod/mail/", "/allod/mail/007"] {
            assert_eq!(topic_number(&IdentTopic::new(name).hash()), None, "{name}");
        }
    }

    #[test]
    fn one_content_in_two_topics_has_two_ids() {
        let message = |number| {
            let RawMessage { source, data, sequence_number, topic, .. } = raw(&topic(number), limits::HINT_BYTES);
            Message { source, data, sequence_number, topic }
        };
        assert_ne!(content_id(&message(1)), content_id(&message(2)));
        assert_eq!(content_id(&message(1)), content_id(&message(1)));
    }
}
