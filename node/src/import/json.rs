//! JSON: an object, an array of objects, one object a line, or our own export.
//!
//! Read as a stream, one object in memory at a time. Objects within objects become dotted names (`venue.location.city`), arrays of
//! single values become lists, anything deeper stays JSON as text. Numbers keep their digits: what neither an integer nor a decimal
//! holds exactly (`1e400`) stays text. `null` is no value.

use allod_protocol::{
    limits::{FIELDS_PER_RECORD_MAX, ITEMS_PER_VALUE_MAX},
    path::{FieldName, ID_FIELD, Kind, RecordPath},
    schema::{Field, Schema},
    value::{Scalar, Type, Value, ValueError},
};
use std::{cell::Cell, io};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Value as Json, error::Category};

use super::{
    Collected, Format, ImportError, Imported, ImportedRecord, JsonFault, Notes, Place, Reason,
    digest::Content,
    limits::JSON_ITEM_MAX_BYTES,
    names::{Ids, Naming, first_day, fitting, plain_name},
    text::decode,
    too_large, too_many_fields,
};
use crate::{
    export::{MARK, RECORDS, VERSION},
    json::{Members, from_json, untyped_scalar},
};

/// How deep objects are taken apart: as deep as they go, unless that makes too many fields.
const DEPTHS: [usize; 3] = [usize::MAX, 2, 1];

/// Reads JSON.
pub(super) fn read(bytes: &[u8], kind: Option<&Kind>) -> Result<Imported, ImportError> {
    let (text, encoding) = decode(bytes);
    let schema = kind.and_then(Schema::of);
    let room = Cell::new(JSON_ITEM_MAX_BYTES);
    let mut reader = Reader {
        kind,
        schema,
        naming: Naming::new(schema),
        ids: Ids::default(),
        collected: Collected::default(),
        items: 0,
        is_export: false,
        stopped: None,
        room: &room,
    };
    let mut documents = serde_json::Deserializer::from_reader(Metered { text: text.as_bytes(), room: &room });
    loop {
        reader.make_room();
        if documents.end().is_ok() {
            break;
        }
        if let Err(broken) = Document(&mut reader).deserialize(&mut documents) {
            let (line, column) = (broken.line(), broken.column());
            return Err(match (reader.stopped, broken.classify()) {
                (Some(stopped), _) => stopped,
                (None, Category::Io) => ImportError::ItemTooLarge { item: reader.items + 1 },
                (None, Category::Eof) => ImportError::Broken { line, column, fault: JsonFault::Cut },
                (None, _) => ImportError::Broken { line, column, fault: JsonFault::of(&broken.to_string()) },
            });
        }
    }
    let format = if reader.is_export { Format::Allod } else { Format::Json };
    Ok(reader.collected.finish(format, Notes { encoding: encoding.name(), ..Notes::default() }))
}

/// Hands the text out as long as there is room, so that one endless object does not fill the memory.
struct Metered<'t> {
    text: &'t [u8],
    room: &'t Cell<usize>,
}

impl io::Read for Metered<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.text.len()).min(self.room.get());
        if count == 0 && !out.is_empty() && !self.text.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let (now, later) = self.text.split_at(count);
        out[..count].copy_from_slice(now);
        self.text = later;
        self.room.set(self.room.get() - count);
        Ok(count)
    }
}

struct Reader<'k> {
    kind: Option<&'k Kind>,
    schema: Option<&'static Schema>,
    naming: Naming<'static>,
    ids: Ids,
    collected: Collected,
    items: u64,
    is_export: bool,
    /// Why reading ended, if the JSON itself is sound.
    stopped: Option<ImportError>,
    /// What may still be read of the present item. Bytes.
    room: &'k Cell<usize>,
}

impl Reader<'_> {
    /// Before each item. A record of our own may hold many large values, so an export is not measured.
    fn make_room(&self) {
        self.room.set(if self.is_export { usize::MAX } else { JSON_ITEM_MAX_BYTES });
    }

    /// Notes a result; `Err` ends the parsing.
    fn go_on<E: serde::de::Error>(&mut self, result: Result<(), ImportError>) -> Result<(), E> {
        result.map_err(|stopped| {
            self.stopped = Some(stopped);
            E::custom("stopped")
        })
    }

    /// One member of the file, which should be an object.
    fn item(&mut self, json: &Json) -> Result<(), ImportError> {
        self.items += 1;
        let place = Place::Item(self.items);
        let Json::Object(members) = json else {
            self.collected.skip(place, Reason::NoObject { noun: noun(json).to_owned() });
            return Ok(());
        };
        let Some(kind) = self.kind else { return Err(ImportError::NeedsKind { format: Format::Json }) };
        let flat = flatten(members);
        if flat.len() > FIELDS_PER_RECORD_MAX {
            self.collected.skip(place, too_many_fields(flat.len()));
            return Ok(());
        }
        let (names, values): (Vec<_>, Vec<_>) = flat.into_iter().unzip();
        let mut fields = Vec::with_capacity(values.len());
        for ((name, field), json) in self.naming.assign(&names).into_iter().zip(values) {
            if let Some(value) = self.collected.checked(value(field, json), &place, name.as_str()) {
                fields.push((name, value));
            }
        }
        if fields.is_empty() {
            self.collected.skip(place, Reason::NoValue {});
            return Ok(());
        }
        let mut content = Content::new();
        content.members(members);
        match self.ids.give(self.schema, &fields, first_day(&fields), content.finish()) {
            Some(id) => {
                let record = RecordPath { kind: kind.clone(), id };
                self.collected.take(ImportedRecord { record, fields }, place)
            }
            None => {
                self.collected.skip(place, Reason::SameItem {});
                Ok(())
            }
        }
    }

    /// One record of our own export.
    fn exported(&mut self, json: &Json) -> Result<(), ImportError> {
        self.items += 1;
        let item = self.items;
        let place = Place::Record(item);
        let path = json["record"].as_str().and_then(|text| text.parse::<RecordPath>().ok());
        let (Some(record), Some(members)) = (path, json["fields"].as_object()) else {
            self.collected.skip(place, Reason::NoRecord {});
            return Ok(());
        };
        if let Some(kind) = self.kind.filter(|kind| **kind != record.kind) {
            let (kind, wanted) = (record.kind.to_string(), kind.to_string());
            self.collected.skip(place, Reason::OtherKind { kind, wanted });
            return Ok(());
        }
        let mut fields = Vec::with_capacity(members.len());
        for (name, member) in members {
            match exported_field(name, member) {
                Ok(field) => fields.push(field),
                Err(why) => self.collected.skip(Place::RecordField { item, field: name.clone() }, why),
            }
        }
        self.collected.take(ImportedRecord { record, fields }, place)
    }

    fn export_begins(&mut self, version: &Json) -> Result<(), ImportError> {
        self.is_export = true;
        if version.as_u64() == Some(VERSION) {
            Ok(())
        } else {
            Err(ImportError::NewerExport { version: version.to_string() })
        }
    }
}

fn exported_field(name: &str, member: &Json) -> Result<(FieldName, Value), Reason> {
    let field = FieldName::parse(name).map_err(|_| Reason::NoName { text: name.to_owned() })?;
    if name == ID_FIELD {
        return Err(Reason::OwnId {});
    }
    let word = member["type"].as_str().unwrap_or_default();
    let value_type = Type::parse(word).ok_or_else(|| Reason::NoType { word: word.to_owned() })?;
    let value = from_json(value_type, &member["value"]).map_err(|refused| match refused {
        ValueError::NotA { expected, text } => Reason::NotOfType { text, expected: expected.to_string() },
        ValueError::TooLarge { .. } => too_large(name),
        ValueError::Shape => Reason::BadShape { most: ITEMS_PER_VALUE_MAX as u64 },
    })?;
    Ok((field, value))
}

/// A word for what this is.
fn noun(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "text",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// The members of an object and of those within it, each under its dotted name.
fn flatten(members: &Members) -> Vec<(String, &Json)> {
    let mut flat = Vec::new();
    for depth in DEPTHS {
        flat.clear();
        flatten_into(&mut flat, "", members, depth);
        if flat.len() <= FIELDS_PER_RECORD_MAX {
            break;
        }
    }
    flat
}

fn flatten_into<'j>(flat: &mut Vec<(String, &'j Json)>, above: &str, members: &'j Members, depth: usize) {
    for (index, (name, json)) in members.iter().enumerate() {
        let plain = plain_name(name, "").unwrap_or_else(|| format!("member_{}", index + 1));
        let path = if above.is_empty() { plain } else { format!("{above}.{plain}") };
        match json {
            Json::Null => {}
            Json::Object(inner) if !inner.is_empty() && depth > 1 => flatten_into(flat, &path, inner, depth - 1),
            _ => flat.push((fitting(path.clone(), &path), json)),
        }
    }
}

/// The value of a member: of the schema's type if it reads as that, else of the type that JSON gives it.
fn value(field: Option<&Field>, json: &Json) -> Value {
    if let Some(field) = field {
        match (field.value_type, json) {
            // A postcode that somebody wrote as a number.
            (Type::Text, Json::Number(number)) => return Value::text(number.to_string()),
            (value_type, json) => {
                if let Ok(value) = from_json(value_type, json) {
                    return value;
                }
            }
        }
    }
    if let Some(scalar) = untyped_scalar(json) {
        return Value::Scalar(scalar);
    }
    if let Json::Array(items) = json
        && items.len() <= ITEMS_PER_VALUE_MAX
        && let Some(scalars) = items.iter().map(untyped_scalar).collect::<Option<Vec<Scalar>>>()
    {
        return Value::List(scalars);
    }
    match json {
        Json::Number(number) => Value::text(number.to_string()),
        deeper => Value::text(deeper.to_string()),
    }
}

/// One JSON document: its members go to the reader as they come.
struct Document<'r, 'k>(&'r mut Reader<'k>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(json) = items.next_element::<Json>()? {
            let result = self.0.item(&json);
            self.0.go_on(result)?;
            self.0.make_room();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let mut members = Members::new();
        while let Some(name) = pairs.next_key::<String>()? {
            if name == RECORDS && self.0.is_export {
                pairs.next_value_seed(Export(self.0))?;
                continue;
            }
            let json = pairs.next_value()?;
            if name == MARK && members.is_empty() {
                let result = self.0.export_begins(&json);
                self.0.go_on(result)?;
                self.0.make_room();
            }
            members.insert(name, json);
        }
        if self.0.is_export {
            return Ok(());
        }
        // With exact numbers on, the parser hands a bare number over as a map of one private name.
        let json = match members.keys().next() {
            Some(name) if members.len() == 1 && name.starts_with("$serde_json::private") => Json::from(0),
            _ => Json::Object(members),
        };
        let result = self.0.item(&json);
        self.0.go_on(result)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let result = self.0.item(&Json::from(text));
        self.0.go_on(result)
    }

    fn visit_bool<E: serde::de::Error>(self, boolean: bool) -> Result<(), E> {
        let result = self.0.item(&Json::from(boolean));
        self.0.go_on(result)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        let result = self.0.item(&Json::from(number));
        self.0.go_on(result)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        let result = self.0.item(&Json::from(number));
        self.0.go_on(result)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        let result = self.0.item(&Json::from(number));
        self.0.go_on(result)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        let result = self.0.item(&Json::Null);
        self.0.go_on(result)
    }
}

/// The records of our own export.
struct Export<'r, 'k>(&'r mut Reader<'k>);

impl<'de> DeserializeSeed<'de> for Export<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Export<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(json) = records.next_element::<Json>()? {
            let result = self.0.exported(&json);
            self.0.go_on(result).map_err(A::Error::custom::<A::Error>)?;
        }
        Ok(())
    }
}
