//! A backup between two steps: rows, vault and counts of one moment.

use std::fs::File;

use allod_protocol::{
    command::{Answer, Command},
    refusal::Refusal,
};
use tokio::sync::oneshot;

use super::{Driver, Ended, Running, Together};
use crate::{
    backup::About,
    config::Settings,
    daemon::{
        backup::{self, Made, MakeError},
        failure::{Failure, NodeRefusal},
    },
};

impl Running {
    /// Writes it. What went wrong with the file is for whoever wanted it; a store that does not read ends the thread.
    pub(super) fn backup(&mut self, file: File, settings: &Settings) -> Result<Result<Made, Failure>, Ended> {
        let (told, mut answer) = oneshot::channel();
        if let Some(event) = self.ticketed(Command::Status, told) {
            let mut together = Together::default();
            self.step(event, &mut together)?;
            self.finish(together)?;
        }
        let counts = match answer.try_recv() {
            Ok(Ok(Answer::Status(counts))) => counts,
            Ok(Err(failure)) => return Ok(Err(failure)),
            Ok(Ok(_)) | Err(_) => return Ok(Err(NodeRefusal::Internal { what: "nothing was counted".into() }.into())),
        };
        let Some(machine) = &mut self.machine else { return Ok(Err(Refusal::Locked {}.into())) };
        let Driver { store, clock, dice, .. } = &mut self.driver;
        let about = About {
            at: clock.now().wall,
            node: settings.node.clone(),
            name: settings.name.clone(),
            kind: settings.kind,
            carry: settings.carry,
            records: counts.records,
            peers: counts.peers_paired,
        };
        match backup::make(file, about, &**store, machine.vault(), &mut **dice) {
            Ok(made) => Ok(Ok(made)),
            Err(MakeError::Store(fault)) => Err(Ended::Store(fault)),
            Err(MakeError::File(error)) => Ok(Err(backup::no_file(self.driver.vault_file.home(), &error))),
        }
    }
}
