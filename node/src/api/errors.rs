//! A refusal as the control API says it: a status, and the same code, message, try and facts that the command line shows.
//!
//! `message` and `try` are English whatever the caller speaks; `id` and `facts` let a program say the same two lines in another
//! language, from the catalogue.

use allod_protocol::{
    refusal::{Code, Fact},
    time::Timestamp,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::reply::time;
use crate::{
    daemon::failure::{Failure, NodeRefusal},
    messages,
};

/// Why a request was not done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorJson {
    error: ErrorBody,
}

/// The refusal itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The word that programs match on.
    #[schema(value_type = String)]
    code: &'static str,
    /// What happened, in English.
    message: String,
    /// What to try, in English.
    r#try: String,
    /// The key of these two lines in the message catalogues.
    #[schema(value_type = String)]
    id: &'static str,
    /// The facts of these two lines: texts, numbers, times in RFC 3339.
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
}

/// The JSON of a fact.
pub(crate) fn fact(fact: &Fact) -> Value {
    match fact {
        Fact::Text(text) => Value::from(text.as_str()),
        Fact::Number(number) => Value::from(*number),
        Fact::Time(at) => time(*at).map_or(Value::Null, Value::from),
    }
}

impl ErrorJson {
    /// The JSON of a failure: also what stands as `error` in a pairing that ended.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        let (message, attempt) = messages::english(failure.id, &failure.facts.clone().into());
        let facts = failure.facts.iter().map(|(name, value)| ((*name).to_owned(), fact(value))).collect();
        Self { error: ErrorBody { code: failure.code.as_str(), message, r#try: attempt, id: failure.id, facts } }
    }

    /// Only what stands under `error`.
    #[must_use]
    pub fn into_body(self) -> ErrorBody {
        self.error
    }
}

/// The HTTP status that goes with a code.
const fn status(code: Code) -> StatusCode {
    match code {
        Code::Usage | Code::Invalid => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::NoGrant | Code::Revoked | Code::Expired | Code::LeaseOver | Code::Declined => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::Locked => StatusCode::LOCKED,
        Code::Failed | Code::Damaged | Code::Forked | Code::NotRunning => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unreachable => StatusCode::GATEWAY_TIMEOUT,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // HTTP has words of its own for these two.
        let status = match self.id {
            "node-no-method" => StatusCode::METHOD_NOT_ALLOWED,
            "node-too-slow" => StatusCode::REQUEST_TIMEOUT,
            _ => status(self.code),
        };
        (status, Json(ErrorJson::of(&self))).into_response()
    }
}

/// The refusal for an answer that does not belong to its command.
pub(crate) fn unexpected(command: &'static str) -> Failure {
    NodeRefusal::Internal { what: format!("the engine answered something else to \"{command}\"") }.into()
}

/// The refusal for a text that is not a time.
pub(crate) fn bad_time(text: &str) -> Failure {
    NodeRefusal::BadTime { text: text.chars().take(64).collect() }.into()
}

/// The time that this text says.
///
/// # Errors
/// The refusal to answer with.
pub(crate) fn read_time(text: &str) -> Result<Timestamp, Failure> {
    let moment = allod_protocol::value::Moment::parse(text).ok_or_else(|| bad_time(text))?;
    u64::try_from(moment.as_micros() / 1_000).map(Timestamp::from_millis).map_err(|_| bad_time(text))
}
