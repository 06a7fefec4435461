//! Snapshot files: records of a cache, as bytes and back.
//!
//! `docs/snapshots.md` describes the format. The frame with its checksums is `overdrive-core`'s; here
//! are the records inside of its blocks.
//!
//! - `tag`: the byte in front of each value.
//! - `encode`, `decode`: values of built-in types.
//! - `calendar`: dates, times, time zones; `identity`: other types of the standard library.
//! - `arrays`: numpy, which is imported only where there is such a value.
//! - `draft`: a file that replaces another one when it is complete.
//! - `write`, `read`: whole files; `errors`: what is raised when that fails.
//!
//! Nothing here runs inside of a critical region: the records are the caller's own references.
//! Values may change while they are written, so that containers are copied before their items are
//! looked at; the interpreter is released while bytes go to or come from the file.

mod arrays;
mod calendar;
pub mod decode;
mod draft;
pub mod encode;
mod errors;
mod identity;
pub mod read;
mod tag;
pub mod write;

/// How deep values may nest: deep enough for data, shallow enough for the smallest thread's stack.
pub const MAX_DEPTH: usize = 100;

/// Flags of the header: who else has to be asked to read the file.
mod flag {
    /// Values may be pickles.
    pub const PICKLE: u16 = 1;
    /// Values may be in the form of the writer's own codec.
    pub const CODEC: u16 = 2;
}

/// The first byte of a record: which of its optional fields are there.
mod field {
    pub const TTL: u8 = 1;
    pub const IDLE: u8 = 2;
    pub const WEIGHT: u8 = 4;
    pub const TAGS: u8 = 8;
    pub const PINNED: u8 = 16;
    pub const ALL: u8 = 31;
}
