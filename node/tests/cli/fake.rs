//! A node that answers from a script, over a Unix socket in a home of its own; and the command run against it.
//!
//! Each answer serves one request of that method and address. What was asked beyond the script is kept, and a test that looks finds it.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

/// One answer of the script.
#[derive(Clone, Debug)]
pub struct Answer {
    pub method: String,
    pub address: String,
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// A request that is heard and not answered.
    pub fn never(method: &str, address: &str) -> Self {
        Self { method: method.to_owned(), address: address.to_owned(), status: NEVER, body: String::new() }
    }
}

const NEVER: u16 = 0;

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub address: String,
    pub body: String,
}

#[derive(Default)]
struct Told {
    answers: VecDeque<Answer>,
    requests: Vec<Request>,
    unexpected: Vec<Request>,
}

/// A home, and what answers in it.
pub struct Fake {
    directory: tempfile::TempDir,
    told: Arc<Mutex<Told>>,
    heard: Arc<Condvar>,
}

impl Fake {
    /// A home in which no node runs.
    pub fn silent() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        fs::write(directory.path().join("home/vault"), "sealed").unwrap();
        Self { directory, told: Arc::default(), heard: Arc::default() }
    }

    /// A home in which a node answers with these.
    pub fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let fake = Self::silent();
        fake.told.lock().unwrap().answers.extend(answers);
        let listener = UnixListener::bind(fake.home().join("control.sock")).unwrap();
        let (told, heard) = (Arc::clone(&fake.told), Arc::clone(&fake.heard));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (told, heard) = (Arc::clone(&told), Arc::clone(&heard));
                // A client that is cut off is a client's matter.
                thread::spawn(move || stream.map(|stream| serve(&stream, &told, &heard)));
            }
        });
        fake
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Where the command runs, and where its files are.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// The command with the environment of a script: no terminal, UTC, the language as given.
    pub fn command(&self, arguments: &[String], locale: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allod"));
        command
            .env_clear()
            .env("ALLOD_HOME", self.home())
            .env("LC_ALL", locale)
            .env("TZ", "UTC")
            .current_dir(self.folder())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The command run to its end.
    pub fn run(&self, command: &mut Command, stdin: &[u8]) -> Output {
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.told.lock().unwrap().requests.clone()
    }

    /// Waits until this was asked.
    pub fn await_request(&self, method: &str, address: &str) {
        let asked = |told: &mut Told| told.requests.iter().any(|r| r.method == method && r.address == address);
        let told = self.told.lock().unwrap();
        let (_told, waited) =
            self.heard.wait_timeout_while(told, Duration::from_secs(30), |told| !asked(told)).unwrap();
        assert!(!waited.timed_out(), "{method} {address} was not asked");
    }

    /// What was asked beyond the script, and answers that nobody asked for.
    pub fn loose_ends(&self) -> (Vec<Request>, Vec<Answer>) {
        let told = self.told.lock().unwrap();
        (told.unexpected.clone(), told.answers.iter().cloned().collect())
    }
}

fn serve(stream: &UnixStream, told: &Mutex<Told>, heard: &Condvar) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let request = read_request(&mut reader)?;
    let answer = {
        let mut told = told.lock().unwrap();
        told.requests.push(request.clone());
        heard.notify_all();
        let place =
            told.answers.iter().position(|answer| answer.method == request.method && answer.address == request.address);
        match place {
            Some(place) => told.answers.remove(place),
            None => {
                told.unexpected.push(request);
                None
            }
        }
    };
    let mut out = stream;
    let Some(answer) = answer else {
        out.write_all(b"HTTP/1.1 500 Unexpected\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").ok()?;
        return Some(());
    };
    if answer.status == NEVER {
        // Until the client goes away.
        let _ = reader.read(&mut [0]);
        return Some(());
    }
    let head = if answer.address == "/v1/watch" {
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned()
    } else {
        let length = answer.body.len();
        format!("HTTP/1.1 {} Told\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n", answer.status)
    };
    out.write_all(head.as_bytes()).ok()?;
    out.write_all(answer.body.as_bytes()).ok()
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, address) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if chunked {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let mut piece = vec![0; usize::from_str_radix(size.trim(), 16).ok()? + 2];
            reader.read_exact(&mut piece).ok()?;
            piece.truncate(piece.len() - 2);
            if piece.is_empty() {
                break;
            }
            body.extend(piece);
        }
    }
    Some(Request { method, address, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Words as a shell splits them, with single quotes and nothing else.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut begun, mut quoted) = (String::new(), false, false);
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                    begun = false;
                }
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}
