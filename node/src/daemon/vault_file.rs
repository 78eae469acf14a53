//! The vault's file: read, opened with what the owner gives, replaced whole.
//!
//! The open vault lives in the engine, and nowhere else while the engine runs; here are only its bytes. Every replacement is the whole
//! file, durable before it is reported, so that a key that was rotated away can't come back.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use allod_crypto::{LockedVault, Phrase, Protection, ProtectionKind, UnlockError, Vault, VaultError};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    failure::{Failure, NodeRefusal},
    limits::VAULT_MAX_BYTES,
    passphrase,
};
use crate::store::home::{Place, open_file, replace_file};

/// The file's name in the home.
pub const FILE: &str = "vault";

/// What opens a vault.
pub enum Key {
    Passphrase(Zeroizing<String>),
    /// The 24 words, as they were typed.
    Phrase(Zeroizing<String>),
    /// Nothing: enough where the owner chose so.
    None,
}

/// A home's vault on the disk.
#[derive(Debug)]
pub struct VaultFile {
    path: PathBuf,
    /// The home as it was found; none if it could not be opened.
    place: Option<Place>,
}

impl VaultFile {
    /// The vault of this home.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        Self { path: home.join(FILE), place: Place::of(home).ok() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that it lies in.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Reads the file, as far as it reads without a key.
    ///
    /// # Errors
    /// The failure to show: there is none, or it does not read.
    pub fn read(&self) -> Result<LockedVault, Failure> {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = open_file(&self.path).and_then(|file| file.take(VAULT_MAX_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let home = self.home().display().to_string();
                return Err(NodeRefusal::NoVault { home }.into());
            }
            Err(error) => return Err(self.io(&error)),
        }
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > VAULT_MAX_BYTES {
            return Err(NodeRefusal::VaultDamaged {}.into());
        }
        Vault::read(&bytes).map_err(|error| match error {
            VaultError::Damaged => NodeRefusal::VaultDamaged {}.into(),
            VaultError::Newer { version } => NodeRefusal::VaultNewer { version: version.into() }.into(),
        })
    }

    /// Opens the vault. Takes a quarter of a second for a passphrase: not for a thread that others wait for.
    ///
    /// # Errors
    /// The failure to show: this does not open it, or it does not hold together.
    pub fn open(&self, key: &Key) -> Result<Vault, Failure> {
        let locked = self.read()?;
        let (opened, wrong) = match key {
            Key::Passphrase(_) if locked.protection() == ProtectionKind::None => {
                return Err(NodeRefusal::NoPassphraseSet {}.into());
            }
            Key::None if locked.protection() == ProtectionKind::Passphrase => {
                return Err(NodeRefusal::NoPassphrase {}.into());
            }
            Key::Passphrase(passphrase) => {
                let passphrase = passphrase::normalized(passphrase);
                (locked.unlock_passphrase(passphrase.as_bytes()), NodeRefusal::WrongPassphrase {})
            }
            Key::Phrase(words) => {
                let phrase = Phrase::parse(words).map_err(|error| NodeRefusal::BadPhrase { why: error.to_string() })?;
                (locked.unlock_phrase(&phrase), NodeRefusal::WrongPhrase {})
            }
            Key::None => (locked.unlock_open(), NodeRefusal::VaultDamaged {}),
        };
        opened.map_err(|error| match error {
            UnlockError::Wrong => wrong.into(),
            UnlockError::Damaged => NodeRefusal::VaultDamaged {}.into(),
            UnlockError::TooLittleMemory { kib } => NodeRefusal::TooLittleMemory { kib: kib.into() }.into(),
        })
    }

    /// Replaces the file, durably.
    ///
    /// # Errors
    /// The failure to show; the old file is then still there.
    pub fn replace(&self, vault: &Vault, dice: &mut dyn CryptoRng) -> Result<(), Failure> {
        if self.place.as_ref().is_some_and(|place| !place.is_kept()) {
            let home = self.home().display().to_string();
            return Err(NodeRefusal::HomeMoved { home }.into());
        }
        replace_file(&self.path, &vault.to_bytes(dice)).map_err(|error| self.io(&error))
    }

    fn io(&self, error: &io::Error) -> Failure {
        NodeRefusal::HomeIo { path: self.path.display().to_string(), detail: error.to_string() }.into()
    }
}

/// Sets the vault's passphrase, or none. Takes a quarter of a second.
pub fn protect(vault: &mut Vault, passphrase: Option<&Zeroizing<String>>, dice: &mut dyn CryptoRng) {
    match passphrase {
        None => vault.set_passphrase(Protection::None, dice),
        Some(passphrase) => {
            let passphrase = passphrase::normalized(passphrase);
            vault.set_passphrase(Protection::Passphrase(passphrase.as_bytes()), dice);
        }
    }
}
