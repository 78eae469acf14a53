//! `revoke`: one grant, some selectors of a peer, or all that a peer holds.
//!
//! The answer says what was handed over before, which other grant still lends the same, and who has heard. It never says more than is
//! true: what was read may be remembered.

use serde_json::{Value, json};

use super::{
    Session, arguments,
    asking::{self, Consent},
    ending::{Done, Ending},
    forms, peers,
    screen::Screen,
};
use crate::{client::Url, messages::Facts};

/// What a grant's short form begins with; a petname never does.
const GRANT_PREFIX: &str = "g-";

pub(super) async fn revoke(session: &Session, args: arguments::Revoke) -> Done {
    let target = args.target;
    let answer = if target.starts_with(GRANT_PREFIX) {
        if !args.selectors.is_empty() {
            return Err(Ending::usage("cli-revoke-selectors-of-peer", Facts::none().text("grant", target)));
        }
        session.post(&Url::new("/v1/grants").part(&target).word("revoke"), json!({})).await?
    } else {
        if args.selectors.is_empty() {
            let consent = asking::consent(args.yes)?;
            if consent == Consent::Asked {
                peers::preview_grants(session, &target).await?;
            }
            let facts = Facts::none().text("peer", target.clone());
            asking::confirm_or_end(session, consent, "revoke-ask", &facts).await?;
        }
        let url = Url::new("/v1/peers").part(&target).word("revoke");
        session.post(&url, json!({ "selectors": args.selectors })).await?
    };
    if session.screen.is_json() {
        return session.screen.json(&answer);
    }
    say(&session.screen, &answer)
}

fn say(screen: &Screen, answer: &Value) -> Done {
    for revoked in answer["revoked"].as_array().into_iter().flatten() {
        let facts = Facts::none()
            .text("grant", forms::text(&revoked["grant"]))
            .text("selectors", forms::texts(&revoked["selectors"]));
        match forms::number(&revoked["delivered_through"]) {
            0 => screen.say("revoke-done-undelivered", &facts)?,
            version => screen.say("revoke-done", &facts.text("version", version.to_string()))?,
        }
    }
    for lent in answer["still_lent"].as_array().into_iter().flatten() {
        let facts =
            Facts::none().text("grant", forms::text(&lent["grant"])).text("selector", forms::text(&lent["selector"]));
        screen.say("revoke-still-lent", &facts)?;
    }
    let heard = forms::told_in(&answer["told"], "delivered").join(", ");
    if !heard.is_empty() {
        let id = if answer["purge"] == "confirmed" { "revoke-purge-confirmed" } else { "revoke-heard" };
        screen.say(id, &Facts::none().text("peers", heard))?;
    }
    let away = forms::told_in(&answer["told"], "queued");
    if !away.is_empty() {
        let facts = Facts::none().text("peers", away.join(", "));
        match screen.time(&answer["lease_until"]) {
            end if end.is_empty() => screen.say("revoke-away", &facts)?,
            end => screen.say("revoke-away-until", &facts.text("until", end))?,
        }
    }
    screen.say("revoke-limits-all", &Facts::none())
}
