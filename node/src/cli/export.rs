//! `export`: everything, as one JSON document, on stdout or in a file of our own.
//!
//! The document is written page by page, as [`Document`] says, and a file appears when it is whole.

use std::io::{self, BufWriter, Write};

use serde_json::json;

use super::{
    Session,
    arguments::{self, Page},
    ending::{Done, Ending},
    forms,
    listing::{Pages, Paging},
    new_file::{Former, NewFile},
};
use crate::{client::Url, export::Document, messages::Facts};

pub(super) async fn export(session: &Session, args: arguments::Export) -> Done {
    let url = Url::new("/v1/export").with_some("kind", args.kind.as_deref());
    let mut pages = Pages::new(session, url, Paging::ByNode, &Page::default());
    let Some(to) = args.to else {
        let mut out = io::stdout();
        write_document(&mut pages, &mut out, |error| error.into()).await?;
        return Ok(());
    };
    let failed = |error: io::Error| Ending::file(&to, &error);
    let mut out = BufWriter::new(NewFile::begin(&to, Former::Kept)?);
    let records = write_document(&mut pages, &mut out, failed).await?;
    out.into_inner().map_err(|error| failed(error.into_error()))?.finish()?;
    let screen = &session.screen;
    if screen.is_json() {
        return screen.json(&json!({ "records": records, "file": to.display().to_string() }));
    }
    let facts = Facts::none().number("count", records).text("file", to.display().to_string());
    screen.say("export-done", &facts)
}

/// Writes the document, and says how many records there were.
async fn write_document(
    pages: &mut Pages<'_>,
    out: &mut impl Write,
    failed: impl Fn(io::Error) -> Ending,
) -> Done<u64> {
    let mut items = pages.next().await?.unwrap_or_default();
    let mut document = Document::begin(out, &forms::text(&pages.about()["exported"])).map_err(&failed)?;
    loop {
        for item in &items {
            document.add(item).map_err(&failed)?;
        }
        match pages.next().await? {
            Some(next) => items = next,
            None => break,
        }
    }
    let (_, records) = document.end().map_err(failed)?;
    Ok(records)
}
