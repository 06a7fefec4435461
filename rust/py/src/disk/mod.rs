//! The base class of `DiskTier`: the quick way to one row.
//!
//! What is not plain (no connection yet, a file that was replaced, an error, a value in a file of its own,
//! a column that is not as it was written) is done in Python. SQLite is
//! called through the cursors of the engine, so Python code may run in between: nothing is locked then, and
//! the session that is held turns others away, this thread included.

mod session;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::memo::Counter;

pub use session::Session;

type Any<'py> = Bound<'py, PyAny>;

/// What is read of a row: blob, expires, version, attach, tags, epoch, touched, size.
const COLUMNS: usize = 8;
/// Beyond this, in seconds, a clock tells no time that a row can hold.
const LATEST: f64 = (1_u64 << 53) as f64;
/// How long ahead the next look for replaced shards can be, in seconds.
const MOST_AHEAD: f64 = 60.0;

/// What does not change once a tier is set up.
struct Plan {
    /// The objects that are called, as `Role` numbers them. A list, because the clock may hold the tier, and
    /// the collector empties lists.
    objects: Py<PyList>,
    read: Py<PyString>,
    write: Py<PyString>,
    touch_every: f64,
    longest_key: usize,
    longest_blob: usize,
}

/// Where an object is in the list of a plan.
#[derive(Clone, Copy)]
enum Role {
    /// A `threading.local`, whose `session` has the connections of a thread.
    Local,
    Clock,
    /// A tuple of exceptions: what the disk does, and not the program.
    Faults,
    /// A subclass of tuple.
    Row,
    /// `tuple.__new__`.
    NewTuple,
}

impl Plan {
    fn object<'py>(&self, py: Python<'py>, role: Role) -> PyResult<Any<'py>> {
        self.objects.bind(py).get_item(role as usize)
    }

    /// Seconds since the epoch; NaN if the clock tells nothing that a row can hold.
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        let now: f64 = self.object(py, Role::Clock)?.call0()?.extract()?;
        Ok(if now.abs() < LATEST { now } else { f64::NAN })
    }
}

/// The native part of `DiskTier`, which is documented there: single rows, and counts. Thread-safe.
#[pyclass(
    subclass,
    dict,
    weakref,
    frozen,
    module = "overdrive._core",
    name = "_DiskTier"
)]
pub struct DiskTier {
    plan: OnceLock<Plan>,
    shards: AtomicU32,
    epoch: AtomicI64,
    attention: AtomicBool,
    /// The bits of a float.
    notice_at: AtomicU64,
    hits: Counter,
    misses: Counter,
    expired: Counter,
    writes: Counter,
}

#[pymethods]
impl DiskTier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            plan: OnceLock::new(),
            shards: AtomicU32::new(1),
            epoch: AtomicI64::new(0),
            attention: AtomicBool::new(false),
            notice_at: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
            hits: Counter::default(),
            misses: Counter::default(),
            expired: Counter::default(),
            writes: Counter::default(),
        }
    }

    #[pyo3(signature = (local, *, clock, faults, read, write, row, touch_every, longest_key, longest_blob))]
    #[expect(clippy::too_many_arguments, reason = "all by name")]
    fn __init__(
        &self,
        local: Py<PyAny>,
        clock: Py<PyAny>,
        faults: Py<PyTuple>,
        read: Py<PyString>,
        write: Py<PyString>,
        row: &Bound<'_, PyType>,
        touch_every: f64,
        longest_key: usize,
        longest_blob: usize,
    ) -> PyResult<()> {
        let py = row.py();
        let tuple = py.get_type::<PyTuple>();
        if !row.is_subclass(&tuple)? {
            return Err(PyValueError::new_err("row must be a subclass of tuple"));
        }
        let new = tuple.getattr(intern!(py, "__new__"))?;
        let objects = PyList::new(
            py,
            [
                local.bind(py),
                clock.bind(py),
                faults.bind(py).as_any(),
                row.as_any(),
                &new,
            ],
        )?;
        let plan = Plan {
            objects: objects.unbind(),
            read,
            write,
            touch_every,
            longest_key,
            longest_blob,
        };
        // Once: others may be using it.
        let again = |_| PyRuntimeError::new_err("__init__() has run already");
        self.plan.set(plan).map_err(again)
    }

    /// Return the entry of `key`; None if there is none, it has expired, or it cannot be read.
    fn get<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<Any<'py>> {
        let this = slf.get();
        if !this.attention() {
            match this.find(key)? {
                Found::Row(row) => return Ok(row),
                Found::Unread(row, now) => {
                    slf.call_method1(intern!(slf.py(), "_touch"), (key, now))?;
                    return Ok(row);
                }
                Found::Nothing => return Ok(slf.py().None().into_bound(slf.py())),
                Found::Unknown => {}
            }
        }
        slf.call_method1(intern!(slf.py(), "_find"), (key,))
    }

    /// Store a row that has no tags; `False`, and nothing is done, if that takes more than writing.
    fn _store_plain(
        &self,
        key: &Any<'_>,
        blob: &Any<'_>,
        expires: &Any<'_>,
        version: &Any<'_>,
        attach: &Any<'_>,
    ) -> PyResult<bool> {
        let py = key.py();
        let plan = self.plan()?;
        let (Ok(bytes), Ok(content)) = (key.cast_exact::<PyBytes>(), blob.cast_exact::<PyBytes>())
        else {
            return Ok(false);
        };
        let Ok(Ok(version)) = version.cast_exact::<PyInt>().map(|v| v.extract::<u64>()) else {
            return Ok(false);
        };
        let size = content.as_bytes().len();
        let is_plain = bytes.as_bytes().len() <= plan.longest_key
            && size <= plan.longest_blob
            && attach.is_exact_instance_of::<PyBytes>()
            && expires
                .cast_exact::<PyFloat>()
                .is_ok_and(|expires| !expires.value().is_nan());
        if !is_plain {
            return Ok(false);
        }
        let now = plan.now(py)?;
        if self.is_to_notice(now) {
            return Ok(false);
        }
        let arguments = || {
            (
                key,
                expires,
                version as i64,
                self.epoch(),
                now as i64,
                size,
                attach,
                py.None(),
                py.None(),
                blob,
            )
                .into_pyobject(py)
        };
        let is_done = self
            .run(plan, bytes, plan.write.bind(py), arguments)?
            .is_some();
        if is_done {
            self.writes.add(1);
        }
        Ok(is_done)
    }

    /// How many shards there are, at least 1.
    #[getter(_count)]
    fn shards(&self) -> u32 {
        self.shards.load(Ordering::Relaxed)
    }

    #[setter(_count)]
    fn set_shards(&self, count: u32) -> PyResult<()> {
        if count == 0 {
            return Err(PyValueError::new_err("there must be at least one shard"));
        }
        self.shards.store(count, Ordering::Relaxed);
        Ok(())
    }

    /// The epoch of rows that are written now; those of another one are suspect.
    #[getter(_epoch)]
    fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Relaxed)
    }

    #[setter(_epoch)]
    fn set_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Whether `get` leaves everything to `_find`.
    #[getter(_attention)]
    fn attention(&self) -> bool {
        self.attention.load(Ordering::Acquire)
    }

    #[setter(_attention)]
    fn set_attention(&self, wanted: bool) {
        self.attention.store(wanted, Ordering::Release);
    }

    /// From when on, in seconds of the clock, everything is left to the careful way, which sees whether shards were
    /// replaced.
    #[getter(_notice_at)]
    fn notice_at(&self) -> f64 {
        f64::from_bits(self.notice_at.load(Ordering::Relaxed))
    }

    #[setter(_notice_at)]
    fn set_notice_at(&self, at: f64) {
        self.notice_at.store(at.to_bits(), Ordering::Relaxed);
    }

    /// Count what was read or written in another way.
    #[pyo3(signature = (hits=0, misses=0, expired=0, writes=0))]
    fn _add_counts(&self, hits: u64, misses: u64, expired: u64, writes: u64) {
        self.hits.add(hits);
        self.misses.add(misses);
        self.expired.add(expired);
        self.writes.add(writes);
    }

    /// Hits, misses, expired among the misses, and writes.
    #[getter]
    fn _counts(&self) -> (u64, u64, u64, u64) {
        (
            self.hits.get(),
            self.misses.get(),
            self.expired.get(),
            self.writes.get(),
        )
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.plan.get() {
            Some(plan) => visit.call(&plan.objects),
            None => Ok(()),
        }
    }
}

/// What a look for a row says.
enum Found<'py> {
    Row(Any<'py>),
    /// One that was last noted as read too long before now.
    Unread(Any<'py>, f64),
    /// There is none, or its time is over; counted as a miss.
    Nothing,
    /// That takes more than reading.
    Unknown,
}

impl DiskTier {
    fn plan(&self) -> PyResult<&Plan> {
        self.plan.get().ok_or_else(|| {
            PyRuntimeError::new_err(
                "__init__() has not run: a subclass must call the __init__ of its base class",
            )
        })
    }

    /// Whether it is time to see if shards were replaced; also if that was to be long ahead of a clock that was
    /// set back, or if the clock does not tell.
    fn is_to_notice(&self, now: f64) -> bool {
        let ahead = self.notice_at() - now;
        !(ahead > 0.0 && ahead < MOST_AHEAD)
    }

    /// Looks for the row of a key.
    fn find<'py>(&self, key: &Any<'py>) -> PyResult<Found<'py>> {
        let py = key.py();
        let plan = self.plan()?;
        let Ok(bytes) = key.cast_exact::<PyBytes>() else {
            return Ok(Found::Unknown);
        };
        let rows = self.run(plan, bytes, plan.read.bind(py), || PyTuple::new(py, [key]))?;
        let Some(rows) = rows.and_then(|rows| rows.cast_into_exact::<PyList>().ok()) else {
            return Ok(Found::Unknown);
        };
        let now = plan.now(py)?;
        if self.is_to_notice(now) {
            return Ok(Found::Unknown);
        }
        if rows.is_empty() {
            self.misses.add(1);
            return Ok(Found::Nothing);
        }
        let stored = rows.get_item(0)?;
        let Some(found) = stored.cast_exact::<PyTuple>().ok().and_then(Stored::of) else {
            return Ok(Found::Unknown);
        };
        if found.expires <= now {
            self.misses.add(1);
            self.expired.add(1);
            return Ok(Found::Nothing);
        }
        let is_unread = now - found.touched as f64 > plan.touch_every;
        let row = self.made(plan, found)?;
        self.hits.add(1);
        Ok(if is_unread {
            Found::Unread(row, now)
        } else {
            Found::Row(row)
        })
    }

    /// Runs a statement on the shard of a key and returns its rows; `None` if it has to be done otherwise.
    fn run<'py>(
        &self,
        plan: &Plan,
        key: &Bound<'py, PyBytes>,
        statement: &Bound<'py, PyString>,
        arguments: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
    ) -> PyResult<Option<Any<'py>>> {
        let py = key.py();
        let local = plan.object(py, Role::Local)?;
        let Some(session) = local.getattr_opt(intern!(py, "session"))? else {
            return Ok(None);
        };
        let session = session.cast::<Session>()?.get();
        let Some(held) = session.hold() else {
            return Ok(None);
        };
        let shard = crc32fast::hash(key.as_bytes()) % self.shards();
        let outcome = match held.handle(py, shard as usize) {
            Some(handle) => executed(&handle, statement, arguments),
            None => Ok(None),
        };
        drop(held);
        match outcome {
            // It is tried once more where faults are looked into.
            Err(error) if error.matches(py, plan.object(py, Role::Faults)?)? => Ok(None),
            outcome => outcome,
        }
    }

    /// The row as it is returned.
    fn made<'py>(&self, plan: &Plan, found: Stored<'py>) -> PyResult<Any<'py>> {
        let py = found.blob.py();
        let fields = (
            found.blob,
            found.expires_object,
            found.version as u64,
            found.attach,
            found.tags,
            found.size,
            found.epoch != self.epoch(),
        )
            .into_pyobject(py)?;
        let row = plan.object(py, Role::Row)?;
        plan.object(py, Role::NewTuple)?.call1((row, fields))
    }
}

/// Runs a statement through a connection of a session that is held.
fn executed<'py>(
    handle: &Any<'py>,
    statement: &Bound<'py, PyString>,
    arguments: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
) -> PyResult<Option<Any<'py>>> {
    let py = handle.py();
    let execute = handle.getattr(intern!(py, "execute"))?;
    if execute.is_none() {
        return Ok(None);
    }
    let cursor = execute.call1((statement, arguments()?))?;
    cursor.call_method0(intern!(py, "fetchall")).map(Some)
}

/// A row that is as it was written, and not in a file.
struct Stored<'py> {
    blob: Bound<'py, PyBytes>,
    expires: f64,
    expires_object: Any<'py>,
    version: i64,
    attach: Any<'py>,
    tags: Bound<'py, PyTuple>,
    epoch: i64,
    touched: i64,
    size: Any<'py>,
}

impl<'py> Stored<'py> {
    fn of(row: &Bound<'py, PyTuple>) -> Option<Self> {
        if row.len() != COLUMNS {
            return None;
        }
        let py = row.py();
        let column = |at: usize| row.get_item(at).ok();
        let number = |at: usize| {
            column(at)?
                .cast_exact::<PyInt>()
                .ok()?
                .extract::<i64>()
                .ok()
        };
        let blob = column(0)?.cast_into_exact::<PyBytes>().ok()?;
        let size = column(7)?;
        let is_whole = |size: &Any<'py>| {
            size.extract::<usize>()
                .is_ok_and(|size| size == blob.as_bytes().len())
        };
        if !(size.is_exact_instance_of::<PyInt>() && is_whole(&size)) {
            return None;
        }
        let expires_object = column(1)?;
        let expires = expires_object.cast_exact::<PyFloat>().ok()?.value();
        let attach = column(3)?;
        attach.cast_exact::<PyBytes>().ok()?;
        let packed = column(4)?;
        let tags = if packed.is_none() {
            PyTuple::empty(py)
        } else {
            let (tags, rest) = packed
                .cast_exact::<PyBytes>()
                .ok()?
                .as_bytes()
                .as_chunks::<8>();
            if !rest.is_empty() {
                return None;
            }
            PyTuple::new(py, tags.iter().map(|tag| u64::from_le_bytes(*tag))).ok()?
        };
        Some(Self {
            blob,
            expires,
            expires_object,
            version: number(2)?,
            attach,
            tags,
            epoch: number(5)?,
            touched: number(6)?,
            size,
        })
    }
}
