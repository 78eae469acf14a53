//! `/v1/asks`: what one side would like to be lent, and what the other says to it.

use allod_protocol::{
    command::{Answer, AskView, Command, Direction, Lending, Mode},
    purpose::Purpose,
    refusal::Refusal,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    errors::{ErrorJson, read_time, unexpected},
    grants::{GrantedJson, granted},
    input::{Body, Parameters, PathPart, bad_parameter, selectors},
    records::FieldJson,
    reply::{DoneJson, Items, Reply, known_time, time},
};
use crate::daemon::failure::Failure;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(ask, asks))
        .routes(routes!(detail))
        .routes(routes!(answer))
        .routes(routes!(decline))
        .routes(routes!(withdraw))
}

/// What `POST /v1/asks` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    peer: String,
    /// What is required.
    selectors: Vec<String>,
    /// What is welcome.
    #[serde(default)]
    optional: Vec<String>,
    purpose: String,
    reason: Option<String>,
    benefit: Option<String>,
    /// RFC 3339.
    until: Option<String>,
    /// `follow` unless given, `once` or `reference`.
    mode: Option<String>,
}

/// An ask that is on its way.
#[derive(Serialize, ToSchema)]
pub struct AskedJson {
    ask: String,
    /// `sent` or `queued`.
    #[schema(value_type = String)]
    state: &'static str,
}

/// One ask.
#[derive(Serialize, ToSchema)]
pub struct AskJson {
    ask: String,
    peer: String,
    /// `in`: we were asked. `out`: we asked.
    #[schema(value_type = String)]
    direction: &'static str,
    selectors: Vec<AskedSelectorJson>,
    purpose: String,
    reason: Option<String>,
    benefit: Option<String>,
    #[schema(value_type = String)]
    mode: &'static str,
    until: Option<String>,
    /// The terms that go with it; none are the built-in ones.
    terms: Option<String>,
    at: String,
    /// `open`, `granted`, `partly`, `declined` or `withdrawn`.
    #[schema(value_type = String)]
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    declined_because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
}

/// A selector that is asked for.
#[derive(Serialize, ToSchema)]
pub struct AskedSelectorJson {
    selector: String,
    required: bool,
}

impl From<AskView> for AskJson {
    fn from(ask: AskView) -> Self {
        let selector = |(selector, required): (allod_protocol::path::Selector, bool)| AskedSelectorJson {
            selector: selector.to_string(),
            required,
        };
        Self {
            ask: ask.ask,
            peer: ask.peer,
            direction: match ask.direction {
                Direction::Given => "in",
                Direction::Held => "out",
            },
            selectors: ask.selectors.into_iter().map(selector).collect(),
            purpose: ask.purpose.as_str().to_owned(),
            reason: ask.reason,
            benefit: ask.benefit,
            mode: ask.mode.as_str(),
            until: ask.until.and_then(time),
            terms: None,
            at: known_time(ask.at),
            state: ask.state.as_str(),
            declined_because: ask.declined_because,
            grant: ask.grant,
        }
    }
}

/// An ask, and what would leave if it were answered in full.
#[derive(Serialize, ToSchema)]
pub struct AskDetailJson {
    #[serde(flatten)]
    ask: AskJson,
    values: Vec<FieldJson>,
}

/// What `POST /v1/asks/{id}/answer` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// All that was asked unless given.
    #[serde(default)]
    only: Vec<String>,
    /// RFC 3339; as asked unless given.
    until: Option<String>,
}

/// What `POST /v1/asks/{id}/decline` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclineRequest {
    reason: Option<String>,
}

pub(super) fn read_purpose(word: &str) -> Result<Purpose, Failure> {
    Purpose::parse(word).map_err(|nearest| {
        Refusal::UnknownPurpose { word: word.chars().take(64).collect(), nearest: nearest.join(", ") }.into()
    })
}

pub(super) fn read_mode(word: Option<&str>) -> Result<Mode, Failure> {
    let Some(word) = word else { return Ok(Mode::Follow) };
    Mode::parse(word).ok_or_else(|| bad_parameter("mode", "is not follow, once or reference"))
}

/// Asks a peer to lend.
#[utoipa::path(post, path = "/v1/asks", tag = "asks", request_body = AskRequest,
    responses((status = 200, body = AskedJson), (status = "default", body = ErrorJson)))]
async fn ask(State(api): State<Api>, Body(request): Body<AskRequest>) -> Reply<AskedJson> {
    let lending = Lending {
        peer: request.peer,
        selectors: selectors(&request.selectors)?,
        purpose: read_purpose(&request.purpose)?,
        until: request.until.as_deref().map(read_time).transpose()?,
        mode: read_mode(request.mode.as_deref())?,
    };
    let optional = selectors(&request.optional)?;
    let command = Command::Ask { lending, optional, reason: request.reason, benefit: request.benefit };
    match api.ask(command).await? {
        Answer::Asked { ask, state } => Ok(Json(AskedJson {
            ask,
            state: match state {
                allod_protocol::command::Delivery::Delivered => "sent",
                allod_protocol::command::Delivery::Queued => "queued",
            },
        })),
        _ => Err(unexpected("ask")),
    }
}

/// Asks both ways.
#[utoipa::path(get, path = "/v1/asks", tag = "asks",
    params(
        ("direction" = Option<String>, Query, description = "`in` or `out`"),
        ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Items<AskJson>), (status = "default", body = ErrorJson)))]
async fn asks(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<AskJson>> {
    let direction = match parameters.one("direction")?.as_deref() {
        None => None,
        Some("in") => Some(Direction::Given),
        Some("out") => Some(Direction::Held),
        Some(_) => return Err(bad_parameter("direction", "is not in or out")),
    };
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::Asks { direction, page }).await? {
        Answer::Asks(listing) => Ok(Json(Items::of(listing))),
        _ => Err(unexpected("asks")),
    }
}

/// One ask, with the exact values that would leave.
#[utoipa::path(get, path = "/v1/asks/{id}", tag = "asks", params(("id" = String, Path)),
    responses((status = 200, body = AskDetailJson), (status = "default", body = ErrorJson)))]
async fn detail(State(api): State<Api>, PathPart(id): PathPart) -> Reply<AskDetailJson> {
    match api.ask(Command::AskDetail { ask: id }).await? {
        Answer::Ask { ask, values } => {
            Ok(Json(AskDetailJson { ask: (*ask).into(), values: values.into_iter().map(FieldJson::from).collect() }))
        }
        _ => Err(unexpected("ask detail")),
    }
}

/// Lends what was asked, or a part of it.
#[utoipa::path(post, path = "/v1/asks/{id}/answer", tag = "asks", request_body = AnswerRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = GrantedJson), (status = "default", body = ErrorJson)))]
async fn answer(
    State(api): State<Api>,
    PathPart(id): PathPart,
    Body(request): Body<AnswerRequest>,
) -> Reply<GrantedJson> {
    let until = request.until.as_deref().map(read_time).transpose()?;
    granted(api.ask(Command::AnswerAsk { ask: id, only: selectors(&request.only)?, until }).await?)
}

/// Does not lend.
#[utoipa::path(post, path = "/v1/asks/{id}/decline", tag = "asks", request_body = DeclineRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = DoneJson), (status = "default", body = ErrorJson)))]
async fn decline(
    State(api): State<Api>,
    PathPart(id): PathPart,
    Body(request): Body<DeclineRequest>,
) -> Reply<DoneJson> {
    api.ask(Command::DeclineAsk { ask: id, reason: request.reason }).await?;
    Ok(Json(DoneJson::done()))
}

/// Takes our own ask back.
#[utoipa::path(post, path = "/v1/asks/{id}/withdraw", tag = "asks", params(("id" = String, Path)),
    responses((status = 200, body = DoneJson), (status = "default", body = ErrorJson)))]
async fn withdraw(State(api): State<Api>, PathPart(id): PathPart) -> Reply<DoneJson> {
    api.ask(Command::WithdrawAsk { ask: id }).await?;
    Ok(Json(DoneJson::done()))
}
