//! The command line as a process, against a node that answers from a script: what it asks, what it prints, how it ends.

mod asking;
mod failures;
mod fake;
mod goldens;
mod streams;
