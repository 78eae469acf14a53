//! Why the node could not do something, whichever part of it says so: one shape for the API, the command line and the log.
//!
//! The engine says [`Refusal`]; what it cannot know (files, passphrases, requests that are not well formed) stands here as
//! [`NodeRefusal`], in the same manner: a code for programs, an id in the message catalogues, and the facts that decide.

use allod_protocol::refusal::{Code, Fact, Refusal};

macro_rules! refusals {
    ($( $(#[$doc:meta])* $name:ident { $($field:ident : $kind:ident),* $(,)? } = $id:literal, $code:ident; )*) => {
        /// What only the program around the engine can refuse.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum NodeRefusal {
            $( $(#[$doc])* $name { $($field: refusals!(@type $kind)),* }, )*
        }

        impl NodeRefusal {
            /// Each case's message id, code and facts: what the catalogues must cover.
            pub const CASES: &'static [(&'static str, Code, &'static [&'static str])] =
                &[ $( ($id, Code::$code, &[$(stringify!($field)),*]), )* ];

            fn id(&self) -> &'static str {
                match self { $( Self::$name { .. } => $id, )* }
            }

            fn code(&self) -> Code {
                match self { $( Self::$name { .. } => Code::$code, )* }
            }

            fn facts(self) -> Vec<(&'static str, Fact)> {
                match self {
                    $( Self::$name { $($field),* } => vec![ $( (stringify!($field), Fact::$kind($field)) ),* ], )*
                }
            }
        }
    };
    (@type Text) => { String };
    (@type Number) => { u64 };
}

refusals! {
    /// No home has been made there.
    NoHome { home: Text } = "node-no-home", NotFound;
    /// A home is there already.
    HomeExists { home: Text } = "node-home-exists", AlreadyExists;
    /// The directory holds things that are not ours.
    HomeNotEmpty { home: Text } = "node-home-not-empty", Conflict;
    /// Making this home was interrupted.
    HomeHalfMade { home: Text } = "node-home-half-made", Conflict;
    /// Others may enter the home.
    HomeOpenToOthers { path: Text, mode: Text } = "node-home-open-to-others", Failed;
    /// A newer program made this home; nothing in it was touched.
    HomeNewer { version: Number } = "node-home-newer", Failed;
    /// The operating system refused something in the home.
    HomeIo { path: Text, detail: Text } = "node-home-io", Failed;
    /// The home is no longer where it was when the node started.
    HomeMoved { home: Text } = "node-home-moved", Failed;
    /// Fewer files may be open at once than a node needs.
    TooFewFiles { allowed: Number, least: Number } = "node-too-few-files", Failed;
    /// Another process runs on this home.
    AlreadyRunning { process: Text } = "node-already-running", Conflict;
    /// The settings do not read.
    BadSettings { path: Text, why: Text } = "node-bad-settings", Usage;
    /// The settings are gone, and the vault is there.
    SettingsGone { path: Text } = "node-settings-gone", Damaged;
    /// The path of the control socket is longer than a socket's name may be.
    SocketPathTooLong { path: Text, most: Number } = "node-socket-path-too-long", Usage;
    /// Secrets of connections would be written to a file.
    SecretsWouldBeLogged { } = "node-secrets-would-be-logged", Failed;
    /// The network could not start.
    NetworkFailed { why: Text } = "node-network-failed", Failed;
    /// A vault is needed and gone.
    NoVault { home: Text } = "node-no-vault", Damaged;
    /// The vault does not hold together.
    VaultDamaged { } = "node-vault-damaged", Damaged;
    /// A newer program wrote the vault.
    VaultNewer { version: Number } = "node-vault-newer", Failed;
    /// Not this vault's passphrase.
    WrongPassphrase { } = "node-wrong-passphrase", Locked;
    /// Not this vault's recovery phrase.
    WrongPhrase { } = "node-wrong-phrase", Locked;
    /// Not a recovery phrase at all.
    BadPhrase { why: Text } = "node-bad-phrase", Invalid;
    /// A passphrase is needed, and there is no terminal to ask and no file to read.
    NoPassphrase { } = "node-no-passphrase", Locked;
    /// The passphrase's file does not read.
    PassphraseFile { path: Text, detail: Text } = "node-passphrase-file", Locked;
    /// The passphrase is empty or too long.
    BadPassphrase { most: Number } = "node-bad-passphrase", Usage;
    /// This home has no passphrase.
    NoPassphraseSet { } = "node-no-passphrase-set", Conflict;
    /// Checking a passphrase takes memory that is not there.
    TooLittleMemory { kib: Number } = "node-too-little-memory", Failed;
    /// A node's name is empty, too long, or holds what no name may.
    BadName { most: Number } = "node-bad-name", Usage;
    /// The wall clock shows a time that can't be counted.
    ClockBefore1970 { } = "node-clock-before-1970", Failed;
    /// The store is damaged.
    StoreDamaged { detail: Text } = "node-store-damaged", Damaged;
    /// The store cannot be read or written.
    StoreIo { detail: Text } = "node-store-io", Failed;
    /// The node is stopping.
    Stopping { } = "node-stopping", Failed;
    /// The engine found something that cannot be: the node stops.
    EngineFault { detail: Text } = "node-engine-fault", Failed;
    /// No such route.
    NoRoute { path: Text } = "node-no-route", NotFound;
    /// The route is there, and not with this method.
    NoMethod { path: Text } = "node-no-method", Usage;
    /// The body is not the JSON that is expected there.
    BadBody { why: Text } = "node-bad-body", Usage;
    /// A parameter is not one, or not one of this route.
    BadParameter { name: Text, why: Text } = "node-bad-parameter", Usage;
    /// The body is larger than one may be.
    BodyTooLarge { most: Number } = "node-body-too-large", TooLarge;
    /// The body did not come in time.
    TooSlow { seconds: Number } = "node-too-slow", Failed;
    /// As many watchers as there may be.
    TooManyWatchers { most: Number } = "node-too-many-watchers", Conflict;
    /// Someone other than the node's owner called.
    OtherUser { } = "node-other-user", Declined;
    /// Not a time.
    BadTime { text: Text } = "node-bad-time", Usage;
    /// The file is larger than one may be.
    ImportTooLarge { bytes: Number, most: Number } = "node-import-too-large", Invalid;
    /// The file holds more records than one import may have.
    ImportTooManyRecords { most: Number } = "node-import-too-many-records", Invalid;
    /// One object of the file is larger than a record.
    ImportItemTooLarge { item: Number, most: Number } = "node-import-item-too-large", Invalid;
    /// The table is too wide.
    ImportTooManyColumns { columns: Number, most: Number } = "node-import-too-many-columns", Invalid;
    /// The file is none that can be read; `looks_like` is a word for what it is.
    ImportUnknown { looks_like: Text } = "node-import-unknown", Invalid;
    /// The file does not say what its records are.
    ImportNeedsKind { format: Text } = "node-import-needs-kind", Invalid;
    /// The first line of a table holds values.
    ImportNoHeader { line: Number, cell: Text } = "node-import-no-header", Invalid;
    /// The JSON breaks; `fault` is a word for how.
    ImportBroken { line: Number, column: Number, fault: Text } = "node-import-broken", Invalid;
    /// A newer program wrote the export.
    ImportNewer { version: Text } = "node-import-newer", Invalid;
    /// No record is in the file; `skip` is the reason for what was left out first, whose facts stand beside these, or empty.
    ImportNothing { looks_like: Text, skip: Text } = "node-import-nothing", Invalid;
    /// A backup is being made or fetched already.
    BackupUnderWay { } = "node-backup-under-way", Conflict;
    /// The disk has no room for a backup beside the home.
    BackupNoRoom { home: Text } = "node-backup-no-room", Failed;
    /// The file is no backup.
    NoBackup { path: Text } = "node-no-backup", Invalid;
    /// A newer program made the backup.
    BackupNewer { path: Text, version: Number } = "node-backup-newer", Failed;
    /// The backup was cut short or changed.
    BackupDamaged { path: Text } = "node-backup-damaged", Damaged;
    /// The words are those of another home.
    BackupWrongPhrase { path: Text } = "node-backup-wrong-phrase", Locked;
    /// The operating system refused to read the backup.
    BackupUnread { path: Text, detail: Text } = "node-backup-unread", Failed;
    /// A fault of this program.
    Internal { what: Text } = "node-internal", Failed;
}

/// What went wrong, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its key in the message catalogues.
    pub id: &'static str,
    pub code: Code,
    pub facts: Vec<(&'static str, Fact)>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { id: refusal.id(), code: refusal.code(), facts: refusal.facts() }
    }
}

impl From<NodeRefusal> for Failure {
    fn from(refusal: NodeRefusal) -> Self {
        Self { id: refusal.id(), code: refusal.code(), facts: refusal.facts() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_of_the_node_is_an_id_of_the_engine_or_used_twice() {
        let mut ids: Vec<_> = NodeRefusal::CASES.iter().chain(Refusal::CASES).map(|case| case.0).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(NodeRefusal::CASES.iter().all(|case| case.0.starts_with("node-")));
    }
}
