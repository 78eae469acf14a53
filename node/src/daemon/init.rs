//! Making a home.
//!
//! A mark stands in the directory from the first write to the last, so that a home which was only half made is known as such: `run`
//! refuses it, and the next `init` or `restore` clears it away and begins again. Nothing is lost by that, since no node has run there. The
//! vault comes last, and the mark goes when the phrase has been shown: a home whose phrase nobody saw could never be recovered.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use allod_crypto::{Protection, Vault};
use allod_protocol::{command::NodeKind, limits::PETNAME_MAX_BYTES};
use rand_core::CryptoRng;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{
    dice,
    failure::{Failure, NodeRefusal},
    home_failure, passphrase, vault_file,
};
use crate::{
    config::{self, Settings},
    store::home::{Home, create_directory, replace_file, sync_directory},
};

/// Stands in a home that is not finished.
const MARK: &str = "unfinished";
/// What is made besides, in the order in which it is cleared away.
const PARTS: [&str; 4] = [vault_file::FILE, config::FILE, STORE, LOG];
/// The lock of the home, which whoever makes it holds.
const LOCK: &str = "lock";
/// The directory of the store.
pub const STORE: &str = "store";
/// The directory for logs.
pub const LOG: &str = "log";

/// How a home is made.
pub struct InitOptions {
    pub home: PathBuf,
    /// What the node calls itself; the user's name on this machine unless given.
    pub name: Option<String>,
    pub kind: NodeKind,
    /// `None` leaves the vault open to whoever reads its file.
    pub passphrase: Option<Zeroizing<String>>,
}

/// What a new home shows once.
pub struct Initialised {
    pub node: String,
    pub name: String,
    /// The 24 words, with a space between each.
    pub phrase: Zeroizing<String>,
}

/// Makes a home, and hands what is shown once to `show`.
///
/// # Errors
/// The failure to show, or that of `show`; nothing was changed then, or an unfinished home is left that the next `init` clears away.
pub fn init<E: From<Failure>>(options: InitOptions, show: impl FnOnce(&Initialised) -> Result<(), E>) -> Result<(), E> {
    let (unfinished, made) = begin(options)?;
    show(&made)?;
    Ok(unfinished.finish()?)
}

/// Makes all of it but leaves the mark.
fn begin(options: InitOptions) -> Result<(Unfinished, Initialised), Failure> {
    let InitOptions { home: dir, name, kind, passphrase } = options;
    let name = node_name(name)?;
    let passphrase = passphrase.map(passphrase::checked).transpose()?;
    let unfinished = Unfinished::begin(&dir)?;
    let made = make(&dir, name, kind, passphrase.as_ref(), &mut dice()).map_err(|error| io_failure(&dir, &error))?;
    Ok((unfinished, made))
}

/// A home that is being made: its mark stands, and nobody else has it.
pub(super) struct Unfinished {
    home: Home,
    /// Whether there was a directory before.
    found: bool,
}

impl Unfinished {
    /// Takes a directory that is free, clears away what was left there half made, and sets the mark.
    ///
    /// # Errors
    /// The failure to show.
    pub(super) fn begin(dir: &Path) -> Result<Self, Failure> {
        confirm_free(dir)?;
        let io = |error: io::Error| io_failure(dir, &error);
        let found = dir.exists();
        create_directory(dir).map_err(io)?;
        if entries(dir).map_err(io)?.is_empty() {
            // An empty directory that someone made for us beforehand.
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io)?;
        }
        let home = Home::open(dir).map_err(|error| home_failure(&error))?;
        // Somebody may have been faster.
        confirm_free(dir)?;
        clear(dir).map_err(io)?;
        replace_file(&dir.join(MARK), b"").map_err(io)?;
        Ok(Self { home, found })
    }

    /// Writes the settings and makes the directories.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn furnish(dir: &Path, settings: &Settings) -> io::Result<()> {
        settings.write(dir)?;
        create_directory(&dir.join(STORE))?;
        create_directory(&dir.join(LOG))
    }

    /// All of it is there: the mark goes.
    ///
    /// # Errors
    /// The failure to show.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let dir = self.home.dir();
        let finished = fs::remove_file(dir.join(MARK)).and_then(|()| sync_directory(dir));
        finished.map_err(|error| io_failure(dir, &error))
    }

    /// Leaves nothing behind, as far as the system lets it.
    pub(super) fn give_up(self) {
        let dir = self.home.dir();
        if clear(dir).is_ok() && fs::remove_file(dir.join(LOCK)).is_ok() && !self.found {
            let _ = fs::remove_dir(dir);
        }
    }
}

pub(super) fn io_failure(dir: &Path, error: &io::Error) -> Failure {
    NodeRefusal::HomeIo { path: shown(dir), detail: error.to_string() }.into()
}

fn make(
    dir: &Path,
    name: String,
    kind: NodeKind,
    passphrase: Option<&Zeroizing<String>>,
    dice: &mut dyn CryptoRng,
) -> io::Result<Initialised> {
    let settings = Settings::new(node_id(dice), name, kind.into());
    Unfinished::furnish(dir, &settings)?;
    let normalized = passphrase.map(passphrase::normalized);
    let protection = normalized.as_ref().map_or(Protection::None, |text| Protection::Passphrase(text.as_bytes()));
    let (vault, phrase) = Vault::create(protection, dice);
    replace_file(&dir.join(vault_file::FILE), &vault.to_bytes(dice))?;
    let mut words = Zeroizing::new(String::with_capacity(24 * 9));
    for word in phrase.words() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    Ok(Initialised { node: settings.node, name: settings.name, phrase: words })
}

/// Whether a home can be made there: the directory is not there, or empty, or holds a home that was only half made.
///
/// # Errors
/// The failure to show: there is one, or something else.
pub fn confirm_free(dir: &Path) -> Result<(), Failure> {
    if is_half_made(dir) {
        return Ok(());
    }
    if dir.join(vault_file::FILE).exists() || dir.join(config::FILE).exists() {
        return Err(NodeRefusal::HomeExists { home: shown(dir) }.into());
    }
    match entries(dir) {
        Ok(entries) if entries.iter().all(|name| name == LOCK) => Ok(()),
        Ok(_) => Err(NodeRefusal::HomeNotEmpty { home: shown(dir) }.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(NodeRefusal::HomeIo { path: shown(dir), detail: error.to_string() }.into()),
    }
}

/// Whether making this home was interrupted.
#[must_use]
pub fn is_half_made(dir: &Path) -> bool {
    dir.join(MARK).exists()
}

fn entries(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Clears a half-made home away; its mark goes last.
fn clear(dir: &Path) -> io::Result<()> {
    for part in PARTS.iter().chain([&MARK]) {
        let path = dir.join(part);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_directory(dir)
}

fn node_name(name: Option<String>) -> Result<String, Failure> {
    let from_user = || std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "node".to_owned());
    let name: String = name.unwrap_or_else(from_user).trim().nfc().collect();
    if name.is_empty() || name.len() > PETNAME_MAX_BYTES || name.chars().any(char::is_control) {
        return Err(NodeRefusal::BadName { most: PETNAME_MAX_BYTES as u64 }.into());
    }
    Ok(name)
}

/// Eight letters that tell this home from the owner's others.
fn node_id(dice: &mut dyn CryptoRng) -> String {
    let mut bytes = [0; 5];
    dice.fill_bytes(&mut bytes);
    data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::vault_file::{Key, VaultFile};

    fn options(home: &Path, passphrase: Option<&str>) -> InitOptions {
        let passphrase = passphrase.map(|text| Zeroizing::new(text.to_owned()));
        InitOptions { home: home.to_owned(), name: Some("alice".to_owned()), kind: NodeKind::Person, passphrase }
    }

    fn init_now(options: InitOptions) -> Result<Initialised, Failure> {
        let (unfinished, made) = begin(options)?;
        unfinished.finish().unwrap();
        Ok(made)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_home_is_private_and_opens_by_passphrase_and_by_phrase() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("deep/allod");
        let made = init_now(options(&dir, Some("open sesame"))).unwrap();
        assert_eq!((made.name.as_str(), made.phrase.split(' ').count()), ("alice", 24));
        assert_eq!(mode(&dir), 0o700);
        for (part, expected) in [("vault", 0o600), ("config.toml", 0o600), ("store", 0o700), ("log", 0o700)] {
            assert_eq!(mode(&dir.join(part)), expected, "{part}");
        }
        let vault = VaultFile::of(&dir);
        let text = |text: &str| Zeroizing::new(text.to_owned());
        vault.open(&Key::Passphrase(text("open sesame"))).unwrap();
        vault.open(&Key::Phrase(made.phrase)).unwrap();
        assert_eq!(vault.open(&Key::Passphrase(text("open"))).unwrap_err().id, "node-wrong-passphrase");
        assert_eq!(vault.open(&Key::None).unwrap_err().id, "node-no-passphrase");
        assert!(!is_half_made(&dir));
    }

    #[test]
    fn a_second_home_in_the_same_place_is_refused_and_the_first_stays() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("allod");
        init_now(options(&dir, None)).unwrap();
        let before = fs::read(dir.join("vault")).unwrap();
        let failure = init_now(options(&dir, Some("x"))).err().unwrap();
        assert_eq!((failure.id, failure.code.as_str()), ("node-home-exists", "already_exists"));
        assert_eq!(fs::read(dir.join("vault")).unwrap(), before);
    }

    #[test]
    fn a_home_whose_phrase_could_not_be_shown_is_begun_again() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("allod");
        let unseen = init(options(&dir, None), |_| Err(Failure::from(NodeRefusal::Stopping {})));
        assert_eq!(unseen.unwrap_err().id, "node-stopping");
        assert!(is_half_made(&dir));
        let mut words = 0;
        init(options(&dir, None), |made| {
            words = made.phrase.split(' ').count();
            Ok::<(), Failure>(())
        })
        .unwrap();
        assert!(words == 24 && !is_half_made(&dir));
    }

    #[test]
    fn a_home_that_was_half_made_is_begun_again() {
        let outside = tempfile::tempdir().unwrap();
        let whole = outside.path().join("whole");
        init_now(options(&whole, None)).unwrap();
        // Cut off after each of its writes, in order.
        for cut in 0..5 {
            let dir = outside.path().join(format!("cut{cut}"));
            create_directory(&dir).unwrap();
            replace_file(&dir.join(MARK), b"").unwrap();
            for part in ["config.toml", "store", "log", "vault"].iter().take(cut) {
                match *part {
                    directory @ ("store" | "log") => create_directory(&dir.join(directory)).unwrap(),
                    file => drop(fs::copy(whole.join(file), dir.join(file)).unwrap()),
                }
            }
            assert!(is_half_made(&dir));
            init_now(options(&dir, None)).unwrap();
            assert!(!is_half_made(&dir));
            assert_ne!(fs::read(dir.join("vault")).unwrap(), fs::read(whole.join("vault")).unwrap());
        }
    }

    #[test]
    fn a_directory_with_other_things_in_it_stays_as_it_is() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("thesis.tex"), "").unwrap();
        assert_eq!(init_now(options(outside.path(), None)).err().unwrap().id, "node-home-not-empty");
        assert_eq!(entries(outside.path()).unwrap(), ["thesis.tex"]);
    }

    #[test]
    fn an_empty_directory_becomes_private() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("allod");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        init_now(options(&dir, None)).unwrap();
        assert_eq!(mode(&dir), 0o700);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for name in ["", "  ", "a\u{7}b", &"x".repeat(PETNAME_MAX_BYTES + 1)] {
            assert_eq!(node_name(Some(name.to_owned())).unwrap_err().id, "node-bad-name");
        }
        assert_eq!(node_name(Some(" Zoe\u{308} ".to_owned())).unwrap(), "Zo\u{eb}");
    }
}
