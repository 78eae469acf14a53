//! `passphrase`: another passphrase for the vault, or none; opened by the old one or by the recovery phrase.
//!
//! A running node does it itself. Without one the recovery phrase opens the vault's file here.

use serde_json::json;

use super::{
    Session, arguments,
    asking::{self, Source},
    ending::Done,
    node,
};
use crate::{
    client::{ClientError, Url},
    daemon,
    messages::{Facts, Messages},
};

pub(super) async fn passphrase(session: &Session, args: arguments::Passphrase) -> Done {
    let screen = &session.screen;
    let mut request = json!({ "new": null });
    // Both sources are known to be there before anyone types anything.
    let new_source = if args.no_passphrase { None } else { Some(Source::find(args.new_passphrase_file.as_deref())?) };
    let phrase = if args.from_phrase {
        Some(asking::phrase(session, None).await?)
    } else {
        // A home without a passphrase has no old one: nothing is sent, and the node decides.
        match Source::find(args.passphrase_file.as_deref()) {
            Ok(source) => {
                let old = source.read(node::passphrase_question(session)).await?;
                if !old.is_empty() {
                    request["old"] = old.as_str().into();
                }
            }
            Err(_) if args.passphrase_file.is_none() => {}
            Err(ending) => return Err(ending),
        }
        None
    };
    if let Some(phrase) = &phrase {
        request["phrase"] = phrase.trim().into();
    }
    let new = match &new_source {
        Some(source) => Some(source.read_new(Messages::of(screen.lang())).await?),
        None => None,
    };
    if let Some(new) = &new {
        request["new"] = new.as_str().into();
    }
    let answer = match (session.client.post(&Url::new("/v1/passphrase"), request).await, &phrase) {
        (Err(ClientError::NotRunning), Some(phrase)) => {
            let mut dice = daemon::dice();
            daemon::set_by_phrase(&session.home, phrase.clone(), new.as_ref(), &mut dice)?;
            json!({ "protection": if args.no_passphrase { "none" } else { "passphrase" } })
        }
        (outcome, _) => outcome.map_err(|error| session.explain(error))?,
    };
    if screen.is_json() {
        return screen.json(&answer);
    }
    screen.say(if args.no_passphrase { "passphrase-removed" } else { "passphrase-changed" }, &Facts::none())
}
