//! How a command ends when it does not end well: one type, one printer.
//!
//! A failure is two lines for people, what happened and what to try, or one JSON object on stderr for programs. Its exit code follows
//! from its code and from nothing else. What the node says comes with its message id and facts, so that it is printed in the reader's
//! language; JSON keeps the English sentences that the node sent.

use std::{io, path::Path};

use allod_protocol::{
    limits::VALUE_MAX_BYTES,
    refusal::{Code, Refusal},
};
use serde_json::{Value, json};

use crate::{
    daemon::failure::Failure as NodeFailure,
    messages::{Facts, Lang, Messages},
    time_text,
};

/// What a verb returns.
pub type Done<T = ()> = Result<T, Ending>;

/// Why a command ends early.
#[derive(Debug)]
pub enum Ending {
    /// Something is wrong, and there are two lines about it.
    Failed(Box<Failure>),
    /// Ctrl-C.
    Interrupted,
    /// The system ended the command, with this exit code.
    Terminated(u8),
    /// Nobody reads our output any more: `allod list | head`. Not a failure, and nothing to say.
    PipeClosed,
}

/// Two lines and a code.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    id: String,
    facts: Facts,
    /// The English lines as the node wrote them.
    sent: Option<(String, String)>,
}

impl Failure {
    /// A failure of that message.
    #[must_use]
    pub fn new(code: Code, id: impl Into<String>, facts: Facts) -> Self {
        Self { code, id: id.into(), facts, sent: None }
    }

    /// The failure that stands in an answer's `error` or in a pairing's.
    #[must_use]
    pub fn from_json(error: &Value) -> Self {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let code = Code::parse(&text("code")).unwrap_or(Code::Failed);
        Self { code, id: text("id"), facts: facts_of(&error["facts"]), sent: Some((text("message"), text("try"))) }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Both lines in that language; in English where the catalogue lacks what a newer node says.
    #[must_use]
    pub fn two_lines(&self, lang: Lang) -> (String, String) {
        match &self.sent {
            Some(sent) if lang == Lang::English || !Messages::of(lang).has(&self.id) => sent.clone(),
            _ => Messages::of(lang).two_lines(&self.id, &self.facts),
        }
    }

    /// The object for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let (message, attempt) = self.two_lines(Lang::English);
        json!({ "error": { "code": self.code.as_str(), "message": message, "try": attempt } })
    }
}

/// The facts of a message in JSON. What is named like a time and reads as one is shown as one.
#[must_use]
pub fn facts_of(object: &Value) -> Facts {
    const TIMES: [&str; 6] = ["at", "heard", "ended", "until", "expires", "since"];
    let Some(object) = object.as_object() else { return Facts::none() };
    object.iter().fold(Facts::none(), |facts, (name, value)| match value {
        Value::Number(number) if number.as_u64().is_some() => {
            facts.number(name.clone(), number.as_u64().unwrap_or_default())
        }
        Value::String(text) => match TIMES.contains(&name.as_str()).then(|| time_text::parse_rfc3339(text)).flatten() {
            Some(time) => facts.time(name.clone(), time),
            None => facts.text(name.clone(), text.clone()),
        },
        other => facts.text(name.clone(), other.to_string()),
    })
}

impl Ending {
    /// A failure of that message.
    #[must_use]
    pub fn failed(code: Code, id: &'static str, facts: Facts) -> Self {
        Self::Failed(Box::new(Failure::new(code, id, facts)))
    }

    /// Wrong usage.
    #[must_use]
    pub fn usage(id: &'static str, facts: Facts) -> Self {
        Self::failed(Code::Usage, id, facts)
    }

    /// A file that could not be read or written.
    #[must_use]
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let facts = Facts::none().text("path", path.display().to_string());
        match error.kind() {
            io::ErrorKind::NotFound => Self::failed(Code::NotFound, "cli-no-such-file", facts),
            io::ErrorKind::AlreadyExists => Self::failed(Code::AlreadyExists, "cli-file-exists", facts),
            io::ErrorKind::StorageFull => Self::failed(Code::Failed, "cli-no-space", facts),
            _ => Self::failed(Code::Failed, "cli-file-failed", facts.text("why", error.to_string())),
        }
    }

    /// A directory that a file was to stand in.
    #[must_use]
    pub fn no_directory(path: &Path) -> Self {
        let facts = Facts::none().text("path", path.display().to_string());
        Self::failed(Code::NotFound, "cli-no-such-directory", facts)
    }

    /// A fault of this program or of the system around it.
    #[must_use]
    pub fn internal(why: &str) -> Self {
        Self::failed(Code::Failed, "cli-fault", Facts::none().text("why", why))
    }

    /// A value beyond the largest.
    #[must_use]
    pub fn value_too_large(path: &str, size_bytes: u64) -> Self {
        debug_assert!(size_bytes > VALUE_MAX_BYTES as u64);
        Refusal::ValueTooLarge { path: path.to_owned(), bytes: size_bytes }.into()
    }

    /// The process's exit code.
    #[must_use]
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Failed(failure) => failure.code().exit(),
            Self::Interrupted => 130,
            Self::Terminated(code) => *code,
            Self::PipeClosed => 0,
        }
    }
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Self {
        Failure::new(refusal.code(), refusal.id(), refusal.facts().into()).into()
    }
}

impl From<NodeFailure> for Ending {
    fn from(failure: NodeFailure) -> Self {
        Failure::new(failure.code, failure.id, failure.facts.into()).into()
    }
}

/// Our own output failed: quiet if nobody reads it, two lines if the disk behind it is full.
impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            io::ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::failed(Code::Failed, "cli-output-failed", Facts::none().text("why", error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_says_is_printed_in_the_readers_language_and_stays_english_in_json() {
        let error = json!({
            "code": "not_found", "id": "no-peer", "facts": { "name": "acme" },
            "message": "No peer is called \"acme\".", "try": "allod peers",
        });
        let failure = Failure::from_json(&error);
        assert_eq!(failure.two_lines(Lang::French).0, "Aucun contact ne s’appelle «\u{a0}acme\u{a0}».");
        assert_eq!(failure.json()["error"]["message"], "No peer is called \"acme\".");
        assert_eq!(Ending::from(failure).exit(), 4);
    }

    #[test]
    fn a_message_that_this_program_does_not_know_is_printed_as_it_came() {
        let error =
            json!({ "code": "later_code", "id": "of-2031", "message": "Something new.", "try": "a newer allod" });
        let failure = Failure::from_json(&error);
        assert_eq!(failure.two_lines(Lang::French), ("Something new.".to_owned(), "a newer allod".to_owned()));
        assert_eq!(failure.code(), Code::Failed);
    }
}
