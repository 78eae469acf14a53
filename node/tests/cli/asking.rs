//! What is asked before anything is lent, ended or removed, at a terminal that `script` of util-linux lends: whoever only presses Enter
//! has agreed to nothing.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::fake::{Answer, Fake, Request, words};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How each question ends that has two answers.
const YES_NO: &str = "[y/N] ";

/// What a person saw and what the node was asked.
struct Talk {
    status: i32,
    screen: String,
    requests: Vec<Request>,
}

impl Talk {
    fn asked(&self, order: (&str, &str)) -> Option<&str> {
        let found = self.requests.iter().find(|request| (request.method.as_str(), request.address.as_str()) == order);
        found.map(|request| request.body.as_str())
    }
}

fn has_script() -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join("script").is_file());
    if !found {
        println!("skipped: script is not installed");
    }
    found
}

fn answer((method, address): (&str, &str), body: &str) -> Answer {
    Answer { method: method.to_owned(), address: address.to_owned(), status: 200, body: body.to_owned() }
}

/// A line that asks, what the node says before, the order that it asks about with what the node says to that, and what the person must see.
struct Case<'a> {
    line: &'a str,
    before: Vec<Answer>,
    order: (&'a str, &'a str),
    done: &'a str,
    shown: &'a str,
}

/// A line at a terminal, against a node with these answers; each of `typed` is a question's end and what is typed when it stands there.
fn talk(answers: &[Answer], line: &str, typed: &[(&str, &str)]) -> Talk {
    let fake = Fake::answering(answers.iter().cloned());
    let plain = fake.command(&words(line), "C.UTF-8");
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    let all: Vec<String> = std::iter::once(plain.get_program()).chain(plain.get_args()).map(quoted).collect();
    let mut command = Command::new("script");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("TERM", "xterm").args(["-qefc", &format!("stty cols 100; exec {}", all.join(" ")), "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (shown_in, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut piece = [0; 4_096];
        while let Ok(count @ 1..) = screen.read(&mut piece) {
            let _ = shown_in.send(piece[..count].to_vec());
        }
    });
    let (mut bytes, mut typed, mut seen) = (Vec::new(), typed.iter(), 0);
    let mut next = typed.next();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((question, reply)) = next
            && let Some(at) = text[seen..].find(question)
        {
            seen += at + question.len();
            writeln!(keyboard, "{reply}").unwrap();
            next = typed.next();
            continue;
        }
        match shown.recv_timeout(PATIENCE) {
            Ok(piece) => bytes.extend(piece),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{line} waits: {text}"),
        }
    }
    let status = child.wait().unwrap().code().unwrap();
    Talk { status, screen: String::from_utf8(bytes).unwrap(), requests: fake.requests() }
}

#[test]
fn whoever_only_presses_enter_has_agreed_to_nothing() {
    if !has_script() {
        return;
    }
    let held = answer(
        ("GET", "/v1/grants?peer=acme&limit=100"),
        r#"{"items": [{"grant": "g-1aaaaaaa", "state": "active"}, {"grant": "g-2bbbbbbb", "state": "revoked"}]}"#,
    );
    let values = r#"[{"path": "contact/me/city", "value": "Paris", "selector": "contact/me/city"}]"#;
    let asked = format!(
        r#"{{"ask": "a-9k2m3n4p", "peer": "acme", "direction": "in", "state": "open", "purpose": "DeliveryOfGoods",
            "selectors": [{{"selector": "contact/me/city", "required": true}}], "mode": "follow", "values": {values}}}"#
    );
    let granted = r#"{"grant": "g-7f1k2m3n", "peer": "acme", "selectors": ["contact/me/city"], "told": []}"#;
    let cases = [
        Case {
            line: "revoke acme",
            before: vec![held.clone()],
            order: ("POST", "/v1/peers/acme/revoke"),
            done: r#"{"revoked": [], "still_lent": [], "told": []}"#,
            shown: "g-1aaaaaaa",
        },
        Case {
            line: "resume acme",
            before: vec![held.clone()],
            order: ("POST", "/v1/peers/acme/resume"),
            done: r#"{"peer": "acme", "resumed": []}"#,
            shown: "g-1aaaaaaa",
        },
        Case {
            line: "forget acme",
            before: vec![held],
            order: ("POST", "/v1/peers/acme/forget"),
            done: r#"{"peer": "acme", "revoked": [], "told": []}"#,
            shown: "g-1aaaaaaa",
        },
        Case {
            line: "remove contact/me",
            before: vec![answer(
                ("GET", "/v1/records?prefix=contact%2Fme&limit=1"),
                r#"{"items": [{"id": "contact/me", "fields": ["city", "email"]}]}"#,
            )],
            order: ("POST", "/v1/remove"),
            done: r#"{"removed": 2, "told": []}"#,
            shown: "city, email",
        },
        Case {
            line: "grant acme contact/me/city --purpose delivery",
            before: vec![
                answer(("GET", "/v1/peers/acme"), r#"{"peer": "acme"}"#),
                answer(("POST", "/v1/preview"), &format!(r#"{{"items": {values}}}"#)),
            ],
            order: ("POST", "/v1/grants"),
            done: granted,
            shown: "Paris",
        },
        Case {
            line: "answer a-9k",
            before: vec![answer(("GET", "/v1/asks/a-9k"), &asked)],
            order: ("POST", "/v1/asks/a-9k/answer"),
            done: granted,
            shown: "Paris",
        },
    ];
    for Case { line, before: mut answers, order, done, shown } in cases {
        for typed in [&[(YES_NO, "")][..], &[(YES_NO, "perhaps"), (YES_NO, "n")]] {
            let talk = talk(&answers, line, typed);
            assert_eq!((talk.status, talk.asked(order)), (5, None), "{line}: {}", talk.screen);
            assert!(talk.screen.contains("Nothing was done."), "{line}: {}", talk.screen);
            // And it was said what it is about.
            assert!(talk.screen.contains(shown) && !talk.screen.contains("g-2bbbbbbb"), "{line}: {}", talk.screen);
        }
        answers.push(answer(order, done));
        let talk = talk(&answers, line, &[(YES_NO, "y")]);
        assert_eq!((talk.status, talk.asked(order).is_some()), (0, true), "{line}: {}", talk.screen);
    }
}

#[test]
fn what_is_optional_in_an_ask_is_lent_only_to_whoever_says_so() {
    if !has_script() {
        return;
    }
    let asked = answer(
        ("GET", "/v1/asks/a-9k"),
        r#"{"ask": "a-9k2m3n4p", "peer": "acme", "direction": "in", "state": "open", "purpose": "DeliveryOfGoods",
            "selectors": [{"selector": "contact/me/city", "required": true}, {"selector": "contact/me/street", "required": false}],
            "mode": "follow", "values": [
                {"path": "contact/me/city", "value": "Paris", "selector": "contact/me/city"},
                {"path": "contact/me/street", "value": "3 rue des Lilas", "selector": "contact/me/street"}]}"#,
    );
    let order = ("POST", "/v1/asks/a-9k/answer");
    let granted = r#"{"grant": "g-7f1k2m3n", "peer": "acme", "selectors": [], "told": []}"#;
    for (optional, lent, shows_it) in
        [("", r#"["contact/me/city"]"#, false), ("y", r#"["contact/me/city","contact/me/street"]"#, true)]
    {
        let typed = [(YES_NO, optional), (YES_NO, "y")];
        let talk = talk(&[asked.clone(), answer(order, granted)], "answer a-9k", &typed);
        assert_eq!(talk.asked(order), Some(&*format!(r#"{{"only":{lent}}}"#)), "{}", talk.screen);
        assert_eq!(talk.screen.contains("3 rue des Lilas"), shows_it, "{}", talk.screen);
    }
}

#[test]
fn words_that_nobody_said_are_the_same_are_different() {
    if !has_script() {
        return;
    }
    let words = r#"["abaca", "abbey", "abbot", "abele", "abide", "abode"]"#;
    let accepted = answer(
        ("POST", "/v1/accept"),
        &format!(r#"{{"id": "v-1", "stage": "comparing", "words": {words}, "emoji": [], "others_tried": 2}}"#),
    );
    let order = ("POST", "/v1/pairings/v-1/confirm");
    let ended = answer(order, r#"{"id": "v-1", "stage": "ended", "words": [], "emoji": [], "others_tried": 2}"#);
    let talk = talk(&[accepted, ended], "accept ALLOD:ABC", &[(YES_NO, "")]);
    assert_eq!((talk.status, talk.asked(order)), (5, Some(r#"{"same":false}"#)), "{}", talk.screen);
    assert!(talk.screen.contains("1 abaca  2 abbey"), "{}", talk.screen);
    assert!(talk.screen.contains("you said that the words differ"), "{}", talk.screen);
}

#[test]
fn two_passphrases_that_differ_are_none() {
    if !has_script() {
        return;
    }
    let order = ("POST", "/v1/passphrase");
    let changed = answer(order, r#"{"protection": "passphrase"}"#);
    for (again, status, sent) in [("secund", 6, None), ("second", 0, Some(r#"{"new":"second","old":"first"}"#))] {
        let typed = [(": ", "first"), ("New passphrase for the vault: ", "second"), ("The same again: ", again)];
        let talk = talk(std::slice::from_ref(&changed), "passphrase", &typed);
        assert_eq!((talk.status, talk.asked(order)), (status, sent), "{}", talk.screen);
    }
}

#[test]
fn a_value_alone_moves_no_cursor_and_turns_no_text_around() {
    if !has_script() {
        return;
    }
    let field = answer(
        ("GET", "/v1/fields?path=contact%2Fme%2Fnote"),
        r#"{"items": [{"path": "contact/me/note", "value": "one\u001b[2J\u202e\ntwo", "type": "text"}]}"#,
    );
    let talk = talk(&[field], "get contact/me/note", &[]);
    assert_eq!((talk.status, &*talk.screen), (0, "one[2J\r\ntwo\r\n"));
}
