//! `watch`: events as they happen, one a line, until Ctrl-C or the event that `--until` names.

use allod_protocol::refusal::Code;
use serde_json::Value;

use super::{
    Session, arguments,
    ending::{Done, Ending},
    forms,
    screen::Screen,
};
use crate::messages::Facts;

/// What a node reports. A newer node may report more; it is shown, and cannot be waited for by name.
const EVENTS: [&str; 17] = [
    "field_changed",
    "granted",
    "revoked",
    "asked",
    "answered",
    "declined",
    "withdrawn",
    "purged",
    "used",
    "peer_online",
    "peer_offline",
    "paired",
    "closed",
    "forked",
    "peer_restored",
    "resumed",
    "pairing",
];

pub(super) async fn watch(session: &Session, args: arguments::Watch) -> Done {
    if let Some(name) = args.until.as_deref().filter(|name| !EVENTS.contains(name)) {
        let facts = Facts::none().text("event", name).text("events", EVENTS.join(", "));
        return Err(Ending::usage("cli-unknown-event", facts));
    }
    let screen = &session.screen;
    let mut events = session.client.watch(None).await.map_err(|error| session.explain(error))?;
    if !screen.is_json() {
        screen.note(&screen.word("watch-begins"));
    }
    while let Some(event) = events.next().await.map_err(|error| session.explain(error))? {
        let Ok(event) = serde_json::from_str::<Value>(&event.data) else { continue };
        if screen.is_json() {
            screen.json(&event)?;
        } else {
            screen.print(&sentence(screen, &event))?;
        }
        if args.until.as_deref().is_some_and(|name| event["event"] == name) {
            return Ok(());
        }
    }
    Err(Ending::failed(Code::NotRunning, "cli-node-stopped", Facts::none()))
}

fn sentence(screen: &Screen, event: &Value) -> String {
    let name = forms::text(&event["event"]);
    let id = format!("event-{}", name.replace('_', "-"));
    let facts = Facts::none()
        .text("peer", forms::text(&event["peer"]))
        .text("path", forms::text(&event["path"]))
        .text("selectors", forms::texts(&event["selectors"]))
        .text("grant", forms::text(&event["grant"]))
        .text("ask", forms::text(&event["ask"]));
    let words =
        if screen.has(&id) { screen.text(&id, &facts) } else { format!("{name} {}", forms::text(&event["peer"])) };
    match screen.time(&event["at"]) {
        at if at.is_empty() => words,
        at => format!("{at}  {words}"),
    }
}
