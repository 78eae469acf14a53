//! W10: the binary, stripped: of the one profile, which lies beside this program, and as it is shipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::{line, verdict};
use super::node::Dir;

/// Where `cargo build --profile dist` puts it.
const SHIPPED: &str = "target/dist/allod";

/// Measures and prints.
pub fn run() {
    let beside = std::env::current_exe().ok().and_then(|here| Some(here.parent()?.join("allod")));
    for (heading, binary) in [("release", beside), ("dist", Some(PathBuf::from(SHIPPED)))] {
        let heading = format!("W10 binary of {heading}, stripped");
        match binary.as_deref().and_then(stripped_bytes) {
            Some(bytes) => {
                let megabytes = bytes as f64 / 1e6;
                let reached = verdict(&[(megabytes, 25.0)]);
                line(&heading, "", format_args!("{megabytes:.1} MB  goal 25 MB: {reached}"));
            }
            None => line(&heading, "", format_args!("not here, or no `strip` on this system")),
        }
    }
}

fn stripped_bytes(binary: &Path) -> Option<u64> {
    let dir = Dir::new();
    let small = dir.at("allod");
    let stripped = Command::new("strip").arg("-o").arg(&small).arg(binary).output().ok()?;
    stripped.status.success().then(|| std::fs::metadata(&small).ok())?.map(|metadata| metadata.len())
}
