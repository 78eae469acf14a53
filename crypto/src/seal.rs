//! Sealing: the one way in which anything is encrypted, at rest and in transit.
//!
//! ChaCha20-Poly1305 alone does not commit to its key: a ciphertext that opens under two keys takes one try to make. So each
//! sealed thing carries `com`, a hash that binds key, nonce, domain, suite and AAD; [`open`] recomputes it and refuses before
//! it decrypts. The nonce is a hash of fresh randomness *and* of what is sealed, so that a stuck generator, or a virtual
//! machine woken twice from one snapshot, repeats a nonce only for the same message.
//!
//! ```text
//! sealed = version:1 ‖ suite:2 ‖ nonce:24 ‖ com:32 ‖ ciphertext
//! ```
//! A padded plaintext above 64 KiB is cut into chunks that share key and commitment (suite `Suite::Chunked`); each chunk's
//! index and "this is the last" stand in its AAD, so that dropping, swapping or repeating chunks refuses.
//!
//! The AAD says what is sealed and where it belongs. The opener *builds* it with [`Aad`] from what it asked for, and never
//! reads it from the message: that is what keeps a cell from being moved to another field.

use std::fmt;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::key::{SecretKey, ct_eq, hkdf, hmac32, sha256};
use crate::limits::{PADDED_MIN_BYTES, SEAL_CHUNK_BYTES};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const COMMITMENT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + 2 + NONCE_BYTES + COMMITMENT_BYTES;
const LENGTH_BYTES: usize = 4;

/// By how much a sealed thing of one piece is longer than its (padded) plaintext.
pub const SEAL_OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// What a key may seal: one key serves one domain, so that nothing made in one place opens in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// The vault key, under what the passphrase or the phrase yields.
    VaultSlot,
    /// All that the vault holds, under the vault key.
    VaultContent,
    /// A data key at rest, under the key of its bucket.
    BucketKeys,
    /// One stored row, under its data key.
    Row,
    /// The kept part of an entry, under its body key.
    EntryBody,
    /// The delivered part of an entry, under its payload key.
    EntryPayload,
    /// One field's value, under its field key or, for a `*` selector, under the key of its record.
    Cell,
    /// Requests and answers of one session, under the key of one direction.
    SessionMessage,
    /// The last two messages of a pairing, and what each side calls itself beside them, each under a key of its own.
    PairingMessage,
    /// A part of a backup file.
    Backup,
}

impl Domain {
    /// Every domain there is, for tests and documents.
    pub const ALL: [Domain; 10] = [
        Domain::VaultSlot,
        Domain::VaultContent,
        Domain::BucketKeys,
        Domain::Row,
        Domain::EntryBody,
        Domain::EntryPayload,
        Domain::Cell,
        Domain::SessionMessage,
        Domain::PairingMessage,
        Domain::Backup,
    ];

    /// The bytes that stand for this domain in every derivation. They never change: what was sealed opens by them.
    pub const fn as_str(self) -> &'static str {
        match self {
            Domain::VaultSlot => "allod/vault-slot/1",
            Domain::VaultContent => "allod/vault-content/1",
            Domain::BucketKeys => "allod/bucket-keys/1",
            Domain::Row => "allod/row/1",
            Domain::EntryBody => "allod/entry-body/1",
            Domain::EntryPayload => "allod/entry-payload/1",
            Domain::Cell => "allod/cell/1",
            Domain::SessionMessage => "allod/session-message/1",
            Domain::PairingMessage => "allod/pairing-message/1",
            Domain::Backup => "allod/backup/1",
        }
    }
}

/// How the length of a plaintext is hidden. Sealer and opener agree on it by the kind of thing; it is never in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// To the next Padmé size, 256 bytes at least: the length leaks O(log log n) bits and grows by 12 % at most.
    Padme,
    /// As it is: for keys, and for what holds nothing but padded things.
    None,
}

/// It does not open. Why is not said, since the cause would help a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this does not open with this key in this place")]
pub struct OpenError;

/// Builds the AAD of one kind of thing: the kind, then parts that each have a fixed width or a length in front.
///
/// Two kinds never share a name, and one kind always has the same parts in the same order.
#[derive(Clone, Debug)]
pub struct Aad(Vec<u8>);

impl Aad {
    /// # Panics
    /// If the kind is longer than 255 bytes; kinds are short words in the source.
    pub fn new(kind: &[u8]) -> Aad {
        let length = u8::try_from(kind.len()).expect("kinds are short words in the source");
        let mut bytes = Vec::with_capacity(192);
        bytes.push(length);
        bytes.extend_from_slice(kind);
        Aad(bytes)
    }

    pub fn u8(mut self, value: u8) -> Aad {
        self.0.push(value);
        self
    }

    pub fn u16(mut self, value: u16) -> Aad {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Aad {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Aad {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn id(mut self, id: &[u8; 16]) -> Aad {
        self.0.extend_from_slice(id);
        self
    }

    pub fn hash(mut self, hash: &[u8; 32]) -> Aad {
        self.0.extend_from_slice(hash);
        self
    }

    /// # Panics
    /// If the part is 4 GiB or longer; nothing that the protocol names is.
    pub fn bytes(self, part: &[u8]) -> Aad {
        self.joined(&[part])
    }

    /// One part that is made of pieces.
    ///
    /// # Panics
    /// As [`Aad::bytes`].
    pub fn joined(mut self, pieces: &[&[u8]]) -> Aad {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let length = u32::try_from(length).expect("no named part reaches 4 GiB");
        self.0.extend_from_slice(&length.to_le_bytes());
        for piece in pieces {
            self.0.extend_from_slice(piece);
        }
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Seals `plaintext` so that it opens under this key, in this domain and with this AAD, and nowhere else.
///
/// # Panics
/// If the plaintext is 4 GiB or longer; the largest thing that is ever sealed is one message of 1 MiB.
pub fn seal(
    key: &SecretKey,
    domain: Domain,
    aad: &[u8],
    plaintext: &[u8],
    padding: Padding,
    dice: &mut dyn CryptoRng,
) -> Vec<u8> {
    seal_behind(&[], key, domain, aad, plaintext, padding, dice)
}

/// The same, behind bytes that are not sealed: they only save their caller a copy.
///
/// # Panics
/// As [`seal`].
pub fn seal_behind(
    front: &[u8],
    key: &SecretKey,
    domain: Domain,
    aad: &[u8],
    plaintext: &[u8],
    padding: Padding,
    dice: &mut dyn CryptoRng,
) -> Vec<u8> {
    let aad_hash = sha256(&[aad]);
    let nonce = hedged_nonce(key, &aad_hash, plaintext, dice);
    let body_bytes = body_length(plaintext.len(), padding);
    let suite = Suite::for_body(body_bytes);
    let (cipher, commitment) = committed_cipher(key, domain, suite, &nonce, &aad_hash);

    // Filled to exactly this size: a buffer that grew would leave plaintext behind in the one it outgrew.
    let mut sealed = Vec::with_capacity(front.len() + HEADER_BYTES + body_bytes + suite.chunks(body_bytes) * TAG_BYTES);
    sealed.extend_from_slice(front);
    sealed.push(VERSION);
    sealed.extend_from_slice(&suite.number().to_le_bytes());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&commitment);
    match suite {
        Suite::Whole => {
            let start = sealed.len();
            push_body(&mut sealed, plaintext, padding, body_bytes);
            let tag = encrypt(&cipher, &Nonce::default(), &aad_hash, &mut sealed[start..]);
            sealed.extend_from_slice(&tag);
        }
        Suite::Chunked => {
            let mut body = Zeroizing::new(Vec::with_capacity(body_bytes));
            push_body(&mut body, plaintext, padding, body_bytes);
            let last = suite.chunks(body_bytes) - 1;
            for (index, chunk) in body.chunks(SEAL_CHUNK_BYTES).enumerate() {
                let start = sealed.len();
                sealed.extend_from_slice(chunk);
                let place = ChunkPlace::new(index, index == last);
                let tag = encrypt(&cipher, &place.nonce(), &place.aad(&aad_hash), &mut sealed[start..]);
                sealed.extend_from_slice(&tag);
            }
        }
    }
    sealed
}

/// Opens what [`seal`] made with the same key, domain, AAD and padding.
///
/// # Errors
/// [`OpenError`] if any of them differs or any byte was changed, added or taken away.
pub fn open(
    key: &SecretKey,
    domain: Domain,
    aad: &[u8],
    sealed: &[u8],
    padding: Padding,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    SealedKey::of(key, domain, aad, sealed)?.open(sealed, padding)
}

/// All that [`open`] derives to open one sealed thing, for whoever opens it again and again: half of the work, and nothing of what it holds.
pub struct SealedKey {
    /// The thing's own header: nonce and commitment, so that it opens this thing and no other.
    header: [u8; HEADER_BYTES],
    suite: Suite,
    aad_hash: [u8; 32],
    cipher: ChaCha20Poly1305,
}

impl SealedKey {
    /// The key of what was sealed with this key, domain and AAD.
    ///
    /// # Errors
    /// [`OpenError`] if it was sealed with others.
    pub fn of(key: &SecretKey, domain: Domain, aad: &[u8], sealed: &[u8]) -> Result<SealedKey, OpenError> {
        let header = *sealed.first_chunk::<HEADER_BYTES>().ok_or(OpenError)?;
        let (version_and_suite, rest) = header.split_at(3);
        let (nonce, commitment) = rest.split_at(NONCE_BYTES);
        if version_and_suite[0] != VERSION {
            return Err(OpenError);
        }
        let suite = Suite::from_number(u16::from_le_bytes([version_and_suite[1], version_and_suite[2]]))?;
        let aad_hash = sha256(&[aad]);
        let (cipher, expected) = committed_cipher(key, domain, suite, nonce, &aad_hash);
        if !ct_eq(&expected, commitment) {
            return Err(OpenError);
        }
        Ok(SealedKey { header, suite, aad_hash, cipher })
    }

    /// Opens the thing that this is the key of.
    ///
    /// # Errors
    /// [`OpenError`] if it is another, or any byte was changed, added or taken away.
    pub fn open(&self, sealed: &[u8], padding: Padding) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let ciphertext = sealed.strip_prefix(&self.header).ok_or(OpenError)?;
        let body = match self.suite {
            Suite::Whole => open_whole(&self.cipher, &self.aad_hash, ciphertext)?,
            Suite::Chunked => open_chunks(&self.cipher, &self.aad_hash, ciphertext)?,
        };
        match padding {
            Padding::None => Ok(body),
            Padding::Padme => without_padding(body),
        }
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedKey(..)")
    }
}

/// How many bytes a plaintext of this length becomes before it is encrypted.
pub fn body_length(plaintext_bytes: usize, padding: Padding) -> usize {
    match padding {
        Padding::None => plaintext_bytes,
        Padding::Padme => padme(LENGTH_BYTES + plaintext_bytes).max(PADDED_MIN_BYTES),
    }
}

/// The algorithms behind a sealed thing. Both are HKDF-SHA256 with ChaCha20-Poly1305; they differ in how the body is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suite {
    /// A body of at most 64 KiB, in one piece.
    Whole,
    /// A larger one, in pieces of 64 KiB.
    Chunked,
}

impl Suite {
    fn for_body(body_bytes: usize) -> Suite {
        if body_bytes <= SEAL_CHUNK_BYTES { Suite::Whole } else { Suite::Chunked }
    }

    fn number(self) -> u16 {
        match self {
            Suite::Whole => 2,
            Suite::Chunked => 3,
        }
    }

    fn from_number(number: u16) -> Result<Suite, OpenError> {
        match number {
            2 => Ok(Suite::Whole),
            3 => Ok(Suite::Chunked),
            _ => Err(OpenError),
        }
    }

    fn chunks(self, body_bytes: usize) -> usize {
        match self {
            Suite::Whole => 1,
            Suite::Chunked => body_bytes.div_ceil(SEAL_CHUNK_BYTES),
        }
    }
}

/// Where one chunk stands in its body.
struct ChunkPlace {
    index: u32,
    is_last: bool,
}

impl ChunkPlace {
    fn new(index: usize, is_last: bool) -> ChunkPlace {
        let index = u32::try_from(index).expect("a body is shorter than 4 GiB, so it has fewer than 2^16 chunks");
        ChunkPlace { index, is_last }
    }

    /// All chunks of one body are encrypted with one key, so their nonces must differ.
    fn nonce(&self) -> Nonce {
        let mut nonce = Nonce::default();
        nonce[..4].copy_from_slice(&self.index.to_le_bytes());
        nonce
    }

    fn aad(&self, aad_hash: &[u8; 32]) -> [u8; 37] {
        let mut aad = [0; 37];
        aad[..32].copy_from_slice(aad_hash);
        aad[32..36].copy_from_slice(&self.index.to_le_bytes());
        aad[36] = u8::from(self.is_last);
        aad
    }
}

fn hedged_nonce(key: &SecretKey, aad_hash: &[u8; 32], plaintext: &[u8], dice: &mut dyn CryptoRng) -> [u8; NONCE_BYTES] {
    let hedge_key = key.derive(b"allod/hedge/1");
    let mut fresh = Zeroizing::new([0; 32]);
    dice.fill_bytes(fresh.as_mut_slice());
    let plaintext_hash = Zeroizing::new(sha256(&[plaintext]));
    let mac = hmac32(&hedge_key, &[fresh.as_slice(), aad_hash, plaintext_hash.as_slice()]);
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&mac[..NONCE_BYTES]);
    nonce
}

fn committed_cipher(
    key: &SecretKey,
    domain: Domain,
    suite: Suite,
    nonce: &[u8],
    aad_hash: &[u8; 32],
) -> (ChaCha20Poly1305, [u8; COMMITMENT_BYTES]) {
    let name = domain.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("domain names are short words in this file");
    let mut okm = Zeroizing::new([0; 64]);
    hkdf(
        nonce,
        &[key.expose()],
        &[&[length], name, &[VERSION], &suite.number().to_le_bytes(), aad_hash],
        okm.as_mut_slice(),
    );
    let cipher = ChaCha20Poly1305::new_from_slice(&okm[..32]).expect("the key is 32 bytes");
    let mut commitment = [0; COMMITMENT_BYTES];
    commitment.copy_from_slice(&okm[32..]);
    (cipher, commitment)
}

fn encrypt(cipher: &ChaCha20Poly1305, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag {
    cipher
        .encrypt_inout_detached(nonce, aad, buffer.into())
        .expect("ChaCha20 takes up to 256 GiB, and a body is shorter than 4 GiB")
}

fn decrypt(
    cipher: &ChaCha20Poly1305,
    nonce: &Nonce,
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8],
) -> Result<(), OpenError> {
    let tag = Tag::try_from(tag).map_err(|_| OpenError)?;
    cipher.decrypt_inout_detached(nonce, aad, buffer.into(), &tag).map_err(|_| OpenError)
}

fn open_whole(
    cipher: &ChaCha20Poly1305,
    aad_hash: &[u8; 32],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let body_bytes = ciphertext.len().checked_sub(TAG_BYTES).ok_or(OpenError)?;
    if body_bytes > SEAL_CHUNK_BYTES {
        return Err(OpenError);
    }
    let (encrypted, tag) = ciphertext.split_at(body_bytes);
    let mut body = Zeroizing::new(encrypted.to_vec());
    decrypt(cipher, &Nonce::default(), aad_hash, &mut body, tag)?;
    Ok(body)
}

fn open_chunks(
    cipher: &ChaCha20Poly1305,
    aad_hash: &[u8; 32],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut chunks = ciphertext.chunks(SEAL_CHUNK_BYTES + TAG_BYTES).enumerate().peekable();
    let mut body = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    while let Some((index, chunk)) = chunks.next() {
        let is_last = chunks.peek().is_none();
        let place = ChunkPlace::new(index, is_last);
        let (encrypted, tag) = chunk.split_at_checked(chunk.len().wrapping_sub(TAG_BYTES)).ok_or(OpenError)?;
        if encrypted.is_empty() {
            return Err(OpenError);
        }
        let start = body.len();
        body.extend_from_slice(encrypted);
        decrypt(cipher, &place.nonce(), &place.aad(aad_hash), &mut body[start..], tag)?;
    }
    // One body has one sealed form: what fits in one piece is never cut.
    if body.len() <= SEAL_CHUNK_BYTES {
        return Err(OpenError);
    }
    Ok(body)
}

fn push_body(out: &mut Vec<u8>, plaintext: &[u8], padding: Padding, body_bytes: usize) {
    let end = out.len() + body_bytes;
    if padding == Padding::Padme {
        let length = u32::try_from(plaintext.len()).expect("the largest thing sealed is one message of 1 MiB");
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(plaintext);
    out.resize(end, 0);
}

/// Takes the padding off, and refuses any that [`seal`] would not have put there.
fn without_padding(mut body: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (length, rest) = body.split_first_chunk::<LENGTH_BYTES>().ok_or(OpenError)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| OpenError)?;
    if length > rest.len() || body_length(length, Padding::Padme) != body.len() {
        return Err(OpenError);
    }
    if rest[length..].iter().any(|byte| *byte != 0) {
        return Err(OpenError);
    }
    body.copy_within(LENGTH_BYTES..LENGTH_BYTES + length, 0);
    body.truncate(length);
    Ok(body)
}

/// The Padmé size: the length rounded up so that only its highest log2(log2(length)) + 1 bits can be set.
fn padme(length: usize) -> usize {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let mask = (1_usize << (exponent - kept_bits.min(exponent))) - 1;
    (length + mask) & !mask
}

#[cfg(test)]
mod tests;
