//! `get`, `list`, `history`: values, what there is, and what there was.
//!
//! One field asked for by name is its value and nothing else, so that it can be used in a script's line; everything about it is in JSON
//! and in `history`.

use std::io::{self, IsTerminal};

use allod_protocol::path::FieldPath;
use serde_json::Value;

use super::{
    Session, arguments,
    ending::Done,
    forms,
    listing::{self, Listing, Paging},
    screen::Screen,
};
use crate::{
    client::Url,
    messages::{Facts, plain_lines},
};

pub(super) async fn get(session: &Session, args: arguments::Get) -> Done {
    let url = args.paths.iter().fold(Url::new("/v1/fields"), |url, path| url.with("path", path));
    let answer = session.get(&url.with_some("from", args.from.as_deref())).await?;
    let screen = &session.screen;
    if screen.is_json() {
        return screen.json(&answer);
    }
    let items = listing::items(&answer);
    if let ([path], [item]) = (&args.paths[..], items)
        && path.parse::<FieldPath>().is_ok()
    {
        let value = forms::value(&item["value"]);
        return screen.print(&if io::stdout().is_terminal() { plain_lines(&value) } else { value });
    }
    let columns = ["column-path", "column-value", "column-type", "column-at", "column-source"];
    screen.table(listing::table(screen, &columns, &field, items))
}

fn field(screen: &Screen, item: &Value) -> [String; 5] {
    let source = match item["peer"].as_str() {
        Some(peer) => peer.to_owned(),
        None => source(screen, &item["source"]),
    };
    [
        forms::text(&item["path"]),
        forms::value(&item["value"]),
        screen.term("type", &forms::text(&item["type"])),
        screen.time(&item["at"]),
        source,
    ]
}

/// Where a value came from: typed here, a file, a peer.
fn source(screen: &Screen, value: &Value) -> String {
    let source = forms::text(value);
    match source.split_once(':') {
        Some(("peer", name)) => name.to_owned(),
        Some(("import", name)) => screen.text("source-import-of", &Facts::none().text("name", name)),
        _ => screen.term("source", &source),
    }
}

pub(super) async fn list(session: &Session, args: arguments::List) -> Done {
    let url = Url::new("/v1/records").with_some("prefix", args.prefix.as_deref());
    let row = |screen: &Screen, item: &Value| {
        [forms::text(&item["id"]), forms::texts(&item["fields"]), screen.time(&item["at"])]
    };
    Listing {
        url: url.with_some("from", args.from.as_deref()),
        paging: Paging::ByNode,
        columns: ["column-record", "column-fields", "column-at"],
        row: &row,
        empty: if args.from.is_some() { "nothing-lent-here" } else { "no-records" },
    }
    .show(session, &args.page)
    .await
}

pub(super) async fn history(session: &Session, args: arguments::History) -> Done {
    let row = |screen: &Screen, item: &Value| {
        [
            forms::number(&item["version"]).to_string(),
            forms::value(&item["value"]),
            screen.time(&item["at"]),
            source(screen, &item["source"]),
        ]
    };
    Listing {
        url: Url::new("/v1/history").with("path", &args.path),
        paging: Paging::ByNode,
        columns: ["column-version", "column-value", "column-at", "column-source"],
        row: &row,
        empty: "no-versions",
    }
    .show(session, &args.page)
    .await
}
