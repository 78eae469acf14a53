//! The signals that end a node or a command: SIGTERM and SIGHUP from the system, SIGINT from the keyboard. For a node a second SIGINT
//! does not wait. A SIGHUP that was ignored before the program started (`nohup`) stays ignored.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Farewell, hygiene};

/// The exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: i32 = 130;

/// Which of them it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Terminate,
    HangUp,
    Interrupt,
}

/// The signals, listened to from now on.
pub struct Signals {
    terminate: Signal,
    hang_up: Option<Signal>,
    interrupt: Signal,
}

impl Signals {
    /// Listens. From here on a signal no longer ends the process by itself.
    ///
    /// # Errors
    /// The system would not have it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: if hygiene::outlives_its_terminal() { None } else { Some(signal(SignalKind::hangup())?) },
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next of them.
    pub async fn next(&mut self) -> Told {
        let hung_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Told::Terminate,
            _ = hung_up => Told::HangUp,
            _ = self.interrupt.recv() => Told::Interrupt,
        }
    }

    /// What a node does at the first. After that a SIGINT ends the process where it stands: what was acknowledged is durable.
    pub async fn farewell(mut self) -> Farewell {
        let told = self.next().await;
        tokio::spawn(async move {
            self.interrupt.recv().await;
            std::process::exit(INTERRUPTED);
        });
        match told {
            Told::Terminate | Told::HangUp => Farewell::Terminated,
            Told::Interrupt => Farewell::Interrupted,
        }
    }
}
