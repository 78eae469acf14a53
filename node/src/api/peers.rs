//! `/v1/peers` and `/v1/sync`: who is paired with us, and how it stands with them.

use allod_protocol::command::{Answer, Command, PeerView};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    errors::{ErrorJson, unexpected},
    grants::{GrantJson, RevokedJson, revoked},
    input::{Body, PathPart, selectors},
    reply::{DoneJson, Items, Reply, ToldJson, known_time, time, told},
};
use crate::messages::{self, Facts};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(peers))
        .routes(routes!(peer))
        .routes(routes!(rename))
        .routes(routes!(sync))
        .routes(routes!(forget))
        .routes(routes!(resume))
        .routes(routes!(revoke))
}

/// One relationship.
#[derive(Serialize, ToSchema)]
pub struct PeerJson {
    /// Our own name for it.
    peer: String,
    /// `person` or `vendor`, as it says itself.
    #[schema(value_type = Option<String>)]
    kind: Option<&'static str>,
    /// Its own name for itself, which nothing proves.
    calls_itself: String,
    since: String,
    online: bool,
    last_seen: Option<String>,
    /// Until when what it lends may be read without hearing from it.
    lease_until: Option<String>,
    theirs: PositionJson,
    mine: PositionJson,
    /// `paired`, `pending`, `frozen`, `closed`, or `restored`: this node was put back, and what it lends is suspended.
    #[schema(value_type = String)]
    state: &'static str,
    /// Entries of ours that it has not acknowledged.
    queued: u64,
    /// Fields whose newest version it does not have yet.
    due: u64,
    addresses: Vec<String>,
    /// Why it was not reached last.
    last_problem: Option<ProblemJson>,
}

/// Where a log stands.
#[derive(Serialize, ToSchema)]
pub struct PositionJson {
    seq: u64,
}

/// Something that went wrong, and when.
#[derive(Clone, Serialize, ToSchema)]
pub struct ProblemJson {
    /// Its key in the message catalogues.
    #[schema(value_type = String)]
    id: &'static str,
    /// In English.
    message: String,
    at: String,
}

impl ProblemJson {
    pub(super) fn of(id: &'static str, facts: &Facts, at: allod_protocol::time::Timestamp) -> Self {
        Self { id, message: messages::english(id, facts).0, at: known_time(at) }
    }
}

impl From<PeerView> for PeerJson {
    fn from(peer: PeerView) -> Self {
        Self {
            peer: peer.peer,
            kind: peer.kind.map(|kind| kind.as_str()),
            calls_itself: peer.calls_itself,
            since: known_time(peer.since),
            online: peer.online,
            last_seen: peer.last_seen.and_then(time),
            lease_until: peer.lease_until.and_then(time),
            theirs: PositionJson { seq: peer.theirs_seq },
            mine: PositionJson { seq: peer.mine_seq },
            state: peer.state.as_str(),
            queued: peer.queued,
            due: peer.due,
            addresses: peer.addresses,
            last_problem: peer.last_problem.map(|(id, at)| ProblemJson::of(id, &Facts::none(), at)),
        }
    }
}

/// What `POST /v1/peers/{name}/rename` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRequest {
    to: String,
}

/// What `POST /v1/sync` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// All peers unless given.
    peer: Option<String>,
}

/// What `POST /v1/peers/{name}/revoke` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokePeerRequest {
    /// All that is lent to the peer unless given.
    #[serde(default)]
    selectors: Vec<String>,
}

/// A relationship that is closed.
#[derive(Serialize, ToSchema)]
pub struct ForgottenJson {
    peer: String,
    /// The grants that ended with it.
    revoked: Vec<String>,
    told: Vec<ToldJson>,
}

/// What goes on after a restore.
#[derive(Serialize, ToSchema)]
pub struct ResumedJson {
    peer: String,
    /// The grants that go on.
    resumed: Vec<GrantJson>,
}

/// All peers.
#[utoipa::path(get, path = "/v1/peers", tag = "peers",
    responses((status = 200, body = Items<PeerJson>), (status = "default", body = ErrorJson)))]
async fn peers(State(api): State<Api>) -> Reply<Items<PeerJson>> {
    match api.ask(Command::Peers).await? {
        Answer::Peers(peers) => Ok(Json(Items::all(peers))),
        _ => Err(unexpected("peers")),
    }
}

/// One peer.
#[utoipa::path(get, path = "/v1/peers/{name}", tag = "peers", params(("name" = String, Path)),
    responses((status = 200, body = PeerJson), (status = "default", body = ErrorJson)))]
async fn peer(State(api): State<Api>, PathPart(name): PathPart) -> Reply<PeerJson> {
    view(api.ask(Command::Peer { name }).await?, "peer")
}

fn view(answer: Answer, command: &'static str) -> Reply<PeerJson> {
    match answer {
        Answer::Peer(peer) => Ok(Json((*peer).into())),
        _ => Err(unexpected(command)),
    }
}

/// Gives a peer another name, which only we see.
#[utoipa::path(post, path = "/v1/peers/{name}/rename", tag = "peers", request_body = RenameRequest,
    params(("name" = String, Path)),
    responses((status = 200, body = DoneJson), (status = "default", body = ErrorJson)))]
async fn rename(
    State(api): State<Api>,
    PathPart(name): PathPart,
    Body(request): Body<RenameRequest>,
) -> Reply<DoneJson> {
    api.ask(Command::Rename { old: name, new: request.to }).await?;
    Ok(Json(DoneJson::done()))
}

/// Tries to reach a peer, or all of them, at once. Answers with how it stands then.
#[utoipa::path(post, path = "/v1/sync", tag = "peers", request_body = SyncRequest,
    responses((status = 200, body = Items<PeerJson>), (status = "default", body = ErrorJson)))]
async fn sync(State(api): State<Api>, Body(request): Body<SyncRequest>) -> Reply<Items<PeerJson>> {
    match api.ask(Command::Sync { peer: request.peer }).await? {
        Answer::Peers(peers) => Ok(Json(Items::all(peers))),
        Answer::Peer(peer) => Ok(Json(Items::all(vec![*peer]))),
        Answer::Done => Ok(Json(Items::all(Vec::<PeerView>::new()))),
        _ => Err(unexpected("sync")),
    }
}

/// Closes the relationship: revokes everything, both ways.
#[utoipa::path(post, path = "/v1/peers/{name}/forget", tag = "peers", params(("name" = String, Path)),
    responses((status = 200, body = ForgottenJson), (status = "default", body = ErrorJson)))]
async fn forget(State(api): State<Api>, PathPart(name): PathPart) -> Reply<ForgottenJson> {
    match api.ask(Command::Forget { peer: name }).await? {
        Answer::Forgotten { peer, revoked, told: who } => Ok(Json(ForgottenJson { peer, revoked, told: told(who) })),
        _ => Err(unexpected("forget")),
    }
}

/// After a restore: what is lent to a peer goes on.
#[utoipa::path(post, path = "/v1/peers/{name}/resume", tag = "peers", params(("name" = String, Path)),
    responses((status = 200, body = ResumedJson), (status = "default", body = ErrorJson)))]
async fn resume(State(api): State<Api>, PathPart(name): PathPart) -> Reply<ResumedJson> {
    match api.ask(Command::Resume { peer: name.clone() }).await? {
        Answer::Resumed(grants) => {
            Ok(Json(ResumedJson { peer: name, resumed: grants.into_iter().map(GrantJson::from).collect() }))
        }
        _ => Err(unexpected("resume")),
    }
}

/// Takes back what is lent to a peer, all of it or some selectors, durably, before it answers.
#[utoipa::path(post, path = "/v1/peers/{name}/revoke", tag = "grants", request_body = RevokePeerRequest,
    params(("name" = String, Path)),
    responses((status = 200, body = RevokedJson), (status = "default", body = ErrorJson)))]
async fn revoke(
    State(api): State<Api>,
    PathPart(name): PathPart,
    Body(request): Body<RevokePeerRequest>,
) -> Reply<RevokedJson> {
    let command = Command::RevokePeer { peer: name, selectors: selectors(&request.selectors)? };
    revoked(api.ask(command).await?)
}
