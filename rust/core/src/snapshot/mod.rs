//! The frame of snapshot files: what surrounds the records, and finding out that it is damaged.
//!
//! `docs/snapshots.md` describes the format byte by byte. In short: a header, blocks of records and a
//! footer, each with an XXH3-64 of its own; the footer's also covers the frames of all blocks, so that
//! blocks can neither be lost nor change places. The header is written last, which is why a file that
//! was not finished does not even look like a snapshot.
//!
//! What records look like inside of a block is the business of whoever writes them; [`wire`] has the
//! integers and strings that they are made of. Nothing here trusts a length before it has compared it
//! with what is there.

mod reader;
pub mod wire;
mod writer;

use std::io;

pub use reader::{Header, Reader};
pub use writer::Writer;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u16 = 1;

/// As PNG has it: the first byte is no ASCII, and the line feed shows transfers as text.
const MAGIC: [u8; 8] = *b"\x89ODSNAP\n";
const BLOCK: [u8; 4] = *b"BLCK";
const FOOTER: [u8; 4] = *b"DONE";

/// The header up to the metadata.
const HEADER_LEN: usize = 32;
/// A block up to its payload: marker, records, length.
const BLOCK_LEN: usize = 16;
/// The footer up to its digest: marker, blocks, records, length of the file.
const FOOTER_LEN: usize = 28;
const DIGEST_LEN: usize = 8;

/// Why a file is not read.
#[derive(Debug)]
pub enum Fault {
    /// It does not begin as snapshots do.
    Foreign,
    /// It is of another version.
    Version(u16),
    /// What is at this offset is not what was written.
    Damaged {
        /// Of the header, block or footer that is wrong, from the start of the file.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The operating system's reason.
    Io(io::Error),
    /// There is no memory for a block of this many bytes.
    Memory(u64),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}
