//! The 56 bytes at the front of an envelope. All numbers are little-endian.

use std::ops::Range;

use super::packing::Compression;
use super::{Refused, flag};

/// No UTF-8, pickle, JSON or zstd frame begins with the first byte.
pub const MAGIC: [u8; 2] = *b"\xf5T";
/// The version of the format that is written, and the only one that is read.
pub const FORMAT: u8 = 1;
/// The length of a header.
pub const LEN: usize = 56;
/// Up to here, the checksum covers the header.
pub const CHECKED: usize = 48;
/// The length of a MAC.
pub const MAC_LEN: usize = 16;
/// The most tags that an envelope has room for: the length of the extension is one byte of words, and
/// the first is the epoch.
pub const MAX_TAGS: usize = u8::MAX as usize - 1;

/// The fields of a header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// A set of [`flag`]s.
    pub flags: u8,
    /// What wrote the payload.
    pub serializer: u8,
    /// The number of the [`Compression`], or 0.
    pub codec: u8,
    /// The key of the MAC and of the encryption, or 0.
    pub key_id: u8,
    /// The length of the extension in words of eight bytes.
    pub words: u8,
    /// The version of the code that uses the cache.
    pub schema: u32,
    /// The length of the payload before it was compressed.
    pub raw_len: u32,
    /// Orders the values of a key; 0 is unknown.
    pub version: u64,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Seconds from then on for which the value is fresh.
    pub soft: f32,
    /// Seconds from then on after which the value is gone.
    pub hard: f32,
    /// How long the value took to make, in tenths of a millisecond.
    pub cost: u32,
    /// The length of the payload as it is written.
    pub payload_len: u32,
    /// The checksum.
    pub checksum: u64,
}

impl Header {
    /// Reads the front of an envelope; what follows the header may be missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let Some(bytes) = bytes.first_chunk::<LEN>() else {
            return Err(match bytes.starts_with(&MAGIC) {
                true => Refused::Length,
                false => Refused::Magic,
            });
        };
        if !bytes.starts_with(&MAGIC) {
            return Err(Refused::Magic);
        }
        let header = Self {
            flags: bytes[3],
            serializer: bytes[4],
            codec: bytes[5],
            key_id: bytes[6],
            words: bytes[7],
            schema: u32::from_le_bytes(at(bytes, 8)),
            raw_len: u32::from_le_bytes(at(bytes, 12)),
            version: u64::from_le_bytes(at(bytes, 16)),
            created_ms: u64::from_le_bytes(at(bytes, 24)),
            soft: f32::from_le_bytes(at(bytes, 32)),
            hard: f32::from_le_bytes(at(bytes, 36)),
            cost: u32::from_le_bytes(at(bytes, 40)),
            payload_len: u32::from_le_bytes(at(bytes, 44)),
            checksum: u64::from_le_bytes(at(bytes, CHECKED)),
        };
        if bytes[2] != FORMAT || header.flags & !flag::ALL != 0 {
            return Err(Refused::Format);
        }
        Ok(header)
    }

    /// The header as bytes.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut put = |offset: usize, field: &[u8]| {
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &MAGIC);
        put(2, &[FORMAT, self.flags, self.serializer, self.codec]);
        put(6, &[self.key_id, self.words]);
        put(8, &self.schema.to_le_bytes());
        put(12, &self.raw_len.to_le_bytes());
        put(16, &self.version.to_le_bytes());
        put(24, &self.created_ms.to_le_bytes());
        put(32, &self.soft.to_le_bytes());
        put(36, &self.hard.to_le_bytes());
        put(40, &self.cost.to_le_bytes());
        put(44, &self.payload_len.to_le_bytes());
        put(CHECKED, &self.checksum.to_le_bytes());
        bytes
    }

    /// Whether all of these flags are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// How the payload is compressed, if it is.
    pub fn compression(&self) -> Result<Option<Compression>, Refused> {
        match (self.codec, self.has(flag::COMPRESSED)) {
            (0, false) => Ok(None),
            (codec, true) => Compression::of(codec).map(Some).ok_or(Refused::Codec),
            _ => Err(Refused::Codec),
        }
    }

    /// Where the payload is.
    pub fn payload(&self) -> Range<usize> {
        let start = LEN + 8 * usize::from(self.words);
        start..start + self.payload_len as usize
    }

    /// The length of the envelope.
    pub fn total(&self) -> usize {
        self.payload().end + if self.has(flag::MAC) { MAC_LEN } else { 0 }
    }

    /// Whether the value is gone at this time. A clock that went backwards says that no time has passed,
    /// and a lifetime that is no number has none left.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        let age = now_ms.saturating_sub(self.created_ms) as f64 / 1000.0;
        let left = f64::from(self.hard) - age;
        left.is_nan() || left <= 0.0
    }

    /// The epoch at which the value's load began, and the hashes of its tags, as far as they are there.
    pub fn extension(&self, envelope: &[u8]) -> (Option<u64>, Vec<u64>) {
        let end = self.payload().start;
        let mut words = envelope
            .get(LEN..end)
            .unwrap_or_default()
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(at(word, 0)));
        (words.next(), words.collect())
    }
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}
