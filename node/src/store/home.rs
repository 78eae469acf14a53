//! The home directory: who may read it, which process owns it, and how a small file in it is replaced.
//!
//! Made with mode 0700 and refused while others may enter it. One process at a time holds it, by a lock that the operating system
//! drops with the process, so that a crash leaves nothing to clear away; the number written in the lock's file is there for
//! people. The directory itself is locked too: whoever takes the lock's file for a stale one and removes it lets no second process
//! in. A file is replaced whole or not at all, whenever the power goes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock says that a process owns the home.
const LOCK_FILE: &str = "lock";
/// What a file is called until it is whole.
const NEW_SUFFIX: &str = ".new";
/// Permission bits of anyone but the owner.
const OTHERS: u32 = 0o077;

/// Why a home can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HomeError {
    /// Nothing has been made there.
    #[error("there is no directory {}", dir.display())]
    Missing { dir: PathBuf },
    /// A file is in its place.
    #[error("{} is not a directory", dir.display())]
    NotADirectory { dir: PathBuf },
    /// Someone other than its owner may read or enter it.
    #[error("others may read {}: its mode is {mode:o}", path.display())]
    OpenToOthers { path: PathBuf, mode: u32 },
    /// A process holds it; which one, as far as its lock tells.
    #[error("another process holds this home{}", process.map(|id| format!(": {id}")).unwrap_or_default())]
    InUse { process: Option<u32> },
    /// The operating system refuses.
    #[error("{}: {detail}", path.display())]
    Io { path: PathBuf, detail: String },
}

/// A directory as it was found: what is at its path later may be another one.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    directory: File,
}

impl Place {
    /// The directory that is there at present.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self { dir: dir.to_owned(), directory: File::open(dir)? })
    }

    /// Its path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether its path still leads to it, as far as the operating system can say.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let (Ok(found), at_path) = (self.directory.metadata(), fs::metadata(&self.dir)) else { return true };
        match at_path {
            Ok(at_path) => (at_path.dev(), at_path.ino()) == (found.dev(), found.ino()),
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

/// A home that this process owns until it drops this.
#[derive(Debug)]
pub struct Home {
    /// Locked too, where the file system can.
    place: Place,
    /// Held for its lock.
    _lock: File,
}

impl Home {
    /// Makes the directory if there is none, and takes it.
    ///
    /// # Errors
    /// As [`Home::open`], except that it need not exist.
    pub fn create(dir: &Path) -> Result<Self, HomeError> {
        create_directory(dir).map_err(|error| io_error(dir, &error))?;
        Self::open(dir)
    }

    /// Takes a directory that exists.
    ///
    /// # Errors
    /// [`HomeError`]: it is missing, open to others, or in use.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        confirm_private(dir)?;
        let path = dir.join(LOCK_FILE);
        let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut lock = lock.map_err(|error| io_error(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HomeError::InUse { process: process_in(&mut lock) }),
            Err(TryLockError::Error(error)) => return Err(io_error(&path, &error)),
        }
        // Not every file system locks directories (NFS): there the file alone has to do.
        let place = Place::of(dir).map_err(|error| io_error(dir, &error))?;
        if let Err(TryLockError::WouldBlock) = place.directory.try_lock() {
            return Err(HomeError::InUse { process: None });
        }
        // Only people read it, hence no sync.
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(|error| io_error(&path, &error))?;
        Ok(Self { place, _lock: lock })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// Whether its path still leads to it.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.place.is_kept()
    }
}

/// Checks that `dir` is a directory that only its owner can enter.
///
/// # Errors
/// [`HomeError`] with what is wrong.
pub fn confirm_private(dir: &Path) -> Result<(), HomeError> {
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HomeError::Missing { dir: dir.to_owned() });
        }
        Err(error) => return Err(io_error(dir, &error)),
    };
    if !metadata.is_dir() {
        return Err(HomeError::NotADirectory { dir: dir.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(HomeError::OpenToOthers { path: dir.to_owned(), mode });
    }
    Ok(())
}

/// Makes `dir`, its parents too, for its owner alone, and durably. One that exists stays as it is.
///
/// # Errors
/// What the operating system says.
pub fn create_directory(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made?,
    }
    sync_directory(parent)
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// What the operating system says.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Opens a file of the home to be read. A pipe or a device in its place is refused, since reading it may never end.
///
/// # Errors
/// What the operating system says.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file")),
    }
}

/// Replaces the file at `path`, or makes it, with mode 0600: afterwards it is the new one, whole and durable, or the old one.
///
/// # Errors
/// What the operating system says; the old file is then untouched.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut new_name = name.to_owned();
    new_name.push(NEW_SUFFIX);
    let new = dir.join(new_name);
    // One that a crash left may have another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    sync_directory(dir)
}

/// The process number that its owner wrote into the lock's file.
fn process_in(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn io_error(path: &Path, error: &io::Error) -> HomeError {
    HomeError::Io { path: path.to_owned(), detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_home_is_made_for_its_owner_alone() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("deep/allod");
        let home = Home::create(&dir).unwrap();
        assert_eq!(home.dir(), dir);
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(LOCK_FILE)), 0o600);
    }

    #[test]
    fn a_home_that_others_may_enter_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("allod");
        drop(Home::create(&dir).unwrap());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o710)).unwrap();
        assert_eq!(Home::open(&dir).unwrap_err(), HomeError::OpenToOthers { path: dir.clone(), mode: 0o710 });
        assert_eq!(Home::create(&dir).unwrap_err(), HomeError::OpenToOthers { path: dir, mode: 0o710 });
    }

    #[test]
    fn a_home_that_is_missing_or_a_file_is_named() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("allod");
        assert_eq!(Home::open(&dir).unwrap_err(), HomeError::Missing { dir: dir.clone() });
        fs::write(&dir, "").unwrap();
        assert_eq!(Home::open(&dir).unwrap_err(), HomeError::NotADirectory { dir });
    }

    #[test]
    fn a_second_owner_is_told_the_first_ones_number() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("allod");
        let first = Home::create(&dir).unwrap();
        assert_eq!(Home::open(&dir).unwrap_err(), HomeError::InUse { process: Some(std::process::id()) });
        fs::write(dir.join(LOCK_FILE), "no number").unwrap();
        assert_eq!(Home::open(&dir).unwrap_err(), HomeError::InUse { process: None });
        // Somebody took it for a stale one.
        fs::remove_file(dir.join(LOCK_FILE)).unwrap();
        assert_eq!(Home::open(&dir).unwrap_err(), HomeError::InUse { process: None });
        drop(first);
        Home::open(&dir).unwrap();
        assert_eq!(fs::read_to_string(dir.join(LOCK_FILE)).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_home_that_was_moved_or_replaced_or_removed_is_not_in_its_place() {
        let outside = tempfile::tempdir().unwrap();
        let (dir, away) = (outside.path().join("allod"), outside.path().join("away"));
        let home = Home::create(&dir).unwrap();
        assert!(home.is_in_place());
        fs::rename(&dir, &away).unwrap();
        assert!(!home.is_in_place());
        fs::create_dir(&dir).unwrap();
        assert!(!home.is_in_place());
        fs::remove_dir(&dir).unwrap();
        fs::rename(&away, &dir).unwrap();
        assert!(home.is_in_place());
        fs::remove_dir_all(&dir).unwrap();
        assert!(!home.is_in_place());
    }

    #[test]
    fn a_pipe_or_a_device_is_refused_and_not_waited_for() {
        let outside = tempfile::tempdir().unwrap();
        let pipe = outside.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/zero"), outside.path()] {
            assert!(open_file(path).is_err(), "{}", path.display());
        }
        fs::write(outside.path().join("vault"), "").unwrap();
        open_file(&outside.path().join("vault")).unwrap();
    }

    #[test]
    fn a_replaced_file_is_whole_private_and_alone() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("vault");
        fs::write(outside.path().join("vault.new"), "left by a crash").unwrap();
        for content in ["first", "2nd"] {
            replace_file(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(mode(&path), 0o600);
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("vault");
        fs::create_dir(&path).unwrap();
        assert!(replace_file(&path, b"new").is_err());
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert!(replace_file(Path::new("/"), b"new").is_err());
    }
}
