//! `backup`: the node hands over everything as of one moment, sealed, and it becomes a file of our own.

use std::{io::Write, path::Path};

use serde_json::json;

use super::{
    Session, arguments,
    ending::{Done, Ending},
    new_file::{Former, NewFile},
};
use crate::{
    api::backup::{AT, RECORDS},
    client::Url,
    messages::Facts,
    time_text,
};

pub(super) async fn backup(session: &Session, args: arguments::Backup) -> Done {
    let to = &args.file;
    if to == Path::new("-") {
        return Err(Ending::usage("cli-backup-needs-file", Facts::none()));
    }
    let mut file = NewFile::begin(to, if args.force { Former::Replaced } else { Former::Kept })?;
    let answer = session.client.download(&Url::new("/v1/backup")).await;
    let mut download = answer.map_err(|error| session.explain(error))?;
    let records: u64 = download.header(RECORDS).and_then(|text| text.parse().ok()).unwrap_or_default();
    let at = download.header(AT).unwrap_or_default().to_owned();
    let mut size_bytes = 0;
    while let Some(piece) = download.next().await.map_err(|error| session.explain(error))? {
        file.write_all(&piece).map_err(|error| Ending::file(to, &error))?;
        size_bytes += piece.len() as u64;
    }
    file.finish()?;
    let (screen, shown) = (&session.screen, to.display().to_string());
    if screen.is_json() {
        return screen.json(&json!({ "file": shown, "bytes": size_bytes, "records": records, "at": at }));
    }
    let facts = Facts::none().text("file", shown).number("records", records).number("kib", size_bytes.div_ceil(1024));
    let facts = match time_text::parse_rfc3339(&at) {
        Some(time) => facts.time("at", time),
        None => facts.text("at", at),
    };
    screen.say("backup-done", &facts)?;
    screen.say("backup-words", &Facts::none())
}
