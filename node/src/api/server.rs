//! The control socket: who may call, how many at once, how large, and how slowly.
//!
//! A caller's user must be the node's own; anybody else is cut off with one sentence. Each connection must have sent its headers in time,
//! then its body, and must read its answers. A caller whose first request is not here costs little and is let wait (`newcomers`); one
//! whose request is here gets one of a few places (`places`), and one whose request is too long to wait so gets one of others. If all of
//! a kind are taken, the connection that has been waited for longest gives up its own: thousands of callers that dawdle can't keep out
//! one that does not. Where there are many, they are waited for, and received, by threads that give way to those that answer.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
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
    io::{AsyncWriteExt, Interest, unix::AsyncFd},
    net::{UnixSocket, UnixStream},
    runtime::Handle,
    sync::{Notify, watch},
    task::JoinSet,
    time::Instant,
};
use tower::ServiceExt;
use zeroize::Zeroizing;

mod newcomers;
mod patient;
mod places;

use newcomers::{COURTESY, Heard, Newcomer, Newcomers, make_room};
use patient::Patient;
use places::{Places, Seat};

use super::{errors::ErrorJson, input::Whole};
use crate::daemon::{
    failure::{Failure, NodeRefusal},
    hygiene,
    limits::{
        BODY_MAX_BYTES, CALLER_DEADLINE, CALLER_SILENCE_MAX, CALLERS_WAITING, CONNECTIONS_MAX, CROWD_PAUSE, GOODBYE,
        HEAD_MAX_BYTES, IMPORT_MAX_BYTES, RECEIVED_KEPT, RECEIVED_MAX, WAITING_FILES_SHARE, WAITING_MAX,
    },
};

/// How long callers may take, and how many may take it; a test lowers both.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For the headers, and then for the body.
    pub deadline: Duration,
    /// Between two pieces of a file, and before an answer is read.
    pub silence: Duration,
    /// Callers whose first request is waited for.
    pub waiting_max: usize,
}

impl Default for Pace {
    fn default() -> Self {
        let files = usize::try_from(hygiene::files_allowed()).unwrap_or(usize::MAX);
        let waiting_max = (files / WAITING_FILES_SHARE).min(WAITING_MAX);
        Self { deadline: CALLER_DEADLINE, silence: CALLER_SILENCE_MAX, waiting_max }
    }
}

/// The longest path of a socket, by the size of `sun_path` in the kernel, without its closing zero.
const SOCKET_PATH_MAX_BYTES: usize = 107;

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

    /// Those who wait to be let in. Of those whose request is not here only the newest are kept, as many as may be waited for: a crowd
    /// of them costs no more than being let in and cut off.
    async fn newcomers(&self, waiting_max: usize) -> io::Result<Newcomers> {
        let mut newcomers = Newcomers::new(waiting_max);
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

impl Drop for Socket {
    fn drop(&mut self) {
        // Left behind it does no harm: the next start replaces it.
        if self.file.is_some() && self.file == file_at(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers callers of the user `owner` until `stopping` says so, then gives those that are being answered a moment. The threads `behind` wait
/// for those of a crowd.
pub async fn serve(
    mut socket: Socket,
    owner: u32,
    router: Router,
    pace: Pace,
    behind: Handle,
    mut stopping: watch::Receiver<bool>,
) {
    let front = Handle::current();
    let room = Arc::new(Places::new(pace.waiting_max, Duration::ZERO));
    let answered = Arc::new(Places::new(CONNECTIONS_MAX, Duration::ZERO));
    let received = Arc::new(Places::new(RECEIVED_MAX, RECEIVED_KEPT));
    let mut connections = JoinSet::new();
    let mut said_at: Option<Instant> = None;
    loop {
        let newcomers = tokio::select! {
            newcomers = socket.newcomers(pace.waiting_max) => newcomers,
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
                let _ = [&room, &received, &answered].into_iter().find_map(|places| places.make_room());
                tokio::time::sleep(NOT_LET_IN).await;
                continue;
            }
        };
        let mut crowded = newcomers.cut_off > 0;
        let one_speaks = newcomers.speaking.is_some();
        for (number, Newcomer { stream, said }) in (1..).zip(newcomers.speaking.into_iter().chain(newcomers.silent)) {
            let Ok(stream) = UnixStream::from_std(stream) else { continue };
            if stream.peer_cred().map(|caller| caller.uid()).ok() != Some(owner) {
                tracing::warn!("a caller of another user was cut off");
                connections.spawn(turn_away(stream, pace));
                continue;
            }
            let Some((waiting, taken_away)) = room.try_take() else { continue };
            crowded |= taken_away;
            // Few are waited for where they are answered, which is quicker by a turn.
            let is_one_of_few = room.taken() <= CONNECTIONS_MAX;
            let threads = if is_one_of_few || one_speaks && number == 1 { &front } else { &behind };
            let (answered, received) = (Arc::clone(&answered), Arc::clone(&received));
            let Ok(stream) = stream.into_std() else { continue };
            let host = Host { answered, received, router: router.clone(), pace, front: front.clone() };
            connections.spawn_on(host.meet(Newcomer { stream, said }, waiting, stopping.clone()), threads);
            if number == 1 || u32::is_multiple_of(number, COURTESY) {
                // What callers have said is read before more are let in: else thousands that say nothing drive out one that spoke.
                tokio::task::yield_now().await;
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

/// What is needed to answer a caller.
struct Host {
    /// Places for those whose first request is here, and for those whose request is still received.
    answered: Arc<Places>,
    received: Arc<Places>,
    router: Router,
    pace: Pace,
    /// Where those are answered whose first request is here.
    front: Handle,
}

impl Host {
    /// Waits for the newcomer's first request, then for a place, then answers it.
    async fn meet(self, newcomer: Newcomer, waiting: Seat, mut stopping: watch::Receiver<bool>) {
        let seated = async {
            let heard = newcomer.first_request(self.pace.deadline).await?;
            let places = if heard.is_whole { &self.answered } else { &self.received };
            let seat = Arc::new(places.take().await);
            Some((heard, seat))
        };
        let seated = tokio::select! {
            seated = seated => seated,
            () = waiting.taken_away() => None,
            _ = stopping.wait_for(|stopping| *stopping) => None,
        };
        drop(waiting);
        let Some((heard, seat)) = seated else { return };
        let (is_whole, front) = (heard.is_whole, self.front.clone());
        // Apart, since most callers of a crowd never come so far.
        let answered = Box::pin(async move {
            tokio::select! {
                () = self.answer(heard, Arc::clone(&seat), stopping) => {}
                () = seat.taken_away() => {}
            }
        });
        if is_whole {
            // It ends with the caller's own task.
            let mut there = JoinSet::new();
            there.spawn_on(answered, &front);
            let _ = there.join_next().await;
        } else {
            answered.await;
        }
    }

    async fn answer(self, heard: Heard, seat: Arc<Seat>, mut stopping: watch::Receiver<bool>) {
        let Ok(stream) = UnixStream::from_std(heard.stream) else { return };
        let (pace, first) = (self.pace, Mutex::new(Some(heard.body_since)));
        let service = service_fn(move |request| {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            answer(request, self.router.clone(), pace, first.unwrap_or_else(Instant::now), Arc::clone(&seat))
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            // Nobody needs a date here, and a clock that leaps before 1970 has none.
            .auto_date_header(false)
            .header_read_timeout(pace.deadline)
            .max_buf_size(HEAD_MAX_BYTES)
            .serve_connection(TokioIo::new(Patient::new(heard.said, stream, pace.silence)), service);
        let mut served = pin!(served);
        tokio::select! {
            // Whatever it is, the caller knows best: it hung up, or was too slow.
            _ = served.as_mut() => return,
            _ = stopping.wait_for(|stopping| *stopping) => served.as_mut().graceful_shutdown(),
        }
        let _ = served.await;
    }
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    pace: Pace,
    began: Instant,
    seat: Arc<Seat>,
) -> Result<Response, Infallible> {
    let (mut parts, body) = request.into_parts();
    let whole = match take(&parts, body, pace, began).await {
        Ok(whole) => whole,
        Err(failure) => {
            // What is left of the body is not read: the connection ends here.
            let mut response = failure.into_response();
            response.headers_mut().insert(CONNECTION, "close".parse().expect("a header's value"));
            return Ok(response);
        }
    };
    parts.extensions.insert(Whole(Arc::new(whole)));
    let Some(working) = seat.work() else {
        // Its place is another's: nothing is begun for it, and it is cut off in a moment.
        return std::future::pending().await;
    };
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
async fn take(parts: &Parts, mut body: Incoming, pace: Pace, began: Instant) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let is_file = parts.method == Method::POST && parts.uri.path() == "/v1/import";
    let size_max_bytes = if is_file { IMPORT_MAX_BYTES } else { BODY_MAX_BYTES };
    let too_large = || Failure::from(NodeRefusal::BodyTooLarge { most: size_max_bytes as u64 });
    if hyper::body::Body::size_hint(&body).lower() > size_max_bytes as u64 {
        return Err(too_large());
    }
    // What is announced makes no room: a thousand callers may announce the most.
    let mut whole = Zeroizing::default();
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
        make_room(&mut whole, data.len());
        whole.extend_from_slice(&data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
