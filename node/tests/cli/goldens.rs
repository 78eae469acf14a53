//! One file for each case in `node/goldens`: arguments, what the node answers, and what must be seen, in both languages.
//!
//! Sections begin with `-- NAME`. `run` holds the arguments; `environment`, `stdin` and `file NAME` prepare; `api METHOD ADDRESS [STATUS]`
//! is an answer and `sent METHOD ADDRESS` the body that must have been asked with; `stdout`, `stderr` and `status` are what must come
//! out. `stdout fr` and `stderr fr` stand there where French differs: JSON has none, since it is never translated. `ALLOD_GOLDENS=write`
//! writes what came out into the files, for a person to read before it is committed.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::fake::{Answer, Fake, words};

/// A file's sections in their order; the text of each ends with a line end unless it is empty.
struct Case {
    name: String,
    path: PathBuf,
    sections: Vec<(String, String)>,
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("-- ") {
                Some(name) => sections.push((name.trim_end().to_owned(), String::new())),
                None => sections.last_mut().expect("a file begins with a section").1.push_str(line),
            }
        }
        Self { name: path.file_stem().unwrap().to_string_lossy().into_owned(), path, sections }
    }

    fn get(&self, name: &str) -> &str {
        self.sections.iter().find(|section| section.0 == name).map_or("", |section| &section.1)
    }

    fn all<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.sections
            .iter()
            .filter_map(move |(name, text)| Some((name.strip_prefix(family)?.strip_prefix(' ')?, text.as_str())))
    }

    fn fake(&self) -> Fake {
        if self.get("run").contains("--nobody") || self.all("api").next().is_none() {
            return Fake::silent();
        }
        Fake::answering(self.all("api").map(|(request, body)| {
            let parts: Vec<&str> = request.split(' ').collect();
            Answer {
                method: parts[0].to_owned(),
                address: parts[1].to_owned(),
                status: parts.get(2).map_or(200, |status| status.parse().unwrap()),
                body: body.to_owned(),
            }
        }))
    }

    /// What came out in a locale: stdout, stderr, status.
    fn run(&self, locale: &str) -> [String; 3] {
        let fake = self.fake();
        for (name, text) in self.all("file") {
            fs::write(fake.folder().join(name), text).unwrap();
        }
        let mut command = fake.command(&words(self.get("run").trim_end()), locale);
        for pair in self.get("environment").lines() {
            let (name, value) = pair.split_once('=').unwrap();
            command.env(name, value);
        }
        let output = fake.run(&mut command, self.get("stdin").as_bytes());
        let (unexpected, unasked) = fake.loose_ends();
        assert!(unexpected.is_empty(), "{}: asked beyond the script: {unexpected:#?}", self.name);
        assert!(unasked.is_empty(), "{}: answers that nobody asked for: {unasked:#?}", self.name);
        for (request, body) in self.all("sent") {
            let sent = fake.requests();
            let found = sent.iter().find(|sent| format!("{} {}", sent.method, sent.address) == request);
            let found = found.unwrap_or_else(|| panic!("{}: {request} was not asked", self.name));
            assert_eq!(found.body.trim_end(), body.trim_end(), "{}: {request}", self.name);
        }
        let home = fake.home().display().to_string();
        let shown = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(&home, "HOME");
        let status = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
        [shown(&output.stdout), shown(&output.stderr), format!("{status}\n")]
    }
}

fn cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "txt")).map(Case::read).collect()
}

const SEEN: [&str; 3] = ["stdout", "stderr", "status"];

#[test]
fn each_case_shows_what_its_file_says() {
    let writing = std::env::var_os("ALLOD_GOLDENS").is_some_and(|value| value == "write");
    let mut differences = Vec::new();
    for mut case in cases() {
        let english = case.run("en_US.UTF-8");
        let french = case.run("fr_FR.UTF-8");
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for ((name, english), french) in SEEN.iter().zip(english).zip(french) {
            if french != english {
                seen.insert(format!("{name} fr"), french);
            }
            seen.insert((*name).to_owned(), english);
        }
        if writing {
            write(&mut case, &seen);
        } else {
            differences.extend(differ(&case, &seen));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn names() -> impl Iterator<Item = String> {
    SEEN.iter().flat_map(|name| [(*name).to_owned(), format!("{name} fr")])
}

fn differ(case: &Case, seen: &BTreeMap<String, String>) -> Vec<String> {
    let difference = |name: String| {
        let (is, should) = (seen.get(&name).map_or("", String::as_str), case.get(&name));
        (is != should).then(|| format!("{}, {name}:\n{is}--- where the file says:\n{should}", case.name))
    };
    names().filter_map(difference).collect()
}

fn write(case: &mut Case, seen: &BTreeMap<String, String>) {
    case.sections.retain(|(name, _)| names().all(|seen| seen != *name));
    for name in names() {
        if let Some(text) = seen.get(&name).filter(|text| !text.is_empty()) {
            case.sections.push((name, text.clone()));
        }
    }
    let text: String = case.sections.iter().map(|(name, text)| format!("-- {name}\n{text}")).collect();
    fs::write(&case.path, text).unwrap();
}

#[test]
fn the_status_and_json_are_the_same_in_both_languages() {
    for case in cases() {
        assert!(case.all("status").next().is_none(), "{}: the exit code depends on the language", case.name);
        if case.get("run").contains("--json") {
            let translated = case.sections.iter().any(|(name, _)| name.ends_with(" fr"));
            assert!(!translated, "{}: JSON is translated", case.name);
        }
    }
}
