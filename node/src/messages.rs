//! What the program says, in English and in French.
//!
//! All sentences stand in two Fluent catalogues, built in. A refusal is two lines: the message is what happened, its attribute `try` is
//! what can be typed next. Facts that come from elsewhere (names, reasons) are stripped of everything that could move a terminal's
//! cursor or turn its text around before they reach a sentence. French spaces before `: ; ! ?` and inside « » are put in here, so that
//! nobody has to type them.

use std::{borrow::Cow, sync::LazyLock};

use allod_protocol::{refusal::Fact, time::Timestamp};
use fluent::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use jiff::tz::TimeZone;

use crate::time_text;

/// A language of sentences and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    English,
    French,
}

impl Lang {
    /// Both.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// The word for it, as `--lang` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// The language of a locale's name, as `LANG` holds it: `fr_FR.UTF-8`; English unless it is French.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("fr") { Self::French } else { Self::English }
    }

    /// The language that the environment names: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set and not empty.
    #[must_use]
    pub fn of_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| read(name).filter(|value| !value.is_empty()))
            .map_or(Self::English, |locale| Self::of_locale(&locale))
    }
}

/// The facts of a sentence, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(Vec<(Cow<'static, str>, Fact)>);

impl Facts {
    /// No facts.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// These and a text.
    #[must_use]
    pub fn text(mut self, name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        self.0.push((name.into(), Fact::Text(text.into())));
        self
    }

    /// These and a text, unless there is a fact of that name.
    #[must_use]
    pub fn or_text(self, name: &'static str, text: String) -> Self {
        if self.0.iter().any(|(known, _)| known == name) { self } else { self.text(name, text) }
    }

    /// These and a number, which chooses the plural and is written with its thousands apart.
    #[must_use]
    pub fn number(mut self, name: impl Into<Cow<'static, str>>, number: u64) -> Self {
        self.0.push((name.into(), Fact::Number(number)));
        self
    }

    /// These without the facts of that name.
    fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| known != name).cloned().collect())
    }

    /// These and a time.
    #[must_use]
    pub fn time(mut self, name: impl Into<Cow<'static, str>>, time: Timestamp) -> Self {
        self.0.push((name.into(), Fact::Time(time)));
        self
    }
}

impl From<Vec<(&'static str, Fact)>> for Facts {
    fn from(facts: Vec<(&'static str, Fact)>) -> Self {
        Self(facts.into_iter().map(|(name, fact)| (Cow::Borrowed(name), fact)).collect())
    }
}

/// One language's catalogue.
pub struct Messages {
    lang: Lang,
    bundle: FluentBundle<FluentResource>,
}

static ENGLISH: LazyLock<Messages> = LazyLock::new(|| Messages::load(Lang::English));
static FRENCH: LazyLock<Messages> = LazyLock::new(|| Messages::load(Lang::French));

/// The catalogue's own text.
const fn source(lang: Lang) -> &'static str {
    match lang {
        Lang::English => include_str!("../messages/en.ftl"),
        Lang::French => include_str!("../messages/fr.ftl"),
    }
}

impl Messages {
    /// The catalogue of a language.
    #[must_use]
    pub fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::English => &ENGLISH,
            Lang::French => &FRENCH,
        }
    }

    fn load(lang: Lang) -> Self {
        let tag = match lang {
            Lang::English => "en",
            Lang::French => "fr",
        };
        let resource = FluentResource::try_new(source(lang).to_owned())
            .map_err(|(_, errors)| errors)
            .expect("the catalogue is built in, and a test reads all of it");
        let mut bundle = FluentBundle::new_concurrent(vec![tag.parse().expect("a language tag")]);
        // Marks around each fact would show as boxes in some terminals; `plain` keeps facts from turning the text around.
        bundle.set_use_isolating(false);
        match lang {
            Lang::English => bundle.set_formatter(Some(|value, _| grouped(value, ','))),
            Lang::French => {
                bundle.set_formatter(Some(|value, _| grouped(value, '\u{202f}')));
                bundle.set_transform(Some(french_spaces));
            }
        }
        bundle.add_resource(resource).expect("no message stands twice, and a test reads all of them");
        Self { lang, bundle }
    }

    /// The catalogue's language.
    #[must_use]
    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// Whether there is such a message.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.bundle.has_message(id)
    }

    /// The message with its facts put in. A message that does not exist shows as its id: a test keeps that from happening.
    #[must_use]
    pub fn text(&self, id: &str, facts: &Facts) -> String {
        self.format(id, None, facts).unwrap_or_else(|| id.to_owned())
    }

    /// A message without facts: a column's name, a word for a state.
    #[must_use]
    pub fn word(&self, id: &str) -> String {
        self.text(id, &Facts::none())
    }

    /// What happened, and what to try.
    #[must_use]
    pub fn two_lines(&self, id: &str, facts: &Facts) -> (String, String) {
        let attempt = self.format(id, Some("try"), facts).unwrap_or_else(|| "allod --help".to_owned());
        (self.text(id, facts), attempt)
    }

    fn format(&self, id: &str, attribute: Option<&str>, facts: &Facts) -> Option<String> {
        let message = self.bundle.get_message(id)?;
        let pattern = match attribute {
            Some(name) => message.get_attribute(name)?.value(),
            None => message.value()?,
        };
        let zone = TimeZone::system();
        let mut arguments = FluentArgs::new();
        for (name, fact) in &facts.0 {
            let value = match fact {
                Fact::Text(text) => {
                    // Fluent cannot ask whether a text is empty.
                    arguments.set(format!("has-{name}"), if text.is_empty() { "no" } else { "yes" });
                    if name == "purpose" && self.has(&format!("purpose-{text}")) {
                        arguments.set(name.clone(), self.word(&format!("purpose-{text}")));
                        continue;
                    }
                    if name == SKIP && text.starts_with(SKIPS) && self.has(text) {
                        arguments.set(name.clone(), self.text(text, &facts.without(SKIP)));
                        continue;
                    }
                    let typed = (attribute == Some("try") || TYPED.contains(&id)) && NAMES.contains(&name.as_ref());
                    FluentValue::from(if typed { for_shell(&plain(text)) } else { plain(text) })
                }
                Fact::Number(number) if PLACES.contains(&name.as_ref()) => FluentValue::from(number.to_string()),
                Fact::Number(number) => FluentValue::from(*number),
                Fact::Time(time) => FluentValue::from(time_text::show(*time, self.lang, &zone)),
            };
            arguments.set(name.clone(), value);
        }
        let mut problems = Vec::new();
        Some(self.bundle.format_pattern(pattern, Some(&arguments), &mut problems).into_owned())
    }
}

/// Sentences that are themselves what to type next.
const TYPED: [&str; 1] = ["pairing-next"];
/// A fact that is itself a sentence of this family, made of the same facts: why something was left out of an import.
const SKIP: &str = "skip";
const SKIPS: &str = "import-skip-";
/// Numbers that tell a place in a file and not how many: written without anything between their thousands.
const PLACES: [&str; 4] = ["line", "last_line", "column", "item"];
/// Facts that are typed again in what to try.
const NAMES: [&str; 11] =
    ["peer", "name", "path", "selector", "record", "nearest", "id", "grant", "ask", "home", "file"];

/// A name or a path as a shell takes it: quoted where it must be.
#[must_use]
pub fn for_shell(text: &str) -> String {
    let safe = |character: char| character.is_alphanumeric() || "_./@:+,%=-".contains(character);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The two lines in English: what stands in JSON, whatever the reader's language.
#[must_use]
pub fn english(id: &str, facts: &Facts) -> (String, String) {
    Messages::of(Lang::English).two_lines(id, facts)
}

/// Text from elsewhere without what could move a cursor, change colours or turn text around; line ends become spaces.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
            character if is_unsafe(character) => None,
            character => Some(character),
        })
        .collect()
}

/// As [`plain`], but with line ends and tabs: for a value shown alone.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.chars().filter(|character| matches!(character, '\n' | '\t') || !is_unsafe(*character)).collect()
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{2028}' | '\u{2029}')
}

fn grouped(value: &FluentValue, separator: char) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let digits = number.as_string().into_owned();
    if digits.len() < 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(digits);
    }
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    Some(text)
}

/// No-break spaces where French wants them: a line never begins with a colon.
fn french_spaces(text: &str) -> Cow<'_, str> {
    const PAIRS: [(&str, &str); 6] = [
        (" :", "\u{a0}:"),
        (" ;", "\u{202f};"),
        (" !", "\u{202f}!"),
        (" ?", "\u{202f}?"),
        ("« ", "«\u{a0}"),
        (" »", "\u{a0}»"),
    ];
    if !PAIRS.iter().any(|(from, _)| text.contains(from)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(PAIRS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use allod_protocol::{purpose::Purpose, refusal::Refusal, value::Type};

    use super::*;
    use crate::{
        daemon::failure::NodeRefusal,
        import::{JsonFault, LooksLike, Reason},
    };

    /// What a catalogue says under each id, and under `ID.try`: which facts it uses.
    fn facts_used(lang: Lang) -> BTreeMap<String, BTreeSet<String>> {
        let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut id = String::new();
        for line in source(lang).lines().filter(|line| !line.starts_with('#')) {
            let first = line.chars().next().unwrap_or(' ');
            if first.is_ascii_alphabetic() {
                id = line.split_whitespace().next().unwrap().to_owned();
            } else if line.trim_start().starts_with(".try =") {
                id = format!("{}.try", id.trim_end_matches(".try"));
            }
            if !id.is_empty() {
                let facts = line.split("{ $").skip(1).map(|rest| {
                    let end = rest.find([' ', '}']).unwrap();
                    rest[..end].strip_prefix("has-").unwrap_or(&rest[..end]).to_owned()
                });
                used.entry(id.clone()).or_default().extend(facts);
            }
        }
        used
    }

    fn all_cases() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        Refusal::CASES.iter().chain(NodeRefusal::CASES).map(|(id, _, facts)| (*id, *facts))
    }

    #[test]
    fn each_refusal_has_two_lines_in_both_languages_made_of_facts_that_it_has() {
        for lang in Lang::ALL {
            let used = facts_used(lang);
            for (id, facts) in all_cases() {
                for key in [id.to_owned(), format!("{id}.try")] {
                    let wanted = used.get(&key).unwrap_or_else(|| panic!("{lang:?} lacks {key}"));
                    let unknown: Vec<_> = wanted.iter().filter(|fact| !facts.contains(&fact.as_str())).collect();
                    assert!(unknown.is_empty(), "{lang:?} {key} uses {unknown:?}, and there are {facts:?}");
                }
            }
        }
    }

    #[test]
    fn each_line_of_a_listing_stands_in_both_languages_made_of_facts_that_it_has() {
        for lang in Lang::ALL {
            let used = facts_used(lang);
            for (id, facts) in allod_protocol::view::LINES {
                let wanted = used.get(*id).cloned().unwrap_or_default();
                assert!(Messages::of(lang).has(id), "{lang:?} lacks {id}");
                let unknown: Vec<_> = wanted.iter().filter(|fact| !facts.contains(&fact.as_str())).collect();
                assert!(unknown.is_empty(), "{lang:?} {id} uses {unknown:?}, and there are {facts:?}");
            }
        }
    }

    #[test]
    fn each_reason_of_an_import_stands_in_both_languages_made_of_facts_that_it_has() {
        for lang in Lang::ALL {
            let (messages, used) = (Messages::of(lang), facts_used(lang));
            for (id, facts) in Reason::CASES {
                assert!(messages.has(id), "{lang:?} lacks {id}");
                let unknown: Vec<_> = used[*id].iter().filter(|fact| !facts.contains(&fact.as_str())).collect();
                assert!(unknown.is_empty(), "{lang:?} {id} uses {unknown:?}, and there are {facts:?}");
            }
            let each_says_its_own = |id: &str, fact: &'static str, words: &mut dyn Iterator<Item = &'static str>| {
                let mut said: Vec<_> = words.map(|word| messages.text(id, &Facts::none().text(fact, word))).collect();
                said.push(messages.text(id, &Facts::none().text(fact, "a word of later")));
                let all = said.iter().cloned().collect::<BTreeSet<_>>();
                assert_eq!(all.len(), said.len(), "{lang:?} {id}: {said:#?}");
            };
            each_says_its_own("import-looks-like", "looks_like", &mut LooksLike::ALL.iter().map(|word| word.as_str()));
            let faults = JsonFault::ALL.iter().filter(|fault| **fault != JsonFault::Other);
            each_says_its_own("node-import-broken", "fault", &mut faults.map(|word| word.as_str()));
        }
    }

    #[test]
    fn both_catalogues_say_the_same_things_with_the_same_facts() {
        let (english, french) = (facts_used(Lang::English), facts_used(Lang::French));
        let only = |one: &BTreeMap<String, _>, other: &BTreeMap<String, _>| {
            one.keys().filter(|key| !other.contains_key(*key)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(only(&english, &french), Vec::<String>::new(), "only in English");
        assert_eq!(only(&french, &english), Vec::<String>::new(), "only in French");
        for (key, facts) in &english {
            // What to try may leave out a fact where a language needs it to say what happened.
            assert_eq!(facts, &french[key], "{key}");
        }
    }

    #[test]
    fn each_id_that_the_program_names_stands_in_the_catalogues() {
        let mut named = BTreeSet::new();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    named.extend(ids_in(&text));
                }
            }
        }
        assert!(named.len() > 60, "the program names {} ids", named.len());
        for lang in Lang::ALL {
            let lacking: Vec<_> = named.iter().filter(|id| !Messages::of(lang).has(id)).collect();
            assert!(lacking.is_empty(), "{lang:?} lacks {lacking:#?}");
        }
    }

    /// String literals that look like ids of the catalogue: those of the command line, of the node, and of columns.
    fn ids_in(text: &str) -> Vec<String> {
        let text = text.split("#[cfg(test)]").next().unwrap();
        let literals = text.split('"').skip(1).step_by(2);
        let is_id = |word: &&str| {
            [
                "cli-", "node-", "column-", "ask-", "grant-", "status-", "pairing-", "revoke-", "doctor-", "demo-",
                "import-",
            ]
            .iter()
            .any(|family| word.starts_with(family) && word.len() > family.len())
                && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
                && !["ask-state", "ask-direction", "grant-state"].contains(word)
                && *word != SKIPS
        };
        literals.filter(is_id).map(str::to_owned).collect()
    }

    #[test]
    fn no_message_shows_an_id_or_a_hole_when_its_facts_are_there() {
        for lang in Lang::ALL {
            let messages = Messages::of(lang);
            for (id, facts) in all_cases() {
                let facts = facts.iter().fold(Facts::none(), |facts, name| facts.text(*name, "x"));
                let (what, attempt) = messages.two_lines(id, &facts);
                for line in [&what, &attempt] {
                    assert!(!line.contains("{$") && !line.contains("has-") && line != id, "{lang:?} {id}: {line}");
                    assert!(!line.is_empty() && !line.contains('\n'), "{lang:?} {id}: {line:?}");
                }
                assert!(what.ends_with(['.', '!']), "{lang:?} {id} is no sentence: {what}");
            }
        }
    }

    #[test]
    fn purposes_and_types_have_names_in_both_languages() {
        for lang in Lang::ALL {
            for purpose in Purpose::all() {
                assert!(Messages::of(lang).has(&format!("purpose-{purpose}")), "{lang:?} {purpose}");
            }
            for value_type in Type::ALL {
                assert!(Messages::of(lang).has(&format!("type-{value_type}")), "{lang:?} {value_type}");
            }
        }
    }

    #[test]
    fn nobody_is_promised_what_a_revocation_cannot_do() {
        for (lang, words) in [
            (Lang::English, &["deleted", "erased", "secure", "anonymous"][..]),
            (Lang::French, &["supprimé", "effacé", "sécurisé", "anonyme"][..]),
        ] {
            for word in words {
                assert!(!source(lang).contains(word), "{lang:?} says {word}");
            }
        }
    }

    #[test]
    fn a_purpose_among_the_facts_is_said_in_words() {
        let facts = |purpose: &str| Facts::none().text("selectors", "contact/me/city").text("purpose", purpose);
        let french = Messages::of(Lang::French);
        assert_eq!(french.text("log-asked", &facts("DeliveryOfGoods")), "a demandé contact/me/city, pour Livraison");
        assert_eq!(french.text("log-asked", &facts("OfLater")), "a demandé contact/me/city, pour OfLater");
    }

    #[test]
    fn plurals_follow_the_language() {
        let written = |lang, count| Messages::of(lang).text("set-done", &Facts::none().number("count", count));
        assert_eq!(written(Lang::English, 0), "0 fields written.");
        assert_eq!(written(Lang::English, 1), "1 field written.");
        assert_eq!(written(Lang::French, 0), "0 champ écrit.");
        assert_eq!(written(Lang::French, 1), "1 champ écrit.");
        assert_eq!(written(Lang::French, 2), "2 champs écrits.");
    }

    #[test]
    fn thousands_stand_apart_in_the_way_of_the_language() {
        let facts = Facts::none().number("count", 1_234_567);
        assert_eq!(Messages::of(Lang::English).text("set-done", &facts), "1,234,567 fields written.");
        assert_eq!(Messages::of(Lang::French).text("set-done", &facts), "1\u{202f}234\u{202f}567 champs écrits.");
    }

    #[test]
    fn french_has_no_break_spaces_and_no_straight_apostrophes() {
        let (what, attempt) = Messages::of(Lang::French).two_lines("no-peer", &Facts::none().text("name", "a : b"));
        assert_eq!(what, "Aucun contact ne s’appelle «\u{a0}a : b\u{a0}».");
        assert_eq!(attempt, "allod peers");
        let straight: Vec<_> =
            source(Lang::French).lines().filter(|line| !line.starts_with('#') && line.contains('\'')).collect();
        assert!(straight.is_empty(), "{straight:#?}");
    }

    #[test]
    fn what_a_peer_sends_cannot_move_the_cursor_or_turn_text_around() {
        let nasty = "a\u{1b}[31m\u{202e}b\rc\u{200f}\u{7}\nd\u{2066}";
        assert_eq!(plain(nasty), "a[31mb c d");
        let (what, _) = Messages::of(Lang::English).two_lines("no-peer", &Facts::none().text("name", nasty));
        assert_eq!(what, "No peer is called \"a[31mb c d\".");
        assert_eq!(plain_lines("a\tb\nc\u{1b}"), "a\tb\nc");
    }

    #[test]
    fn names_in_what_to_try_are_quoted_for_a_shell() {
        let facts = Facts::none().text("peer", "Jeanne d'Arc").text("path", "transaction/*/amount");
        let (what, attempt) = Messages::of(Lang::English).two_lines("no-grant", &facts);
        assert_eq!(what, "Jeanne d'Arc lends you nothing at transaction/*/amount.");
        assert_eq!(attempt, "allod ask 'Jeanne d'\\''Arc' 'transaction/*/amount' --purpose PURPOSE");
    }

    #[test]
    fn the_language_is_the_first_that_the_environment_names() {
        let lang = |pairs: &[(&str, &str)]| {
            Lang::of_environment(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        assert_eq!(lang(&[]), Lang::English);
        assert_eq!(lang(&[("LANG", "fr_FR.UTF-8")]), Lang::French);
        assert_eq!(lang(&[("LC_ALL", "C"), ("LANG", "fr_FR.UTF-8")]), Lang::English);
        assert_eq!(lang(&[("LC_ALL", ""), ("LC_MESSAGES", "fr"), ("LANG", "en_GB")]), Lang::French);
        assert_eq!(lang(&[("LANG", "fro_XX")]), Lang::English);
    }
}
