//! What fuzzers call, and what their inputs are replayed through.
//!
//! Each target takes any bytes and holds up one promise: no panic, and what is read means exactly the bytes that it was read from. The
//! fuzzers are a workspace of their own (`tests/fuzz`), since they need a nightly toolchain; here the same functions run as an ordinary test
//! over the corpora that are kept (`scenarios::corpus`). `docs/FUZZING.md` has the commands and the numbers.

pub mod engines;
pub mod files;
pub mod wire;

/// One target.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 14] = [
    ("invitation", wire::invitation),
    ("pairing", wire::pairing),
    ("session", wire::session),
    ("entry", wire::entry),
    ("body", wire::body),
    ("head", wire::head),
    ("hint", wire::hint),
    ("stored", wire::stored),
    ("path", wire::path),
    ("control", files::control),
    ("vcard", files::vcard),
    ("csv", files::csv),
    ("json", files::json),
    ("engines", engines::engines),
];
