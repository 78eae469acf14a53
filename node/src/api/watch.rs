//! `/v1/watch`: events as they happen, as server-sent events.
//!
//! The last [`RING_MAX`] are kept, so that a watcher that was cut off hears what it missed: it names the last id that it saw. An id from
//! before the start of this process, or one that has left the ring, is answered by an event `missed` and then by all that is kept.
//! Nothing here holds a value.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use allod_protocol::command::Happening;
use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, errors::ErrorJson, reply::known_time};
use crate::daemon::{
    failure::{Failure, NodeRefusal},
    limits::{RING_MAX, WATCH_KEEP_ALIVE, WATCHERS_MAX},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(watch_all))
}

/// What happened of late.
pub struct Ring {
    /// Tells ids of this process from those of an earlier one.
    run: String,
    kept: Mutex<Kept>,
    /// The number of the newest.
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    /// The number of the oldest that is kept; numbers begin at 1.
    first: u64,
    happenings: VecDeque<Arc<Told>>,
}

struct Told {
    event: &'static str,
    json: String,
}

impl Ring {
    /// An empty ring; `run` is different at each start.
    #[must_use]
    pub fn new(run: String) -> Self {
        Self { run, kept: Mutex::new(Kept { first: 1, ..Kept::default() }), newest: watch::Sender::new(0) }
    }

    /// Tells all watchers.
    pub fn push(&self, happening: Happening) {
        let Happening { at, event, peer, grant, ask, selectors, path } = happening;
        let mut json = json!({ "event": event, "at": known_time(at) });
        let facts = [("peer", peer), ("grant", grant), ("ask", ask), ("path", path)];
        for (name, fact) in facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))) {
            json[name] = fact.into();
        }
        if !selectors.is_empty() {
            json["selectors"] = selectors.into();
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.happenings.len() == RING_MAX {
            kept.happenings.pop_front();
            kept.first += 1;
        }
        kept.happenings.push_back(Arc::new(Told { event, json: json.to_string() }));
        let newest = kept.first + kept.happenings.len() as u64 - 1;
        drop(kept);
        self.newest.send_replace(newest);
    }

    /// The number of the newest; numbers begin at 1.
    #[must_use]
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The number after which a watcher wants to hear, from the id that it saw last.
    fn after(&self, last_id: Option<&str>) -> u64 {
        match last_id {
            None => self.newest(),
            // Of an earlier process: all that is kept, after a word about what is not.
            Some(id) => id
                .split_once('.')
                .filter(|(run, _)| *run == self.run)
                .and_then(|(_, number)| number.parse().ok())
                .unwrap_or(u64::MAX),
        }
    }

    /// The next one after this number, with its own number; `Err` with how many are gone if some are.
    fn next(&self, after: u64) -> Result<Option<(u64, Arc<Told>)>, Gone> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.first + kept.happenings.len() as u64 - 1;
        if after > newest {
            return Err(Gone { resume_after: kept.first - 1, count: None });
        }
        if after + 1 < kept.first {
            return Err(Gone { resume_after: kept.first - 1, count: Some(kept.first - 1 - after) });
        }
        let place = usize::try_from(after + 1 - kept.first).expect("the ring is small");
        Ok(kept.happenings.get(place).map(|told| (after + 1, Arc::clone(told))))
    }
}

/// Some that a watcher has not heard are no longer kept.
#[derive(Debug, PartialEq, Eq)]
struct Gone {
    resume_after: u64,
    /// Unknown for ids of an earlier process.
    count: Option<u64>,
}

struct Watcher {
    ring: Arc<Ring>,
    newest: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    after: u64,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.newest.mark_unchanged();
            match self.ring.next(self.after) {
                Ok(Some((number, told))) => {
                    self.after = number;
                    let id = format!("{}.{number}", self.ring.run);
                    return Some(Event::default().id(id).event(told.event).data(&told.json));
                }
                Ok(None) => {}
                Err(Gone { resume_after, count }) => {
                    self.after = resume_after;
                    let data = json!({ "event": "missed", "count": count });
                    return Some(Event::default().event("missed").data(data.to_string()));
                }
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                stopped = self.stopping.wait_for(|stopping| *stopping) => {
                    let _ = stopped;
                    return None;
                }
            }
        }
    }
}

/// Events as they happen, from now on, or after the one whose id stands in `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/watch", tag = "watch",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
            description = "`id:`, `event:` and `data:`; the data is a JSON object whose `event` says what happened"),
        (status = "default", body = ErrorJson)))]
async fn watch_all(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let seat = api
        .watchers()
        .try_acquire_owned()
        .map_err(|_| Failure::from(NodeRefusal::TooManyWatchers { most: WATCHERS_MAX as u64 }))?;
    let ring = api.ring();
    let last_id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let watcher = Watcher {
        newest: ring.newest.subscribe(),
        after: ring.after(last_id),
        ring,
        stopping: api.stopping(),
        _seat: seat,
    };
    let events = stream::unfold(watcher, |mut watcher| async move { Some((Ok(watcher.next().await?), watcher)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(WATCH_KEEP_ALIVE)))
}

#[cfg(test)]
mod tests {
    use allod_protocol::time::Timestamp;

    use super::*;

    fn happening(event: &'static str) -> Happening {
        Happening {
            at: Timestamp::from_millis(0),
            event,
            peer: Some("shop".to_owned()),
            grant: None,
            ask: None,
            selectors: Vec::new(),
            path: None,
        }
    }

    #[test]
    fn a_watcher_hears_each_once_and_in_order() {
        let ring = Ring::new("a".to_owned());
        ring.push(happening("granted"));
        let after = ring.after(None);
        assert_eq!(ring.next(after).unwrap().map(|told| told.0), None);
        ring.push(happening("revoked"));
        let (number, told) = ring.next(after).unwrap().unwrap();
        assert_eq!((number, told.event), (2, "revoked"));
        assert_eq!(told.json, r#"{"event":"revoked","at":"1970-01-01T00:00:00.000Z","peer":"shop"}"#);
        assert!(ring.next(number).unwrap().is_none());
    }

    #[test]
    fn one_that_comes_back_hears_what_it_missed_while_it_is_kept() {
        let ring = Ring::new("a".to_owned());
        for _ in 0..RING_MAX + 10 {
            ring.push(happening("used"));
        }
        assert_eq!(ring.next(ring.after(Some("a.500"))).unwrap().unwrap().0, 501);
        assert_eq!(ring.next(ring.after(Some("a.3"))).err(), Some(Gone { resume_after: 10, count: Some(7) }));
    }

    #[test]
    fn an_id_of_an_earlier_start_says_that_something_is_missing() {
        let ring = Ring::new("b".to_owned());
        for last_id in ["a.1", "b.7", "", "b.x"] {
            let gone = ring.next(ring.after(Some(last_id))).err();
            assert_eq!(gone, Some(Gone { resume_after: 0, count: None }), "{last_id}");
        }
    }
}
