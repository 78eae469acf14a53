//! The control socket: who may call, how many at once, how large, and how slowly.
//!
//! A caller's user must be the node's own; anybody else is cut off with one sentence. Each connection must have sent its headers in time,
//! then its body, and must read its answers. If all places are taken, the connection that has been waited for longest gives up its
//! place: a thousand callers that dawdle can't keep out one that does not.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    fs,
    io::{self, Read},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{self as unix, UnixListener},
    },
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header::CONNECTION, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf, unix::AsyncFd},
    net::{UnixSocket, UnixStream},
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, Sleep},
};
use tower::ServiceExt;
use zeroize::{Zeroize, Zeroizing};

use super::{errors::ErrorJson, input::Whole};
use crate::daemon::{
    failure::{Failure, NodeRefusal},
    limits::{
        BODY_MAX_BYTES, CALLER_DEADLINE, CALLER_SILENCE_MAX, CALLERS_WAITING, CONNECTIONS_MAX, CROWD_PAUSE, GOODBYE,
        HEAD_MAX_BYTES, IMPORT_MAX_BYTES,
    },
};

/// How long callers may take; a test shortens it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For the headers, and then for the body.
    pub deadline: Duration,
    /// Between two pieces of a file, and before an answer is read.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { deadline: CALLER_DEADLINE, silence: CALLER_SILENCE_MAX }
    }
}

/// The longest path of a socket, by the size of `sun_path` in the kernel, without its closing zero.
const SOCKET_PATH_MAX_BYTES: usize = 107;

/// After so many callers the other threads of the processor have their turn.
const COURTESY: u32 = 16;

/// How long a socket that could not let a caller in waits before it tries again: as long as one that was cut off takes to go, with room.
const NOT_LET_IN: Duration = Duration::from_millis(10);
/// How often at most the log says that callers could not be let in: it must not fill a disk with that.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// The control socket, bound. It is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: AsyncFd<UnixListener>,
    path: PathBuf,
    /// Device and number of its file: another socket may be at its path by then.
    file: Option<(u64, u64)>,
    gone: Arc<Notify>,
}

/// What is at a path, links not followed.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Socket {
    /// Binds the socket for its owner alone. One that a crash left is replaced: the caller holds the lock of the home, hence nobody
    /// listens there.
    ///
    /// # Errors
    /// The failure to show.
    pub fn bind(path: &Path) -> Result<Self, Failure> {
        let shown = || path.display().to_string();
        if path.as_os_str().len() > SOCKET_PATH_MAX_BYTES {
            return Err(NodeRefusal::SocketPathTooLong { path: shown(), most: SOCKET_PATH_MAX_BYTES as u64 }.into());
        }
        let bound = || -> io::Result<AsyncFd<UnixListener>> {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let socket = UnixSocket::new_stream()?;
            socket.bind(path)?;
            let listener = socket.listen(CALLERS_WAITING)?;
            // Between the two lines the home's own mode keeps others out.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            let listener = listener.into_std()?;
            #[expect(unsafe_code, reason = "there is no safe way to let callers in without making a task for each")]
            // SAFETY: the listener owns its descriptor and always names the same one; it is closed when the `AsyncFd` is dropped, not before.
            let listener = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }?;
            Ok(listener)
        };
        let listener = bound().map_err(|error| NodeRefusal::HomeIo { path: shown(), detail: error.to_string() })?;
        Ok(Self { listener, file: file_at(path), path: path.to_owned(), gone: Arc::default() })
    }

    /// Told when its file is gone from a home that is in its place: it is bound again.
    #[must_use]
    pub fn gone(&self) -> Arc<Notify> {
        Arc::clone(&self.gone)
    }

    fn bind_again(&mut self) {
        match Self::bind(&self.path) {
            Ok(mut again) => {
                tracing::warn!("the control socket was gone, and is there again");
                again.gone = self.gone();
                *self = again;
            }
            Err(failure) => tracing::debug!(id = failure.id, "the control socket is gone"),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Those who wait to be let in. Of those who have said nothing yet only the newest are kept, as many as there are places: a
    /// crowd of them costs no more than being let in and cut off.
    async fn newcomers(&self) -> io::Result<Newcomers> {
        let mut newcomers = Newcomers::default();
        while newcomers.seen == 0 {
            let mut ready = self.listener.readable().await?;
            while newcomers.speaking.is_none() && newcomers.seen < CALLERS_WAITING {
                match ready.try_io(|listener| listener.get_ref().accept()) {
                    Ok(Ok((stream, _))) => newcomers.add(stream),
                    Ok(Err(error)) if newcomers.seen == 0 => return Err(error),
                    Ok(Err(_)) | Err(_) => break,
                }
            }
        }
        Ok(newcomers)
    }
}

/// Callers that were let in together.
#[derive(Default)]
struct Newcomers {
    /// Its first headers are here: it is served before more are let in.
    speaking: Option<Newcomer>,
    silent: VecDeque<Newcomer>,
    seen: u32,
    /// Silent ones that found no room.
    cut_off: u32,
}

struct Newcomer {
    stream: unix::UnixStream,
    /// What it has said so far.
    said: Zeroizing<Vec<u8>>,
}

impl Newcomers {
    fn add(&mut self, mut stream: unix::UnixStream) {
        self.seen += 1;
        if self.seen.is_multiple_of(COURTESY) {
            // On one processor the system would let this thread go on for milliseconds while others wait for it.
            std::thread::yield_now();
        }
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let mut buffer = [0; 2 * 1024];
        let said = match stream.read(&mut buffer) {
            // It hung up.
            Ok(0) => return,
            Ok(bytes) => {
                let said = Zeroizing::new(buffer[..bytes].to_vec());
                buffer[..bytes].zeroize();
                said
            }
            Err(_) => Zeroizing::default(),
        };
        let newcomer = Newcomer { stream, said };
        if has_head(&newcomer.said) {
            self.speaking = Some(newcomer);
            return;
        }
        if self.silent.len() == CONNECTIONS_MAX {
            self.silent.pop_front();
            self.cut_off += 1;
        }
        self.silent.push_back(newcomer);
    }
}

/// Whether a first request's headers are whole.
fn has_head(said: &[u8]) -> bool {
    const END: &[u8] = b"\r\n\r\n";
    said.windows(END.len()).any(|four| four == END)
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Left behind it does no harm: the next start replaces it.
        if self.file.is_some() && self.file == file_at(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers callers of the user `owner` until `stopping` says so, then gives those that are being answered a moment.
pub async fn serve(mut socket: Socket, owner: u32, router: Router, pace: Pace, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Places::default());
    let mut connections = JoinSet::new();
    let mut said_at: Option<Instant> = None;
    'open: loop {
        let newcomers = tokio::select! {
            newcomers = socket.newcomers() => newcomers,
            () = socket.gone.notified() => {
                socket.bind_again();
                continue;
            }
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let newcomers = match newcomers {
            Ok(newcomers) => newcomers,
            Err(error) => {
                // Too many open files, most likely: whoever has been waited for longest makes room, and is gone in a moment.
                if said_at.is_none_or(|at| at.elapsed() >= SAID_AGAIN) {
                    said_at = Some(Instant::now());
                    tracing::warn!(why = %error, "a caller could not be let in");
                }
                places.make_room();
                tokio::time::sleep(NOT_LET_IN).await;
                continue;
            }
        };
        let mut crowded = newcomers.cut_off > 0;
        for (number, Newcomer { stream, said }) in (1..).zip(newcomers.speaking.into_iter().chain(newcomers.silent)) {
            let Ok(stream) = UnixStream::from_std(stream) else { continue };
            if stream.peer_cred().map(|caller| caller.uid()).ok() != Some(owner) {
                tracing::warn!("a caller of another user was cut off");
                connections.spawn(turn_away(stream, pace));
                continue;
            }
            let (seat, taken_away) = tokio::select! {
                seat = places.take() => seat,
                _ = stopping.wait_for(|stopping| *stopping) => break 'open,
            };
            crowded |= taken_away;
            let caller = connection(stream, said, Arc::clone(&seat), router.clone(), pace, stopping.clone());
            let serving = connections.spawn(caller);
            seat.belongs_to(serving);
            // What a caller has said is read before the next is let in: else a thousand that say nothing drive out one that spoke.
            tokio::task::yield_now().await;
            if u32::is_multiple_of(number, COURTESY) {
                std::thread::yield_now();
            }
        }
        while connections.try_join_next().is_some() {}
        if crowded {
            // Those who are being answered come first; whoever comes meanwhile is let in with the others.
            tokio::time::sleep(CROWD_PAUSE).await;
        }
    }
    drop(socket);
    let _ = tokio::time::timeout(GOODBYE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn turn_away(mut stream: UnixStream, pace: Pace) {
    let error = ErrorJson::of(&NodeRefusal::OtherUser {}.into());
    let body = serde_json::to_string(&error).expect("an error's JSON has string keys only");
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let _ = tokio::time::timeout(pace.deadline, stream.write_all(whole.as_bytes())).await;
}

async fn connection(
    mut stream: UnixStream,
    mut said: Zeroizing<Vec<u8>>,
    seat: Arc<Seat>,
    router: Router,
    pace: Pace,
    mut stopping: watch::Receiver<bool>,
) {
    let spoke = tokio::select! {
        spoke = tokio::time::timeout(pace.deadline, first_head(&mut stream, &mut said)) => spoke,
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    let Ok(Ok(())) = spoke else { return };
    let service = service_fn(move |request| answer(request, router.clone(), pace, Arc::clone(&seat)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(pace.deadline)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(Patient::new(said, stream, pace.silence)), service);
    let mut served = pin!(served);
    tokio::select! {
        // Whatever it is, the caller knows best: it hung up, or was too slow.
        _ = served.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

/// Waits for a caller's first headers. Nothing else is made for it before: whoever is cut off in the meantime has cost little.
async fn first_head(stream: &mut UnixStream, said: &mut Zeroizing<Vec<u8>>) -> io::Result<()> {
    let mut looked_at: usize = 0;
    while !has_head(&said[looked_at..]) && said.len() < HEAD_MAX_BYTES {
        looked_at = said.len().saturating_sub(3);
        stream.readable().await?;
        said.reserve(2 * 1024);
        if stream.read_buf(&mut **said).await? == 0 {
            break;
        }
    }
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    pace: Pace,
    seat: Arc<Seat>,
) -> Result<Response, Infallible> {
    let (mut parts, body) = request.into_parts();
    let whole = match take(&parts, body, pace).await {
        Ok(whole) => whole,
        Err(failure) => {
            // What is left of the body is not read: the connection ends here.
            let mut response = failure.into_response();
            response.headers_mut().insert(CONNECTION, "close".parse().expect("a header's value"));
            return Ok(response);
        }
    };
    parts.extensions.insert(Whole(Arc::new(whole)));
    let working = seat.work();
    let response = router.oneshot(Request::from_parts(parts, Body::empty())).await?;
    // The place counts as worked at until the last byte of the answer has left.
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &working;
            frame
        }))
    }))
}

/// The body, whole, within its cap and in time.
async fn take(parts: &Parts, mut body: Incoming, pace: Pace) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let is_file = parts.method == Method::POST && parts.uri.path() == "/v1/import";
    let size_max_bytes = if is_file { IMPORT_MAX_BYTES } else { BODY_MAX_BYTES };
    let too_large = || Failure::from(NodeRefusal::BodyTooLarge { most: size_max_bytes as u64 });
    let announced = hyper::body::Body::size_hint(&body).lower();
    let announced = usize::try_from(announced).ok().filter(|bytes| *bytes <= size_max_bytes).ok_or_else(too_large)?;
    // What is announced costs the caller nothing: room is made for no more than one ordinary body.
    let mut whole = Zeroizing::new(Vec::with_capacity(announced.min(BODY_MAX_BYTES)));
    let began = Instant::now();
    loop {
        let until = if is_file { Instant::now() + pace.silence } else { began + pace.deadline };
        let frame = tokio::time::timeout_at(until, body.frame())
            .await
            .map_err(|_| NodeRefusal::TooSlow { seconds: pace.deadline.as_secs() })?;
        let Some(frame) = frame else { return Ok(whole) };
        let frame = frame.map_err(|error| NodeRefusal::BadBody { why: error.to_string() })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > size_max_bytes {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
}

/// The places of the socket.
#[derive(Default)]
struct Places {
    taken: Mutex<BTreeMap<u64, Place>>,
    next: Mutex<u64>,
    /// A place has become free, or one that could be taken away.
    freed: Notify,
}

struct Place {
    /// Since when the caller is waited for; `None` while it is being answered.
    waiting_since: Option<Instant>,
    serving: Option<AbortHandle>,
}

impl Places {
    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Place>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, and whether somebody else gave it up.
    async fn take(self: &Arc<Self>) -> (Arc<Seat>, bool) {
        loop {
            let freed = self.freed.notified();
            if let Some(seat) = self.try_take() {
                return seat;
            }
            freed.await;
        }
    }

    /// One of those who are waited for goes, if there is any.
    fn make_room(&self) {
        give_up_one(&mut self.locked());
    }

    fn try_take(self: &Arc<Self>) -> Option<(Arc<Seat>, bool)> {
        let mut taken = self.locked();
        let full = taken.len() >= CONNECTIONS_MAX;
        if full {
            give_up_one(&mut taken)?;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *next;
        *next += 1;
        taken.insert(number, Place { waiting_since: Some(Instant::now()), serving: None });
        Some((Arc::new(Seat { places: Arc::clone(self), number }), full))
    }
}

/// Cuts off whoever has been waited for longest; none if all are being answered.
fn give_up_one(taken: &mut BTreeMap<u64, Place>) -> Option<()> {
    let waited_for = taken.iter().filter_map(|(number, place)| Some((place.waiting_since?, *number)));
    let (_, number) = waited_for.min()?;
    if let Some(serving) = taken.remove(&number).and_then(|place| place.serving) {
        serving.abort();
    }
    Some(())
}

/// One connection's place.
struct Seat {
    places: Arc<Places>,
    number: u64,
}

impl Seat {
    fn belongs_to(&self, serving: AbortHandle) {
        if let Some(place) = self.places.locked().get_mut(&self.number) {
            place.serving = Some(serving);
        }
    }

    fn work(self: Arc<Self>) -> Working {
        self.set_waiting(None);
        Working(self)
    }

    fn set_waiting(&self, since: Option<Instant>) {
        if let Some(place) = self.places.locked().get_mut(&self.number) {
            place.waiting_since = since;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.locked().remove(&self.number);
        self.places.freed.notify_one();
    }
}

/// While this lives, the caller is being answered.
struct Working(Arc<Seat>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.set_waiting(Some(Instant::now()));
        self.0.places.freed.notify_one();
    }
}

/// A stream that fails when its other end reads nothing for too long. What was read of it already comes first.
struct Patient {
    said: io::Cursor<Zeroizing<Vec<u8>>>,
    stream: UnixStream,
    silence: Duration,
    /// Runs while a write waits for room.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(said: Zeroizing<Vec<u8>>, stream: UnixStream, silence: Duration) -> Self {
        Self { said: io::Cursor::new(said), stream, silence, patience: None }
    }

    fn within<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.patience = None;
            return polled;
        }
        let silence = self.silence;
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        patience.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let said = Pin::new(&mut self.said).poll_read(context, buffer);
        if buffer.filled().len() > before {
            return said;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(places: &Places) -> Vec<u64> {
        places.locked().keys().copied().collect()
    }

    #[test]
    fn the_caller_that_was_waited_for_longest_gives_up_its_place_and_one_that_is_answered_does_not() {
        let places = Arc::new(Places::default());
        let seats: Vec<_> = (0..CONNECTIONS_MAX).map(|_| places.try_take().unwrap().0).collect();
        let answered = Arc::clone(&seats[0]).work();
        let newest = places.try_take().unwrap().0;
        let left = numbers(&places);
        assert_eq!(
            (left.len(), left[0], left[1]),
            (CONNECTIONS_MAX, 0, 2),
            "the second came first of those waited for"
        );
        let all_answered: Vec<_> = seats.iter().cloned().chain([newest]).map(Seat::work).collect();
        assert!(places.try_take().is_none(), "nobody who is answered is cut off");
        assert_eq!(numbers(&places), left);
        drop(all_answered);
        // The first is answered still, in another request.
        assert!(places.try_take().is_some());
        drop((answered, seats));
    }

    #[test]
    fn a_socket_is_its_owners_alone_and_its_path_fits_a_sockets_name() {
        let outside = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let path = outside.path().join("control.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(socket.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let room = SOCKET_PATH_MAX_BYTES - outside.path().as_os_str().len() - 1;
        assert!(Socket::bind(&outside.path().join("s".repeat(room))).is_ok());
        let failure = Socket::bind(&outside.path().join("s".repeat(room + 1))).unwrap_err();
        assert_eq!(failure.id, "node-socket-path-too-long");
    }
}
