//! `set`: `PATH[:TYPE]=VALUE`, `PATH=@FILE`, or `PATH` alone, whose value is asked for or read from stdin.
//!
//! One bare path takes all of stdin; several take a line each. A value that begins with `@` is typed with two.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use allod_protocol::{
    limits::VALUE_MAX_BYTES,
    path::{FieldPath, PathError},
    refusal::{Code, Refusal},
    value::Type,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{
    Session, arguments, asking,
    ending::{Done, Ending},
    forms,
};
use crate::{client::Url, messages::Facts};

/// What one request may carry. Bytes.
const REQUEST_MAX_BYTES: usize = 1024 * 1024;

/// Where a value comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Typed(String),
    File(String),
    Asked,
}

/// One argument.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    path: String,
    explicit: Option<Type>,
    origin: Origin,
}

/// What stands for the value in the request.
enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

pub(super) async fn set(session: &Session, args: arguments::Set) -> Done {
    let items = args.fields.iter().map(|typed| parse(typed)).collect::<Done<Vec<Item>>>()?;
    let mut asked = read_asked(session, &items).await?.into_iter();
    let mut bodies = Vec::with_capacity(items.len());
    for item in &items {
        let content = match &item.origin {
            Origin::Typed(text) => Content::Text(text.clone()),
            Origin::File(file) => read_file(item, Path::new(file))?,
            Origin::Asked => asked.next().expect("one content was read for each item without a value"),
        };
        bodies.push(body(item, content)?);
    }
    let request = json!({ "items": bodies });
    let size_bytes = request.to_string().len();
    if size_bytes > REQUEST_MAX_BYTES {
        let facts = Facts::none().number("most", REQUEST_MAX_BYTES as u64);
        return Err(Ending::failed(Code::TooLarge, "cli-too-much-at-once", facts));
    }
    let answer = session.post(&Url::new("/v1/set"), request).await?;
    if session.screen.is_json() {
        return session.screen.json(&answer);
    }
    let written = answer["written"].as_array().map_or(0, Vec::len);
    session.screen.say("set-done", &Facts::none().number("count", written as u64))?;
    forms::say_told(&session.screen, &answer["told"])
}

fn parse(typed: &str) -> Done<Item> {
    let (target, origin) = match typed.split_once('=') {
        None => (typed, Origin::Asked),
        Some((target, value)) => match value.strip_prefix('@') {
            Some(rest) if rest.starts_with('@') => (target, Origin::Typed(rest.to_owned())),
            Some(file) => (target, Origin::File(file.to_owned())),
            None => (target, Origin::Typed(value.to_owned())),
        },
    };
    // A field's name holds no colon; an id may.
    let field_begins = target.rfind('/').map_or(0, |slash| slash + 1);
    let (path, explicit) = match target[field_begins..].split_once(':') {
        None => (target, None),
        Some((field, word)) => {
            let explicit = Type::parse(word).ok_or_else(|| Refusal::UnknownType { word: word.to_owned() })?;
            (&target[..field_begins + field.len()], Some(explicit))
        }
    };
    match path.parse::<FieldPath>() {
        Ok(_) => Ok(Item { path: path.to_owned(), explicit, origin }),
        Err(PathError::Shape) if path.matches('/').count() == 1 => {
            Err(Refusal::NeedsField { path: path.to_owned() }.into())
        }
        Err(error) => Err(Refusal::bad_path(path, &error).into()),
    }
}

fn body(item: &Item, content: Content) -> Done<Value> {
    let size_bytes = match &content {
        Content::Text(text) => text.len(),
        Content::Bytes(bytes) => bytes.len(),
    };
    if size_bytes > VALUE_MAX_BYTES {
        return Err(Ending::value_too_large(&item.path, size_bytes as u64));
    }
    let mut body = json!({ "path": item.path });
    if let Some(explicit) = item.explicit {
        body["type"] = explicit.as_str().into();
    }
    match content {
        Content::Text(text) => body["text"] = text.into(),
        Content::Bytes(bytes) => body["bytes"] = BASE64.encode(&bytes).into(),
    }
    Ok(body)
}

/// A file's content: bytes if that was asked for or it is no text, else text without its last line end.
fn content(item: &Item, bytes: Vec<u8>) -> Content {
    if item.explicit == Some(Type::Bytes) {
        return Content::Bytes(bytes);
    }
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            let length =
                text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
            text.truncate(length);
            Content::Text(text)
        }
        Err(error) => Content::Bytes(error.into_bytes()),
    }
}

fn read_file(item: &Item, path: &Path) -> Done<Content> {
    let file = File::open(path).map_err(|error| Ending::file(path, &error))?;
    let bytes = read_value(file, &item.path).map_err(|problem| match problem {
        Problem::Io(error) => Ending::file(path, &error),
        Problem::TooLarge(ending) => ending,
    })?;
    Ok(content(item, bytes))
}

enum Problem {
    Io(io::Error),
    TooLarge(Ending),
}

/// Everything there is, unless it is more than a value may be.
fn read_value(source: impl Read, path: &str) -> Result<Vec<u8>, Problem> {
    // Two more than the limit: a last line end does not count.
    let most = VALUE_MAX_BYTES as u64 + 2;
    let mut bytes = Vec::new();
    let read = source.take(most + 1).read_to_end(&mut bytes).map_err(Problem::Io)?;
    if read as u64 > most { Err(Problem::TooLarge(Ending::value_too_large(path, read as u64))) } else { Ok(bytes) }
}

async fn read_asked(session: &Session, items: &[Item]) -> Done<Vec<Content>> {
    let asked: Vec<&Item> = items.iter().filter(|item| item.origin == Origin::Asked).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    if io::stdin().is_terminal() {
        if !asking::has_terminal() {
            return Err(Ending::usage("cli-no-value", Facts::none().text("path", &asked[0].path)));
        }
        let mut contents = Vec::with_capacity(asked.len());
        for item in asked {
            let question = session.screen.text("ask-value", &Facts::none().text("path", &item.path));
            contents.push(Content::Text(asking::line(question).await?));
        }
        return Ok(contents);
    }
    let bytes = read_value(io::stdin().lock(), &asked[0].path).map_err(|problem| match problem {
        Problem::Io(error) => Ending::file(Path::new("-"), &error),
        Problem::TooLarge(ending) => ending,
    })?;
    // An empty stdin is a script's mistake far more often than a value; `PATH=` writes an empty one.
    if bytes.is_empty() {
        return Err(Ending::usage("cli-no-value", Facts::none().text("path", &asked[0].path)));
    }
    if let [item] = asked[..] {
        return Ok(vec![content(item, bytes)]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != asked.len() {
        let facts = Facts::none().number("paths", asked.len() as u64).number("lines", lines.len() as u64);
        return Err(Ending::usage("cli-lines-and-paths", facts));
    }
    Ok(lines.into_iter().map(|line| Content::Text(line.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, explicit: Option<Type>, origin: Origin) -> Item {
        Item { path: path.to_owned(), explicit, origin }
    }

    #[test]
    fn a_type_stands_behind_the_field_and_everything_after_the_first_equals_sign_is_the_value() {
        let typed = |text: &str| Origin::Typed(text.to_owned());
        for (text, expected) in [
            ("contact/me/city=Paris", item("contact/me/city", None, typed("Paris"))),
            ("contact/me/note=a=b/c:d", item("contact/me/note", None, typed("a=b/c:d"))),
            ("contact/a:b/age:integer=7", item("contact/a:b/age", Some(Type::Integer), typed("7"))),
            ("contact/me/city=", item("contact/me/city", None, typed(""))),
            ("contact/me/handle=@@ana", item("contact/me/handle", None, typed("@ana"))),
            (
                "contact/me/photo:bytes=@p.jpg",
                item("contact/me/photo", Some(Type::Bytes), Origin::File("p.jpg".into())),
            ),
            ("contact/me/city:text", item("contact/me/city", Some(Type::Text), Origin::Asked)),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_record_an_unknown_type_and_a_path_that_is_none_are_wrong_usage() {
        for text in ["contact/me=x", "contact/me/age:number=7", "contact", "Contact/me/city=x", ""] {
            assert_eq!(parse(text).unwrap_err().exit(), 2, "{text}");
        }
    }

    #[test]
    fn one_line_end_is_dropped_and_no_more() {
        let any = item("contact/me/note", None, Origin::Asked);
        for (from, to) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", "")] {
            assert!(matches!(content(&any, from.into()), Content::Text(text) if text == to), "{from:?}");
        }
    }

    #[test]
    fn what_is_no_text_and_what_is_asked_for_as_bytes_is_carried_as_bytes() {
        let any = item("contact/me/photo", None, Origin::Asked);
        assert!(matches!(content(&any, vec![0xff, 0x0a]), Content::Bytes(bytes) if bytes == [0xff, 0x0a]));
        let bytes = item("contact/me/photo", Some(Type::Bytes), Origin::Asked);
        assert!(matches!(content(&bytes, b"a\n".to_vec()), Content::Bytes(bytes) if bytes == b"a\n"));
    }
}
