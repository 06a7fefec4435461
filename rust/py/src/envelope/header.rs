//! What an envelope says about its value.

use overdrive_core::envelope::{self, flag};
use pyo3::prelude::*;

/// What an envelope says about its value; immutable.
#[pyclass(module = "overdrive._core", frozen)]
pub struct Header {
    header: envelope::Header,
    epoch: Option<u64>,
    tags: Vec<u64>,
}

impl Header {
    pub fn new(header: envelope::Header, envelope: &[u8]) -> Self {
        let (epoch, tags) = header.extension(envelope);
        Self {
            header,
            epoch,
            tags,
        }
    }
}

#[pymethods]
impl Header {
    /// A set of flags: 1 compressed, 2 null, 4 MAC, 8 encrypted, 16 buffers, 32 tombstone.
    #[getter]
    fn flags(&self) -> u8 {
        self.header.flags
    }

    /// Whether the entry says that there is no value.
    #[getter]
    fn null(&self) -> bool {
        self.header.has(flag::NULL)
    }

    /// Whether the entry says that the value was deleted.
    #[getter]
    fn tombstone(&self) -> bool {
        self.header.has(flag::TOMBSTONE)
    }

    /// The number of what wrote the payload.
    #[getter]
    fn serializer(&self) -> u8 {
        self.header.serializer
    }

    /// How the payload is compressed: 0 not at all, 1 zstd, 2 LZ4.
    #[getter]
    fn codec(&self) -> u8 {
        self.header.codec
    }

    /// The id of the key that it is sealed with, or 0.
    #[getter]
    fn key_id(&self) -> u8 {
        self.header.key_id
    }

    /// The version of the code that wrote the value.
    #[getter]
    fn schema(&self) -> u32 {
        self.header.schema
    }

    /// Orders the values of a key.
    #[getter]
    fn version(&self) -> u64 {
        self.header.version
    }

    /// Milliseconds since 1970.
    #[getter]
    fn created_ms(&self) -> u64 {
        self.header.created_ms
    }

    /// Seconds from `created_ms` on for which the value is fresh.
    #[getter]
    fn soft(&self) -> f32 {
        self.header.soft
    }

    /// Seconds from `created_ms` on after which the value is gone.
    #[getter]
    fn hard(&self) -> f32 {
        self.header.hard
    }

    /// Seconds that it took to make the value.
    #[getter]
    fn cost(&self) -> f64 {
        f64::from(self.header.cost) / super::sealer::COST_UNITS
    }

    /// When the value's load began, by the clock of tags; None if unknown or beyond what was read.
    #[getter]
    fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// The hashes of the value's tags, as far as they were read.
    #[getter]
    fn tags(&self) -> Vec<u64> {
        self.tags.clone()
    }

    /// The length of the payload before it was compressed, in bytes.
    #[getter]
    fn raw_length(&self) -> u32 {
        self.header.raw_len
    }

    /// The length of the payload as it is written, in bytes.
    #[getter]
    fn payload_length(&self) -> u32 {
        self.header.payload_len
    }

    /// The length of the envelope, in bytes.
    #[getter]
    fn total_length(&self) -> usize {
        self.header.total()
    }

    fn __repr__(&self) -> String {
        let header = &self.header;
        format!(
            "Header(version={}, created_ms={}, soft={}, hard={}, serializer={}, codec={}, flags={}, \
             raw_length={}, payload_length={})",
            header.version,
            header.created_ms,
            header.soft,
            header.hard,
            header.serializer,
            header.codec,
            header.flags,
            header.raw_len,
            header.payload_len,
        )
    }
}
