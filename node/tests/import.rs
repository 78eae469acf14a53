//! The importers over files that are damaged, unclear or hostile: what is kept, and what is said about the rest.

use std::{collections::HashSet, fs, path::PathBuf};

use allod_node::{
    daemon::failure::Failure,
    import::{self, Format, ImportError, Imported, ImportedRecord, JsonFault, LooksLike, Reason},
    messages::{Lang, Messages},
};
use allod_protocol::{
    path::Kind,
    value::{Type, Value},
};
use proptest::prelude::*;

use Type::{Bytes, Decimal, Integer, Text};

fn kind(word: &str) -> Kind {
    Kind::parse(word).unwrap()
}

fn paths(imported: &Imported) -> Vec<String> {
    imported.records.iter().map(|record| record.record.to_string()).collect()
}

fn value<'r>(record: &'r ImportedRecord, field: &str) -> &'r Value {
    let found = record.fields.iter().find(|(name, _)| name.as_str() == field);
    &found.unwrap_or_else(|| panic!("{} has no {field}", record.record)).1
}

#[track_caller]
fn holds(record: &ImportedRecord, expected: &[(&str, Type, &str)]) {
    for (field, value_type, text) in expected {
        let value = value(record, field);
        assert_eq!((value.kind_of(), value.to_string().as_str()), (*value_type, *text), "{field}");
    }
}

fn lacks(record: &ImportedRecord, field: &str) -> bool {
    record.fields.iter().all(|(name, _)| name.as_str() != field)
}

fn skips(imported: &Imported) -> Vec<String> {
    said(imported, Lang::English)
}

fn said(imported: &Imported, lang: Lang) -> Vec<String> {
    let said = imported.skipped.iter().map(|skipped| skipped.said(lang));
    said.map(|(place, why)| format!("{place}: {why}")).collect()
}

fn table(text: &str) -> Imported {
    import::read(text.as_bytes(), "x.csv", None, Some(&kind("transaction"))).unwrap()
}

fn cards(text: &[u8]) -> Imported {
    import::read(text, "x.vcf", None, None).unwrap()
}

#[test]
fn a_record_of_an_export_with_more_fields_than_one_has_is_left_out_and_the_others_come_in() {
    let record = |id: &str, count: usize| {
        let fields = (0..count).map(|number| format!(r#""f{number}": {{"type": "text", "value": "x"}}"#));
        format!(r#"{{"record": "contact/{id}", "fields": {{{}}}}}"#, fields.collect::<Vec<_>>().join(","))
    };
    let most = allod_protocol::limits::FIELDS_PER_RECORD_MAX;
    let records = [record("full", most), record("over", most + 1)].join(",");
    let export = format!(r#"{{"allod": 1, "exported": "2026-11-24T09:10:00Z", "records": [{records}]}}"#);
    let imported = import::read(export.as_bytes(), "x.json", None, None).unwrap();
    assert_eq!(paths(&imported), ["contact/full"]);
    assert!(matches!(imported.skipped[0].reason, Reason::TooManyFields { .. }), "{:?}", imported.skipped);
}

#[test]
fn bad_rows_are_named_by_their_line_and_the_others_come_in() {
    let imported = table(
        "Account of Ana\n\ndate;amount;note\n2026-01-01;1,50;a\n2026-01-02;2\n\n2026-01-03;3;c;extra\n;;\n2026-01-04;4;d;\n",
    );
    assert_eq!(
        skips(&imported),
        [
            "line 1: stands above the line that names the columns",
            "line 5: has 2 cells where the header has 3",
            "line 7: has 4 cells where the header has 3"
        ]
    );
    assert_eq!(imported.records.len(), 2);
}

#[test]
fn a_quotation_mark_that_never_closes_costs_one_row() {
    let imported = table("date,amount,note\n2026-01-01,1.5,\"a\n2026-01-02,2.5,b\n2026-01-03,3.5,\"c\nd\"\n");
    assert_eq!(skips(&imported), ["line 2: a quotation mark that opens here never closes"]);
    let notes: Vec<_> = imported.records.iter().map(|record| value(record, "note").to_string()).collect();
    assert_eq!(notes, ["b", "c\nd"]);
}

#[test]
fn many_such_marks_swallow_rows_but_never_in_silence() {
    let good = "2026-01-02,2.5,b\n".repeat(60);
    let imported = table(&format!("date,amount,note\n{good}{}{good}", "2026-01-01,1.5,\"a\n".repeat(30)));
    let skipped = skips(&imported);
    assert_eq!(skipped[19], "line 81: a quotation mark that opens here never closes");
    assert_eq!(skipped[20], "line 82: a quotation mark that opens here never closes; skipped up to line 83");
    assert_eq!((skipped.len(), imported.records.len()), (25, 120));
}

#[test]
fn equal_rows_are_two_records_and_other_files_give_them_the_same_ids() {
    let row = "03/04/2026;1,50;coffee\n";
    let one = table(&format!("date;amount;note\n{row}{row}"));
    let ids = paths(&one);
    assert_eq!(ids[1], format!("{}-2", ids[0]));
    let longer = table(&format!("\u{feff}\"date\";\"amount\";\"note\"\r\n13/04/2026;2;tea\r\n{row}{row}"));
    assert_eq!(paths(&longer)[1..], ids);
    assert_eq!(value(&one.records[0], "date").kind_of(), Text, "alone it may be March or April");
    assert_eq!(value(&longer.records[1], "date").to_string(), "2026-04-03");
}

#[test]
fn a_table_of_contacts_is_named_like_their_cards() {
    let text = b"First Name,Last Name,E-mail 1 - Value,Shoe Size\nAna,Silva,a@x.y,38\nAna,Silva,b@x.y,39\nAna,Silva,a@x.y,38\n";
    let imported = import::read(text, "google.csv", None, Some(&kind("contact"))).unwrap();
    assert_eq!(paths(&imported), ["contact/ana-silva", "contact/ana-silva-2"]);
    holds(&imported.records[0], &[("email", Text, "a@x.y"), ("shoe_size", Text, "38")]);
    assert_eq!(skips(&imported), ["line 4: is the same as a row above"]);
}

#[test]
fn a_first_line_of_values_is_no_header() {
    let refused = import::read(b"2026-01-01;1,50\n2026-01-02;2,50\n", "x.csv", None, Some(&kind("transaction")));
    assert_eq!(refused, Err(ImportError::NoHeader { line: 1, cell: "2026-01-01".into() }));
}

#[test]
fn cards_that_are_broken_are_named_by_their_line() {
    let imported = cards(b"BEGIN:VCARD\nFN:Ana\nnonsense\nEND:VCARD\nBEGIN:VCARD\nFN:Cut\nBEGIN:VCARD\nFN:Bo\nEND:VCARD\nBEGIN:VCARD\nFN:End");
    assert_eq!(paths(&imported), ["contact/ana", "contact/bo"]);
    assert_eq!(
        skips(&imported),
        [
            "line 3: has no colon, so it is no property",
            "line 5: the card that begins here is cut off: it has no END:VCARD",
            "line 10: the card that begins here is cut off: it has no END:VCARD"
        ]
    );
}

#[test]
fn a_photo_is_kept_unless_it_is_too_large() {
    let card = |bytes: usize| {
        let digits = data_encoding::BASE64.encode(&vec![0xA5; bytes]);
        cards(format!("BEGIN:VCARD\nVERSION:3.0\nFN:Ana\nPHOTO;ENCODING=b;TYPE=JPEG:{digits}\nEND:VCARD\n").as_bytes())
    };
    let (small, large) = (card(200_000), card(300_000));
    holds(
        &small.records[0],
        &[("photo", Bytes, "(200000 bytes)"), ("photo.property", Text, "PHOTO;ENCODING=b;TYPE=JPEG")],
    );
    assert!(lacks(&large.records[0], "photo") && lacks(&large.records[0], "photo.property"));
    assert_eq!(skips(&large), ["line 4: \"PHOTO\" is larger than a value can be (256 KiB, 1,024 items)"]);
}

#[test]
fn encodings_of_whole_files() {
    let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Zoé\r\nEND:VCARD\r\n";
    let utf_16: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [
        text.as_bytes().to_vec(),
        [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        utf_16,
        text.replace("\r\n", "\r").into(),
    ] {
        let imported = cards(&bytes);
        assert_eq!((paths(&imported), imported.skipped), (vec!["contact/zoé".to_owned()], vec![]));
    }
    let latin_1 = cards(b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=ISO-8859-1:M\xFCller;J\xF6rg\r\nEND:VCARD\r\n");
    assert_eq!(paths(&latin_1), ["contact/jörg-müller"]);
}

#[test]
fn properties_that_clash_with_our_names_are_kept_beside_them() {
    let card = b"BEGIN:VCARD\nFN:Ana\nNAME:list\nID:7\nEMAIL:a\nEMAIL_2:x\nEMAIL:b\nPHOTO_URL:u\nPHOTO:http://p\nX-A:1\nX-A_2:2\nX-A:3\nEND:VCARD\n";
    holds(
        &cards(card).records[0],
        &[
            ("name", Text, "Ana"),
            ("vcard-name", Text, "list"),
            ("vcard-id", Text, "7"),
            ("email_2", Text, "b"),
            ("vcard-email_2", Text, "x"),
            ("photo_url", Text, "u"),
            ("photo_url_2", Text, "http://p"),
            ("x-a_2", Text, "2"),
            ("x-a_3", Text, "3"),
        ],
    );
}

#[test]
fn json_keeps_every_digit() {
    let text = br#"{"big":123456789012345678901234567890,"exact":0.1000000000000000055511151231257827,"huge":1e400,"none":null,"mixed":[1,[2]]}
{"big":1}"#;
    let imported = import::read(text, "x.ndjson", None, Some(&kind("stamp"))).unwrap();
    assert_eq!(imported.records.len(), 2, "one object a line");
    holds(
        &imported.records[0],
        &[
            ("big", Integer, "123456789012345678901234567890"),
            ("exact", Decimal, "0.1000000000000000055511151231257827"),
            ("huge", Text, "1e+400"),
            ("mixed", Text, "[1,[2]]"),
        ],
    );
    assert!(lacks(&imported.records[0], "none"));
}

#[test]
fn what_holds_no_record_is_an_error_that_says_why() {
    let refused =
        |bytes: &[u8], name: &str, format| import::read(bytes, name, format, Some(&kind("stamp"))).unwrap_err();
    assert_eq!(
        refused(b"Dear Ana,\nhello.\n", "x.txt", None),
        ImportError::UnknownFormat { looks_like: LooksLike::PlainText }
    );
    assert_eq!(refused(b"%PDF-1.7", "x.vcf", None), ImportError::UnknownFormat { looks_like: LooksLike::Pdf });
    for (bytes, format, looks) in [
        (&b"hello"[..], Format::VCard, LooksLike::NoCards),
        (b"BEGIN:VCARD\nFN:x", Format::VCard, LooksLike::CutCards),
        (b"a;b\n", Format::Csv, LooksLike::NoRows),
        (b"[]", Format::Json, LooksLike::NoObjects),
        (b"[1,2]", Format::Json, LooksLike::NoObjects),
        (b"5", Format::Json, LooksLike::NoObjects),
        (b"", Format::Csv, LooksLike::Empty),
        (br#"{"allod":1,"records":[]}"#, Format::Json, LooksLike::NoRecords),
    ] {
        let ImportError::NothingFound { looks_like, .. } = refused(bytes, "", Some(format)) else {
            panic!("{looks:?}: {bytes:?}")
        };
        assert_eq!(looks_like, looks);
    }
    assert!(matches!(
        refused(b"[{\"a\":1},{\"b\":", "x.json", None),
        ImportError::Broken { line: 1, fault: JsonFault::Cut, .. }
    ));
    assert!(matches!(refused(br#"{"allod":2,"records":[]}"#, "", None), ImportError::NewerExport { .. }));
    let table = import::read(b"a;b\n1;2\n", "x.csv", None, None);
    assert_eq!(table, Err(ImportError::NeedsKind { format: Format::Csv }));
    let json = import::read(b"{\"a\":1}", "x.json", None, None);
    assert_eq!(json, Err(ImportError::NeedsKind { format: Format::Json }));
}

#[test]
fn broken_json_is_told_by_what_is_wrong_where() {
    for (text, at_line, as_told) in [
        ("[{\"a\":1},\n{\"b\":x}]", 2, JsonFault::Value),
        ("[{\"a\":1} {\"b\":2}]", 1, JsonFault::Separator),
        ("[{\"a\":1},]", 1, JsonFault::TrailingComma),
        ("[{a:1}]", 1, JsonFault::Name),
        ("[{\"a\":01}]", 1, JsonFault::Number),
        ("[{\"a\":\"\\q\"}]", 1, JsonFault::Text),
        ("{\"a\":1}}", 1, JsonFault::Value),
        ("{\"allod\":1,\n\"records\":7}", 2, JsonFault::Records),
    ] {
        let refused = import::read(text.as_bytes(), "x.json", Some(Format::Json), Some(&kind("stamp")));
        let Err(ImportError::Broken { line, fault, .. }) = refused else { panic!("{text}: {refused:?}") };
        assert_eq!((line, fault), (at_line, as_told), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let refused = import::read(deep.as_bytes(), "x.json", None, Some(&kind("stamp")));
    assert!(matches!(refused, Err(ImportError::Broken { fault: JsonFault::TooDeep, .. })), "{refused:?}");
}

#[test]
fn what_went_wrong_is_said_in_the_language_of_the_reader() {
    let two_lines = |bytes: &[u8], name: &str| {
        let failure = Failure::from(import::read(bytes, name, None, Some(&kind("transaction"))).unwrap_err());
        assert!(failure.id.starts_with("node-import-"));
        Lang::ALL.map(|lang| Messages::of(lang).two_lines(failure.id, &failure.facts.clone().into()))
    };
    let [english, french] = two_lines(b"Dear Ana,\nhello.\n", "x.txt");
    assert_eq!(english.0, "This is plain text, which cannot be imported.");
    assert_eq!(english.1, "allod import FILE --format vcard|csv|json, if it is one of these");
    assert_eq!(french.0, "Le fichier semble être du texte simple, ce qui ne s’importe pas.");
    assert_eq!(french.1, "allod import FICHIER --format vcard|csv|json, si c’en est un");

    let [english, french] = two_lines(b"date;amount;note\n2026-01-01;1\n", "x.csv");
    let skipped = "line 2: has 2 cells where the header has 3";
    assert_eq!(english.0, format!("No record of this file can be imported; {skipped}."));
    assert_eq!(
        french.0,
        "Aucune fiche de ce fichier ne peut être importée\u{202f}; \
         ligne 2\u{a0}: a 2 cellules là où l’en-tête en a 3."
    );
    let [english, french] = two_lines(b"[]", "x.json");
    assert_eq!(english.0, "No record was found in JSON without an object that holds a value.");
    assert_eq!(french.0, "Aucune fiche n’a été trouvée dans du JSON sans un seul objet qui contienne une valeur.");
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    let read = |text: &str, name: &str| import::read(text.as_bytes(), name, None, Some(&kind("stamp")));
    let endless = format!("{{\"a\":[{}1]}}", "1,".repeat(5 << 20));
    assert_eq!(read(&endless, "x.json"), Err(ImportError::ItemTooLarge { item: 1 }));
    let many = format!("[{{\"a\":1}},{endless}]");
    assert_eq!(read(&many, "x.json"), Err(ImportError::ItemTooLarge { item: 2 }));
    let wide = format!("{}\n{}\n", vec!["a"; 5000].join(","), vec!["b"; 5000].join(","));
    assert_eq!(read(&wide, "x.csv"), Err(ImportError::TooManyColumns { columns: 5000 }));
    let rows = format!("a,b\n{}", "1,2\n".repeat(1_000_001));
    assert_eq!(read(&rows, "x.csv"), Err(ImportError::TooManyRecords));
    let bytes = 256 * 1024 * 1024 + 1;
    assert_eq!(import::read(&vec![b' '; bytes], "", None, None), Err(ImportError::TooLarge { bytes }));

    let lines = "X:1\n".repeat(5000);
    let long = format!("CATEGORIES:{}", "a,".repeat(1 << 20));
    let imported =
        cards(format!("BEGIN:VCARD\nFN:a\n{lines}END:VCARD\nBEGIN:VCARD\nFN:b\n{long}\nEND:VCARD\n").as_bytes());
    assert_eq!(paths(&imported), ["contact/b"]);
    assert_eq!(
        skips(&imported),
        [
            "line 1: the card that begins here has more than 4,096 properties",
            "line 5006: the property has 2,097,163 bytes; 1,048,576 are the most"
        ]
    );
    let short = table(&format!("a,b\n{}{}", "1,2\n".repeat(60), "1\n".repeat(10_003)));
    assert_eq!(short.skipped.len(), 10_001);
    assert_eq!(short.skipped[10_000].reason, Reason::More { count: 3 });
    assert_eq!(skips(&short)[10_000], "further on: 3 more were left out for reasons like these");
}

#[test]
fn a_damaged_export_gives_what_can_be_read() {
    let text = br#"{"allod":1,"records":[
        {"record":"contact/me","fields":{"city":{"type":"text","value":"Paris"},"age":{"type":"number","value":1},"Bad":{"type":"text","value":"x"},"id":{"type":"text","value":"x"}}},
        {"record":"nonsense","fields":{}}, 7]}"#;
    let imported = import::read(text, "x.json", None, None).unwrap();
    assert_eq!((imported.format, paths(&imported)), (Format::Allod, vec!["contact/me".to_owned()]));
    assert_eq!(imported.records[0].fields.len(), 1);
    assert_eq!(
        skips(&imported),
        [
            "record 1, age: \"number\" is no type",
            "record 1, Bad: \"Bad\" is not a name: a to z, then a to z, 0 to 9, _ . -, 64 at most",
            "record 1, id: the field \"id\" is the record's own",
            "record 2: has no \"record\" of the form kind/id, or no \"fields\"",
            "record 3: has no \"record\" of the form kind/id, or no \"fields\""
        ]
    );
    assert_eq!(said(&imported, Lang::French)[0], "fiche 1, age: «\u{a0}number\u{a0}» n’est pas un type");
}

#[test]
fn of_an_export_only_the_kind_that_is_asked_for_comes_in() {
    let text = br#"{"allod":1,"records":[
        {"record":"contact/me","fields":{"city":{"type":"text","value":"Paris"}}},
        {"record":"transaction/7","fields":{"amount":{"type":"text","value":"42"}}}]}"#;
    let imported = import::read(text, "x.json", None, Some(&kind("contact"))).unwrap();
    assert_eq!(paths(&imported), ["contact/me"]);
    assert_eq!(skips(&imported), ["record 2: is of the kind transaction, and only contact was asked for"]);
}

#[test]
fn the_export_that_is_described_can_be_read() {
    let page = include_str!("../../docs/EXPORT.md");
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let imported = import::read(example.as_bytes(), "", None, None).unwrap();
    assert_eq!((imported.format, skips(&imported)), (Format::Allod, vec![]));
    holds(&imported.records[0], &[("city", Text, "Paris")]);
}

fn samples() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/samples");
    let files = ["vcard", "csv", "json"].into_iter().flat_map(|format| fs::read_dir(folder.join(format)).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Whatever the bytes: no panic, the same answer twice, and records that a store takes.
fn sound(bytes: &[u8], format: Option<Format>) -> Result<(), TestCaseError> {
    let contact = kind("contact");
    let imported = import::read(bytes, "", format, Some(&contact));
    prop_assert_eq!(&imported, &import::read(bytes, "", format, Some(&contact)));
    let Ok(imported) = imported else { return Ok(()) };
    prop_assert!(!imported.records.is_empty());
    let mut seen = HashSet::new();
    for record in &imported.records {
        prop_assert!(imported.format == Format::Allod || seen.insert(record.record.clone()), "{} twice", record.record);
        let names: HashSet<_> = record.fields.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names.len(), record.fields.len(), "a field twice");
        prop_assert!(!names.contains("id"));
        for (_, value) in &record.fields {
            prop_assert!(value.clone().checked().is_ok());
        }
    }
    Ok(())
}

fn formats() -> impl Strategy<Value = Option<Format>> {
    proptest::option::of(proptest::sample::select(Format::ALL.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..400), format in formats()) {
        sound(&bytes, format)?;
    }

    #[test]
    fn arbitrary_text_of_each_shape_never_makes_it_stumble(
        cells in "([a-z0-9\",;\t|.\r\n é-]{0,12}[,;\n]){0,30}",
        card in "([A-Z]{1,4}[.;:=,]{1,2}[a-z0-9=\\\\\",;:\r\n é]{0,16}\n){0,20}",
        json in "[{}\\[\\]\":,0-9a-e.+-]{0,60}",
    ) {
        sound(cells.as_bytes(), Some(Format::Csv))?;
        sound(format!("BEGIN:VCARD\nVERSION:2.1\n{card}\nEND:VCARD\n").as_bytes(), None)?;
        sound(format!("BEGIN:VCARD\nVERSION:4.0\n{card}\nEND:VCARD\n").as_bytes(), None)?;
        sound(json.as_bytes(), Some(Format::Json))?;
    }

    #[test]
    fn damaged_samples_never_make_it_stumble(
        which in 0..15usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..8),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (at, byte, how) in damage {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                2 => bytes.truncate(at.max(20)),
                _ => {
                    bytes.drain(at.saturating_sub(usize::from(byte)).max(10).min(at)..at);
                }
            }
        }
        sound(&bytes, None)?;
    }
}
