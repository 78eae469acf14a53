//! Room on the disk. The last of it is kept for what the owner does: whoever is paired could fill the disk otherwise, and a node whose
//! disk is full ends, and takes nothing back any more.

use std::path::Path;

use super::limits::{ROOM_KEPT_MAX_BYTES, ROOM_KEPT_MIN_BYTES, ROOM_KEPT_SHARE};

/// The disk under a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free_bytes: u64,
    pub whole_bytes: u64,
}

impl Space {
    /// The space under this directory; `None` if the system does not tell.
    #[must_use]
    pub fn under(dir: &Path) -> Option<Self> {
        let told = rustix::fs::statvfs(dir).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Some(Self { free_bytes: bytes(told.f_bavail), whole_bytes: bytes(told.f_blocks) })
    }

    /// What is kept for the owner. Nothing, where the file system tells no size.
    #[must_use]
    pub fn kept_bytes(self) -> u64 {
        let share = self.whole_bytes / ROOM_KEPT_SHARE;
        if share == 0 { 0 } else { share.clamp(ROOM_KEPT_MIN_BYTES, ROOM_KEPT_MAX_BYTES) }
    }

    /// Nothing of others is taken.
    #[must_use]
    pub fn is_short(self) -> bool {
        self.free_bytes < self.kept_bytes()
    }
}

/// What the engine knows of the room on its disk.
pub struct Room {
    look: Box<dyn Fn() -> Option<Space> + Send>,
    /// What the engine was told.
    is_short: bool,
}

impl Room {
    /// The room that `look` sees. A system that tells nothing has room.
    #[must_use]
    pub fn new(look: impl Fn() -> Option<Space> + Send + 'static) -> Self {
        Self { look: Box::new(look), is_short: false }
    }

    /// Another engine begins, which believes that there is room.
    pub fn begin(&mut self) {
        self.is_short = false;
    }

    /// The engine knows that there is none: it has to be looked at also while nothing comes in.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// What the engine is to be told, if that changed.
    pub fn news(&mut self) -> Option<bool> {
        let space = (self.look)();
        let is_short = space.is_some_and(Space::is_short);
        if is_short == self.is_short {
            return None;
        }
        self.is_short = is_short;
        let free_bytes = space.map_or(0, |space| space.free_bytes);
        if is_short {
            tracing::warn!(free_bytes, "the disk is nearly full: what others send is not taken");
        } else {
            tracing::info!(free_bytes, "the disk has room again");
        }
        Some(is_short)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use super::*;

    #[test]
    fn a_twentieth_of_the_disk_is_kept_within_bounds() {
        let space = |free_bytes, whole_bytes| Space { free_bytes, whole_bytes };
        assert_eq!(space(0, 4 << 20).kept_bytes(), ROOM_KEPT_MIN_BYTES);
        assert_eq!(space(0, 2 << 30).kept_bytes(), (2 << 30) / 20);
        assert_eq!(space(0, 1 << 40).kept_bytes(), ROOM_KEPT_MAX_BYTES);
        assert!(!space(ROOM_KEPT_MAX_BYTES, 1 << 40).is_short());
        assert!(space(ROOM_KEPT_MAX_BYTES - 1, 1 << 40).is_short());
        assert!(!space(0, 0).is_short(), "a file system that tells no size");
    }

    #[test]
    fn each_engine_is_told_once() {
        let free = Arc::new(AtomicU64::new(1 << 39));
        let seen = Arc::clone(&free);
        let look = move || Some(Space { free_bytes: seen.load(Relaxed), whole_bytes: 1 << 40 });
        let mut room = Room::new(look);
        assert_eq!(room.news(), None);
        free.store(1, Relaxed);
        assert_eq!((room.news(), room.news()), (Some(true), None));
        room.begin();
        assert_eq!(room.news(), Some(true));
        free.store(1 << 39, Relaxed);
        assert_eq!((room.news(), room.is_short()), (Some(false), false));
    }

    #[test]
    fn the_space_under_a_directory_is_told() {
        let outside = tempfile::tempdir().unwrap();
        let space = Space::under(outside.path()).unwrap();
        assert!(space.whole_bytes > space.free_bytes && space.free_bytes > 0);
        assert_eq!(Space::under(&outside.path().join("nowhere")), None);
    }
}
