//! What stands in another process's memory: what a thief would find who may read it.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
};

/// All that a process can write to, as it was at one moment.
pub struct Memory(Vec<(String, u64, Vec<u8>)>);

impl Memory {
    /// `None` if we may not look.
    #[must_use]
    pub fn of(process: u32) -> Option<Self> {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
        let mut memory = fs::File::open(format!("/proc/{process}/mem")).ok()?;
        let mut parts = Vec::new();
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
            if !rest.starts_with("rw") {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(to - from).ok()?];
            // What is reserved and was never touched does not read.
            if memory.seek(SeekFrom::Start(from)).is_ok() && memory.read_exact(&mut bytes).is_ok() {
                parts.push((line.to_owned(), from, bytes));
            }
        }
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// Where each of these stands.
    ///
    /// # Panics
    /// If one is shorter than eight bytes: anything that short is there by chance.
    #[must_use]
    pub fn places_of(&self, needles: &[Vec<u8>]) -> Vec<Vec<String>> {
        // Most places are ruled out by their first two bytes.
        let mut begins = vec![Vec::new(); 1 << 16];
        for (number, needle) in needles.iter().enumerate() {
            assert!(needle.len() >= 8, "it is there by chance");
            begins[usize::from(needle[0]) << 8 | usize::from(needle[1])].push(number);
        }
        let mut found = vec![Vec::new(); needles.len()];
        for (line, from, bytes) in &self.0 {
            for (place, two) in bytes.windows(2).enumerate() {
                for number in &begins[usize::from(two[0]) << 8 | usize::from(two[1])] {
                    if bytes[place..].starts_with(&needles[*number]) {
                        found[*number].push(format!("{:#x} in {line}", from + place as u64));
                    }
                }
            }
        }
        found
    }
}
