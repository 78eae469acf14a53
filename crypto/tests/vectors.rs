//! Holds the code to the published vectors in `vectors/`, which another implementation can be held to as well.
//!
//! Each test makes its vectors afresh from fixed dice and compares them with the file; with `ALLOD_WRITE_VECTORS=1` it writes
//! the file instead. A difference means that what was sealed yesterday does not open today: change a layout's version, never
//! a vector.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use allod_crypto::backup::BACKUP_HEADER_BYTES;
use allod_crypto::pairing::{BundleSecrets, DialAddress, Host, Inviter, Paired, Scanner, Transport};
use allod_crypto::{
    Aad, BackupHeader, BackupSealer, ChainValue, Domain, Invitation, InvitationError, KeySchedule, Padding, PartPlace,
    Phrase, Protection, RelationshipSecret, SecretKey, Vault, VaultError, open, seal, sha256,
};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use rand_core::{TryCryptoRng, TryRng, utils};
use serde_json::{Value, json};

/// Dice that hand out given bytes and end, or go on with SHA256(seed ‖ n).
struct Dice {
    bytes: Vec<u8>,
    seed: u8,
    block: u64,
}

impl Dice {
    fn given(bytes: &[u8]) -> Dice {
        Dice { bytes: bytes.to_vec(), seed: 0, block: 0 }
    }

    fn seeded(seed: u8) -> Dice {
        Dice { bytes: Vec::new(), seed, block: 0 }
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        while self.bytes.len() < dst.len() {
            assert_ne!(self.seed, 0, "given dice are used up");
            self.bytes.extend_from_slice(&sha256(&[&[self.seed], &self.block.to_le_bytes()]));
            self.block += 1;
        }
        dst.copy_from_slice(&self.bytes[..dst.len()]);
        self.bytes.drain(..dst.len());
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

#[test]
fn sealing_keeps_to_its_vectors() {
    let place = Aad::new(b"cell").id(&[0x11; 16]).u64(7).bytes(b"contact/me/city").finish();
    let text = "Zürich".as_bytes();
    let cases = [
        ("empty", Domain::Cell, place.clone(), Vec::new(), Padding::Padme),
        ("short text", Domain::Cell, place.clone(), text.to_vec(), Padding::Padme),
        ("no aad", Domain::Row, Vec::new(), text.to_vec(), Padding::Padme),
        ("key wrap", Domain::BucketKeys, place.clone(), vec![0x77; 32], Padding::None),
        ("empty without padding", Domain::Row, place.clone(), Vec::new(), Padding::None),
        ("fills the least size", Domain::Row, place.clone(), pattern(252), Padding::Padme),
        ("one byte over the least size", Domain::Row, place.clone(), pattern(253), Padding::Padme),
        ("largest body of one piece", Domain::EntryBody, place.clone(), pattern(65_536), Padding::None),
        ("smallest body in chunks", Domain::EntryBody, place.clone(), pattern(65_537), Padding::None),
        ("three chunks, padded", Domain::EntryPayload, place.clone(), pattern(150_000), Padding::Padme),
    ];
    let mut vectors = Vec::new();
    for (number, (name, domain, aad, plaintext, padding)) in (1_u8..).zip(&cases) {
        let (key, dice) = (sha256(&[b"vector key", &[number]]), sha256(&[b"vector dice", &[number]]));
        let sealed = seal(&SecretKey::from_bytes(key), *domain, aad, plaintext, *padding, &mut Dice::given(&dice));
        let opened = open(&SecretKey::from_bytes(key), *domain, aad, &sealed, *padding).unwrap();
        assert_eq!(*opened, *plaintext, "{name}");
        let mut vector = json!({
            "name": name, "key": hex(&key), "domain": domain.as_str(), "aad": hex(aad), "padding": named(*padding),
            "dice": hex(&dice), "plaintext_length": plaintext.len(),
        });
        let fields = vector.as_object_mut().unwrap();
        if plaintext.len() <= 300 {
            fields.insert("plaintext".into(), hex(plaintext).into());
            fields.insert("sealed".into(), hex(&sealed).into());
        } else {
            fields.insert("sealed_length".into(), sealed.len().into());
            fields.insert("sealed_sha256".into(), hex(&sha256(&[&sealed])).into());
        }
        vectors.push(vector);
    }

    let key = sha256(&[b"vector key", &[2]]);
    let good = seal(
        &SecretKey::from_bytes(key),
        Domain::Cell,
        &place,
        text,
        Padding::Padme,
        &mut Dice::given(&sha256(&[b"vector dice", &[2]])),
    );
    let mut refused = Vec::new();
    let mut refuse = |name: &str, key: [u8; 32], domain: Domain, aad: &[u8], sealed: &[u8]| {
        let outcome = open(&SecretKey::from_bytes(key), domain, aad, sealed, Padding::Padme);
        assert!(outcome.is_err(), "{name}");
        refused.push(json!({
            "name": name, "key": hex(&key), "domain": domain.as_str(), "aad": hex(aad), "padding": "padme",
            "sealed": hex(sealed), "refusal": "OpenError",
        }));
    };
    let places = [
        ("version", 0),
        ("suite, low byte", 1),
        ("suite, high byte", 2),
        ("nonce", 3),
        ("last of nonce", 26),
        ("commitment", 27),
        ("last of commitment", 58),
        ("ciphertext", 59),
        ("last of ciphertext", 59 + 255),
        ("tag", 59 + 256),
        ("last of tag", 59 + 271),
    ];
    for (name, byte) in places {
        let mut broken = good.clone();
        broken[byte] ^= 1;
        refuse(&format!("changed: {name}"), key, Domain::Cell, &place, &broken);
    }
    let mut chunked = good.clone();
    chunked[1] = 3;
    refuse("suite of chunks for a body of one piece", key, Domain::Cell, &place, &chunked);
    for length in [0, 1, 58, 59, 74, good.len() - 1] {
        refuse(&format!("cut to {length}"), key, Domain::Cell, &place, &good[..length]);
    }
    refuse("a byte more", key, Domain::Cell, &place, &[good.as_slice(), &[0]].concat());
    refuse("another key", sha256(&[b"vector key", &[3]]), Domain::Cell, &place, &good);
    refuse("another domain", key, Domain::Row, &place, &good);
    let elsewhere = Aad::new(b"cell").id(&[0x11; 16]).u64(7).bytes(b"contact/me/town").finish();
    refuse("another place", key, Domain::Cell, &elsewhere, &good);
    let older = Aad::new(b"cell").id(&[0x11; 16]).u64(6).bytes(b"contact/me/city").finish();
    refuse("another version", key, Domain::Cell, &older, &good);
    // Sealed as it stands, so that key, commitment and tag are right and only the padding is wrong.
    let padded = |length: u32, body: usize, mark: Option<usize>| {
        let mut plaintext = vec![0; body];
        plaintext[..4].copy_from_slice(&length.to_le_bytes());
        mark.into_iter().for_each(|place| plaintext[place] = 1);
        seal(&SecretKey::from_bytes(key), Domain::Cell, &place, &plaintext, Padding::None, &mut Dice::given(&[9; 32]))
    };
    refuse("length beyond the body", key, Domain::Cell, &place, &padded(253, 256, None));
    refuse("body below the least size", key, Domain::Cell, &place, &padded(3, 255, None));
    refuse("body larger than its length asks for", key, Domain::Cell, &place, &padded(3, 272, None));
    refuse("a byte in the padding", key, Domain::Cell, &place, &padded(3, 256, Some(255)));

    check(
        "seal.json",
        json!({
            "about": "Sealing. `dice` are the 32 bytes drawn for the nonce. A plaintext that is not written out has byte i = i mod 251.",
            "vectors": vectors,
            "refused": refused,
        }),
    );
}

#[test]
fn invitations_keep_to_their_vectors() {
    let ip4 = DialAddress { host: Host::Ip4(Ipv4Addr::new(192, 0, 2, 7)), transport: Transport::Quic, port: 4001 };
    let ip6 = DialAddress {
        host: Host::Ip6("2001:db8::1".parse::<Ipv6Addr>().unwrap()),
        transport: Transport::Tcp,
        port: 65_535,
    };
    let dns = DialAddress { host: Host::Dns("node.example.org".into()), transport: Transport::Tcp, port: 443 };
    let made = |addresses: Vec<DialAddress>| {
        let secret = sha256(&[b"vector secret"]);
        Invitation::new(sha256(&[b"vector bundle"]), addresses, 1_795_000_000, &mut Dice::given(&secret)).unwrap()
    };
    let mut vectors = Vec::new();
    for (name, addresses) in
        [("no address", vec![]), ("IPv4", vec![ip4.clone()]), ("IPv6 and a name", vec![ip6, dns.clone()])]
    {
        let shown: Vec<Value> = addresses.iter().map(shown).collect();
        let invitation = made(addresses);
        let read = Invitation::parse(&invitation.to_text()).unwrap();
        assert_eq!(read.hash(), invitation.hash());
        vectors.push(json!({
            "name": name, "secret": hex(&sha256(&[b"vector secret"])), "bundle_hash": hex(invitation.bundle_hash()),
            "addresses": shown, "expires_unix_s": invitation.expires_unix_s(), "raw": hex(&invitation.to_bytes()),
            "text": *invitation.to_text(), "hash": hex(&invitation.hash()),
            "psk": hex(SecretKey::from_bytes(sha256(&[b"vector secret"])).derive(b"allod/pair/psk/1").expose()),
        }));
    }

    let raw = made(vec![ip4.clone()]).to_bytes().to_vec();
    let text = |raw: &[u8]| format!("ALLOD:{}", BASE32_NOPAD.encode(raw));
    let good = text(&raw);
    let changed = |place: usize, value: u8| {
        let mut raw = raw.clone();
        raw[place] = value;
        raw
    };
    let summed = |mut raw: Vec<u8>| {
        let end = raw.len() - 4;
        let sum = sha256(&[&raw[..end]]);
        raw[end..].copy_from_slice(&sum[..4]);
        raw
    };
    let count = 73;
    let cases = vec![
        ("nothing", String::new(), "NotAnInvitation"),
        ("a web address", "https://example.org".into(), "NotAnInvitation"),
        ("no prefix", good["ALLOD:".len()..].to_owned(), "NotAnInvitation"),
        ("prefix only", "ALLOD:".into(), "CutShort"),
        ("a character short", good[..good.len() - 1].to_owned(), "CutShort"),
        ("half", good[..good.len() / 2].to_owned(), "CutShort"),
        ("a character more", format!("{good}A"), "Damaged"),
        ("a byte more", text(&[raw.as_slice(), &[0]].concat()), "Damaged"),
        ("a character not of Base32", format!("{}1{}", &good[..20], &good[21..]), "Damaged"),
        ("padding", format!("{good}="), "Damaged"),
        ("secret changed", text(&changed(1, raw[1] ^ 1)), "Damaged"),
        ("sum changed", text(&changed(raw.len() - 1, raw[raw.len() - 1] ^ 1)), "Damaged"),
        ("version 0", text(&summed(changed(0, 0))), "Damaged"),
        ("version 2", text(&summed(changed(0, 2))), "Newer"),
        ("version 2 with the sum of version 1", text(&changed(0, 2)), "Damaged"),
        ("three addresses", text(&summed(changed(count, 3))), "Damaged"),
        ("an address of no kind", text(&summed(changed(count + 1, 5))), "Damaged"),
        ("a transport of no kind", text(&summed(changed(count + 6, 3))), "Damaged"),
        ("port 0", text(&summed([&raw[..count + 7], &[0; 6]].concat())), "Damaged"),
        ("more than 1,024 characters", format!("{good}{}", "A".repeat(1024)), "TooLong"),
    ];
    let mut refused = Vec::new();
    for (name, text, refusal) in cases {
        let outcome = match Invitation::parse(&text).map(|_| ()) {
            Err(InvitationError::NotAnInvitation { .. }) => "NotAnInvitation",
            Err(InvitationError::CutShort) => "CutShort",
            Err(InvitationError::Damaged) => "Damaged",
            Err(InvitationError::Newer { version: 2 }) => "Newer",
            Err(InvitationError::TooLong) => "TooLong",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(outcome, refusal, "{name}");
        refused.push(json!({ "name": name, "text": text, "refusal": refusal }));
    }
    check(
        "invitation.json",
        json!({
            "about": "Invitations, as raw bytes and as text. `hash` is SHA-256 of the raw bytes.",
            "vectors": vectors,
            "refused": refused,
        }),
    );
}

#[test]
fn chains_and_schedules_keep_to_their_vectors() {
    let mut steps = Vec::new();
    let log_id = [0x22; 16];
    let mut chain = ChainValue::from_bytes(sha256(&[b"vector chain"]));
    for sequence in 1..=3 {
        let before = *chain.to_bytes();
        let (next, body, payload) = chain.step(&log_id, sequence);
        steps.push(json!({
            "chain": hex(&before), "log_id": hex(&log_id), "sequence": sequence, "next": hex(&*next.to_bytes()),
            "body_key": hex(body.expose()), "payload_key": hex(payload.expose()),
        }));
        chain = next;
    }
    let mut differs = Vec::new();
    for (name, log_id, sequence) in [("another log", [0x23; 16], 1), ("another sequence", [0x22; 16], 1 << 32)] {
        let start = sha256(&[b"vector chain"]);
        let (next, body, payload) = ChainValue::from_bytes(start).step(&log_id, sequence);
        assert_ne!(hex(body.expose()), steps[0]["body_key"]);
        differs.push(json!({
            "name": name, "chain": hex(&start), "log_id": hex(&log_id), "sequence": sequence,
            "next": hex(&*next.to_bytes()), "body_key": hex(body.expose()), "payload_key": hex(payload.expose()),
        }));
    }

    let key = |name: &[u8]| SecretKey::from_bytes(sha256(&[b"vector ", name]));
    let (rekey, for_inviter, for_scanner) = (key(b"rekey"), key(b"for inviter"), key(b"for scanner"));
    let mut rekeyed = json!({
        "rekey_key": hex(rekey.expose()), "for_inviter": hex(for_inviter.expose()),
        "for_scanner": hex(for_scanner.expose()), "context": hex(b"all that both sides said"),
    });
    let keys = RelationshipSecret::next(&rekey, for_inviter, for_scanner, b"all that both sides said").schedule();
    rekeyed.as_object_mut().unwrap().insert("schedule".into(), schedule(&keys));

    let psk = key(b"restore psk");
    let chain = |name: &[u8]| sha256(&[b"vector ", name]);
    let (inviter, scanner) = (chain(b"chain of the inviter"), chain(b"chain of the scanner"));
    let logs = [[0x24; 16], [0x25; 16]];
    let first = |bytes| ChainValue::from_bytes(bytes);
    let keys = RelationshipSecret::resumed(&psk, &first(inviter), &first(scanner), &logs.concat()).schedule();
    let resumed = json!({
        "restore_psk": hex(psk.expose()), "inviter": { "log_id": hex(&logs[0]), "chain": hex(&inviter) },
        "scanner": { "log_id": hex(&logs[1]), "chain": hex(&scanner) }, "schedule": schedule(&keys),
    });
    check(
        "chain.json",
        json!({
            "about": "Three steps of one log's chain, two that must lead elsewhere, and the keys of a generation after a rekey and after a restore.",
            "steps": steps,
            "differs": differs,
            "rekey": rekeyed,
            "resumed": resumed,
        }),
    );
}

#[test]
fn a_pairing_keeps_to_its_vector() {
    let mut dice = Dice::seeded(1);
    let inviter = BundleSecrets::generate(&mut dice);
    let scanner = BundleSecrets::generate(&mut dice);
    let secret = sha256(&[b"vector secret"]);
    let bundle_hash = inviter.bundle().hash();
    let invitation = Invitation::new(bundle_hash, vec![], 1_795_000_000, &mut Dice::given(&secret)).unwrap();
    let secrets = [hex(&inviter.to_bytes()), hex(&scanner.to_bytes())];
    let bundles = [hex(&inviter.bundle().to_bytes()), hex(&scanner.bundle().to_bytes())];

    let waiting = Inviter::begin(&invitation, inviter, &mut Dice::seeded(2)).unwrap();
    let (scanner, first) = Scanner::start(&invitation, scanner, &mut Dice::seeded(3)).unwrap();
    let (waiting, second) = waiting.on_first(&first).unwrap();
    let (scanner, third) = scanner.on_second(&second, &mut Dice::seeded(4)).unwrap();
    let (waiting, fourth) = waiting.on_third(&third, &mut Dice::seeded(5)).unwrap();
    let (scanner, fifth) = scanner.on_fourth(&fourth, &mut Dice::seeded(6)).unwrap();
    let Paired { rs, sas, transcript, .. } = waiting.on_fifth(&fifth).unwrap();
    assert_eq!(scanner.transcript, transcript);
    let keys = schedule(&rs.schedule());
    assert_eq!(schedule(&scanner.rs.schedule()), keys);
    check(
        "pairing.json",
        json!({
            "about": "One pairing. Secrets are Ed25519 seed, X25519 scalar, X-Wing seed, route id, log id; the inviter's come first.",
            "invitation": *invitation.to_text(),
            "secrets": secrets,
            "bundles": bundles,
            "messages": [hex(&first), hex(&second), hex(&third), hex(&fourth), hex(&fifth)],
            "transcript": hex(&transcript),
            "words": sas.words(),
            "emoji": sas.emoji().map(|emoji| emoji.english),
            "schedule": keys,
        }),
    );
}

#[test]
fn a_vault_of_yesterday_opens_today() {
    let mut dice = Dice::seeded(7);
    let (mut vault, phrase) = Vault::create(Protection::Passphrase("pässwörd".as_bytes()), &mut dice);
    vault.set_store_created();
    vault.begin_rotation(3, &mut dice).unwrap();
    let file = vault.to_bytes(&mut dice);
    let mut newer = file.to_vec();
    newer[8] = 2;
    let end = newer.len() - 32;
    let checksum = sha256(&[&newer[..end]]);
    newer[end..].copy_from_slice(&checksum);
    assert_eq!(Vault::read(&newer).err(), Some(VaultError::Newer { version: 2 }));
    check(
        "vault.json",
        json!({
            "about": "One vault file. Its passphrase is UTF-8; bucket 3 is being rotated.",
            "passphrase": "pässwörd",
            "phrase": phrase.words().join(" "),
            "file": hex(&file),
            "index_key": hex(vault.index_key().expose()),
            "backup_key": hex(vault.backup_key().expose()),
            "bucket_0": hex(vault.bucket(0).key().expose()),
            "bucket_3": { "generation": 1, "key": hex(vault.bucket(3).key().expose()),
                "previous_generation": 0, "previous_key": hex(vault.bucket(3).key_of(0).unwrap().expose()) },
        }),
    );

    let stored = read("vault.json");
    let bytes = HEXLOWER.decode(stored["file"].as_str().unwrap().as_bytes()).unwrap();
    let locked = Vault::read(&bytes).unwrap();
    let by_passphrase = locked.unlock_passphrase("pässwörd".as_bytes()).unwrap();
    let by_phrase = locked.unlock_phrase(&Phrase::parse(stored["phrase"].as_str().unwrap()).unwrap()).unwrap();
    for vault in [by_passphrase, by_phrase] {
        assert!(vault.store_created());
        assert_eq!(stored["index_key"], hex(vault.index_key().expose()));
        assert_eq!(stored["bucket_3"]["previous_key"], hex(vault.bucket(3).key_of(0).unwrap().expose()));
    }
}

#[test]
fn a_backup_of_yesterday_opens_today() {
    let phrase = Phrase::parse(read("vault.json")["phrase"].as_str().unwrap()).unwrap();
    let mut dice = Dice::seeded(8);
    let (mut sealer, mut file) = BackupSealer::begin(phrase.backup_key(), &mut dice);
    let plaintexts: [&[u8]; 2] = [&[7; 100], b"the last one"];
    file.extend(sealer.part(plaintexts[0], PartPlace::Inner, &mut dice));
    file.extend(sealer.part(plaintexts[1], PartPlace::Last, &mut dice));
    check(
        "backup.json",
        json!({
            "about": "One backup file of two parts, and what they hold. The phrase is that of vault.json.",
            "file": hex(&file),
            "parts": plaintexts.map(hex),
        }),
    );

    let bytes = HEXLOWER.decode(read("backup.json")["file"].as_str().unwrap().as_bytes()).unwrap();
    let (header, mut rest) = bytes.split_at(BACKUP_HEADER_BYTES);
    let mut opener = BackupHeader::read(header).unwrap().open(&phrase).unwrap();
    for (plaintext, place) in plaintexts.into_iter().zip([PartPlace::Inner, PartPlace::Last]) {
        let (length, after) = rest.split_first_chunk::<4>().unwrap();
        let (sealed, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        assert_eq!(opener.part(sealed, place).unwrap().as_slice(), plaintext);
        rest = after;
    }
    assert!(rest.is_empty());
}

fn schedule(keys: &KeySchedule) -> Value {
    json!({
        "session_psk": hex(keys.session_psk.expose()), "rekey_key": hex(keys.rekey_key.expose()),
        "chain_inviter": hex(&*keys.chain_inviter.to_bytes()), "chain_scanner": hex(&*keys.chain_scanner.to_bytes()),
        "hint_key": hex(keys.hint_key.expose()), "restore_psk": hex(keys.restore_psk.expose()),
        "profile_key": hex(keys.profile_key.expose()), "confirm_inviter": hex(keys.confirm_inviter.expose()),
        "confirm_scanner": hex(keys.confirm_scanner.expose()),
    })
}

fn shown(address: &DialAddress) -> Value {
    let host = match &address.host {
        Host::Ip4(ip) => ip.to_string(),
        Host::Ip6(ip) => ip.to_string(),
        Host::Dns(name) => name.clone(),
    };
    let transport = match address.transport {
        Transport::Tcp => "tcp",
        Transport::Quic => "quic",
    };
    json!({ "host": host, "transport": transport, "port": address.port })
}

fn named(padding: Padding) -> &'static str {
    match padding {
        Padding::Padme => "padme",
        Padding::None => "none",
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251).to_le_bytes()[0]).collect()
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).expect("the vectors are in the repository");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn check(name: &str, made: Value) {
    if std::env::var_os("ALLOD_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(path(name), text + "\n").unwrap();
    }
    assert!(read(name) == made, "{name} does not hold what the code makes");
}
