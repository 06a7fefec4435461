//! The base class of `Session`: who uses the connections of a thread right now.
//!
//! Its own thread uses them without a lock, others close them; the two flags are those of Dekker's algorithm
//! (Dijkstra, "Cooperating sequential processes", 1965): each side raises its own and then looks at the other.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

/// How long others sleep between two looks at a session that is in use.
const LOOK_EVERY: Duration = Duration::from_micros(50);

/// The native part of `Session`, which is documented there.
#[pyclass(
    subclass,
    weakref,
    frozen,
    module = "overdrive._core",
    name = "_DiskSession"
)]
pub struct Session {
    in_use: AtomicBool,
    barred: AtomicBool,
    handles: Py<PyList>,
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (shards, *_args, **_kwargs))]
    fn new(
        shards: &Bound<'_, PyAny>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = shards.py();
        Ok(Self {
            in_use: AtomicBool::new(false),
            barred: AtomicBool::new(false),
            handles: PyList::new(py, (0..shards.len()?).map(|_| py.None()))?.unbind(),
        })
    }

    /// The connection to each shard, or None.
    #[getter]
    fn handles(&self, py: Python<'_>) -> Py<PyList> {
        self.handles.clone_ref(py)
    }

    /// Whether its thread is in the middle of an operation.
    #[getter]
    fn in_use(&self) -> bool {
        self.in_use.load(SeqCst)
    }

    #[setter]
    fn set_in_use(&self, value: bool) {
        self.in_use.store(value, SeqCst);
    }

    /// Keep its thread from beginning operations without `lock`, and wait for the end of one; whether it ended.
    fn bar(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = Duration::try_from_secs_f64(timeout)
            .map_err(|_| PyTypeError::new_err("timeout must be a number of seconds"))?;
        self.barred.store(true, SeqCst);
        if !self.in_use() {
            return Ok(true);
        }
        Ok(py.detach(|| {
            let began = Instant::now();
            while self.in_use() {
                if began.elapsed() >= timeout {
                    return false;
                }
                std::thread::sleep(LOOK_EVERY);
            }
            true
        }))
    }

    /// Undo `bar`.
    fn unbar(&self) {
        self.barred.store(false, SeqCst);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.handles)
    }
}

/// A session whose connections nobody else uses or closes while this lives.
pub struct Held<'a> {
    session: &'a Session,
}

impl Session {
    /// Begins an operation; `None` if one is under way further out in this thread, or others are closing.
    pub fn hold(&self) -> Option<Held<'_>> {
        if self.in_use.swap(true, SeqCst) {
            return None;
        }
        let held = Held { session: self };
        (!self.barred.load(SeqCst)).then_some(held)
    }
}

impl Held<'_> {
    /// The connection to a shard, if there is one.
    pub fn handle<'py>(&self, py: Python<'py>, shard: usize) -> Option<Bound<'py, PyAny>> {
        let handle = self.session.handles.bind(py).get_item(shard).ok()?;
        (!handle.is_none()).then_some(handle)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.session.in_use.store(false, SeqCst);
    }
}
