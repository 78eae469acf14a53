//! What the documents show is what happens: each block of commands in the README is run, in order, as a reader would.

use std::process::Command;

use allod_tests::process::{binary, root};

/// All blocks of this language, in order.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in document.lines() {
        match &mut block {
            None if line == fence => block = Some(String::new()),
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

#[test]
fn the_readmes_tour_runs_as_it_stands() {
    let tools = ["bash", "curl", "timeout"];
    let missing = tools.iter().find(|tool| Command::new(tool).arg("--version").output().is_err());
    if let Some(tool) = missing {
        println!("skipped: {tool} is not installed");
        return;
    }
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README reads");
    let blocks = blocks(&readme, "sh");
    assert!(blocks.len() >= 8, "{} blocks of commands", blocks.len());
    let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}", blocks.concat());
    let place = tempfile::tempdir().expect("a temporary directory");
    let built = binary().parent().expect("it lies in a directory");
    let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(place.path())
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("ALLOD_HOME")
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the tour ended with {}:\n{said}\n{complained}", output.status);
    assert!(said.contains("All ") && said.contains("hold together"), "the log was not verified:\n{said}");
}
