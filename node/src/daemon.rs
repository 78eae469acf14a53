//! The daemon's front door, as the command line sees it.

use std::{
    io,
    path::{Path, PathBuf},
};

use allod_protocol::command::NodeKind;
use zeroize::Zeroizing;

pub mod failure;

pub use failure::Failure;

/// How the daemon is started.
pub struct RunOptions {
    pub home: PathBuf,
    pub listen: Vec<String>,
    pub passphrase_file: Option<PathBuf>,
    /// Asks a person, where there is one.
    pub prompt: Option<Prompt>,
    pub json: bool,
}

/// Asks a person at a terminal; handed in by the command line, which knows whether there is one.
pub type Prompt = Box<dyn FnOnce() -> io::Result<Zeroizing<String>> + Send>;

/// What ended a node that ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// `stop`.
    Asked,
    /// The system.
    Terminated,
    /// Ctrl-C.
    Interrupted,
}

/// How a home is made.
pub struct InitOptions {
    pub home: PathBuf,
    pub name: Option<String>,
    pub kind: NodeKind,
    pub passphrase: Option<Zeroizing<String>>,
}

/// What a new home shows once.
pub struct Initialised {
    pub node: String,
    pub name: String,
    pub phrase: Zeroizing<String>,
}

/// Runs the node until it is told to stop.
///
/// # Errors
/// Why it did not start, or had to stop.
pub async fn run(options: RunOptions) -> Result<Farewell, Failure> {
    Err(failure::NodeRefusal::NoHome { home: options.home.display().to_string() }.into())
}

/// Makes a home.
///
/// # Errors
/// Why it was not made.
pub fn init(options: InitOptions) -> Result<Initialised, Failure> {
    Err(failure::NodeRefusal::HomeExists { home: options.home.display().to_string() }.into())
}

/// Gives the vault of a home in which no node runs a new passphrase, or none; the recovery phrase opens it.
///
/// # Errors
/// Why it was not changed.
pub fn new_passphrase(home: &Path, _phrase: &str, _new: Option<Zeroizing<String>>) -> Result<(), Failure> {
    Err(failure::NodeRefusal::NoVault { home: home.display().to_string() }.into())
}

/// What can be checked of a home in which no node runs: `{"checks":[{"name","ok","detail","try"}]}`.
#[must_use]
pub fn doctor(home: &Path) -> serde_json::Value {
    let there = home.join("vault").exists();
    serde_json::json!({ "checks": [{
        "name": "home", "ok": there, "detail": home.display().to_string(), "try": "allod init",
    }] })
}
