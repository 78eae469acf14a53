//! What a run leaves to be compared and read: a digest over all that happened, and, if wanted, lines in words.

use allod_crypto::sha256;

/// The record of one run.
#[derive(Default)]
pub struct Trace {
    digest: [u8; 32],
    lines: Option<Vec<String>>,
    shown: bool,
}

impl Trace {
    /// From here on, keeps lines as well.
    pub fn keep_lines(&mut self) {
        self.lines.get_or_insert_with(Vec::new);
    }

    /// From here on, prints each line at once.
    pub fn show_lines(&mut self) {
        self.shown = true;
        self.keep_lines();
    }

    /// Whether anybody reads lines: whoever makes them at some cost asks first.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.lines.is_some()
    }

    /// Something happened: `parts` are all its bytes.
    pub fn note(&mut self, at_us: u64, parts: &[&[u8]]) {
        let at = at_us.to_le_bytes();
        let mut all: Vec<&[u8]> = vec![&self.digest, &at];
        all.extend(parts);
        self.digest = sha256(&all);
    }

    /// The same in words.
    pub fn say(&mut self, at_us: u64, words: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let line = format!("{} {}", clock(at_us), words());
            if self.shown {
                println!("{line}");
            }
            lines.push(line);
        }
    }

    /// A hash over all that was noted.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

/// `1d 02:03:04.005678`
#[must_use]
pub fn clock(at_us: u64) -> String {
    let seconds = at_us / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{days}d {hours:02}:{minutes:02}:{:02}.{:06}", seconds % 60, at_us % 1_000_000)
}
