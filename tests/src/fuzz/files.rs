//! What people bring: files to import, and JSON on the control socket.

use allod_node::{
    daemon::failure::Failure,
    import::{self, Format},
    json,
    messages::{Lang, Messages},
};
use allod_protocol::{
    codec::Coded,
    path::Kind,
    value::{Type, Value},
};

/// Reads it twice: the same bytes give the same records, each within the limits of records.
fn imported(bytes: &[u8], format: Option<Format>, name: &str, kind: &str) {
    let kind = Kind::parse(kind).expect("a kind");
    let once = import::read(bytes, name, format, Some(&kind));
    assert_eq!(once, import::read(bytes, name, format, Some(&kind)), "an import depends on more than the file");
    match once {
        Ok(read) => {
            for record in &read.records {
                assert!(!record.fields.is_empty());
                for (_, value) in &record.fields {
                    assert_eq!(Value::decode(&value.encode()).as_ref(), Ok(value));
                }
            }
        }
        Err(error) => {
            let failure = Failure::from(error);
            for lang in Lang::ALL {
                let (what, attempt) = Messages::of(lang).two_lines(failure.id, &failure.facts.clone().into());
                assert!(what.ends_with('.') && what.len() > failure.id.len() && !attempt.is_empty(), "{lang:?} {what}");
            }
        }
    }
}

/// Contacts.
pub fn vcard(bytes: &[u8]) {
    imported(bytes, Some(Format::VCard), "all.vcf", "contact");
}

/// Tables.
pub fn csv(bytes: &[u8]) {
    imported(bytes, Some(Format::Csv), "bank.csv", "transaction");
}

/// Objects, our own export, and whatever the format turns out to be.
pub fn json(bytes: &[u8]) {
    imported(bytes, Some(Format::Json), "things.json", "document");
    imported(bytes, None, "something", "consumption");
}

/// Values in the JSON of the control socket.
pub fn control(bytes: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<serde_json::Value>(bytes) {
        for expected in Type::ALL {
            if let Ok(value) = json::from_json(expected, &read) {
                assert_eq!(Value::decode(&value.encode()).as_ref(), Ok(&value));
                let shown = json::to_typed(&value);
                assert_eq!(json::from_json(expected, &shown).as_ref(), Ok(&value), "{expected:?}");
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        for expected in Type::ALL {
            let _ = json::parse_input(expected, text);
        }
    }
}
