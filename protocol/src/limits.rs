//! Every cap of this crate: name, value, unit, and why.

use std::time::Duration;

/// Kind and field names: what fits a column header. Bytes.
pub const NAME_MAX_BYTES: usize = 64;
/// Record ids: a UUID, a date and a counter, or a short title fit. Bytes.
pub const RECORD_ID_MAX_BYTES: usize = 128;
/// One value: a scanned page as a JPEG, not a film. Bytes of its encoding.
pub const VALUE_MAX_BYTES: usize = 256 * 1024;
/// One entry, header to payload: one value of the largest size, padded, and its neighbours. Bytes.
pub const ENTRY_MAX_BYTES: usize = 512 * 1024;
/// One message between nodes: one entry of the largest size and room for others. Bytes.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// Fields in one record: a row of a wide table. Count.
pub const FIELDS_PER_RECORD_MAX: usize = 512;
/// Where a field came from: a file's name. A record's row holds it once a field, and is below a message's cap. Bytes.
pub const SOURCE_MAX_BYTES: usize = 256;
/// Scalars in a list or pairs in a map. Count.
pub const ITEMS_PER_VALUE_MAX: usize = 1024;
/// Writes in one step: a commit stays short, so that others wait little. Count.
pub const STEP_WRITES_MAX: usize = 1_000;
/// Bytes in one step; one value of the largest size may exceed it, alone. Bytes.
pub const STEP_MAX_BYTES: usize = 256 * 1024;
/// Selectors in one ask or grant. Count.
pub const SELECTORS_MAX: usize = 256;
/// Texts that people write: reason, benefit, decline. Bytes.
pub const TEXT_MAX_BYTES: usize = 2_048;
/// Names of nodes and petnames. Bytes.
pub const PETNAME_MAX_BYTES: usize = 64;
/// Addresses that one peer may tell. Count.
pub const ADDRESSES_MAX: usize = 8;
/// One address as text. Bytes.
pub const ADDRESS_MAX_BYTES: usize = 256;
/// Relationships that are pending at once: each costs a row and two keys. Count.
pub const PENDING_MAX: usize = 64;
/// Invitations that are open at once. Count.
pub const INVITATIONS_MAX: usize = 32;
/// Asks of one peer that are open at once: more are refused, so that nobody floods a person. Count.
pub const OPEN_ASKS_MAX: usize = 32;
/// Entries in one sync message, whatever their size. Count.
pub const ENTRIES_PER_SYNC_MAX: usize = 256;
/// Cells in one `Cells` entry. Count.
pub const CELLS_PER_ENTRY_MAX: usize = 1_000;
/// Grants of one direction that go on after a restore: the entry that states them is one. Those beyond end. Count.
pub const STATED_MAX: usize = 1_024;
/// Selectors of these in all. Count.
pub const STATED_SELECTORS_MAX: usize = 16_384;
/// Asks of one direction that go on after a restore. Count.
pub const STATED_ASKS_MAX: usize = 1_024;
/// The epoch from which on no key goes on after a restore: whoever states it could end the counting. Count.
pub const EPOCH_MAX: u32 = 1 << 31;
/// Times that a peer may begin anew beyond one in [`REKEY_EVERY`] since the pairing. Count.
pub const RESTORES_AHEAD_MAX: u64 = 8;
/// What reading keeps at hand of grants and keys: some 30,000 peers, or 75,000 single fields. Bytes.
pub const AT_HAND_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Live sessions kept in memory; the longest unused is dropped. Count.
pub const SESSIONS_MAX: usize = 512;

/// The time a pairing may stay unconfirmed.
pub const PENDING_LIFETIME: Duration = Duration::from_secs(600);
/// How long an invitation is good unless told otherwise.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(120);
/// The longest that an invitation may be good.
pub const INVITATION_LIFETIME_MAX: Duration = Duration::from_secs(3_600);
/// The lease of a follow grant unless told otherwise.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// The shortest lease: shorter ones would end between two syncs.
pub const LEASE_MIN: Duration = Duration::from_secs(10);
/// The longest lease: what a revocation may at most have to wait for at an honest node that is cut off.
pub const LEASE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// How far ahead of our clock a signed time may lie.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(120);
/// Live reads an hour under one reference grant.
pub const READS_PER_HOUR: u32 = 60;
/// Use is reported at the latest this long after it was counted.
pub const USED_REPORT_EVERY: Duration = Duration::from_secs(2);
/// How often keys between two nodes are renewed.
pub const REKEY_EVERY: Duration = Duration::from_secs(30 * 86_400);
/// Changes of keys that a peer may begin beyond one in [`REKEY_EVERY`] since the pairing: its clock may leap now and then. Those over it wait.
/// Count.
pub const REKEYS_AHEAD_MAX: u64 = 8;
/// One sync per relationship follows from hints in this time.
pub const HINT_EVERY: Duration = Duration::from_secs(60);
