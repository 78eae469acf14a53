//! `import`: a file goes to the node as it is, and the node says what it read, what is new and what it skipped.
//!
//! Progress is how much of the file the node has taken.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use allod_protocol::refusal::Code;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Method,
    body::{Bytes, Frame},
};
use serde_json::Value;
use tokio::{fs::File, io::AsyncReadExt};

use super::{
    Session, arguments,
    ending::{Done, Ending, facts_of},
    forms, listing,
    progress::with_progress,
    screen::{Screen, Table},
};
use crate::{
    client::{Body, IMPORT_DEADLINE, Url},
    import::said,
    messages::{Facts, Lang},
};

/// The largest file that the node takes. Bytes.
const FILE_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// What is read from the file and sent at once. Bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Skipped parts shown to people; JSON has all.
const SKIPPED_SHOWN: usize = 20;

pub(super) async fn import(session: &Session, args: arguments::Import) -> Done<u8> {
    let path = &args.file;
    let file = File::open(path).await.map_err(|error| Ending::file(path, &error))?;
    let about = file.metadata().await.map_err(|error| Ending::file(path, &error))?;
    if about.is_dir() {
        return Err(Ending::file(path, &io::ErrorKind::IsADirectory.into()));
    }
    if about.len() > FILE_MAX_BYTES {
        let facts = Facts::none().text("path", path.display().to_string()).number("mebibytes", FILE_MAX_BYTES >> 20);
        return Err(Ending::failed(Code::TooLarge, "cli-file-too-large", facts));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut url = Url::new("/v1/import")
        .with("name", &name)
        .with_some("format", args.format.as_deref())
        .with_some("kind", args.kind.as_deref());
    if args.dry_run {
        url = url.with("dry_run", "true");
    }
    let reading = Arc::new(Reading::default());
    let call = session.call(Method::POST, &url, body(file, Arc::clone(&reading)), IMPORT_DEADLINE);
    let answer = with_progress(&session.screen, call, &reading.sent, about.len()).await;
    // A file that ends in an error breaks the call off: no fault of the node.
    let failed = reading.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    let answer = failed.map_or(answer, |error| Err(Ending::file(path, &error)))?;
    show(&session.screen, path, &answer, args.dry_run)?;
    let skipped = answer["skipped"].as_array().map_or(0, Vec::len) as u64;
    if args.strict && skipped > 0 {
        return Err(Ending::failed(Code::Failed, "cli-import-skipped", Facts::none().number("count", skipped)));
    }
    Ok(0)
}

/// How far a file was read, and why no further.
#[derive(Default)]
struct Reading {
    sent: AtomicU64,
    failed: Mutex<Option<io::Error>>,
}

fn body(file: File, reading: Arc<Reading>) -> Body {
    let pieces = stream::unfold((file, reading), |(mut file, reading)| async move {
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                reading.sent.fetch_add(read as u64, Ordering::Relaxed);
                Some((Ok(Frame::data(Bytes::from(piece))), (file, reading)))
            }
            Err(error) => {
                let told = io::Error::from(error.kind());
                *reading.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some((Err(told), (file, reading)))
            }
        }
    });
    Body::Raw(StreamBody::new(pieces).boxed_unsync())
}

/// Where and why, in the reader's language; in English where the catalogue lacks what a newer node says.
fn skipped_row(screen: &Screen, item: &Value) -> [String; 2] {
    let known = item["id"].as_str().filter(|id| screen.lang() != Lang::English && screen.has(id));
    match known {
        Some(id) => said(screen.lang(), id, &facts_of(&item["facts"])).into(),
        None => [forms::value(&item["where"]), forms::text(&item["why"])],
    }
}

fn show(screen: &Screen, path: &Path, answer: &Value, dry_run: bool) -> Done {
    if screen.is_json() {
        return screen.json(answer);
    }
    let skipped = answer["skipped"].as_array().map_or(&[][..], Vec::as_slice);
    let facts = Facts::none()
        .number("records", forms::number(&answer["records"]))
        .number("new", forms::number(&answer["new"]))
        .number("changed", forms::number(&answer["changed"]))
        .number("unchanged", forms::number(&answer["unchanged"]))
        .number("skipped", skipped.len() as u64)
        .text("format", forms::text(&answer["format"]));
    screen.say(if dry_run { "import-would" } else { "import-done" }, &facts)?;
    let shown = &skipped[..skipped.len().min(SKIPPED_SHOWN)];
    let table: Table = listing::table(screen, &["column-where", "column-why"], &skipped_row, shown);
    screen.table(table)?;
    if skipped.len() > shown.len() {
        let facts = Facts::none()
            .number("count", (skipped.len() - shown.len()) as u64)
            .text("file", path.display().to_string());
        screen.say("import-more-skipped", &facts)?;
    }
    Ok(())
}
