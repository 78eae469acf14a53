//! The vault: the small file that everything else at rest hangs from.
//!
//! ```text
//! passphrase ─Argon2id─┐
//!                      ├─ slot ─> vault key ─> root, index key, 256 bucket keys ─> data keys (in the store) ─> rows
//! phrase (root) ─HKDF──┘
//! ```
//! [`Vault::read`] yields a [`LockedVault`], which one of three ways opens: the passphrase, the phrase, or nothing at all if
//! the owner chose no passphrase (then the vault key stands in the file in clear, and the file says so). An open vault keeps
//! what the passphrase yielded, so that a new vault key can be drawn without asking again; changing the passphrase draws one
//! too, since the old passphrase would otherwise open today's vault through an old file.
//!
//! A removal rotates its bucket: [`Vault::begin_rotation`] draws the new bucket key and keeps the old one beside it while data
//! keys are rewrapped; [`Vault::finish_rotation`] drops it and draws a new vault key, so that no old file helps. Between the
//! two the vault is saved, and a crash loses nothing. The caller writes the bytes to disk; nothing here touches a file.

mod file;
mod passphrase;

use std::{cell::RefCell, collections::VecDeque, fmt};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::identity::SigningIdentity;
use crate::key::{SecretKey, ct_eq};
use crate::phrase::Phrase;
use crate::seal::{Domain, OpenError, Padding, open, seal};
use file::{Content, OpenSlot, VaultFile};
use passphrase::{Cost, PassphraseKey};

pub const BUCKETS: usize = 256;

/// Signing identities that are kept set up.
const SIGNERS_MAX: usize = 16;

/// How the owner wants the vault to open.
#[derive(Clone, Copy)]
pub enum Protection<'a> {
    /// The passphrase's bytes: UTF-8 in NFC, so that each keyboard gives the same.
    Passphrase(&'a [u8]),
    /// Whoever reads the file opens the vault.
    None,
}

/// How a vault on disk opens, apart from the phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectionKind {
    Passphrase,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the vault file is damaged")]
    Damaged,
    #[error("the vault file has version {version}, which is newer than this program")]
    Newer { version: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    #[error("this does not open the vault")]
    Wrong,
    #[error("the vault opens, but what it holds is damaged")]
    Damaged,
    #[error("the passphrase takes {kib} KiB of memory to check, and they are not there")]
    TooLittleMemory { kib: u32 },
}

/// A rotation of this bucket is under way: finish it first, or its data keys under the older bucket key are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bucket {bucket} is being rotated already")]
pub struct RotationUnderWay {
    pub bucket: u8,
}

/// The keys of one 256th of all data keys.
pub struct Bucket {
    generation: u32,
    key: SecretKey,
    previous: Option<(u32, SecretKey)>,
}

impl Bucket {
    fn random(dice: &mut dyn CryptoRng) -> Bucket {
        Bucket { generation: 0, key: SecretKey::random(dice), previous: None }
    }

    /// How often the key was changed: stored beside each wrapped data key.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The key under which data keys are wrapped.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The key that a rotation under way is replacing.
    pub fn previous(&self) -> Option<(u32, &SecretKey)> {
        self.previous.as_ref().map(|(generation, key)| (*generation, key))
    }

    /// The key under which a data key of this generation was wrapped, if it is still there.
    pub fn key_of(&self, generation: u32) -> Option<&SecretKey> {
        if generation == self.generation {
            return Some(&self.key);
        }
        self.previous().filter(|(previous, _)| *previous == generation).map(|(_, key)| key)
    }
}

/// An open vault.
pub struct Vault {
    vault_key: SecretKey,
    passphrase: Option<PassphraseKey>,
    root: Phrase,
    index_key: SecretKey,
    store_created: bool,
    buckets: Vec<Bucket>,
    /// Those that signed last, the newest first: setting one up costs as much as a signature. Their places move, their bytes do not.
    signers: RefCell<VecDeque<Box<SigningIdentity>>>,
}

impl Vault {
    /// A vault for a new home, and the phrase that its owner must write down.
    ///
    /// # Panics
    /// If the 64 MiB that the passphrase takes are not there.
    pub fn create(protection: Protection<'_>, dice: &mut dyn CryptoRng) -> (Vault, Phrase) {
        let phrase = Phrase::random(dice);
        (Vault::create_with_phrase(protection, &phrase, dice), phrase)
    }

    /// A vault for a home that is set up again from a backup, with the phrase that its owner has already.
    ///
    /// # Panics
    /// If the 64 MiB that the passphrase takes are not there.
    pub fn create_with_phrase(protection: Protection<'_>, phrase: &Phrase, dice: &mut dyn CryptoRng) -> Vault {
        Vault::create_at_cost(protection, phrase, Cost::DEFAULT, dice)
    }

    fn create_at_cost(protection: Protection<'_>, phrase: &Phrase, cost: Cost, dice: &mut dyn CryptoRng) -> Vault {
        Vault {
            vault_key: SecretKey::random(dice),
            passphrase: new_passphrase(protection, cost, dice),
            root: Phrase::from_root(phrase.root().expose()),
            index_key: SecretKey::random(dice),
            store_created: false,
            buckets: (0..BUCKETS).map(|_| Bucket::random(dice)).collect(),
            signers: RefCell::default(),
        }
    }

    /// Reads a vault file, as far as it reads without a key.
    ///
    /// # Errors
    /// [`VaultError`] if the file is damaged or of a later version.
    pub fn read(bytes: &[u8]) -> Result<LockedVault, VaultError> {
        VaultFile::decode(bytes).map(LockedVault)
    }

    /// Changes how the vault opens. The phrase stays as it is.
    ///
    /// # Panics
    /// If the 64 MiB that the passphrase takes are not there.
    pub fn set_passphrase(&mut self, protection: Protection<'_>, dice: &mut dyn CryptoRng) {
        self.passphrase = new_passphrase(protection, Cost::DEFAULT, dice);
        self.vault_key = SecretKey::random(dice);
    }

    /// Draws a new key for the bucket and keeps the old one until [`Vault::finish_rotation`].
    ///
    /// # Errors
    /// [`RotationUnderWay`] if the one before was not finished.
    pub fn begin_rotation(&mut self, bucket: u8, dice: &mut dyn CryptoRng) -> Result<(), RotationUnderWay> {
        let slot = &mut self.buckets[usize::from(bucket)];
        if slot.previous.is_some() {
            return Err(RotationUnderWay { bucket });
        }
        let generation = slot.generation.checked_add(1).expect("nobody removes four billion records");
        let old = std::mem::replace(&mut slot.key, SecretKey::random(dice));
        slot.previous = Some((slot.generation, old));
        slot.generation = generation;
        Ok(())
    }

    /// Drops the bucket's old key and draws a new vault key, so that neither an old vault file nor an old row opens by what
    /// the next vault file holds. Doing it twice is harmless.
    pub fn finish_rotation(&mut self, bucket: u8, dice: &mut dyn CryptoRng) {
        self.buckets[usize::from(bucket)].previous = None;
        self.vault_key = SecretKey::random(dice);
    }

    /// Notes that a store was made, so that one found missing later is known to be lost and not just new.
    pub fn set_store_created(&mut self) {
        self.store_created = true;
    }

    pub fn store_created(&self) -> bool {
        self.store_created
    }

    pub fn protection(&self) -> ProtectionKind {
        match self.passphrase {
            Some(_) => ProtectionKind::Passphrase,
            None => ProtectionKind::None,
        }
    }

    pub fn bucket(&self, bucket: u8) -> &Bucket {
        &self.buckets[usize::from(bucket)]
    }

    /// The key that blinds names in the store.
    pub fn index_key(&self) -> &SecretKey {
        &self.index_key
    }

    /// Signs with the identity of a seed, as [`SigningIdentity::sign`].
    pub fn sign(&self, seed: &[u8; 32], domain: &'static str, bytes: &[u8]) -> [u8; 64] {
        let mut signers = self.signers.borrow_mut();
        let known = signers.iter().position(|signer| ct_eq(signer.to_bytes().as_slice(), seed));
        let signer = match known {
            Some(at) => signers.remove(at),
            None => None,
        };
        let signer = signer.unwrap_or_else(|| Box::new(SigningIdentity::from_bytes(seed)));
        let signature = signer.sign(domain, bytes);
        signers.push_front(signer);
        signers.truncate(SIGNERS_MAX);
        signature
    }

    /// The key of backup files, which the phrase opens without this vault.
    pub fn backup_key(&self) -> SecretKey {
        self.root.backup_key()
    }

    /// The file to write in place of the old one: new, sync, rename, sync directory.
    pub fn to_bytes(&self, dice: &mut dyn CryptoRng) -> Zeroizing<Vec<u8>> {
        let vault_key = self.vault_key.expose();
        let open_slot = match &self.passphrase {
            None => OpenSlot::Clear(self.vault_key.duplicate()),
            Some(passphrase) => OpenSlot::Passphrase {
                cost: passphrase.cost,
                salt: passphrase.salt,
                sealed: seal(
                    &passphrase.key,
                    Domain::VaultSlot,
                    &file::passphrase_slot_aad(passphrase.cost, &passphrase.salt),
                    vault_key,
                    Padding::None,
                    dice,
                ),
            },
        };
        let root_slot =
            seal(&self.root.slot_key(), Domain::VaultSlot, &file::root_slot_aad(), vault_key, Padding::None, dice);
        let content = Content {
            root: self.root.root(),
            index_key: &self.index_key,
            store_created: self.store_created,
            passphrase_key: self.passphrase.as_ref().map(|passphrase| &passphrase.key),
            buckets: &self.buckets,
        };
        let content = seal(
            &self.vault_key,
            Domain::VaultContent,
            &file::content_aad(self.protection()),
            &content.encode(),
            Padding::None,
            dice,
        );
        VaultFile { open_slot, root_slot, content }.encode()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// A vault file that was read and not opened yet. A wrong passphrase may be followed by another try.
pub struct LockedVault(VaultFile);

impl LockedVault {
    pub fn protection(&self) -> ProtectionKind {
        self.0.protection()
    }

    /// # Errors
    /// [`UnlockError`]; [`UnlockError::Wrong`] too if the vault has no passphrase.
    pub fn unlock_passphrase(&self, passphrase: &[u8]) -> Result<Vault, UnlockError> {
        let OpenSlot::Passphrase { cost, salt, sealed } = &self.0.open_slot else { return Err(UnlockError::Wrong) };
        let key = cost.stretch(passphrase, salt).ok_or(UnlockError::TooLittleMemory { kib: cost.memory_kib })?;
        self.unlock_slot(&key, &file::passphrase_slot_aad(*cost, salt), sealed)
    }

    /// Opens a vault that has no passphrase.
    ///
    /// # Errors
    /// [`UnlockError::Wrong`] if it has one.
    pub fn unlock_open(&self) -> Result<Vault, UnlockError> {
        match &self.0.open_slot {
            OpenSlot::Clear(vault_key) => self.unlock_content(vault_key.duplicate()),
            OpenSlot::Passphrase { .. } => Err(UnlockError::Wrong),
        }
    }

    /// # Errors
    /// [`UnlockError`]; [`UnlockError::Wrong`] if the phrase is another home's.
    pub fn unlock_phrase(&self, phrase: &Phrase) -> Result<Vault, UnlockError> {
        self.unlock_slot(&phrase.slot_key(), &file::root_slot_aad(), &self.0.root_slot)
    }

    fn unlock_slot(&self, key: &SecretKey, aad: &[u8], sealed: &[u8]) -> Result<Vault, UnlockError> {
        let vault_key =
            open(key, Domain::VaultSlot, aad, sealed, Padding::None).map_err(|OpenError| UnlockError::Wrong)?;
        self.unlock_content(SecretKey::from_slice(&vault_key).ok_or(UnlockError::Damaged)?)
    }

    fn unlock_content(&self, vault_key: SecretKey) -> Result<Vault, UnlockError> {
        let aad = file::content_aad(self.protection());
        let content = open(&vault_key, Domain::VaultContent, &aad, &self.0.content, Padding::None)
            .map_err(|OpenError| UnlockError::Damaged)?;
        let content = file::decode_content(&content).ok_or(UnlockError::Damaged)?;
        let passphrase = match (&self.0.open_slot, content.passphrase_key) {
            (OpenSlot::Clear(_), None) => None,
            (OpenSlot::Passphrase { cost, salt, .. }, Some(key)) => {
                Some(PassphraseKey { cost: *cost, salt: *salt, key })
            }
            _ => return Err(UnlockError::Damaged),
        };
        Ok(Vault {
            vault_key,
            passphrase,
            root: content.root,
            index_key: content.index_key,
            store_created: content.store_created,
            buckets: content.buckets,
            signers: RefCell::default(),
        })
    }
}

impl fmt::Debug for LockedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedVault(..)")
    }
}

fn new_passphrase(protection: Protection<'_>, cost: Cost, dice: &mut dyn CryptoRng) -> Option<PassphraseKey> {
    match protection {
        Protection::None => None,
        Protection::Passphrase(passphrase) => {
            let mut salt = [0; 32];
            dice.fill_bytes(&mut salt);
            let key = cost.stretch(passphrase, &salt).expect("a machine that runs a node has 64 MiB to spare");
            Some(PassphraseKey { cost, salt, key })
        }
    }
}

#[cfg(test)]
mod tests;
