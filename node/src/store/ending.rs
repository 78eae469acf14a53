//! A note that an engine leaves at a clean end, and takes away when it is opened again.
//!
//! Inside its own files an engine can't tell a log that ends from one that lost its end. The note lies beside them and holds one
//! number that the engine finds again, or else is damaged. After an unclean end there is none. It is written twice in one line:
//! a note that contradicts itself is no note.

use std::fs;
use std::io;
use std::path::Path;

use super::home::{self, Place};

const FILE: &str = "ended";

/// Notes a clean end at `number`, unless the path leads to another directory by now: there the note would be a lie.
pub(super) fn leave(place: &Place, number: u64) -> io::Result<()> {
    if !place.is_kept() {
        return Ok(());
    }
    home::replace_file(&place.dir().join(FILE), format!("{number} {number}\n").as_bytes())
}

/// The number of the last end, if that was clean.
pub(super) fn read(dir: &Path) -> io::Result<Option<u64>> {
    let text = match fs::read(dir.join(FILE)) {
        Ok(text) => String::from_utf8(text).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut numbers = text.split_whitespace().map(|word| word.parse().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(first)), Some(Some(second)), None) if first == second => Ok(Some(first)),
        _ => Ok(None),
    }
}

/// Takes the note away, durably: what is written from here on may end otherwise.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => home::sync_directory(dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_until_it_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        leave(&Place::of(dir.path()).unwrap(), 12).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(12));
        remove(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        remove(dir.path()).unwrap();
    }

    #[test]
    fn a_note_that_contradicts_itself_is_none() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "12", "12 13", "12 12 12", "x x", "\u{0}"] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(read(dir.path()).unwrap(), None, "{text}");
        }
    }
}
