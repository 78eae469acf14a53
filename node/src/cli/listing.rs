//! Listings: pages from the node, one document or one table on stdout.
//!
//! Without `--limit` everything is shown, page after page as it comes, so that a long listing costs no memory and a script that forgets
//! `next` misses nothing. With `--limit` the answer holds that many items and the cursor of the next one.

use serde_json::{Value, json};

use super::{
    Session,
    arguments::Page,
    ending::{Done, Ending},
    screen::{Screen, Table},
};
use crate::{client::Url, messages::Facts};

/// Items in one request: few requests, and an answer of a few megabytes at the usual size of a value.
const PAGE_ITEMS: u32 = 500;

/// Who cuts a listing into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// The node, by `limit` and `after`.
    ByNode,
    /// It comes whole, since it is short; a cursor is the number of items before it.
    Here,
}

/// One kind of listing: where it comes from and how an item looks.
pub struct Listing<'a, const N: usize> {
    pub url: Url,
    pub paging: Paging,
    /// Message ids of the columns.
    pub columns: [&'a str; N],
    pub row: &'a dyn Fn(&Screen, &Value) -> [String; N],
    /// The message for people when there is nothing.
    pub empty: &'a str,
}

impl<const N: usize> Listing<'_, N> {
    /// Shows it.
    ///
    /// # Errors
    /// What the node refused, or stdout.
    pub async fn show(self, session: &Session, page: &Page) -> Done {
        let mut pages = Pages::new(session, self.url, self.paging, page);
        if session.screen.is_json() {
            return json(session, &mut pages).await;
        }
        let mut any = false;
        while let Some(items) = pages.next().await? {
            any |= !items.is_empty();
            session.screen.table(table(&session.screen, &self.columns, self.row, &items))?;
        }
        if !any {
            session.screen.say(self.empty, &Facts::none())?;
        }
        if let Some(next) = pages.rest() {
            session.screen.note(&session.screen.text("more-follow", &Facts::none().text("cursor", next)));
        }
        Ok(())
    }
}

/// Items as a table.
pub fn table<const N: usize>(
    screen: &Screen,
    columns: &[&str; N],
    row: &dyn Fn(&Screen, &Value) -> [String; N],
    items: &[Value],
) -> Table {
    let mut table = Table::new(screen, columns);
    for item in items {
        table.row(row(screen, item));
    }
    table
}

/// The items of an answer that is a listing on one page.
#[must_use]
pub fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map_or(&[], Vec::as_slice)
}

async fn json(session: &Session, pages: &mut Pages<'_>) -> Done {
    let Some(first) = pages.next().await? else { return session.screen.json(&json!({ "items": [] })) };
    session.screen.write(b"{\"items\":[")?;
    let mut separator = "";
    let mut items = Some(first);
    while let Some(page) = items {
        let mut text = String::new();
        for item in page {
            text.push_str(separator);
            text.push_str(&item.to_string());
            separator = ",";
        }
        session.screen.write(text.as_bytes())?;
        items = pages.next().await?;
    }
    let end = match pages.rest() {
        Some(next) => format!("],\"next\":{}}}\n", Value::from(next)),
        None => "]}\n".to_owned(),
    };
    session.screen.write(end.as_bytes())
}

/// Pages of a listing, one request each.
pub struct Pages<'a> {
    session: &'a Session,
    url: Url,
    paging: Paging,
    wanted: Option<u32>,
    after: Option<String>,
    begun: bool,
    /// What the last page said beside its items.
    about: Value,
}

impl<'a> Pages<'a> {
    /// The pages that `page` asks for.
    #[must_use]
    pub fn new(session: &'a Session, url: Url, paging: Paging, page: &Page) -> Self {
        Self { session, url, paging, wanted: page.limit, after: page.after.clone(), begun: false, about: Value::Null }
    }

    /// The items of the next page; none after the last.
    ///
    /// # Errors
    /// What the node refused.
    pub async fn next(&mut self) -> Done<Option<Vec<Value>>> {
        if (self.begun && self.after.is_none()) || self.wanted == Some(0) {
            return Ok(None);
        }
        if self.paging == Paging::Here {
            return self.cut().await.map(Some);
        }
        let limit = self.wanted.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
        let url = self.url.clone().with("limit", &limit.to_string()).with_some("after", self.after.as_deref());
        let mut answer = self.session.get(&url).await?;
        self.begun = true;
        let items = answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let next = answer["next"].as_str().map(str::to_owned);
        // A node that names the same cursor again would keep us here for ever.
        self.after = next.filter(|next| Some(next) != self.after.as_ref() && !items.is_empty());
        if let Some(wanted) = &mut self.wanted {
            *wanted = wanted.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
        }
        self.about = answer;
        Ok(Some(items))
    }

    /// What the last page said beside its items.
    #[must_use]
    pub const fn about(&self) -> &Value {
        &self.about
    }

    /// The part that was asked for, out of the whole.
    async fn cut(&mut self) -> Done<Vec<Value>> {
        let mut answer = self.session.get(&self.url).await?;
        self.begun = true;
        let items = answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let first = match self.after.take() {
            None => 0,
            Some(cursor) => {
                cursor.parse().map_err(|_| Ending::usage("cli-bad-cursor", Facts::none().text("cursor", cursor)))?
            }
        };
        let end = match self.wanted {
            Some(wanted) => usize::try_from(wanted).unwrap_or(usize::MAX).saturating_add(first).min(items.len()),
            None => items.len(),
        };
        if end < items.len() {
            self.after = Some(end.to_string());
        }
        self.wanted = Some(0);
        Ok(items.into_iter().take(end).skip(first).collect())
    }

    /// The cursor of what was not asked for.
    #[must_use]
    pub fn rest(&self) -> Option<String> {
        self.after.clone()
    }
}
