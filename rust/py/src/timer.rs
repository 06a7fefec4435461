//! The clock of a timed cache: the user's callable, and time frozen for a while.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use smallvec::SmallVec;

use crate::deadline::Time;
use crate::import::Imported;
use crate::lock::Guarded;
use crate::number::shown;
use crate::obj::{Gone, Obj};

/// The timer of a cache.
///
/// Calling it gives the time. As a context manager it freezes time for the calling thread, so that
/// several operations see one instant; this nests. Other attributes are the wrapped callable's, except
/// for special ones (`__deepcopy__`).
#[pyclass(frozen, weakref, module = "overdrive._core")]
pub struct Timer {
    source: Source,
    frozen: Guarded<SmallVec<[Frozen; 1]>>,
    /// How many entries `frozen` has; read without its lock.
    frozen_threads: AtomicUsize,
}

enum Source {
    /// `time.monotonic`, read natively; kept for Python code to see.
    Monotonic(Obj),
    Callable(Obj),
}

struct Frozen {
    thread: u64,
    depth: usize,
    number: Option<f64>,
    object: Option<Obj>,
}

thread_local! {
    /// Names a thread for the life of the process; addresses and OS ids are used again.
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Undoes one freeze, whichever thread it runs on.
#[must_use]
pub struct Freeze<'a, 'py> {
    timer: &'a Bound<'py, Timer>,
    thread: u64,
}

impl Drop for Freeze<'_, '_> {
    fn drop(&mut self) {
        self.timer.get().thaw(self.timer.py(), self.thread);
    }
}

impl Timer {
    /// Wraps a callable.
    pub fn wrap(timer: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !timer.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "timer must be callable, got {}",
                shown(timer)
            )));
        }
        let source = Obj::owned(timer);
        let source = if cfg!(target_os = "linux") && timer.is(&monotonic(timer.py())?) {
            Source::Monotonic(source)
        } else {
            Source::Callable(source)
        };
        Ok(Self {
            source,
            frozen: Guarded::new(SmallVec::new()),
            frozen_threads: AtomicUsize::new(0),
        })
    }

    /// The default timer.
    pub fn default(py: Python<'_>) -> PyResult<Self> {
        Self::wrap(&monotonic(py)?)
    }

    /// Whether the time can be told without running Python code: it is `time.monotonic` and no
    /// thread has frozen it.
    #[inline]
    pub fn is_native(&self) -> bool {
        self.reads_natively() && self.frozen_threads.load(Ordering::Relaxed) == 0
    }

    #[inline]
    fn reads_natively(&self) -> bool {
        matches!(self.source, Source::Monotonic(_))
    }

    /// The time for the calling thread.
    pub fn now<'py>(&self, py: Python<'py>) -> PyResult<Time<'py>> {
        if let Some(time) = self.frozen_now(py) {
            return Ok(time);
        }
        match self.source {
            #[cfg(target_os = "linux")]
            Source::Monotonic(_) => Ok(Time::from_number(crate::clock::monotonic())),
            #[cfg(not(target_os = "linux"))]
            Source::Monotonic(source) => source.to_bound(py).call0().map(Time::from_object),
            Source::Callable(source) => source.to_bound(py).call0().map(Time::from_object),
        }
    }

    fn frozen_now<'py>(&self, py: Python<'py>) -> Option<Time<'py>> {
        if self.frozen_threads.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let thread = THREAD.with(|id| *id);
        let found = self.frozen.with(py, |frozen| {
            let entry = frozen.iter().find(|entry| entry.thread == thread)?;
            Some((entry.number, entry.object.map(Obj::incref)))
        });
        found.map(|(number, object)| match (number, object) {
            // SAFETY: the reference was taken in the region.
            (_, Some(object)) => Time::from_object(unsafe { object.into_bound(py) }),
            (number, None) => Time::from_number(number.unwrap_or(f64::NEG_INFINITY)),
        })
    }

    /// Freezes time at `time` for the calling thread, or deeper where it is frozen already.
    /// Returns the thread's name for [`thaw`](Self::thaw).
    pub fn freeze<'py>(&self, py: Python<'py>, time: &Time<'py>) -> u64 {
        let thread = THREAD.with(|id| *id);
        let object = time.shared_object().map(Obj::owned);
        let mut unused = Gone::default();
        self.frozen.with(py, |frozen| {
            if let Some(entry) = frozen.iter_mut().find(|entry| entry.thread == thread) {
                entry.depth += 1;
                if let Some(object) = object {
                    unused.push(object);
                }
            } else {
                frozen.push(Frozen {
                    thread,
                    depth: 1,
                    number: time.number(),
                    object,
                });
                self.frozen_threads.fetch_add(1, Ordering::Relaxed);
            }
        });
        thread
    }

    /// Moves the time that a thread froze once, natively, on to now. `None` if that cannot be done:
    /// another thread asks, it is frozen deeper, or the clock is not the native one.
    pub fn move_on(&self, py: Python<'_>, thread: u64) -> Option<f64> {
        if !self.reads_natively() || THREAD.with(|id| *id) != thread {
            return None;
        }
        let now = crate::clock::monotonic();
        self.frozen.with(py, |frozen| {
            let entry = frozen.iter_mut().find(|entry| entry.thread == thread)?;
            if entry.depth != 1 {
                return None;
            }
            entry.number = Some(now);
            Some(now)
        })
    }

    /// As [`freeze`](Self::freeze), until the guard is dropped.
    pub fn freeze_scope<'a, 'py>(
        timer: &'a Bound<'py, Timer>,
        time: &Time<'py>,
    ) -> Freeze<'a, 'py> {
        Freeze {
            timer,
            thread: timer.get().freeze(timer.py(), time),
        }
    }

    /// Undoes one freeze of a thread; false if there was none.
    pub fn thaw(&self, py: Python<'_>, thread: u64) -> bool {
        let mut gone = Gone::default();
        self.frozen.with(py, |frozen| {
            let Some(at) = frozen.iter().position(|entry| entry.thread == thread) else {
                return false;
            };
            frozen[at].depth -= 1;
            if frozen[at].depth == 0 {
                let entry = frozen.swap_remove(at);
                self.frozen_threads.fetch_sub(1, Ordering::Relaxed);
                if let Some(object) = entry.object {
                    gone.push(object);
                }
            }
            true
        })
    }

    fn source(&self) -> Obj {
        match self.source {
            Source::Monotonic(source) | Source::Callable(source) => source,
        }
    }
}

/// Whether a name is one of Python's own: `__deepcopy__`, say.
fn is_special(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
}

/// `time.monotonic` as the standard library exports it.
fn monotonic(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static MONOTONIC: Imported = Imported::new("time", "monotonic");
    MONOTONIC.get(py)
}

#[pymethods]
impl Timer {
    #[new]
    fn new(timer: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::wrap(timer)
    }

    fn __call__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.now(py)?.to_object(py))
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let time = self.now(py)?;
        self.freeze(py, &time);
        Ok(time.to_object(py))
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        if self.thaw(py, THREAD.with(|id| *id)) {
            Ok(())
        } else {
            Err(PyRuntimeError::new_err(
                "timer is not frozen by this thread",
            ))
        }
    }

    fn __getattr__<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = name.cast::<pyo3::types::PyString>()?;
        // Special methods say how to treat the object they are found on: copying this one as the
        // wrapped callable wants to be copied would leave a callable where a timer belongs.
        if is_special(&name.to_string_lossy()) {
            return Err(PyAttributeError::new_err(format!(
                "'Timer' object has no attribute '{name}'"
            )));
        }
        // A timer may wrap a timer, and so on.
        // SAFETY: attached; left below if it was entered.
        if unsafe { pyo3::ffi::Py_EnterRecursiveCall(c" in a timer's attribute".as_ptr()) } != 0 {
            return Err(PyErr::fetch(py));
        }
        let value = self.source().to_bound(py).getattr(name);
        // SAFETY: as above.
        unsafe { pyo3::ffi::Py_LeaveRecursiveCall() };
        value
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (Bound<'py, PyAny>,)) {
        (slf.get_type(), (slf.get().source().to_bound(slf.py()),))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<timer {}>", shown(&self.source().to_bound(py)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.source().as_py())?;
        // SAFETY: called by the garbage collector only.
        for entry in unsafe { self.frozen.frozen_world() } {
            if let Some(object) = &entry.object {
                visit.call(object.as_py())?;
            }
        }
        Ok(())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut gone = Gone::default();
        gone.push(self.source());
        for entry in self.frozen.get_mut().drain(..) {
            if let Some(object) = entry.object {
                gone.push(object);
            }
        }
    }
}
