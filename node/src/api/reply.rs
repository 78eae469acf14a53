//! What many answers share: pages of a listing, times, and who was told.

use allod_protocol::{
    command::{Listing, Told},
    time::Timestamp,
    value::Moment,
};
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::daemon::failure::Failure;

/// What a handler answers.
pub type Reply<T> = Result<Json<T>, Failure>;

/// A page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items<T> {
    pub items: Vec<T>,
    /// Give it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Items<T> {
    /// A page of the engine's listing.
    pub fn of<U>(listing: Listing<U>) -> Self
    where
        T: From<U>,
    {
        Self { items: listing.items.into_iter().map(T::from).collect(), next: listing.next }
    }

    /// A listing that has one page.
    pub fn all<U>(items: Vec<U>) -> Self
    where
        T: From<U>,
    {
        Self { items: items.into_iter().map(T::from).collect(), next: None }
    }
}

/// Whether a peer has been told, or will be.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToldJson {
    peer: String,
    /// `delivered` or `queued`.
    #[schema(value_type = String)]
    state: &'static str,
}

impl From<Told> for ToldJson {
    fn from(told: Told) -> Self {
        Self { peer: told.peer, state: told.state.as_str() }
    }
}

/// The list of who was told.
pub(crate) fn told(told: Vec<Told>) -> Vec<ToldJson> {
    told.into_iter().map(ToldJson::from).collect()
}

/// A time as RFC 3339, always with three digits of a second, so that times sort as texts; `None` for a time that never comes.
pub(crate) fn time(at: Timestamp) -> Option<String> {
    let micros = i64::try_from(at.as_millis() / 1_000).ok()?.checked_mul(1_000_000)?;
    let whole_second = Moment::from_micros(micros)?.to_string();
    Some(format!("{}.{:03}Z", whole_second.strip_suffix('Z')?, at.as_millis() % 1_000))
}

/// A time that is always there. One beyond the year 9999 shows as the end of it.
pub(crate) fn known_time(at: Timestamp) -> String {
    time(at).unwrap_or_else(|| "9999-12-31T23:59:59.999Z".to_owned())
}

/// A command that has nothing to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoneJson {
    done: bool,
}

impl DoneJson {
    /// It is done.
    pub(crate) const fn done() -> Self {
        Self { done: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_texts() {
        let times: Vec<String> =
            [1_795_507_200_000, 1_795_507_200_820, 1_795_507_200_822, 1_795_507_201_000, 1_795_507_260_001]
                .map(|millis| time(Timestamp::from_millis(millis)).unwrap())
                .to_vec();
        assert_eq!(times[1], "2026-11-24T08:00:00.820Z");
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(time(Timestamp::NEVER), None);
    }
}
