//! `remove`: a field at once, a record after a look at what goes.

use allod_protocol::path::Path;
use serde_json::json;

use super::{
    Session, arguments,
    asking::{self, Consent},
    ending::Done,
    forms, listing,
};
use crate::{client::Url, messages::Facts};

pub(super) async fn remove(session: &Session, args: arguments::Remove) -> Done {
    let screen = &session.screen;
    if let Ok(Path::Record(record)) = args.path.parse::<Path>() {
        let consent = asking::consent(args.yes)?;
        if consent == Consent::Asked {
            let url = Url::new("/v1/records").with("prefix", &record.to_string()).with("limit", "1");
            let answer = session.get(&url).await?;
            let fields = listing::items(&answer).first().map(|item| forms::texts(&item["fields"])).unwrap_or_default();
            let facts = Facts::none().text("record", record.to_string()).text("fields", fields);
            screen.note(&screen.text("remove-preview", &facts));
        }
        let facts = Facts::none().text("record", record.to_string());
        asking::confirm_or_end(session, consent, "remove-ask", &facts).await?;
    }
    let answer = session.post(&Url::new("/v1/remove"), json!({ "path": args.path })).await?;
    if screen.is_json() {
        return screen.json(&answer);
    }
    screen.say("remove-done", &Facts::none().number("count", forms::number(&answer["removed"])))?;
    forms::say_told(screen, &answer["told"])
}
