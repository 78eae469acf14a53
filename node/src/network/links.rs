//! The peers we are connected to, each under a number of ours.
//!
//! A link lasts from a peer's first connection to the end of its last. Its number is never used again within a run, so
//! an engine that is late never speaks to the wrong peer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use super::bucket::Bucket;
use super::{Link, limits};

/// One connected peer.
pub(super) struct LinkState {
    pub(super) link: Link,
    /// The engine knows of it. Strangers that come while it is far behind are closed unannounced.
    pub(super) announced: bool,
    pub(super) protected: bool,
    /// Our requests without an answer.
    pub(super) requests: usize,
    /// Its requests without our answer.
    pub(super) exchanges: usize,
    pub(super) used: Instant,
    pub(super) hints: Bucket,
    pub(super) asks: Bucket,
    /// A protected peer that floods is not heard until then.
    pub(super) silent_until: Option<Instant>,
}

impl LinkState {
    fn is_idle_stranger(&self, now: Instant, idle: Duration) -> bool {
        let busy = self.requests + self.exchanges > 0;
        !self.protected && !busy && now.saturating_duration_since(self.used) >= idle
    }
}

/// All of them, by peer and by number.
#[derive(Default)]
pub(super) struct Links {
    by_peer: HashMap<PeerId, LinkState>,
    by_link: HashMap<Link, PeerId>,
    last: u64,
}

impl Links {
    /// A peer's first connection.
    pub(super) fn add(&mut self, peer: PeerId, announced: bool, now: Instant) -> Link {
        self.last += 1;
        let link = Link(self.last);
        let state = LinkState {
            link,
            announced,
            protected: false,
            requests: 0,
            exchanges: 0,
            used: now,
            hints: Bucket::full(limits::HINTS_BURST, limits::HINTS_PER_SECOND, now),
            asks: Bucket::full(limits::STRANGER_REQUESTS_BURST, limits::STRANGER_REQUESTS_PER_SECOND, now),
            silent_until: None,
        };
        self.by_peer.insert(peer, state);
        self.by_link.insert(link, peer);
        link
    }

    /// A peer's last connection ended.
    pub(super) fn remove(&mut self, peer: &PeerId) -> Option<LinkState> {
        let state = self.by_peer.remove(peer)?;
        self.by_link.remove(&state.link);
        Some(state)
    }

    pub(super) fn of_peer(&mut self, peer: &PeerId) -> Option<&mut LinkState> {
        self.by_peer.get_mut(peer)
    }

    pub(super) fn of_link(&mut self, link: Link) -> Option<(PeerId, &mut LinkState)> {
        let peer = *self.by_link.get(&link)?;
        self.by_peer.get_mut(&peer).map(|state| (peer, state))
    }

    /// Whether time alone can change anything.
    pub(super) fn need_a_sweep(&self) -> bool {
        self.by_peer.values().any(|state| !state.protected || state.silent_until.is_some())
    }

    /// Strangers that have been idle for so long, and peers whose silence is over.
    pub(super) fn sweep(&mut self, now: Instant, idle: Duration) -> (Vec<PeerId>, Vec<PeerId>) {
        let strangers = self.by_peer.iter().filter(|(_, state)| state.is_idle_stranger(now, idle));
        let strangers = strangers.map(|(peer, _)| *peer).collect();
        let mut heard = Vec::new();
        for (peer, state) in &mut self.by_peer {
            if state.silent_until.is_some_and(|until| until <= now) {
                state.silent_until = None;
                state.hints.forgive();
                heard.push(*peer);
            }
        }
        (strangers, heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strangers_without_a_request_are_idle() {
        let (mut links, start) = (Links::default(), Instant::now());
        let peers = [(); 4].map(|()| PeerId::random());
        for peer in &peers {
            links.add(*peer, true, start);
        }
        links.of_peer(&peers[1]).unwrap().protected = true;
        links.of_peer(&peers[2]).unwrap().exchanges = 1;
        links.of_peer(&peers[3]).unwrap().used = start + Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        assert!(links.sweep(start + minute - Duration::from_nanos(1), minute).0.is_empty());
        assert_eq!(links.sweep(start + minute, minute).0, [peers[0]]);
    }

    #[test]
    fn a_number_is_never_used_twice() {
        let (mut links, peer) = (Links::default(), PeerId::random());
        let first = links.add(peer, true, Instant::now());
        assert!(links.remove(&peer).is_some() && links.of_link(first).is_none());
        assert_ne!(links.add(peer, true, Instant::now()), first);
    }

    #[test]
    fn a_silenced_peer_is_heard_again_when_its_time_is_over() {
        let (mut links, start, peer) = (Links::default(), Instant::now(), PeerId::random());
        links.add(peer, true, start);
        links.of_peer(&peer).unwrap().silent_until = Some(start + limits::FLOOD_SILENCE);
        assert!(links.need_a_sweep());
        let long = Duration::from_secs(1000);
        assert!(links.sweep(start + limits::FLOOD_SILENCE - Duration::from_nanos(1), long).1.is_empty());
        assert_eq!(links.sweep(start + limits::FLOOD_SILENCE, long).1, [peer]);
        assert!(links.sweep(start + limits::FLOOD_SILENCE, long).1.is_empty(), "once");
    }
}
