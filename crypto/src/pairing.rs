//! Pairing: two people at two screens make two nodes share a secret. It grants nothing.
//!
//! ```text
//! inviter                          scanner
//! Invitation::new  -- QR, text -->  Invitation::parse
//!                  <-- message 1 -- Scanner::start
//! Inviter::on_first -- message 2 -> ScannerAwaitsSecond::on_second
//!                  <-- message 3 --
//! InviterAwaitsThird::on_third  -- message 4 -> ScannerAwaitsFourth::on_fourth  => Paired
//!                  <-- message 5 --
//! InviterAwaitsFifth::on_fifth  => Paired
//! ```
//! Each step consumes the one before, so that no message is answered twice. Then both persons compare [`Sas`] on two screens.

pub mod bundle;
pub mod handshake;
pub mod invitation;
pub mod words;

pub use bundle::{Bundle, BundleError, BundleSecrets};
pub use handshake::{
    Inviter, InviterAwaitsFifth, InviterAwaitsThird, Paired, PairingRefused, RelationshipKeys, Scanner,
    ScannerAwaitsFourth, ScannerAwaitsSecond, first_message_is_genuine,
};
pub use invitation::{AddressError, DialAddress, Host, Invitation, InvitationError, Transport};
pub use words::{Emoji, Sas};
