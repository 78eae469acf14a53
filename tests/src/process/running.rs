//! A command that goes on beside the test: an invitation that waits, a log that is followed, a node.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::outcome::wait;

/// How long a line is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// A command that goes on. It is killed when this is dropped.
pub struct Running {
    line: String,
    child: Child,
    stdin: Option<ChildStdin>,
    pieces: Receiver<Vec<u8>>,
    /// What was read and not yet taken.
    unread: Vec<u8>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Never says anything; hangs up when all of stderr was read.
    stderr_read: Receiver<()>,
}

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().expect("it is piped");
        let (send, pieces) = channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count) = stdout.read(&mut piece) {
                if count == 0 || send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut pipe, collected) = (child.stderr.take().expect("it is piped"), Arc::clone(&stderr));
        let (all_read, stderr_read) = channel();
        thread::spawn(move || {
            let _hangs_up = all_read;
            let mut piece = [0; 4096];
            while let Ok(count) = pipe.read(&mut piece) {
                if count == 0 {
                    break;
                }
                collected.lock().expect("nobody panics with it").extend_from_slice(&piece[..count]);
            }
        });
        Self { line, child, stdin, pieces, unread: Vec::new(), stderr, stderr_read }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads until `end` finds where to cut, and takes what stands before.
    fn take_until(&mut self, what: &str, end: impl Fn(&[u8]) -> Option<usize>) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(cut) = end(&self.unread) {
                let taken = self.unread.drain(..cut).collect::<Vec<u8>>();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.unread.extend(piece),
                Err(error) => {
                    let why =
                        if error == RecvTimeoutError::Timeout { "is waited for" } else { "did not come: it ended" };
                    let said = String::from_utf8_lossy(&self.unread).into_owned();
                    panic!("{what} {why}: {}\n--- unread\n{said}\n--- stderr\n{}", self.line, self.complaints());
                }
            }
        }
    }

    /// Its first line; none if it ends without one.
    ///
    /// # Panics
    /// When neither comes.
    pub fn first_line(&mut self) -> Option<String> {
        while !self.unread.contains(&b'\n') {
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => self.unread.extend(piece),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no line came: {}\n{}", self.line, self.complaints()),
            }
        }
        Some(self.next_line())
    }

    /// Its next line.
    ///
    /// # Panics
    /// When none comes.
    pub fn next_line(&mut self) -> String {
        let line = self.take_until("a line", |unread| unread.iter().position(|byte| *byte == b'\n').map(|at| at + 1));
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Reads until this stands there, at the end of a line or not; gives what stood before.
    ///
    /// # Panics
    /// When it does not come.
    pub fn prompt(&mut self, part: &str) -> String {
        let part = part.as_bytes();
        let what = String::from_utf8_lossy(part).into_owned();
        self.take_until(&what, |unread| {
            unread.windows(part.len()).position(|window| window == part).map(|at| at + part.len())
        })
    }

    /// Its next line, if it is there already.
    pub fn line_now(&mut self) -> Option<String> {
        self.unread.extend(self.pieces.try_iter().flatten());
        self.unread.contains(&b'\n').then(|| self.next_line())
    }

    /// Its next line that holds this.
    ///
    /// # Panics
    /// When none comes.
    pub fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.next_line();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Its next line as JSON.
    ///
    /// # Panics
    /// When none comes, or it is not JSON.
    pub fn next_json(&mut self) -> Value {
        let line = self.next_line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
    }

    /// Writes to its stdin.
    ///
    /// # Panics
    /// When it does not read any more.
    pub fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("its stdin is open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    /// What it wrote to stderr.
    #[must_use]
    pub fn complaints(&self) -> String {
        let bytes = self.stderr.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends it a signal by its name, `INT` or `TERM`.
    ///
    /// # Panics
    /// When there is no `kill`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill is there").success(), "no signal to {}", self.line);
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Whether it goes on.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for its end: its exit code, and the lines that were not read.
    pub fn end(&mut self) -> (i32, Vec<String>) {
        self.stdin = None;
        let exit = wait(&mut self.child, &self.line);
        while let Ok(piece) = self.pieces.recv_timeout(Duration::from_secs(5)) {
            self.unread.extend(piece);
        }
        // It has ended; what it said last may still lie in the pipe.
        let _ = self.stderr_read.recv_timeout(Duration::from_secs(5));
        let rest = String::from_utf8_lossy(&self.unread).lines().map(str::to_owned).collect();
        (exit, rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
