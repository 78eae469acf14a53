//! The control API: HTTP/1.1 and JSON over the Unix socket of the home. The command line is one client of it, and has no other door.
//!
//! A handler reads a request strictly, turns it into one [`Command`], waits for the engine's answer and shows it; it decides nothing.
//! What each route takes and answers stands in the OpenAPI document that is made from the handlers themselves.

use std::sync::Arc;

use allod_protocol::command::{Answer, Command};
use axum::{
    Router,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use tokio::sync::{Semaphore, watch::Receiver};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::{router::OpenApiRouter, routes};

pub mod asks;
pub mod backup;
pub mod errors;
pub mod grants;
pub mod import;
pub mod input;
pub mod log;
pub mod pairing;
pub mod peers;
pub mod records;
pub mod reply;
pub mod server;
pub mod status;
pub mod watch;

use crate::daemon::{
    Node,
    failure::{Failure, NodeRefusal},
    limits::{BACKUPS_MAX, WATCHERS_MAX},
};

/// What handlers share.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    node: Arc<Node>,
    shown: pairing::Shown,
    watchers: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    document: String,
}

impl Api {
    async fn ask(&self, command: Command) -> Result<Answer, Failure> {
        self.0.node.door().ask(command).await
    }

    fn node(&self) -> &Node {
        &self.0.node
    }

    fn shown(&self) -> &pairing::Shown {
        &self.0.shown
    }

    fn watchers(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.watchers)
    }

    fn backups(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.backups)
    }

    fn ring(&self) -> Arc<self::watch::Ring> {
        self.0.node.ring()
    }

    fn stopping(&self) -> Receiver<bool> {
        self.0.node.stopping()
    }
}

fn with_routes() -> OpenApiRouter<Api> {
    let info = InfoBuilder::new()
        .title("Allod's control API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("HTTP/1.1 over the Unix socket `control.sock` in the node's home. Times are RFC 3339, UTC."))
        .build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .merge(status::routes())
        .merge(records::routes())
        .merge(import::routes())
        .merge(backup::routes())
        .merge(pairing::routes())
        .merge(peers::routes())
        .merge(asks::routes())
        .merge(grants::routes())
        .merge(log::routes())
        .merge(self::watch::routes())
        .routes(routes!(document))
}

/// The OpenAPI document of all routes.
#[must_use]
pub fn openapi() -> OpenApi {
    with_routes().into_openapi()
}

/// All routes, for this node.
pub fn router(node: Arc<Node>) -> Router {
    let (router, openapi) = with_routes().split_for_parts();
    let document = openapi.to_json().expect("the document has string keys only");
    let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
    let backups = Arc::new(Semaphore::new(BACKUPS_MAX));
    let api = Api(Arc::new(Shared { node, shown: pairing::Shown::default(), watchers, backups, document }));
    router.fallback(no_route).method_not_allowed_fallback(no_method).with_state(api)
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "node", responses((status = 200, body = Object)))]
async fn document(State(api): State<Api>) -> Response {
    ([("content-type", "application/json")], api.0.document.clone()).into_response()
}

async fn no_route(uri: Uri) -> Failure {
    NodeRefusal::NoRoute { path: shown(&uri) }.into()
}

async fn no_method(uri: Uri) -> Failure {
    NodeRefusal::NoMethod { path: shown(&uri) }.into()
}

fn shown(uri: &Uri) -> String {
    uri.path().chars().take(128).collect()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod contract {
    use super::*;

    #[test]
    fn the_document_names_every_route_of_the_contract() {
        let document: serde_json::Value = serde_json::from_str(&openapi().to_json().unwrap()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let mut routes: Vec<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        routes.sort();
        let mut expected = [
            "get /v1/status",
            "post /v1/stop",
            "post /v1/lock",
            "post /v1/unlock",
            "post /v1/passphrase",
            "get /v1/doctor",
            "get /v1/openapi.json",
            "get /v1/watch",
            "post /v1/set",
            "get /v1/fields",
            "get /v1/records",
            "get /v1/history",
            "post /v1/remove",
            "post /v1/import",
            "get /v1/export",
            "get /v1/backup",
            "post /v1/invitations",
            "get /v1/invitations",
            "delete /v1/invitations",
            "post /v1/accept",
            "get /v1/pairings/{id}",
            "post /v1/pairings/{id}/confirm",
            "get /v1/peers",
            "get /v1/peers/{name}",
            "post /v1/peers/{name}/rename",
            "post /v1/sync",
            "post /v1/peers/{name}/forget",
            "post /v1/peers/{name}/resume",
            "post /v1/peers/{name}/revoke",
            "post /v1/asks",
            "get /v1/asks",
            "get /v1/asks/{id}",
            "post /v1/asks/{id}/answer",
            "post /v1/asks/{id}/decline",
            "post /v1/asks/{id}/withdraw",
            "post /v1/grants",
            "get /v1/grants",
            "post /v1/preview",
            "get /v1/grants/{id}",
            "post /v1/grants/{id}/revoke",
            "get /v1/used",
            "get /v1/access",
            "get /v1/log",
            "get /v1/verify",
        ];
        expected.sort_unstable();
        assert_eq!(routes, expected);
    }

    #[test]
    fn every_schema_that_the_document_names_is_in_it() {
        let text = openapi().to_json().unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }
}
