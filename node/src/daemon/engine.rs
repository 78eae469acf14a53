//! The protocol's engine as the daemon's thread runs it.

use std::{sync::Arc, time::Duration};

use allod_crypto::Vault;
use allod_protocol::{
    effect::Message,
    engine::{self, Engine, Step},
    event::Event,
    store::{StoreFault, View},
    time::Now,
};
use rand_core::CryptoRng;

use super::{MakeOpener, driver::Machine};
use crate::config::Settings;

impl Machine for Engine {
    fn handle(
        &mut self,
        event: Event,
        now: Now,
        dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Step, StoreFault> {
        Engine::handle(self, event, now, dice, view)
    }

    fn message_bytes(
        &mut self,
        message: Message,
        now: Now,
        dice: &mut dyn CryptoRng,
        view: &dyn View,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        Engine::message_bytes(self, message, now, dice, view)
    }

    fn wake_in(&self, now: Now) -> Option<Duration> {
        Engine::wake_in(self, now)
    }

    fn vault(&mut self) -> &mut Vault {
        self.vault_mut()
    }
}

/// Makes openers of engines for a home with these settings.
#[must_use]
pub fn make_opener(settings: &Settings) -> MakeOpener {
    let settings =
        engine::Settings { name: settings.name.clone(), kind: settings.kind.into_kind(), carrier: settings.carries() };
    Arc::new(move |vault| {
        let settings = settings.clone();
        Box::new(move |view, now, dice| {
            let (engine, step) = Engine::open(view, vault, settings, now, dice)?;
            let machine: Box<dyn Machine> = Box::new(engine);
            Ok((machine, step))
        })
    })
}
