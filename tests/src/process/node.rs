//! A node: its home, its commands, its process.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use super::{Engine, Outcome, Refused, Running, binary, words::words};

/// A node, whether it runs or not.
pub struct Node {
    pub name: String,
    pub home: PathBuf,
    /// Where it listens; empty for a node that only dials.
    pub listen: Vec<String>,
    /// The 24 words that `init` showed.
    pub phrase: String,
    /// Further words for `run`.
    pub run_with: Vec<String>,
    /// Variables of its daemon.
    pub environment: Vec<(String, String)>,
    /// What stands in front of its daemon's command line, such as a network namespace.
    pub inside: Vec<String>,
    engine: Engine,
    daemon: Option<Running>,
}

impl Node {
    pub(super) fn at(name: &str, home: PathBuf, listen: Vec<String>, engine: Engine) -> Self {
        Self {
            name: name.to_owned(),
            home,
            listen,
            phrase: String::new(),
            run_with: Vec::new(),
            environment: Vec::new(),
            inside: Vec::new(),
            engine,
            daemon: None,
        }
    }

    /// Makes its home, with the engine of its world.
    ///
    /// # Panics
    /// When `init` refuses.
    pub fn init(&mut self, options: &[&str]) {
        let mut command = self.command(&["init", "--name", &self.name, "--json"]);
        let made = Outcome::of(command.args(options), b"").json();
        let made = made.unwrap_or_else(|refused| panic!("no home: {refused:?}"));
        let phrase: Vec<&str> = made["phrase"].as_array().expect("a phrase").iter().filter_map(Value::as_str).collect();
        self.phrase = phrase.join(" ");
        let settings = self.home.join("config.toml");
        let text = fs::read_to_string(&settings).expect("init writes it");
        let text = text.replace("engine = \"sled\"", &format!("engine = \"{}\"", self.engine.word()));
        assert!(text.contains(&format!("engine = \"{}\"", self.engine.word())), "{text}");
        fs::write(&settings, text).expect("it is ours");
    }

    /// The command line of this home.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--home").arg(&self.home).args(arguments).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        for variable in ["ALLOD_HOME", "LANG", "LANGUAGE", "RUST_LOG", "NO_COLOR"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a line as a person would type it.
    pub fn types(&self, line: &str) -> Outcome {
        self.types_with(line, "")
    }

    /// The same with something on its stdin.
    pub fn types_with(&self, line: &str, stdin: &str) -> Outcome {
        let words = words(line);
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        Outcome::of(&mut self.command(&arguments), stdin.as_bytes())
    }

    /// Its JSON answer, or what refused it.
    ///
    /// # Errors
    /// When it is refused.
    pub fn tries(&self, line: &str) -> Result<Value, Refused> {
        self.types(&format!("{line} --json")).json()
    }

    /// Its JSON answer.
    ///
    /// # Panics
    /// When it is refused.
    pub fn does(&self, line: &str) -> Value {
        self.tries(line).unwrap_or_else(|refused| panic!("{}: {line}\n{refused:?}\n{}", self.name, self.daemon_said()))
    }

    /// The items of its listing.
    ///
    /// # Panics
    /// When it is refused, or is no listing.
    pub fn items(&self, line: &str) -> Vec<Value> {
        let answer = self.does(line);
        answer["items"].as_array().unwrap_or_else(|| panic!("{}: {line}: no items: {answer}", self.name)).clone()
    }

    /// What refuses it.
    ///
    /// # Panics
    /// When nothing does.
    pub fn refused(&self, line: &str) -> Refused {
        match self.tries(line) {
            Err(refused) => refused,
            Ok(answer) => panic!("{}: {line} was not refused: {answer}", self.name),
        }
    }

    /// The value at a path of its own.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, path: &str) -> Value {
        self.items(&format!("get {path}"))[0]["value"].clone()
    }

    /// The value that a peer lends, or what refuses it.
    ///
    /// # Errors
    /// When it is refused.
    pub fn reads(&self, path: &str, peer: &str) -> Result<Value, Refused> {
        Ok(self.tries(&format!("get {path} --from '{peer}'"))?["items"][0]["value"].clone())
    }

    /// Waits until it reads this value of a peer's.
    ///
    /// # Panics
    /// When it does not come.
    pub fn awaits(&self, path: &str, peer: &str, value: &str) {
        let mut last = None;
        for _ in 0..800 {
            let seen = self.reads(path, peer);
            if matches!(&seen, Ok(seen) if seen.as_str() == Some(value)) {
                return;
            }
            last = Some(seen);
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("{}: {path} of {peer} did not become {value}; last: {last:?}", self.name);
    }

    /// Waits until it is refused a peer's value with this code.
    ///
    /// # Panics
    /// When it is not.
    pub fn awaits_refusal(&self, path: &str, peer: &str, code: &str) -> Refused {
        let mut last = None;
        for _ in 0..800 {
            match self.reads(path, peer) {
                Err(refused) if refused.code == code => return refused,
                other => last = Some(other),
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("{}: {path} of {peer} was not refused with {code}; last: {last:?}", self.name);
    }

    /// The same node with its daemon running.
    #[must_use]
    pub fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Starts its daemon and waits until it is ready; gives what it said.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(&mut self) -> Value {
        assert!(self.daemon.is_none(), "{} runs already", self.name);
        let mut daemon = Running::start(&mut self.daemon_command());
        let ready = daemon.next_json();
        assert_eq!(ready["ready"], true, "{ready}");
        self.daemon = Some(daemon);
        ready
    }

    /// The command that runs its daemon.
    #[must_use]
    pub fn daemon_command(&self) -> Command {
        let mut arguments = vec!["run", "--json"];
        for address in &self.listen {
            arguments.extend(["--listen", address]);
        }
        arguments.extend(self.run_with.iter().map(String::as_str));
        let plain = self.command(&arguments);
        let mut command = match self.inside.split_first() {
            None => plain,
            Some((program, rest)) => {
                let mut command = Command::new(program);
                command.args(rest).arg(plain.get_program()).args(plain.get_args());
                for (name, value) in plain.get_envs() {
                    match value {
                        Some(value) => command.env(name, value),
                        None => command.env_remove(name),
                    };
                }
                command
            }
        };
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Its daemon, which runs.
    ///
    /// # Panics
    /// When it does not run.
    pub fn daemon(&mut self) -> &mut Running {
        self.daemon.as_mut().expect("the daemon runs")
    }

    /// What its daemon wrote to stderr, if it runs.
    #[must_use]
    pub fn daemon_said(&self) -> String {
        self.daemon.as_ref().map(Running::complaints).unwrap_or_default()
    }

    /// The number of its daemon's process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    /// Ends its daemon at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Stops its daemon as a service manager does, and gives its exit code and what it wrote to stderr.
    ///
    /// # Panics
    /// When it does not run or does not stop.
    pub fn stop(&mut self) -> (i32, String) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal("TERM");
        let (exit, _) = daemon.end();
        (exit, daemon.complaints())
    }

    /// Waits for a daemon that ends by itself, and gives its exit code and what it wrote to stderr.
    ///
    /// # Panics
    /// When it does not run or does not end.
    pub fn ended(&mut self) -> (i32, String) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        let (exit, _) = daemon.end();
        (exit, daemon.complaints())
    }

    /// Kills it and starts it again.
    pub fn crash(&mut self) {
        self.kill();
        self.start();
    }

    /// Starts a command that goes on.
    pub fn begins(&self, line: &str) -> Running {
        let words = words(line);
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        Running::start(&mut self.command(&arguments))
    }
}
