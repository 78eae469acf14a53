//! The control API as a client sees it: HTTP and JSON over the Unix socket in the home.
//!
//! One connection carries one request, so that nothing waits on a connection that the node has closed meanwhile. Every wait has an end:
//! a node that does not answer is reported, never waited for. Streams (`/v1/watch`) have none but the node's own keep-alive.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::UnixStream, time::timeout};

use crate::daemon::SOCKET;

/// Connecting on one machine is immediate, unless the node hangs.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The longest wait for an answer that computes: a large removal or a live read. A long poll ends after 25 s by itself.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(90);
/// An import of the largest file.
pub const IMPORT_DEADLINE: Duration = Duration::from_secs(3_600);
/// A backup of the largest home, until its first byte.
const DOWNLOAD_DEADLINE: Duration = IMPORT_DEADLINE;
/// The node sends something at least every 15 s on a stream.
const STREAM_SILENCE: Duration = Duration::from_secs(60);
/// One answer: a page of a thousand values of the usual size fits many times over. Bytes.
const ANSWER_MAX_BYTES: usize = 512 * 1024 * 1024;
/// One line of a stream: an event names paths, never values. Bytes.
const LINE_MAX_BYTES: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens on the socket.
    NotRunning,
    /// The socket is there and may not be used.
    Refused(io::Error),
    /// No answer in time.
    Silent(Duration),
    /// The connection broke, or what came is not an answer.
    Broken(String),
    /// The node's own error object.
    Answered(Box<Value>),
}

/// What a request carries.
pub enum Body {
    None,
    Json(Value),
    /// A file, streamed.
    Raw(UnsyncBoxBody<Bytes, io::Error>),
}

/// A node's control socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// The client of the node in that home.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { socket: home.join(SOCKET) }
    }

    /// `GET`, and its JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get(&self, url: &Url) -> Result<Value, ClientError> {
        self.call(Method::GET, url, Body::None, ANSWER_DEADLINE).await
    }

    /// `POST`, and its JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post(&self, url: &Url, body: Value) -> Result<Value, ClientError> {
        self.call(Method::POST, url, Body::Json(body), ANSWER_DEADLINE).await
    }

    /// One request, and its JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn call(&self, method: Method, url: &Url, body: Body, deadline: Duration) -> Result<Value, ClientError> {
        let answer = async {
            let response = self.send(method, url, body).await?;
            let status = response.status();
            let bytes = http_body_util::Limited::new(response.into_body(), ANSWER_MAX_BYTES);
            let bytes = bytes.collect().await.map_err(|error| ClientError::Broken(error.to_string()))?.to_bytes();
            judge(status, &bytes)
        };
        timeout(deadline, answer).await.unwrap_or(Err(ClientError::Silent(deadline)))
    }

    /// The node's events, from the one after `last` if the node still has it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch(&self, last: Option<&str>) -> Result<Events, ClientError> {
        let url = Url::new("/v1/watch");
        let builder = Request::builder().method(Method::GET).header(ACCEPT, "text/event-stream");
        let builder = last.iter().fold(builder, |builder, id| builder.header("last-event-id", *id));
        let opened = timeout(CONNECT_DEADLINE, self.exchange(builder, &url, Body::None)).await;
        let response = opened.unwrap_or(Err(ClientError::Silent(CONNECT_DEADLINE)))?;
        let response = accepted(response).await?;
        Ok(Events { body: response.into_body(), lines: Lines::default(), ready: VecDeque::new() })
    }

    /// A file of the node's, from its first byte.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn download(&self, url: &Url) -> Result<Download, ClientError> {
        let opened = timeout(DOWNLOAD_DEADLINE, self.send(Method::GET, url, Body::None)).await;
        let response = accepted(opened.unwrap_or(Err(ClientError::Silent(DOWNLOAD_DEADLINE)))?).await?;
        let (head, body) = response.into_parts();
        Ok(Download { headers: head.headers, body })
    }

    async fn send(&self, method: Method, url: &Url, body: Body) -> Result<hyper::Response<Incoming>, ClientError> {
        self.exchange(Request::builder().method(method), url, body).await
    }

    async fn exchange(
        &self,
        builder: hyper::http::request::Builder,
        url: &Url,
        body: Body,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        let stream = timeout(CONNECT_DEADLINE, UnixStream::connect(&self.socket))
            .await
            .map_err(|_| ClientError::Silent(CONNECT_DEADLINE))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                    ClientError::NotRunning
                }
                _ => ClientError::Refused(error),
            })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| ClientError::Broken(error.to_string()))?;
        tokio::spawn(connection);
        let builder = builder.uri(url.as_str()).header(HOST, "allod");
        let builder = if let Body::Json(_) = body { builder.header(CONTENT_TYPE, "application/json") } else { builder };
        let body = match body {
            Body::None => Full::default().map_err(|never| match never {}).boxed_unsync(),
            Body::Json(json) => Full::from(json.to_string()).map_err(|never| match never {}).boxed_unsync(),
            Body::Raw(body) => body,
        };
        let request = builder.body(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        sender.send_request(request).await.map_err(|error| ClientError::Broken(error.to_string()))
    }
}

/// This answer, unless it is a refusal.
async fn accepted(response: hyper::Response<Incoming>) -> Result<hyper::Response<Incoming>, ClientError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let bytes = http_body_util::Limited::new(response.into_body(), ANSWER_MAX_BYTES);
    let bytes = bytes.collect().await.map_err(|error| ClientError::Broken(error.to_string()))?;
    Err(judge(status, &bytes.to_bytes()).err().unwrap_or_else(|| ClientError::Broken(status.to_string())))
}

fn judge(status: StatusCode, bytes: &[u8]) -> Result<Value, ClientError> {
    let value = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice::<Value>(bytes) };
    match value {
        Ok(value) if status.is_success() => Ok(value),
        Ok(mut value) if value["error"].is_object() => Err(ClientError::Answered(Box::new(value["error"].take()))),
        _ => Err(ClientError::Broken(status.to_string())),
    }
}

/// A path of the API with its query, escaped where it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// A path without anything to escape.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// One more part of the path, escaped.
    #[must_use]
    pub fn part(mut self, part: &str) -> Self {
        self.0.push('/');
        escape(part, &mut self.0);
        self
    }

    /// One more part of the path that needs no escaping.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.0.push('/');
        self.0.push_str(word);
        self
    }

    /// One more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        escape(value, &mut self.0);
        self
    }

    /// One more parameter, if there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// As it stands in the request.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// A file that the node hands over.
pub struct Download {
    headers: HeaderMap,
    body: Incoming,
}

impl Download {
    /// What the node says about it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece; none once it is whole.
    ///
    /// # Errors
    /// The connection broke, or went silent, before all of it was here.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = timeout(STREAM_SILENCE, self.body.frame()).await;
            match frame.map_err(|_| ClientError::Silent(STREAM_SILENCE))? {
                None => return Ok(None),
                Some(frame) => {
                    let frame = frame.map_err(|error| ClientError::Broken(error.to_string()))?;
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: Option<String>,
    pub data: String,
}

/// A stream of events.
pub struct Events {
    body: Incoming,
    lines: Lines,
    ready: VecDeque<Event>,
}

impl Events {
    /// Drops the events that came already: for a reader that looks at what they are about anyway.
    pub fn forget_ready(&mut self) {
        self.ready.clear();
    }

    /// The next event; none once the node ended the stream.
    ///
    /// # Errors
    /// The connection broke or went silent.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let frame = timeout(STREAM_SILENCE, self.body.frame()).await;
            match frame.map_err(|_| ClientError::Silent(STREAM_SILENCE))? {
                None => return Ok(None),
                Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.lines.take(bytes, &mut self.ready)?;
                    }
                }
            }
        }
    }
}

/// Server-sent events out of bytes, however they are cut: a field a line, an empty line ends an event.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    id: Option<String>,
    data: Option<String>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], ready: &mut VecDeque<Event>) -> Result<(), ClientError> {
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() >= LINE_MAX_BYTES {
                    return Err(ClientError::Broken("an event without end".to_owned()));
                }
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end_matches('\r').to_owned();
            let (field, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    if let Some(data) = self.data.take() {
                        ready.push_back(Event { id: self.id.clone(), data });
                    }
                }
                "id" => self.id = Some(value.to_owned()),
                "data" => match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                },
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_holds_never_changes_the_path_or_the_query() {
        let url = Url::new("/v1/peers").part("a/b c?é").word("forget").with("from", "x&y=z#");
        assert_eq!(url.as_str(), "/v1/peers/a%2Fb%20c%3F%C3%A9/forget?from=x%26y%3Dz%23");
    }

    #[test]
    fn events_come_out_whole_however_the_bytes_are_cut() {
        let stream = b": hello\n\nid: 7\nevent: granted\ndata: {\"a\":1}\n\nid: 8\ndata: one\r\ndata:two\r\n\r\n";
        for cut in 1..stream.len() {
            let (mut lines, mut ready) = (Lines::default(), VecDeque::new());
            for piece in stream.chunks(cut) {
                lines.take(piece, &mut ready).unwrap();
            }
            assert_eq!(
                ready,
                [
                    Event { id: Some("7".into()), data: "{\"a\":1}".into() },
                    Event { id: Some("8".into()), data: "one\ntwo".into() }
                ],
                "cut after {cut}"
            );
        }
    }

    #[test]
    fn an_event_without_end_is_refused_before_it_fills_the_memory() {
        let (mut lines, mut ready) = (Lines::default(), VecDeque::new());
        let result = (0..=LINE_MAX_BYTES / 1024).try_for_each(|_| lines.take(&[b'x'; 1024], &mut ready));
        assert!(matches!(result, Err(ClientError::Broken(_))));
    }
}
