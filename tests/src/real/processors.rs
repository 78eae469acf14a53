//! On which processors a thread may run, and what it starts from then on: attackers and attacked apart.

#![allow(unsafe_code, reason = "the standard library knows nothing of processors")]

/// The processors that this thread had; it has them again at the end.
pub struct Processors(libc::cpu_set_t);

impl Processors {
    /// Those of this thread.
    #[must_use]
    pub fn now() -> Self {
        // SAFETY: a set of processors is plain bits, of which all zero is a value; the call writes it and nothing else.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
            Self(set)
        }
    }

    /// Keeps this thread, and what it starts from now on, on one of them. False if the machine does not have it.
    pub fn only(&self, processor: usize) -> bool {
        // SAFETY: as in `now`; `set` is changed within its bounds, and the call reads it and changes this thread alone.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(processor, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) == 0
        }
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        // SAFETY: the call reads the set and changes this thread alone.
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.0) };
    }
}

impl std::fmt::Debug for Processors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processors").finish_non_exhaustive()
    }
}
