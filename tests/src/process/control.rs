//! One request at a node's control socket, by hand: what a stranger's program would send.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::Value;

use super::Node;

/// An answer at the control socket.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// Its body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// Asks, and reads the answer to its end.
///
/// # Panics
/// When there is no answer.
pub fn request(node: &Node, method: &str, path: &str, body: &str) -> Response {
    let mut stream = connect(node);
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: allod\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())));
    answer(&mut stream)
}

/// A connection to its control socket.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn connect(node: &Node) -> UnixStream {
    let stream = UnixStream::connect(node.home.join("control.sock")).expect("the control socket is open");
    stream.set_read_timeout(Some(Duration::from_secs(40))).expect("it can be set");
    stream
}

/// Reads an answer to its end.
///
/// # Panics
/// When there is none.
pub fn answer(stream: &mut UnixStream) -> Response {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Response { status, head: head.to_owned(), body: body.to_owned() }
}
