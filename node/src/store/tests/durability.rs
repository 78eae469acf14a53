//! What is acknowledged is on the disk: seen in the system calls of a child that commits, and in what it does when they fail.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use allod_protocol::store::StoreFault;

use super::{EngineName, ON_DISK, as_child, assert_no_blobs, child, finish, open, put, tracing_is_possible};
use crate::store::home;

const ACKNOWLEDGEMENTS: &str = "acknowledgements";
const COMMITS: u32 = 20;
/// Commits until a failure that is sure to come.
const COMMITS_MAX: u32 = 2_000;

fn key(number: u32) -> Vec<u8> {
    [&[4], number.to_be_bytes().as_slice()].concat()
}

/// Sizes of rows and of sliced values in turn.
fn value(number: u32) -> Vec<u8> {
    vec![number as u8; [200, 4_000, 20_000, 0][number as usize % 4]]
}

/// The numbers in the file of acknowledgements.
fn acknowledged(dir: &Path) -> Vec<u32> {
    fs::read_to_string(dir.join(ACKNOWLEDGEMENTS)).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

/// A traced system call on a file, or a line of it.
#[derive(Debug, PartialEq, Eq)]
enum Moment {
    Written,
    SyncBegun { thread: String },
    SyncDone { thread: String },
    Acknowledged,
}

/// What a line of the trace says of the data file and of the acknowledgements, in the order in which the calls began and ended.
fn moments(trace: &str, data_file: &str) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut begun: Vec<(String, bool)> = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let (thread, call) = (thread.to_owned(), call.trim_start());
        let resumed = call.starts_with("<... ");
        if resumed {
            let Some(at) = begun.iter().position(|(other, _)| *other == thread) else { continue };
            let (_, sync) = begun.remove(at);
            assert!(!call.contains(" = -1 "), "{line}");
            moments.push(if sync { Moment::SyncDone { thread } } else { Moment::Written });
        } else if call.contains(ACKNOWLEDGEMENTS) {
            moments.push(Moment::Acknowledged);
        } else if call.contains(&format!("{data_file}>")) {
            let sync = call.starts_with("fsync") || call.starts_with("fdatasync");
            if sync {
                moments.push(Moment::SyncBegun { thread: thread.clone() });
            }
            if call.ends_with("<unfinished ...>") {
                begun.push((thread, sync));
            } else {
                assert!(!call.contains(" = -1 "), "{line}");
                moments.push(if sync { Moment::SyncDone { thread } } else { Moment::Written });
            }
        }
    }
    moments
}

#[test]
fn a_sync_that_began_after_the_last_write_ends_before_each_acknowledgement() {
    const NAME: &str = "durability::a_sync_that_began_after_the_last_write_ends_before_each_acknowledgement";
    if let Some((dir, engine)) = as_child() {
        let mut store = open(engine, &dir.join("store"), false).unwrap();
        let mut acknowledgements = File::create(dir.join(ACKNOWLEDGEMENTS)).unwrap();
        for number in 0..COMMITS {
            store.commit(&put(&key(number), &value(number))).unwrap();
            acknowledgements.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        return;
    }
    if let Err(reason) = tracing_is_possible() {
        println!("skipped: no strace here: {reason}");
        return;
    }
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace");
        let calls = "trace=write,pwrite64,pwritev,fsync,fdatasync";
        let before = ["strace", "-f", "-y", "-qq", "-e", "signal=none", "-e", calls, "-o", trace.to_str().unwrap()];
        let output = finish(&mut child(&before, NAME, engine, dir.path()));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(acknowledged(dir.path()).len(), COMMITS as usize);
        let trace = fs::read_to_string(trace).unwrap();
        let moments = moments(&trace, engine.data_file());
        let acknowledgements: Vec<usize> =
            (0..moments.len()).filter(|&at| moments[at] == Moment::Acknowledged).collect();
        assert_eq!(acknowledgements.len(), COMMITS as usize);
        let mut from = 0;
        for to in acknowledgements {
            let since = &moments[from..to];
            let last_write = since.iter().rposition(|moment| *moment == Moment::Written).expect("a commit writes");
            let synced = since[last_write..].iter().any(|moment| match moment {
                Moment::SyncBegun { thread } => {
                    since[last_write..].contains(&Moment::SyncDone { thread: thread.clone() })
                }
                _ => false,
            });
            assert!(synced, "{engine} acknowledged without a sync: {since:?}");
            from = to + 1;
        }
    }
}

#[test]
fn a_file_is_on_the_disk_before_it_takes_its_name_and_the_name_before_it_is_said_to_be_there() {
    const NAME: &str =
        "durability::a_file_is_on_the_disk_before_it_takes_its_name_and_the_name_before_it_is_said_to_be_there";
    if let Some((dir, _)) = as_child() {
        let home = dir.join("one/two");
        home::create_directory(&home).unwrap();
        for content in ["first", "second"] {
            home::replace_file(&home.join("vault"), content.as_bytes()).unwrap();
        }
        return;
    }
    if let Err(reason) = tracing_is_possible() {
        println!("skipped: no strace here: {reason}");
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let dir = outside.path().canonicalize().unwrap();
    let trace = dir.join("trace");
    let calls = "trace=/^mkdir,/^rename,write,fsync,fdatasync";
    let before = ["strace", "-f", "-y", "-qq", "-e", "signal=none", "-e", calls, "-o", trace.to_str().unwrap()];
    let output = finish(&mut child(&before, NAME, EngineName::Sled, &dir));
    assert!(output.status.success(), "{output:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let dir = dir.to_str().unwrap();
    let done = trace.lines().filter_map(|line| {
        // Of a renaming the new name, which comes last.
        let path = line.rsplit_once(dir)?.1.split(['"', '>']).next()?;
        let call = ["mkdir", "rename", "write", "sync"].into_iter().find(|call| line.contains(call))?;
        Some(format!("{call} {path}"))
    });
    let done: Vec<_> = done.collect();
    let made = ["mkdir /one", "sync ", "mkdir /one/two", "sync /one"];
    let new = "/one/two/vault.new";
    let replaced = [&format!("write {new}"), &format!("sync {new}"), "rename /one/two/vault", "sync /one/two"];
    assert_eq!(done, [&made[..], &replaced, &replaced].concat());
}

/// As a child: commits until it fails, acknowledges what did not, and says what the store answers then.
fn commit_until_failure(dir: &Path, engine: EngineName) {
    let mut store = open(engine, &dir.join("store"), true).unwrap();
    let mut acknowledgements = File::create(dir.join(ACKNOWLEDGEMENTS)).unwrap();
    for number in 0..COMMITS_MAX {
        if let Err(fault) = store.commit(&put(&key(number), &value(number))) {
            assert_eq!(store.commit(&put(&key(number), b"once more")), Err(fault.clone()), "a failed store goes on");
            assert_eq!(store.get(&key(0)), Err(fault.clone()), "a failed store answers");
            fs::write(dir.join("fault"), if fault == StoreFault::Full { "full" } else { "refused" }).unwrap();
            assert!(matches!(fault, StoreFault::Full | StoreFault::Io { .. }), "{fault:?}");
            return;
        }
        acknowledgements.write_all(format!("{number}\n").as_bytes()).unwrap();
    }
    panic!("no commit failed");
}

/// Runs `test` as a child in which system calls fail as `inject` says, and reads back what it acknowledged.
fn failing(test: &str, inject: &str, expected: &str) {
    if let Err(reason) = tracing_is_possible() {
        println!("skipped: no strace here: {reason}");
        return;
    }
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = dir.path().join("store");
        drop(open(engine, &store_dir, false).unwrap());
        let before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
        let output = finish(&mut child(&before, test, engine, dir.path()));
        assert!(output.status.success(), "{engine} {output:?}");
        assert_eq!(fs::read_to_string(dir.path().join("fault")).unwrap(), expected, "{engine}");
        let acknowledged = acknowledged(dir.path());
        assert!(!acknowledged.is_empty());
        let store = open(engine, &store_dir, true).unwrap();
        for number in acknowledged {
            assert_eq!(store.get(&key(number)).unwrap(), Some(value(number)), "{engine} lost {number}");
        }
        store.check().unwrap();
        drop(store);
        if engine == EngineName::Sled {
            assert_no_blobs(&store_dir);
        }
    }
}

#[test]
fn a_store_whose_disk_refuses_a_sync_acknowledges_nothing_more() {
    if let Some((dir, engine)) = as_child() {
        return commit_until_failure(&dir, engine);
    }
    failing(
        "durability::a_store_whose_disk_refuses_a_sync_acknowledges_nothing_more",
        "inject=fsync,fdatasync:error=EIO:when=12+",
        "refused",
    );
}

#[test]
fn a_store_whose_disk_is_full_says_so_and_acknowledges_nothing_more() {
    if let Some((dir, engine)) = as_child() {
        return commit_until_failure(&dir, engine);
    }
    failing(
        "durability::a_store_whose_disk_is_full_says_so_and_acknowledges_nothing_more",
        "inject=pwrite64:error=ENOSPC:when=20+",
        "full",
    );
}

/// As a child of this process holds it, between its start and its becoming another program.
#[test]
fn a_lock_that_is_held_for_a_moment_is_waited_for() {
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let mut held = open(engine, dir.path(), false).unwrap();
        held.commit(&put(b"key", b"value")).unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(150));
            drop(held);
        });
        let store = open(engine, dir.path(), true).unwrap();
        assert_eq!(store.get(b"key").unwrap().as_deref(), Some(&b"value"[..]), "{engine}");
        holder.join().unwrap();
    }
}
