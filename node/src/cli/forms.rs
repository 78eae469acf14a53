//! How the things of the JSON answers read: a value, a list of selectors, who was told, a peer's own name.

use std::time::Duration;

use allod_protocol::{purpose::Purpose, refusal::Refusal, time::Timestamp};
use serde_json::Value;

use super::{
    Session,
    arguments::ModeWord,
    ending::{Done, Ending},
    screen::Screen,
};
use crate::{
    messages::{Facts, plain},
    time_text::{self, Meaning},
};

/// A text of JSON; empty for none.
#[must_use]
pub fn text(value: &Value) -> String {
    value.as_str().map(plain).unwrap_or_default()
}

/// A value as people read it: text as it is, lists with commas, maps as `name: value`.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(", "),
        Value::Object(pairs) => {
            pairs.iter().map(|(name, item)| format!("{name}: {}", self::value(item))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// Texts of a JSON list, with commas.
#[must_use]
pub fn texts(list: &Value) -> String {
    let texts: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
    texts.join(", ")
}

/// A number of JSON.
#[must_use]
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// What a peer calls itself, and that nobody has proved it; a column or line says what the name is.
#[must_use]
pub fn calls_itself(screen: &Screen, peer: &Value) -> String {
    match peer["calls_itself"].as_str() {
        Some(name) if !name.is_empty() => screen.text("calls-itself", &Facts::none().text("name", name)),
        _ => String::new(),
    }
}

/// The peers of `told` in that state.
#[must_use]
pub fn told_in(told: &Value, state: &str) -> Vec<String> {
    let told = told.as_array().into_iter().flatten();
    told.filter(|told| told["state"] == state).map(|told| text(&told["peer"])).collect()
}

/// One sentence for those who have it and one for those who will hear of it when they are back.
///
/// # Errors
/// Stdout.
pub fn say_told(screen: &Screen, told: &Value) -> Done {
    for (state, id) in [("delivered", "told-delivered"), ("queued", "told-queued")] {
        let peers = told_in(told, state);
        if !peers.is_empty() {
            let facts = Facts::none().text("peers", peers.join(", ")).number("count", peers.len() as u64);
            screen.say(id, &facts)?;
        }
    }
    Ok(())
}

/// Until when, or that there is no end.
#[must_use]
pub fn until(screen: &Screen, value: &Value) -> String {
    match value {
        Value::Null => screen.word("no-end"),
        other => screen.time(other),
    }
}

/// The word for a mode as the API takes it.
#[must_use]
pub const fn mode(word: ModeWord) -> &'static str {
    match word {
        ModeWord::Follow => "follow",
        ModeWord::Once => "once",
        ModeWord::Reference => "reference",
    }
}

/// A typed time as the API takes it.
///
/// # Errors
/// Wrong usage.
pub fn time(session: &Session, option: &str, typed: Option<&str>, meaning: Meaning) -> Done<Option<String>> {
    let read = |typed: &str| {
        time_text::parse_time(typed, meaning, now(), session.screen.zone())
            .map(time_text::rfc3339)
            .ok_or_else(|| Ending::usage("cli-bad-time", Facts::none().text("text", typed).text("option", option)))
    };
    typed.map(read).transpose()
}

/// A typed duration.
///
/// # Errors
/// Wrong usage.
pub fn duration(option: &str, typed: Option<&str>) -> Done<Option<Duration>> {
    let read = |typed: &str| {
        time_text::parse_duration(typed)
            .ok_or_else(|| Ending::usage("cli-bad-duration", Facts::none().text("text", typed).text("option", option)))
    };
    typed.map(read).transpose()
}

/// A typed purpose as its term.
///
/// # Errors
/// Wrong usage, with the nearest terms.
pub fn purpose(typed: &str) -> Done<String> {
    Purpose::parse(typed)
        .map(|purpose| purpose.as_str().to_owned())
        .map_err(|nearest| Refusal::UnknownPurpose { word: typed.to_owned(), nearest: nearest.join(", ") }.into())
}

fn now() -> Timestamp {
    time_text::now()
}
