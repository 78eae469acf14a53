//! `init`, `run`, `status`, `stop`, `lock`, `unlock`, `doctor`: the node itself.

use allod_protocol::{command::NodeKind, refusal::Code};
use serde_json::{Value, json};

use super::{
    Session,
    arguments::{self, Kind},
    asking::{self, Source},
    ending::{Done, Ending, facts_of},
    forms, listing,
    screen::Screen,
};
use crate::{
    client::{ClientError, Url},
    daemon::{self, InitOptions, RunOptions},
    messages::Facts,
    time_text,
};

/// Peers shown under `status`; `peers` shows all.
const PEERS_SHOWN: usize = 20;

pub(super) async fn init(session: &Session, args: arguments::Init) -> Done {
    let screen = &session.screen;
    let home = session.home.display().to_string();
    // Before anyone is asked for a passphrase.
    daemon::init::confirm_free(&session.home)?;
    let passphrase = if args.no_passphrase {
        None
    } else {
        let source = Source::find(args.passphrase_file.as_deref())?;
        Some(source.read_new(crate::messages::Messages::of(screen.lang())).await?)
    };
    let options = InitOptions {
        home: session.home.clone(),
        name: args.name,
        kind: match args.kind {
            Kind::Person => NodeKind::Person,
            Kind::Vendor => NodeKind::Vendor,
        },
        passphrase,
    };
    daemon::init(options, |made| {
        // A reader that has gone away saw no phrase either: no home is made for nobody.
        let unseen = || Ending::failed(Code::Failed, "cli-phrase-unseen", Facts::none().text("home", &home));
        show_new(screen, made, &home).map_err(|_| unseen())
    })
}

fn show_new(screen: &Screen, made: &daemon::Initialised, home: &str) -> Done {
    let words: Vec<&str> = made.phrase.split_whitespace().collect();
    if screen.is_json() {
        return screen.json(&json!({ "node": made.node, "name": made.name, "phrase": words, "home": home }));
    }
    screen.say("init-done", &Facts::none().text("name", &made.name).text("home", home))?;
    screen.print("")?;
    screen.say("init-phrase", &Facts::none())?;
    for (row, four) in words.chunks(4).enumerate() {
        let numbered: Vec<String> =
            four.iter().enumerate().map(|(place, word)| format!("{:>2} {word:<10}", row * 4 + place + 1)).collect();
        screen.print(numbered.join(" ").trim_end())?;
    }
    screen.print("")?;
    screen.say("init-next", &Facts::none())
}

/// What the daemon needs to know.
pub(super) fn run_options(session: &Session, args: arguments::Run) -> RunOptions {
    // From here on a fault is for the log, with its place.
    drop(std::panic::take_hook());
    RunOptions {
        home: session.home.clone(),
        listen: args.listen,
        passphrase_file: args.passphrase_file,
        prompt: asking::prompt(passphrase_question(session)),
        json: session.screen.is_json(),
    }
}

pub(super) async fn status(session: &Session) -> Done {
    let screen = &session.screen;
    let status = session.get(&Url::new("/v1/status")).await?;
    if screen.is_json() {
        return screen.json(&status);
    }
    let up = std::time::Duration::from_secs(forms::number(&status["uptime_s"]));
    let facts = Facts::none()
        .text("name", forms::text(&status["name"]))
        .text("version", forms::text(&status["version"]))
        .text("up", time_text::show_duration(up, screen.lang()));
    screen.say("status-up", &facts)?;
    if status["vault"] == "sealed" {
        screen.say("status-sealed", &Facts::none())?;
    }
    let problem = last_problem(screen, &status["last_problem"]);
    if !problem.is_empty() {
        screen.say("status-problem", &Facts::none().text("problem", problem))?;
    }
    screen.properties(&[
        ("column-addresses", forms::texts(&status["listen"])),
        (
            "status-records",
            counted(screen, "status-records-value", &[("records", &status["records"]), ("fields", &status["fields"])]),
        ),
        (
            "status-grants",
            counted(
                screen,
                "status-grants-value",
                &[("given", &status["grants"]["given"]), ("held", &status["grants"]["held"])],
            ),
        ),
        (
            "status-peers",
            counted(
                screen,
                "status-peers-value",
                &[("paired", &status["peers"]["paired"]), ("online", &status["peers"]["online"])],
            ),
        ),
        ("status-due", counted(screen, "status-due-value", &[("due", &status["due"])])),
        (
            "status-store",
            counted(
                screen,
                "status-store-value",
                &[("kib", &json!(forms::number(&status["store"]["bytes"]).div_ceil(1024)))],
            ),
        ),
        (
            "status-memory",
            counted(
                screen,
                "status-store-value",
                &[("kib", &json!(forms::number(&status["rss_bytes"]).div_ceil(1024)))],
            ),
        ),
    ])?;
    if forms::number(&status["peers"]["paired"]) > 0 && status["vault"] != "sealed" {
        let peers = session.get(&Url::new("/v1/peers")).await?;
        let peers = listing::items(&peers);
        screen.print("")?;
        screen.table(super::peers::table(screen, &peers[..peers.len().min(PEERS_SHOWN)]))?;
    }
    Ok(())
}

/// A line of counts; empty while a locked node cannot count.
fn counted(screen: &Screen, id: &str, numbers: &[(&'static str, &Value)]) -> String {
    if numbers.iter().any(|(_, value)| value.is_null()) {
        return String::new();
    }
    let facts = numbers.iter().fold(Facts::none(), |facts, (name, value)| facts.number(*name, forms::number(value)));
    screen.text(id, &facts)
}

/// A problem as the node tells it: an id and facts, or a text.
pub(super) fn last_problem(screen: &Screen, problem: &Value) -> String {
    let words = match problem["id"].as_str() {
        Some(id) if screen.has(id) => screen.text(id, &facts_of(&problem["facts"])),
        _ => problem["message"].as_str().or_else(|| problem.as_str()).unwrap_or_default().to_owned(),
    };
    let at = screen.time(&problem["at"]);
    if words.is_empty() || at.is_empty() { words } else { format!("{words} ({at})") }
}

/// Asks the node for something that has no options, and says that it is done.
async fn order(session: &Session, url: &Url, body: Value, id: &str) -> Done {
    let answer = session.post(url, body).await?;
    finish(session, &answer, id)
}

fn finish(session: &Session, answer: &Value, id: &str) -> Done {
    if session.screen.is_json() { session.screen.json(answer) } else { session.screen.say(id, &Facts::none()) }
}

pub(super) async fn stop(session: &Session) -> Done {
    order(session, &Url::new("/v1/stop"), json!({}), "stop-done").await
}

pub(super) async fn lock(session: &Session) -> Done {
    order(session, &Url::new("/v1/lock"), json!({}), "lock-done").await
}

pub(super) async fn unlock(session: &Session, args: arguments::Unlock) -> Done {
    let url = Url::new("/v1/unlock");
    if args.from_phrase {
        let phrase = asking::phrase(session, None).await?;
        return order(session, &url, json!({ "phrase": phrase.trim() }), "unlock-done").await;
    }
    // A home without a passphrase needs none: the node knows.
    if args.passphrase_file.is_none() {
        match session.client.post(&url, json!({})).await {
            Err(ClientError::Answered(error)) if error["code"] == "locked" => {}
            outcome => {
                let answer = outcome.map_err(|error| session.explain(error))?;
                return finish(session, &answer, "unlock-done");
            }
        }
    }
    let source = Source::find(args.passphrase_file.as_deref())?;
    let passphrase = source.read(passphrase_question(session)).await?;
    order(session, &url, json!({ "passphrase": passphrase.as_str() }), "unlock-done").await
}

/// Says which vault the passphrase is for.
pub(super) fn passphrase_question(session: &Session) -> String {
    session.screen.text("ask-passphrase", &Facts::none().text("home", session.home.display().to_string()))
}

pub(super) async fn doctor(session: &Session, args: arguments::Doctor) -> Done<u8> {
    let screen = &session.screen;
    let answer = match session.client.get(&Url::new("/v1/doctor")).await {
        Err(ClientError::NotRunning) => crate::api::status::examine_offline(&session.home),
        other => other.map_err(|error| session.explain(error))?,
    };
    let checks = answer["checks"].as_array().map_or(&[][..], Vec::as_slice);
    if screen.is_json() {
        screen.json(&answer)?;
    } else {
        for check in checks {
            say_check(screen, check)?;
        }
    }
    let failed = || checks.iter().filter(|check| check["ok"] != true);
    // What it found is the answer, and no failure of `doctor`; damaged data is one wherever it is met.
    let (code, count) = match failed().filter(|check| is_damage(check)).count() {
        0 if args.strict => (Code::Failed, failed().count()),
        damaged => (Code::Damaged, damaged),
    };
    match count {
        0 => Ok(0),
        count => Err(Ending::failed(code, "cli-doctor-found", Facts::none().number("count", count as u64))),
    }
}

/// Whether a check found data that is not as it was written.
fn is_damage(check: &Value) -> bool {
    const DAMAGE: [&str; 4] = ["doctor-store-damaged", "doctor-vault-bad", "doctor-logs-gaps", "doctor-peers-frozen"];
    check["id"].as_str().is_some_and(|id| DAMAGE.contains(&id))
}

/// The check's name, whether it holds, what was found, and what to do.
fn say_check(screen: &Screen, check: &Value) -> Done {
    let holds = check["ok"] == true;
    let localised = check["id"].as_str().filter(|id| screen.has(id));
    let (detail, attempt) = match localised {
        Some(id) => screen.two_lines(id, &facts_of(&check["facts"])),
        None => (forms::text(&check["detail"]), forms::text(&check["try"])),
    };
    let facts = Facts::none().text("name", screen.term("check", &forms::text(&check["name"]))).text("detail", detail);
    screen.say(if holds { "check-ok" } else { "check-not-ok" }, &facts)?;
    if !holds && !attempt.is_empty() {
        screen.print(&format!("    {}{attempt}", screen.word("label-try")))?;
    }
    Ok(())
}
