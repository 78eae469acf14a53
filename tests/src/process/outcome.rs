//! How a command ended: its exit code and both streams, and what they say as JSON.

use std::{
    fmt,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// No command of the program takes longer, however busy the machine is.
const LONGEST: Duration = Duration::from_secs(90);

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub line: String,
    /// 128 and the signal's number if a signal ended it.
    pub exit: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// What a refused command said.
#[derive(Clone, Debug)]
pub struct Refused {
    pub exit: i32,
    pub code: String,
    pub message: String,
    pub attempt: String,
}

impl Outcome {
    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be run, or does not end.
    pub fn of(command: &mut Command, stdin: &[u8]) -> Self {
        let line = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("it is piped");
        let stdin = stdin.to_vec();
        // It may end without reading all of it.
        let writer = thread::spawn(move || drop(pipe.write_all(&stdin)));
        let stdout = reader(child.stdout.take().expect("it is piped"));
        let stderr = reader(child.stderr.take().expect("it is piped"));
        let exit = wait(&mut child, &line);
        drop(writer.join());
        let stdout = stdout.join().expect("it reads to the end");
        let stderr = String::from_utf8_lossy(&stderr.join().expect("it reads to the end")).into_owned();
        Self { line, exit, stdout, stderr }
    }

    /// What it wrote to stdout.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The same outcome, which must be a success.
    ///
    /// # Panics
    /// When it is not.
    #[allow(clippy::must_use_candidate, reason = "often only the success matters")]
    pub fn good(self) -> Self {
        assert!(self.exit == 0, "{self}");
        self
    }

    /// The JSON of a success, the last one if there are several, else what refused it.
    ///
    /// # Errors
    /// When the command was refused.
    ///
    /// # Panics
    /// When what it wrote is neither.
    pub fn json(&self) -> Result<Value, Refused> {
        if self.exit == 0 {
            let said = self.said();
            let parsed =
                serde_json::from_str(&said).or_else(|_| serde_json::from_str(said.lines().last().unwrap_or_default()));
            return Ok(parsed.unwrap_or_else(|error| panic!("no JSON ({error}): {self}")));
        }
        let last = self.stderr.lines().last().unwrap_or_default();
        let parsed: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("no JSON error: {self}"));
        let text = |key: &str| {
            let text = parsed["error"][key].as_str();
            text.unwrap_or_else(|| panic!("no {key} in the error: {self}")).to_owned()
        };
        Err(Refused { exit: self.exit, code: text("code"), message: text("message"), attempt: text("try") })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\nexit {}\n--- stdout\n{}\n--- stderr\n{}", self.line, self.exit, self.said(), self.stderr)
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Waits for its end and gives its exit code.
///
/// # Panics
/// When it does not end.
pub fn wait(child: &mut Child, line: &str) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;

    let end = Instant::now() + LONGEST;
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        }
        if Instant::now() > end {
            drop(child.kill());
            panic!("did not end within {} s: {line}", LONGEST.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
}
