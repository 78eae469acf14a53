//! Help, completions and man pages: one source, the command's own description, with its texts from the catalogue.
//!
//! A verb's text is `help-VERB`, an option's `help-VERB-OPTION` or, where several verbs share it, `help-any-OPTION`. `--help` adds what
//! a script has to know: the JSON keys, that text may change and JSON may not, and the exit codes.

use std::{fs, path::Path};

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::{
    Session,
    arguments::{self, Arguments},
    ending::{Done, Ending},
};
use crate::messages::{Facts, Lang, Messages};

/// The JSON of each verb, as `CLI.md` fixes it. Never translated.
const JSON_KEYS: &[(&str, &str)] = &[
    ("init", r#"{"node","name","phrase":[24 words],"home"}"#),
    ("run", r#"{"ready":true,"listen":[…],"socket"}"#),
    (
        "status",
        r#"{"name","version","uptime_s","listen":[],"peers":{"paired","online"},"records","fields","grants":{"given","held"},"due","vault":"sealed"|"open","store":{"engine","bytes"},"rss_bytes"}"#,
    ),
    ("stop", r#"{"stopped":true}"#),
    ("doctor", r#"{"checks":[{"name","ok","detail","try"}]}"#),
    ("set", r#"{"written":[{"path","version"}],"told":[{"peer","state"}]}"#),
    ("get", r#"{"items":[{"path","value","type","version","at","source","peer"?,"grant"?}]}"#),
    ("list", r#"{"items":[{"id","kind","fields":[…],"at"}],"next"?}"#),
    ("history", r#"{"items":[{"path","value","type","version","at","source"}],"next"?}"#),
    ("remove", r#"{"removed":N,"told":[{"peer","state"}]}"#),
    ("import", r#"{"format","records","new","changed","unchanged","skipped":[{"where","why","id","facts"}]}"#),
    ("export", r#"{"items":[{"record","fields":{…}}]}; --to: {"records","file"}"#),
    ("invite", r#"{"invitation","expires"}, {"peer","words":[6],"emoji":[7],"confirmed"}"#),
    ("accept", r#"{"peer","words":[6],"emoji":[7],"confirmed"}"#),
    ("invitations", r#"{"items":[{"expires","state"}]}"#),
    (
        "peers",
        r#"{"items":[{"peer","kind","calls_itself","since","online","last_seen","lease_until","theirs":{"seq"},"mine":{"seq"},"state":"paired"|"pending"|"frozen"|"closed"|"restored"}]}"#,
    ),
    ("forget", r#"{"peer","revoked":[…],"told":[{"peer","state"}]}"#),
    ("resume", r#"{"peer","resumed":[{…grant}]}"#),
    ("ask", r#"{"ask","state":"sent"|"queued"}"#),
    (
        "asks",
        r#"{"items":[{"ask","peer","direction","selectors":[{"selector","required"}],"purpose","reason","mode","until","terms","state":"open"|"granted"|"partly"|"declined"|"withdrawn","grant"?}],"next"?}"#,
    ),
    ("answer", r#"{"grant","peer","selectors","until","lease_until","told":[{"peer","state"}]}"#),
    ("grant", r#"{"grant","peer","selectors","until","lease_until","told":[{"peer","state"}]}"#),
    (
        "grants",
        r#"{"items":[{"grant","peer","direction","selectors","purpose","mode","from","until","lease_until","state":"active"|"suspended"|"revoked"|"expired","purge":"none"|"awaited"|"confirmed","agreement"}],"next"?}"#,
    ),
    ("used", r#"{"items":[{"at","peer","direction","grant","path","purpose","count","from","to"}],"next"?}"#),
    (
        "revoke",
        r#"{"revoked":[{"grant","selectors","at","delivered_through"}],"still_lent":[{"grant","selector"}],"told":[{"peer","state"}],"purge":"awaited"|"confirmed"}"#,
    ),
    ("access", r#"{"items":[{…grant,"last_delivery","last_use"}]}"#),
    (
        "log",
        r#"{"items":[{"at","peer","direction","log","seq","kind","summary","grant"?,"selectors"?}],"next"?}; --follow: one object a line; --verify: {"ok","entries","gaps","heads":{…}}, exit 7 while it is not ok"#,
    ),
    ("backup", r#"{"file","bytes","records","at"}"#),
    ("restore", r#"{"home","node","name","at","records","peers"}"#),
    ("watch", r#"{"event":"field_changed"|"granted"|"revoked"|"asked"|"peer_online"|…,…}, one a line"#),
];

/// The whole command with its texts in that language.
#[must_use]
pub fn command(lang: Lang) -> Command {
    let messages = Messages::of(lang);
    let command = Arguments::command().version(env!("CARGO_PKG_VERSION")).disable_version_flag(true).arg(
        Arg::new("version")
            .short('V')
            .long("version")
            .action(ArgAction::Version)
            .help(messages.word("help-any-version")),
    );
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let mut command = texts(command, "allod", messages)
        .after_help(format!("{}\n\n{}", messages.word("help-first-steps"), messages.word("help-exit-codes")))
        .subcommand_help_heading(messages.word("help-heading-commands"));
    for verb in verbs {
        command = command.mut_subcommand(verb.clone(), |command| {
            let command = texts(command, &verb, messages);
            let after = after_help(&verb, messages);
            let actions: Vec<String> = command.get_subcommands().map(|action| action.get_name().to_owned()).collect();
            actions
                .into_iter()
                .fold(command, |command, action| {
                    let id = format!("{verb}-{action}");
                    command.mut_subcommand(action, |command| texts(command, &id, messages))
                })
                .after_long_help(after)
                .subcommand_help_heading(messages.word("help-heading-commands"))
        });
    }
    command
}

fn texts(command: Command, id: &str, messages: &Messages) -> Command {
    let template = format!(
        "{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}",
        messages.word("help-heading-usage")
    );
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help(messages.word("help-any-help"));
    let command = command
        .about(messages.word(&format!("help-{id}")))
        .help_template(template)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg(help);
    let mut place = 0;
    command.mut_args(|arg| {
        place += 1;
        // What belongs to the verb first, in the order of its description; what every verb takes last.
        let order = match arg.get_id().as_str() {
            "home" | "json" | "lang" => 800,
            "help" | "version" => 900,
            _ => 0,
        };
        let heading =
            messages.word(if arg.is_positional() { "help-heading-arguments" } else { "help-heading-options" });
        let own = format!("help-{id}-{}", arg.get_id().as_str().replace('_', "-"));
        let shared = format!("help-any-{}", arg.get_id().as_str().replace('_', "-"));
        let text = messages.word(if messages.has(&own) { &own } else { &shared });
        arg.help(text)
            .help_heading(heading)
            .display_order(order + place)
            .hide_possible_values(true)
            .hide_default_value(true)
    })
}

/// What a script has to know.
fn after_help(verb: &str, messages: &Messages) -> String {
    let keys = JSON_KEYS.iter().find(|(known, _)| *known == verb).map(|(_, keys)| *keys);
    let mut text = String::new();
    let warning = format!("help-{verb}-more");
    if messages.has(&warning) {
        text.push_str(&messages.word(&warning));
        text.push_str("\n\n");
    }
    if let Some(keys) = keys {
        text.push_str(&messages.text("help-json", &Facts::none().text("keys", keys)));
        text.push_str("\n\n");
    }
    text.push_str(&messages.word("help-exit-codes"));
    text
}

/// `completions SHELL`.
pub(super) fn completions(session: &Session, args: arguments::Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(session.screen.lang()), "allod", &mut script);
    session.screen.write(&script)
}

/// `man`, of one verb or all of them into a directory.
pub(super) fn man(session: &Session, args: arguments::Man) -> Done {
    let mut all = command(session.screen.lang());
    all.build();
    if let Some(directory) = args.to {
        return pages(&all, &directory, "allod");
    }
    let page = match &args.verb {
        None => all,
        Some(verb) => all
            .find_subcommand(verb)
            .cloned()
            .ok_or_else(|| {
                let facts = Facts::none().text("verb", verb.clone()).text("help", "allod --help");
                Ending::usage("cli-unknown-verb", facts)
            })?
            .display_name(format!("allod-{verb}")),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    session.screen.write(&text)
}

fn pages(command: &Command, directory: &Path, name: &str) -> Done {
    let path = directory.join(format!("{name}.1"));
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().display_name(name.to_owned())).render(&mut text)?;
    fs::write(&path, text).map_err(|error| Ending::file(&path, &error))?;
    if name == "allod" {
        for verb in command.get_subcommands() {
            pages(verb, directory, &format!("{name}-{}", verb.get_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &Command, id: &str, seen: &mut impl FnMut(&str, &Command)) {
        seen(id, command);
        for verb in command.get_subcommands() {
            let id = if id == "allod" { verb.get_name().to_owned() } else { format!("{id}-{}", verb.get_name()) };
            each(verb, &id, seen);
        }
    }

    #[test]
    fn each_verb_and_each_option_has_a_text_in_both_languages() {
        for lang in Lang::ALL {
            let messages = Messages::of(lang);
            let mut lacking = Vec::new();
            each(&Arguments::command(), "allod", &mut |id, command| {
                let mut wanted = vec![(format!("help-{id}"), String::new())];
                for arg in command.get_arguments() {
                    let option = arg.get_id().as_str().replace('_', "-");
                    wanted.push((format!("help-{id}-{option}"), format!("help-any-{option}")));
                }
                lacking.extend(
                    wanted
                        .into_iter()
                        .filter(|(own, shared)| !messages.has(own) && !messages.has(shared))
                        .map(|(own, _)| own),
                );
            });
            assert!(lacking.is_empty(), "{lang:?} lacks {lacking:#?}");
        }
    }

    #[test]
    fn the_description_holds_together() {
        for lang in Lang::ALL {
            command(lang).debug_assert();
        }
    }

    #[test]
    fn each_verbs_help_names_exit_codes_and_that_text_may_change() {
        for verb in command(Lang::English).get_subcommands() {
            let after = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("130") && after.contains("mean failure"), "{}", verb.get_name());
        }
        for (verb, keys) in JSON_KEYS {
            let command = command(Lang::English);
            let verb = command.find_subcommand(verb).unwrap_or_else(|| panic!("{verb} is no verb"));
            let after = verb.get_after_long_help().unwrap().to_string();
            assert!(after.contains(keys) && after.contains("JSON does not"), "{verb}");
        }
    }

    #[test]
    fn helping_with_set_warns_of_the_process_list_and_the_shells_history() {
        let command = command(Lang::English);
        let after = command.find_subcommand("set").unwrap().get_after_long_help().unwrap().to_string();
        assert!(after.contains("process list") && after.contains("history"), "{after}");
    }
}
