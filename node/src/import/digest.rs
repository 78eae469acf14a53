//! Digests of what a record holds, from which ids are made and equal records are told.

use sha2::{Digest as _, Sha256};

use crate::json::Members;

/// A digest under way. Every part is preceded by its length, so that two cells never read as one.
pub(super) struct Content(Sha256);

impl Content {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// A JSON value, its members in order of name.
    pub(super) fn json(&mut self, json: &serde_json::Value) {
        match json {
            serde_json::Value::Array(items) => {
                self.part(format!("[{}", items.len()).as_bytes());
                items.iter().for_each(|item| self.json(item));
            }
            serde_json::Value::Object(members) => self.members(members),
            scalar => self.part(scalar.to_string().as_bytes()),
        }
    }

    /// The members of a JSON object, in order of name.
    pub(super) fn members(&mut self, members: &Members) {
        self.part(format!("{{{}", members.len()).as_bytes());
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        for (name, member) in sorted {
            self.part(name.as_bytes());
            self.json(member);
        }
    }

    pub(super) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// What stands for a record's content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Twelve digits: among a million records of one day, two share them once in 560 files, and then the second gets a number.
    pub(super) fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..6])
    }
}
