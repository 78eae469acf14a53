//! `ask`, `asks`, `answer`, `decline`: a request for fields, and what a person makes of it.
//!
//! An answer names every selector that it lends, so that what leaves is what stood on the screen and nothing that came in between.
//! Optional selectors are off until chosen: by `--only`, by a yes to each, or by `--yes` to all.

use allod_protocol::refusal::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    Session,
    arguments::{self, AskAction, AsksAction},
    asking::{self, Consent},
    ending::{Done, Ending},
    forms, grants,
    listing::{self, Listing, Paging},
    screen::{Screen, Table},
};
use crate::{
    client::Url,
    messages::{Facts, for_shell},
    time_text::Meaning,
};

pub(super) async fn ask(session: &Session, args: arguments::Ask) -> Done {
    let screen = &session.screen;
    if let Some(AskAction::Withdraw { ask }) = args.action {
        let answer = session.post(&Url::new("/v1/asks").part(&ask).word("withdraw"), json!({})).await?;
        return if screen.is_json() {
            screen.json(&answer)
        } else {
            screen.say("ask-withdrawn", &Facts::none().text("ask", ask))
        };
    }
    let Some(args) = args.request else { return Err(Ending::usage("cli-no-verb", Facts::none())) };
    if args.paths.is_empty() && args.optional.is_empty() {
        return Err(Ending::usage("cli-nothing-asked", Facts::none()));
    }
    let mut request = json!({
        "peer": args.peer,
        "selectors": args.paths,
        "optional": args.optional,
        "purpose": forms::purpose(&args.purpose)?,
    });
    let until = forms::time(session, "--until", args.until.as_deref(), Meaning::Until)?;
    let options = [
        ("reason", args.reason),
        ("benefit", args.benefit),
        ("until", until),
        ("mode", args.mode.map(|mode| forms::mode(mode).to_owned())),
        ("terms", args.terms),
    ];
    for (name, value) in options {
        if let Some(value) = value {
            request[name] = value.into();
        }
    }
    let answer = session.post(&Url::new("/v1/asks"), request).await?;
    if screen.is_json() {
        return screen.json(&answer);
    }
    let facts = Facts::none().text("ask", forms::text(&answer["ask"])).text("peer", args.peer);
    screen.say(if answer["state"] == "queued" { "ask-queued" } else { "ask-sent" }, &facts)
}

/// The selectors of an ask, optional ones marked by a word.
fn selectors(screen: &Screen, ask: &Value) -> String {
    let each = ask["selectors"].as_array().into_iter().flatten().map(|item| {
        let selector = forms::text(&item["selector"]);
        if item["required"] == true {
            selector
        } else {
            screen.text("optional", &Facts::none().text("selector", selector))
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

pub(super) async fn asks(session: &Session, args: arguments::Asks) -> Done {
    if let Some(AsksAction::Show { ask }) = args.action {
        return show(session, &ask).await;
    }
    let direction = match (args.incoming, args.outgoing) {
        (true, _) => Some("in"),
        (_, true) => Some("out"),
        _ => None,
    };
    let row = |screen: &Screen, ask: &Value| {
        [
            forms::text(&ask["ask"]),
            forms::text(&ask["peer"]),
            screen.term("ask-direction", &forms::text(&ask["direction"])),
            selectors(screen, ask),
            screen.purpose(&forms::text(&ask["purpose"])),
            forms::text(&ask["reason"]),
            forms::until(screen, &ask["until"]),
            screen.term("ask-state", &forms::text(&ask["state"])),
        ]
    };
    Listing {
        url: Url::new("/v1/asks").with_some("direction", direction),
        paging: Paging::ByNode,
        columns: [
            "column-ask",
            "column-peer",
            "column-direction",
            "column-selectors",
            "column-purpose",
            "column-reason",
            "column-until",
            "column-state",
        ],
        row: &row,
        empty: "no-asks",
    }
    .show(session, &args.page)
    .await
}

async fn show(session: &Session, id: &str) -> Done {
    let screen = &session.screen;
    let ask = session.get(&Url::new("/v1/asks").part(id)).await?;
    if screen.is_json() {
        return screen.json(&ask);
    }
    screen.properties(&[
        ("column-ask", forms::text(&ask["ask"])),
        ("column-peer", forms::text(&ask["peer"])),
        ("column-direction", screen.term("ask-direction", &forms::text(&ask["direction"]))),
        ("column-selectors", selectors(screen, &ask)),
        ("column-purpose", screen.purpose(&forms::text(&ask["purpose"]))),
        ("column-reason", forms::text(&ask["reason"])),
        ("column-benefit", forms::text(&ask["benefit"])),
        ("column-mode", screen.term("mode", &forms::text(&ask["mode"]))),
        ("column-until", forms::until(screen, &ask["until"])),
        ("column-at", screen.time(&ask["at"])),
        ("column-state", screen.term("ask-state", &forms::text(&ask["state"]))),
        ("column-declined-because", forms::text(&ask["declined_because"])),
        ("column-grant", forms::text(&ask["grant"])),
    ])?;
    let mut values = ask["values"].as_array().cloned().unwrap_or_default();
    let unset = unset(&ask);
    values.extend(unset.iter().map(|selector| no_value_yet(screen, selector)));
    if !values.is_empty() {
        screen.print("")?;
        screen.say("would-leave", &Facts::none().text("peer", forms::text(&ask["peer"])))?;
        screen.table(values_table(screen, &values))?;
    }
    if is_ours_to_answer(&ask) {
        let lent = only(&lendable(&ask, &unset));
        let part = unset.iter().any(|selector| is_field(selector)) && !lent.is_empty();
        let facts = Facts::none().text("ask", forms::text(&ask["ask"])).text("lent", lent);
        screen.print("")?;
        screen.say(if part { "asks-next-part" } else { "asks-next" }, &facts)?;
    }
    Ok(())
}

fn is_ours_to_answer(ask: &Value) -> bool {
    ask["state"] == "open" && ask["direction"] != "out" && ask["direction"] != "held"
}

/// One field, which can be lent only if it is there; a column can be lent before it has a value.
fn is_field(selector: &str) -> bool {
    !selector.contains("/*/")
}

/// Under which selector a value would leave.
fn leaves_as(value: &Value) -> &str {
    value["selector"].as_str().or_else(|| value["path"].as_str()).unwrap_or_default()
}

fn asked(ask: &Value) -> impl Iterator<Item = &str> {
    ask["selectors"].as_array().into_iter().flatten().filter_map(|item| item["selector"].as_str())
}

/// The selectors of an ask that is ours to answer for which there is no value here.
fn unset(ask: &Value) -> Vec<&str> {
    if !is_ours_to_answer(ask) {
        return Vec::new();
    }
    let values = ask["values"].as_array().map_or(&[][..], Vec::as_slice);
    asked(ask).filter(|selector| values.iter().all(|value| leaves_as(value) != *selector)).collect()
}

/// What of an ask can be lent as things are.
fn lendable<'a>(ask: &'a Value, unset: &[&str]) -> Vec<&'a str> {
    asked(ask).filter(|selector| !is_field(selector) || !unset.contains(selector)).collect()
}

/// Selectors as they are typed behind `answer ASK`.
fn only(selectors: &[&str]) -> String {
    selectors.iter().map(|selector| format!("--only {}", for_shell(selector))).collect::<Vec<_>>().join(" ")
}

/// Stands among the values for a selector that has none.
fn no_value_yet(screen: &Screen, selector: &str) -> Value {
    json!({ "path": selector, "selector": selector, "value": screen.word("no-value-yet") })
}

fn values_table(screen: &Screen, values: &[Value]) -> Table {
    let row = |_: &Screen, item: &Value| [forms::text(&item["path"]), forms::value(&item["value"])];
    listing::table(screen, &["column-path", "column-value"], &row, values)
}

pub(super) async fn answer(session: &Session, args: arguments::Answer) -> Done {
    let consent = asking::consent(args.yes)?;
    let until = forms::time(session, "--until", args.until.as_deref(), Meaning::Until)?;
    let screen = &session.screen;
    let ask = session.get(&Url::new("/v1/asks").part(&args.ask)).await?;
    // Before anyone is asked about values that cannot leave any more.
    if let Some(state) = ask["state"].as_str().filter(|state| *state != "open") {
        return Err(Refusal::AskIsOver { id: forms::text(&ask["ask"]), state: state.to_owned() }.into());
    }
    let peer = forms::text(&ask["peer"]);
    let unset = unset(&ask);
    let chosen = choose(session, &ask, &unset, args.only, consent).await?;
    if chosen.is_empty() {
        return Err(Ending::usage("cli-nothing-chosen", Facts::none().text("ask", args.ask)));
    }
    let is_chosen = |selector: &str| chosen.iter().any(|chosen| chosen == selector);
    let missing: Vec<&str> =
        unset.iter().copied().filter(|selector| is_field(selector) && is_chosen(selector)).collect();
    if let Some(first) = missing.first() {
        let mut lent = lendable(&ask, &unset);
        lent.retain(|selector| is_chosen(selector));
        let facts = Facts::none()
            .text("ask", forms::text(&ask["ask"]))
            .text("missing", missing.join(", "))
            .text("path", *first)
            .text("lent", only(&lent));
        return Err(Ending::failed(Code::NotFound, "cli-ask-no-value", facts));
    }
    if consent == Consent::Asked || !screen.is_json() {
        let values = ask["values"].as_array().into_iter().flatten();
        let mut values: Vec<Value> = values.filter(|value| is_chosen(leaves_as(value))).cloned().collect();
        if !values.is_empty() {
            let unset = unset.iter().filter(|selector| is_chosen(selector));
            values.extend(unset.map(|selector| no_value_yet(screen, selector)));
        }
        let end = until.clone().map_or_else(|| ask["until"].clone(), Value::from);
        grants::show_leaving(screen, &peer, &values, &ask["purpose"], &end, ask["mode"].as_str(), consent)?;
    }
    asking::confirm_or_end(session, consent, "grant-ask", &Facts::none().text("peer", peer)).await?;
    let mut request = json!({ "only": chosen });
    if let Some(until) = until {
        request["until"] = until.into();
    }
    let answer = session.post(&Url::new("/v1/asks").part(&args.ask).word("answer"), request).await?;
    grants::say_granted(session, &answer)
}

/// What is lent: what `--only` names, else what is required and each optional selector that the person says yes to.
///
/// An optional field without a value is not asked about: it is said that it stays out.
async fn choose(
    session: &Session,
    ask: &Value,
    unset: &[&str],
    only: Vec<String>,
    consent: Consent,
) -> Done<Vec<String>> {
    if !only.is_empty() {
        return Ok(only);
    }
    let mut chosen = Vec::new();
    for item in ask["selectors"].as_array().into_iter().flatten() {
        let selector = item["selector"].as_str().unwrap_or_default().to_owned();
        let asking = item["required"] != true && consent == Consent::Asked;
        if asking && is_field(&selector) && unset.contains(&&*selector) {
            session.screen.note(&session.screen.text("answer-left-out", &Facts::none().text("selector", selector)));
            continue;
        }
        let lent = item["required"] == true || consent == Consent::Given || {
            let facts = Facts::none().text("selector", selector.clone());
            asking::confirm(session, "answer-optional-ask", &facts).await?
        };
        if lent {
            chosen.push(selector);
        }
    }
    Ok(chosen)
}

pub(super) async fn decline(session: &Session, args: arguments::Decline) -> Done {
    let request = args.reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let answer = session.post(&Url::new("/v1/asks").part(&args.ask).word("decline"), request).await?;
    let screen = &session.screen;
    if screen.is_json() {
        return screen.json(&answer);
    }
    screen.say("decline-done", &Facts::none().text("ask", args.ask))?;
    forms::say_told(screen, &answer["told"])
}
