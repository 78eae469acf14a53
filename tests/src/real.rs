//! Faults done on purpose to the real binary: kills, power cuts, full and broken disks, damage, clocks, hostile peers, bad networks.
//!
//! A [`process::Node`] is the release binary in a home of its own, driven through its control socket alone by [`api::Api`]. What it
//! acknowledges is noted outside it in an [`oracle::Oracle`], which knows after any fault what must still be there, what may be
//! there, and what must never come back. Each other module does one family of faults, in a short form and in a long one, prints
//! what it did, and says what it found as [`Findings`]: none is a pass, unless it was noted as [`LeftOut`].

pub mod api;
pub mod clock;
pub mod damage;
pub mod dice;
pub mod disk;
pub mod filled;
pub mod hints;
pub mod hostile;
pub mod kill;
pub mod network;
pub mod oracle;
pub mod pairing;
pub mod power;
pub mod process;
pub mod processors;
pub mod raw;
pub mod relay;
pub mod scanners;
pub mod workload;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// The engines that hold the same tests.
pub const ENGINES: [&str; 2] = ["sled", "redb"];

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In every check of a change, on two cores.
    Short,
    /// Overnight.
    Soak,
}

impl Form {
    /// The number for this form.
    #[must_use]
    pub const fn pick(self, short: usize, soak: usize) -> usize {
        match self {
            Self::Short => short,
            Self::Soak => soak,
        }
    }
}

/// How faults are run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub form: Form,
    pub seed: u64,
    /// The binary.
    pub exe: PathBuf,
    /// Where homes are made, and kept if something was found.
    pub dir: PathBuf,
    pub engines: Vec<String>,
    /// In place of the form's own number of rounds.
    pub rounds: Option<usize>,
    /// The one attack of `hostile` to make, instead of all.
    pub attack: Option<String>,
    /// What could not be done here, and why.
    pub left_out: LeftOut,
}

/// What could not be done here: none of it is a pass.
#[derive(Clone, Debug, Default)]
pub struct LeftOut(Arc<Mutex<Vec<(Extent, String)>>>);

/// How much of a family could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    Part,
}

impl LeftOut {
    /// Notes what could not be done, and why.
    pub fn note(&self, extent: Extent, why: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((extent, why.into()));
    }

    /// What was noted since the last look.
    #[must_use]
    pub fn take(&self) -> Vec<(Extent, String)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plan {
    /// The number of rounds.
    #[must_use]
    pub fn rounds(&self, short: usize, soak: usize) -> usize {
        self.rounds.unwrap_or(self.form.pick(short, soak))
    }

    /// The engines of a family that takes one of them in its short form, and all in its long one.
    #[must_use]
    pub fn engines_of_its_form(&self) -> &[String] {
        &self.engines[..self.form.pick(1.min(self.engines.len()), self.engines.len())]
    }
}

/// What went wrong, a sentence each.
pub type Findings = Vec<String>;

/// Whether this process may mount, make namespaces and trace others.
#[must_use]
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// Whether a program is at hand.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir| dir.join(name).is_file())
}
