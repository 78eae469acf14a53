//! `grant`, `grants`, `used`: lending without being asked, and what is lent and used.
//!
//! Before anything leaves, the exact values stand on the screen: path, value, and under which selector. The purpose, the end and what
//! enforces each rule stand beside them.

use allod_protocol::limits::{LEASE_MAX, LEASE_MIN};
use serde_json::{Value, json};

use super::{
    Session,
    arguments::{self, GrantsAction},
    asking::{self, Consent},
    ending::{Done, Ending},
    forms,
    listing::{self, Listing, Paging},
    log,
    screen::{Screen, Table},
};
use crate::{client::Url, messages::Facts, time_text::Meaning};

/// Values shown before they leave; of a longer column the count is said.
const VALUES_SHOWN: usize = 50;

pub(super) async fn grant(session: &Session, args: arguments::Grant) -> Done {
    let consent = asking::consent(args.yes)?;
    let mode = args.mode.map(forms::mode);
    let mut request = json!({
        "peer": args.peer,
        "selectors": args.selectors,
        "purpose": forms::purpose(&args.purpose)?,
    });
    let until = forms::time(session, "--until", args.until.as_deref(), Meaning::Until)?;
    if let Some(until) = &until {
        request["until"] = until.as_str().into();
    }
    if let Some(mode) = mode {
        request["mode"] = mode.into();
    }
    if let Some(lease) = forms::duration("--lease", args.lease.as_deref())? {
        if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
            let facts = Facts::none().number("least_s", LEASE_MIN.as_secs()).number("most_s", LEASE_MAX.as_secs());
            return Err(Ending::usage("bad-lease", facts));
        }
        request["lease_s"] = lease.as_secs().into();
    }
    if let Some(terms) = args.terms {
        request["terms"] = terms.into();
    }
    let screen = &session.screen;
    if consent == Consent::Asked || !screen.is_json() {
        // Nobody reads through a list of values for a peer who is not there.
        session.get(&Url::new("/v1/peers").part(&args.peer)).await?;
        let preview = session.post(&Url::new("/v1/preview"), json!({ "selectors": args.selectors })).await?;
        let until = until.map_or(Value::Null, Value::from);
        show_leaving(screen, &args.peer, listing::items(&preview), &request["purpose"], &until, mode, consent)?;
    }
    asking::confirm_or_end(session, consent, "grant-ask", &Facts::none().text("peer", args.peer.clone())).await?;
    let answer = session.post(&Url::new("/v1/grants"), request).await?;
    say_granted(session, &answer)
}

/// What would leave, to whom, for what, until when: on stderr while a person is asked, so that stdout stays the answer.
pub(super) fn show_leaving(
    screen: &Screen,
    peer: &str,
    values: &[Value],
    purpose: &Value,
    until: &Value,
    mode: Option<&str>,
    consent: Consent,
) -> Done {
    let mut table = Table::new(screen, &["column-path", "column-value", "column-selector"]);
    for item in values.iter().take(VALUES_SHOWN) {
        let selector = forms::text(&item["selector"]);
        let path = forms::text(&item["path"]);
        let selector = if selector == path { String::new() } else { selector };
        table.row([path, forms::value(&item["value"]), selector]);
    }
    let mut lines = vec![screen.text("leaving", &Facts::none().text("peer", peer))];
    lines.push(if table.is_empty() { screen.word("leaving-nothing-yet") } else { screen.draw(table) });
    if values.len() > VALUES_SHOWN {
        lines.push(screen.text("leaving-more", &Facts::none().number("count", (values.len() - VALUES_SHOWN) as u64)));
    }
    lines.push(screen.text("leaving-purpose", &Facts::none().text("purpose", screen.purpose(&forms::text(purpose)))));
    lines.push(match until {
        Value::Null => screen.word("leaving-no-end"),
        until => screen.text("leaving-until", &Facts::none().text("until", screen.time(until))),
    });
    lines.push(screen.term("leaving-mode", mode.unwrap_or("follow")));
    let text = lines.join("\n");
    if consent == Consent::Asked || screen.is_json() {
        screen.note(&text)
    } else {
        screen.print(&text)?
    }
    Ok(())
}

/// That it is lent, until when, and who was told.
pub(super) fn say_granted(session: &Session, answer: &Value) -> Done {
    let screen = &session.screen;
    if screen.is_json() {
        return screen.json(answer);
    }
    let facts = Facts::none()
        .text("peer", forms::text(&answer["peer"]))
        .text("grant", forms::text(&answer["grant"]))
        .text("selectors", forms::texts(&answer["selectors"]));
    match &answer["until"] {
        Value::Null => screen.say("grant-done", &facts)?,
        until => screen.say("grant-done-until", &facts.clone().text("until", screen.time(until)))?,
    }
    forms::say_told(screen, &answer["told"])?;
    screen.say("grant-take-back", &facts)
}

pub(super) const COLUMNS: [&str; 9] = [
    "column-grant",
    "column-peer",
    "column-direction",
    "column-selectors",
    "column-purpose",
    "column-until",
    "column-state",
    "column-purge",
    "column-last-use",
];

pub(super) fn row(screen: &Screen, grant: &Value) -> [String; 9] {
    [
        forms::text(&grant["grant"]),
        forms::text(&grant["peer"]),
        screen.term("direction", &forms::text(&grant["direction"])),
        forms::texts(&grant["selectors"]),
        screen.purpose(&forms::text(&grant["purpose"])),
        forms::until(screen, &grant["until"]),
        screen.term("grant-state", &forms::text(&grant["state"])),
        screen.term("purge", &forms::text(&grant["purge"])),
        screen.time(&grant["last_use"]),
    ]
}

/// Whether the holder said that it dropped what it held: never more than that.
fn purge(screen: &Screen, grant: &Value) -> String {
    match grant["purge"].as_str() {
        Some("confirmed") => match screen.time(&grant["purged_at"]) {
            at if at.is_empty() => screen.word("purge-confirmed"),
            at => screen.text("purge-confirmed-at", &Facts::none().text("at", at)),
        },
        Some("awaited") => match screen.time(&grant["lease_until"]) {
            end if end.is_empty() => screen.word("purge-awaited"),
            end => screen.text("purge-awaited-until", &Facts::none().text("until", end)),
        },
        _ => String::new(),
    }
}

pub(super) fn table(screen: &Screen, grants: &[Value]) -> Table {
    listing::table(screen, &COLUMNS, &row, grants)
}

pub(super) async fn grants(session: &Session, args: arguments::Grants) -> Done {
    if let Some(GrantsAction::Show { grant }) = args.action {
        return show(session, &grant).await;
    }
    let direction = match (args.given, args.held) {
        (true, _) => Some("given"),
        (_, true) => Some("held"),
        _ => None,
    };
    Listing {
        url: Url::new("/v1/grants").with_some("direction", direction).with_some("peer", args.peer.as_deref()),
        paging: Paging::ByNode,
        columns: COLUMNS,
        row: &row,
        empty: "no-grants",
    }
    .show(session, &args.page)
    .await
}

async fn show(session: &Session, id: &str) -> Done {
    let screen = &session.screen;
    let grant = session.get(&Url::new("/v1/grants").part(id)).await?;
    if screen.is_json() {
        return screen.json(&grant);
    }
    screen.properties(&[
        ("column-grant", forms::text(&grant["grant"])),
        ("column-peer", forms::text(&grant["peer"])),
        ("column-direction", screen.term("direction", &forms::text(&grant["direction"]))),
        ("column-selectors", forms::texts(&grant["selectors"])),
        ("column-taken-back", forms::texts(&grant["taken_back"])),
        ("column-purpose", screen.purpose(&forms::text(&grant["purpose"]))),
        ("column-mode", screen.term("mode", &forms::text(&grant["mode"]))),
        ("column-from", screen.time(&grant["from"])),
        ("column-until", forms::until(screen, &grant["until"])),
        ("column-lease", screen.time(&grant["lease_until"])),
        ("column-state", screen.term("grant-state", &forms::text(&grant["state"]))),
        ("column-ended", screen.time(&grant["ended_at"])),
        ("column-purge", purge(screen, &grant)),
        ("column-last-delivery", screen.time(&grant["last_delivery"])),
        ("column-last-use", screen.time(&grant["last_use"])),
        ("column-uses", grant["uses"].as_u64().map(|uses| uses.to_string()).unwrap_or_default()),
        ("column-agreement", forms::text(&grant["agreement"])),
    ])?;
    let entries = grant["entries"].as_array().map_or(&[][..], Vec::as_slice);
    if !entries.is_empty() {
        screen.print("")?;
        screen.table(log::table(screen, entries))?;
    }
    let used = grant["used"].as_array().map_or(&[][..], Vec::as_slice);
    if !used.is_empty() {
        screen.print("")?;
        screen.table(listing::table(screen, &USED_COLUMNS, &used_row, used))?;
    }
    Ok(())
}

const USED_COLUMNS: [&str; 6] =
    ["column-at", "column-peer", "column-path", "column-purpose", "column-uses", "column-grant"];

fn used_row(screen: &Screen, used: &Value) -> [String; 6] {
    [
        screen.time(&used["at"]),
        forms::text(&used["peer"]),
        forms::text(&used["path"]),
        screen.purpose(&forms::text(&used["purpose"])),
        forms::number(&used["count"]).to_string(),
        forms::text(&used["grant"]),
    ]
}

pub(super) async fn used(session: &Session, args: arguments::Used) -> Done {
    Listing {
        url: Url::new("/v1/used").with_some("peer", args.peer.as_deref()),
        paging: Paging::ByNode,
        columns: USED_COLUMNS,
        row: &used_row,
        empty: "no-use",
    }
    .show(session, &args.page)
    .await
}
