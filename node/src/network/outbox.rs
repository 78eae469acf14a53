//! Events on their way to the engine, without ever waiting for it.
//!
//! What the engine must learn (links, answers, failures) is kept here while its channel is full; what a peer can
//! repeat (requests, hints) is refused or dropped instead. Everything kept has a bound of its own: answers by the
//! windows, failures and dials by the commands, and past [`limits::EVENTS_KEPT`] the driver takes no command and lets
//! no stranger in.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::codec::Room;
use super::{NetworkEvent, limits};

/// The driver's end of the event channel.
pub(super) struct Outbox {
    events: mpsc::Sender<NetworkEvent>,
    kept: VecDeque<(NetworkEvent, Option<Room>)>,
}

impl Outbox {
    pub(super) fn new(events: mpsc::Sender<NetworkEvent>) -> Self {
        Self { events, kept: VecDeque::new() }
    }

    /// An event the engine must get, with the room its bytes occupy until it is in the channel.
    pub(super) fn must(&mut self, event: NetworkEvent, room: Option<Room>) {
        self.kept.push_back((event, room));
        self.push();
    }

    /// An event that may be lost: gone if there is no place, which the result says.
    pub(super) fn may(&mut self, event: NetworkEvent) -> bool {
        self.kept.is_empty() && self.events.try_send(event).is_ok()
    }

    /// A hint, which is lost where hints would take more than half of the channel; whether it went in.
    pub(super) fn hint(&mut self, topic: u8, bytes: Vec<u8>) -> bool {
        self.events.capacity() * 2 > self.events.max_capacity() && self.may(NetworkEvent::Hint { topic, bytes })
    }

    /// Whether the engine is so far behind that nothing new may begin.
    pub(super) fn is_overfull(&self) -> bool {
        self.kept.len() >= limits::EVENTS_KEPT
    }

    /// Ready when a kept event can go out; never if there is none. Follow with [`Self::push`].
    pub(super) async fn ready(&self) {
        if self.kept.is_empty() {
            return std::future::pending().await;
        }
        // The place is given back at once and taken by `push`: this task is the only sender.
        drop(self.events.reserve().await);
    }

    /// Sends what there is place for.
    pub(super) fn push(&mut self) {
        while let Some((event, room)) = self.kept.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => drop(room),
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.kept.push_front((event, room));
                    return;
                }
                // Nobody listens any more: the command channel's end stops the driver.
                Err(mpsc::error::TrySendError::Closed(_)) => self.kept.clear(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Link;

    fn down(link: u64) -> NetworkEvent {
        NetworkEvent::LinkDown { link: Link(link) }
    }

    #[tokio::test]
    async fn a_full_channel_loses_hints_and_keeps_the_order_of_what_matters() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender);
        for link in 0..5 {
            outbox.must(down(link), None);
        }
        assert!(!outbox.hint(0, vec![]));
        for link in 0..5 {
            if !outbox.kept.is_empty() {
                assert_eq!(receiver.recv().await, Some(down(link)));
                outbox.ready().await;
                outbox.push();
            } else {
                assert_eq!(receiver.recv().await, Some(down(link)));
            }
        }
        assert!(outbox.hint(0, vec![]));
        assert!(!outbox.hint(0, vec![]), "half of the places is the most that hints get");
        assert!(outbox.may(down(5)), "and what matters more has the other half");
    }

    #[test]
    fn the_number_of_kept_events_is_told() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        for link in 0..limits::EVENTS_KEPT as u64 {
            outbox.must(down(link), None);
        }
        assert!(!outbox.is_overfull());
        outbox.must(down(0), None);
        assert!(outbox.is_overfull());
    }
}
