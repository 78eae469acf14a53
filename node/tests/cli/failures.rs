//! Failures, provoked one by one: exit code, error code and both lines, as text and as JSON.
//!
//! Rows of `Alone` need no node. Rows of `Refused` need one: the scripted one answers with that refusal. Those that a node with nothing
//! in it refuses too are marked `fresh`, and run against a real node when `ALLOD_FAILURES_HOME` names its home.

mod rows;

use std::path::PathBuf;

use allod_node::{daemon::failure::Failure, messages::english};
use allod_protocol::refusal::Fact;
use serde_json::{Value, json};

use self::rows::{
    Row,
    Setting::{Alone, Fresh, Refused},
    lonely_rows, refused_rows, usage_rows,
};
use super::fake::{Answer, Fake, words};

fn error_body(failure: &Failure) -> String {
    let (message, attempt) = english(failure.id, &failure.facts.clone().into());
    let facts: serde_json::Map<String, Value> = failure
        .facts
        .iter()
        .map(|(name, fact)| {
            let value = match fact {
                Fact::Text(text) => json!(text),
                Fact::Number(number) => json!(number),
                Fact::Time(time) => json!(allod_node::time_text::rfc3339(*time)),
            };
            ((*name).to_owned(), value)
        })
        .collect();
    json!({ "error": {
        "code": failure.code.as_str(), "message": message, "try": attempt, "id": failure.id, "facts": facts,
    }})
    .to_string()
}

fn fake(row: &Row) -> Fake {
    match &row.setting {
        Alone => Fake::silent(),
        Refused(method, address, failure) | Fresh(method, address, failure) => Fake::answering([Answer {
            method: (*method).to_owned(),
            address: (*address).to_owned(),
            status: 400,
            body: error_body(failure),
        }]),
    }
}

/// What is not as the row says.
fn check(row: &Row, real: Option<&PathBuf>) -> Option<String> {
    [false, true].into_iter().find_map(|json| differ(row, real, json))
}

fn differ(row: &Row, real: Option<&PathBuf>, json: bool) -> Option<String> {
    let fake = fake(row);
    let mut arguments = words(row.run);
    if json {
        arguments.push("--json".to_owned());
    }
    let mut command = fake.command(&arguments, "en_US.UTF-8");
    let mut home = fake.home().display().to_string();
    if let Some(real) = real {
        command.env("ALLOD_HOME", real);
        home = real.display().to_string();
    }
    let output = fake.run(&mut command, &row.stdin);
    let stderr = String::from_utf8(output.stderr).unwrap().replace(&home, "HOME");
    // Progress may stand above it; the error is what stands last.
    let lines: Vec<&str> = stderr.lines().collect();
    let (expected, lines_wanted) = if json {
        let error = json!({ "error": { "code": row.code, "message": row.what, "try": row.attempt } });
        (error.to_string(), 1)
    } else {
        (format!("{}\ntry: {}", row.what, row.attempt), 2)
    };
    let seen = lines[lines.len().saturating_sub(lines_wanted)..].join("\n");
    let same = seen == expected && output.status.code() == Some(row.exit) && output.stdout.is_empty();
    (!same).then(|| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        format!(
            "allod {}\nexit {:?}, not {}\n{seen}\n--- and not\n{expected}\n--- stdout\n{stdout}",
            arguments.join(" "),
            output.status.code(),
            row.exit
        )
    })
}

fn check_all<'a>(rows: impl Iterator<Item = &'a Row>, real: Option<&PathBuf>) {
    let wrong: Vec<String> = rows.filter_map(|row| check(row, real)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_failure_has_its_exit_code_its_error_code_and_two_lines() {
    let rows: Vec<Row> = usage_rows().into_iter().chain(lonely_rows()).chain(refused_rows()).collect();
    assert!(rows.len() >= 40, "{} failures are provoked", rows.len());
    check_all(rows.iter(), None);
}

#[test]
fn a_real_node_with_nothing_in_it_refuses_in_the_same_words() {
    // Set by a test that has a node running.
    let Some(home) = std::env::var_os("ALLOD_FAILURES_HOME").map(PathBuf::from) else { return };
    check_all(refused_rows().iter().filter(|row| matches!(row.setting, Fresh(..))), Some(&home));
}
