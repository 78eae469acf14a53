//! `invite`, `accept`, `invitations`: two people pair two nodes.
//!
//! Both sides go the same way once the node knows the words: show them, ask whether the other screen shows the same, tell the node, and
//! wait until the other person has answered too. Words stand before emoji, numbered, so that they can be read aloud. The invitation is
//! good while the command runs: Ctrl-C withdraws it.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use allod_protocol::refusal::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    Session, arguments,
    asking::{self, Consent},
    ending::{Done, Ending, Failure},
    forms,
    listing::{Listing, Paging},
    screen::Screen,
};
use crate::{
    client::{Body, Url},
    messages::{Facts, Lang},
    qr,
};

/// The longest text that can be an invitation, with room. Bytes.
const TEXT_MAX_BYTES: u64 = 8 * 1024;

pub(super) async fn invite(session: &Session, args: arguments::Invite) -> Done {
    let consent = asking::consent(args.yes)?;
    let mut request = json!({});
    if let Some(lifetime) = forms::duration("--expires", args.expires.as_deref())? {
        request["expires_s"] = lifetime.as_secs().into();
    }
    let answer = session.post(&Url::new("/v1/invitations"), request).await?;
    let id = forms::text(&answer["id"]);
    give_up_on_interrupt(session, &id);
    if let Err(ending) = show_invitation(session, &args, &answer) {
        super::give_up(session).await;
        return Err(ending);
    }
    let view = await_stage(session, &id, "open", Value::Null).await?;
    compare(session, &id, view, consent).await
}

/// Ctrl-C before both people confirmed is a no: the other side hears of it and does not wait.
fn give_up_on_interrupt(session: &Session, id: &str) {
    let url = Url::new("/v1/pairings").part(id).word("confirm");
    session.on_interrupt.replace(Some((url, json!({ "same": false }))));
}

fn show_invitation(session: &Session, args: &arguments::Invite, answer: &Value) -> Done {
    let screen = &session.screen;
    let text = forms::text(&answer["invitation"]);
    let code = qr::Code::of(&text).map_err(|_| Ending::failed(Code::Failed, "cli-code-too-long", Facts::none()))?;
    if let Some(file) = &args.png {
        write_picture(file, &code.png())?;
    }
    if let Some(file) = &args.svg {
        write_picture(file, code.svg().as_bytes())?;
    }
    if screen.is_json() {
        return screen.json(&json!({ "invitation": text, "expires": answer["expires"] }));
    }
    let mut too_small = false;
    let drawn = match terminal_size::terminal_size_of(io::stdout()) {
        Some((columns, rows)) if args.png.is_none() && args.svg.is_none() && !screen.is_accessible() => {
            let fits = code.fits(columns.0.into(), rows.0.into()) == qr::Fit::Whole;
            too_small = !fits;
            fits
        }
        _ => false,
    };
    // With both colours set the code reads on any ground; without, it is a guess, and the text comes first.
    if drawn && screen.has_colour() {
        screen.write(code.terminal(qr::Paint::BlackOnWhite).as_bytes())?;
    }
    screen.print(&text)?;
    if drawn && !screen.has_colour() {
        screen.write(code.terminal(qr::Paint::Plain(qr::Ground::Dark)).as_bytes())?;
    }
    screen.print("")?;
    screen.say("invite-how", &Facts::none().text("expires", screen.time(&answer["expires"])))?;
    if too_small {
        screen.say("invite-too-small", &Facts::none())?;
    }
    for file in [&args.png, &args.svg].into_iter().flatten() {
        screen.say("invite-picture", &Facts::none().text("file", file.display().to_string()))?;
    }
    Ok(())
}

/// The picture holds a secret while the invitation lasts: its owner alone may read it.
fn write_picture(path: &Path, bytes: &[u8]) -> Done {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Ending::file(path, &error))
}

pub(super) async fn accept(session: &Session, args: arguments::Accept) -> Done {
    let consent = asking::consent(args.yes)?;
    let text = match (&args.text, &args.image) {
        (_, Some(picture)) => read_picture(picture)?,
        (Some(text), None) if text != "-" => text.clone(),
        _ => read_text(session).await?,
    };
    let mut request = json!({ "text": text.trim() });
    if let Some(name) = args.name {
        request["name"] = name.into();
    }
    let view = session.post(&Url::new("/v1/accept"), request).await?;
    if !session.screen.is_json() {
        session.screen.note(&session.screen.word("accept-calling"));
    }
    let id = forms::text(&view["id"]);
    give_up_on_interrupt(session, &id);
    let view = await_stage(session, &id, "open", view).await?;
    compare(session, &id, view, consent).await
}

async fn read_text(session: &Session) -> Done<String> {
    if io::stdin().is_terminal() {
        return asking::line(session.screen.word("ask-invitation")).await;
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(TEXT_MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Ending::file(Path::new("-"), &error))?;
    Ok(text)
}

fn read_picture(path: &Path) -> Done<String> {
    let file = || Facts::none().text("file", path.display().to_string());
    let about = fs::metadata(path).map_err(|error| Ending::file(path, &error))?;
    if about.len() > qr::PICTURE_SIZE_MAX_BYTES as u64 {
        return Err(Ending::failed(Code::TooLarge, "cli-picture-too-large", file()));
    }
    let bytes = fs::read(path).map_err(|error| Ending::file(path, &error))?;
    let text = qr::read(&bytes).map_err(|error| match error {
        qr::ReadError::NotAPicture => Ending::failed(Code::Invalid, "cli-not-a-picture", file()),
        qr::ReadError::TooManyBytes { .. } | qr::ReadError::TooLarge { .. } => {
            Ending::failed(Code::TooLarge, "cli-picture-too-large", file())
        }
        qr::ReadError::NoCode { width, height } => {
            let facts = file().text("width", width.to_string()).text("height", height.to_string());
            Ending::failed(Code::Invalid, "cli-no-code", facts)
        }
    })?;
    let begins: String = text.chars().take(6).collect();
    if begins.eq_ignore_ascii_case("ALLOD:") {
        Ok(text.to_string())
    } else {
        Err(Ending::failed(Code::Invalid, "cli-other-code", Facts::none().text("begins", begins)))
    }
}

/// Waits until the pairing is past `seen`, and returns it. One that ended is an error.
async fn await_stage(session: &Session, id: &str, seen: &str, known: Value) -> Done<Value> {
    let mut view = known;
    loop {
        match view["stage"].as_str() {
            Some("ended") => return Err(Failure::from_json(&view["error"]).into()),
            Some(stage) if stage != seen => return Ok(view),
            _ => {}
        }
        let url = Url::new("/v1/pairings").part(id).with("seen", seen);
        view = session.get(&url).await?;
    }
}

/// From the words on both screens to a relationship.
async fn compare(session: &Session, id: &str, mut view: Value, consent: Consent) -> Done {
    let screen = &session.screen;
    let url = Url::new("/v1/pairings").part(id).word("confirm");
    if view["stage"] == "comparing" {
        show_words(screen, &view, consent)?;
        let same = consent == Consent::Given || asking::confirm(session, "pairing-ask", &Facts::none()).await?;
        let answer = session.post(&url, json!({ "same": same })).await;
        if !same {
            return Err(Refusal::WordsDiffer {}.into());
        }
        view = answer?;
    }
    if view["stage"] == "waiting" {
        if !screen.is_json() {
            screen.note(&screen.word("pairing-waiting"));
        }
        view = await_stage(session, id, "waiting", view).await?;
    }
    if view["stage"] == "ended" {
        return Err(Failure::from_json(&view["error"]).into());
    }
    if screen.is_json() {
        let emoji: Vec<&Value> = view["emoji"].as_array().into_iter().flatten().map(|each| &each["emoji"]).collect();
        return screen.json(&json!({
            "peer": view["peer"], "words": view["words"], "emoji": emoji, "confirmed": view["confirmed"],
        }));
    }
    let peer = Facts::none().text("peer", forms::text(&view["peer"]));
    screen.say("pairing-done", &peer)?;
    warn_of_others(screen, &view);
    screen.say("pairing-next", &peer)
}

fn show_words(screen: &Screen, view: &Value, consent: Consent) -> Done {
    let mut lines = vec![screen.word("pairing-compare")];
    let words = view["words"].as_array().into_iter().flatten();
    lines.push(format!("  {}", numbered(words.map(forms::text))));
    let name = if screen.lang() == Lang::French { "name_fr" } else { "name_en" };
    let emoji = view["emoji"].as_array().into_iter().flatten().map(|each| {
        let name = each[name].as_str().or_else(|| each["name"].as_str()).unwrap_or_default();
        format!("{name} {}", forms::text(&each["emoji"]))
    });
    lines.push(format!("  {}", numbered(emoji)));
    let text = lines.join("\n");
    match (screen.is_json(), consent) {
        (false, _) => screen.print(&text)?,
        (true, Consent::Asked) => screen.note(&text),
        (true, Consent::Given) => {}
    }
    if !screen.is_json() {
        warn_of_others(screen, view);
    }
    Ok(())
}

fn numbered(words: impl Iterator<Item = String>) -> String {
    let numbered: Vec<String> = words.enumerate().map(|(place, word)| format!("{} {word}", place + 1)).collect();
    numbered.join("  ")
}

fn warn_of_others(screen: &Screen, view: &Value) {
    let others = forms::number(&view["others_tried"]);
    if others > 0 {
        screen.note(&screen.text("pairing-others", &Facts::none().number("count", others)));
    }
}

pub(super) async fn invitations(session: &Session, args: arguments::Invitations) -> Done {
    if args.action.is_some() {
        let url = Url::new("/v1/invitations");
        let answer = session.call(hyper::Method::DELETE, &url, Body::None, crate::client::ANSWER_DEADLINE).await?;
        return if session.screen.is_json() {
            session.screen.json(&answer)
        } else {
            session.screen.say("invitations-cancelled", &Facts::none())
        };
    }
    let row = |screen: &Screen, item: &Value| {
        [screen.time(&item["expires"]), screen.term("invitation-state", &forms::text(&item["state"]))]
    };
    Listing {
        url: Url::new("/v1/invitations"),
        paging: Paging::Here,
        columns: ["column-expires", "column-state"],
        row: &row,
        empty: "no-invitations",
    }
    .show(session, &args.page)
    .await
}
