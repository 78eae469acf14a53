//! `/v1/backup`: everything as of one moment, sealed, as a file that the 24 words open.
//!
//! The file is whole before its first byte leaves, so that a caller who dawdles holds up nobody.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio::{fs::File, io::AsyncReadExt};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, errors::ErrorJson, reply::known_time};
use crate::daemon::failure::{Failure, NodeRefusal};

/// What is read from the file and sent at once. Bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// The header with the count of records.
pub const RECORDS: &str = "allod-records";
/// The header with the moment that the backup shows.
pub const AT: &str = "allod-at";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(backup))
}

/// A backup of this moment, which the recovery phrase opens. One is made or fetched at a time.
#[utoipa::path(get, path = "/v1/backup", tag = "node",
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream", headers(
            ("allod-records" = u64, description = "How many records are in it"),
            ("allod-at" = String, description = "The moment that it shows, RFC 3339"))),
        (status = "default", body = ErrorJson)))]
async fn backup(State(api): State<Api>) -> Result<Response, Failure> {
    let place = api.backups().try_acquire_owned().map_err(|_| NodeRefusal::BackupUnderWay {})?;
    let made = api.node().backup().await?;
    let headers = [
        (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (CONTENT_LENGTH.as_str(), made.size_bytes.to_string()),
        (RECORDS, made.about.records.to_string()),
        (AT, known_time(made.about.at)),
    ];
    let pieces = stream::unfold((File::from_std(made.file), place), |(mut file, place)| async move {
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Ok(Bytes::from(piece)), (file, place)))
            }
            // The connection breaks off, and the caller sees that something is missing.
            Err(error) => Some((Err(error), (file, place))),
        }
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}
