//! `/v1/set`, `/v1/fields`, `/v1/records`, `/v1/history`, `/v1/remove`, `/v1/export`: the node's own records, and those lent to it.

use allod_protocol::{
    command::{Answer, Command, ExportedRecord, FieldView, Input, RecordView, SetItem, WrittenView},
    path::{FieldPath, Kind},
    refusal::Refusal,
    schema::Schema,
    value::{Scalar, Type, Value},
};
use axum::{Json, extract::State};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    errors::{ErrorJson, unexpected},
    input::{Body, Parameters, bad_parameter, field_path, path, record_path},
    reply::{Items, Reply, ToldJson, known_time, told},
};
use crate::{daemon::failure::Failure, export, json};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(set))
        .routes(routes!(fields))
        .routes(routes!(records))
        .routes(routes!(history))
        .routes(routes!(remove))
        .routes(routes!(export))
}

/// What `POST /v1/set` takes: all of it is written, or nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    items: Vec<SetItemJson>,
}

/// One field to write. Exactly one of `text` and `bytes` is there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetItemJson {
    path: String,
    /// One of the nine types. Without it the kind's schema decides, else the field's present type, else text.
    r#type: Option<String>,
    /// The written form; JSON for a list or map.
    text: Option<String>,
    /// Base64.
    bytes: Option<String>,
}

/// What was written.
#[derive(Serialize, ToSchema)]
pub struct WrittenJson {
    written: Vec<VersionJson>,
    told: Vec<ToldJson>,
}

/// A field and the number of its newest version.
#[derive(Serialize, ToSchema)]
pub struct VersionJson {
    path: String,
    version: u64,
}

impl From<WrittenView> for VersionJson {
    fn from(written: WrittenView) -> Self {
        Self { path: written.path.to_string(), version: written.version }
    }
}

/// One field.
#[derive(Serialize, ToSchema)]
pub struct FieldJson {
    path: String,
    /// Decimals and integers beyond 2^53 are strings as written, bytes are Base64, the other types are JSON's own.
    value: serde_json::Value,
    #[schema(value_type = String)]
    r#type: &'static str,
    version: u64,
    at: String,
    source: String,
    /// Who lends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// Under which selector it would leave, where that is the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
}

impl From<FieldView> for FieldJson {
    fn from(field: FieldView) -> Self {
        Self {
            path: field.path,
            value: json::to_json(&field.value),
            r#type: field.value.kind_of().as_str(),
            version: field.version,
            at: known_time(field.at),
            source: field.source,
            peer: field.peer,
            grant: field.grant,
            selector: field.selector.map(|selector| selector.to_string()),
        }
    }
}

/// A record without its values.
#[derive(Serialize, ToSchema)]
pub struct RecordJson {
    id: String,
    kind: String,
    fields: Vec<String>,
    at: String,
}

impl From<RecordView> for RecordJson {
    fn from(record: RecordView) -> Self {
        let RecordView { id, kind, fields, at } = record;
        Self { id, kind: kind.to_string(), fields, at: known_time(at) }
    }
}

/// A record with its values.
#[derive(Serialize, ToSchema)]
pub struct ExportedJson {
    record: String,
    /// By field name: `{"value","type","version","at","source"}`. Members of lists and maps carry their types.
    #[schema(value_type = Object)]
    fields: Map<String, serde_json::Value>,
}

impl From<ExportedRecord> for ExportedJson {
    fn from(exported: ExportedRecord) -> Self {
        let field =
            |field: FieldView| export::field_to_json(&field.value, field.version, &known_time(field.at), &field.source);
        let fields = exported.fields.into_iter().map(|(name, view)| (name.to_string(), field(view))).collect();
        Self { record: exported.record.to_string(), fields }
    }
}

/// A page of an export.
#[derive(Serialize, ToSchema)]
pub struct ExportPageJson {
    /// Now.
    exported: String,
    #[serde(flatten)]
    page: Items<ExportedJson>,
}

/// What `POST /v1/remove` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// A field or a record.
    path: String,
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub struct RemovedJson {
    removed: u64,
    told: Vec<ToldJson>,
}

/// Writes fields, all or none.
#[utoipa::path(post, path = "/v1/set", tag = "records", request_body = SetRequest,
    responses((status = 200, body = WrittenJson), (status = "default", body = ErrorJson)))]
async fn set(State(api): State<Api>, Body(request): Body<SetRequest>) -> Reply<WrittenJson> {
    let items = request.items.into_iter().map(set_item).collect::<Result<_, Failure>>()?;
    match api.ask(Command::Set { items }).await? {
        Answer::Written { written, told: who } => {
            Ok(Json(WrittenJson { written: written.into_iter().map(VersionJson::from).collect(), told: told(who) }))
        }
        _ => Err(unexpected("set")),
    }
}

fn set_item(item: SetItemJson) -> Result<SetItem, Failure> {
    let path = field_path(&item.path)?;
    let read = |word: String| Type::parse(&word).ok_or(Refusal::UnknownType { word });
    let explicit = item.r#type.map(read).transpose()?;
    let schema = Schema::of(&path.record.kind).and_then(|schema| schema.type_of(&path.field));
    let input = match (item.text, item.bytes) {
        (Some(text), None) => written(&path, explicit.or(schema), text)?,
        (None, Some(text)) => {
            let bytes = BASE64.decode(text.as_bytes()).map_err(|_| bad_parameter("bytes", "is not Base64"))?;
            from_bytes(&path, explicit.or(schema), bytes)?
        }
        _ => return Err(bad_parameter("items", "each have either text or bytes")),
    };
    Ok(SetItem { path, explicit, schema, input })
}

/// Lists and maps come as JSON and bytes as Base64, which are read here; the other types in their written form, which the engine reads.
/// Where only the engine knows the field's type, it gets what the text is in each of these three.
fn written(path: &FieldPath, expected: Option<Type>, text: String) -> Result<Input, Failure> {
    match expected {
        Some(expected @ (Type::List | Type::Map | Type::Bytes)) => json::parse_input(expected, &text)
            .map(Input::Typed)
            .map_err(|error| Refusal::bad_value(&path.to_string(), &error).into()),
        Some(_) => Ok(Input::Written { text, readings: Vec::new() }),
        None => {
            let types = [Type::List, Type::Map, Type::Bytes];
            let readings = types.into_iter().filter_map(|each| json::parse_input(each, &text).ok()).collect();
            Ok(Input::Written { text, readings })
        }
    }
}

/// A file's bytes: as they are for a field of bytes, else as the text that they spell, and as bytes again if they spell none.
fn from_bytes(path: &FieldPath, expected: Option<Type>, bytes: Vec<u8>) -> Result<Input, Failure> {
    if expected == Some(Type::Bytes) {
        return Ok(Input::Typed(Value::Scalar(Scalar::Bytes(bytes))));
    }
    match (String::from_utf8(bytes), expected) {
        (Ok(text), _) => written(path, expected, text),
        (Err(error), None) => Ok(Input::Typed(Value::Scalar(Scalar::Bytes(error.into_bytes())))),
        (Err(_), Some(expected)) => {
            Err(Refusal::BadValue { path: path.to_string(), expected: expected.to_string() }.into())
        }
    }
}

/// Values of our own, or what a peer lends.
#[utoipa::path(get, path = "/v1/fields", tag = "records",
    params(
        ("path" = Vec<String>, Query, description = "A field or record; may stand there several times"),
        ("from" = Option<String>, Query, description = "The peer that lends")),
    responses((status = 200, body = Items<FieldJson>), (status = "default", body = ErrorJson)))]
async fn fields(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<FieldJson>> {
    let paths = parameters.all("path").iter().map(|text| path(text)).collect::<Result<Vec<_>, _>>()?;
    let from = parameters.one("from")?;
    parameters.finish()?;
    if paths.is_empty() {
        return Err(bad_parameter("path", "is missing"));
    }
    match api.ask(Command::Get { paths, from }).await? {
        Answer::Fields(fields) => Ok(Json(Items::all(fields))),
        _ => Err(unexpected("get")),
    }
}

/// Records and the names of their fields, no values.
#[utoipa::path(get, path = "/v1/records", tag = "records",
    params(
        ("prefix" = Option<String>, Query, description = "`kind` or `kind/id`"),
        ("from" = Option<String>, Query, description = "The peer that lends"),
        ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Items<RecordJson>), (status = "default", body = ErrorJson)))]
async fn records(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<RecordJson>> {
    let (mut kind, mut record) = (None, None);
    match parameters.one("prefix")? {
        Some(text) if text.contains('/') => record = Some(record_path(&text)?),
        Some(text) => kind = Some(read_kind(&text)?),
        None => {}
    }
    let from = parameters.one("from")?;
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::List { kind, record, from, page }).await? {
        Answer::Records(listing) => Ok(Json(Items::of(listing))),
        _ => Err(unexpected("list")),
    }
}

pub(super) fn read_kind(text: &str) -> Result<Kind, Failure> {
    Kind::parse(text).map_err(|error| Refusal::bad_path(text, &error).into())
}

/// Every version of a field.
#[utoipa::path(get, path = "/v1/history", tag = "records",
    params(("path" = String, Query), ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = Items<FieldJson>), (status = "default", body = ErrorJson)))]
async fn history(State(api): State<Api>, mut parameters: Parameters) -> Reply<Items<FieldJson>> {
    let text = parameters.one("path")?.ok_or_else(|| bad_parameter("path", "is missing"))?;
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::History { path: field_path(&text)?, page }).await? {
        Answer::Versions(listing) => Ok(Json(Items::of(listing))),
        _ => Err(unexpected("history")),
    }
}

/// Removes a field or a record, shreds its keys, tells followers.
#[utoipa::path(post, path = "/v1/remove", tag = "records", request_body = RemoveRequest,
    responses((status = 200, body = RemovedJson), (status = "default", body = ErrorJson)))]
async fn remove(State(api): State<Api>, Body(request): Body<RemoveRequest>) -> Reply<RemovedJson> {
    match api.ask(Command::Remove { path: path(&request.path)? }).await? {
        Answer::Removed { removed, told: who } => Ok(Json(RemovedJson { removed, told: told(who) })),
        _ => Err(unexpected("remove")),
    }
}

/// Whole records with their values.
#[utoipa::path(get, path = "/v1/export", tag = "records",
    params(("kind" = Option<String>, Query), ("limit" = Option<usize>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, body = ExportPageJson), (status = "default", body = ErrorJson)))]
async fn export(State(api): State<Api>, mut parameters: Parameters) -> Reply<ExportPageJson> {
    let kind = parameters.one("kind")?.map(|text| read_kind(&text)).transpose()?;
    let page = parameters.page()?;
    parameters.finish()?;
    match api.ask(Command::Export { kind, page }).await? {
        Answer::Exported(listing) => {
            let exported = known_time(api.node().clock().now().wall);
            Ok(Json(ExportPageJson { exported, page: Items::of(listing) }))
        }
        _ => Err(unexpected("export")),
    }
}
