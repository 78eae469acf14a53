//! `/v1/grants`, `/v1/preview`, `/v1/used`, `/v1/access`: what is lent, who holds what, and taking it back.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Direction, GrantView, Lending, RevokedGrant, UsedView},
    path::Selector,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    asks::{read_mode, read_purpose},
    errors::{ErrorJson, read_time, unexpected},
    input::{Body, Parameters, PathPart, bad_parameter, field_path, selectors},
    log::EntryJson,
    records::FieldJson,
    reply::{Items, Reply, ToldJson, known_time, time, told},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(grant, grants))
        .routes(routes!(preview))
        .routes(routes!(detail))
        .routes(routes!(revoke))
        .routes(routes!(used))
        .routes(routes!(access))
}

/// What `POST /v1/grants` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    peer: String,
    selectors: Vec<String>,
    purpose: String,
    /// RFC 3339.
    until: Option<String>,
    /// `follow` unless given, `once` or `reference`.
    mode: Option<String>,
    /// How long after our last word it may still be read, in seconds.
    lease_s: Option<u64>,
}

/// What was lent.
#[derive(Serialize, ToSchema)]
pub struct GrantedJson {
    grant: String,
    peer: String,
    selectors: Vec<String>,
    until: Option<String>,
    lease_until: Option<String>,
    told: Vec<ToldJson>,
}

/// One grant.
#[derive(Serialize, ToSchema)]
pub struct GrantJson {
    grant: String,
    peer: String,
    /// `given` or `held`.
    #[schema(value_type = String)]
    direction: &'static str,
    selectors: Vec<String>,
    /// Selectors that were taken back while the grant goes on.
    taken_back: Vec<String>,
    purpose: String,
    #[schema(value_type = String)]
    mode: &'static str,
    from: String,
    until: Option<String>,
    lease_until: Option<String>,
    /// `active`, `suspended`, `revoked` or `expired`.
    #[schema(value_type = String)]
    state: &'static str,
    ended_at: Option<String>,
    /// `none`, `awaited` or `confirmed`: whether the holder said that it dropped keys and values.
    #[schema(value_type = String)]
    purge: &'static str,
    purged_at: Option<String>,
    /// Hex of the agreement's hash.
    agreement: String,
    last_delivery: Option<String>,
    last_use: Option<String>,
    uses: u64,
}

impl From<GrantView> for GrantJson {
    fn from(grant: GrantView) -> Self {
        Self {
            grant: grant.grant,
            peer: grant.peer,
            direction: direction_word(grant.direction),
            selectors: texts(&grant.selectors),
            taken_back: texts(&grant.taken_back),
            purpose: grant.purpose.as_str().to_owned(),
            mode: grant.mode.as_str(),
            from: known_time(grant.from),
            until: grant.until.and_then(time),
            lease_until: grant.lease_until.and_then(time),
            state: grant.state.as_str(),
            ended_at: grant.ended_at.and_then(time),
            purge: grant.purge.as_str(),
            purged_at: grant.purged_at.and_then(time),
            agreement: grant.agreement,
            last_delivery: grant.last_delivery.and_then(time),
            last_use: grant.last_use.and_then(time),
            uses: grant.uses,
        }
    }
}

/// A grant, what passed under it, and how it was used.
#[derive(Serialize, ToSchema)]
pub struct GrantDetailJson {
    #[serde(flatten)]
    grant: GrantJson,
    entries: Vec<EntryJson>,
    used: Vec<UsedJson>,
}

/// How often a field was handed out to a purpose, in a period.
#[derive(Serialize, ToSchema)]
pub struct UsedJson {
    at: String,
    peer: String,
    #[schema(value_type = String)]
    direction: &'static str,
    grant: String,
    path: String,
    purpose: String,
    count: u64,
    from: String,
    to: String,
}

impl From<UsedView> for UsedJson {
    fn from(used: UsedView) -> Self {
        Self {
            at: known_time(used.at),
            peer: used.peer,
            direction: direction_word(used.direction),
            grant: used.grant,
            path: used.path,
            purpose: used.purpose.as_str().to_owned(),
            count: used.count,
            from: known_time(used.from),
            to: known_time(used.to),
        }
    }
}

/// What `POST /v1/preview` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    selectors: Vec<String>,
}

/// What was taken back. What was read before stays known.
#[derive(Serialize, ToSchema)]
pub struct RevokedJson {
    revoked: Vec<RevokedGrantJson>,
    /// What the peer still gets under another grant.
    still_lent: Vec<StillLentJson>,
    told: Vec<ToldJson>,
    /// `awaited` or `confirmed`.
    #[schema(value_type = String)]
    purge: &'static str,
    /// Until when an honest node that hears nothing may still read.
    lease_until: Option<String>,
}

/// One grant that was taken back, in whole or in part.
#[derive(Serialize, ToSchema)]
pub struct RevokedGrantJson {
    grant: String,
    selectors: Vec<String>,
    at: String,
    /// The newest version that was handed over; 0 if none was.
    delivered_through: u64,
}

/// A selector that another grant to the same peer covers.
#[derive(Serialize, ToSchema)]
pub struct StillLentJson {
    grant: String,
    selector: String,
}

impl From<RevokedGrant> for RevokedGrantJson {
    fn from(revoked: RevokedGrant) -> Self {
        Self {
            grant: revoked.grant,
            selectors: texts(&revoked.selectors),
            at: known_time(revoked.at),
            delivered_through: revoked.delivered_through,
        }
    }
}

fn texts(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().map(ToString::to_string).collect()
}

const fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Given => "given",
        Direction::Held => "held",
    }
}

/// The answer to all that lends.
pub(super) fn granted(answer: Answer) -> Reply<GrantedJson> {
    let Answer::Granted(granted) = answer else { return Err(unexpected("grant")) };
    Ok(Json(GrantedJson {
        grant: granted.grant,
        peer: granted.peer,
        selectors: texts(&granted.selectors),
        until: granted.until.and_then(time),
        lease_until: granted.lease_until.and_then(time),
        told: told(granted.told),
    }))
}

/// The answer to all that takes back.
pub(super) fn revoked(answer: Answer) -> Reply<RevokedJson> {
    let Answer::Revoked(view) = answer else { return Err(unexpected("revoke")) };
    let still = |(grant, selector): (String, Selector)| StillLentJson { grant, selector: selector.to_string() };
    Ok(Json(RevokedJson {
        revoked: view.revoked.into_iter().map(RevokedGrantJson::from).collect(),
        still_lent: view.still_lent.into_iter().map(still).collect(),
        told: told(view.told),
        purge: view.purge.as_str(),
        lease_until: view.lease_until.and_then(time),
    }))
}

/// Lends without being asked.
#[utoipa::path(post, path = "/v1/grants", tag = "grants", request_body = GrantRequest,
    responses((status = 200, body = GrantedJson), (status = "default", body = ErrorJson)))]
async fn grant(State(api): State<Api>, Body(request): Body<GrantRequest>) -> Reply<GrantedJson> {
    let lending = Lending {
        peer: request.peer,
        selectors: selectors(&request.selectors)?,
        purpose: read_purpose(&request.purpose)?,
        until: request.until.as_deref().map(read_time).transpose()?,
        mode: read_mode(request.mode.as_deref())?,
    };
    granted(api.ask(Command::Grant { lending, lease: request.lease_s.map(Duration::from_secs) }).await?)
}

/// The exact values that would leave under these selectors.
#[utoipa::path(post, path = "/v1/preview", tag = "grants", request_body = PreviewRequest,
    responses((status = 200, body = Items<FieldJson>), (status = "default", body = ErrorJson)))]
async fn preview(State(api): State<Api>, Body(request): Body<PreviewRequest>) -> Reply<Items<FieldJson>> {
    match api.ask(Command::Preview { selectors: selectors(&request.selectors)? }).await? {
        Answer::Preview(fields) => Ok(Json(Items::all(fields))),
        _ => Err(unexpected("preview")),
    }
}

/// Every grant and its state.
#[utoipa::path(get, path = "/v1/grants", tag = "grants",
    params(
        ("direction" = Option<String>, Query, description = "`given` or `held`"),
        ("peer" = Option<String>, Query), ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Items<GrantJson>), (status = "default", body = ErrorJson)))]
async fn grants(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<GrantJson>> {
    let direction = match parameters.one("direction")?.as_deref() {
        None => None,
        Some("given") => Some(Direction::Given),
        Some("held") => Some(Direction::Held),
        Some(_) => return Err(bad_parameter("direction", "is not given or held")),
    };
    let peer = parameters.one("peer")?;
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::Grants { direction, peer, page }).await? {
        Answer::Grants(listing) => Ok(Json(Items::of(listing))),
        _ => Err(unexpected("grants")),
    }
}

/// One grant with its entries and uses.
#[utoipa::path(get, path = "/v1/grants/{id}", tag = "grants", params(("id" = String, Path)),
    responses((status = 200, body = GrantDetailJson), (status = "default", body = ErrorJson)))]
async fn detail(State(api): State<Api>, PathPart(id): PathPart) -> Reply<GrantDetailJson> {
    match api.ask(Command::GrantDetail { grant: id }).await? {
        Answer::Grant { grant, entries, used } => Ok(Json(GrantDetailJson {
            grant: (*grant).into(),
            entries: entries.into_iter().map(EntryJson::from).collect(),
            used: used.into_iter().map(UsedJson::from).collect(),
        })),
        _ => Err(unexpected("grant detail")),
    }
}

/// Takes a grant back, durably, before it answers.
#[utoipa::path(post, path = "/v1/grants/{id}/revoke", tag = "grants", params(("id" = String, Path)),
    responses((status = 200, body = RevokedJson), (status = "default", body = ErrorJson)))]
async fn revoke(State(api): State<Api>, PathPart(id): PathPart) -> Reply<RevokedJson> {
    revoked(api.ask(Command::RevokeGrant { grant: id }).await?)
}

/// How what is lent was used.
#[utoipa::path(get, path = "/v1/used", tag = "grants",
    params(("peer" = Option<String>, Query), ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Items<UsedJson>), (status = "default", body = ErrorJson)))]
async fn used(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<UsedJson>> {
    let peer = parameters.one("peer")?;
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::Used { peer, page }).await? {
        Answer::Used(listing) => Ok(Json(Items::of(listing))),
        _ => Err(unexpected("used")),
    }
}

/// Who holds this field, or what this peer holds: both directions.
#[utoipa::path(get, path = "/v1/access", tag = "grants",
    params(("path" = Option<String>, Query), ("peer" = Option<String>, Query)),
    responses((status = 200, body = Items<GrantJson>), (status = "default", body = ErrorJson)))]
async fn access(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<GrantJson>> {
    let command = match (parameters.one("path")?, parameters.one("peer")?) {
        (Some(path), None) => Command::AccessField { path: field_path(&path)? },
        (None, Some(peer)) => Command::AccessPeer { peer },
        _ => return Err(bad_parameter("path", "or peer is needed, and not both")),
    };
    parameters.finish()?;
    match api.ask(command).await? {
        Answer::Access(grants) => Ok(Json(Items::all(grants))),
        _ => Err(unexpected("access")),
    }
}
