//! The daemon as a process: how it starts, what it says, how it ends, and what is left when it is killed.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    outside: tempfile::TempDir,
}

impl Place {
    /// A home; a passphrase stands in the file `passphrase` beside it.
    fn new(passphrase: Option<&str>) -> Self {
        let place = Self { outside: tempfile::tempdir().unwrap() };
        let mut init = place.allod();
        init.args(["init", "--name", "canary-node", "--json"]);
        match passphrase {
            None => init.arg("--no-passphrase"),
            Some(text) => {
                fs::write(place.path("passphrase"), text).unwrap();
                init.arg("--passphrase-file").arg(place.path("passphrase"))
            }
        };
        let output = init.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    fn allod(&self) -> Command {
        // Signals mean what they mean, also where the tests were started by nohup, which the node would heed.
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal=HUP,INT,TERM", env!("CARGO_BIN_EXE_allod")]);
        command.env_clear().env("ALLOD_HOME", self.home()).stdin(Stdio::null());
        command
    }

    fn run(&self) -> Command {
        let mut command = self.allod();
        command.args(["run", "--json", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        command
    }

    /// Starts a node that must become ready.
    fn start(&self) -> Running {
        Running::start(self.run())
    }

    /// Starts a node that must not.
    fn refused(&self, mut command: Command) -> (Output, Value) {
        let began = Instant::now();
        let output = command.output().unwrap();
        assert!(began.elapsed() < PATIENCE);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let error = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
        (output, error.unwrap_or_else(|| panic!("no JSON in {text}"))["error"].clone())
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = UnixStream::connect(self.home().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: allod\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn set(&self, path: &str, text: &str) {
        self.call("POST", "/v1/set", &json!({ "items": [{ "path": path, "text": text }] }).to_string());
    }

    fn value(&self, path: &str) -> Value {
        self.call("GET", &format!("/v1/fields?path={path}"), "")["items"][0]["value"].clone()
    }
}

struct Running {
    child: Child,
    ready: Value,
    log: Option<JoinHandle<String>>,
}

fn read_all(mut stderr: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text).unwrap_or_default()
    })
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = read_all(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str(&line) else {
            panic!("it did not start: {:?} {}", child.wait(), log.join().unwrap())
        };
        Self { child, ready, log: Some(log) }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its exit code, once it has ended by itself, and its log.
    fn ended(mut self) -> (Option<i32>, String) {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
        (self.child.wait().unwrap().code(), self.log.take().unwrap().join().unwrap())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn no_socket(home: &Path) {
    assert!(!home.join("control.sock").exists());
}

#[test]
fn the_first_line_says_that_it_is_ready_and_where() {
    let place = Place::new(None);
    let node = place.start();
    assert_eq!(node.ready["ready"], true);
    assert_eq!(node.ready["socket"], place.home().join("control.sock").display().to_string());
    let listen = node.ready["listen"][0].as_str().unwrap();
    assert!(listen.starts_with("/ip4/127.0.0.1/tcp/") && !listen.ends_with("/0"), "{listen}");
    let status = place.call("GET", "/v1/status", "");
    assert_eq!(status["listen"], node.ready["listen"]);
    assert_eq!(status["process"], node.child.id());
}

/// Of its threads with a name: how much they give way, and how long they have run, in nanoseconds.
fn threads(process: u32, name: &str) -> Vec<(i64, u64)> {
    let all = fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|thread| thread.unwrap().path());
    let named = all.filter(|thread| fs::read_to_string(thread.join("comm")).unwrap().trim() == name);
    let seen = named.map(|thread| {
        let stat = fs::read_to_string(thread.join("stat")).unwrap();
        // The niceness is the nineteenth, and what follows the name begins with the third (proc_pid_stat(5)).
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let niceness = rest.split_whitespace().nth(16).unwrap().parse().unwrap();
        let ran = fs::read_to_string(thread.join("schedstat")).unwrap();
        (niceness, ran.split_whitespace().next().unwrap().parse().unwrap())
    });
    seen.collect()
}

#[test]
fn the_network_runs_on_threads_that_give_way_to_the_owners_work() {
    let place = Place::new(None);
    let node = place.start();
    let process = node.child.id();
    let front = threads(process, "tokio-rt-worker");
    let background = threads(process, "background");
    assert!(!front.is_empty() && !background.is_empty());
    let least = background.iter().map(|(niceness, _)| *niceness).min();
    assert!(front.iter().all(|(niceness, _)| Some(*niceness) < least), "{front:?} {background:?}");
    // They would not run at all if the network were elsewhere: nobody calls.
    let ran = |threads: Vec<(i64, u64)>| threads.iter().map(|(_, ran)| ran).sum::<u64>();
    let (before, began) = (ran(background), Instant::now());
    while ran(threads(process, "background")) == before {
        assert!(began.elapsed() < PATIENCE, "the network does not run there");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sigterm_and_stop_end_it_cleanly_and_ctrl_c_is_told_apart() {
    let place = Place::new(None);
    for (signal, code) in [("TERM", 0), ("HUP", 0), ("INT", 130)] {
        let node = place.start();
        node.signal(signal);
        assert_eq!(node.ended().0, Some(code), "{signal}");
        no_socket(&place.home());
    }
    let node = place.start();
    assert_eq!(place.call("POST", "/v1/stop", ""), json!({ "stopped": true }));
    // At once: a start waits for one that is on its way out.
    let next = place.start();
    assert_eq!(node.ended().0, Some(0));
    drop(next);
}

#[test]
fn a_killed_node_starts_again_with_all_that_it_acknowledged_and_where_it_was() {
    let place = Place::new(None);
    let mut listen = None;
    for round in 0..10 {
        let node = place.start();
        assert_eq!(*listen.get_or_insert_with(|| node.ready["listen"].clone()), node.ready["listen"]);
        for earlier in 0..round {
            assert_eq!(place.value(&format!("note/{earlier}/text")), format!("written in round {earlier}"));
        }
        place.set(&format!("note/{round}/text"), &format!("written in round {round}"));
        node.kill();
        assert!(place.home().join("control.sock").exists(), "a killed process leaves its socket");
    }
}

#[test]
fn a_second_node_in_the_same_home_is_refused_with_the_process_of_the_first() {
    let place = Place::new(None);
    let node = place.start();
    let (output, error) = place.refused(place.run());
    assert_eq!((output.status.code(), &error["code"]), (Some(1), &json!("conflict")), "{error}");
    assert!(error["message"].as_str().unwrap().contains(&node.child.id().to_string()), "{error}");
    place.call("GET", "/v1/status", "");
}

#[test]
fn without_a_passphrase_and_a_terminal_it_is_refused_at_once() {
    let place = Place::new(Some("open sesame"));
    let (output, error) = place.refused(place.run());
    assert_eq!((output.status.code(), &error["code"]), (Some(6), &json!("locked")));
    fs::write(place.path("wrong"), "open barley").unwrap();
    let mut command = place.run();
    command.arg("--passphrase-file").arg(place.path("wrong"));
    let (output, error) = place.refused(command);
    assert_eq!((output.status.code(), &error["code"]), (Some(6), &json!("locked")));
}

#[test]
fn systemd_gives_it_a_passphrase_and_hears_when_it_is_ready_and_when_it_stops() {
    let place = Place::new(Some("open sesame"));
    let manager = UnixDatagram::bind(place.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = place.run();
    command.env("CREDENTIALS_DIRECTORY", place.outside.path()).env("NOTIFY_SOCKET", place.path("notify"));
    let node = Running::start(command);
    let hear = || {
        let mut bytes = [0; 256];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!(hear(), "READY=1");
    node.signal("TERM");
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(node.ended().0, Some(0));
}

#[test]
fn a_key_log_is_refused_before_anything_is_opened() {
    let place = Place::new(None);
    let mut command = place.run();
    command.env("SSLKEYLOGFILE", place.path("keys"));
    let (output, error) = place.refused(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(error["message"].as_str().unwrap().contains("SSLKEYLOGFILE"));
    assert!(!place.path("keys").exists());
    assert_eq!(fs::read_dir(place.home().join("store")).unwrap().count(), 0);
}

#[test]
fn a_damaged_store_is_said_to_be_and_ends_with_7() {
    let place = Place::new(None);
    let node = place.start();
    place.set("note/1/text", "x");
    node.kill();
    for entry in fs::read_dir(place.home().join("store")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::write(&path, b"this is no store").unwrap();
        }
    }
    let (output, error) = place.refused(place.run());
    assert_eq!((output.status.code(), &error["code"]), (Some(7), &json!("damaged")), "{error}");
}

#[test]
fn no_core_can_be_written_and_no_log_line_names_what_is_kept() {
    let place = Place::new(None);
    let mut command = place.run();
    command.env("ALLOD_LOG", "trace").env("RUST_LOG", "trace");
    let node = Running::start(command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    place.set("note/canary-id/canary-field", "canary-value");
    assert_eq!(place.value("note/canary-id/canary-field"), "canary-value");
    place.call("GET", "/v1/doctor", "");
    // A dial of an address that nobody answers at, and one that is no invitation.
    let peers = place.call("GET", "/v1/peers", "");
    assert_eq!(peers["items"], json!([]));
    node.signal("TERM");
    let (code, log) = node.ended();
    assert_eq!(code, Some(0));
    assert!(log.contains("ready"), "{log}");
    for word in ["canary", "127.0.0.1", "/home", "tcp/"] {
        assert!(!log.contains(word), "{word} stands in the log:\n{log}");
    }
}
