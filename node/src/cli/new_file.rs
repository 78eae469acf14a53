//! A file of our own: readable by its owner alone, under its name once it is whole and durable, and never in the place of another unless
//! that was asked for.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::ending::{Done, Ending};

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    Kept,
    /// `--force`.
    Replaced,
}

/// A file that is being written, beside where it will stand. It goes with this, unless it is finished.
pub struct NewFile {
    to: PathBuf,
    directory: PathBuf,
    former: Former,
    file: NamedTempFile,
}

impl NewFile {
    /// Begins it.
    ///
    /// # Errors
    /// Something with that name is there, or the directory takes no file.
    pub fn begin(to: &Path, former: Former) -> Done<Self> {
        let failed = |error: io::Error| Ending::file(to, &error);
        // A device or a directory is never replaced.
        let replaced = former == Former::Replaced && to.is_file();
        if to.symlink_metadata().is_ok() && !replaced {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(directory).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Ending::no_directory(directory),
            _ => failed(error),
        })?;
        Ok(Self { to: to.to_owned(), directory: directory.to_owned(), former, file })
    }

    /// Puts it under its name, durably.
    ///
    /// # Errors
    /// The disk is full or refuses; nothing is left then.
    pub fn finish(self) -> Done {
        let Self { to, directory, former, file } = self;
        let failed = |error: io::Error| Ending::file(&to, &error);
        file.as_file().sync_all().map_err(failed)?;
        let persisted = match former {
            Former::Kept => file.persist_noclobber(&to),
            Former::Replaced => file.persist(&to),
        };
        persisted.map_err(|error| failed(error.error))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn written(to: &Path, former: Former) -> Done {
        let mut file = NewFile::begin(to, former)?;
        file.write_all(b"new").unwrap();
        file.finish()
    }

    #[test]
    fn it_is_private_and_whole_and_takes_nobodys_place_unasked() {
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("file");
        written(&to, Former::Kept).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&to, "former").unwrap();
        assert_eq!(written(&to, Former::Kept).unwrap_err().exit(), 1);
        assert_eq!(fs::read(&to).unwrap(), b"former");
        written(&to, Former::Replaced).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_a_socket_and_a_link_to_nothing_are_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        // Like a device, and nobody misses it where this does not hold.
        let socket = place.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let link = place.path().join("link");
        std::os::unix::fs::symlink(place.path().join("nothing"), &link).unwrap();
        for to in [place.path(), &socket, &link] {
            for former in [Former::Kept, Former::Replaced] {
                assert_eq!(written(to, former).unwrap_err().exit(), 1, "{}", to.display());
            }
        }
        assert_eq!(written(&place.path().join("no/file"), Former::Kept).unwrap_err().exit(), 4);
    }

    #[test]
    fn one_that_is_not_finished_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mut file = NewFile::begin(&place.path().join("file"), Former::Kept).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
