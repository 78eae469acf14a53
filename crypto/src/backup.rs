//! A backup file: a header that anybody can check, then parts that the recovery phrase opens.
//!
//! ```text
//! header = "ALLODBAK" ‖ version:u16 ‖ id:16 ‖ sealed nothing:75 ‖ SHA256(all before):32
//! part   = length:u32 ‖ sealed
//! ```
//! All is sealed under the owner's backup key. The header seals nothing but the id, so that the words of another home are told from a
//! file that was changed. Each part is bound to the id, to its place and to whether it is the last: parts that were cut off, exchanged,
//! repeated, or taken from another backup do not open. What the parts hold is their caller's business; nothing here touches a file.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::key::{SecretKey, ct_eq, sha256};
use crate::limits::{BACKUP_PART_MAX_BYTES, SEAL_CHUNK_BYTES};
use crate::phrase::Phrase;
use crate::seal::{Aad, Domain, OpenError, Padding, SEAL_OVERHEAD_BYTES, open, seal, seal_behind};

const MAGIC: &[u8; 8] = b"ALLODBAK";
const VERSION: u16 = 1;
const HASH_BYTES: usize = 32;
const UNHASHED_BYTES: usize = 8 + 2 + 16 + SEAL_OVERHEAD_BYTES;

/// The length of the header. It has the same shape in every later version, so that an old program can name a newer file.
pub const BACKUP_HEADER_BYTES: usize = UNHASHED_BYTES + HASH_BYTES;
/// The longest sealed part: beside the seal's own bytes, one tag for each chunk after the first.
pub const BACKUP_SEALED_MAX_BYTES: usize =
    BACKUP_PART_MAX_BYTES + SEAL_OVERHEAD_BYTES + (BACKUP_PART_MAX_BYTES / SEAL_CHUNK_BYTES - 1) * 16;

/// Which part of a backup this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartPlace {
    /// More follow.
    Inner,
    /// The last one.
    Last,
}

/// Why a file is not read as a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    #[error("this is no backup")]
    NoBackup,
    #[error("the backup is damaged")]
    Damaged,
    #[error("the backup has version {version}, which is newer than this program")]
    Newer { version: u16 },
}

/// A backup that is being written.
pub struct BackupSealer {
    key: SecretKey,
    id: [u8; 16],
    next: u64,
}

impl BackupSealer {
    /// Begins one; the bytes are its header.
    pub fn begin(key: SecretKey, dice: &mut dyn CryptoRng) -> (BackupSealer, Vec<u8>) {
        let mut id = [0; 16];
        dice.fill_bytes(&mut id);
        let mut header = Vec::with_capacity(BACKUP_HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&id);
        header.extend_from_slice(&seal(&key, Domain::Backup, &header_aad(&id), &[], Padding::None, dice));
        let hash = sha256(&[&header]);
        header.extend_from_slice(&hash);
        (BackupSealer { key, id, next: 0 }, header)
    }

    /// The next part, with its length in front.
    ///
    /// # Panics
    /// If the plaintext is longer than [`BACKUP_PART_MAX_BYTES`].
    pub fn part(&mut self, plaintext: &[u8], place: PartPlace, dice: &mut dyn CryptoRng) -> Vec<u8> {
        assert!(plaintext.len() <= BACKUP_PART_MAX_BYTES, "a part of {} bytes", plaintext.len());
        let aad = part_aad(&self.id, self.next, place);
        self.next += 1;
        let mut part = seal_behind(&[0; 4], &self.key, Domain::Backup, &aad, plaintext, Padding::None, dice);
        let length = u32::try_from(part.len() - 4).expect("a part is far shorter than 4 GiB");
        part[..4].copy_from_slice(&length.to_le_bytes());
        part
    }
}

impl fmt::Debug for BackupSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupSealer(..)")
    }
}

/// The header of a backup that was read and not opened yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupHeader {
    id: [u8; 16],
    sealed: [u8; SEAL_OVERHEAD_BYTES],
}

impl BackupHeader {
    /// Reads what a file begins with: [`BACKUP_HEADER_BYTES`], or fewer if it has no more.
    ///
    /// # Errors
    /// [`BackupError`] if it is no backup, or one that this program cannot read.
    pub fn read(bytes: &[u8]) -> Result<BackupHeader, BackupError> {
        if !bytes.starts_with(MAGIC) {
            return Err(BackupError::NoBackup);
        }
        let bytes = bytes.first_chunk::<BACKUP_HEADER_BYTES>().ok_or(BackupError::Damaged)?;
        let (said, hash) = bytes.split_at(UNHASHED_BYTES);
        if !ct_eq(&sha256(&[said]), hash) {
            return Err(BackupError::Damaged);
        }
        let version = u16::from_le_bytes([said[8], said[9]]);
        if version > VERSION {
            return Err(BackupError::Newer { version });
        }
        let sealed = said[26..].first_chunk().ok_or(BackupError::Damaged)?;
        let id = said[10..].first_chunk().ok_or(BackupError::Damaged)?;
        Ok(BackupHeader { id: *id, sealed: *sealed })
    }

    /// Opens the backup.
    ///
    /// # Errors
    /// [`OpenError`] if the phrase is another home's.
    pub fn open(&self, phrase: &Phrase) -> Result<BackupOpener, OpenError> {
        let key = phrase.backup_key();
        open(&key, Domain::Backup, &header_aad(&self.id), &self.sealed, Padding::None)?;
        Ok(BackupOpener { key, id: self.id, next: 0 })
    }
}

/// A backup that is being read.
pub struct BackupOpener {
    key: SecretKey,
    id: [u8; 16],
    next: u64,
}

impl BackupOpener {
    /// Opens the next part, without the length in front of it.
    ///
    /// # Errors
    /// [`OpenError`] if it was changed, or is not the one that belongs there.
    pub fn part(&mut self, sealed: &[u8], place: PartPlace) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let plaintext = open(&self.key, Domain::Backup, &part_aad(&self.id, self.next, place), sealed, Padding::None)?;
        self.next += 1;
        Ok(plaintext)
    }
}

impl fmt::Debug for BackupOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupOpener(..)")
    }
}

fn header_aad(id: &[u8; 16]) -> Vec<u8> {
    Aad::new(b"backup-header").id(id).finish()
}

fn part_aad(id: &[u8; 16], index: u64, place: PartPlace) -> Vec<u8> {
    Aad::new(b"backup-part").id(id).u64(index).u8(u8::from(place == PartPlace::Last)).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;

    fn phrase(seed: u64) -> Phrase {
        Phrase::random(&mut SeededDice::new(seed))
    }

    /// A header, and its parts without their lengths.
    fn made(seed: u64, parts: &[&[u8]]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut dice = SeededDice::new(seed);
        let (mut sealer, header) = BackupSealer::begin(phrase(1).backup_key(), &mut dice);
        let last = parts.len() - 1;
        let parts = parts.iter().enumerate().map(|(index, plaintext)| {
            let part = sealer.part(plaintext, place(index, last), &mut dice);
            let (length, sealed) = part.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_le_bytes(*length) as usize, sealed.len());
            sealed.to_vec()
        });
        (header, parts.collect())
    }

    fn place(index: usize, last: usize) -> PartPlace {
        if index == last { PartPlace::Last } else { PartPlace::Inner }
    }

    fn opened(header: &[u8], parts: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, OpenError> {
        let mut opener = BackupHeader::read(header).unwrap().open(&phrase(1))?;
        let last = parts.len() - 1;
        parts.iter().enumerate().map(|(at, part)| Ok(opener.part(part, place(at, last))?.to_vec())).collect()
    }

    #[test]
    fn parts_open_in_their_order_and_no_other() {
        let (header, parts) = made(2, &[b"one", b"two", b"three"]);
        assert_eq!(opened(&header, &parts).unwrap(), [&b"one"[..], b"two", b"three"]);
        let picked = |places: &[usize]| places.iter().map(|place| parts[*place].clone()).collect::<Vec<_>>();
        for places in [&[0, 1][..], &[0, 2, 1], &[1, 0, 2], &[0, 0, 1, 2], &[0, 1, 2, 2], &[1, 2], &[0, 2]] {
            assert_eq!(opened(&header, &picked(places)), Err(OpenError), "{places:?}");
        }
        let (other_header, others) = made(3, &[b"one", b"two", b"three"]);
        assert_eq!(opened(&other_header, &parts), Err(OpenError));
        assert_eq!(opened(&header, &[parts[0].clone(), others[1].clone(), parts[2].clone()]), Err(OpenError));
    }

    #[test]
    fn a_header_that_was_changed_is_told_from_the_words_of_another_home() {
        let (header, _) = made(4, &[b""]);
        assert_eq!(header.len(), BACKUP_HEADER_BYTES);
        for at in 0..header.len() {
            let mut changed = header.clone();
            changed[at] ^= 1;
            let expected = if at < MAGIC.len() { BackupError::NoBackup } else { BackupError::Damaged };
            assert_eq!(BackupHeader::read(&changed), Err(expected), "byte {at}");
        }
        assert_eq!(BackupHeader::read(&header[..BACKUP_HEADER_BYTES - 1]), Err(BackupError::Damaged));
        assert_eq!(BackupHeader::read(b""), Err(BackupError::NoBackup));
        assert!(BackupHeader::read(&header).unwrap().open(&phrase(2)).is_err());
        assert!(BackupHeader::read(&header).unwrap().open(&phrase(1)).is_ok());
    }

    #[test]
    fn a_newer_backup_is_named() {
        let (mut header, _) = made(5, &[b""]);
        header[8] = 9;
        let hash = sha256(&[&header[..UNHASHED_BYTES]]);
        header[UNHASHED_BYTES..].copy_from_slice(&hash);
        assert_eq!(BackupHeader::read(&header), Err(BackupError::Newer { version: 9 }));
    }

    #[test]
    fn the_longest_part_has_the_length_that_readers_make_room_for() {
        let (header, parts) = made(6, &[&[7; BACKUP_PART_MAX_BYTES], b"rest"]);
        assert_eq!(parts[0].len(), BACKUP_SEALED_MAX_BYTES);
        assert_eq!(opened(&header, &parts).unwrap()[0].len(), BACKUP_PART_MAX_BYTES);
    }

    #[test]
    #[should_panic(expected = "a part of")]
    fn a_longer_part_is_a_fault_of_the_program() {
        made(7, &[&[7; BACKUP_PART_MAX_BYTES + 1]]);
    }
}
