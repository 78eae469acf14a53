//! What the process does before it touches a secret: it writes no core, lets no other process read its memory, keeps its pages out of
//! the swap where the system allows it, makes files for its owner alone, has as many open as it needs, and panics without a word of what it
//! held. And the signals that the standard library has no words for.

#![allow(unsafe_code, reason = "calls of the C library that have no safe form in the standard library")]

use std::{
    env,
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    panic, process,
    sync::OnceLock,
};

use super::{
    clock,
    failure::{Failure, NodeRefusal},
    limits::{FILES_MIN, FILES_WANTED},
};

/// libraries that see this variable write the secrets of every connection to the file that it names.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// Hardens the process. To be called first of all.
///
/// # Errors
/// The failure to show, if secrets of connections would be written to a file or the process can't be hardened.
pub fn harden() -> Result<(), Failure> {
    refuse_key_log(env::var_os(KEY_LOG).is_some())?;
    keep_out_others().map_err(|what| NodeRefusal::Internal { what: what.to_owned() })?;
    lock_memory();
    allow_files()?;
    panic::set_hook(Box::new(|panic| {
        if let Err(failure) = clock::confirm() {
            // TLS and others panic then, sooner than the daemon looks at its clock; what was acknowledged is on the disk.
            tracing::error!(id = failure.id, "the clock shows a time before 1970, and the node ends at once");
            process::exit(1);
        }
        // Where, and not what: the message may hold a value.
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place = place.as_deref().unwrap_or("?"), "a step of this program failed");
    }));
    Ok(())
}

fn refuse_key_log(is_set: bool) -> Result<(), Failure> {
    if is_set { Err(NodeRefusal::SecretsWouldBeLogged {}.into()) } else { Ok(()) }
}

/// Lets no other process read this one's memory, writes no core, and makes files for their owner alone.
///
/// # Errors
/// The system refuses.
pub fn keep_out_others() -> Result<(), &'static str> {
    let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read their arguments and change nothing but this process's own settings.
    let (dumpable, core) = unsafe {
        (libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0), libc::setrlimit(libc::RLIMIT_CORE, &raw const nothing))
    };
    // SAFETY: sets the mode of files to come, and returns the former.
    unsafe { libc::umask(0o077) };
    match (dumpable, core) {
        (0, 0) => Ok(()),
        _ => Err("the system would not keep this process's memory from others"),
    }
}

/// Keeps all pages in memory, if there is no limit to how many that may be: with one, memory would run out at the limit.
fn lock_memory() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to `limit`, which outlives the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0;
    if known && limit.rlim_cur == libc::RLIM_INFINITY {
        // SAFETY: changes how the kernel treats this process's pages, and nothing that Rust sees.
        let _ = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    }
}

/// What the calling thread does comes after what others of this process do, where there is not time for all: it has a third of their
/// share of a processor, and they interrupt it.
pub fn give_way() {
    const NICER_BY: libc::c_int = 5;
    // SAFETY: changes how the kernel schedules the calling thread (on Linux `0` is that, not the process), and nothing that
    // Rust sees.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness() + NICER_BY) };
}

/// How much the calling thread gives way.
pub fn niceness() -> i32 {
    // SAFETY: reads a number of the calling thread's.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// Asks for as many open files as the node may want, and refuses to start where even the fewest are not allowed: a node that runs out of
/// them is there and can't be called.
fn allow_files() -> Result<(), Failure> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to `limit`, which outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Ok(());
    }
    if limit.rlim_max < FILES_MIN {
        return Err(NodeRefusal::TooFewFiles { allowed: limit.rlim_max, least: FILES_MIN }.into());
    }
    if limit.rlim_cur < FILES_WANTED {
        limit.rlim_cur = limit.rlim_max.min(FILES_WANTED);
        // SAFETY: reads `limit`, and changes nothing but this process's own setting. It may go up to the hard limit.
        let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
    Ok(())
}

/// How many files this process may have open.
pub fn files_allowed() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to `limit`, which outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 { limit.rlim_cur } else { FILES_MIN }
}

/// Lets a write beyond the largest file that is allowed fail like one to a full disk, with words, instead of ending the process without.
pub fn survive_file_limits() {
    // SAFETY: no handler of ours is replaced, and an ignored signal runs none.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// A terminal, and how it was before something was asked there that must not be seen.
static TERMINAL: OnceLock<(File, libc::termios)> = OnceLock::new();

/// Puts the terminal back, then does what the signal does to a process without a handler.
extern "C" fn end_with_the_terminal_as_it_was(signal: libc::c_int) {
    if let Some((terminal, former)) = TERMINAL.get() {
        // SAFETY: reads `former`; a handler of a signal may call it (POSIX.1-2017, 2.4.3).
        unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, former) };
    }
    // SAFETY: touches no memory; the handler was taken out as it was called.
    unsafe { libc::raise(signal) };
}

/// Lets SIGTERM end the process with the terminal as it is at this moment, unless something else is done about it.
fn end_in_order(terminal: File) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of both; each call writes to or reads what it is given, which outlives it; the handler calls nothing
    // that a handler may not.
    unsafe {
        let mut former: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(terminal.as_raw_fd(), &raw mut former) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut action) != 0 {
            return Err(io::Error::last_os_error());
        }
        if action.sa_sigaction == libc::SIG_DFL && TERMINAL.set((terminal, former)).is_ok() {
            action.sa_sigaction = end_with_the_terminal_as_it_was as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_NODEFER;
            libc::sigaction(libc::SIGTERM, &raw const action, std::ptr::null_mut());
        }
    }
    Ok(())
}

/// Asks at a terminal, which Ctrl-C reaches as a key: it ends the process only once the terminal is as it was. So does SIGTERM.
///
/// # Errors
/// Those of `ask`.
pub fn interrupted_after<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // Where there is none nothing needs to be put back.
    let _ = File::open("/dev/tty").and_then(end_in_order);
    // SAFETY: no handler of ours is replaced, an ignored signal runs none, and the former disposition comes back.
    let former = unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    let answer = ask();
    // SAFETY: as above; raising a signal touches no memory.
    unsafe {
        libc::signal(libc::SIGINT, former);
        if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            libc::raise(libc::SIGINT);
        }
    }
    answer
}

/// Whether whoever started this process wants it to outlive its terminal (`nohup`).
#[must_use]
pub fn outlives_its_terminal() -> bool {
    // SAFETY: an all-zero `sigaction` is a valid one; the call writes to it, sets nothing, and it outlives the call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// The user that this process acts as.
#[must_use]
pub fn own_user() -> u32 {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// What this process takes of the machine's memory; 0 where the system does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    status_kib("VmRSS:") * 1024
}

/// Gives memory that was freed back to the system. The network counts what the process takes, and makes no connection while that is
/// much: a large import must not leave a node that nobody can reach.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the allocator takes its own lock, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Overwrites what calls that returned left on this thread's stack: keys were handed through them, and a move leaves a copy.
#[inline(never)]
pub fn clear_stack() {
    // Steps reach about 50 KiB down; a thread has 2 MiB.
    let mut left_over = [0_u8; 512 * 1024];
    std::hint::black_box(&mut left_over);
}

/// Whether what it takes is kept out of the swap.
#[must_use]
pub fn memory_is_locked() -> bool {
    status_kib("VmLck:") > 0
}

fn status_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_log_is_refused() {
        assert_eq!(refuse_key_log(true).unwrap_err().id, "node-secrets-would-be-logged");
        assert!(refuse_key_log(false).is_ok());
    }

    #[test]
    fn a_hardened_process_writes_no_core_and_is_not_dumpable() {
        keep_out_others().unwrap();
        let mut limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: the first reads a flag of this process, the second writes to `limit`, which outlives the call.
        let (dumpable, known) = unsafe {
            (libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0), libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit))
        };
        assert_eq!((dumpable, known, limit.rlim_cur, limit.rlim_max), (0, 0, 0, 0));
        // SAFETY: it takes a number and cannot fail; the answer is the mask that was set.
        assert_eq!(unsafe { libc::umask(0o077) }, 0o077, "files of libraries are the owner's alone too");
    }

    /// Tells a test that it is the child of itself.
    const CHILD: &str = "ALLOD_HYGIENE_TEST_CHILD";

    /// Runs a test of this module in a process of its own.
    fn alone(name: &str) -> std::process::Output {
        let us = std::env::current_exe().unwrap();
        let name = format!("daemon::hygiene::tests::{name}");
        let child = std::process::Command::new(us).args(["--exact", "--nocapture", &name]).env(CHILD, "1").output();
        let child = child.unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        child
    }

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_its_words() {
        if std::env::var_os(CHILD).is_some() {
            crate::daemon::logging::start();
            harden().unwrap();
            let _ = panic::catch_unwind(|| panic!("the value is {}", "canary"));
            return;
        }
        let child = alone("a_panic_is_logged_with_its_place_and_without_its_words");
        let log = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
        assert!(log.contains("a step of this program failed") && log.contains("hygiene.rs:"), "{log}");
        assert!(!log.contains("canary"), "{log}");
    }

    /// In a process of its own: other tests of this one take memory meanwhile, between the pieces too.
    #[test]
    #[cfg(target_env = "gnu")]
    fn memory_that_was_freed_in_small_pieces_is_given_back() {
        if std::env::var_os(CHILD).is_none() {
            alone("memory_that_was_freed_in_small_pieces_is_given_back");
            return;
        }
        // 51 MB, freed below one piece that stays.
        let pieces: Vec<Box<[u8; 512]>> = (0..100_000).map(|_| Box::new([1; 512])).collect();
        let last = Box::new([1_u8; 512]);
        let before = resident_bytes();
        drop(pieces);
        give_back_memory();
        let after = resident_bytes();
        drop(last);
        assert!(after + 40_000_000 < before, "{before} bytes became {after}");
    }

    #[test]
    fn the_process_knows_its_size() {
        assert!(resident_bytes() > 1024 * 1024);
    }
}
