//! The export: every record with its values, types, versions and sources, as one JSON document that `import` reads back.
//!
//! ```json
//! {"allod":1,"exported":"2026-11-24T06:00:00Z","records":[
//!  {"record":"contact/me","fields":{"city":{"type":"text","value":"Paris","version":3,"at":"2026-11-01T10:00:00Z","source":"typed"}}}
//! ]}
//! ```
//! `docs/EXPORT.md` describes it for those who write readers. The mark comes first, so that a reader knows the document before its
//! records, and [`write()`] and `import` both hold one record at a time.

use std::io::{self, Write};

use allod_protocol::{
    path::{FieldName, RecordPath},
    value::{Moment, Value},
};
use serde_json::{Value as Json, json};

use crate::json::{Members, to_typed};

/// The member that marks an export; its value is the version.
pub const MARK: &str = "allod";
/// The version that this node writes and reads.
pub const VERSION: u64 = 1;
/// The member that holds the records.
pub const RECORDS: &str = "records";

/// A record as it is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedRecord {
    pub record: RecordPath,
    pub fields: Vec<ExportedField>,
}

/// A field as it is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedField {
    pub name: FieldName,
    pub value: Value,
    /// Which version of the field this is, counted from 1.
    pub version: u64,
    /// When it was written.
    pub at: Moment,
    /// Where it came from: what was typed, a file, a peer.
    pub source: String,
}

/// The whole export in memory.
#[must_use]
pub fn to_json(exported: Moment, records: &[ExportedRecord]) -> Json {
    let records: Vec<_> = records.iter().map(record_to_json).collect();
    json!({ MARK: VERSION, "exported": exported.to_string(), RECORDS: records })
}

/// Writes the export record by record, one a line, so that it may be larger than memory.
///
/// # Errors
/// What the writer reports.
pub fn write(
    out: &mut impl Write,
    exported: Moment,
    records: impl IntoIterator<Item = ExportedRecord>,
) -> io::Result<()> {
    write!(out, r#"{{"{MARK}":{VERSION},"exported":"{exported}","{RECORDS}":["#)?;
    for (index, record) in records.into_iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, &record_to_json(&record))?;
    }
    out.write_all(b"\n]}\n")
}

fn record_to_json(record: &ExportedRecord) -> Json {
    let fields: Members = record
        .fields
        .iter()
        .map(|field| {
            let shown = json!({
                "type": field.value.kind_of().as_str(),
                "value": to_typed(&field.value),
                "version": field.version,
                "at": field.at.to_string(),
                "source": field.source,
            });
            (field.name.as_str().to_owned(), shown)
        })
        .collect();
    json!({ "record": record.record.to_string(), "fields": fields })
}

#[cfg(test)]
mod tests {
    use allod_protocol::value::{Date, Decimal, Scalar, Type};

    use super::*;
    use crate::import::{self, Format};

    fn moment(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    /// One value of each type, with the cases that other formats lose.
    fn values() -> Vec<Value> {
        let scalars = vec![
            Scalar::Text("line\nÉ \"quoted\"".into()),
            Scalar::Integer(i128::MIN),
            Scalar::Decimal(Decimal::parse("-0.00000000000000000001").unwrap()),
            Scalar::Boolean(false),
            Scalar::Date(Date::new(2024, 2, 29).unwrap()),
            Scalar::Instant(moment("2026-11-24T05:45:00.123456Z")),
            Scalar::Bytes(vec![0, 255, 10]),
        ];
        let pairs = scalars.iter().cloned().enumerate().map(|(index, scalar)| (format!("k{index}"), scalar)).collect();
        let mut values: Vec<_> = scalars.iter().cloned().map(Value::Scalar).collect();
        values.extend([Value::List(scalars), Value::Map(pairs), Value::List(vec![]), Value::Map(vec![])]);
        values
    }

    fn records() -> Vec<ExportedRecord> {
        let field = |(index, value): (usize, Value)| ExportedField {
            name: FieldName::parse(&format!("f{index}")).unwrap(),
            value,
            version: 3,
            at: moment("2026-11-01T10:00:00Z"),
            source: "typed".into(),
        };
        let all = values().into_iter().enumerate().map(field).collect();
        let one = vec![field((0, Value::text("Paris")))];
        vec![
            ExportedRecord { record: "contact/zoé-2".parse().unwrap(), fields: all },
            ExportedRecord { record: "stamp/a%20b".parse().unwrap(), fields: one },
        ]
    }

    #[test]
    fn every_type_comes_back_as_it_went() {
        let types: Vec<_> = values().iter().map(Value::kind_of).collect();
        assert!(Type::ALL.iter().all(|value_type| types.contains(value_type)), "a type is missing from this test");
        let mut file = Vec::new();
        write(&mut file, moment("2026-11-24T06:00:00Z"), records()).unwrap();
        let imported = import::read(&file, "export.json", None, None).unwrap();
        assert_eq!((imported.format, imported.skipped.len()), (Format::Allod, 0));
        for (record, back) in records().iter().zip(&imported.records) {
            assert_eq!(back.record, record.record);
            let fields: Vec<_> = record.fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect();
            assert_eq!(back.fields, fields);
        }
        assert_eq!(imported.records.len(), records().len());
    }

    #[test]
    fn both_writers_write_the_same_document() {
        let exported = moment("2026-11-24T06:00:00Z");
        let mut file = Vec::new();
        write(&mut file, exported, records()).unwrap();
        assert_eq!(serde_json::from_slice::<Json>(&file).unwrap(), to_json(exported, &records()));
        file.clear();
        write(&mut file, exported, []).unwrap();
        assert_eq!(serde_json::from_slice::<Json>(&file).unwrap(), to_json(exported, &[]));
    }

    #[test]
    fn the_document_is_the_one_that_is_described() {
        let json = to_json(moment("2026-11-24T06:00:00Z"), &records()[1..]);
        assert_eq!(
            json.to_string(),
            concat!(
                r#"{"allod":1,"exported":"2026-11-24T06:00:00Z","records":[{"record":"stamp/a%20b","fields":{"f0":"#,
                r#"{"type":"text","value":"Paris","version":3,"at":"2026-11-01T10:00:00Z","source":"typed"}}}]}"#
            )
        );
    }
}
