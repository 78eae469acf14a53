//! `access`: who holds a field, or what passes between us and one peer. Both directions.

use serde_json::Value;

use super::{
    Session, arguments,
    ending::Done,
    forms,
    listing::{Listing, Paging},
    screen::Screen,
};
use crate::client::Url;

pub(super) async fn access(session: &Session, args: arguments::Access) -> Done {
    // A petname holds no slash, and every path does.
    let parameter = if args.target.contains('/') { "path" } else { "peer" };
    let row = |screen: &Screen, grant: &Value| {
        [
            forms::text(&grant["peer"]),
            screen.term("direction", &forms::text(&grant["direction"])),
            forms::texts(&grant["selectors"]),
            screen.purpose(&forms::text(&grant["purpose"])),
            forms::until(screen, &grant["until"]),
            screen.term("grant-state", &forms::text(&grant["state"])),
            screen.time(&grant["last_delivery"]),
            screen.time(&grant["last_use"]),
            forms::text(&grant["grant"]),
        ]
    };
    Listing {
        url: Url::new("/v1/access").with(parameter, &args.target),
        paging: Paging::Here,
        columns: [
            "column-peer",
            "column-direction",
            "column-selectors",
            "column-purpose",
            "column-until",
            "column-state",
            "column-last-delivery",
            "column-last-use",
            "column-grant",
        ],
        row: &row,
        empty: "no-access",
    }
    .show(session, &args.page)
    .await
}
