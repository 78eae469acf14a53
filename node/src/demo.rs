//! The main job, shown on two nodes of its own: real daemons, real files, the public commands and nothing else.
//!
//! Each step says what it does, does it with this very program, and checks that it did. A step that did not do what it says ends the demo
//! with the reason. Both homes lie in a temporary directory that goes at the end, unless the nodes are to be kept.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::messages::{Facts, Messages};

/// The contact that is imported: nobody in this project wrote it.
const CONTACT: &[u8] = include_bytes!("../../tests/samples/vcard/v40-fullcontact.vcf");
const CONTACT_NAME: &str = "v40-fullcontact.vcf";
/// How long a step waits for what it says.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether both nodes go on afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    Stop,
    Keep,
}

/// The step that did not do what it says.
#[derive(Debug)]
pub struct DemoFailed {
    /// The step's own line.
    pub step: String,
    /// What happened instead.
    pub why: String,
}

/// Shows pairing, lending, reading and taking back.
///
/// # Errors
/// The step that failed.
pub fn run(afterwards: Afterwards, messages: &Messages, out: &mut dyn Write) -> Result<(), DemoFailed> {
    let mut show = Show { messages, out, step: String::new(), number: 0 };
    let place = tempfile::Builder::new().prefix("allod-demo-").tempdir().map_err(|error| show.failed(&error))?;
    let began = Instant::now();
    let mut ana = Node::new(place.path(), "ana").map_err(|error| show.failed(&error))?;
    let mut shop = Node::new(place.path(), "shop").map_err(|error| show.failed(&error))?;
    act(&mut show, &mut ana, &mut shop, place.path())?;
    show.end(began.elapsed());
    if afterwards == Afterwards::Keep {
        show.plain("demo-kept");
        for node in [&mut ana, &mut shop] {
            let home = node.home.display().to_string();
            show.plain_with("demo-kept-node", Facts::none().text("name", node.name).text("home", home));
            node.keep();
        }
        // Whoever keeps the nodes keeps their place.
        let _ = place.keep();
    }
    Ok(())
}

fn act(show: &mut Show<'_>, ana: &mut Node, shop: &mut Node, place: &Path) -> Result<(), DemoFailed> {
    for (node, kind) in [(&mut *ana, "person"), (&mut *shop, "vendor")] {
        let facts = Facts::none().text("name", node.name).text("home", node.home.display().to_string());
        show.step("demo-start", facts);
        let made = show.json(node, &["init", "--name", node.name, "--kind", kind, "--no-passphrase"])?;
        show.check(made["phrase"].as_array().is_some_and(|words| words.len() == 24), "no recovery phrase")?;
        let process = node.start().map_err(|why| show.failed(&why))?;
        show.note("demo-runs", Facts::none().number("process", u64::from(process)));
    }

    show.step("demo-import", Facts::none().text("file", CONTACT_NAME));
    let file = place.join(CONTACT_NAME);
    std::fs::write(&file, CONTACT).map_err(|error| show.failed(&error))?;
    let imported = show.json(ana, &["import", text(&file)])?;
    show.check(imported["new"].as_u64().is_some_and(|new| new > 0), "nothing was imported")?;
    let listed = show.json(ana, &["list", "contact"])?;
    let record = listed["items"][0]["id"].as_str().unwrap_or_default().to_owned();
    show.check(record.starts_with("contact/"), "no contact is listed")?;
    let of = |field: &str| format!("{record}/{field}");
    let (city, email, phone) = (of("city"), of("email"), of("phone"));
    let first_city = show.json(ana, &["get", &city])?["items"][0]["value"].as_str().unwrap_or_default().to_owned();
    show.check(!first_city.is_empty(), "the contact has no city")?;
    show.note("demo-imported", Facts::none().text("record", &*record).text("city", &*first_city));

    show.step("demo-pair", Facts::none());
    let picture = place.join("invitation.png");
    let mut waiting =
        ana.spawn(&["invite", "--yes", "--json", "--png", text(&picture)]).map_err(|error| show.failed(&error))?;
    let mut lines = BufReader::new(waiting.stdout.take().expect("its output is piped"));
    let invitation = next_json(&mut lines).map_err(|why| show.failed(&why))?;
    show.check(invitation["invitation"].as_str().is_some_and(|text| text.starts_with("ALLOD:")), "no invitation")?;
    let accepted = show.json(shop, &["accept", "--image", text(&picture), "--yes"])?;
    let invited = next_json(&mut lines).map_err(|why| show.failed(&why))?;
    let _ = waiting.wait();
    show.check(accepted["words"] == invited["words"] && invited["confirmed"] == true, "the words differ")?;
    let words: Vec<&str> = invited["words"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    show.note("demo-words", Facts::none().text("words", words.join(" ")));
    let the_shop = invited["peer"].as_str().unwrap_or_default().to_owned();
    let ana_there = accepted["peer"].as_str().unwrap_or_default().to_owned();
    let nothing = show.refused(shop, &["get", &city, "--from", &ana_there])?;
    show.note("demo-refused", Facts::none().text("name", shop.name).text("what", nothing));

    show.step("demo-ask", Facts::none());
    let asked = show.json(
        shop,
        &["ask", &ana_there, &city, &email, "--optional", &phone, "--purpose", "DeliveryOfGoods", "--until", "30d"],
    )?;
    show.check(asked["ask"].is_string(), "no ask")?;
    let ask = show.eventually(ana, &["asks", "--in"], |asks| {
        asks["items"].as_array()?.iter().find(|ask| ask["state"] == "open")?["ask"].as_str().map(str::to_owned)
    })?;

    show.step("demo-lend", Facts::none());
    let lent = show.json(ana, &["answer", &ask, "--only", &city, "--only", &email, "--yes"])?;
    let grant = lent["grant"].as_str().unwrap_or_default().to_owned();
    for path in [&city, &email] {
        let value = show.eventually(shop, &["get", path, "--from", &ana_there], value_of)?;
        show.note("demo-reads", Facts::none().text("name", shop.name).text("path", &**path).text("value", value));
    }
    let nothing = show.refused(shop, &["get", &phone, "--from", &ana_there])?;
    show.note("demo-refused", Facts::none().text("name", shop.name).text("what", nothing));

    show.step("demo-change", Facts::none());
    show.json(ana, &["set", &format!("{city}=Lyon")])?;
    show.eventually(shop, &["get", &city, "--from", &ana_there], |read| (value_of(read)? == "Lyon").then_some(()))?;
    show.note("demo-reads", Facts::none().text("name", shop.name).text("path", &*city).text("value", "Lyon"));

    show.step("demo-revoke", Facts::none());
    let revoked = show.json(ana, &["revoke", &grant, "--yes"])?;
    show.check(revoked["revoked"].as_array().is_some_and(|all| !all.is_empty()), "nothing was taken back")?;
    show.json(ana, &["set", &format!("{city}=Marseille")])?;
    show.eventually(ana, &["grants", "--given", &the_shop], |grants| {
        let ours = grants["items"].as_array()?.iter().find(|row| row["grant"] == grant.as_str())?;
        (ours["purge"] == "confirmed").then_some(())
    })?;
    show.note("demo-purged", Facts::none().text("name", shop.name));
    for path in [&city, &email] {
        let nothing = show.refused(shop, &["get", path, "--from", &ana_there])?;
        show.note("demo-refused", Facts::none().text("name", shop.name).text("what", nothing));
    }
    let own = show.json(ana, &["get", &city])?;
    show.check(own["items"][0]["value"] == "Marseille", "the owner lost a value")?;
    show.plain("demo-limits");

    for (node, peer) in [(&*ana, &the_shop), (&*shop, &ana_there)] {
        show.step("demo-log", Facts::none().text("name", node.name));
        let verified = show.json(node, &["log", peer, "--verify"])?;
        show.check(verified["ok"] == true, "the log does not verify")?;
        let mut command = node.command(&["log", peer]);
        command.args(["--lang", show.messages.lang().as_str()]);
        let shown = command.output().map_err(|error| show.failed(&error))?;
        show.check(shown.status.success(), "the log is not shown")?;
        show.raw(&String::from_utf8_lossy(&shown.stdout));
    }
    Ok(())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path made of plain letters")
}

fn value_of(read: &Value) -> Option<String> {
    read["items"][0]["value"].as_str().map(str::to_owned)
}

/// What the person sees.
struct Show<'a> {
    messages: &'a Messages,
    out: &'a mut dyn Write,
    step: String,
    number: u64,
}

impl Show<'_> {
    fn step(&mut self, id: &str, facts: Facts) {
        self.number += 1;
        self.step = self.messages.text(id, &facts);
        let line = format!("\n{}. {}\n", self.number, self.step);
        self.raw(&line);
    }

    fn note(&mut self, id: &str, facts: Facts) {
        let line = format!("   {}\n", self.messages.text(id, &facts));
        self.raw(&line);
    }

    fn plain(&mut self, id: &str) {
        self.plain_with(id, Facts::none());
    }

    fn plain_with(&mut self, id: &str, facts: Facts) {
        let line = format!("\n{}\n", self.messages.text(id, &facts));
        self.raw(&line);
    }

    fn end(&mut self, took: Duration) {
        let tenths = u64::try_from(took.as_millis() / 100).unwrap_or_default();
        let seconds = format!("{}.{}", tenths / 10, tenths % 10);
        self.plain_with("demo-done", Facts::none().number("steps", self.number).text("seconds", seconds));
    }

    fn raw(&mut self, text: &str) {
        // Nobody may be reading any more; the demo goes on and its exit code says how it went.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }

    fn failed(&self, why: &dyn ToString) -> DemoFailed {
        DemoFailed { step: self.step.clone(), why: why.to_string() }
    }

    fn check(&self, holds: bool, otherwise: &str) -> Result<(), DemoFailed> {
        if holds { Ok(()) } else { Err(self.failed(&otherwise)) }
    }

    fn json(&self, node: &Node, arguments: &[&str]) -> Result<Value, DemoFailed> {
        node.json(arguments).map_err(|why| self.failed(&why))
    }

    /// The first line of the refusal that a command must end with.
    fn refused(&self, node: &Node, arguments: &[&str]) -> Result<String, DemoFailed> {
        let mut command = node.command(arguments);
        command.args(["--lang", self.messages.lang().as_str()]);
        let output = command.output().map_err(|error| self.failed(&error))?;
        let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        self.check(output.status.code() == Some(5), &format!("this was not refused: {}", arguments.join(" ")))?;
        Ok(said)
    }

    fn eventually<T>(
        &self,
        node: &Node,
        arguments: &[&str],
        holds: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, DemoFailed> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = node.json(arguments);
            if let Some(found) = answer.as_ref().ok().and_then(&holds) {
                return Ok(found);
            }
            if Instant::now() > end {
                let last = answer.map_or_else(|why| why, |answer| answer.to_string());
                return Err(self.failed(&last));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One daemon and its home.
struct Node {
    name: &'static str,
    home: PathBuf,
    program: PathBuf,
    daemon: Option<Child>,
    /// Kept open: a daemon that writes into a closed pipe would end.
    output: Option<BufReader<ChildStdout>>,
}

impl Node {
    fn new(place: &Path, name: &'static str) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { name, home: place.join(name), program, daemon: None, output: None })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args(arguments).stdin(Stdio::null());
        // What the person set for their own node is not for these.
        command.env_remove("ALLOD_HOME").env("NO_COLOR", "1");
        command
    }

    fn start(&mut self) -> Result<u32, String> {
        let log = File::create(self.home.join("log").join("demo.log")).map_err(|error| error.to_string())?;
        let listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"];
        let mut command = self.command(&["run", "--json"]);
        command.args(listen).stdout(Stdio::piped()).stderr(log);
        let mut daemon = command.spawn().map_err(|error| error.to_string())?;
        let mut output = BufReader::new(daemon.stdout.take().expect("its output is piped"));
        let process = daemon.id();
        self.daemon = Some(daemon);
        let ready = next_json(&mut output)?;
        self.output = Some(output);
        if ready["ready"] == true { Ok(process) } else { Err(ready.to_string()) }
    }

    fn spawn(&self, arguments: &[&str]) -> std::io::Result<Child> {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, String> {
        let output = self.command(arguments).arg("--json").output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        // Commands that print a stream end with what counts.
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.trim();
        serde_json::from_str(last)
            .or_else(|_| serde_json::from_str(last.lines().last().unwrap_or_default()))
            .map_err(|error| format!("{}: {error}", arguments.join(" ")))
    }

    /// Lets the daemon go on after this process.
    fn keep(&mut self) {
        self.daemon = None;
        self.output = None;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let asked = self.command(&["stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _ = daemon.kill();
            }
            let _ = daemon.wait();
        }
    }
}

fn next_json(lines: &mut BufReader<ChildStdout>) -> Result<Value, String> {
    let mut line = String::new();
    lines.read_line(&mut line).map_err(|error| error.to_string())?;
    serde_json::from_str(&line).map_err(|_| format!("not JSON: {}", line.trim()))
}
