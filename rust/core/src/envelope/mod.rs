//! The envelope in which values leave memory: what surrounds a payload in Redis and on the disk.
//!
//! `docs/envelope.md` describes the format byte by byte. In short: a header of 56 bytes, an extension
//! with the tags, the payload, and a MAC. The namespace and the key are part of what is checked, but
//! not of what is written, so that a value that is found under another key is refused.
//!
//! - [`header`]: the fields.
//! - [`packing`]: compression, and the bound on what comes out of it again.
//! - [`keyring`]: MACs and encryption.
//! - [`sealer`]: envelopes whole.
//!
//! Nothing here trusts a length before it has compared it with what is there, makes room for more than
//! a value may have, or looks into a payload whose MAC it has not checked.

pub mod header;
pub mod keyring;
pub mod packing;
pub mod sealer;

pub use header::Header;
pub use keyring::KeyMaterial;
pub use packing::Compression;
pub use sealer::{Config, Frame, Message, Sealer, Unsealable};
/// The hash of tags, and of what envelopes are checked by.
pub use xxhash_rust::xxh3::xxh3_64;

/// Bits of the header's flags.
pub mod flag {
    /// The payload is compressed.
    pub const COMPRESSED: u8 = 1;
    /// There was no value, and that is what is remembered.
    pub const NULL: u8 = 2;
    /// A MAC follows the payload.
    pub const MAC: u8 = 4;
    /// The payload is encrypted.
    pub const ENCRYPTED: u8 = 8;
    /// The payload has buffers of its own beside what the serializer wrote.
    pub const BUFFERS: u8 = 16;
    /// The value was deleted, and that is what is remembered.
    pub const TOMBSTONE: u8 = 32;
    /// Those that say something about the value, and not about the envelope.
    pub const OF_VALUES: u8 = NULL | BUFFERS | TOMBSTONE;
    /// All that have a meaning.
    pub const ALL: u8 = OF_VALUES | COMPRESSED | MAC | ENCRYPTED;
}

/// Why an envelope is not opened. To whoever asked for the value, each is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is something other than an envelope.
    Magic,
    /// It is of a version, or has a flag, that this release does not know.
    Format,
    /// It is shorter or longer than its header says.
    Length,
    /// It is larger than values may be, or would be once it is decompressed.
    Bomb,
    /// It has no MAC where one is required, or another one than it should.
    Mac,
    /// It was sealed with a key that is not known here.
    Key,
    /// It is not what was written, or was written under another key.
    Checksum,
    /// Its time is over.
    Expired,
    /// It was written by another version of the code that uses the cache.
    Schema,
    /// It is compressed in a way that is not known here, or is not what the compression made.
    Codec,
}

impl Refused {
    /// How it is counted.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Format => "format",
            Self::Length => "length",
            Self::Bomb => "bomb",
            Self::Mac => "mac",
            Self::Key => "key",
            Self::Checksum => "checksum",
            Self::Expired => "expired",
            Self::Schema => "schema",
            Self::Codec => "codec",
        }
    }
}
