//! A command at a terminal: `script` of util-linux lends it one.

use std::process::Command;

use super::{Node, Running, has_tool, words::words};

/// Starts a line at a terminal of 80 columns; nothing if there is no `script`.
#[must_use]
pub fn at_terminal(node: &Node, line: &str) -> Option<Running> {
    shell(&format!("exec env --default-signal=INT {}", in_shell(node, line)))
}

/// A line as a shell takes it.
#[must_use]
pub fn in_shell(node: &Node, line: &str) -> String {
    let words = words(line);
    let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    let plain = node.command(&arguments);
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    let typed: Vec<String> = std::iter::once(plain.get_program()).chain(plain.get_args()).map(quoted).collect();
    typed.join(" ")
}

/// Starts what a shell takes at a terminal; nothing if there is no `script`.
#[must_use]
pub fn shell(line: &str) -> Option<Running> {
    if !has_tool("script") {
        return None;
    }
    let mut command = Command::new("script");
    let line = format!("stty cols 100 rows 60; {line}");
    command.args(["-qefc", &line, "/dev/null"]);
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("TERM", "xterm").env_remove("ALLOD_HOME");
    Some(Running::start(&mut command))
}
