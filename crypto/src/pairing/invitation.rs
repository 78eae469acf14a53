//! The invitation: what the inviter's QR holds, and the same as a text.
//!
//! ```text
//! text    = "ALLOD:" ‖ Base32(raw), upper case, no padding
//! raw     = version:u8 ‖ secret:32 ‖ bundle hash:32 ‖ expires:u64 ‖ count:u8 ‖ address × count ‖ SHA256(all before)[..4]
//! address = host ‖ transport:u8 (1 TCP, 2 QUIC) ‖ port:u16
//! host    = 4 ‖ IPv4:4  |  6 ‖ IPv6:16  |  1 ‖ length:u8 ‖ name
//! ```
//! Base32 stays in the QR's alphanumeric mode and survives a shell and a messenger; either case is read, and white space that
//! a messenger put in is passed over. There is no URL scheme, so that no ordinary camera opens it. The four bytes at the end
//! are no defence: they tell a text that was cut or mistyped, so that the person can be told what to do.
//!
//! The secret serves one attempt. Whoever holds an invitation can try to pair, and so be seen; it opens nothing by itself.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::key::{SecretKey, sha256};
use crate::limits::{HOST_NAME_MAX_BYTES, INVITATION_ADDRESSES_MAX, INVITATION_TEXT_MAX_BYTES};

const PREFIX: &str = "ALLOD:";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// How much of a text that is no invitation is shown back to whoever pasted it.
const BEGINS_CHARACTERS: usize = 12;

/// Why a text is not an invitation that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// `begins` is what stands at its front, for the person to recognise.
    #[error("this is not an invitation: it begins with \"{begins}\"")]
    NotAnInvitation { begins: String },
    #[error("the end of this invitation is missing")]
    CutShort,
    #[error("this invitation has wrong characters in it")]
    Damaged,
    #[error("this invitation has version {version}, which is newer than this program")]
    Newer { version: u8 },
    #[error("this is longer than any invitation")]
    TooLong,
}

/// An address that can't stand in an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("an invitation holds at most {INVITATION_ADDRESSES_MAX} addresses")]
    TooMany,
    #[error("port 0 can't be dialled")]
    NoPort,
    #[error("a host name has letters, digits, hyphens and dots, and at most 253 of them")]
    HostName,
}

/// Where a node can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialAddress {
    pub host: Host,
    pub transport: Transport,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Ip4(Ipv4Addr),
    Ip6(Ipv6Addr),
    /// In lower case, without a dot at its end.
    Dns(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Quic,
}

/// One open door, for one attempt, for two minutes.
pub struct Invitation {
    secret: SecretKey,
    bundle_hash: [u8; 32],
    addresses: Vec<DialAddress>,
    expires_unix_s: u64,
}

impl Invitation {
    /// # Errors
    /// [`AddressError`] if an address can't be written, or there are more than two.
    pub fn new(
        bundle_hash: [u8; 32],
        addresses: Vec<DialAddress>,
        expires_unix_s: u64,
        dice: &mut dyn CryptoRng,
    ) -> Result<Invitation, AddressError> {
        if addresses.len() > INVITATION_ADDRESSES_MAX {
            return Err(AddressError::TooMany);
        }
        addresses.iter().try_for_each(DialAddress::check)?;
        Ok(Invitation { secret: SecretKey::random(dice), bundle_hash, addresses, expires_unix_s })
    }

    /// Reads the text of an invitation. Whether it expired is for the caller, who has a clock.
    ///
    /// # Errors
    /// [`InvitationError`] says whether it is something else, was cut, is damaged, or is of a later version.
    pub fn parse(text: &str) -> Result<Invitation, InvitationError> {
        let text = text.trim();
        if text.len() > INVITATION_TEXT_MAX_BYTES {
            return Err(InvitationError::TooLong);
        }
        let is_prefixed = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        if !is_prefixed {
            return Err(not_an_invitation(text));
        }
        let (raw, tail) = decode_base32(&text[PREFIX.len()..])?;
        let invitation = Invitation::from_bytes(&raw)?;
        // Whole, and yet characters are left over: one text an invitation, so that its hash can't be had in two ways.
        if tail == Tail::LeftOver { Err(InvitationError::Damaged) } else { Ok(invitation) }
    }

    /// Reads the raw bytes, as they are kept until the invitation was used.
    ///
    /// # Errors
    /// As [`Invitation::parse`].
    pub fn from_bytes(raw: &[u8]) -> Result<Invitation, InvitationError> {
        match raw.first() {
            None => return Err(InvitationError::CutShort),
            Some(&VERSION) => {}
            // Each version ends with the checksum, so that a later one is told from a mistyped one.
            Some(&version) if version > VERSION && has_checksum(raw) => {
                return Err(InvitationError::Newer { version });
            }
            Some(_) => return Err(InvitationError::Damaged),
        }
        let mut reader = Reader(&raw[1..]);
        let secret = SecretKey::from_bytes(reader.array()?);
        let bundle_hash = reader.array()?;
        let expires_unix_s = u64::from_le_bytes(reader.array()?);
        let count = usize::from(reader.u8()?);
        if count > INVITATION_ADDRESSES_MAX {
            return Err(InvitationError::Damaged);
        }
        let addresses = (0..count).map(|_| reader.address()).collect::<Result<Vec<_>, _>>()?;
        reader.array::<CHECKSUM_BYTES>()?;
        if !reader.0.is_empty() || !has_checksum(raw) {
            return Err(InvitationError::Damaged);
        }
        if addresses.iter().any(|address| address.check().is_err()) {
            return Err(InvitationError::Damaged);
        }
        Ok(Invitation { secret, bundle_hash, addresses, expires_unix_s })
    }

    /// The raw bytes, to be sealed while the invitation is open.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut raw = Zeroizing::new(Vec::with_capacity(INVITATION_TEXT_MAX_BYTES));
        raw.push(VERSION);
        raw.extend_from_slice(self.secret.expose());
        raw.extend_from_slice(&self.bundle_hash);
        raw.extend_from_slice(&self.expires_unix_s.to_le_bytes());
        raw.push(u8::try_from(self.addresses.len()).expect("there are two addresses at most"));
        for address in &self.addresses {
            address.push(&mut raw);
        }
        let checksum = checksum(&raw);
        raw.extend_from_slice(&checksum);
        raw
    }

    /// The text that the QR holds.
    pub fn to_text(&self) -> Zeroizing<String> {
        let raw = self.to_bytes();
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + BASE32_NOPAD.encode_len(raw.len())));
        text.push_str(PREFIX);
        BASE32_NOPAD.encode_append(&raw, &mut text);
        text
    }

    /// SHA-256 of the raw bytes: both sides put it into the handshake, so that they speak of one invitation.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&self.to_bytes()])
    }

    /// SHA-256 of the inviter's bundle: who may answer.
    pub fn bundle_hash(&self) -> &[u8; 32] {
        &self.bundle_hash
    }

    pub fn addresses(&self) -> &[DialAddress] {
        &self.addresses
    }

    /// When it ends, in seconds since 1970.
    pub fn expires_unix_s(&self) -> u64 {
        self.expires_unix_s
    }

    /// The psk of the one handshake that this invitation is for.
    pub(super) fn psk(&self) -> SecretKey {
        self.secret.derive(b"allod/pair/psk/1")
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invitation(..)")
    }
}

impl DialAddress {
    /// # Errors
    /// [`AddressError`] if it can't stand in an invitation.
    pub fn check(&self) -> Result<(), AddressError> {
        if self.port == 0 {
            return Err(AddressError::NoPort);
        }
        match &self.host {
            Host::Ip4(_) | Host::Ip6(_) => Ok(()),
            Host::Dns(name) if is_host_name(name) => Ok(()),
            Host::Dns(_) => Err(AddressError::HostName),
        }
    }

    fn push(&self, raw: &mut Vec<u8>) {
        match &self.host {
            Host::Ip4(ip) => {
                raw.push(4);
                raw.extend_from_slice(&ip.octets());
            }
            Host::Ip6(ip) => {
                raw.push(6);
                raw.extend_from_slice(&ip.octets());
            }
            Host::Dns(name) => {
                raw.push(1);
                raw.push(u8::try_from(name.len()).expect("a host name that was checked has 253 bytes at most"));
                raw.extend_from_slice(name.as_bytes());
            }
        }
        raw.push(match self.transport {
            Transport::Tcp => 1,
            Transport::Quic => 2,
        });
        raw.extend_from_slice(&self.port.to_le_bytes());
    }
}

/// Lower-case labels of letters, digits and inner hyphens, as DNS has them.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= HOST_NAME_MAX_BYTES && name.split('.').all(is_label)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&sha256(&[bytes])[..CHECKSUM_BYTES]);
    checksum
}

fn has_checksum(raw: &[u8]) -> bool {
    raw.split_last_chunk::<CHECKSUM_BYTES>().is_some_and(|(bytes, last)| checksum(bytes) == *last)
}

fn not_an_invitation(text: &str) -> InvitationError {
    let begins = text.chars().take(BEGINS_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    InvitationError::NotAnInvitation { begins }
}

/// What stands after the last whole byte of a Base32 text.
#[derive(PartialEq, Eq)]
enum Tail {
    /// Nothing but the zero bits that fill its last character.
    Clean,
    /// Bits that are set, or a character too many: the text was cut inside a byte, or is damaged.
    LeftOver,
}

/// Decodes as many whole bytes as there are. A strict decoder would call each cut text damaged.
fn decode_base32(text: &str) -> Result<(Zeroizing<Vec<u8>>, Tail), InvitationError> {
    let mut raw = Zeroizing::new(Vec::with_capacity(INVITATION_TEXT_MAX_BYTES));
    let (mut pending, mut pending_bits) = (0_u16, 0_u32);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return Err(InvitationError::Damaged),
        };
        pending = (pending << 5) | u16::from(value);
        pending_bits += 5;
        if pending_bits >= 8 {
            pending_bits -= 8;
            raw.push((pending >> pending_bits).to_le_bytes()[0]);
            pending &= (1 << pending_bits) - 1;
        }
    }
    let tail = if pending == 0 && pending_bits < 5 { Tail::Clean } else { Tail::LeftOver };
    Ok((raw, tail))
}

/// Reads parts from the front; what is not there was cut off.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], InvitationError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(InvitationError::CutShort)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8, InvitationError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn address(&mut self) -> Result<DialAddress, InvitationError> {
        let host = match self.u8()? {
            4 => Host::Ip4(Ipv4Addr::from(self.array::<4>()?)),
            6 => Host::Ip6(Ipv6Addr::from(self.array::<16>()?)),
            1 => Host::Dns(self.host_name()?),
            _ => return Err(InvitationError::Damaged),
        };
        let transport = match self.u8()? {
            1 => Transport::Tcp,
            2 => Transport::Quic,
            _ => return Err(InvitationError::Damaged),
        };
        Ok(DialAddress { host, transport, port: u16::from_le_bytes(self.array()?) })
    }

    fn host_name(&mut self) -> Result<String, InvitationError> {
        let length = usize::from(self.u8()?);
        let (name, rest) = self.0.split_at_checked(length).ok_or(InvitationError::CutShort)?;
        self.0 = rest;
        String::from_utf8(name.to_vec()).map_err(|_| InvitationError::Damaged)
    }
}

#[cfg(test)]
mod tests;
