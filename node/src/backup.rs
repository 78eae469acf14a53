//! What a backup holds, written and read in one pass: the file may be larger than memory.
//!
//! ```text
//! content = home format:u32 ‖ at:u64 ‖ node ‖ name ‖ kind:u8 ‖ carry:u8 ‖ records:u64 ‖ peers:u64 ‖ length:u32 ‖ vault
//!           ‖ row × n ‖ 0:u8 ‖ n:u64
//! row     = 1:u8 ‖ length:u8 ‖ key ‖ length:u32 ‖ value
//! ```
//! The content is cut into sealed parts as [`allod_crypto::backup`] says; `docs/PROTOCOL.md` has every byte. Rows stand in the order of
//! their keys, as the store gives them, sealed under the keys of the vault beside them: both are of the same moment. What belongs to one
//! machine (where it listens, which engine keeps its store) is no part of it.

use std::io::{self, Read, Write};

use allod_crypto::{
    BackupError, BackupHeader, BackupOpener, BackupSealer, CryptoRng, OpenError, PartPlace, Phrase, SecretKey,
    backup::{BACKUP_HEADER_BYTES, BACKUP_SEALED_MAX_BYTES},
    limits::BACKUP_PART_MAX_BYTES,
    seal::SEAL_OVERHEAD_BYTES,
};
use allod_protocol::{
    limits::PETNAME_MAX_BYTES,
    store::{KEY_MAX_BYTES, Row},
    time::Timestamp,
};
use zeroize::Zeroizing;

use crate::{
    config::{FORMAT, KindWord},
    daemon::limits::{BACKUP_VALUE_MAX_BYTES, VAULT_MAX_BYTES},
    store::RESERVED_TABLE,
};

/// Before a row, and before the count that ends them.
const ROW: u8 = 1;
const END: u8 = 0;
/// The node's own id, as `init` makes it, with room. Bytes.
const NODE_MAX_BYTES: usize = 64;

/// What stands in front of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The moment that the backup shows.
    pub at: Timestamp,
    /// The node's own id.
    pub node: String,
    /// What the node calls itself.
    pub name: String,
    pub kind: KindWord,
    /// Whether hints of others are carried, if the owner said so.
    pub carry: Option<bool>,
    pub records: u64,
    /// Paired peers.
    pub peers: u64,
}

/// A backup that is being written.
pub struct BackupWriter<W> {
    out: W,
    sealer: BackupSealer,
    part: Zeroizing<Vec<u8>>,
    rows: u64,
    size_bytes: u64,
}

impl<W: Write> BackupWriter<W> {
    /// Begins it with all but the rows.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn begin(
        mut out: W,
        key: SecretKey,
        about: &About,
        vault: &[u8],
        dice: &mut dyn CryptoRng,
    ) -> io::Result<Self> {
        let (sealer, header) = BackupSealer::begin(key, dice);
        out.write_all(&header)?;
        // Filled to exactly this size: a buffer that grew would leave what it held behind.
        let part = Zeroizing::new(Vec::with_capacity(BACKUP_PART_MAX_BYTES));
        let mut writer = Self { out, sealer, part, rows: 0, size_bytes: header.len() as u64 };
        let mut front = Vec::new();
        front.extend_from_slice(&FORMAT.to_le_bytes());
        front.extend_from_slice(&about.at.as_millis().to_le_bytes());
        push_long(&mut front, about.node.as_bytes());
        push_long(&mut front, about.name.as_bytes());
        front.push(match about.kind {
            KindWord::Person => 0,
            KindWord::Vendor => 1,
        });
        front.push(match about.carry {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
        front.extend_from_slice(&about.records.to_le_bytes());
        front.extend_from_slice(&about.peers.to_le_bytes());
        writer.push(&front, dice)?;
        writer.push(&length_of(vault), dice)?;
        writer.push(vault, dice)?;
        Ok(writer)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// What the writer reports.
    ///
    /// # Panics
    /// If the key is longer than one may be.
    pub fn row(&mut self, key: &[u8], value: &[u8], dice: &mut dyn CryptoRng) -> io::Result<()> {
        let key_length = u8::try_from(key.len()).expect("keys have 128 bytes at most");
        self.rows += 1;
        self.push(&[ROW, key_length], dice)?;
        self.push(key, dice)?;
        self.push(&length_of(value), dice)?;
        self.push(value, dice)
    }

    /// Ends it, and says how long it became.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn end(mut self, dice: &mut dyn CryptoRng) -> io::Result<(W, u64)> {
        self.push(&[END], dice)?;
        self.push(&self.rows.to_le_bytes(), dice)?;
        self.seal(PartPlace::Last, dice)?;
        self.out.flush()?;
        Ok((self.out, self.size_bytes))
    }

    fn push(&mut self, mut bytes: &[u8], dice: &mut dyn CryptoRng) -> io::Result<()> {
        while !bytes.is_empty() {
            // Only once there is more: the last part is never empty.
            if self.part.len() == BACKUP_PART_MAX_BYTES {
                self.seal(PartPlace::Inner, dice)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BACKUP_PART_MAX_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn seal(&mut self, place: PartPlace, dice: &mut dyn CryptoRng) -> io::Result<()> {
        let sealed = self.sealer.part(&self.part, place, dice);
        self.part.clear();
        self.size_bytes += sealed.len() as u64;
        self.out.write_all(&sealed)
    }
}

fn length_of(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("no part of a home reaches 4 GiB").to_le_bytes()
}

fn push_long(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&length_of(bytes));
    into.extend_from_slice(bytes);
}

/// Why a backup is not read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("this is no backup")]
    NoBackup,
    #[error("the backup, or the home in it, has version {version}, which is newer than this program")]
    Newer { version: u64 },
    /// Cut short, changed, or put together of several.
    #[error("the backup is damaged")]
    Damaged,
    #[error("these words do not open the backup")]
    WrongPhrase,
}

impl From<OpenError> for ReadError {
    fn from(OpenError: OpenError) -> Self {
        Self::Damaged
    }
}

/// A backup of which the header was read.
pub struct ClosedBackup<R> {
    input: R,
    header: BackupHeader,
}

impl<R: Read> ClosedBackup<R> {
    /// Reads the header: whether it is a backup at all is known before anybody types 24 words.
    ///
    /// # Errors
    /// [`ReadError`], but for the words.
    pub fn read(mut input: R) -> Result<Self, ReadError> {
        let mut bytes = [0; BACKUP_HEADER_BYTES];
        let read = read_up_to(&mut input, &mut bytes)?;
        let header = BackupHeader::read(&bytes[..read]).map_err(|error| match error {
            BackupError::NoBackup => ReadError::NoBackup,
            BackupError::Damaged => ReadError::Damaged,
            BackupError::Newer { version } => ReadError::Newer { version: version.into() },
        })?;
        Ok(Self { input, header })
    }

    /// Opens it, and reads what stands in front of the rows.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(self, phrase: &Phrase) -> Result<OpenBackup<R>, ReadError> {
        let opener = self.header.open(phrase).map_err(|OpenError| ReadError::WrongPhrase)?;
        let mut rows = Rows {
            input: self.input,
            opener,
            part: Zeroizing::default(),
            at: 0,
            place: PartPlace::Inner,
            next_length: None,
            last_key: Vec::new(),
            rows: 0,
        };
        let format = u32::from_le_bytes(rows.array()?);
        if format > FORMAT {
            return Err(ReadError::Newer { version: format.into() });
        }
        let about = About {
            at: Timestamp::from_millis(u64::from_le_bytes(rows.array()?)),
            node: rows.text(NODE_MAX_BYTES)?,
            name: rows.text(PETNAME_MAX_BYTES)?,
            kind: match rows.array()? {
                [0] => KindWord::Person,
                [1] => KindWord::Vendor,
                _ => return Err(ReadError::Damaged),
            },
            carry: match rows.array()? {
                [0] => None,
                [1] => Some(false),
                [2] => Some(true),
                _ => return Err(ReadError::Damaged),
            },
            records: u64::from_le_bytes(rows.array()?),
            peers: u64::from_le_bytes(rows.array()?),
        };
        let vault = Zeroizing::new(rows.long(VAULT_MAX_BYTES as usize)?);
        Ok(OpenBackup { about, vault, rows })
    }
}

/// A backup that is being read.
pub struct OpenBackup<R> {
    pub about: About,
    /// The vault's file.
    pub vault: Zeroizing<Vec<u8>>,
    pub rows: Rows<R>,
}

/// What is left of a backup to read.
pub struct Rows<R> {
    input: R,
    opener: BackupOpener,
    part: Zeroizing<Vec<u8>>,
    /// How much of the part was taken.
    at: usize,
    place: PartPlace,
    /// What was read beyond the part, to know whether it is the last.
    next_length: Option<[u8; 4]>,
    last_key: Vec<u8>,
    rows: u64,
}

impl<R: Read> Rows<R> {
    /// The next row; none once all of them were read and nothing is missing.
    ///
    /// # Errors
    /// [`ReadError::File`] or [`ReadError::Damaged`].
    pub fn next_row(&mut self) -> Result<Option<Row>, ReadError> {
        match self.array()? {
            [END] => {
                let count = u64::from_le_bytes(self.array()?);
                let is_over = self.place == PartPlace::Last && self.at == self.part.len();
                if count == self.rows && is_over { Ok(None) } else { Err(ReadError::Damaged) }
            }
            [ROW] => {
                let [length] = self.array()?;
                let mut key = vec![0; usize::from(length)];
                self.fill(&mut key)?;
                let in_order = key > self.last_key && key.len() <= KEY_MAX_BYTES && key[0] != RESERVED_TABLE;
                if !in_order {
                    return Err(ReadError::Damaged);
                }
                let value = self.long(BACKUP_VALUE_MAX_BYTES)?;
                self.last_key.clone_from(&key);
                self.rows += 1;
                Ok(Some((key, value)))
            }
            _ => Err(ReadError::Damaged),
        }
    }

    fn text(&mut self, size_max_bytes: usize) -> Result<String, ReadError> {
        String::from_utf8(self.long(size_max_bytes)?).map_err(|_| ReadError::Damaged)
    }

    fn long(&mut self, size_max_bytes: usize) -> Result<Vec<u8>, ReadError> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length > size_max_bytes {
            return Err(ReadError::Damaged);
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, mut into: &mut [u8]) -> Result<(), ReadError> {
        while !into.is_empty() {
            if self.at == self.part.len() {
                self.next_part()?;
            }
            let count = into.len().min(self.part.len() - self.at);
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(&self.part[self.at..self.at + count]);
            self.at += count;
            into = later;
        }
        Ok(())
    }

    fn next_part(&mut self) -> Result<(), ReadError> {
        if self.place == PartPlace::Last {
            return Err(ReadError::Damaged);
        }
        let mut ahead = [0; 4];
        let length = match self.next_length.take() {
            Some(length) => length,
            None if read_up_to(&mut self.input, &mut ahead)? == ahead.len() => ahead,
            None => return Err(ReadError::Damaged),
        };
        let length = u32::from_le_bytes(length) as usize;
        // A part that holds nothing would let a file go on for ever.
        if !(SEAL_OVERHEAD_BYTES + 1..=BACKUP_SEALED_MAX_BYTES).contains(&length) {
            return Err(ReadError::Damaged);
        }
        let mut sealed = vec![0; length];
        if read_up_to(&mut self.input, &mut sealed)? < length {
            return Err(ReadError::Damaged);
        }
        match read_up_to(&mut self.input, &mut ahead)? {
            0 => self.place = PartPlace::Last,
            4 => self.next_length = Some(ahead),
            _ => return Err(ReadError::Damaged),
        }
        self.part = self.opener.part(&sealed, self.place)?;
        self.at = 0;
        Ok(())
    }
}

/// Reads until the buffer is full or the input ends; says how much.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use allod_crypto::{Protection, Vault};

    use super::*;
    use crate::daemon::dice;

    fn about() -> About {
        About {
            at: Timestamp::from_millis(1_795_507_200_820),
            node: "abcdefgh".to_owned(),
            name: "Zoë".to_owned(),
            kind: KindWord::Vendor,
            carry: Some(false),
            records: 3,
            peers: 2,
        }
    }

    fn rows() -> Vec<Row> {
        // More than two parts in all, with a value that is longer than one.
        (0..40_u8)
            .map(|number| (vec![b'R', number], vec![number; if number == 20 { 300_000 } else { 9_000 }]))
            .chain([(vec![0xFF; KEY_MAX_BYTES], Vec::new())])
            .collect()
    }

    struct Made {
        phrase: Phrase,
        file: Vec<u8>,
    }

    fn made(rows: &[Row]) -> Made {
        let (vault, phrase) = Vault::create(Protection::None, &mut dice());
        let dice = &mut dice();
        let mut writer = BackupWriter::begin(Vec::new(), vault.backup_key(), &about(), b"the vault", dice).unwrap();
        rows.iter().try_for_each(|(key, value)| writer.row(key, value, dice)).unwrap();
        let (file, size_bytes) = writer.end(dice).unwrap();
        assert_eq!(file.len() as u64, size_bytes);
        Made { phrase, file }
    }

    impl Made {
        fn read(&self, file: &[u8]) -> Result<(About, Vec<u8>, Vec<Row>), ReadError> {
            let OpenBackup { about, vault, mut rows } = ClosedBackup::read(file)?.open(&self.phrase)?;
            let rows = std::iter::from_fn(|| rows.next_row().transpose()).collect::<Result<_, _>>()?;
            Ok((about, vault.to_vec(), rows))
        }

        fn is_damaged(&self, file: &[u8], what: &str) {
            assert!(matches!(self.read(file), Err(ReadError::Damaged)), "{what}");
        }

        /// Where each part begins, and the end.
        fn parts(&self) -> Vec<usize> {
            let mut starts = vec![BACKUP_HEADER_BYTES];
            while let Some(length) = self.file[starts[starts.len() - 1]..].first_chunk() {
                starts.push(starts[starts.len() - 1] + 4 + u32::from_le_bytes(*length) as usize);
            }
            starts
        }
    }

    #[test]
    fn what_went_in_comes_out() {
        let made = made(&rows());
        assert_eq!(made.read(&made.file).unwrap(), (about(), b"the vault".to_vec(), rows()));
    }

    #[test]
    fn a_content_that_ends_with_a_part_has_no_empty_one_behind_it() {
        let empty = made(&[(vec![1], Vec::new())]);
        let fits = BACKUP_PART_MAX_BYTES - (empty.file.len() - BACKUP_HEADER_BYTES - 4 - SEAL_OVERHEAD_BYTES);
        for (more, parts) in [(0, 1), (1, 2)] {
            let rows = [(vec![1], vec![5; fits + more])];
            let made = made(&rows);
            assert_eq!(made.parts().len() - 1, parts, "{more} bytes more");
            assert_eq!(made.read(&made.file).unwrap().2, rows);
        }
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_damaged() {
        let made = made(&rows());
        let parts = made.parts();
        let around = parts.iter().flat_map(|at| [at - 1, *at, at + 1, at + 3, at + 4, at + 5, at + 100]);
        for cut in around.filter(|cut| *cut < made.file.len()).chain([8, 9, 50]) {
            made.is_damaged(&made.file[..cut], &format!("cut after {cut}"));
        }
    }

    #[test]
    fn a_file_in_which_anything_was_changed_is_damaged() {
        let made = made(&rows());
        let parts = made.parts();
        assert!(parts.len() > 3, "{} parts", parts.len());
        for at in parts[..parts.len() - 1].iter().flat_map(|at| (*at..at + 70).chain([at + 40_000])) {
            for bit in [0x01, 0x80] {
                let mut changed = made.file.clone();
                changed[at] ^= bit;
                made.is_damaged(&changed, &format!("byte {at}"));
            }
        }
        for more in [&[0][..], &[0; 4], &[7; 200], &made.file] {
            made.is_damaged(&[&made.file, more].concat(), &format!("{} bytes more", more.len()));
        }
        let part = |number: usize| &made.file[parts[number]..parts[number + 1]];
        let header = &made.file[..BACKUP_HEADER_BYTES];
        made.is_damaged(&[header, part(1), part(0), part(2)].concat(), "exchanged");
        made.is_damaged(&[header, part(0), part(0), part(1), part(2)].concat(), "repeated");
        let nothing = [4_u32.to_le_bytes().as_slice(), &[0; 4]].concat();
        made.is_damaged(&[header, &nothing, part(0), part(1), part(2)].concat(), "a part that is too short");
    }

    #[test]
    fn no_backup_and_other_words_are_told_from_damage() {
        let (mine, other) = (made(&[]), made(&[]));
        for file in [&b""[..], b"ALLODVLT", b"{\"allod\":1}"] {
            assert!(matches!(mine.read(file), Err(ReadError::NoBackup)));
        }
        assert!(matches!(mine.read(&other.file), Err(ReadError::WrongPhrase)));
        assert!(mine.read(&mine.file).is_ok());
    }

    #[test]
    fn rows_out_of_order_or_of_the_reserved_table_are_damaged() {
        let row = |key: &[u8]| (key.to_vec(), b"value".to_vec());
        for keys in [[&b"Rb"[..], b"Ra"], [b"Ra", b"Ra"], [b"Ra", &[RESERVED_TABLE, 1]], [b"", b"Ra"]] {
            let made = made(&keys.map(row));
            made.is_damaged(&made.file, &format!("{keys:?}"));
        }
        let long = made(&[row(&[b'R'; KEY_MAX_BYTES + 1])]);
        long.is_damaged(&long.file, "a long key");
    }

    #[test]
    fn a_value_longer_than_a_store_keeps_is_damaged_and_no_room_is_made_for_it() {
        let (vault, phrase) = Vault::create(Protection::None, &mut dice());
        let dice = &mut dice();
        let mut writer = BackupWriter::begin(Vec::new(), vault.backup_key(), &about(), b"the vault", dice).unwrap();
        writer.push(&[ROW, 1, 7], dice).unwrap();
        writer.push(&u32::MAX.to_le_bytes(), dice).unwrap();
        let (file, _) = writer.end(dice).unwrap();
        let made = Made { phrase, file };
        made.is_damaged(&made.file, "four gigabytes");
    }
}
