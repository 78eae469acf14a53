//! One request to a control socket, with an end to every wait. Nothing of the node's own client is used: a fault in it would hide.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longer than any honest answer takes, the largest removal included.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens, or the connection ended before the answer was whole: it is not known whether the request was done.
    Gone(String),
    /// The node listens and did not answer in time. Never honest.
    Hung,
    /// The node refused.
    Refused { status: u16, code: String, id: String, message: String },
}

impl Fault {
    /// Whether this is a refusal with that code.
    #[must_use]
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// The control socket of a home.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
    deadline: Duration,
}

impl Api {
    /// Of that home.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        Self { socket: home.join("control.sock"), deadline: ANSWER_DEADLINE }
    }

    /// The same, with another patience.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET`.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Fault> {
        let mut target = path.to_owned();
        for (number, (name, value)) in query.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let _ = write!(target, "{mark}{name}={}", escaped(value));
        }
        self.call("GET", &target, "")
    }

    /// `POST`.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call("POST", path, &body.to_string())
    }

    fn call(&self, method: &str, target: &str, body: &str) -> Result<Value, Fault> {
        let began = Instant::now();
        let gone = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Fault::Hung,
            _ => Fault::Gone(error.to_string()),
        };
        let mut stream = UnixStream::connect(&self.socket).map_err(gone)?;
        stream.set_write_timeout(Some(self.deadline)).map_err(gone)?;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: allod\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).map_err(gone)?;
        let mut answer = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            let left = self.deadline.checked_sub(began.elapsed()).filter(|left| !left.is_zero()).ok_or(Fault::Hung)?;
            stream.set_read_timeout(Some(left)).map_err(gone)?;
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                // Whoever stops this process and lets it go on again ends each wait that has an end (signal(7)).
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(error)),
            }
        }
        judge(&answer)
    }
}

/// What an answer says, if it is whole.
fn judge(answer: &[u8]) -> Result<Value, Fault> {
    let cut = || Fault::Gone("the answer was cut".to_owned());
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(cut)?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let body = &answer[end + 4..];
    let status: u16 = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(cut)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err(cut());
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| cut())?;
    if status == 200 {
        return Ok(value);
    }
    let text = |name: &str| value["error"][name].as_str().unwrap_or_default().to_owned();
    Err(Fault::Refused { status, code: text("code"), id: text("id"), message: text("message") })
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => escaped.push(byte as char),
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
        escaped
    })
}

/// The items of a listing.
#[must_use]
pub fn items(listing: &Value) -> &[Value] {
    listing["items"].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, process::Command, thread};

    use super::*;

    #[test]
    fn an_answer_is_waited_for_though_this_process_was_stopped_meanwhile() {
        let home = tempfile::tempdir().unwrap();
        let api = Api::of(home.path());
        let listener = UnixListener::bind(api.socket()).unwrap();
        let node = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Unread, it would have the connection reset.
            assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
            let us = std::process::id();
            let stopped = format!("sleep 0.2; kill -STOP {us}; sleep 0.1; kill -CONT {us}");
            assert!(Command::new("sh").args(["-c", &stopped]).status().unwrap().success());
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        });
        assert_eq!(api.get("/v1/status", &[]), Ok(serde_json::json!({})));
        node.join().unwrap();
    }

    #[test]
    fn an_answer_that_was_cut_is_no_answer() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(judge(whole), Ok(serde_json::json!({})));
        for end in 0..whole.len() {
            assert!(matches!(judge(&whole[..end]), Err(Fault::Gone(_))), "{end}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let refusal =
            b"HTTP/1.1 403 Forbidden\r\n\r\n{\"error\":{\"code\":\"revoked\",\"id\":\"x\",\"message\":\"m\"}}";
        assert!(judge(refusal).unwrap_err().is("revoked"));
    }
}
