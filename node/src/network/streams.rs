//! A connection on which a stranger may open so many streams, and not more.
//!
//! libp2p agrees on a protocol for each stream before anybody can refuse it, and forgets those over its own limits without a word. This
//! counts below that: one too many ends a stranger's connection, and its address pays the fine. Peers that proved who they are open as
//! many as they like; the other bounds are theirs.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::PeerId;
use libp2p::core::StreamMuxer;
use libp2p::core::connection::ConnectedPoint;
use libp2p::core::muxing::StreamMuxerEvent;

use super::addresses::{Addresses, Pace, Place};
use super::bucket::Bucket;

/// What the connections have in common with whoever admits them.
#[derive(Clone)]
pub(super) struct Doors {
    streams: Pace,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    addresses: Addresses,
    proven: HashSet<PeerId>,
}

impl Doors {
    pub(super) fn new(streams: Pace, addresses: Addresses) -> Self {
        Self { streams, shared: Arc::new(Mutex::new(Shared { addresses, proven: HashSet::new() })) }
    }

    /// What is known of addresses, for a moment.
    pub(super) fn addresses<T>(&self, look: impl FnOnce(&mut Addresses) -> T) -> T {
        look(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner).addresses)
    }

    /// Takes a peer out of the strangers, or puts it back.
    pub(super) fn set_proven(&self, peer: PeerId, proven: bool) {
        let known = &mut self.shared.lock().unwrap_or_else(PoisonError::into_inner).proven;
        let _ = if proven { known.insert(peer) } else { known.remove(&peer) };
    }

    /// The connection with its streams counted.
    pub(super) fn counted<M>(&self, inner: M, peer: PeerId, point: &ConnectedPoint) -> Counted<M> {
        let streams = Bucket::full(self.streams.burst, self.streams.per_second, Instant::now());
        Counted { inner, peer, place: Place::of(point.get_remote_address()), streams, doors: self.clone() }
    }

    /// Whether one stream more is too many for this peer; its address is then fined.
    fn is_too_many(&self, peer: &PeerId, place: Option<Place>, now: Instant) -> bool {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stranger = !shared.proven.contains(peer);
        if let Some(place) = place.filter(|_| is_stranger) {
            shared.addresses.fine(place, now);
        }
        is_stranger
    }
}

/// A connection whose incoming streams are counted.
pub(super) struct Counted<M> {
    inner: M,
    peer: PeerId,
    place: Option<Place>,
    streams: Bucket,
    doors: Doors,
}

/// Why it ended.
#[derive(Debug)]
pub(super) enum Ended<E> {
    TooManyStreams,
    Itself(E),
}

impl<E: fmt::Display> fmt::Display for Ended<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyStreams => f.write_str("a stranger opened too many streams"),
            Self::Itself(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for Ended<E> {}

impl<M: StreamMuxer + Unpin> StreamMuxer for Counted<M> {
    type Substream = M::Substream;
    type Error = Ended<M::Error>;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        let this = self.get_mut();
        let stream = match Pin::new(&mut this.inner).poll_inbound(cx) {
            Poll::Ready(Ok(stream)) => stream,
            other => return other.map_err(Ended::Itself),
        };
        let now = Instant::now();
        if !this.streams.take(now) && this.doors.is_too_many(&this.peer, this.place, now) {
            return Poll::Ready(Err(Ended::TooManyStreams));
        }
        Poll::Ready(Ok(stream))
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.get_mut().inner).poll_outbound(cx).map_err(Ended::Itself)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx).map_err(Ended::Itself)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.get_mut().inner).poll(cx).map_err(Ended::Itself)
    }
}
