//! The export: every record with its values, types, versions and sources, as one JSON document that `import` reads back.
//!
//! ```json
//! {"allod":1,"exported":"2026-11-24T06:00:00Z","records":[
//!  {"record":"contact/me","fields":{"city":{"type":"text","value":"Paris","version":3,"at":"2026-11-01T10:00:00Z","source":"typed"}}}
//! ]}
//! ```
//! `docs/EXPORT.md` describes it for those who write readers. The mark comes first, so that a reader knows the document before its
//! records, and both [`Document`] and `import` hold one record at a time.

use std::io::{self, Write};

use allod_protocol::value::Value;
use serde_json::{Value as Json, json};

use crate::json::to_typed;

/// The member that marks an export; its value is the version.
pub const MARK: &str = "allod";
/// The version that this node writes and reads.
pub const VERSION: u64 = 1;
/// The member that holds the records.
pub const RECORDS: &str = "records";

/// A field as it stands in an export.
#[must_use]
pub fn field_to_json(value: &Value, version: u64, at: &str, source: &str) -> Json {
    json!({
        "type": value.kind_of().as_str(),
        "value": to_typed(value),
        "version": version,
        "at": at,
        "source": source,
    })
}

/// An export that is being written, one record a line, so that it may be larger than memory.
pub struct Document<W> {
    out: W,
    records: u64,
}

impl<W: Write> Document<W> {
    /// Begins it; `exported` is the time, RFC 3339.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn begin(mut out: W, exported: &str) -> io::Result<Self> {
        write!(out, r#"{{"{MARK}":{VERSION},"exported":{},"{RECORDS}":["#, Json::from(exported))?;
        Ok(Self { out, records: 0 })
    }

    /// Adds `{"record","fields"}`.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn add(&mut self, record: &Json) -> io::Result<()> {
        let separator = if self.records == 0 { "\n" } else { ",\n" };
        self.records += 1;
        write!(self.out, "{separator}{record}")
    }

    /// Ends it, and says how many records are in it.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn end(mut self) -> io::Result<(W, u64)> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        Ok((self.out, self.records))
    }
}

#[cfg(test)]
mod tests {
    use allod_protocol::{
        path::{FieldName, RecordPath},
        value::{Date, Decimal, Moment, Scalar, Type},
    };

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

    fn records() -> Vec<(RecordPath, Vec<(FieldName, Value)>)> {
        let named = |(index, value): (usize, Value)| (FieldName::parse(&format!("f{index}")).unwrap(), value);
        vec![
            ("contact/zoé-2".parse().unwrap(), values().into_iter().enumerate().map(named).collect()),
            ("stamp/a%20b".parse().unwrap(), vec![named((0, Value::text("Paris")))]),
        ]
    }

    fn written(records: &[(RecordPath, Vec<(FieldName, Value)>)]) -> Vec<u8> {
        let mut document = Document::begin(Vec::new(), "2026-11-24T06:00:00Z").unwrap();
        for (record, fields) in records {
            let fields: crate::json::Members = fields
                .iter()
                .map(|(name, value)| (name.to_string(), field_to_json(value, 3, "2026-11-01T10:00:00Z", "typed")))
                .collect();
            document.add(&json!({ "record": record.to_string(), "fields": fields })).unwrap();
        }
        document.end().unwrap().0
    }

    #[test]
    fn every_type_comes_back_as_it_went() {
        let types: Vec<_> = values().iter().map(Value::kind_of).collect();
        assert!(Type::ALL.iter().all(|value_type| types.contains(value_type)), "a type is missing from this test");
        let imported = import::read(&written(&records()), "export.json", None, None).unwrap();
        assert_eq!((imported.format, imported.skipped.len()), (Format::Allod, 0));
        for ((record, fields), back) in records().iter().zip(&imported.records) {
            assert_eq!((&back.record, &back.fields), (record, fields));
        }
        assert_eq!(imported.records.len(), records().len());
    }

    #[test]
    fn the_document_is_the_one_that_is_described() {
        assert_eq!(
            String::from_utf8(written(&records()[1..])).unwrap(),
            concat!(
                r#"{"allod":1,"exported":"2026-11-24T06:00:00Z","records":["#,
                "\n",
                r#"{"record":"stamp/a%20b","fields":{"f0":"#,
                r#"{"type":"text","value":"Paris","version":3,"at":"2026-11-01T10:00:00Z","source":"typed"}}}"#,
                "\n]}\n",
            )
        );
        assert_eq!(serde_json::from_slice::<Json>(&written(&[])).unwrap()[RECORDS], json!([]));
    }
}
