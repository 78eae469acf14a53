//! `/v1/invitations`, `/v1/accept`, `/v1/pairings`: from an invitation to two people who said that the words are the same.
//!
//! Whoever shows a pairing waits for its next stage with a long poll; one that runs out answers the stage that was seen last, and the
//! caller asks again.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use allod_protocol::{
    command::{Answer, Command, EmojiView, InvitationView, PairingStage, PairingView, WordsAre},
    id::InvitationId,
    limits::INVITATION_LIFETIME,
    refusal::Refusal,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    errors::{ErrorBody, ErrorJson, unexpected},
    input::{Body, Parameters, PathPart, bad_parameter},
    reply::{Items, Reply, known_time},
};
use crate::daemon::{
    failure::Failure,
    limits::{LONG_POLL, PAIRINGS_SHOWN_MAX},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(invite, invitations, cancel))
        .routes(routes!(accept))
        .routes(routes!(pairing))
        .routes(routes!(confirm))
}

/// What `POST /v1/invitations` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// How long it is good, in seconds; 120 unless given.
    expires_s: Option<u64>,
}

/// An invitation to show.
#[derive(Serialize, ToSchema)]
pub struct InvitedJson {
    /// Its pairing's id.
    id: String,
    /// The text, which is also what the QR code holds. Whoever has it can try to pair, once.
    invitation: String,
    expires: String,
}

/// An invitation without its secret.
#[derive(Serialize, ToSchema)]
pub struct InvitationJson {
    id: String,
    expires: String,
    /// `open`, `used` or `expired`.
    #[schema(value_type = String)]
    state: &'static str,
}

impl From<InvitationView> for InvitationJson {
    fn from(invitation: InvitationView) -> Self {
        Self { id: invitation.id.long(), expires: known_time(invitation.expires), state: invitation.state }
    }
}

/// What `POST /v1/accept` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// The invitation: `ALLOD:…`.
    text: String,
    /// What the peer is to be called here.
    name: Option<String>,
}

/// What `POST /v1/pairings/{id}/confirm` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// Whether both screens show the same words.
    same: bool,
}

/// How far a pairing is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PairingJson {
    id: String,
    /// `open`, `comparing`, `waiting` (for the other side's person), `paired` or `ended`.
    #[schema(value_type = String)]
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// Six words, once they are known.
    words: Vec<String>,
    /// Seven emoji that say the same.
    emoji: Vec<EmojiJson>,
    /// Whether our side's person said that they are the same.
    confirmed: bool,
    /// How many others tried the same invitation.
    others_tried: u64,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ErrorBody>)]
    error: Option<serde_json::Value>,
}

/// One emoji and its name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmojiJson {
    emoji: String,
    /// In English.
    name: String,
    name_fr: String,
}

impl From<EmojiView> for EmojiJson {
    fn from(emoji: EmojiView) -> Self {
        Self { emoji: emoji.emoji, name: emoji.name_en, name_fr: emoji.name_fr }
    }
}

impl From<PairingView> for PairingJson {
    fn from(pairing: PairingView) -> Self {
        let ended = pairing.ended.map(|refusal| ErrorJson::of(&refusal.into()).into_body());
        Self {
            id: pairing.id.long(),
            confirmed: matches!(pairing.stage, PairingStage::Waiting | PairingStage::Paired),
            stage: word(&pairing.stage),
            peer: pairing.peer,
            words: pairing.words,
            emoji: pairing.emoji.into_iter().map(EmojiJson::from).collect(),
            others_tried: pairing.others_tried,
            error: ended.map(|body| serde_json::to_value(body).expect("an error's JSON has string keys only")),
        }
    }
}

const STAGES: [PairingStage; 5] =
    [PairingStage::Open, PairingStage::Comparing, PairingStage::Waiting, PairingStage::Paired, PairingStage::Ended];

const fn word(stage: &PairingStage) -> &'static str {
    match stage {
        PairingStage::Open => "open",
        PairingStage::Comparing => "comparing",
        PairingStage::Waiting => "waiting",
        PairingStage::Paired => "paired",
        PairingStage::Ended => "ended",
    }
}

/// The last view of each pairing that somebody looked at, for waits that run out.
#[derive(Default)]
pub struct Shown(Mutex<VecDeque<(InvitationId, PairingJson)>>);

impl Shown {
    fn keep(&self, id: InvitationId, view: &PairingJson) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|(other, _)| *other != id);
        if shown.len() >= PAIRINGS_SHOWN_MAX {
            shown.pop_front();
        }
        shown.push_back((id, view.clone()));
    }

    fn last(&self, id: InvitationId, seen: &PairingStage) -> PairingJson {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shown.iter().find(|(other, _)| *other == id).map(|(_, view)| view.clone());
        known.unwrap_or_else(|| PairingJson {
            id: id.long(),
            stage: word(seen),
            peer: None,
            words: Vec::new(),
            emoji: Vec::new(),
            confirmed: *seen >= PairingStage::Waiting,
            others_tried: 0,
            error: None,
        })
    }

    /// Forgets them all: the node was locked.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn view(api: &Api, answer: Answer, command: &'static str) -> Reply<PairingJson> {
    let Answer::Pairing(pairing) = answer else { return Err(unexpected(command)) };
    let id = pairing.id;
    let view = PairingJson::from(pairing);
    api.shown().keep(id, &view);
    Ok(Json(view))
}

fn invitation_id(text: &str) -> Result<InvitationId, Failure> {
    read_id(text).ok_or_else(|| Refusal::NoSuchPairing {}.into())
}

/// The id whose long form this is.
fn read_id(text: &str) -> Option<InvitationId> {
    const LETTERS: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    let number = text.strip_prefix(InvitationId::PREFIX)?.chars().try_fold(0u128, |number, letter| {
        let value = LETTERS.find(letter)?;
        number.checked_mul(32)?.checked_add(u128::try_from(value).ok()?)
    })?;
    let id = InvitationId::from_bytes(number.to_be_bytes());
    (id.long() == text).then_some(id)
}

/// Opens an invitation.
#[utoipa::path(post, path = "/v1/invitations", tag = "pairing", request_body = InviteRequest,
    responses((status = 200, body = InvitedJson), (status = "default", body = ErrorJson)))]
async fn invite(State(api): State<Api>, Body(request): Body<InviteRequest>) -> Reply<InvitedJson> {
    let lifetime = request.expires_s.map_or(INVITATION_LIFETIME, Duration::from_secs);
    match api.ask(Command::Invite { lifetime }).await? {
        Answer::Invited { id, text, expires } => {
            Ok(Json(InvitedJson { id: id.long(), invitation: text, expires: known_time(expires) }))
        }
        _ => Err(unexpected("invite")),
    }
}

/// The invitations of late, without their secrets.
#[utoipa::path(get, path = "/v1/invitations", tag = "pairing",
    responses((status = 200, body = Items<InvitationJson>), (status = "default", body = ErrorJson)))]
async fn invitations(State(api): State<Api>) -> Reply<Items<InvitationJson>> {
    match api.ask(Command::Invitations).await? {
        Answer::Invitations(invitations) => Ok(Json(Items::all(invitations))),
        _ => Err(unexpected("invitations")),
    }
}

/// Cancels all that are open.
#[utoipa::path(delete, path = "/v1/invitations", tag = "pairing",
    responses((status = 200, body = Items<InvitationJson>), (status = "default", body = ErrorJson)))]
async fn cancel(State(api): State<Api>) -> Reply<Items<InvitationJson>> {
    match api.ask(Command::CancelInvitations).await? {
        Answer::Invitations(invitations) => Ok(Json(Items::all(invitations))),
        _ => Err(unexpected("cancel")),
    }
}

/// Accepts someone's invitation; answers once there are words to compare.
#[utoipa::path(post, path = "/v1/accept", tag = "pairing", request_body = AcceptRequest,
    responses((status = 200, body = PairingJson), (status = "default", body = ErrorJson)))]
async fn accept(State(api): State<Api>, Body(request): Body<AcceptRequest>) -> Reply<PairingJson> {
    let command = Command::Accept { text: request.text, petname: request.name };
    view(&api, api.ask(command).await?, "accept")
}

/// Waits until a pairing has gone past the stage that was seen last, or for 25 seconds.
#[utoipa::path(get, path = "/v1/pairings/{id}", tag = "pairing",
    params(
        ("id" = String, Path),
        ("seen" = Option<String>, Query, description = "`open` unless given, `comparing` or `waiting`")),
    responses((status = 200, body = PairingJson), (status = "default", body = ErrorJson)))]
async fn pairing(State(api): State<Api>, PathPart(id): PathPart, mut parameters: Parameters) -> Reply<PairingJson> {
    let id = invitation_id(&id)?;
    let seen = match parameters.one("seen")? {
        None => PairingStage::Open,
        Some(text) => STAGES
            .into_iter()
            .find(|stage| word(stage) == text)
            .ok_or_else(|| bad_parameter("seen", "is no stage of a pairing"))?,
    };
    parameters.finish()?;
    match tokio::time::timeout(LONG_POLL, api.ask(Command::AwaitPairing { id, seen: seen.clone() })).await {
        Ok(answer) => view(&api, answer?, "pairing"),
        Err(_) => Ok(Json(api.shown().last(id, &seen))),
    }
}

/// Says whether the words are the same on both screens.
#[utoipa::path(post, path = "/v1/pairings/{id}/confirm", tag = "pairing", request_body = ConfirmRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = PairingJson), (status = "default", body = ErrorJson)))]
async fn confirm(
    State(api): State<Api>,
    PathPart(id): PathPart,
    Body(request): Body<ConfirmRequest>,
) -> Reply<PairingJson> {
    let words = if request.same { WordsAre::TheSame } else { WordsAre::Different };
    view(&api, api.ask(Command::Confirm { id: invitation_id(&id)?, words }).await?, "confirm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_from_its_long_form_and_from_nothing_else() {
        let id = InvitationId::from_bytes([0xa7; 16]);
        let long = id.long();
        assert_eq!(read_id(&long), Some(id));
        for text in [&long[..long.len() - 1], &format!("{long}0"), &long.to_uppercase(), "v-", "", &id.to_string()] {
            assert_eq!(read_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_wait_that_ran_out_shows_what_was_shown_last() {
        let shown = Shown::default();
        let id = InvitationId::from_bytes([1; 16]);
        assert_eq!(shown.last(id, &PairingStage::Waiting).stage, "waiting");
        let mut view = shown.last(id, &PairingStage::Comparing);
        view.words = vec!["abaca".to_owned()];
        shown.keep(id, &view);
        assert_eq!(shown.last(id, &PairingStage::Comparing).words, ["abaca"]);
        for number in 0..PAIRINGS_SHOWN_MAX {
            shown.keep(InvitationId::from_bytes([u8::try_from(number + 2).unwrap(); 16]), &view);
        }
        assert!(shown.last(id, &PairingStage::Comparing).words.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_locked_node_forgets_the_words_that_it_showed() {
        use std::sync::Arc;

        use crate::{
            api::{Shared, status},
            daemon::rig::TestHome,
        };

        let home = TestHome::new(None);
        let daemon = home.start(&Default::default(), None).await;
        let (node, watchers) = (Arc::clone(daemon.node()), Arc::new(tokio::sync::Semaphore::new(0)));
        let backups = Arc::new(tokio::sync::Semaphore::new(0));
        let api = Api(Arc::new(Shared { node, shown: Shown::default(), watchers, backups, document: String::new() }));
        let id = InvitationId::from_bytes([1; 16]);
        let mut view = api.shown().last(id, &PairingStage::Comparing);
        view.words = vec!["abaca".to_owned()];
        api.shown().keep(id, &view);
        drop(status::lock(State(api.clone())).await.unwrap());
        assert!(api.shown().last(id, &PairingStage::Comparing).words.is_empty());
    }
}
