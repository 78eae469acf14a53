//! Where a passphrase comes from: a file, systemd's credentials, a prompt. Never an argument, never a variable's value.
//!
//! Where none of them is there the answer is a refusal at once, and never a wait for a terminal that nobody sits at.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use allod_crypto::ProtectionKind;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{
    failure::{Failure, NodeRefusal},
    limits::PASSPHRASE_MAX_BYTES,
    vault_file::{Key, VaultFile, protect},
};

/// Asks a person at a terminal; handed in by the command line, which knows whether there is one.
pub type Prompt = Box<dyn FnOnce() -> io::Result<Zeroizing<String>> + Send>;

/// The ways to a passphrase that this start of the node has.
pub struct Ways {
    pub file: Option<PathBuf>,
    pub prompt: Option<Prompt>,
}

/// systemd sets this for a service that is given credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// The name of ours among them.
pub const CREDENTIAL: &str = "passphrase";

impl Ways {
    /// What opens a vault of this kind, from the first way that there is: the file, the credential, the prompt.
    ///
    /// # Errors
    /// The failure to show: there is no way, or it holds no passphrase.
    pub fn key(self, protection: ProtectionKind) -> Result<Key, Failure> {
        self.key_from(protection, env::var_os(CREDENTIALS))
    }

    fn key_from(self, protection: ProtectionKind, credentials: Option<OsString>) -> Result<Key, Failure> {
        if protection == ProtectionKind::None {
            return Ok(Key::None);
        }
        if let Some(file) = self.file {
            return read_file(&file).map(Key::Passphrase);
        }
        let credential = credentials.map(|directory| Path::new(&directory).join(CREDENTIAL));
        if let Some(credential) = credential.filter(|path| path.exists()) {
            return read_file(&credential).map(Key::Passphrase);
        }
        let prompt = self.prompt.ok_or(NodeRefusal::NoPassphrase {})?;
        prompt().map(Key::Passphrase).map_err(|_| NodeRefusal::NoPassphrase {}.into())
    }
}

/// Gives the vault of a home in which no node runs a new passphrase, or none. The recovery phrase opens it.
///
/// # Errors
/// The failure to show: a node runs there, there is no vault, or the phrase does not open it.
pub fn set_by_phrase(
    home: &Path,
    phrase: Zeroizing<String>,
    passphrase: Option<&Zeroizing<String>>,
    dice: &mut dyn rand_core::CryptoRng,
) -> Result<(), Failure> {
    if let Some(passphrase) = passphrase {
        checked(passphrase.clone())?;
    }
    let vault_file = VaultFile::of(home);
    // Whether there is a vault at all is said before anything else; only its taker may change it.
    vault_file.read()?;
    let _taken = crate::store::home::Home::open(home).map_err(|error| super::home_failure(&error))?;
    let mut vault = vault_file.open(&Key::Phrase(phrase))?;
    protect(&mut vault, passphrase, dice);
    vault_file.replace(&vault, dice)
}

/// The first line of a file.
///
/// # Errors
/// The failure to show: it does not read, or holds no passphrase.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refused = |detail: String| NodeRefusal::PassphraseFile { path: path.display().to_string(), detail };
    // Room for all of it: growing would leave pieces of it behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX_BYTES + 3));
    let most = PASSPHRASE_MAX_BYTES as u64 + 2;
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| refused(error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    checked(Zeroizing::new(line.to_owned()))
}

/// This passphrase, if it is one.
///
/// # Errors
/// If it is empty or too long.
pub fn checked(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    if passphrase.is_empty() || passphrase.len() > PASSPHRASE_MAX_BYTES {
        return Err(NodeRefusal::BadPassphrase { most: PASSPHRASE_MAX_BYTES as u64 }.into());
    }
    Ok(passphrase)
}

/// The same text from every keyboard: Unicode's composed form.
#[must_use]
pub fn normalized(passphrase: &Zeroizing<String>) -> Zeroizing<String> {
    // Composing makes at most three bytes of one: one allocation, so that no piece is left behind.
    let mut normalized = Zeroizing::new(String::with_capacity(passphrase.len() * 3));
    normalized.extend(passphrase.nfc());
    normalized
}

#[cfg(test)]
mod tests {
    use allod_protocol::refusal::Code;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_file_is_read_without_its_line_end_and_with_its_blanks() {
        for bytes in ["two words ", "two words \n", "two words \r\n"] {
            assert_eq!(read_file(file(bytes.as_bytes()).path()).unwrap().as_str(), "two words ");
        }
    }

    #[test]
    fn a_file_without_a_passphrase_is_refused() {
        let long = vec![b'x'; PASSPHRASE_MAX_BYTES + 1];
        for (bytes, id) in [
            (&b""[..], "node-bad-passphrase"),
            (b"\n", "node-bad-passphrase"),
            (&long, "node-bad-passphrase"),
            (b"\xff\xfe", "node-passphrase-file"),
        ] {
            assert_eq!(read_file(file(bytes).path()).unwrap_err().id, id);
        }
        assert_eq!(read_file(Path::new("/nonexistent/file")).unwrap_err().code, Code::Locked);
        assert!(read_file(file(&long[1..]).path()).is_ok());
    }

    #[test]
    fn no_file_and_no_terminal_are_refused_at_once() {
        let ways = Ways { file: None, prompt: None };
        let failure = ways.key_from(ProtectionKind::Passphrase, None).err().unwrap();
        assert_eq!((failure.id, failure.code.exit()), ("node-no-passphrase", 6));
    }

    #[test]
    fn a_file_goes_before_a_credential_and_that_before_a_prompt() {
        let credentials = tempfile::tempdir().unwrap();
        let named = file(b"from the file");
        let key = |file: Option<PathBuf>| {
            let prompt: Prompt = Box::new(|| Ok(Zeroizing::new("from the prompt".to_owned())));
            let ways = Ways { file, prompt: Some(prompt) };
            match ways.key_from(ProtectionKind::Passphrase, Some(credentials.path().into())).unwrap() {
                Key::Passphrase(text) => text.as_str().to_owned(),
                _ => panic!("a passphrase"),
            }
        };
        assert_eq!(key(None), "from the prompt");
        std::fs::write(credentials.path().join("passphrase"), "from systemd\n").unwrap();
        assert_eq!(key(None), "from systemd");
        assert_eq!(key(Some(named.path().to_owned())), "from the file");
    }

    #[test]
    fn a_phrase_sets_a_passphrase_only_where_no_node_runs_and_only_one_that_is_one() {
        let made = crate::daemon::rig::TestHome::new(None);
        let (home, phrase) = (made.dir(), Zeroizing::new(made.phrase.clone()));
        let vault = VaultFile::of(&home);
        let before = std::fs::read(vault.path()).unwrap();
        let set = |text: &str| {
            let text = Zeroizing::new(text.to_owned());
            set_by_phrase(&home, phrase.clone(), Some(&text), &mut crate::daemon::dice())
        };
        let running = crate::store::home::Home::open(&home).unwrap();
        assert_eq!(set("open sesame").unwrap_err().id, "node-already-running");
        drop(running);
        for text in ["", &"x".repeat(PASSPHRASE_MAX_BYTES + 1)] {
            assert_eq!(set(text).unwrap_err().id, "node-bad-passphrase");
        }
        assert_eq!(std::fs::read(vault.path()).unwrap(), before);
        set("open sesame").unwrap();
        assert!(vault.open(&Key::Passphrase(Zeroizing::new("open sesame".to_owned()))).is_ok());
    }

    #[test]
    fn each_keyboard_gives_the_same_bytes() {
        let composed = Zeroizing::new("\u{e9}t\u{e9}".to_owned());
        let apart = Zeroizing::new("e\u{301}te\u{301}".to_owned());
        assert_eq!(normalized(&composed), normalized(&apart));
    }
}
