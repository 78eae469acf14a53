//! Every piece of cryptography that Allod does, as functions from bytes to bytes.
//!
//! Nothing here touches a file, a clock or a socket, and whoever calls hands in the dice. Two things to read first: [`seal()`]
//! and [`open()`], through which everything at rest and in transit passes, and [`SecretKey`], the only way a key is held.
//! The rest, in the order in which a node meets it: the [`Vault`] and its [`Phrase`], which opens backups too; an [`Invitation`]
//! and the pairing handshake, which yields a [`RelationshipSecret`] and so a [`KeySchedule`]; a session; the [`ChainValue`] of
//! each log.
//!
//! Exact layouts, for whoever writes another implementation, stand in `docs/PROTOCOL.md`; `vectors/*.json` holds them to it.

pub mod backup;
pub mod chain;
#[cfg(test)]
mod dice;
pub mod identity;
pub mod key;
pub mod limits;
mod noise;
pub mod pairing;
pub mod phrase;
pub mod relationship;
pub mod seal;
pub mod session;
pub mod vault;
pub mod xwing;

pub use backup::{BackupError, BackupHeader, BackupOpener, BackupSealer, PartPlace};
pub use chain::ChainValue;
pub use identity::{AgreementIdentity, BadSignature, NonContributory, SigningIdentity, VerifyKey};
pub use key::{ExtractedKey, SecretKey, ct_eq, hkdf, hmac16, hmac32, sha256};
pub use noise::HandshakeError;
pub use pairing::{Bundle, BundleSecrets, Invitation, InvitationError, Paired, PairingRefused, Sas};
pub use phrase::{Phrase, PhraseError};
pub use relationship::{KeySchedule, RelationshipSecret, Role};
pub use seal::{Aad, Domain, OpenError, Padding, SealedKey, open, seal, seal_behind};
pub use session::{MessageKind, ReplayWindow, SessionInitiator, SessionKeys};
pub use vault::{Bucket, LockedVault, Protection, ProtectionKind, UnlockError, Vault, VaultError};
pub use xwing::{BadXWing, XWingSecret};

/// What every function here draws its randomness from; `&mut dyn CryptoRng` keeps the caller's choice out of our types.
pub use rand_core::CryptoRng;
pub use zeroize::Zeroizing;
