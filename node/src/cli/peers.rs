//! `peers`, `sync`, `forget`, `resume`: who is paired with this node, ending that, and going on after a restore.

use serde_json::{Value, json};

use super::{
    Session,
    arguments::{self, Page, PeersAction},
    asking::{self, Consent},
    ending::Done,
    forms,
    listing::{self, Listing, Paging},
    node,
    screen::{Screen, Table},
};
use crate::{client::Url, messages::Facts};

pub(super) async fn peers(session: &Session, args: arguments::Peers) -> Done {
    match args.action {
        None => list(session, &args.page).await,
        Some(PeersAction::Show { peer }) => show(session, &peer).await,
        Some(PeersAction::Rename { old, new }) => {
            let url = Url::new("/v1/peers").part(&old).word("rename");
            let answer = session.post(&url, json!({ "to": new })).await?;
            finish(session, &answer, "peer-renamed", &Facts::none().text("old", old).text("new", new))
        }
    }
}

/// The answer as it is, or a sentence.
fn finish(session: &Session, answer: &Value, id: &str, facts: &Facts) -> Done {
    if session.screen.is_json() { session.screen.json(answer) } else { session.screen.say(id, facts) }
}

fn online(screen: &Screen, peer: &Value) -> String {
    match (peer["online"].as_bool(), screen.time(&peer["last_seen"])) {
        (Some(true), _) => screen.word("online"),
        (_, seen) if seen.is_empty() => screen.word("never-seen"),
        (_, seen) => seen,
    }
}

const COLUMNS: [&str; 7] = [
    "column-peer",
    "column-kind",
    "column-calls-itself",
    "column-state",
    "column-seen",
    "column-queued",
    "column-lease",
];

fn row(screen: &Screen, peer: &Value) -> [String; 7] {
    let queued = forms::number(&peer["queued"]) + forms::number(&peer["due"]);
    [
        forms::text(&peer["peer"]),
        screen.term("kind", &forms::text(&peer["kind"])),
        forms::calls_itself(screen, peer),
        screen.term("peer-state", &forms::text(&peer["state"])),
        online(screen, peer),
        if queued == 0 { String::new() } else { queued.to_string() },
        screen.time(&peer["lease_until"]),
    ]
}

/// Peers as a table.
pub(super) fn table(screen: &Screen, peers: &[Value]) -> Table {
    listing::table(screen, &COLUMNS, &row, peers)
}

async fn list(session: &Session, page: &Page) -> Done {
    let listing =
        Listing { url: Url::new("/v1/peers"), paging: Paging::Here, columns: COLUMNS, row: &row, empty: "no-peers" };
    listing.show(session, page).await
}

async fn show(session: &Session, name: &str) -> Done {
    let screen = &session.screen;
    let peer = session.get(&Url::new("/v1/peers").part(name)).await?;
    if screen.is_json() {
        return screen.json(&peer);
    }
    let log = |side: &Value| side["seq"].as_u64().map(|seq| seq.to_string()).unwrap_or_default();
    screen.properties(&[
        ("column-peer", forms::text(&peer["peer"])),
        ("column-calls-itself", forms::calls_itself(screen, &peer)),
        ("column-kind", screen.term("kind", &forms::text(&peer["kind"]))),
        ("column-state", screen.term("peer-state", &forms::text(&peer["state"]))),
        ("column-since", screen.time(&peer["since"])),
        ("column-seen", online(screen, &peer)),
        ("column-lease", screen.time(&peer["lease_until"])),
        ("column-queued", (forms::number(&peer["queued"]) + forms::number(&peer["due"])).to_string()),
        ("column-log-mine", log(&peer["mine"])),
        ("column-log-theirs", log(&peer["theirs"])),
        ("column-addresses", forms::texts(&peer["addresses"])),
        ("column-last-problem", node::last_problem(screen, &peer["last_problem"])),
    ])
}

pub(super) async fn sync(session: &Session, args: arguments::Sync) -> Done {
    let request = args.peer.as_ref().map_or_else(|| json!({}), |peer| json!({ "peer": peer }));
    let answer = session.post(&Url::new("/v1/sync"), request).await?;
    finish(session, &answer, "sync-started", &Facts::none().text("peer", args.peer.unwrap_or_default()))
}

/// The grants that a question is about, on stderr: what would end, or go on.
pub(super) async fn preview_grants(session: &Session, peer: &str) -> Done {
    let screen = &session.screen;
    let url = Url::new("/v1/grants").with("peer", peer).with("limit", "100");
    let answer = session.get(&url).await?;
    let open: Vec<Value> = listing::items(&answer)
        .iter()
        .filter(|grant| matches!(grant["state"].as_str(), Some("active" | "suspended")))
        .cloned()
        .collect();
    if open.is_empty() {
        screen.note(&screen.text("no-grants-with", &Facts::none().text("peer", peer)));
    } else {
        screen.note(&screen.draw(super::grants::table(screen, &open)));
    }
    Ok(())
}

pub(super) async fn resume(session: &Session, args: arguments::Resume) -> Done {
    let consent = asking::consent(args.yes)?;
    let facts = Facts::none().text("peer", args.peer.clone());
    if consent == Consent::Asked {
        preview_grants(session, &args.peer).await?;
    }
    asking::confirm_or_end(session, consent, "resume-ask", &facts).await?;
    let answer = session.post(&Url::new("/v1/peers").part(&args.peer).word("resume"), json!({})).await?;
    let screen = &session.screen;
    if screen.is_json() {
        return screen.json(&answer);
    }
    let resumed = answer["resumed"].as_array().map_or(0, Vec::len) as u64;
    screen.say("resume-done", &facts.number("count", resumed))
}

pub(super) async fn forget(session: &Session, args: arguments::Forget) -> Done {
    let consent = asking::consent(args.yes)?;
    let facts = Facts::none().text("peer", args.peer.clone());
    if consent == Consent::Asked {
        preview_grants(session, &args.peer).await?;
    }
    asking::confirm_or_end(session, consent, "forget-ask", &facts).await?;
    let answer = session.post(&Url::new("/v1/peers").part(&args.peer).word("forget"), json!({})).await?;
    let screen = &session.screen;
    if screen.is_json() {
        return screen.json(&answer);
    }
    let revoked = answer["revoked"].as_array().map_or(0, Vec::len) as u64;
    screen.say("forget-done", &facts.clone().number("count", revoked))?;
    forms::say_told(screen, &answer["told"])?;
    screen.say("revoke-limits", &facts)
}
