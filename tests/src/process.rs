//! Real nodes, driven from outside: the release binary, its commands and its control socket, and nothing else.
//!
//! A [`World`] is a directory and a loopback address of its own, so that any number of tests run beside each other. It makes
//! [`Node`]s; a node runs commands (`does`, `items`, `refused`) and is started, stopped and killed. What goes on beside a command, such
//! as an invitation that waits, is a [`Running`]. Everything ends with the world.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

pub mod canary;
pub mod control;
pub mod memory;
pub mod namespace;
pub mod node;
pub mod outcome;
pub mod pairing;
pub mod raw_store;
pub mod running;
pub mod terminal;
pub mod words;
pub mod world;

pub use self::{
    node::Node,
    outcome::{Outcome, Refused},
    pairing::{Paired, pair},
    running::Running,
    world::{Engine, World},
};

/// The project's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project")
}

/// Cargo, as if a person had called it: what it tells the tests that it runs would make it build ring and all that needs it anew.
#[must_use]
pub fn cargo() -> Command {
    const TOLD: [&str; 5] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| TOLD.iter().any(|told| name.starts_with(told))) {
            command.env_remove(name);
        }
    }
    command
}

/// The release binary; built if need be, once.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let status = cargo()
            .args(["build", "--release", "--bin", "allod", "--quiet"])
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binary does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        target.join("release/allod")
    })
}

/// Whether a program is there; says what is skipped if not.
#[must_use]
pub fn has_tool(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|directory| directory.join(tool).is_file());
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

/// What `check` finds as soon as it finds something, looked for until the time is over.
///
/// # Panics
/// When it did not happen in that time.
pub fn eventually<T>(what: &str, seconds: u64, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: did not happen within {seconds} s");
        thread::sleep(Duration::from_millis(25));
    }
}

/// Waits until it is so.
///
/// # Panics
/// When it did not become so in that time.
pub fn until(what: &str, seconds: u64, mut check: impl FnMut() -> bool) {
    eventually(what, seconds, || check().then_some(()));
}
