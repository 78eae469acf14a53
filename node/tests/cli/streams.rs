//! What a fixed transcript cannot show: lines that come at once, Ctrl-C, a reader that goes away, a disk that is full.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::fake::{Answer, Fake};

fn answer(method: &str, address: &str, body: &Value) -> Answer {
    Answer { method: method.to_owned(), address: address.to_owned(), status: 200, body: body.to_string() }
}

fn arguments(line: &str) -> Vec<String> {
    super::fake::words(line)
}

#[test]
fn an_invitation_is_shown_at_once_and_withdrawn_by_whatever_ends_the_command() {
    // Where the tests run under `nohup`, commands outlive a SIGHUP as well.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    let hang_up = u64::from_str_radix(ignored, 16).unwrap() & 1 == 0;
    for (signal, exit) in [("INT", 130), ("TERM", 143), ("HUP", 129)].into_iter().take(2 + usize::from(hang_up)) {
        an_invitation_is_withdrawn(signal, exit);
    }
}

fn an_invitation_is_withdrawn(signal: &str, exit: i32) {
    let invitation = json!({ "id": "v-1", "invitation": "ALLOD:AAAA", "expires": "2026-11-24T13:04:00Z" });
    let fake = Fake::answering([
        answer("POST", "/v1/invitations", &invitation),
        Answer::never("GET", "/v1/pairings/v-1?seen=open"),
        answer("POST", "/v1/pairings/v-1/confirm", &json!({ "id": "v-1", "stage": "ended" })),
    ]);
    let mut child = fake.command(&arguments("invite --yes --json"), "C").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["invitation"], "ALLOD:AAAA");
    // The command waits for the other side by now, or will.
    fake.await_request("GET", "/v1/pairings/v-1?seen=open");
    send(signal, child.id());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(exit), "{signal}");
    let last = fake.requests().pop().unwrap();
    assert_eq!((last.address.as_str(), last.body.as_str()), ("/v1/pairings/v-1/confirm", r#"{"same":false}"#));
}

#[test]
fn a_picture_of_an_invitation_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let invitation = json!({ "id": "v-1", "invitation": "ALLOD:AAAA", "expires": "2026-11-24T13:04:00Z" });
    let fake = Fake::answering([
        answer("POST", "/v1/invitations", &invitation),
        answer("GET", "/v1/pairings/v-1?seen=open", &json!({ "id": "v-1", "stage": "ended", "error": {} })),
    ]);
    fake.run(&mut fake.command(&arguments("invite --yes --png code.png --svg code.svg"), "C"), b"");
    for name in ["code.png", "code.svg"] {
        let about = fake.folder().join(name).metadata().unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn of_an_invitation_on_stdin_no_more_is_read_than_any_has() {
    let refused = Answer { status: 400, ..answer("POST", "/v1/accept", &json!({ "error": {} })) };
    let fake = Fake::answering([refused]);
    fake.run(&mut fake.command(&arguments("accept - --yes"), "C"), "ALLOD:A".repeat(10_000).as_bytes());
    let requests = fake.requests();
    assert!((8_000..9_000).contains(&requests[0].body.len()), "{}", requests[0].body.len());
}

fn send(signal: &str, process: u32) {
    let status = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// A listing that is longer than a pipe holds.
fn long_listing() -> Value {
    let item = |number: u32| json!({ "id": format!("contact/{number}"), "kind": "contact", "fields": ["name"], "at": "2026-11-24T09:10:00Z" });
    json!({ "items": (0..20_000).map(item).collect::<Vec<_>>() })
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for form in ["list", "list --json"] {
        let fake = Fake::answering([answer("GET", "/v1/records?limit=500", &long_listing())]);
        let mut child = fake.command(&arguments(form), "C").spawn().unwrap();
        let mut some = [0; 100];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut some).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{form}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let fake = Fake::answering([answer("GET", "/v1/records?limit=500", &long_listing())]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = fake.command(&arguments("list --json"), "C");
    let output = fake.run(command.stdout(Stdio::from(full)), b"");
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "failed");
}

#[test]
fn a_file_that_does_not_read_to_its_end_is_named_and_no_fault_of_the_node() {
    let refused = Answer { status: 400, ..answer("POST", "/v1/import?name=mem", &json!({ "error": {} })) };
    let fake = Fake::answering([refused]);
    // A file that opens and whose first byte is an error.
    let output = fake.run(&mut fake.command(&arguments("import /proc/self/mem"), "C"), b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/proc/self/mem"), "{said}");
}

#[test]
fn a_file_of_everything_is_whole_and_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let first = json!({ "items": [{ "record": "contact/me", "fields": {} }], "next": "c1" });
    let second = json!({ "items": [{ "record": "contact/you", "fields": {} }] });
    let fake = Fake::answering([
        answer("GET", "/v1/export?limit=500", &first),
        answer("GET", "/v1/export?limit=500&after=c1", &second),
    ]);
    let output = fake.run(&mut fake.command(&arguments("export --to all.json"), "C"), b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 records written to all.json.\n");
    let path = fake.folder().join("all.json");
    let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["records"][1]["record"], "contact/you");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(fake.folder()).unwrap().count(), 2, "the home and the file, and no leftovers");
}

#[test]
fn an_export_that_breaks_off_leaves_no_file() {
    let first = json!({ "items": [{ "record": "contact/me", "fields": {} }], "next": "c1" });
    let fake = Fake::answering([answer("GET", "/v1/export?limit=500", &first)]);
    let output = fake.run(&mut fake.command(&arguments("export --to all.json"), "C"), b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_dir(fake.folder()).unwrap().count(), 1, "the home alone");
}

#[test]
fn completions_and_manual_pages_are_made_for_all() {
    let fake = Fake::silent();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = fake.run(&mut fake.command(&arguments(&format!("completions {shell}")), "C"), b"");
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("allod"), "{shell}");
    }
    let output = fake.run(&mut fake.command(&arguments("man revoke"), "C"), b"");
    assert!(String::from_utf8_lossy(&output.stdout).contains(".TH"));
    std::fs::create_dir(fake.folder().join("pages")).unwrap();
    let output = fake.run(&mut fake.command(&arguments("man --to pages"), "C"), b"");
    assert!(output.status.success());
    assert!(fake.folder().join("pages/allod-revoke.1").exists());
}
