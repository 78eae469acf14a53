//! An engine's files as they were before it opened them, so that an open that went wrong changed nothing.
//!
//! sled takes a part of its log that it can't read, be it for a moment only, for one that was never written, and overwrites it and all
//! that follows. Every byte is therefore read before sled sees it: a disk that refuses is known while nothing is lost. Files of a
//! moderate size are kept until the store is open, and put back if it does not open: what is damaged can be looked at again, and what
//! was refused once can be read the next time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::home;

/// What is kept in memory at most; larger stores are read through only. Bytes.
const KEPT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// What is read, compared and written at once. Bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// Files and their content, unless they were too large to be kept.
pub(super) struct Former {
    dir: PathBuf,
    files: Option<Vec<(PathBuf, Vec<u8>)>>,
}

impl Former {
    /// Reads all of `dir` through.
    ///
    /// # Errors
    /// What the operating system says: then nothing in `dir` may be touched.
    pub(super) fn read(dir: &Path) -> io::Result<Self> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                paths.push((entry.path(), entry.metadata()?.len()));
            }
        }
        let keep = paths.iter().map(|(_, length)| length).sum::<u64>() <= KEPT_MAX_BYTES;
        let mut files = Vec::new();
        for (path, _) in paths {
            let mut content = Vec::new();
            pieces(&File::open(&path)?, |piece, _| {
                if keep {
                    content.extend_from_slice(piece);
                }
                Ok(())
            })?;
            files.push((path, content));
        }
        Ok(Self { dir: dir.to_owned(), files: keep.then_some(files) })
    }

    /// Makes `dir` again what it was, as far as the disk allows: this is for after a failure, and reports none of its own.
    pub(super) fn put_back(self) {
        let Some(files) = self.files else { return };
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let is_new = files.iter().all(|(path, _)| *path != entry.path());
            if is_new && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        for (path, content) in &files {
            let _ = write_back(path, content);
        }
        let _ = home::sync_directory(&self.dir);
    }
}

/// Writes what differs, and nothing else: the blocks that a full disk has given out already are enough.
fn write_back(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_len(content.len() as u64)?;
    let mut differing = Vec::new();
    pieces(&file, |piece, at| {
        let from = usize::try_from(at).map_err(io::Error::other)?;
        if content.get(from..from + piece.len()) != Some(piece) {
            differing.push(from);
        }
        Ok(())
    })?;
    for from in differing {
        file.write_all_at(&content[from..(from + PIECE_BYTES).min(content.len())], from as u64)?;
    }
    file.sync_all()
}

/// Hands over a file, piece after piece.
fn pieces(file: &File, mut take: impl FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match file.read_at(&mut piece[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            return Ok(());
        }
        take(&piece[..filled], at)?;
        at += filled as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_done_to_the_files_they_are_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let long: Vec<u8> = (0..3 * PIECE_BYTES + 5).map(|number| (number / 7) as u8).collect();
        let content = [("db", long.clone()), ("snap.1", b"old".to_vec()), ("conf", b"c".to_vec())];
        for (name, content) in &content {
            fs::write(path(name), content).unwrap();
        }
        let former = Former::read(dir.path()).unwrap();
        fs::write(path("db"), [&long[..PIECE_BYTES], &[0; 9]].concat()).unwrap();
        fs::remove_file(path("snap.1")).unwrap();
        fs::write(path("snap.2"), "new").unwrap();
        fs::write(path("conf"), "longer").unwrap();
        former.put_back();
        for (name, content) in &content {
            assert!(fs::read(path(name)).unwrap() == *content, "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), content.len());
    }

    #[test]
    fn what_is_too_large_to_keep_is_read_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        File::create(&path).unwrap().set_len(KEPT_MAX_BYTES + 1).unwrap();
        let former = Former::read(dir.path()).unwrap();
        fs::write(&path, "x").unwrap();
        former.put_back();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }
}
