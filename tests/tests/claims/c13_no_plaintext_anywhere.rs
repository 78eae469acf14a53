//! C13: no plaintext, field name or secret in the home directory, on the wire, in any log at any level, in the daemon's argv or
//! environment, or in a core that the kernel writes; another uid gets EACCES.
//!
//! Values, record ids, field names and a petname all hold one rare word, which is looked for as it is, in hexadecimal, in Base64 and in
//! UTF-16. The scan is tried on bytes that hold it. What root takes of a running process's memory is out of scope: it is counted and said.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::{Command, Stdio},
};

use allod_tests::{
    process::canary,
    real::{is_root, process::Node},
};
use serde_json::json;

use super::binary::{Two, binary, until};

/// No word of any program or format, and no longer than the shortest name that a key could hold in clear.
const CANARY: &str = "cnryq7x4";
const CANARIES: usize = 1_000;

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for letter in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
    }
    text
}

/// All forms of the word that are looked for.
fn forms() -> Vec<Vec<u8>> {
    let plain = CANARY.as_bytes();
    let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![plain.to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes(), wide];
    for shift in 0..3usize {
        let shifted = base64(&[&vec![0; shift], plain].concat());
        // Letters that depend on what stands before or behind are left out.
        let before = (shift * 8).div_ceil(6);
        let whole = (shift + plain.len()) * 8 / 6;
        forms.push(shifted.as_bytes()[before..whole].to_vec());
    }
    forms
}

/// How often any form of the word stands in these bytes.
fn hits(bytes: &[u8]) -> usize {
    forms().iter().map(|form| bytes.windows(form.len()).filter(|window| window == form).count()).sum()
}

#[test]
fn the_scan_finds_the_word_in_each_of_its_forms() {
    let text = format!("what {CANARY}-17 is");
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    for bytes in [text.clone().into_bytes(), wide, hex.into_bytes()] {
        assert_eq!(hits(&bytes), 1);
    }
    for before in 0..3 {
        assert_eq!(hits(base64(format!("{}{CANARY}-17", "x".repeat(before)).as_bytes()).as_bytes()), 1, "{before}");
    }
    assert_eq!(hits(b"cnryq7x"), 0);
}

/// Records everything that passes over these ports of loopback, where the system lets us.
fn listen(ports: &[u16], into: &Path) -> Option<std::process::Child> {
    let filter: Vec<String> = ports.iter().map(|port| format!("port {port}")).collect();
    let mut child = Command::new("tcpdump")
        .args(["-i", "lo", "--immediate-mode", "-U", "-n", "-s", "0", "-w"])
        .arg(into)
        .arg(filter.join(" or "))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let has_begun = || fs::metadata(into).is_ok_and(|file| file.len() >= 24);
    let mut tries = 0;
    while !has_begun() {
        if child.try_wait().expect("a child can be asked").is_some() || tries > 500 {
            let _ = child.kill();
            return None;
        }
        tries += 1;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Some(child)
}

/// A life that uses every channel; all of its words hold the canary.
fn live(two: &Two) {
    let mut items = Vec::new();
    for number in 0..CANARIES {
        items.push(match number % 3 {
            0 if number > 100 => (format!("{CANARY}/me/field{number}"), format!("{CANARY}-value-{number}")),
            0 => (format!("contact/me/field{number}"), format!("{CANARY}-value-{number}")),
            1 => (format!("note/{CANARY}-id-{number}/text"), format!("{CANARY}-value-{number}")),
            _ => (format!("thing/{number}/{CANARY}-field-{number}"), format!("{CANARY}-value-{number}")),
        });
    }
    // A record holds so many fields at most; none of these comes near.
    two.set(&items);
    let literal = format!("thing/2/{CANARY}-field-2");
    let grant = two.lend(&["contact/me/field0", &literal, "note/*/text"]);
    two.shop_reads(&literal, &format!("{CANARY}-value-2"));
    two.set(&[(literal.clone(), format!("{CANARY}-newer"))]);
    two.shop_reads(&literal, &format!("{CANARY}-newer"));
    let (ana, shop) = (two.ana.api(), two.shop.api());
    let ask = json!({
        "peer": two.names.acceptors, "selectors": ["contact/me/field3"], "purpose": "DeliveryOfGoods",
        "reason": format!("{CANARY} reason"),
    });
    shop.post("/v1/asks", &ask).expect("an ask");
    let renamed = json!({ "to": format!("{CANARY} petname") });
    ana.post(&format!("/v1/peers/{}/rename", two.names.inviters), &renamed).expect("another name");
    // What is refused is logged too.
    assert!(ana.get("/v1/fields", &[("path", &format!("note/{CANARY}-none/text"))]).is_err());
    assert!(shop.get("/v1/fields", &[("path", "contact/me/field6"), ("from", &two.names.acceptors)]).is_err());
    ana.post("/v1/remove", &json!({ "path": "contact/me/field9" })).expect("a removal");
    ana.post(&format!("/v1/grants/{grant}/revoke"), &json!({})).expect("a revocation");
    until("the purge is confirmed", || {
        ana.get(&format!("/v1/grants/{grant}"), &[]).is_ok_and(|grant| grant["purge"] == "confirmed")
    });
}

#[test]
fn a_thousand_canaries_stand_in_no_file_frame_log_argument_or_variable() {
    for engine in ["sled", "redb"] {
        let place = tempfile::tempdir().expect("a directory");
        let capture = place.path().join("capture.pcap");
        let mut two = Two::paired(place.path(), engine, &[("ALLOD_LOG", "trace")]);
        let ear = listen(&[two.ana.port(), two.shop.port()], &capture);
        live(&two);

        let mut scanned = 0;
        let mut scan = |what: &str, bytes: &[u8]| {
            scanned += bytes.len();
            assert_eq!(hits(bytes), 0, "{engine}: {what} holds a canary");
        };
        for node in [&two.ana, &two.shop] {
            let process = node.process().expect("it runs");
            for name in ["cmdline", "environ"] {
                scan(name, &fs::read(format!("/proc/{process}/{name}")).expect("proc reads"));
            }
            let limits = fs::read_to_string(format!("/proc/{process}/limits")).expect("proc reads");
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit of cores");
            let numbers: Vec<&str> = core.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
            assert_eq!(numbers, ["0", "0"], "a core would be written: {core}");
            let files = canary::files(&node.home);
            assert!(files.iter().any(|(path, _)| path.ends_with("vault")), "{engine}: no vault among the files");
            for (file, bytes) in files {
                scan(&format!("{} of a running node", file.display()), &bytes);
            }
        }
        what_root_finds_in_memory(&two.ana, place.path());
        for node in [&mut two.ana, &mut two.shop] {
            assert!(node.stop().is_ok());
        }
        for node in [&two.ana, &two.shop] {
            let said = node.said();
            // Else nothing was logged at all, and the scan says nothing.
            assert!(
                said.contains("TRACE") || said.lines().count() > 20,
                "{engine}: {} lines logged",
                said.lines().count()
            );
            scan("the log", said.as_bytes());
        }
        // Also what stands beside the homes: logs, temporary files.
        for (file, bytes) in canary::files(place.path()).into_iter().filter(|(file, _)| *file != capture) {
            scan(&file.display().to_string(), &bytes);
        }
        match ear {
            None => println!("{engine}: traffic not recorded: tcpdump is not there or may not listen"),
            Some(mut ear) => {
                // Asked to end, it writes what the kernel still holds for it; killed, it would not.
                let interrupted = Command::new("kill").arg("-INT").arg(ear.id().to_string()).status();
                assert!(interrupted.is_ok_and(|status| status.success()));
                let _ = ear.wait();
                let bytes = fs::read(&capture).expect("a capture reads");
                assert!(bytes.len() > 50_000, "{engine}: {} bytes recorded", bytes.len());
                scan("traffic", &bytes);
            }
        }
        println!("{engine}: {CANARIES} canaries, {scanned} bytes scanned, none found");
    }
}

/// Out of scope, and said: root reads a running process, values that it works with included.
fn what_root_finds_in_memory(node: &Node, place: &Path) {
    let (Some(process), true) = (node.process(), is_root()) else { return };
    let core = place.join("core");
    let taken = Command::new("gcore").arg("-o").arg(&core).arg(process.to_string()).output();
    let path = place.join(format!("core.{process}"));
    match (taken, fs::read(&path)) {
        (Ok(_), Ok(bytes)) => {
            let (first, rest) = CANARY.as_bytes().split_last().expect("a word");
            // The last letter is rare in memory, so that this is quick.
            let found = bytes.split(|byte| byte == first).filter(|piece| piece.ends_with(rest)).count();
            println!("root's own core of a running node: {} bytes, {found} canaries (out of scope)", bytes.len());
            fs::remove_file(path).expect("it can be removed");
        }
        _ => println!("no core could be taken: gcore is not there or may not"),
    }
}

/// A command as another user.
fn as_user(user: u32, words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "--"]);
    command.args(words).stdin(Stdio::null());
    command
}

#[test]
fn another_user_gets_nothing_and_not_even_root_is_taken_for_the_owner() {
    const OWNER: u32 = 54_321;
    const OTHER: u32 = 65_534;
    if !is_root() || as_user(OTHER, &["true"]).status().map_or(true, |status| !status.success()) {
        println!("skipped: this needs root and setpriv");
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    let exe = place.path().join("allod");
    fs::copy(binary(), &exe).expect("a copy that others may run");
    let mut node = Node::made(&exe, &place.path().join("home"), "ana", "sled");
    let home = node.home.clone();
    for path in canary::files(&home).into_iter().map(|(path, _)| path).chain([
        home.clone(),
        home.join("store"),
        home.join("log"),
    ]) {
        chown(path, Some(OWNER), Some(OWNER)).expect("root may");
    }
    let owner = format!("--reuid={OWNER}");
    node.under = vec!["setpriv".into(), owner, format!("--regid={OWNER}"), "--clear-groups".into(), "--".into()];
    node.must_start();
    let process = node.process().expect("it runs");
    for name in ["environ", "mem", "maps"] {
        let uid = fs::metadata(format!("/proc/{process}/{name}")).expect("proc is there").uid();
        assert_eq!(uid, 0, "/proc/PID/{name} belongs to the user: the process is dumpable");
    }
    let paths = [home.join("vault"), home.join("store/db"), home.join("config.toml")];
    let paths = paths.iter().map(|path| path.display().to_string());
    let proc = ["environ", "mem", "maps"].map(|name| format!("/proc/{process}/{name}"));
    for path in paths.chain(proc) {
        let read = as_user(OTHER, &["head", "-c", "1", &path]).output().expect("head runs");
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(!read.status.success() && said.contains("Permission denied"), "{path}: {said}");
    }
    // The owner itself may not read it either: that is what not dumpable means.
    let own = as_user(OWNER, &["head", "-c", "1", &format!("/proc/{process}/mem")]).output().expect("head runs");
    assert!(!own.status.success());
    let socket = home.join("control.sock");
    assert_eq!(fs::metadata(&socket).expect("a socket").mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&home).expect("a home").mode() & 0o777, 0o700);
    // Root passes any mode, and is not the owner.
    let refused = node.api().get("/v1/status", &[]).expect_err("root is another user");
    println!("root at the socket of user {OWNER}: {refused:?}");
    let by_owner =
        as_user(OWNER, &["curl", "-s", "--unix-socket", &socket.display().to_string(), "http://allod/v1/status"]);
    let mut by_owner = by_owner;
    if let Ok(told) = by_owner.output() {
        assert!(String::from_utf8_lossy(&told.stdout).contains("version"), "the owner is answered");
    }
}
