//! `log`: all that passed between this node and its peers, newest last; values never shown.
//!
//! `--follow` reads again from the last page whenever the node reports an event, and shows what was not shown: an entry's log and
//! sequence decide, so that nothing stands twice and nothing is missed in between. `--verify` has the node check chains and signatures.

use std::collections::HashMap;

use allod_protocol::refusal::Code;
use serde_json::Value;

use super::{
    Session,
    arguments::{self, Page},
    ending::{Done, Ending, facts_of},
    forms,
    listing::{self, Listing, Paging},
    screen::{Screen, Table},
};
use crate::{
    client::Url,
    messages::{Facts, Lang},
    time_text::Meaning,
};

const COLUMNS: [&str; 5] = ["column-at", "column-peer", "column-way", "column-what", "column-seq"];

pub(super) async fn log(session: &Session, args: arguments::Log) -> Done<u8> {
    if args.verify {
        return verify(session, args.peer.as_deref()).await;
    }
    let since = forms::time(session, "--since", args.since.as_deref(), Meaning::Since)?;
    let url = Url::new("/v1/log").with_some("peer", args.peer.as_deref()).with_some("since", since.as_deref());
    if args.follow {
        follow(session, &url, &args.page).await?;
    } else {
        Listing { url, paging: Paging::ByNode, columns: COLUMNS, row: &row, empty: "no-entries" }
            .show(session, &args.page)
            .await?;
    }
    Ok(0)
}

fn row(screen: &Screen, entry: &Value) -> [String; 5] {
    [
        screen.time(&entry["at"]),
        forms::text(&entry["peer"]),
        screen.term("way", &forms::text(&entry["direction"])),
        summary(screen, entry),
        forms::number(&entry["seq"]).to_string(),
    ]
}

/// Entries as a table.
pub(super) fn table(screen: &Screen, entries: &[Value]) -> Table {
    listing::table(screen, &COLUMNS, &row, entries)
}

/// What an entry did, in a few words. The node's own English summary serves where the catalogue has none.
fn summary(screen: &Screen, entry: &Value) -> String {
    let sent = forms::text(&entry["summary"]);
    if screen.lang() == Lang::English && !sent.is_empty() {
        return sent;
    }
    let line = &entry["summary_of"];
    match line["id"].as_str() {
        Some(id) if screen.has(id) => screen.text(id, &facts_of(&line["facts"])),
        _ if sent.is_empty() => forms::text(&entry["kind"]),
        _ => sent,
    }
}

async fn follow(session: &Session, url: &Url, page: &Page) -> Done {
    let screen = &session.screen;
    // Before the first page, so that nothing falls between the two.
    let mut events = session.client.watch(None).await.map_err(|error| session.explain(error))?;
    let mut cursor = page.after.clone();
    let mut shown: HashMap<(String, String), u64> = HashMap::new();
    loop {
        loop {
            let answer = session.get(&url.clone().with("limit", "500").with_some("after", cursor.as_deref())).await?;
            for entry in listing::items(&answer) {
                let (log, seq) =
                    ((forms::text(&entry["peer"]), forms::text(&entry["log"])), forms::number(&entry["seq"]));
                if shown.get(&log).is_some_and(|last| *last >= seq) {
                    continue;
                }
                shown.insert(log, seq);
                show_line(screen, entry)?;
            }
            match answer["next"].as_str() {
                Some(next) if Some(next) != cursor.as_deref() => cursor = Some(next.to_owned()),
                _ => break,
            }
        }
        let event = events.next().await.map_err(|error| session.explain(error))?;
        if event.is_none() {
            return Err(Ending::failed(Code::NotRunning, "cli-node-stopped", Facts::none()));
        }
        events.forget_ready();
    }
}

fn show_line(screen: &Screen, entry: &Value) -> Done {
    if screen.is_json() {
        return screen.json(entry);
    }
    let [at, peer, way, what, seq] = row(screen, entry);
    screen.print(&format!("{at}  {peer}  {way}  {what}  {seq}"))
}

async fn verify(session: &Session, peer: Option<&str>) -> Done<u8> {
    let screen = &session.screen;
    let answer = session.get(&Url::new("/v1/verify").with_some("peer", peer)).await?;
    let whole = answer["ok"] == true;
    if screen.is_json() {
        screen.json(&answer)?;
    } else if whole {
        screen.say("verify-ok", &Facts::none().number("count", forms::number(&answer["entries"])))?;
    } else {
        let lines = answer["gaps_of"].as_array();
        for (place, gap) in answer["gaps"].as_array().into_iter().flatten().enumerate() {
            let line = lines.and_then(|lines| lines.get(place)).unwrap_or(&Value::Null);
            match line["id"].as_str() {
                Some(id) if screen.has(id) => screen.print(&screen.text(id, &facts_of(&line["facts"])))?,
                _ => screen.print(&forms::text(gap))?,
            }
        }
    }
    if whole { Ok(0) } else { Err(Ending::failed(Code::Damaged, "cli-log-not-whole", Facts::none())) }
}
