//! `/v1/import`: a file of the real world, read on a thread that may take its time, and written in pages that each are one step.
//!
//! Repeating an import changes nothing, so one that was cut off between two pages is simply run again.

use allod_protocol::{
    codec::Coded,
    command::{Answer, Command, ImportCounts, ImportItem},
};
use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    errors::{ErrorJson, fact, unexpected},
    input::{Parameters, Whole, bad_parameter},
    records::read_kind,
    reply::Reply,
};
use crate::{
    daemon::{
        failure::Failure,
        hygiene,
        limits::{IMPORT_CHUNK_MAX_BYTES, IMPORT_WRITES_MAX},
    },
    import::{self, Format, Imported, ImportedRecord, Skipped},
    messages::Lang,
};

/// Where an import's file stands in the history of a field, before its name.
const SOURCE: &str = "import";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(import_file))
}

/// What an import did, or would do.
#[derive(Serialize, ToSchema)]
pub struct ImportedJson {
    #[schema(value_type = String)]
    format: &'static str,
    records: u64,
    new: u64,
    changed: u64,
    unchanged: u64,
    skipped: Vec<SkippedJson>,
}

/// Something that was left out.
#[derive(Serialize, ToSchema)]
pub struct SkippedJson {
    /// In English.
    r#where: String,
    /// In English.
    why: String,
    /// The key of this reason in the message catalogues.
    #[schema(value_type = String)]
    id: &'static str,
    /// The facts of both: texts and numbers.
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
}

impl From<Skipped> for SkippedJson {
    fn from(skipped: Skipped) -> Self {
        let (place, why) = skipped.said(Lang::English);
        let facts = skipped.facts().iter().map(|(name, value)| ((*name).to_owned(), fact(value))).collect();
        Self { r#where: place, why, id: skipped.id(), facts }
    }
}

/// Reads a file into records. The body is the file as it is.
#[utoipa::path(post, path = "/v1/import", tag = "records",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(
        ("name" = Option<String>, Query, description = "The file's name: helps to tell what it is, and is kept as the source"),
        ("format" = Option<String>, Query, description = "`vcard`, `csv`, `json` or `allod`; found out unless given"),
        ("kind" = Option<String>, Query, description = "What the records are, where the format does not say"),
        ("dry_run" = Option<bool>, Query, description = "Counts, and writes nothing")),
    responses((status = 200, body = ImportedJson), (status = "default", body = ErrorJson)))]
async fn import_file(State(api): State<Api>, mut parameters: Parameters, Whole(file): Whole) -> Reply<ImportedJson> {
    let name = parameters.one("name")?.unwrap_or_default();
    let format = match parameters.one("format")? {
        None => None,
        Some(word) => Some(Format::parse(&word).ok_or_else(|| bad_parameter("format", "is none that can be read"))?),
    };
    let kind = parameters.one("kind")?.map(|text| read_kind(&text)).transpose()?;
    let dry_run = parameters.read("dry_run", "true or false")?.unwrap_or(false);
    parameters.finish()?;

    let source = if name.is_empty() { SOURCE.to_owned() } else { format!("{SOURCE}:{name}") };
    let read = move || import::read(&file, &name, format, kind.as_ref()).map_err(Failure::from);
    let Imported { format, records, skipped, .. } =
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(unexpected("import")))?;

    let mut counts = ImportCounts::default();
    for items in pages(records) {
        let command = Command::Import { items, source: source.clone(), dry_run };
        let Answer::Imported(page) = api.ask(command).await? else { return Err(unexpected("import")) };
        counts.records += page.records;
        counts.new += page.new;
        counts.changed += page.changed;
        counts.unchanged += page.unchanged;
    }
    let _ = tokio::task::spawn_blocking(hygiene::give_back_memory).await;
    Ok(Json(ImportedJson {
        format: format.as_str(),
        records: counts.records,
        new: counts.new,
        changed: counts.changed,
        unchanged: counts.unchanged,
        skipped: skipped.into_iter().map(SkippedJson::from).collect(),
    }))
}

/// Records in pages that each fit one step of the engine. A record that alone is larger goes alone.
fn pages(records: Vec<ImportedRecord>) -> impl Iterator<Item = Vec<ImportItem>> {
    let mut records = records.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut page = Vec::new();
        let (mut writes, mut size_bytes) = (0, 0);
        while let Some(record) = records.next_if(|record| {
            writes += record.fields.len();
            size_bytes += record_bytes(record);
            page.is_empty() || (writes <= IMPORT_WRITES_MAX && size_bytes <= IMPORT_CHUNK_MAX_BYTES)
        }) {
            page.push(ImportItem { record: record.record, fields: record.fields });
        }
        (!page.is_empty()).then_some(page)
    })
}

fn record_bytes(record: &ImportedRecord) -> usize {
    let path = record.record.to_string().len();
    path + record.fields.iter().map(|(name, value)| name.as_str().len() + value.encode().len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use allod_protocol::{path::FieldName, value::Value};

    use super::*;

    fn record(number: usize, fields: usize, value_bytes: usize) -> ImportedRecord {
        let field = |field| (FieldName::parse(&format!("f{field}")).unwrap(), Value::text("x".repeat(value_bytes)));
        ImportedRecord {
            record: format!("contact/{number}").parse().unwrap(),
            fields: (0..fields).map(field).collect(),
        }
    }

    fn sizes(records: Vec<ImportedRecord>) -> Vec<usize> {
        pages(records).map(|page| page.len()).collect()
    }

    #[test]
    fn a_page_has_at_most_a_thousand_writes() {
        assert_eq!(sizes((0..7).map(|number| record(number, 300, 1)).collect()), [3, 3, 1]);
    }

    #[test]
    fn a_page_has_at_most_200_kib_unless_one_record_has_more() {
        let records = [(1, 80), (1, 80), (1, 80), (2, 250), (1, 10)];
        let records = records.iter().enumerate().map(|(number, (fields, kib))| record(number, *fields, kib * 1024));
        assert_eq!(sizes(records.collect()), [2, 1, 1, 1]);
    }

    #[test]
    fn no_records_are_no_page() {
        assert!(sizes(Vec::new()).is_empty());
    }
}
