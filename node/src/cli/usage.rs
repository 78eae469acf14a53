//! Wrong usage: what clap found, in our two lines or as JSON, with exit code 2; and help, which is no error.

use std::ffi::OsString;

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    ending::{Done, Ending},
    screen::{Form, Screen},
};
use crate::messages::{Facts, Lang};

/// The arguments that are options: those before `--`.
fn options(typed: &[OsString]) -> impl Iterator<Item = &str> {
    typed.iter().skip(1).take_while(|word| *word != "--").filter_map(|word| word.to_str())
}

/// Whether errors are to be JSON: known before, and even if, the rest cannot be read.
pub fn names_json(typed: &[OsString]) -> bool {
    options(typed).any(|word| word == "--json")
}

/// The language that was asked for, if it is one.
pub fn names_lang(typed: &[OsString]) -> Option<Lang> {
    let words: Vec<&str> = options(typed).collect();
    let joined = words.iter().find_map(|word| word.strip_prefix("--lang="));
    let apart = words.windows(2).find(|pair| pair[0] == "--lang").map(|pair| pair[1]);
    match joined.or(apart)? {
        "fr" => Some(Lang::French),
        "en" => Some(Lang::English),
        _ => None,
    }
}

/// Prints help, or turns what clap found into an ending.
pub fn refuse(error: &clap::Error, typed: &[OsString], command: &Command, form: Form, lang: Lang) -> Done<u8> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let screen = Screen::of_environment(form, lang);
            let text = error.render();
            let text = if screen.has_colour() { text.ansi().to_string() } else { text.to_string() };
            screen.write(text.as_bytes())?;
            Ok(0)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if form == Form::Text => {
            let screen = Screen::of_environment(form, lang);
            screen.note(error.render().to_string().trim_end());
            Err(Ending::usage("cli-no-verb", Facts::none()))
        }
        _ => Err(explain(error, &help_of(typed, command))),
    }
}

fn explain(error: &clap::Error, help: &str) -> Ending {
    let of = |kind: ContextKind| error.get(kind).map(words).unwrap_or_default();
    // Clap writes `<PATH>...` for what may be repeated.
    let option = of(ContextKind::InvalidArg).replace("...", "");
    let facts = Facts::none().text("help", help).text("option", option.clone());
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Ending::usage("cli-no-verb", Facts::none())
        }
        ErrorKind::UnknownArgument => match of(ContextKind::SuggestedArg) {
            nearest if nearest.is_empty() => Ending::usage("cli-unknown-option", facts),
            nearest => Ending::usage("cli-unknown-option-near", facts.text("nearest", nearest)),
        },
        ErrorKind::InvalidSubcommand => {
            let facts = facts.text("verb", of(ContextKind::InvalidSubcommand));
            match of(ContextKind::SuggestedSubcommand) {
                nearest if nearest.is_empty() => Ending::usage("cli-unknown-verb", facts),
                nearest => Ending::usage("cli-unknown-verb-near", facts.text("nearest", nearest)),
            }
        }
        ErrorKind::MissingRequiredArgument => Ending::usage("cli-missing", facts),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => match of(ContextKind::InvalidValue) {
            value if value.is_empty() => Ending::usage("cli-option-needs-value", facts),
            value => {
                let facts = facts.text("value", value);
                match of(ContextKind::ValidValue) {
                    valid if valid.is_empty() => Ending::usage("cli-bad-option-value", facts),
                    valid => Ending::usage("cli-bad-option-word", facts.text("valid", valid)),
                }
            }
        },
        ErrorKind::ArgumentConflict => {
            let other = of(ContextKind::PriorArg);
            if other == option || other.is_empty() {
                Ending::usage("cli-option-twice", facts)
            } else {
                Ending::usage("cli-options-conflict", facts.text("other", other))
            }
        }
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            Ending::usage("cli-option-needs-value", facts)
        }
        ErrorKind::TooManyValues => Ending::usage("cli-too-many-values", facts),
        ErrorKind::InvalidUtf8 => Ending::usage("cli-not-utf8", facts),
        _ => Ending::usage("cli-wrong-usage", facts),
    }
}

/// `allod VERB --help`, of the verb that was typed.
fn help_of(typed: &[OsString], command: &Command) -> String {
    let mut before = "";
    for word in options(typed) {
        let is_value = matches!(before, "--home" | "--lang");
        if !is_value && command.find_subcommand(word).is_some() {
            return format!("allod {word} --help");
        }
        before = word;
    }
    "allod --help".to_owned()
}

fn words(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        ContextValue::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
