//! What the system denies a node, or does to it before it is ready: room for a file, open files, somebody who reads, time to start.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use allod_tests::process::{
    Engine, Outcome, Running, World,
    terminal::{at_terminal, in_shell, shell},
    until,
};

use super::home::sealed_home;

on_both_engines![a_node_that_may_write_no_larger_file_says_so_and_loses_nothing];

/// In front of a daemon that runs after this line of a shell.
fn after(line: &str) -> Vec<String> {
    ["sh", "-c", &format!("{line}; exec \"$0\" \"$@\"")].map(str::to_owned).to_vec()
}

/// In front of a daemon that signals shall end, also where the tests were started in the background, with signals ignored.
fn heeding_signals() -> Vec<String> {
    ["env", "--default-signal=HUP,INT,TERM"].map(str::to_owned).to_vec()
}

fn a_node_that_may_write_no_larger_file_says_so_and_loses_nothing(engine: Engine) {
    let world = World::new(engine);
    let mut alice = world.home("alice", "person");
    // Blocks of 512 bytes: the size of a store with nothing in it, and some records more.
    alice.inside = after("ulimit -f 4000");
    alice.start();
    let (text, file) = ("x".repeat(60_000), world.place().join("text"));
    fs::write(&file, &text).unwrap();
    let mut kept = 0;
    let refused = loop {
        match alice.tries(&format!("set note/{kept}/text:text=@{}", file.display())) {
            Ok(_) => kept += 1,
            Err(refused) => break refused,
        }
        assert!(kept < 200, "the limit was never met");
    };
    assert!(refused.message.contains("could not be written") || refused.message.contains("stopped"), "{refused:?}");
    let (exit, said) = alice.ended();
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("could not be read or written"), "{said}");
    alice.inside.clear();
    alice.start();
    for each in 0..kept {
        assert_eq!(alice.get(&format!("note/{each}/text")), text.as_str());
    }
}

#[test]
fn a_home_whose_phrase_nobody_saw_is_none() {
    let world = World::new(Engine::Sled);
    let mut alice = world.nowhere("alice");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let nobody = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for (case, output) in [("full", Stdio::from(full())), ("nobody", Stdio::from(nobody()))] {
        let ended = alice.command(&["init", "--no-passphrase"]).stdout(output).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{case}: {said}");
        assert!(said.starts_with("The recovery phrase could not be shown"), "{case}: {said}");
        let refused = Outcome::of(&mut alice.daemon_command(), b"");
        assert!(refused.exit == 1 && refused.stderr.contains("was interrupted"), "{case}: {refused}");
    }
    alice.init(&["--no-passphrase"]);
    alice.start();
    assert_eq!(alice.phrase.split(' ').count(), 24);
}

#[test]
fn a_node_that_may_open_too_few_files_does_not_start_and_one_with_few_is_answered() {
    let world = World::new(Engine::Sled);
    let mut alice = world.home("alice", "person");
    alice.inside = after("ulimit -n 48");
    let refused = Outcome::of(&mut alice.daemon_command(), b"").json().unwrap_err();
    assert_eq!((refused.exit, refused.code.as_str()), (1, "failed"));
    assert!(refused.message.contains("only 48 files"), "{refused:?}");

    // It asks for more where it may have more.
    alice.inside = after("ulimit -S -n 48");
    alice.start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", alice.process())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let allowed: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(allowed >= 64, "{line}");
    alice.kill();

    // Callers that say nothing, or nothing more, take all that it may open; one that speaks is answered.
    alice.inside = after("ulimit -n 64");
    alice.start();
    let socket = alice.home.join("control.sock");
    let mut crowd: Vec<_> = (0..100).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for caller in &mut crowd[50..] {
        // One that had to go is not there to write to.
        let _ = caller.write_all(b"GET /v1/status HTTP/1.1\r\nhost: allod\r\n\r\n");
    }
    assert_eq!(alice.does("status")["name"], "alice");
    until("it met the limit", 20, || alice.daemon_said().contains("could not be let in"));
    for _ in 0..20 {
        alice.does("status");
    }
    let told = alice.daemon_said().matches("could not be let in").count();
    assert_eq!(told, 1, "it says that once a minute");
    drop(crowd);
}

#[test]
fn a_node_that_is_still_starting_ends_when_it_is_told_to() {
    let world = World::new(Engine::Sled);
    let (mut alice, _) = sealed_home(&world);
    // Nobody ever writes into this one.
    let pipe = world.place().join("never");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    alice.run_with = vec!["--passphrase-file".to_owned(), pipe.display().to_string()];
    alice.inside = heeding_signals();
    for (signal, expected) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut daemon = Running::start(&mut alice.daemon_command());
        let _waited_for = File::options().write(true).open(&pipe).unwrap();
        daemon.signal(signal);
        assert_eq!(daemon.end().0, expected, "{signal}: {}", daemon.complaints());
    }
}

#[test]
fn a_node_that_shall_outlive_its_terminal_does() {
    let world = World::new(Engine::Sled);
    let mut alice = world.home("alice", "person");
    alice.inside = after("trap '' HUP");
    alice.start();
    alice.daemon().signal("HUP");
    alice.does("status");
    assert_eq!(alice.stop().0, 0);
    alice.inside = heeding_signals();
    alice.start();
    alice.daemon().signal("HUP");
    assert_eq!(alice.ended().0, 0);
}

#[test]
fn ctrl_c_where_a_passphrase_is_asked_for_ends_the_start_and_nothing_is_wrong_with_the_terminal() {
    let world = World::new(Engine::Sled);
    let (alice, _) = sealed_home(&world);
    let Some(mut run) = at_terminal(&alice, "run") else {
        eprintln!("left out: no script");
        return;
    };
    run.prompt("assphrase");
    // Between the question and the terminal's change of mode a key is a signal, which is not for the node yet: again until it is heard.
    until("it ends", 40, || {
        let goes_on = run.is_alive();
        if goes_on {
            run.type_in("\u{3}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        !goes_on
    });
    assert_eq!(run.end().0, 130, "{}", run.complaints());
}

#[test]
fn sigterm_where_a_passphrase_is_asked_for_leaves_the_terminal_as_it_was() {
    let world = World::new(Engine::Sled);
    let (alice, _) = sealed_home(&world);
    let line = format!("timeout --foreground -s TERM 4 {}; echo ended: $?; stty -a", in_shell(&alice, "run"));
    let Some(mut run) = shell(&line) else {
        eprintln!("left out: no script");
        return;
    };
    run.prompt("assphrase");
    // By the signal, and by nothing else.
    run.prompt("ended: 124");
    let said = run.end().1.join("\n");
    for mode in ["echo", "icanon", "isig"] {
        assert!(said.split_whitespace().any(|word| word == mode), "{mode} is off: {said}");
    }
}
