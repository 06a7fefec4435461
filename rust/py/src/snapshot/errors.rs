//! What is raised when a snapshot cannot be written or read.

use std::io;
use std::path::Path;

use overdrive_core::snapshot::{Fault, VERSION};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError};
use pyo3::prelude::*;

use super::MAX_DEPTH;
use super::encode::Reason;
use crate::import::Imported;

static ERROR: Imported = Imported::new("overdrive.exceptions", "SnapshotError");
static FOREIGN: Imported = Imported::new("overdrive.exceptions", "NotASnapshotError");
static DAMAGED: Imported = Imported::new("overdrive.exceptions", "DamagedSnapshotError");
static VERSION_UNKNOWN: Imported = Imported::new("overdrive.exceptions", "SnapshotVersionError");

fn new(py: Python<'_>, class: &Imported, message: String) -> PyErr {
    match class.get(py).and_then(|class| class.call1((message,))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// A `SnapshotError`.
pub fn general(py: Python<'_>, message: String) -> PyErr {
    new(py, &ERROR, message)
}

/// A `DamagedSnapshotError` about what is at this offset.
pub fn damaged(py: Python<'_>, path: &Path, offset: u64, what: &str) -> PyErr {
    let message = format!("snapshot {path:?} is damaged: {what} (at byte {offset})");
    new(py, &DAMAGED, message)
}

/// A `NotASnapshotError` about what the file is not.
pub fn foreign(py: Python<'_>, path: &Path, what: &str) -> PyErr {
    new(py, &FOREIGN, format!("{path:?} is not a snapshot: {what}"))
}

/// The exception for a file that is not read.
pub fn of_fault(py: Python<'_>, path: &Path, fault: Fault) -> PyErr {
    match fault {
        Fault::Foreign => foreign(py, path, "it does not begin as snapshots do"),
        Fault::Version(version) => {
            let message = format!(
                "snapshot {path:?} is of version {version} of the format; this release reads version {VERSION}"
            );
            new(py, &VERSION_UNKNOWN, message)
        }
        Fault::Damaged { offset, what } => damaged(py, path, offset, what),
        Fault::Io(error) => of_system(path, &error),
        Fault::Memory(bytes) => PyMemoryError::new_err(format!(
            "snapshot {path:?} has a block of {bytes} bytes, for which there is no memory"
        )),
    }
}

/// The `OSError` that Python's own `open` would raise, of the subclass for its number.
pub fn of_system(path: &Path, error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            // Rust appends the number, which Python shows in front.
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
            PyOSError::new_err((number, text, path.as_os_str().to_owned()))
        }
        None => PyOSError::new_err(format!("{path:?}: {error}")),
    }
}

/// The exception for a value that is not written; `place` says where it is.
pub fn of_refusal(py: Python<'_>, place: &str, reason: &Reason) -> PyErr {
    match reason {
        Reason::Type(name) => PyTypeError::new_err(format!(
            "{place}: overdrive cannot store {name} in a snapshot; pass codec=..."
        )),
        Reason::Cycle => general(
            py,
            format!("{place}: overdrive cannot store a value that contains itself in a snapshot"),
        ),
        Reason::Size => general(
            py,
            format!("{place}: the value is too large for a snapshot"),
        ),
        Reason::Depth => general(
            py,
            format!(
                "{place}: overdrive cannot store values that nest deeper than {MAX_DEPTH} in a snapshot"
            ),
        ),
    }
}
