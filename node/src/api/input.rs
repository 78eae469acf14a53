//! What a caller hands in, read strictly: a member or parameter that nobody knows is refused, never passed over.
//!
//! The server has taken the body, within its cap and in time, before a handler runs. It is wiped when the request is done, since it may
//! hold a passphrase or a value.

use std::{str::FromStr, sync::Arc};

use allod_protocol::{
    command::Page,
    path::{FieldPath, Path, RecordPath, Selector},
    refusal::Refusal,
};
use axum::{
    extract::{self, FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::shown;
use crate::daemon::{
    failure::{Failure, NodeRefusal},
    limits::{PAGE_DEFAULT, PAGE_MAX},
};

/// The body of a request, whole.
#[derive(Clone)]
pub struct Whole(pub Arc<Zeroizing<Vec<u8>>>);

impl<S: Sync> FromRequestParts<S> for Whole {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(Arc::default())))
    }
}

/// The body of a request, as JSON of this type. An empty body is an empty object.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Whole(bytes) = Whole::from_request_parts(parts, state).await?;
        let bytes: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        // The reason goes to the caller that sent the body, and nowhere else.
        serde_json::from_slice(bytes).map(Self).map_err(|error| NodeRefusal::BadBody { why: error.to_string() }.into())
    }
}

/// The part of a request's path that names something.
pub struct PathPart(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathPart {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let part = extract::Path::<String>::from_request_parts(parts, state).await;
        // Escaped bytes that are no text: nothing can be there.
        part.map(|extract::Path(text)| Self(text)).map_err(|_| NodeRefusal::NoRoute { path: shown(&parts.uri) }.into())
    }
}

/// The parameters of a request's address, taken one by one; [`Parameters::finish`] refuses what is left.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(NodeRefusal::BadParameter { name: "?".to_owned(), why: error.body_text() }.into()),
        }
    }
}

impl Parameters {
    /// All values of this name.
    pub fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.0).into_iter().partition(|pair| pair.0 == name);
        self.0 = rest;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|pair| pair.1).collect()
    }

    /// The one value of this name. An empty one counts as none.
    ///
    /// # Errors
    /// If it stands there twice.
    pub fn one(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop().filter(|value| !value.is_empty())),
            _ => Err(bad_parameter(name, "is given twice")),
        }
    }

    /// The one value of this name, read.
    ///
    /// # Errors
    /// If it does not read, or stands there twice.
    pub fn read<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Failure> {
        let read = |text: String| text.parse().map_err(|_| bad_parameter(name, &format!("is not {expected}")));
        self.one(name)?.map(read).transpose()
    }

    /// Which page of a listing.
    ///
    /// # Errors
    /// If `limit` is no number, or not one from 1 to the most.
    pub fn page(&mut self) -> Result<Page, Failure> {
        let limit: usize = self.read("limit", "a number")?.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(bad_parameter("limit", &format!("is not from 1 to {PAGE_MAX}")));
        }
        Ok(Page { limit, after: self.one("after")? })
    }

    /// Refuses whatever was not taken.
    ///
    /// # Errors
    /// The name of the first that was not.
    pub fn finish(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(bad_parameter(name, "is none of this route's")),
        }
    }
}

/// The refusal for a parameter.
pub(crate) fn bad_parameter(name: &str, why: &str) -> Failure {
    NodeRefusal::BadParameter { name: name.chars().take(64).collect(), why: why.to_owned() }.into()
}

/// A record or field path.
pub(crate) fn path(text: &str) -> Result<Path, Failure> {
    text.parse().map_err(|error| Refusal::bad_path(text, &error).into())
}

/// A field path.
pub(crate) fn field_path(text: &str) -> Result<FieldPath, Failure> {
    match path(text)? {
        Path::Field(path) => Ok(path),
        Path::Record(_) => Err(Refusal::NeedsField { path: text.to_owned() }.into()),
    }
}

/// A record path.
pub(crate) fn record_path(text: &str) -> Result<RecordPath, Failure> {
    text.parse().map_err(|error| Refusal::bad_path(text, &error).into())
}

/// What is lent or asked.
pub(crate) fn selectors(texts: &[String]) -> Result<Vec<Selector>, Failure> {
    let read = |text: &String| text.parse().map_err(|error| Refusal::bad_path(text, &error).into());
    texts.iter().map(read).collect()
}
