//! The release binary as a process: started in a home, possibly under a tracer, with a false clock or in another network, and killed.

#![allow(unsafe_code, reason = "the standard library kills one process, and a traced one is two")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::api::Api;

/// A node that is not ready by then hangs. Under a tracer and beside seven others an honest start took up to 4 s.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A node that was told to stop and has not by then hangs.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// How a process ended by itself.
#[derive(Clone, Debug)]
pub struct Ended {
    /// `None` after a signal.
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    /// What it wrote to stderr since its start.
    pub said: String,
}

/// Why there is no ready node.
#[derive(Clone, Debug)]
pub enum NotReady {
    Ended(Ended),
    Hung,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    exe: PathBuf,
    pub name: String,
    pub home: PathBuf,
    pub listen: Vec<String>,
    /// Programs that run the binary, each with its arguments.
    pub under: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Where its stderr goes: never onto a disk that is to fail.
    pub log: PathBuf,
    child: Option<Child>,
    said_from: u64,
}

impl Node {
    /// A node that is not started, on these addresses.
    #[must_use]
    pub fn new(exe: &Path, home: &Path, name: &str, listen: Vec<String>) -> Self {
        Self {
            exe: exe.to_owned(),
            name: name.to_owned(),
            home: home.to_owned(),
            listen,
            under: Vec::new(),
            environment: Vec::new(),
            log: home.with_extension("stderr"),
            child: None,
            said_from: 0,
        }
    }

    /// A node in a new home, with that engine, not started. It listens on loopback.
    #[must_use]
    pub fn made(exe: &Path, home: &Path, name: &str, engine: &str) -> Self {
        let port = free_port();
        let listen = vec![format!("/ip4/127.0.0.1/udp/{port}/quic-v1"), format!("/ip4/127.0.0.1/tcp/{port}")];
        let node = Self::new(exe, home, name, listen);
        node.init(engine, if name.contains("shop") { "vendor" } else { "person" });
        node
    }

    /// Makes the home.
    ///
    /// # Panics
    /// If it can't be made: nothing can be tested then.
    pub fn init(&self, engine: &str, kind: &str) {
        let made = Command::new(&self.exe)
            .args(["--home".as_ref(), self.home.as_os_str()])
            .args(["init", "--name", &self.name, "--kind", kind, "--no-passphrase", "--json"])
            .output()
            .expect("the binary runs");
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        let config = self.home.join("config.toml");
        let text = fs::read_to_string(&config).expect("a home has settings");
        fs::write(config, text.replace("engine = \"sled\"", &format!("engine = \"{engine}\"")))
            .expect("settings can be changed");
    }

    /// Its control socket.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::of(&self.home)
    }

    /// The port of its first address.
    #[must_use]
    pub fn port(&self) -> u16 {
        let parts = self.listen[0].split('/');
        parts.filter_map(|part| part.parse().ok()).next_back().expect("an address has a port")
    }

    /// Starts it and kills it after a moment, wherever it is by then.
    pub fn start_and_kill(&mut self, after: Duration) {
        let _ = self.spawn();
        thread::sleep(after);
        self.kill();
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// [`NotReady`]; then it does not run.
    pub fn start(&mut self) -> Result<(), NotReady> {
        let first = self.spawn();
        match first.recv_timeout(READY_WITHIN) {
            Ok(Some(line)) if serde_json::from_str::<Value>(&line).is_ok_and(|line| line["ready"] == true) => Ok(()),
            Ok(_) => match self.wait(STOPPED_WITHIN) {
                Some(ended) => Err(NotReady::Ended(ended)),
                None => Err(self.hung()),
            },
            Err(_) => Err(self.hung()),
        }
    }

    /// Starts it; its first line of output, or none, comes through the channel.
    fn spawn(&mut self) -> mpsc::Receiver<Option<String>> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("a log can be opened");
        self.said_from = log.metadata().map_or(0, |metadata| metadata.len());
        let mut words = self.under.iter().map(String::as_str);
        let exe = self.exe.to_str().expect("a path in UTF-8");
        let mut command = Command::new(words.next().unwrap_or(exe));
        command.args(words);
        if !self.under.is_empty() {
            command.arg(exe);
        }
        command.arg("--home").arg(&self.home).args(["run", "--json"]);
        for address in &self.listen {
            command.args(["--listen", address]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0);
        // SAFETY: one system call between fork and exec; it allocates nothing and touches nothing of this process. Without it a
        // test that is cut off would leave its nodes running.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut child = command.spawn().expect("the binary starts");
        let out = child.stdout.take().expect("stdout is a pipe");
        let (told, first) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(out).lines();
            let _ = told.send(lines.next().and_then(Result::ok));
            // To the end, so that the node never writes into a pipe that nobody reads.
            lines.for_each(drop);
        });
        self.child = Some(child);
        first
    }

    /// As [`Node::start`], where anything else is a mistake of the test.
    ///
    /// # Panics
    /// If it does not start.
    pub fn must_start(&mut self) {
        if let Err(why) = self.start() {
            panic!("{} did not start: {why:?}", self.name);
        }
    }

    fn hung(&mut self) -> NotReady {
        self.kill();
        NotReady::Hung
    }

    /// Waits for its own end; `None` if that does not come in time.
    pub fn wait(&mut self, within: Duration) -> Option<Ended> {
        let child = self.child.as_mut()?;
        let until = Instant::now() + within;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if Instant::now() > until {
                return None;
            }
            thread::sleep(Duration::from_millis(3));
        };
        self.child = None;
        Some(self.ended(status))
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        Ended { exit: status.code(), signal, said: self.said() }
    }

    /// What it wrote to stderr since its start.
    #[must_use]
    pub fn said(&self) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.said_from).unwrap_or(0).min(all.len());
        String::from_utf8_lossy(&all[from..]).into_owned()
    }

    /// Kills it as `kill -9` does, and whatever runs it.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = i32::try_from(child.id()).expect("process numbers are small");
        // SAFETY: sends a signal to the group that this child leads; the child has not been waited for, so that the number is its own.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        let _ = child.wait();
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// How it ended otherwise; `None` if it did not end.
    pub fn stop(&mut self) -> Result<(), Option<Ended>> {
        let Some(child) = &self.child else { return Ok(()) };
        let group = i32::try_from(child.id()).expect("process numbers are small");
        // SAFETY: as in `kill`.
        unsafe { libc::kill(-group, libc::SIGTERM) };
        match self.wait(STOPPED_WITHIN) {
            Some(Ended { exit: Some(0), .. }) => Ok(()),
            Some(ended) => Err(Some(ended)),
            None => {
                self.kill();
                Err(None)
            }
        }
    }

    /// Resident memory of the node itself, whoever runs it. Bytes.
    #[must_use]
    pub fn rss_bytes(&self) -> u64 {
        self.process().map_or(0, rss_bytes)
    }

    /// Its process number.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

/// Resident memory of a process. Bytes.
#[must_use]
pub fn rss_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0u64) * 1024
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ended {
    /// Whether it ended as a program that knows what is wrong: a code of its own, two lines, and no panic.
    ///
    /// # Errors
    /// What is not plain about it.
    pub fn is_plain(&self) -> Result<i32, String> {
        let exit = match (self.exit, self.signal) {
            (Some(exit @ 1..=8), None) => exit,
            (exit, signal) => return Err(format!("exit {exit:?}, signal {signal:?}: {}", tail(&self.said))),
        };
        if let Some(word) = ["panicked", "a step of this program failed", "RUST_BACKTRACE"]
            .into_iter()
            .find(|word| self.said.contains(word))
        {
            return Err(format!("it says \"{word}\": {}", tail(&self.said)));
        }
        let object = self.said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        match object {
            Some(object) if object["error"]["message"].is_string() => Ok(exit),
            _ => Err(format!("exit {exit} without a message: {}", tail(&self.said))),
        }
    }
}

/// The end of what was said, for people.
#[must_use]
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ").chars().take(1_200).collect()
}

/// A port of loopback that nobody has, for TCP and UDP. It is below those that the system hands out by itself: one of these can be
/// somebody's by the time that a node asks for it. Each process has a hundred of its own.
///
/// # Panics
/// If none of them is free.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const OF_A_PROCESS: u16 = 100;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = FIRST + (std::process::id() % 220) as u16 * OF_A_PROCESS;
    let is_free = |port: &u16| {
        std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()
            && std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok()
    };
    let mut tried = (0..OF_A_PROCESS).map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed) % OF_A_PROCESS);
    tried.find(is_free).expect("a process has free ports")
}

/// Copies a home, without its socket.
///
/// # Panics
/// If it can't be copied.
pub fn copy_home(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a directory can be made");
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode can be set");
    for entry in fs::read_dir(from).expect("a home can be read").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() {
            copy_home(&path, &target);
        } else if kind.is_file() {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}
