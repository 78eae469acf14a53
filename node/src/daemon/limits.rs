//! Every cap of the daemon and its control API: name, value, unit, and why.

use std::time::Duration;

use allod_protocol::limits::STEP_MAX_BYTES;

/// Connections to the control socket at once whose request is here: a person's programs and scripts, with room. Beyond it the one
/// that has been waited for longest is cut. Count.
pub const CONNECTIONS_MAX: usize = 64;
/// Connections whose first request is long and still coming: each costs up to a body. Beyond it the one that has been waited for
/// longest is cut. Count.
pub const RECEIVED_MAX: usize = 16;
/// How long such a place is nobody else's: callers that stall and come again pay for it with their own time.
pub const RECEIVED_KEPT: Duration = Duration::from_millis(100);
/// Callers whose first request is waited for: each costs an open file and up to [`SAID_MAX_BYTES`], less than being cut off and coming
/// again. Beyond it the one that has been waited for longest is cut. Count.
pub const WAITING_MAX: usize = 2_048;
/// They have at most this part of the files that the process may have open.
pub const WAITING_FILES_SHARE: usize = 2;
/// What a caller may have said before it gets a place, whether its first request is whole or not: most requests are shorter. Bytes.
pub const SAID_MAX_BYTES: usize = 8 * 1024;
/// Callers that the system keeps until they are let in: enough that a burst of others does not keep one from getting in line. Count.
pub const CALLERS_WAITING: u32 = 1024;
/// How long nobody is let in after somebody lost a place to a newcomer.
pub const CROWD_PAUSE: Duration = Duration::from_millis(1);
/// Watchers at once: each holds its connection for good, so half of them stay free for commands. Count.
pub const WATCHERS_MAX: usize = 32;
/// One request's line and headers: a few hundred paths in one `get`. Bytes.
pub const HEAD_MAX_BYTES: usize = 64 * 1024;
/// One request's body: two values of the largest size as Base64, and their paths. Bytes.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;
/// One imported file: some years of a bank's or a phone's export. Bytes.
pub const IMPORT_MAX_BYTES: usize = 256 * 1024 * 1024;
/// How long a caller may take for its headers, and then for its body.
pub const CALLER_DEADLINE: Duration = Duration::from_secs(10);
/// How long a caller that sends a file may be silent, and how long one that reads an answer may read nothing.
pub const CALLER_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a caller that waits for a pairing's next stage is kept: below every proxy's and client's patience.
pub const LONG_POLL: Duration = Duration::from_secs(25);
/// Happenings kept for a watcher that comes back. Count.
pub const RING_MAX: usize = 1_024;
/// A watcher hears something at least this often, so that both sides notice a dead connection.
pub const WATCH_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Pairings whose last view is kept for a caller whose wait ran out. Count.
pub const PAIRINGS_SHOWN_MAX: usize = 128;
/// Items of a listing unless the caller says otherwise. Count.
pub const PAGE_DEFAULT: usize = 100;
/// Items of a listing at most. Count.
pub const PAGE_MAX: usize = 1_000;
/// Field writes of an import in one command: one step of the engine. Count.
pub const IMPORT_WRITES_MAX: usize = 1_000;
/// Bytes of an import in one command, unless one record alone has more. Bytes.
pub const IMPORT_CHUNK_MAX_BYTES: usize = 200 * 1024;

/// Orders that wait for the engine's thread: more callers than may be connected cannot wait. Count.
pub const ORDERS_MAX: usize = 256;
/// Network events that wait for the engine's thread: beyond it peers are told that we are busy. Count.
pub const NETWORK_EVENTS_MAX: usize = 512;
/// Commands to the network that wait for the swarm. Count.
pub const TICKETS_MAX: usize = 1_024;
/// Events that share one commit: their callers wait for each other. Count.
pub const BATCH_EVENTS_MAX: usize = 256;
/// Writes that share one commit; one step may exceed it, alone. Bytes.
pub const BATCH_MAX_BYTES: usize = STEP_MAX_BYTES;
/// A passphrase: a long sentence. Bytes.
pub const PASSPHRASE_MAX_BYTES: usize = 1_024;
/// The settings file: a hundred times what the settings need. Bytes.
pub const CONFIG_MAX_BYTES: u64 = 64 * 1024;
/// The vault file: its 256 buckets with two generations each, several times over. Bytes.
pub const VAULT_MAX_BYTES: u64 = 1024 * 1024;
/// One value in a backup: as long as the store keeps any (64 Ki slices of 4 KiB). Bytes.
pub const BACKUP_VALUE_MAX_BYTES: usize = 256 * 1024 * 1024;
/// Rows of a backup that are read from the store at once: some tens of KiB, or a few MiB where values are long. Count.
pub const BACKUP_PAGE_ROWS: usize = 64;
/// Rows of a backup that share a commit when it is restored. Count.
pub const RESTORE_WRITES_MAX: usize = 1_000;
/// Backups that are made or fetched at once: each is a file as long as the store until its caller has it. Count.
pub const BACKUPS_MAX: usize = 1;
/// Files that the process must be allowed to have open: about twenty of its own, some callers and some peers. Count.
pub const FILES_MIN: u64 = 64;
/// Files that it asks for where it may have more: all callers, links and strangers at their caps, several times over. Count.
pub const FILES_WANTED: u64 = 4_096;
/// Of the disk, this part is kept for what the owner does: entries of others are not taken while less is free. Count.
pub const ROOM_KEPT_SHARE: u64 = 20;
/// At least this much is kept: what is under way when it is noticed, several times over. Bytes.
pub const ROOM_KEPT_MIN_BYTES: u64 = 16 * 1024 * 1024;
/// At most this much is kept: some hundred thousand entries, or the backup of a usual home. Bytes.
pub const ROOM_KEPT_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How soon it is noticed that there is room again, if nothing comes in.
pub const ROOM_LOOKED_AT: Duration = Duration::from_secs(2);
/// How often the node looks whether its home is where it was: until then callers who look for it there find another, or none.
pub const HOME_LOOKED_AT: Duration = Duration::from_secs(2);
/// How long a stopping node gives the network to say goodbye, and callers to read their answers.
pub const GOODBYE: Duration = Duration::from_secs(3);
/// How long a starting node waits for one that is stopping.
pub const PREDECESSOR: Duration = Duration::from_secs(5);
