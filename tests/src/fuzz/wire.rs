//! Whatever comes from the other side or from the disk: read, and written again to the same bytes.

use allod_crypto::{Bundle, Invitation, Vault, VerifyKey};
use allod_protocol::{
    ask::Ask,
    codec::Coded,
    grant::Grant,
    id::LogId,
    job::Job,
    log::{OwnLog, TheirLog},
    path::{FieldPath, Path, RecordPath, Selector},
    purpose::Purpose,
    record::Counts,
    relationship::{PeerRef, Relationship},
    time::Timestamp,
    value::{Type, Value},
    wire::{
        body::{Body, CellContent, CellsPayload, KeysPayload, ServedPayload, WireBody},
        header::{Header, SignedHead, WireEntry},
        hint,
        pair::{PairAnswer, PairRequest},
        session::{Resumption, SessionAnswer, SessionRequest, Sync},
    },
};

/// What decodes, encodes to the very bytes.
fn coded<T: Coded>(bytes: &[u8]) -> Option<T> {
    let read = T::decode(bytes).ok()?;
    assert_eq!(read.encode(), bytes, "two encodings mean the same");
    Some(read)
}

/// An invitation, as raw bytes and as text.
pub fn invitation(bytes: &[u8]) {
    if let Ok(read) = Invitation::from_bytes(bytes) {
        assert_eq!(read.to_bytes().as_slice(), bytes);
        let again = Invitation::parse(&read.to_text()).expect("what we write, we read");
        assert_eq!(again.hash(), read.hash());
    }
    if let Ok(read) = Invitation::parse(&String::from_utf8_lossy(bytes)) {
        let again = Invitation::parse(&read.to_text()).expect("what we write, we read");
        assert_eq!(again.hash(), read.hash());
    }
}

/// The messages of a pairing, and the bundle in them.
pub fn pairing(bytes: &[u8]) {
    coded::<PairRequest>(bytes);
    coded::<PairAnswer>(bytes);
    if let Ok(bundle) = Bundle::from_bytes(bytes) {
        assert_eq!(bundle.to_bytes().as_slice(), bytes);
    }
}

/// The messages of a session, sealed and open.
pub fn session(bytes: &[u8]) {
    coded::<SessionRequest>(bytes);
    coded::<SessionAnswer>(bytes);
    coded::<Sync>(bytes);
    coded::<Resumption>(bytes);
}

/// An entry: header, signature, body, payload, cut out of the bytes.
pub fn entry(bytes: &[u8]) {
    if let Some((header, _)) = bytes.split_first_chunk::<{ Header::BYTES }>()
        && let Some(read) = Header::from_bytes(header)
    {
        assert_eq!(&read.to_bytes(), header);
    }
    let (header, rest) = bytes.split_at(bytes.len().min(Header::BYTES));
    let (signature, rest) = rest.split_at(rest.len().min(64));
    let (body, payload) = rest.split_at(rest.len() / 2);
    let [header, signature, body, payload] = [header, signature, body, payload].map(<[u8]>::to_vec);
    let entry = WireEntry { header, signature, body, payload };
    assert!(entry.verified(&VerifyKey::from_bytes([7; 32])).is_none(), "nobody signed it");
}

/// Bodies of entries and what they carry. The first byte chooses the kind.
pub fn body(bytes: &[u8]) {
    coded::<WireBody>(bytes);
    coded::<KeysPayload>(bytes);
    coded::<CellsPayload>(bytes);
    coded::<ServedPayload>(bytes);
    coded::<CellContent>(bytes);
    if let Some((kind, bytes)) = bytes.split_first()
        && let Ok(read) = Body::decode(u16::from(*kind), bytes)
    {
        assert_eq!(read.encode(), bytes);
        assert!(!read.name().is_empty());
    }
}

/// Signed heads.
pub fn head(bytes: &[u8]) {
    coded::<SignedHead>(bytes);
    if let Some(signed) = coded::<Sync>(bytes).and_then(|sync| sync.heads.first().cloned()) {
        let now = Timestamp::from_millis(1_795_507_200_000);
        assert!(signed.verified(&VerifyKey::from_bytes([7; 32]), now).is_err(), "nobody signed it");
    }
}

/// Hints, read on the day of the first release.
pub fn hint(bytes: &[u8]) {
    let now = Timestamp::from_millis(1_795_507_200_000);
    if hint::decode(bytes, now).is_some() {
        assert_eq!(bytes.len(), hint::HINT_BYTES);
        assert!(hint::decode(bytes, Timestamp::from_millis(u64::MAX)).is_none(), "every hint ends");
    }
}

/// What a node stores: rows as they are once they were opened, and the vault file.
pub fn stored(bytes: &[u8]) {
    coded::<Relationship>(bytes);
    coded::<PeerRef>(bytes);
    coded::<Grant>(bytes);
    coded::<OwnLog>(bytes);
    coded::<TheirLog>(bytes);
    coded::<Job>(bytes);
    coded::<Ask>(bytes);
    coded::<Counts>(bytes);
    coded::<Value>(bytes);
    if let Ok(locked) = Vault::read(bytes) {
        let _ = locked.unlock_open();
    }
}

/// Names, paths, selectors, purposes, values as a person types them.
pub fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(read) = text.parse::<Path>() {
        assert_eq!(read.to_string().parse::<Path>().as_ref(), Ok(&read));
    }
    if let Ok(read) = text.parse::<FieldPath>() {
        assert_eq!(read.to_string().parse::<FieldPath>().as_ref(), Ok(&read));
        assert!(Selector::Field(read.clone()).covers(&read));
    }
    if let Ok(read) = text.parse::<RecordPath>() {
        assert_eq!(read.to_string().parse::<RecordPath>().as_ref(), Ok(&read));
    }
    if let Ok(read) = text.parse::<Selector>() {
        assert_eq!(read.to_string().parse::<Selector>().as_ref(), Ok(&read));
    }
    let _ = Purpose::parse(&text);
    let _ = LogId::beginning(&text);
    for expected in Type::ALL {
        if let Ok(read) = Value::parse(expected, &text) {
            assert_eq!(Value::decode(&read.encode()).as_ref(), Ok(&read), "{expected:?}");
        }
    }
}
