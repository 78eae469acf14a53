//! The one place where bytes become values and values bytes.
//!
//! bincode 2.0.1 with its standard configuration, and four rules on top, each for a hazard that was measured: the input is capped before
//! decoding (length bombs), trailing bytes are refused, what was decoded is encoded again and must come out the same (over-long integers
//! otherwise pass), and each message begins with a `u16` version. Wire types hold no maps, floats, `usize` or recursion.

use bincode::{
    config::{Configuration, Limit, LittleEndian, Varint},
    enc::write::{SizeWriter, Writer},
    error::EncodeError,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::limits::MESSAGE_MAX_BYTES;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than anything of this type may be.
    #[error("too large")]
    TooLarge,
    /// Written by a newer version.
    #[error("version {0} is newer than this program")]
    Newer(u16),
    /// Not a canonical encoding of this type.
    #[error("malformed")]
    Malformed,
}

const CONFIG: Configuration<LittleEndian, Varint, Limit<{ MESSAGE_MAX_BYTES }>> =
    bincode::config::standard().with_limit::<{ MESSAGE_MAX_BYTES }>();

/// A type that stands in a message, an entry or a row: its version is the first two bytes.
pub trait Coded: Serialize + DeserializeOwned {
    /// The version that this program writes, and the newest that it reads.
    const VERSION: u16 = 1;
    /// The longest encoding, in bytes, version included.
    const MAX_BYTES: usize = MESSAGE_MAX_BYTES;

    /// The canonical bytes.
    fn encode(&self) -> Vec<u8> {
        // Filled to exactly this size: a buffer that grew would leave plaintext behind in the one it outgrew.
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        bytes.extend_from_slice(&Self::VERSION.to_le_bytes());
        write(self, &mut Appending(&mut bytes));
        bytes
    }

    /// How many bytes [`Coded::encode`] yields, without yielding them.
    fn encoded_bytes(&self) -> usize {
        let mut counted = SizeWriter::default();
        write(self, &mut counted);
        size_of::<u16>() + counted.bytes_written
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(DecodeError::TooLarge);
        }
        let (version, body) = bytes.split_first_chunk::<2>().ok_or(DecodeError::Malformed)?;
        let version = u16::from_le_bytes(*version);
        if version > Self::VERSION {
            return Err(DecodeError::Newer(version));
        }
        if version != Self::VERSION {
            return Err(DecodeError::Malformed);
        }
        let (value, read): (Self, usize) =
            bincode::serde::decode_from_slice(body, CONFIG).map_err(|_| DecodeError::Malformed)?;
        if read != body.len() || !is_encoding_of(&value, body) {
            return Err(DecodeError::Malformed);
        }
        Ok(value)
    }
}

fn write<T: Serialize>(value: &T, to: &mut impl Writer) {
    bincode::serde::encode_into_writer(value, to, CONFIG).expect("wire types are within the cap and always encode");
}

/// Whether the value's encoding is `body`: compared as it comes, and never put together.
fn is_encoding_of<T: Serialize>(value: &T, body: &[u8]) -> bool {
    let mut same = Same(body);
    bincode::serde::encode_into_writer(value, &mut same, CONFIG).is_ok() && same.0.is_empty()
}

struct Appending<'b>(&'b mut Vec<u8>);

impl Writer for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// What is still to come if all is to be the same.
struct Same<'b>(&'b [u8]);

impl Writer for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0 = self.0.strip_prefix(bytes).ok_or(EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u64,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        list: Vec<u16>,
    }

    impl Coded for Sample {
        const MAX_BYTES: usize = 4096;
    }

    fn sample() -> Sample {
        Sample { number: 5, bytes: vec![1, 2, 3], list: vec![7] }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        assert_eq!(Sample::decode(&sample().encode()), Ok(sample()));
        assert_eq!(sample().encode(), [1, 0, 5, 3, 1, 2, 3, 1, 7]);
        assert_eq!(sample().encoded_bytes(), 9);
    }

    #[test]
    fn an_over_long_integer_is_refused() {
        assert_eq!(Sample::decode(&[1, 0, 251, 5, 0, 3, 1, 2, 3, 1, 7]), Err(DecodeError::Malformed));
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        let mut bytes = sample().encode();
        bytes.push(0);
        assert_eq!(Sample::decode(&bytes), Err(DecodeError::Malformed));
        for length in 0..bytes.len() - 1 {
            assert_eq!(Sample::decode(&bytes[..length]), Err(DecodeError::Malformed), "{length} bytes");
        }
    }

    #[test]
    fn a_length_bomb_is_refused_without_allocating() {
        let bomb = [1, 0, 5, 253, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(Sample::decode(&bomb), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_newer_version_is_named_and_too_much_is_refused_before_decoding() {
        assert_eq!(Sample::decode(&[2, 0, 5]), Err(DecodeError::Newer(2)));
        assert_eq!(Sample::decode(&vec![1; 5000]), Err(DecodeError::TooLarge));
        assert_eq!(Sample::decode(&[0, 0, 5, 0, 0]), Err(DecodeError::Malformed));
    }
}
