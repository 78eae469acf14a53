//! A command that goes on beside the test: an invitation that waits, a log that is followed, a node.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
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
    lines: Receiver<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
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
        let stdout = child.stdout.take().expect("it is piped");
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut pipe, collected) = (child.stderr.take().expect("it is piped"), Arc::clone(&stderr));
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count) = pipe.read(&mut piece) {
                if count == 0 {
                    break;
                }
                collected.lock().expect("nobody panics with it").extend_from_slice(&piece[..count]);
            }
        });
        Self { line, child, stdin, lines, stderr }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next line.
    ///
    /// # Panics
    /// When none comes.
    pub fn next_line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no line came: {}\n{}", self.line, self.complaints()),
            Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}\n{}", self.line, self.complaints()),
        }
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

    /// The lines that are there.
    pub fn pending_lines(&mut self) -> Vec<String> {
        self.lines.try_iter().collect()
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
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            rest.push(line);
        }
        (exit, rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
