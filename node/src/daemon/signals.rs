//! The signals that end a node: SIGTERM and SIGHUP from the system, SIGINT from the keyboard. A second SIGINT does not wait.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Farewell;

/// The exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: i32 = 130;

/// The signals, listened to from now on.
pub struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The first of them. After that a SIGINT ends the process where it stands: what was acknowledged is durable.
    pub async fn first(mut self) -> Farewell {
        let farewell = tokio::select! {
            _ = self.terminate.recv() => Farewell::Terminated,
            _ = self.hang_up.recv() => Farewell::Terminated,
            _ = self.interrupt.recv() => Farewell::Interrupted,
        };
        tokio::spawn(async move {
            self.interrupt.recv().await;
            std::process::exit(INTERRUPTED);
        });
        farewell
    }
}
