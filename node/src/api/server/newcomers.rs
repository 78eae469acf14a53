//! Callers that were let in, until their first request is here.
//!
//! `let in -> waited for -> at a place`. Until a caller's first request is whole it costs an open file and what it has said, a few
//! kilobytes at most: no HTTP, no place. It is looked at when it says something, and the more often it did not finish, the longer it is
//! left alone before the next look. Hence thousands of callers that dawdle are kept rather than cut off: one that is cut off comes back
//! at once, and letting it in again costs more than letting it wait.

use std::{
    collections::VecDeque,
    io::{self, Read},
    os::{fd::AsRawFd, unix::net as unix},
    time::Duration,
};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep_until, timeout_at},
};
use zeroize::{Zeroize, Zeroizing};

use crate::daemon::limits::{BODY_MAX_BYTES, SAID_MAX_BYTES};

/// After so many callers the other threads of the processor have their turn.
pub(super) const COURTESY: u32 = 16;

/// So often a caller is looked at as soon as it says more: headers, body and a piece or two.
const LOOKS_AT_ONCE: u32 = 4;
/// Then it is left alone for one millisecond, two, and so on up to this.
const REST_MAX: Duration = Duration::from_millis(256);
/// Callers that came together are looked at in so many groups, one after the other.
const GROUPS: u32 = 16;

/// As many headers as hyper takes.
const HEADERS_MAX: usize = 100;
const PIECE_BYTES: usize = 2 * 1024;

/// Callers that were let in together.
pub(super) struct Newcomers {
    /// Its first request is here: it is served before more are let in.
    pub(super) speaking: Option<Newcomer>,
    pub(super) silent: VecDeque<Newcomer>,
    pub(super) seen: u32,
    /// Silent ones that found no room.
    pub(super) cut_off: u32,
    silent_max: usize,
}

/// A caller that was let in.
pub(super) struct Newcomer {
    pub(super) stream: unix::UnixStream,
    /// What it has said so far.
    pub(super) said: Zeroizing<Vec<u8>>,
}

impl Newcomers {
    pub(super) fn new(silent_max: usize) -> Self {
        Self { speaking: None, silent: VecDeque::new(), seen: 0, cut_off: 0, silent_max }
    }

    pub(super) fn add(&mut self, mut stream: unix::UnixStream) {
        self.seen += 1;
        if self.seen.is_multiple_of(COURTESY) {
            // On one processor the system would let this thread go on for milliseconds while others wait for it.
            std::thread::yield_now();
        }
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let mut buffer = [0; PIECE_BYTES];
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
        if FirstRequest::of(&newcomer.said) == FirstRequest::Whole {
            self.speaking = Some(newcomer);
            return;
        }
        if self.silent.len() == self.silent_max {
            self.silent.pop_front();
            self.cut_off += 1;
        }
        self.silent.push_back(newcomer);
    }
}

/// How much of a caller's first request is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstRequest {
    /// Not even its headers.
    Begun,
    /// Its headers, and not all of its body.
    Head,
    /// As much as can be waited for without answering: all of it, or what is refused, or waits for an answer before it goes on.
    Whole,
}

impl FirstRequest {
    fn of(said: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let body_at = match request.parse(said) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) => return Self::Begun,
            // Hyper says what is wrong with it.
            Err(_) => return Self::Whole,
        };
        let body = &said[body_at..];
        let named = |name: &str| {
            let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            header.map(|header| header.value)
        };
        if named("expect").is_some() {
            return Self::Whole;
        }
        let is_here = if named("transfer-encoding").is_some() {
            // The last chunk and the trailers end with an empty line (RFC 9112, section 7.1); what looks like it only comes too early.
            body.ends_with(b"\r\n\r\n")
        } else {
            let announced = named("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            announced.is_none_or(|bytes: usize| bytes <= body.len() || bytes > BODY_MAX_BYTES)
        };
        if is_here { Self::Whole } else { Self::Head }
    }
}

/// A caller's first request, as far as it was waited for.
pub(super) struct Heard {
    pub(super) stream: unix::UnixStream,
    pub(super) said: Zeroizing<Vec<u8>>,
    /// Or as much of it as an answer needs. Otherwise the rest is long, or late.
    pub(super) is_whole: bool,
    /// Since when its body is waited for.
    pub(super) body_since: Instant,
}

impl Newcomer {
    /// Waits until its first request is whole, or too long to be kept here, or its body is late; `None` if it hung up, or its headers
    /// were not there by `deadline`.
    pub(super) async fn first_request(mut self, deadline: Duration) -> Option<Heard> {
        let mut until = Instant::now() + deadline;
        let mut body_since = None;
        let mut is_whole = false;
        for looks in 0.. {
            let how_much = FirstRequest::of(&self.said);
            if how_much != FirstRequest::Begun && body_since.is_none() {
                let now = Instant::now();
                body_since = Some(now);
                until = now + deadline;
            }
            is_whole = how_much == FirstRequest::Whole;
            if is_whole || self.said.len() >= SAID_MAX_BYTES {
                break;
            }
            let said = self.said.len();
            self = self.more(looks, until).await?;
            if self.said.len() == said {
                body_since?;
                break;
            }
        }
        let body_since = body_since.unwrap_or_else(Instant::now);
        Some(Heard { stream: self.stream, said: self.said, is_whole, body_since })
    }

    /// Waits `until` then for it to say more; `None` if it hung up.
    async fn more(mut self, looks: u32, until: Instant) -> Option<Self> {
        // While it is left alone the system does not say that it spoke either.
        let rest = rest(looks, self.stream.as_raw_fd().unsigned_abs());
        if !rest.is_zero() {
            sleep_until(until.min(Instant::now() + rest)).await;
        }
        loop {
            let mut piece = Zeroizing::new([0; PIECE_BYTES]);
            match self.stream.read(&mut piece[..]) {
                Ok(0) => return None,
                Ok(bytes) => {
                    make_room(&mut self.said, bytes);
                    self.said.extend_from_slice(&piece[..bytes]);
                    return Some(self);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let stream = UnixStream::from_std(self.stream).ok()?;
                    let spoke = timeout_at(until, stream.readable()).await;
                    self.stream = stream.into_std().ok()?;
                    if spoke.is_err() {
                        return Some(self);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

/// Room for so many bytes more. What was said may be a field's text: where it stood before it is wiped.
pub(super) fn make_room(said: &mut Zeroizing<Vec<u8>>, bytes: usize) {
    if said.capacity() - said.len() < bytes {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * said.len() + bytes));
        larger.extend_from_slice(said);
        *said = larger;
    }
}

fn rest(looks: u32, descriptor: u32) -> Duration {
    let Some(late) = looks.checked_sub(LOOKS_AT_ONCE) else { return Duration::ZERO };
    let rest = Duration::from_millis(1 << late.min(16)).min(REST_MAX);
    rest + rest * (descriptor % GROUPS) / GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_with_its_last_byte_and_what_waits_for_an_answer_is_too() {
        let set = b"POST /v1/set HTTP/1.1\r\nhost: allod\r\ncontent-length: 9\r\n\r\n{\"a\": 1}\n";
        let body_at = set.len() - 9;
        for bytes in 0..set.len() {
            let expected = if bytes < body_at { FirstRequest::Begun } else { FirstRequest::Head };
            assert_eq!(FirstRequest::of(&set[..bytes]), expected, "{bytes} bytes");
        }
        let chunked = "POST /v1/set HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n";
        for (said, expected) in [
            (std::str::from_utf8(set).unwrap().to_owned(), FirstRequest::Whole),
            ("GET /v1/status HTTP/1.1\r\n\r\n".to_owned(), FirstRequest::Whole),
            (chunked.to_owned(), FirstRequest::Head),
            (format!("{chunked}0\r\n\r\n"), FirstRequest::Whole),
            (format!("{chunked}0\r\nname: value\r\n\r\n"), FirstRequest::Whole),
            ("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned(), FirstRequest::Whole),
            (format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", BODY_MAX_BYTES + 1), FirstRequest::Whole),
            ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(), FirstRequest::Whole),
            ("what is this?".to_owned(), FirstRequest::Whole),
        ] {
            assert_eq!(FirstRequest::of(said.as_bytes()), expected, "{said}");
        }
    }

    #[test]
    fn who_dawdles_is_looked_at_ever_less_often() {
        assert!((0..LOOKS_AT_ONCE).all(|looks| rest(looks, 7).is_zero()));
        let rests: Vec<_> = (LOOKS_AT_ONCE..LOOKS_AT_ONCE + 40).map(|looks| rest(looks, 7)).collect();
        assert!(
            rests.is_sorted() && rests.iter().all(|rest| (1..=2 * REST_MAX.as_millis()).contains(&rest.as_millis()))
        );
        // From its first byte to its deadline, one a byte every tenth of a second, a caller is looked at fewer times than it speaks.
        let looks = (0..).scan(Duration::ZERO, |at, looks| {
            *at += rest(looks, 7).max(Duration::from_millis(100));
            Some(*at)
        });
        assert!(looks.take_while(|at| *at < Duration::from_secs(10)).count() < 50);
    }
}
