//! The importers over files that nobody in this project wrote: `tests/samples`, with their licences.

use std::{fs, path::PathBuf};

use allod_node::import::{self, Format, Imported, ImportedRecord};
use allod_protocol::{
    path::Kind,
    value::{Type, Value},
};

fn sample(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/samples").join(name);
    fs::read(&path).unwrap_or_else(|missing| panic!("{}: {missing}", path.display()))
}

fn kind(word: &str) -> Kind {
    Kind::parse(word).unwrap()
}

/// Reads a sample without being told its format.
fn read(name: &str, word: &str) -> Imported {
    import::read(&sample(name), name, None, Some(&kind(word))).unwrap()
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

use Type::{Boolean, Bytes, Date, Decimal, Instant, Integer, List, Text};

const SAMPLES: [(&str, &str); 15] = [
    ("vcard/v21-outlook-2003.vcf", "contact"),
    ("vcard/v30-gmail.vcf", "contact"),
    ("vcard/v30-whatsapp.vcf", "contact"),
    ("vcard/v40-all.vcf", "contact"),
    ("vcard/v40-fullcontact.vcf", "contact"),
    ("vcard/v40-ical4j.vcf", "contact"),
    ("csv/bunq-quoted.csv", "transaction"),
    ("csv/german-semicolon.csv", "transaction"),
    ("csv/latin1-semicolon.csv", "transaction"),
    ("csv/monzo-comma.csv", "transaction"),
    ("csv/semicolon-masked.csv", "transaction"),
    ("csv/utf8-japanese.csv", "measurement"),
    ("json/github-releases.json", "document"),
    ("json/jscontact-card.json", "contact"),
    ("json/swarm-checkin.json", "checkin"),
];

#[test]
fn nothing_of_a_sample_is_skipped_and_a_second_reading_is_the_same() {
    let counts: Vec<_> = SAMPLES
        .iter()
        .map(|(name, word)| {
            let imported = read(name, word);
            assert_eq!(imported.skipped, [], "{name}");
            assert_eq!(imported, read(name, word), "{name}");
            imported.records.len()
        })
        .collect();
    assert_eq!(counts, [1, 1, 1, 2, 1, 1, 7, 1, 1, 1, 1, 3, 5, 1, 1]);
    let files = ["vcard", "csv", "json"].map(|folder| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/samples").join(folder);
        fs::read_dir(folder).unwrap().count()
    });
    assert_eq!(files.iter().sum::<usize>(), SAMPLES.len(), "a sample without a test");
}

#[test]
fn outlook_2003_writes_version_2_1() {
    let imported = read("vcard/v21-outlook-2003.vcf", "contact");
    assert_eq!((imported.format, imported.notes.encoding), (Format::VCard, "UTF-8"));
    assert_eq!(paths(&imported), ["contact/john-doe-iii"]);
    holds(
        &imported.records[0],
        &[
            ("name", Text, "John Doe III"),
            ("organisation", Text, "Company, The"),
            ("department", Text, "TheDepartment"),
            ("note", Text, "This is the note field!!\nSecond line\n\nThird line is empty\n"),
            ("phone_4", Text, "BusinessFaxPhone"),
            ("phone_4.property", Text, "TEL;WORK;FAX"),
            ("city", Text, "Austin"),
            ("label", Text, "TheOffice\n123 Main St\nAustin, TX 12345\nUnited States of America"),
            ("birthday", Date, "1980-03-21"),
            ("key", Bytes, "(805 bytes)"),
            ("key.property", Text, "KEY;X509;ENCODING=BASE64"),
            ("email", Text, "jdoe@hotmail.com"),
            ("revised", Instant, "2012-10-12T21:05:25Z"),
        ],
    );
}

#[test]
fn gmail_groups_its_own_properties() {
    let imported = read("vcard/v30-gmail.vcf", "contact");
    assert_eq!(paths(&imported), ["contact/vcard-test"]);
    let card = &imported.records[0];
    holds(
        card,
        &[
            ("email_5", Text, "customcategory@example.com"),
            ("email_5.property", Text, "item1.EMAIL;TYPE=INTERNET"),
            ("x-ablabel", Text, "CustomEmailCategory"),
            ("x-ablabel.property", Text, "item1.X-ABLabel"),
            ("x-abrelatednames_16", Text, "Name16"),
            ("x-phonetic-first-name", Text, "ThePhoneticFirstName"),
            ("phone_11", Text, "5555551121"),
            ("street_5", Text, "115 Main St"),
            ("birthday", Date, "1912-06-23"),
            ("url", Text, "http://www.example1.com"),
            ("note", Text, "note line 1\nnote line 2\nCustomField: field value"),
        ],
    );
    assert!(lacks(card, "phone.property"), "a bare TEL says nothing more");
}

#[test]
fn whatsapp_and_thunderbird_and_ical4j() {
    let whatsapp = read("vcard/v30-whatsapp.vcf", "contact");
    assert_eq!(paths(&whatsapp), ["contact/zzmad-perla-45"]);
    holds(&whatsapp.records[0], &[("phone_2.property", Text, "TEL;TYPE=WhatsApp"), ("note", Text, "PERLA\nmadrid")]);

    let thunderbird = read("vcard/v40-all.vcf", "contact");
    assert_eq!(paths(&thunderbird), ["contact/möhrke-gerda", "contact/dr-max-horst-mustermann-jr-maxl-sed"]);
    holds(
        &thunderbird.records[1],
        &[
            ("uid", Text, "44a91276-ed88-4fc8-b496-ee14854276f8"),
            ("birthday_text", Text, "19723101"),
            ("role", Text, "Generalsekretär"),
            ("street_2", Text, "Geschäftsadresse 32"),
            ("x-ablabel", Text, "Hochzeitstag"),
        ],
    );
    assert!(lacks(&thunderbird.records[1], "birthday"), "there is no 31st month");

    let ical4j = read("vcard/v40-ical4j.vcf", "contact");
    assert_eq!(paths(&ical4j), ["contact/simon-perreault"]);
    holds(
        &ical4j.records[0],
        &[
            ("name_suffix", Text, "ing. jr., M.Sc."),
            ("street", Text, "2600 boul. Laurier, suite 625"),
            ("postcode", Text, "G1V 4W1"),
            ("phone", Text, "+1-418-656-9254;ext=102"),
            ("phone.property", Text, "WORK.TEL;TYPE=voice;PREF=1"),
            ("geo", Text, "46.772673,-71.282945"),
            ("key", Text, "http://www.viagenie.ca/simon.perreault/simon.asc"),
        ],
    );
}

#[test]
fn fullcontact_has_properties_of_its_own() {
    let imported = read("vcard/v40-fullcontact.vcf", "contact");
    assert_eq!(paths(&imported), ["contact/prefix-firstname-middlename-lastname-suffix"]);
    let card = &imported.records[0];
    holds(
        card,
        &[
            ("given_name", Text, "FirstName"),
            ("email", Text, "home@example.com"),
            ("email_5.property", Text, "EMAIL;TYPE=customtype"),
            ("city_4", Text, "CustomCity"),
            ("organisation_2", Text, "Organization2"),
            ("department_2", Text, "Department2"),
            ("birthday", Date, "2016-08-01"),
            ("birthday_2.property", Text, "BDAY;ALTID=1;VALUE=text"),
            ("x-gender", Text, "male"),
            ("impp_7", Text, "customtype:custom"),
            ("categories", List, "Tag"),
            ("prodid", Text, "ez-vcard 0.9.14-fc"),
        ],
    );
    assert!(
        value(card, "photo_url_3").to_string().ends_with("7b95e8377238")
            || value(card, "photo_url_3").to_string().ends_with("7f5f7a95e8377238")
    );
    let assistant = "X-FCENCODED-582D46432D52656C617465644E616D65733A417373697374616E74";
    let named = card.fields.iter().find(|(_, value)| value.to_string() == assistant).expect("the long name is kept");
    let base = named.0.as_str().strip_suffix(".property").unwrap();
    holds(card, &[(base, Text, "Assistant")]);
    assert_eq!(card.fields.iter().filter(|(name, _)| name.as_str().starts_with("x-fcencoded-")).count(), 34);
}

#[test]
fn bank_tables_become_transactions() {
    let bunq = read("csv/bunq-quoted.csv", "transaction");
    assert_eq!((bunq.format, bunq.notes.separator, bunq.notes.encoding), (Format::Csv, Some(','), "UTF-8"));
    assert_eq!(paths(&bunq)[..2], ["transaction/2018-12-06-eef51c918cf2", "transaction/2018-12-07-9d1560de6264"]);
    holds(
        &bunq.records[0],
        &[("date", Date, "2018-12-06"), ("amount", Decimal, "-8.78"), ("name", Text, "CLOUDFLARE")],
    );

    let german = read("csv/german-semicolon.csv", "transaction");
    assert_eq!(paths(&german), ["transaction/2018-02-22-5cec55faa040"]);
    assert_eq!(german.notes.columns[8].0, "Betrag");
    holds(
        &german.records[0],
        &[
            ("amount", Decimal, "-36.99"),
            ("date", Date, "2018-02-22"),
            ("counterparty", Text, "Vodafone Kabel DeutschlandGmbH"),
            ("info", Text, "Umsatz gebucht"),
        ],
    );

    let czech = read("csv/latin1-semicolon.csv", "transaction");
    assert_eq!((czech.notes.separator, czech.notes.encoding), (Some(';'), "windows-1250"));
    assert_eq!(paths(&czech), ["transaction/2018-05-27-345baed3be21"]);
    assert_eq!(czech.notes.columns[7].0, "Typ transakce");
    holds(
        &czech.records[0],
        &[
            ("booking_text", Text, "Jednorázová platba"),
            ("amount", Decimal, "-1"),
            ("nazev_uctu", Text, "Name Surname"),
            ("id_transakce", Text, "3228446118"),
        ],
    );

    let monzo = read("csv/monzo-comma.csv", "transaction");
    assert_eq!(paths(&monzo), ["transaction/2018-02-25-08d910b00edb"]);
    holds(
        &monzo.records[0],
        &[
            ("source_id", Text, "tx_00009TziTeST1NG1ZWIPGS"),
            ("at", Instant, "2018-02-25T12:34:56Z"),
            ("amount", Decimal, "-10"),
        ],
    );

    let masked = read("csv/semicolon-masked.csv", "transaction");
    assert_eq!(paths(&masked), ["transaction/1111-11-11-6b9f3e4474e7"]);
    holds(&masked.records[0], &[("amount", Decimal, "-111.11"), ("variable_symbol_1", Text, "11111111")]);
}

#[test]
fn a_table_of_a_kind_without_a_schema_stays_text() {
    let imported = read("csv/utf8-japanese.csv", "measurement");
    assert_eq!(paths(&imported)[0], "measurement/2017-01-01-0ab0e7a82477");
    let row = &imported.records[2];
    holds(
        row,
        &[
            ("source_id", Text, "00000000000003"),
            ("date", Text, "2017-01-01"),
            ("val1", Text, "きちんと節分近くには咲いてる。自然の力ってすごいな～"),
            ("val15", Text, "v15"),
        ],
    );
}

#[test]
fn json_is_flattened_and_keeps_what_is_deeper() {
    let releases = read("json/github-releases.json", "document");
    assert_eq!(releases.format, Format::Json);
    assert_eq!(paths(&releases)[0], "document/2019-10-13-a83bff0c6088");
    holds(
        &releases.records[0],
        &[
            ("source_id", Integer, "20663605"),
            ("author.login", Text, "simonw"),
            ("draft", Boolean, "false"),
            ("created_at", Instant, "2019-10-13T05:28:24Z"),
            ("assets", List, ""),
        ],
    );

    let card = read("json/jscontact-card.json", "contact");
    assert_eq!(paths(&card), ["contact/john-q-public-esq"]);
    holds(
        &card.records[0],
        &[
            ("name", Text, "John Q. Public, Esq."),
            ("localizations.yue.name_components_2_phonetic", Text, "man4"),
            ("speak_to_as.pronouns.k2.pref", Integer, "1"),
        ],
    );

    let checkin = read("json/swarm-checkin.json", "checkin");
    assert_eq!(paths(&checkin), ["checkin/39bc62a727e8"]);
    holds(
        &checkin.records[0],
        &[
            ("venue.location.lat", Decimal, "38.456"),
            ("venue.location.formatted_address", List, "Address (at cross street), City, State, Zip, Country"),
            ("entities", Text, r#"[{"indices":[31,38],"type":"user","id":"900"}]"#),
            ("sticker.image.sizes", List, "60, 94, 150, 300"),
        ],
    );
}

#[test]
fn ids_are_never_made_from_what_somebody_assigned() {
    let assigned = ["9e49143d", "44a91276", "NL26BUNQ", "1000594757", "3228446118", "tx_00009", "20663605", "592b2cfe"];
    for (name, word) in SAMPLES {
        for path in paths(&read(name, word)) {
            assert!(assigned.iter().all(|id| !path.to_lowercase().contains(&id.to_lowercase())), "{path}");
        }
    }
}
