//! The base class of `overdrive.TieredCache`.
//!
//! Its first tier is a `MemoryCache` whose values are `Entry`s. A hit is a value in an entry that may be
//! returned without further ado; the methods `_find` and `_afind` of the subclass answer everything else.
//! User code runs where it does in a `MemoryCache`, and in these; all outside of locks.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::memo::{Counter, Field, Ready, entry_class, entry_of};
use crate::memory::MemoryCache;
use crate::obj::Gone;

type Any<'py> = Bound<'py, PyAny>;

/// The native part of `overdrive.TieredCache`, which is documented there.
#[pyclass(
    subclass,
    dict,
    weakref,
    generic,
    frozen,
    module = "overdrive._core",
    name = "_TieredCache"
)]
pub struct TieredCache {
    /// A `MemoryCache`, or a subclass; set once.
    pub(super) l1: Field,
    pub(super) hits: Counter,
}

impl TieredCache {
    fn first_tier<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, MemoryCache>> {
        match self.l1.bound(py) {
            Some(l1) => Ok(l1.cast_into::<MemoryCache>()?),
            None => Err(PyRuntimeError::new_err(
                "__init__() has not run: a subclass must call the __init__ of its base class",
            )),
        }
    }

    /// The value of a hit, which is counted.
    fn hit<'py>(&self, key: &Any<'py>) -> PyResult<Option<Any<'py>>> {
        let value = self.first_tier(key.py())?.get().read_quiet(key)?;
        if value.is_some() {
            self.hits.add(1);
        }
        Ok(value)
    }
}

#[pymethods]
impl TieredCache {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            l1: Field::empty(),
            hits: Counter::default(),
        }
    }

    #[pyo3(signature = (l1))]
    fn __init__(&self, l1: &Bound<'_, MemoryCache>) -> PyResult<()> {
        // Once: others may be reading it.
        if self.l1.begin(l1.as_any()) {
            Ok(())
        } else {
            Err(PyRuntimeError::new_err("__init__() has run already"))
        }
    }

    /// Return the value for a key from the first tier, or else whatever `_find(key, default)` returns.
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &Any<'py>,
        default: Option<&Any<'py>>,
    ) -> PyResult<Any<'py>> {
        match slf.get().hit(key)? {
            Some(value) => Ok(value),
            None => slf.call_method1(pyo3::intern!(slf.py(), "_find"), (key, default)),
        }
    }

    /// The same for coroutines: return an awaitable of the value, or whatever `_afind(key, default)` returns.
    #[pyo3(signature = (key, default = None))]
    fn aget<'py>(
        slf: &Bound<'py, Self>,
        key: &Any<'py>,
        default: Option<&Any<'py>>,
    ) -> PyResult<Any<'py>> {
        let py = slf.py();
        match slf.get().hit(key)? {
            Some(value) => Ok(Bound::new(py, Ready::holding(&value))?.into_any()),
            None => slf.call_method1(pyo3::intern!(py, "_afind"), (key, default)),
        }
    }

    /// Return the value for a key from the first tier, or else the default.
    #[pyo3(signature = (key, default = None))]
    fn _hit<'py>(&self, key: &Any<'py>, default: Option<Any<'py>>) -> PyResult<Option<Any<'py>>> {
        Ok(self.hit(key)?.or(default))
    }

    /// Return the entry of a key as it is in the first tier, or `None`; counts as no use.
    fn _entry<'py>(&self, key: &Any<'py>) -> PyResult<Option<Any<'py>>> {
        let py = key.py();
        let l1 = self.first_tier(py)?;
        let found = l1.get().lookup_live(key, |contents, slot, _| {
            let stored = contents.store.value(slot);
            // SAFETY: the store holds the value, and nothing drops it within the region.
            let is_entry = unsafe { entry_of(&stored, entry_class()) }.is_some();
            is_entry.then(|| stored.incref())
        })?;
        // SAFETY: the reference was taken in the region.
        Ok(found.flatten().map(|entry| unsafe { entry.into_bound(py) }))
    }

    /// Answer a `get` that is no hit: subclasses do.
    #[expect(unused_variables, reason = "named as the overrides name them")]
    fn _find<'py>(&self, key: &Any<'py>, default: Option<Any<'py>>) -> Option<Any<'py>> {
        default
    }

    /// The same for an `aget`: an awaitable.
    #[pyo3(signature = (key, default))]
    fn _afind<'py>(&self, key: &Any<'py>, default: Option<Any<'py>>) -> Ready {
        let none = key.py().None().into_bound(key.py());
        Ready::holding(&default.unwrap_or(none))
    }

    /// The first tier.
    #[getter]
    fn _l1<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, MemoryCache>> {
        self.first_tier(py)
    }

    /// How often the first tier answered.
    #[getter]
    fn _hits(&self) -> u64 {
        self.hits.get()
    }

    fn _reset_hits(&self) {
        self.hits.reset();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.l1.visit(&visit)
    }

    fn __clear__(&self) {
        let mut gone = Gone::default();
        self.l1.take().into_iter().for_each(|l1| gone.push(l1));
    }
}
