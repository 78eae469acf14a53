//! A transport that closes strangers' connections which come too often, before anybody else hears of them.
//!
//! libp2p asks every behaviour about each connection that comes in, and tells each of the refusal. Ten thousand a second would be a
//! processor's work; here one costs its two calls to the system.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, Transport};

use super::addresses::Place;
use super::streams::Doors;

/// Connections refused in a row before others get a turn.
const REFUSED_IN_A_ROW: usize = 16;

/// The transport behind the gate.
pub(super) struct Gate<T> {
    inner: T,
    doors: Doors,
}

impl<T> Gate<T> {
    pub(super) const fn new(inner: T, doors: Doors) -> Self {
        Self { inner, doors }
    }

    fn admits(&self, from: &Multiaddr) -> bool {
        Place::of(from).is_none_or(|place| self.doors.addresses(|addresses| addresses.admit(place, Instant::now())))
    }
}

impl<T: Transport + Unpin> Transport for Gate<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let this = self.get_mut();
        for _ in 0..REFUSED_IN_A_ROW {
            match Pin::new(&mut this.inner).poll(cx) {
                Poll::Ready(TransportEvent::Incoming { send_back_addr, .. }) if !this.admits(&send_back_addr) => {}
                other => return other,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
