//! `restore`: a home out of a backup and the 24 words, in this process; no node runs there yet.

use std::{
    fs::File,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::json;

use super::{
    Session,
    arguments::{self, EngineWord},
    asking::{self, Source},
    ending::{Done, Ending},
    progress::with_progress,
};
use crate::{
    api::reply::known_time,
    daemon::{self, RestoreOptions, hygiene, restore::read_backup},
    messages::{Facts, Messages},
    store::EngineName,
};

pub(super) async fn restore(session: &Session, args: arguments::Restore) -> Done {
    let screen = &session.screen;
    // The words and all keys pass through this process.
    hygiene::keep_out_others().map_err(Ending::internal)?;
    // Before anyone is asked for anything.
    daemon::init::confirm_free(&session.home)?;
    let (path, shown) = (args.file.clone(), args.file.display().to_string());
    let read = Arc::new(AtomicU64::new(0));
    let (opened, size_bytes) = {
        let (path, shown, count) = (path.clone(), shown.clone(), Arc::clone(&read));
        // A pipe may be long in coming.
        blocking(move || {
            let failed = |error: io::Error| Ending::file(&path, &error);
            let file = File::open(&path).map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            if about.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Ok((read_backup(Counted { file, count }, &shown)?, about.len()))
        })
        .await?
    };
    let new_passphrase = if args.no_passphrase { None } else { Some(Source::find(args.passphrase_file.as_deref())?) };
    let phrase = asking::phrase(session, args.phrase_file.as_deref()).await?;
    let passphrase = match new_passphrase {
        Some(source) => Some(source.read_new(Messages::of(screen.lang())).await?),
        None => None,
    };
    let options = RestoreOptions {
        home: session.home.clone(),
        engine: args.engine.map_or_else(EngineName::default, EngineWord::into_name),
        path: shown,
        phrase,
        passphrase,
    };
    let work = blocking(move || Ok(daemon::restore(opened, options)?));
    let restored = with_progress(screen, work, &read, size_bytes).await?;
    let (home, at) = (session.home.display().to_string(), known_time(restored.at));
    if screen.is_json() {
        return screen.json(&json!({
            "home": home, "node": restored.node, "name": restored.name, "at": at,
            "records": restored.records, "peers": restored.peers,
        }));
    }
    let facts = Facts::none()
        .text("name", &restored.name)
        .text("home", home)
        .number("records", restored.records)
        .number("peers", restored.peers)
        .time("at", restored.at);
    screen.say("restore-done", &facts)?;
    screen.say("restore-removed", &facts)?;
    if restored.peers > 0 {
        screen.say("restore-suspended", &facts)?;
    }
    screen.say("restore-old-node", &facts)?;
    screen.print("")?;
    screen.say("init-next", &Facts::none())
}

/// On a thread of its own: Ctrl-C ends the command meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Done<T> + Send + 'static) -> Done<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()))
}

/// A file that counts what was read of it.
struct Counted {
    file: File,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
