//! A call into an engine that may panic over a damaged file, and the end of an engine that has failed.
//!
//! Engines assert what a sound file guarantees, so that damage shows as a panic, on our thread or on one of theirs. [`Health`]
//! turns it into a [`StoreFault`] and keeps the first one: whatever is asked later gets the same answer, since what an engine
//! holds in memory after a failure is not what the disk holds. The words of such a panic stay out of the log, for they may quote
//! keys and rows; the fault names the place in the engine's source instead.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

use allod_protocol::store::StoreFault;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Threads that sled starts are named so.
const SLED_THREADS: &str = "sled-";

/// Whether the engine still deserves belief, and the only way to call it.
#[derive(Debug, Default)]
pub(super) struct Health {
    fault: OnceCell<StoreFault>,
}

impl Health {
    /// Runs `call` unless an earlier one failed.
    pub(super) fn run<T>(&self, call: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        if let Some(fault) = self.fault.get() {
            return Err(fault.clone());
        }
        caught(call).inspect_err(|fault| {
            let _ = self.fault.set(fault.clone());
        })
    }

    /// A call failed.
    pub(super) fn has_failed(&self) -> bool {
        self.fault.get().is_some()
    }
}

/// Runs `call`; a panic in it is damage, and silent.
pub(super) fn caught<T>(call: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
    silence_engines();
    let outside = INSIDE.replace(true);
    PLACE.take();
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    INSIDE.set(outside);
    result.unwrap_or_else(|_| {
        let place = PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
        Err(StoreFault::Damaged { detail: format!("the engine gave up at {place}") })
    })
}

/// Puts a hook before the present one, once: it swallows what engines say, and passes on the rest.
fn silence_engines() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let engines_thread = thread::current().name().is_some_and(|name| name.starts_with(SLED_THREADS));
            if !engines_thread && !INSIDE.get() {
                return others(info);
            }
            PLACE.replace(info.location().map(|place| {
                let file = place.file().rsplit('/').next().unwrap_or_default();
                format!("{file}:{}", place.line())
            }));
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_damage_that_names_the_place_and_not_the_words() {
        let fault = caught::<()>(|| panic!("a secret word")).unwrap_err();
        let StoreFault::Damaged { detail } = fault else { panic!("{fault:?}") };
        assert!(detail.contains("caught.rs:"), "{detail}");
        assert!(!detail.contains("secret"), "{detail}");
    }

    #[test]
    fn after_one_fault_nothing_else_is_answered() {
        let health = Health::default();
        assert_eq!(health.run(|| Ok(1)), Ok(1));
        assert_eq!(health.run::<u8>(|| Err(StoreFault::Full)), Err(StoreFault::Full));
        assert!(health.has_failed());
        assert_eq!(health.run(|| Ok(1)), Err(StoreFault::Full));
    }
}
