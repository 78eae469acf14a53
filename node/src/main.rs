//! The program `allod`. Everything it does is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    allod_node::cli::main()
}
