//! Threads for work that strangers, and callers that dawdle, can make as much of as they like. Where there is not time for all, what the
//! owner asked for comes first: the system gives these threads what the others leave, and a share.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use super::hygiene;

/// A long piece of work of one connection keeps no other from its turn.
const THREADS: usize = 2;

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub struct Background(Option<Runtime>);

impl Background {
    /// Starts them.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("background")
            .on_thread_start(hygiene::give_way)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where to spawn what may wait.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until this is dropped").handle()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Whoever drops this may be a task, which must not wait for others.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::hygiene::niceness, *};

    #[tokio::test]
    async fn what_runs_in_the_background_gives_way_and_nothing_else_does() {
        let before = niceness();
        let background = Background::start().unwrap();
        // Nothing gives way more than the most.
        assert_eq!(background.handle().spawn(async { niceness() }).await.unwrap() > before, before < 19);
        assert_eq!(niceness(), before);
    }
}
