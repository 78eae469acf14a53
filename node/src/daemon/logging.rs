//! What the daemon writes about itself, on stderr: that something happened, never a value, a path, an address or a name.
//!
//! Only our own words come through: the libraries beneath log peer ids and addresses. `ALLOD_LOG` chooses how much (`error`, `warn`, `info`,
//! `debug`, `trace`); nothing at any level is secret.

use tracing_subscriber::{EnvFilter, fmt::time::SystemTime};

/// The variable that chooses the level.
pub const LEVEL: &str = "ALLOD_LOG";

/// Starts logging, once per process.
pub fn start() {
    let wanted = std::env::var(LEVEL).unwrap_or_default();
    let level = wanted.parse::<tracing::Level>().unwrap_or(tracing::Level::INFO);
    let filter = EnvFilter::new(format!("off,allod_node={level},allod_protocol={level}"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_timer(SystemTime)
        .with_target(false)
        .finish();
    // A second start in one process (tests) keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
