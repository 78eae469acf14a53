//! `cargo run --release -p allod-tests --bin timing [SAMPLES]`: whether times tell what they should not (docs/SECURITY.md).

use std::process::ExitCode;

/// Enough for a difference of a few nanoseconds on a quiet machine.
const SAMPLES: usize = 100_000;

fn main() -> ExitCode {
    let samples = match std::env::args().nth(1).map(|text| text.parse()) {
        None => SAMPLES,
        Some(Ok(samples)) => samples,
        Some(Err(_)) => {
            eprintln!("usage: timing [SAMPLES]");
            return ExitCode::from(2);
        }
    };
    if allod_tests::timing::run(samples) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
