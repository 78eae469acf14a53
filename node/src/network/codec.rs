//! Frames on a request-response stream: four bytes of length, big-endian, then that many bytes.
//!
//! The length is judged before anything is allocated, and a frame is read only when its bytes have room:
//! - a peer that has not proved who it is has a small room of its own for each link, so that no other stranger can
//!   keep it from saying hello, and shares one for its larger frames with all strangers;
//! - proven peers share the large room, which strangers cannot touch.
//!
//! What waits for room lies in the muxer's memory meanwhile, so that few frames of an unproven peer may wait: the next are refused.
//! The room is given back when whoever handled the frame drops [`Room`]. A refusal is a value and not an error, since
//! libp2p tells nobody when a codec fails on the listener's side.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::STRANGER_FRAMES_WAITING;

/// The memory a frame occupies, given back on drop.
pub(super) type Room = OwnedSemaphorePermit;

/// What came over a stream, or is to go over it.
pub(super) enum Frame {
    Whole {
        bytes: Vec<u8>,
        room: Option<Room>,
    },
    /// Announced more than the cap; nothing of it was read.
    TooLarge {
        announced_bytes: u32,
    },
    /// The stream ended before the first byte: the other side declined to answer.
    Refused,
}

impl Frame {
    /// A frame of ours.
    pub(super) fn ours(bytes: Vec<u8>) -> Self {
        Self::Whole { bytes, room: None }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frame(..)")
    }
}

/// What one peer may occupy; shared by its connections, and raised when it proves itself.
#[derive(Debug)]
pub(super) struct Standing {
    proven: AtomicBool,
    own: Arc<Semaphore>,
    /// Frames that wait for room.
    waiting: AtomicUsize,
}

/// The place of a frame that waits.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Standing {
    pub(super) fn stranger(own_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            proven: AtomicBool::new(false),
            own: Arc::new(Semaphore::new(own_bytes)),
            waiting: AtomicUsize::new(0),
        })
    }

    pub(super) fn set_proven(&self, proven: bool) {
        self.proven.store(proven, Ordering::Relaxed);
    }
}

/// Bounds of one protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBounds {
    pub(super) frame_max_bytes: usize,
    /// Room each peer has to itself.
    pub(super) own_bytes: usize,
    /// Room all strangers share for frames over `own_bytes`.
    pub(super) strangers_bytes: usize,
    /// Room all proven peers share.
    pub(super) proven_bytes: usize,
}

/// The codec of one protocol, of one connection, or of one stream.
///
/// libp2p clones the behaviour's codec for each connection, and that clone for each of its streams. The behaviour's
/// codec has no standing itself: it lays the one that was put into `hand` into the clone.
#[derive(Debug)]
pub(super) struct FrameCodec {
    bounds: FrameBounds,
    hand: Arc<Mutex<Option<Arc<Standing>>>>,
    standing: Option<Arc<Standing>>,
    strangers: Arc<Semaphore>,
    proven: Arc<Semaphore>,
}

impl FrameCodec {
    pub(super) fn new(bounds: FrameBounds) -> Self {
        Self {
            bounds,
            hand: Arc::new(Mutex::new(None)),
            standing: None,
            strangers: Arc::new(Semaphore::new(bounds.strangers_bytes)),
            proven: Arc::new(Semaphore::new(bounds.proven_bytes)),
        }
    }

    /// Where to put the standing that the next clone of this codec takes.
    pub(super) fn hand(&self) -> Arc<Mutex<Option<Arc<Standing>>>> {
        Arc::clone(&self.hand)
    }

    /// Waits until `length` bytes may be held. None if too many frames of a stranger wait already.
    async fn room(&self, length: usize) -> io::Result<Option<Room>> {
        let budget = match &self.standing {
            Some(standing) if standing.proven.load(Ordering::Relaxed) => &self.proven,
            Some(standing) if length <= self.bounds.own_bytes => &standing.own,
            _ => &self.strangers,
        };
        let permits = u32::try_from(length.max(1)).map_err(io::Error::other)?;
        let stranger = self.standing.as_ref().filter(|standing| !standing.proven.load(Ordering::Relaxed));
        let waits = stranger.map(|standing| {
            let before = standing.waiting.fetch_add(1, Ordering::Relaxed);
            (before, Waits(&standing.waiting))
        });
        // The place is given back when this ends, whoever gives up waiting included.
        if waits.as_ref().is_some_and(|(before, _)| *before >= STRANGER_FRAMES_WAITING) {
            return Ok(Arc::clone(budget).try_acquire_many_owned(permits).ok());
        }
        Arc::clone(budget).acquire_many_owned(permits).await.map(Some).map_err(io::Error::other)
    }

    async fn read<T: AsyncRead + Unpin + Send>(&self, io: &mut T) -> io::Result<Frame> {
        let mut head = [0; 4];
        if io.read(&mut head[..1]).await? == 0 {
            return Ok(Frame::Refused);
        }
        io.read_exact(&mut head[1..]).await?;
        let announced_bytes = u32::from_be_bytes(head);
        if announced_bytes as usize > self.bounds.frame_max_bytes {
            return Ok(Frame::TooLarge { announced_bytes });
        }
        let Some(room) = self.room(announced_bytes as usize).await? else { return Ok(Frame::Refused) };
        let mut bytes = vec![0; announced_bytes as usize];
        io.read_exact(&mut bytes).await?;
        Ok(Frame::Whole { bytes, room: Some(room) })
    }

    async fn write<T: AsyncWrite + Unpin + Send>(&self, io: &mut T, frame: Frame) -> io::Result<()> {
        let Frame::Whole { bytes, .. } = frame else { return Err(io::ErrorKind::InvalidInput.into()) };
        if bytes.len() > self.bounds.frame_max_bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        io.write_all(&length.to_be_bytes()).await?;
        io.write_all(&bytes).await?;
        io.flush().await
    }
}

impl Clone for FrameCodec {
    fn clone(&self) -> Self {
        let standing = match &self.standing {
            Some(standing) => Some(Arc::clone(standing)),
            None => self.hand.lock().unwrap_or_else(PoisonError::into_inner).take(),
        };
        Self {
            bounds: self.bounds,
            hand: Arc::clone(&self.hand),
            standing,
            strangers: Arc::clone(&self.strangers),
            proven: Arc::clone(&self.proven),
        }
    }
}

impl Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame> {
        self.read(io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Frame> {
        self.read(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Frame,
    ) -> io::Result<()> {
        self.write(io, frame).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Frame,
    ) -> io::Result<()> {
        self.write(io, frame).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: FrameBounds =
        FrameBounds { frame_max_bytes: 100, own_bytes: 10, strangers_bytes: 50, proven_bytes: 200 };

    /// The codec of a connection with this standing.
    fn codec(root: &FrameCodec, standing: &Arc<Standing>) -> FrameCodec {
        *root.hand().lock().unwrap() = Some(Arc::clone(standing));
        root.clone().clone()
    }

    fn announced(length: u32, body: usize) -> Vec<u8> {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.resize(4 + body, 7);
        bytes
    }

    async fn read(codec: &FrameCodec, bytes: &[u8]) -> io::Result<Frame> {
        codec.read(&mut &bytes[..]).await
    }

    #[tokio::test]
    async fn a_frame_at_the_cap_is_read_and_one_byte_more_is_refused_unread() {
        let codec = codec(&FrameCodec::new(BOUNDS), &Standing::stranger(10));
        codec.standing.as_ref().unwrap().set_proven(true);
        assert!(
            matches!(read(&codec, &announced(100, 100)).await, Ok(Frame::Whole { bytes, .. }) if bytes == [7; 100])
        );
        // Nothing follows the length: had the codec gone on to the body, this would be an error.
        assert!(matches!(read(&codec, &announced(101, 0)).await, Ok(Frame::TooLarge { announced_bytes: 101 })));
        assert!(matches!(read(&codec, &announced(u32::MAX, 0)).await, Ok(Frame::TooLarge { .. })));
        assert!(matches!(read(&codec, &announced(0, 0)).await, Ok(Frame::Whole { bytes, .. }) if bytes.is_empty()));
    }

    #[tokio::test]
    async fn an_empty_stream_is_a_refusal_and_a_cut_one_an_error() {
        let codec = codec(&FrameCodec::new(BOUNDS), &Standing::stranger(10));
        assert!(matches!(read(&codec, &[]).await, Ok(Frame::Refused)));
        assert_eq!(read(&codec, &[0, 0]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&codec, &announced(9, 8)).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn the_writer_refuses_what_the_reader_would() {
        let codec = FrameCodec::new(BOUNDS);
        let mut out = Vec::new();
        codec.write(&mut out, Frame::ours(vec![7; 100])).await.unwrap();
        assert_eq!(out, announced(100, 100));
        let mut none = Vec::new();
        let error = codec.write(&mut none, Frame::ours(vec![7; 101])).await.unwrap_err();
        assert_eq!((error.kind(), none.len()), (io::ErrorKind::InvalidInput, 0));
    }

    #[tokio::test]
    async fn strangers_starve_neither_a_stranger_that_says_hello_nor_a_proven_peer() {
        let root = FrameCodec::new(BOUNDS);
        let (greedy, polite, proven) = (Standing::stranger(10), Standing::stranger(10), Standing::stranger(10));
        proven.set_proven(true);
        let (a, b, c) = (codec(&root, &greedy), codec(&root, &polite), codec(&root, &proven));
        let held = read(&a, &announced(50, 50)).await.unwrap();
        let own = read(&a, &announced(10, 10)).await.unwrap();
        let tomorrow = std::time::Duration::from_millis(20);
        let waits = |codec: &FrameCodec, size: u32| {
            let (codec, bytes) = (codec.clone(), announced(size, size as usize));
            async move { tokio::time::timeout(tomorrow, read(&codec, &bytes)).await.is_err() }
        };
        assert!(waits(&b, 11).await, "the strangers' room is full");
        assert!(waits(&a, 1).await, "its own room is full");
        assert!(!waits(&b, 10).await, "another stranger's is not");
        assert!(!waits(&c, 100).await, "nor that of proven peers");
        drop((held, own));
        assert!(!waits(&b, 50).await, "the room comes back with the frame");
    }

    #[tokio::test]
    async fn a_strangers_third_frame_that_would_wait_for_room_is_refused() {
        let standing = Standing::stranger(10);
        let codec = codec(&FrameCodec::new(BOUNDS), &standing);
        let held = read(&codec, &announced(10, 10)).await.unwrap();
        let frame = announced(1, 1);
        let mut waiting = Vec::new();
        for _ in 0..STRANGER_FRAMES_WAITING {
            let mut one = Box::pin(read(&codec, &frame));
            assert!(futures::poll!(&mut one).is_pending());
            waiting.push(one);
        }
        assert!(matches!(read(&codec, &frame).await, Ok(Frame::Refused)));
        waiting.pop();
        let mut next = Box::pin(read(&codec, &frame));
        assert!(futures::poll!(&mut next).is_pending(), "whoever gives up makes room for the next that waits");
        drop(held);
        assert!(matches!(next.await, Ok(Frame::Whole { .. })), "and what waited is read in the end");
        standing.set_proven(true);
        let held = read(&codec, &announced(100, 100)).await.unwrap();
        let more = read(&codec, &announced(100, 100)).await.unwrap();
        let mut all: Vec<_> = (0..9).map(|_| Box::pin(read(&codec, &frame))).collect();
        for one in &mut all {
            assert!(futures::poll!(one).is_pending(), "one of ours waits its turn");
        }
        drop((held, more));
    }

    #[tokio::test]
    async fn proven_peers_together_hold_no_more_than_their_budget() {
        let root = FrameCodec::new(BOUNDS);
        let standings = [(); 3].map(|()| Standing::stranger(10));
        let mut held = Vec::new();
        for standing in &standings[..2] {
            standing.set_proven(true);
            held.push(read(&codec(&root, standing), &announced(100, 100)).await.unwrap());
        }
        standings[2].set_proven(true);
        let third = codec(&root, &standings[2]);
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, read(&third, &announced(1, 1))).await.is_err());
        held.pop();
        assert!(tokio::time::timeout(soon, read(&third, &announced(100, 100))).await.is_ok());
    }
}
