//! Making a home of a backup.
//!
//! It goes as in `init`: a mark stands from the first write to the last, and what was left half made is begun again. Rows are stored
//! while they are read, since nobody takes the home for one as long as the mark is there; at the first part that does not open all is
//! cleared away. The vault keeps its keys and opens by the new passphrase under a new vault key. A home that is there is never touched.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use allod_crypto::{Phrase, UnlockError, Vault, VaultError};
use allod_protocol::{
    command::NodeKind,
    restore as incarnation,
    store::{Batch, Store},
    time::Timestamp,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    clock,
    clock::Clock,
    dice,
    failure::{Failure, NodeRefusal},
    init::{STORE, Unfinished, io_failure},
    limits::{BATCH_MAX_BYTES, RESTORE_WRITES_MAX},
    passphrase, store_failure,
    vault_file::{self, protect},
};
use crate::{
    backup::{About, ClosedBackup, OpenBackup, ReadError, Rows},
    config::{Settings, StoreSettings},
    store::{self, EngineName, home::replace_file},
};

/// How a home is made of a backup.
pub struct RestoreOptions {
    pub home: PathBuf,
    pub engine: EngineName,
    /// Where the backup comes from, as it is shown.
    pub path: String,
    /// The 24 words, as they were typed.
    pub phrase: Zeroizing<String>,
    /// The new one; `None` leaves the vault open to whoever reads its file.
    pub passphrase: Option<Zeroizing<String>>,
}

/// What is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub node: String,
    pub name: String,
    /// The moment that the backup shows.
    pub at: Timestamp,
    pub records: u64,
    pub peers: u64,
}

/// Reads what a backup begins with.
///
/// # Errors
/// The failure to show: it is none, it is damaged, or a newer program made it.
pub fn read_backup<R: Read>(input: R, path: &str) -> Result<ClosedBackup<R>, Failure> {
    ClosedBackup::read(input).map_err(|error| read_failure(path, error))
}

/// Makes a home of a backup. Takes its time.
///
/// # Errors
/// The failure to show; nothing is left then.
pub fn restore(backup: ClosedBackup<impl Read>, options: RestoreOptions) -> Result<Restored, Failure> {
    clock::confirm()?;
    let RestoreOptions { home: dir, engine, path, phrase, passphrase } = options;
    let passphrase = passphrase.map(passphrase::checked).transpose()?;
    let phrase = Phrase::parse(&phrase).map_err(|error| NodeRefusal::BadPhrase { why: error.to_string() })?;
    let unread = |error: ReadError| read_failure(&path, error);
    let OpenBackup { about, vault, mut rows } = backup.open(&phrase).map_err(unread)?;
    let vault = Vault::read(&vault).map_err(|error| match error {
        VaultError::Damaged => NodeRefusal::BackupDamaged { path: path.clone() },
        VaultError::Newer { version } => NodeRefusal::BackupNewer { path: path.clone(), version: version.into() },
    })?;
    let mut vault = vault.unlock_phrase(&phrase).map_err(|error| match error {
        UnlockError::TooLittleMemory { kib } => Failure::from(NodeRefusal::TooLittleMemory { kib: kib.into() }),
        UnlockError::Wrong | UnlockError::Damaged => NodeRefusal::BackupDamaged { path: path.clone() }.into(),
    })?;
    let unfinished = Unfinished::begin(&dir)?;
    let dice = &mut dice();
    let made = fill(&dir, engine, &about, &mut rows, &vault, &unread, dice).and_then(|()| {
        protect(&mut vault, passphrase.as_ref(), dice);
        vault.set_store_created();
        replace_file(&dir.join(vault_file::FILE), &vault.to_bytes(dice)).map_err(|error| io_failure(&dir, &error))
    });
    if let Err(failure) = made {
        unfinished.give_up();
        return Err(failure);
    }
    unfinished.finish()?;
    let About { at, node, name, records, peers, .. } = about;
    Ok(Restored { node, name, at, records, peers })
}

/// Makes all of the home but its vault.
fn fill(
    dir: &Path,
    engine: EngineName,
    about: &About,
    rows: &mut Rows<impl Read>,
    vault: &Vault,
    unread: &impl Fn(ReadError) -> Failure,
    dice: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    Unfinished::furnish(dir, &settings_of(about, engine)).map_err(|error| io_failure(dir, &error))?;
    let mut store = store::open(engine, &dir.join(STORE), false).map_err(|fault| store_failure(&fault))?;
    let mut batch = Batch::new();
    while let Some((key, value)) = rows.next_row().map_err(unread)? {
        let size_bytes = batch.size_bytes() + key.len() + value.len();
        if !batch.is_empty() && (size_bytes > BATCH_MAX_BYTES || batch.len() == RESTORE_WRITES_MAX) {
            store.commit(&std::mem::take(&mut batch)).map_err(|fault| store_failure(&fault))?;
        }
        batch.put(key, value);
    }
    store.commit(&batch).and_then(|()| store.check()).map_err(|fault| store_failure(&fault))?;
    begin_incarnation(&mut *store, vault, about.kind.into_kind(), dice)
}

/// What belongs to a machine is as in a new home.
fn settings_of(about: &About, engine: EngineName) -> Settings {
    let mut settings = Settings::new(about.node.clone(), about.name.clone(), about.kind);
    settings.carry = about.carry;
    settings.store = StoreSettings { engine };
    settings
}

/// Begins a new log with each peer, and suspends what is lent: called when all rows are in the store and were looked through.
fn begin_incarnation(
    store: &mut dyn Store,
    vault: &Vault,
    kind: NodeKind,
    dice: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let now = Clock::start().now();
    let mut after = None;
    loop {
        let began = incarnation::begin(&*store, vault, kind, now, dice, after);
        let (writes, next) = began.map_err(|fault| store_failure(&fault))?;
        store.commit(&writes).map_err(|fault| store_failure(&fault))?;
        match next {
            Some(_) => after = next,
            None => return Ok(()),
        }
    }
}

fn read_failure(path: &str, error: ReadError) -> Failure {
    let path = path.to_owned();
    match error {
        ReadError::File(error) => NodeRefusal::BackupUnread { path, detail: error.to_string() },
        ReadError::NoBackup => NodeRefusal::NoBackup { path },
        ReadError::Newer { version } => NodeRefusal::BackupNewer { path, version },
        ReadError::Damaged => NodeRefusal::BackupDamaged { path },
        ReadError::WrongPhrase => NodeRefusal::BackupWrongPhrase { path },
    }
    .into()
}
