//! Envelopes, for Python: see `overdrive_core::envelope`.
//!
//! - `header`: what an envelope says about its value.
//! - `sealer`: making and opening them.
//! - `exact`: values of built-in types as bytes, and which of them other formats give back as they are.
//!
//! Bytes that Python may change are copied before anything is computed of them. The interpreter is
//! released for large payloads, which are then nobody's but ours.

pub mod exact;
mod header;
mod sealer;

pub use header::Header;
pub use sealer::{Opened, Sealer};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// From this many bytes on, others may run meanwhile; below, it takes longer to let them.
const DETACHED: usize = 32 << 10;

/// Runs something without the interpreter if it is about many bytes.
fn detached<T: Send>(py: Python<'_>, bytes: usize, run: impl FnOnce() -> T + Send) -> T {
    if bytes < DETACHED {
        run()
    } else {
        py.detach(run)
    }
}

/// Some bytes: of an object that cannot change, or those of a buffer as they are now.
enum Immutable<'py> {
    Bytes(Bound<'py, PyBytes>),
    Buffer(PyBuffer<u8>),
}

impl<'py> Immutable<'py> {
    fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        match object.cast_exact::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes.clone())),
            Err(_) => Ok(Self::Buffer(PyBuffer::get(object)?)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes().len(),
            Self::Buffer(buffer) => buffer.len_bytes(),
        }
    }

    /// As an object that cannot change.
    fn into_bytes(self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Buffer(buffer) => {
                PyBytes::new_with(py, buffer.len_bytes(), |out| buffer.copy_to_slice(py, out))
            }
        }
    }

    fn copy_to(&self, py: Python<'_>, out: &mut [u8]) -> PyResult<()> {
        match self {
            Self::Bytes(bytes) => out.copy_from_slice(bytes.as_bytes()),
            Self::Buffer(buffer) => buffer.copy_to_slice(py, out)?,
        }
        Ok(())
    }
}

/// XXH3-64, as it is used for the hashes of tags.
///
/// Cost: O(len(data)).
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn xxh3_64(data: &[u8]) -> u64 {
    overdrive_core::envelope::xxh3_64(data)
}
