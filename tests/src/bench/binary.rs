//! W10: the binary as it is shipped.

use std::fs;

use super::measure::{line, verdict};

/// Where `cargo build --profile dist` puts it.
const BINARY: &str = "target/dist/allod";

/// Measures and prints.
pub fn run() {
    match fs::metadata(BINARY) {
        Ok(metadata) => {
            let megabytes = metadata.len() as f64 / 1e6;
            let reached = verdict(&[(megabytes, 25.0)]);
            line("W10 stripped binary", "", format_args!("{megabytes:.1} MB  goal 25 MB: {reached}"));
        }
        Err(_) => line("W10 stripped binary", "", format_args!("not here: cargo build --profile dist")),
    }
}
