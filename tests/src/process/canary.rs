//! Looks for bytes in all files below a directory.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Each file below the directory with what it holds; one that its node removes meanwhile, as a store does with its former
/// files, is left out.
///
/// # Panics
/// When a file that stays cannot be read.
#[must_use]
pub fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return files,
        entries => entries.expect("it is a directory"),
    };
    for entry in entries {
        let path = entry.expect("it lists").path();
        let Ok(kind) = fs::symlink_metadata(&path).map(|metadata| metadata.file_type()) else { continue };
        if kind.is_dir() {
            files.extend(self::files(&path));
        } else if kind.is_file() {
            match fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                bytes => files.push((path, bytes.expect("it reads"))),
            }
        }
    }
    files
}

/// Which of these stand in some file below the directory, each with the file.
///
/// # Panics
/// When there is no such file at all, or one cannot be read.
#[must_use]
pub fn found(directory: &Path, canaries: &[String]) -> Vec<String> {
    let files = files(directory);
    assert!(!files.is_empty(), "{} holds no file", directory.display());
    let mut found = Vec::new();
    for (path, bytes) in files {
        let name = path.to_string_lossy();
        let here = canaries.iter().filter(|canary| holds(&bytes, canary) || name.contains(canary.as_str()));
        found.extend(here.map(|canary| format!("{canary} in {name}")));
    }
    found
}

/// Whether these bytes hold the text, as it is or as UTF-16.
#[must_use]
pub fn holds(bytes: &[u8], text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    contains(bytes, text.as_bytes()) || contains(bytes, &wide)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some((first, _)) = part.split_first() else { return true };
    let mut rest = bytes;
    while let Some(place) = rest.iter().position(|byte| byte == first) {
        rest = &rest[place..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
