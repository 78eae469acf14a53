//! Both clocks of the machine, read together: the only place of the daemon that asks for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use allod_protocol::time::{Now, Timestamp};

use super::failure::{Failure, NodeRefusal};

/// Refuses a wall clock before 1970: TLS, libp2p and sled panic then.
///
/// # Errors
/// The failure to show.
pub(super) fn confirm() -> Result<(), Failure> {
    if SystemTime::now() < UNIX_EPOCH { Err(NodeRefusal::ClockBefore1970 {}.into()) } else { Ok(()) }
}

/// The machine's clocks, from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    /// Begins to count.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Both readings. A wall clock before 1970 reads as 1970: the engine then refuses what is dated later.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Now { wall, running: self.began.elapsed() }
    }
}
