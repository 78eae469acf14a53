//! The running node, as its callers see it: the way to the engine, and what stands around it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use allod_crypto::Vault;
use tokio::sync::{Mutex, watch};
use zeroize::Zeroizing;

use super::{
    backup::{Made, nameless_file},
    bridge::Listening,
    clock::Clock,
    dice,
    driver::{Door, Opener},
    failure::{Failure, NodeRefusal},
    passphrase,
    vault_file::{self, Key, VaultFile},
};
use crate::{api::watch::Ring, config::Settings};

/// Makes an engine's opener of an open vault.
pub type MakeOpener = Arc<dyn Fn(Vault) -> Opener + Send + Sync>;

/// A running node.
pub struct Node {
    pub(super) home: PathBuf,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) listening: Listening,
    pub(super) door: Door,
    pub(super) ring: Arc<Ring>,
    pub(super) vault_file: Arc<VaultFile>,
    pub(super) make_opener: MakeOpener,
    pub(super) stages: Stages,
    /// Locking, unlocking and changing the passphrase, one at a time.
    pub(super) turn: Mutex<()>,
}

/// How far the node's end has come.
pub(super) struct Stages {
    /// Somebody wants it to stop.
    pub asked: watch::Sender<bool>,
    /// The store is closed and the links are too.
    pub engine_stopped: watch::Sender<bool>,
    /// The control socket takes no more callers.
    pub closing: watch::Sender<bool>,
}

impl Stages {
    pub(super) fn new() -> Self {
        let stage = || watch::Sender::new(false);
        Self { asked: stage(), engine_stopped: stage(), closing: stage() }
    }
}

/// Waits until a stage has come; one whose sender is gone has.
pub(super) async fn reached(mut stage: watch::Receiver<bool>) {
    let _ = stage.wait_for(|reached| *reached).await;
}

impl Node {
    /// The home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The settings that the node was started with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its clocks.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The addresses that it listens on.
    #[must_use]
    pub fn listening(&self) -> Vec<String> {
        self.listening.get()
    }

    /// The way to the engine.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// The vault's file.
    #[must_use]
    pub fn vault_file(&self) -> &VaultFile {
        &self.vault_file
    }

    /// What happened of late.
    #[must_use]
    pub fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring)
    }

    /// Becomes true when the control socket closes.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stages.closing.subscribe()
    }

    /// Asks the node to stop, and returns when its store is closed.
    pub async fn stop(&self) {
        self.stages.asked.send_replace(true);
        reached(self.stages.engine_stopped.subscribe()).await;
    }

    /// Wipes all keys from memory.
    ///
    /// # Errors
    /// If the node is stopping.
    pub async fn lock(&self) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        self.door.lock().await.ok_or(NodeRefusal::Stopping {})?;
        Ok(())
    }

    /// Opens the vault and starts the engine, unless it runs. A wrong key is refused even then.
    ///
    /// # Errors
    /// The failure to show.
    pub async fn unlock(&self, key: Key) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        let vault = self.open(key).await?;
        self.door.unlock((self.make_opener)(vault)).await.ok_or(NodeRefusal::Stopping {})?;
        Ok(())
    }

    /// Changes how the vault opens; `None` leaves it open to whoever reads its file.
    ///
    /// # Errors
    /// The failure to show.
    pub async fn change_passphrase(&self, old: Key, new: Option<Zeroizing<String>>) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        let new = new.map(passphrase::checked).transpose()?;
        let mut vault = self.open(old).await?;
        let locked = self.door.store().await.ok_or(NodeRefusal::Stopping {})?.locked;
        if !locked {
            // The engine's own vault is what will be written again.
            return self.door.protect(new).await.unwrap_or(Err(NodeRefusal::Stopping {}.into()));
        }
        let file = Arc::clone(&self.vault_file);
        blocking(move || {
            let mut dice = dice();
            vault_file::protect(&mut vault, new.as_ref(), &mut dice);
            file.replace(&vault, &mut dice)
        })
        .await
    }

    /// A backup as of this moment, in a file that nobody else has.
    ///
    /// # Errors
    /// The failure to show: the node is locked or stopping, or there is no room.
    pub async fn backup(&self) -> Result<Made, Failure> {
        let home = self.home.clone();
        let file = blocking(move || nameless_file(&home)).await?;
        self.door.backup(file, self.settings.clone()).await.unwrap_or(Err(NodeRefusal::Stopping {}.into()))
    }

    async fn open(&self, key: Key) -> Result<Vault, Failure> {
        let file = Arc::clone(&self.vault_file);
        blocking(move || file.open(&key)).await
    }
}

/// Runs what takes its time on a thread that nobody waits for but the caller.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let failed = |_| Err(NodeRefusal::Internal { what: "a task of the node failed".to_owned() }.into());
    tokio::task::spawn_blocking(work).await.unwrap_or_else(failed)
}
