//! `/v1/log` and `/v1/verify`: all that passed between us and our peers, and whether it holds together. Values are never shown.

use std::collections::BTreeMap;

use allod_protocol::command::{Answer, Command, EntryView, LogQuery, VerifiedView};
use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    errors::{ErrorJson, read_time, unexpected},
    input::Parameters,
    reply::{Items, Reply, known_time},
};
use crate::messages::{Facts, Lang, Messages};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(log)).routes(routes!(verify))
}

/// One entry of a log.
#[derive(Serialize, ToSchema)]
pub struct EntryJson {
    at: String,
    peer: String,
    /// `sent` or `received`.
    #[schema(value_type = String)]
    direction: &'static str,
    log: String,
    seq: u64,
    kind: String,
    /// One line, in English.
    summary: String,
    /// The key and the facts of that line in the message catalogues.
    summary_of: LineJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    selectors: Vec<String>,
}

/// A line of the message catalogues.
#[derive(Serialize, ToSchema)]
pub struct LineJson {
    #[schema(value_type = String)]
    id: &'static str,
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
}

/// A line in English, and what it is made of.
fn line((id, facts): (&'static str, Vec<(&'static str, String)>)) -> (String, LineJson) {
    // Counts choose a plural, which takes a number.
    let number = |name: &str, text: &str| ["count", "gone"].contains(&name).then(|| text.parse::<u64>().ok()).flatten();
    let known = facts.iter().fold(Facts::none(), |known, (name, text)| match number(name, text) {
        Some(count) => known.number(*name, count),
        None => known.text(*name, text.clone()),
    });
    let facts = facts
        .into_iter()
        .map(|(name, text)| {
            let value = number(name, &text).map_or_else(|| Value::String(text), Value::from);
            (name.to_owned(), value)
        })
        .collect();
    (Messages::of(Lang::English).text(id, &known), LineJson { id, facts })
}

impl From<EntryView> for EntryJson {
    fn from(entry: EntryView) -> Self {
        let (summary, summary_of) = line(entry.summary);
        Self {
            at: known_time(entry.at),
            peer: entry.peer,
            direction: entry.direction,
            log: entry.log,
            seq: entry.seq,
            kind: entry.kind,
            summary,
            summary_of,
            grant: entry.grant,
            selectors: entry.selectors,
        }
    }
}

/// Whether all logs hold together.
#[derive(Serialize, ToSchema)]
pub struct VerifiedJson {
    ok: bool,
    entries: u64,
    /// What is missing or wrong, a line each, in English.
    gaps: Vec<String>,
    gaps_of: Vec<LineJson>,
    /// Each log's position.
    heads: BTreeMap<String, HeadJson>,
}

/// Where a log stands.
#[derive(Serialize, ToSchema)]
pub struct HeadJson {
    seq: u64,
    hash: String,
}

impl From<VerifiedView> for VerifiedJson {
    fn from(verified: VerifiedView) -> Self {
        let (gaps, gaps_of) = verified.gaps.into_iter().map(line).unzip();
        let heads = verified.heads.into_iter().map(|(log, seq, hash)| (log, HeadJson { seq, hash })).collect();
        Self { ok: verified.ok, entries: verified.entries, gaps, gaps_of, heads }
    }
}

/// All that passed, newest last.
#[utoipa::path(get, path = "/v1/log", tag = "log",
    params(
        ("peer" = Option<String>, Query), ("since" = Option<String>, Query, description = "RFC 3339"),
        ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Items<EntryJson>), (status = "default", body = ErrorJson)))]
async fn log(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<EntryJson>> {
    let peer = parameters.one("peer")?;
    let since = parameters.one("since")?.as_deref().map(read_time).transpose()?;
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::Log(LogQuery { peer, since, page })).await? {
        Answer::Log(listing) => Ok(Json(Items::of(listing))),
        _ => Err(unexpected("log")),
    }
}

/// Checks chains and signatures of all logs, or of one peer's.
#[utoipa::path(get, path = "/v1/verify", tag = "log", params(("peer" = Option<String>, Query)),
    responses((status = 200, body = VerifiedJson), (status = "default", body = ErrorJson)))]
async fn verify(State(api): State<Api>, mut parameters: Parameters) -> Reply<VerifiedJson> {
    let peer = parameters.one("peer")?;
    parameters.finish()?;
    match api.ask(Command::Verify { peer }).await? {
        Answer::Verified(verified) => Ok(Json(verified.into())),
        _ => Err(unexpected("verify")),
    }
}
