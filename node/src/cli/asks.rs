//! `ask`, `asks`, `answer`, `decline`: a request for fields, and what a person makes of it.
//!
//! An answer names every selector that it lends, so that what leaves is what stood on the screen and nothing that came in between.
//! Optional selectors are off until chosen: by `--only`, by a yes to each, or by `--yes` to all.

use allod_protocol::refusal::Refusal;
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
use crate::{client::Url, messages::Facts, time_text::Meaning};

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
    let values = ask["values"].as_array().map_or(&[][..], Vec::as_slice);
    if !values.is_empty() {
        screen.print("")?;
        screen.say("would-leave", &Facts::none().text("peer", forms::text(&ask["peer"])))?;
        screen.table(values_table(screen, values))?;
    }
    if ask["state"] == "open" && ask["direction"] != "out" && ask["direction"] != "held" {
        screen.print("")?;
        screen.say("asks-next", &Facts::none().text("ask", forms::text(&ask["ask"])))?;
    }
    Ok(())
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
    let chosen = choose(session, &ask, args.only, consent).await?;
    if chosen.is_empty() {
        return Err(Ending::usage("cli-nothing-chosen", Facts::none().text("ask", args.ask)));
    }
    if consent == Consent::Asked || !screen.is_json() {
        let values: Vec<Value> = ask["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|value| {
                let selector = value["selector"].as_str().or_else(|| value["path"].as_str()).unwrap_or_default();
                chosen.iter().any(|chosen| chosen == selector)
            })
            .cloned()
            .collect();
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
async fn choose(session: &Session, ask: &Value, only: Vec<String>, consent: Consent) -> Done<Vec<String>> {
    if !only.is_empty() {
        return Ok(only);
    }
    let mut chosen = Vec::new();
    for item in ask["selectors"].as_array().into_iter().flatten() {
        let selector = item["selector"].as_str().unwrap_or_default().to_owned();
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
