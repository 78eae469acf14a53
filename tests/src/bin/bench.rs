//! `cargo run --release -p allod-tests --bin bench [W1 W2 ...]`

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        // Memory and starts are measured in a process of their own: the benchmark starts itself for that.
        Some((first, rest)) if first == allod_tests::bench::memory::CHILD => allod_tests::bench::memory::child(rest),
        Some((first, rest)) if first == allod_tests::bench::start::CHILD => allod_tests::bench::start::child(rest),
        _ => allod_tests::bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
