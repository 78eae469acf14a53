//! Every cap of this crate: name, value, unit, and why. A test hits each one.

/// Padded plaintexts up to this size are sealed in one piece, larger ones in chunks of it: what a reader must hold at once.
pub const SEAL_CHUNK_BYTES: usize = 64 * 1024;

/// The smallest padded plaintext: short values of a record (a first name, a postcode, a date) all look alike.
pub const PADDED_MIN_BYTES: usize = 256;

/// One part of a backup before it is sealed: what its reader holds at once, and small beside what a file costs to open.
pub const BACKUP_PART_MAX_BYTES: usize = 4 * SEAL_CHUNK_BYTES;

/// What a passphrase costs to try, in KiB of memory: about 130 ms on one core of a small server.
pub const PASSPHRASE_MEMORY_KIB: u32 = 64 * 1024;
pub const PASSPHRASE_PASSES: u32 = 3;
pub const PASSPHRASE_LANES: u32 = 1;

/// A vault file that asks for more is damaged or hostile: reading one must not take the machine's memory or minutes.
pub const PASSPHRASE_MEMORY_MAX_KIB: u32 = 1024 * 1024;
pub const PASSPHRASE_PASSES_MAX: u32 = 10;
pub const PASSPHRASE_LANES_MAX: u32 = 4;

/// Longest text that is read as a recovery phrase: 24 words of at most 8 letters, with room for odd spacing.
pub const PHRASE_TEXT_MAX_BYTES: usize = 1024;

/// How many counters behind the newest one a session still tells apart: more than requests ever run at once.
pub const REPLAY_WINDOW_MESSAGES: u64 = 1024;

/// Longest payload in the answer to a session's first message: Noise ends at 65,535 bytes, and the answer needs 48 of them.
pub const SESSION_PAYLOAD_MAX_BYTES: usize = 32 * 1024;

/// An invitation names at most this many addresses: a QR must stay easy to scan.
pub const INVITATION_ADDRESSES_MAX: usize = 2;

/// Longest host name in an invitation's address, as DNS has it.
pub const HOST_NAME_MAX_BYTES: usize = 253;

/// Longest text read as an invitation: two addresses with the longest host names take 957 characters.
pub const INVITATION_TEXT_MAX_BYTES: usize = 1024;
