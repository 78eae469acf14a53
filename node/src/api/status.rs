//! `/v1/status`, `/v1/stop`, `/v1/lock`, `/v1/unlock`, `/v1/passphrase`, `/v1/doctor`: the node itself.

use allod_protocol::{
    command::{Answer, Command, StatusView},
    refusal::Code,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::{
    Api,
    errors::{ErrorJson, fact, unexpected},
    input::{Body, bad_parameter},
    peers::ProblemJson,
    reply::Reply,
};
use crate::{
    daemon::{
        doctor::{self, Check},
        failure::{Failure, NodeRefusal},
        hygiene,
        room::Space,
        vault_file::Key,
    },
    messages::{self, Facts},
};

/// Peers that `status` looks at: it is called often, and a vendor has a hundred thousand of them. Count.
const PEERS_LOOKED_AT_MAX: u64 = 64;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(stop))
        .routes(routes!(lock))
        .routes(routes!(unlock))
        .routes(routes!(passphrase))
        .routes(routes!(examine))
}

/// How the node is.
#[derive(Serialize, ToSchema)]
pub struct StatusJson {
    name: String,
    #[schema(value_type = String)]
    kind: &'static str,
    #[schema(value_type = String)]
    version: &'static str,
    uptime_s: u64,
    listen: Vec<String>,
    /// Absent while the vault is sealed, as all counts are.
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<PeerCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grants: Option<GrantCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
    /// `open`: the keys are in memory. `sealed`: the node is locked.
    #[schema(value_type = String)]
    vault: &'static str,
    store: StoreJson,
    rss_bytes: u64,
    process: u32,
    /// A disk that is nearly full, or what went wrong last with a peer that is not connected; that is only looked for where there are few.
    last_problem: Option<ProblemJson>,
}

/// How many peers.
#[derive(Serialize, ToSchema)]
pub struct PeerCounts {
    paired: u64,
    online: u64,
}

/// How many grants that are not over.
#[derive(Serialize, ToSchema)]
pub struct GrantCounts {
    given: u64,
    held: u64,
}

/// The store.
#[derive(Serialize, ToSchema)]
pub struct StoreJson {
    #[schema(value_type = String)]
    engine: &'static str,
    bytes: u64,
}

/// Is it up, where, with whom, how much is in it.
#[utoipa::path(get, path = "/v1/status", tag = "node",
    responses((status = 200, body = StatusJson), (status = "default", body = ErrorJson)))]
async fn status(State(api): State<Api>) -> Reply<StatusJson> {
    let node = api.node();
    let counts = match api.ask(Command::Status).await {
        Ok(Answer::Status(counts)) => Some(*counts),
        Ok(_) => return Err(unexpected("status")),
        Err(failure) if failure.code == Code::Locked => None,
        Err(failure) => return Err(failure),
    };
    let store = node.door().store().await.ok_or(NodeRefusal::Stopping {})?;
    let few = counts.as_ref().is_some_and(|counts| (1..=PEERS_LOOKED_AT_MAX).contains(&counts.peers_paired));
    let last_problem = if Space::under(node.home()).is_some_and(Space::is_short) {
        Some(ProblemJson::of("status-disk-short", &Facts::none(), node.clock().now().wall))
    } else if few {
        last_problem(&api).await?
    } else {
        None
    };
    let count = |of: fn(&StatusView) -> u64| counts.as_ref().map(of);
    Ok(Json(StatusJson {
        name: counts.as_ref().map_or_else(|| node.settings().name.clone(), |counts| counts.name.clone()),
        kind: node.settings().kind.into_kind().as_str(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: node.clock().now().running.as_secs(),
        listen: node.listening(),
        peers: counts.as_ref().map(|c| PeerCounts { paired: c.peers_paired, online: c.peers_online }),
        records: count(|c| c.records),
        fields: count(|c| c.fields),
        grants: counts.as_ref().map(|c| GrantCounts { given: c.grants_given, held: c.grants_held }),
        due: count(|c| c.due),
        vault: if counts.is_some() { "open" } else { "sealed" },
        store: StoreJson { engine: store.engine, bytes: store.size_bytes },
        rss_bytes: hygiene::resident_bytes(),
        process: std::process::id(),
        last_problem,
    }))
}

async fn last_problem(api: &Api) -> Result<Option<ProblemJson>, Failure> {
    let Answer::Peers(peers) = api.ask(Command::Peers).await? else { return Err(unexpected("peers")) };
    let problems = peers.into_iter().filter(|peer| !peer.online).filter_map(|peer| peer.last_problem);
    Ok(problems.max_by_key(|(_, at)| *at).map(|(id, at)| ProblemJson::of(id, &Facts::none(), at)))
}

/// The node has stopped.
#[derive(Serialize, ToSchema)]
pub struct StoppedJson {
    stopped: bool,
}

/// Stops the node cleanly; answers when its store is closed.
#[utoipa::path(post, path = "/v1/stop", tag = "node",
    responses((status = 200, body = StoppedJson), (status = "default", body = ErrorJson)))]
async fn stop(State(api): State<Api>) -> Reply<StoppedJson> {
    api.node().stop().await;
    Ok(Json(StoppedJson { stopped: true }))
}

/// Whether the keys are in memory.
#[derive(Serialize, ToSchema)]
pub struct VaultJson {
    /// `open` or `sealed`.
    #[schema(value_type = String)]
    vault: &'static str,
}

/// Wipes all keys from memory, until `unlock`. Links are closed, and commands are refused.
#[utoipa::path(post, path = "/v1/lock", tag = "node",
    responses((status = 200, body = VaultJson), (status = "default", body = ErrorJson)))]
pub(super) async fn lock(State(api): State<Api>) -> Reply<VaultJson> {
    api.node().lock().await?;
    api.shown().clear();
    Ok(Json(VaultJson { vault: "sealed" }))
}

/// A text that is wiped when it is dropped.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    fn wiped(mut self) -> Zeroizing<String> {
        Zeroizing::new(std::mem::take(&mut self.0))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// What `POST /v1/unlock` takes: one of both, or nothing where the home has no passphrase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockRequest {
    #[schema(value_type = Option<String>)]
    passphrase: Option<Secret>,
    /// The 24 words.
    #[schema(value_type = Option<String>)]
    phrase: Option<Secret>,
}

fn key(passphrase: Option<Secret>, phrase: Option<Secret>) -> Result<Key, Failure> {
    match (passphrase, phrase) {
        (Some(passphrase), None) => Ok(Key::Passphrase(passphrase.wiped())),
        (None, Some(phrase)) => Ok(Key::Phrase(phrase.wiped())),
        (None, None) => Ok(Key::None),
        (Some(_), Some(_)) => Err(bad_parameter("phrase", "and a passphrase are not needed both")),
    }
}

/// Opens the vault again.
#[utoipa::path(post, path = "/v1/unlock", tag = "node", request_body = UnlockRequest,
    responses((status = 200, body = VaultJson), (status = "default", body = ErrorJson)))]
async fn unlock(State(api): State<Api>, Body(request): Body<UnlockRequest>) -> Reply<VaultJson> {
    api.node().unlock(key(request.passphrase, request.phrase)?).await?;
    Ok(Json(VaultJson { vault: "open" }))
}

/// What `POST /v1/passphrase` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassphraseRequest {
    /// The present one.
    #[schema(value_type = Option<String>)]
    old: Option<Secret>,
    /// Or the 24 words, where the present one is forgotten.
    #[schema(value_type = Option<String>)]
    phrase: Option<Secret>,
    /// The next one; `null` for none.
    #[schema(value_type = Option<String>)]
    new: Option<Secret>,
}

/// How the vault is protected.
#[derive(Serialize, ToSchema)]
pub struct ProtectionJson {
    /// `passphrase` or `none`.
    #[schema(value_type = String)]
    protection: &'static str,
}

/// Changes the passphrase, or takes it away.
#[utoipa::path(post, path = "/v1/passphrase", tag = "node", request_body = PassphraseRequest,
    responses((status = 200, body = ProtectionJson), (status = "default", body = ErrorJson)))]
async fn passphrase(State(api): State<Api>, Body(request): Body<PassphraseRequest>) -> Reply<ProtectionJson> {
    let old = key(request.old, request.phrase)?;
    let new = request.new.map(Secret::wiped);
    let protection = if new.is_some() { "passphrase" } else { "none" };
    api.node().change_passphrase(old, new).await?;
    Ok(Json(ProtectionJson { protection }))
}

/// What was looked at, and what to do about it.
#[derive(Serialize, ToSchema)]
pub struct DoctorJson {
    checks: Vec<CheckJson>,
}

/// One thing that was looked at.
#[derive(Serialize, ToSchema)]
pub struct CheckJson {
    #[schema(value_type = String)]
    name: &'static str,
    ok: bool,
    /// In English.
    detail: String,
    /// In English; absent where nothing needs to be done.
    r#try: Option<String>,
    /// The key of these two lines in the message catalogues.
    #[schema(value_type = String)]
    id: &'static str,
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
}

impl From<Check> for CheckJson {
    fn from(check: Check) -> Self {
        let (detail, attempt) = messages::english(check.id, &check.facts.clone().into());
        let facts = check.facts.iter().map(|(name, value)| ((*name).to_owned(), fact(value))).collect();
        Self { name: check.name, ok: check.ok, detail, r#try: (!check.ok).then_some(attempt), id: check.id, facts }
    }
}

/// Looks at home, vault, store, logs, clock and network. Reads the whole store: it takes a while where there is much.
#[utoipa::path(get, path = "/v1/doctor", tag = "node",
    responses((status = 200, body = DoctorJson), (status = "default", body = ErrorJson)))]
async fn examine(State(api): State<Api>) -> Reply<DoctorJson> {
    let checks = doctor::examine(api.node()).await;
    Ok(Json(DoctorJson { checks: checks.into_iter().map(CheckJson::from).collect() }))
}

/// The same for a home in which no node runs, for the command line.
#[must_use]
pub fn examine_offline(home: &std::path::Path) -> Value {
    let checks: Vec<CheckJson> = doctor::examine_offline(home).into_iter().map(CheckJson::from).collect();
    serde_json::to_value(DoctorJson { checks }).unwrap_or_default()
}
