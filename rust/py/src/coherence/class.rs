//! The class `Coherence`.

use std::path::PathBuf;
use std::sync::Arc;

use overdrive_core::coherence::{MAX_SLOTS, Table};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use smallvec::SmallVec;

use super::Shared;
use super::memory::Memory;
use crate::number::shown;

/// When names were last invalidated, so that values loaded before that are not returned after it.
///
/// A load takes a *stamp* before it begins; what it gives is current as long as none of its names has
/// been *bumped* since. Names are `bytes`, any number of them; they share `slots` counters by their hash, so
/// a name is now and then invalidated with another one, and never missed. All methods are thread-safe,
/// atomic and O(1) for each name.
///
/// Args:
///     path: a file that the processes of a host share; it is made if it is not there, readable by its
///         owner only. All who open it see each other's invalidations, and so do forked children.
///         `None` for a table in the memory of this process.
///     slots: how many counters of 8 bytes, from 1 to 2**24. All who share a file give the same number.
///
/// Attributes:
///     path, slots: as given.
///     trusted_until: what was last passed to `trust`; `-math.inf` at first.
///
/// Raises:
///     OSError: the file cannot be opened or made.
///     ValueError: `slots` is out of range, or the file holds something else, is damaged, has another number
///         of slots or another owner, or may be written by others.
#[pyclass(frozen, module = "overdrive._core", name = "Coherence")]
pub struct Coherence {
    pub shared: Arc<Shared>,
    path: Option<PathBuf>,
}

type Slots = SmallVec<[u32; 4]>;

/// The slots of names.
pub fn slots_of<'py>(
    table: Table<'_>,
    names: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Slots> {
    names
        .map(|name| {
            let name = name?;
            match name.cast::<PyBytes>() {
                Ok(name) => Ok(table.slot_of(name.as_bytes())),
                Err(_) => Err(PyTypeError::new_err(format!(
                    "a name must be bytes, got {}",
                    shown(&name)
                ))),
            }
        })
        .collect()
}

#[pymethods]
impl Coherence {
    #[new]
    #[pyo3(signature = (path = None, *, slots = 65_536))]
    fn new(py: Python<'_>, path: Option<PathBuf>, slots: i64) -> PyResult<Self> {
        let count = usize::try_from(slots)
            .ok()
            .filter(|count| (1..=MAX_SLOTS).contains(count))
            .ok_or_else(|| {
                PyValueError::new_err(format!("slots must be from 1 to {MAX_SLOTS}, got {slots}"))
            })?;
        let memory = match &path {
            None => Memory::on_heap(count)
                .map_err(|_| PyMemoryError::new_err(format!("no memory for {count} slots")))?,
            Some(path) => in_file(py, path, count)?,
        };
        Ok(Self {
            shared: Arc::new(Shared::new(memory)),
            path,
        })
    }

    /// Return the time now, to be taken before a load begins: what it gives is outdated by every bump after that.
    fn stamp(&self) -> u64 {
        self.shared.table().stamp()
    }

    /// Invalidate names: what was loaded under one of them with an earlier stamp is never current again.
    ///
    /// Returns:
    ///     The time of it, which is later than any stamp before.
    #[pyo3(signature = (*names))]
    fn bump(&self, names: &Bound<'_, PyTuple>) -> PyResult<u64> {
        let table = self.shared.table();
        let slots = slots_of(table, names.iter().map(Ok))?;
        if slots.is_empty() {
            return Ok(table.stamp());
        }
        Ok(table.bump(slots))
    }

    /// Make everything suspect that was loaded with an earlier stamp, as after a gap in what was heard of others.
    ///
    /// Returns:
    ///     The time of it.
    fn bump_all(&self) -> u64 {
        self.shared.table().bump_all()
    }

    /// Return whether nothing loaded under these names with that stamp has been invalidated or become suspect.
    fn is_current(&self, stamp: u64, names: &Bound<'_, PyAny>) -> PyResult<bool> {
        let table = self.shared.table();
        Ok(table.is_current(stamp, slots_of(table, names.try_iter()?)?))
    }

    /// Return whether processes that open the path now share this table: false after the file was removed or
    /// replaced. Costs a look into the file system. Always true without a path.
    fn is_attached(&self, py: Python<'_>) -> bool {
        py.detach(|| self.shared.memory.is_at(self.path.as_deref()))
    }

    /// Say until when this process hears of every invalidation: seconds of `time.monotonic()`; `math.inf` for ever.
    ///
    /// Entries that need trust are returned before then only. At first nothing is trusted. Not shared with
    /// other processes; a forked child begins with its parent's.
    fn trust(&self, until: f64) -> PyResult<()> {
        if until.is_nan() {
            return Err(PyValueError::new_err("until must be a number, got nan"));
        }
        self.shared.trust(until);
        Ok(())
    }

    #[getter]
    fn trusted_until(&self) -> f64 {
        self.shared.trusted_until()
    }

    #[getter]
    fn path(&self) -> Option<&std::ffi::OsStr> {
        self.path.as_deref().map(std::path::Path::as_os_str)
    }

    #[getter]
    fn slots(&self) -> usize {
        self.shared.table().slots()
    }

    fn __repr__(&self) -> String {
        let slots = self.slots();
        match &self.path {
            Some(path) => format!("Coherence({path:?}, slots={slots})"),
            None => format!("Coherence(slots={slots})"),
        }
    }
}

#[cfg(unix)]
fn in_file(py: Python<'_>, path: &std::path::Path, slots: usize) -> PyResult<Memory> {
    use super::file::{self, Refusal};

    // Another process may hold the file's lock.
    match py.detach(|| file::open(path, slots)) {
        Ok(mapping) => Ok(Memory::File(mapping)),
        Err(Refusal::Foreign(why)) => Err(PyValueError::new_err(format!(
            "{path:?} cannot be used as a coherence table: {why}"
        ))),
        Err(Refusal::Io(error)) => Err(match error.raw_os_error() {
            Some(number) => pyo3::exceptions::PyOSError::new_err((
                number,
                strerror(&error),
                path.as_os_str().to_os_string(),
            )),
            None => error.into(),
        }),
    }
}

/// The message of a system error without its number, as Python shows it.
#[cfg(unix)]
fn strerror(error: &std::io::Error) -> String {
    let message = error.to_string();
    match message.find(" (os error") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

#[cfg(not(unix))]
fn in_file(_py: Python<'_>, path: &std::path::Path, _slots: usize) -> PyResult<Memory> {
    Err(pyo3::exceptions::PyOSError::new_err(format!(
        "{path:?} cannot be shared: only Unix systems share coherence tables in files"
    )))
}
