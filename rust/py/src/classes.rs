//! The public classes: signatures and documentation. What they do is in `mapping`, `timed` and
//! `construct`.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySuper, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::cache::{Cache, Kind, key_error};
use crate::construct::{self, Arguments};
use crate::iter::{CacheIterator, What};
use crate::{mapping, report, state, timed, views};

type Any<'py> = Bound<'py, PyAny>;

/// An argument that may be left out but not be `None` in disguise.
pub enum Given<'py> {
    Default,
    Value(Any<'py>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Given::Value(object.to_owned()))
    }
}

impl<'py> Given<'py> {
    fn value(self) -> Option<Any<'py>> {
        match self {
            Given::Default => None,
            Given::Value(value) => Some(value),
        }
    }
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize, getsizeof=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::uninitialised(Kind::Cache)
    }

    #[pyo3(signature = (maxsize, getsizeof = None))]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        maxsize: &Any<'py>,
        getsizeof: Option<&Any<'py>>,
    ) -> PyResult<()> {
        construct::untimed(slf, &Arguments { maxsize, getsizeof })
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<Any<'py>> {
        mapping::getitem_plain(slf, key)
    }

    fn __setitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>, value: &Any<'py>) -> PyResult<()> {
        mapping::setitem(slf, key, value)
    }

    fn __delitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<()> {
        mapping::delitem(slf, key)
    }

    fn __contains__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<bool> {
        mapping::contains_plain(slf, key)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        mapping::len_plain(slf)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<CacheIterator> {
        CacheIterator::new(slf, What::Keys, true)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        mapping::repr(slf)
    }

    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Any<'py>) -> PyResult<Any<'py>> {
        mapping::equals(slf, other)
    }

    /// Prepares a subclass; passes on to the next class in line.
    #[classmethod]
    #[pyo3(signature = (**kwargs))]
    fn __init_subclass__(
        cls: &Bound<'_, PyType>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let py = cls.py();
        let next = PySuper::new(&py.get_type::<Cache>(), cls)?;
        next.call_method("__init_subclass__", (), kwargs)?;
        crate::fast::adopt(cls)
    }

    /// Called by `cache[key]` for an absent key; raises `KeyError(key)`. Override it to supply
    /// values; `get`, `pop`, `setdefault` and `in` do not call it.
    fn __missing__<'py>(&self, key: &Any<'py>) -> PyResult<Any<'py>> {
        Err(key_error(key))
    }

    /// Return the value for key if it is cached, else default.
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &Any<'py>,
        default: Option<Any<'py>>,
    ) -> PyResult<Any<'py>> {
        mapping::get(
            slf,
            key,
            default.unwrap_or_else(|| slf.py().None().into_bound(slf.py())),
        )
    }

    /// Remove the key and return its value; for an absent key return default, if given, else raise
    /// KeyError.
    #[pyo3(signature = (key, default = Given::Default), text_signature = "($self, key, default=...)")]
    fn pop<'py>(slf: &Bound<'py, Self>, key: &Any<'py>, default: Given<'py>) -> PyResult<Any<'py>> {
        mapping::pop(slf, key, default.value())
    }

    /// Remove and return the `(key, value)` pair to evict next; raise KeyError if the cache is empty.
    fn popitem<'py>(slf: &Bound<'py, Self>) -> PyResult<(Any<'py>, Any<'py>)> {
        mapping::popitem(slf)
    }

    /// Return the value for key if it is cached, else store default and return it.
    #[pyo3(signature = (key, default = None))]
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: &Any<'py>,
        default: Option<Any<'py>>,
    ) -> PyResult<Any<'py>> {
        mapping::setdefault(
            slf,
            key,
            default.unwrap_or_else(|| slf.py().None().into_bound(slf.py())),
        )
    }

    /// Remove all items, in O(1) for the caller's view; overridden methods are not called.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        mapping::clear(slf)
    }

    /// Store all items of a mapping or an iterable of pairs, then the keyword arguments.
    #[pyo3(signature = (other = None, /, **more), text_signature = "($self, other=(), /, **kwds)")]
    fn update<'py>(
        slf: &Bound<'py, Self>,
        other: Option<&Any<'py>>,
        more: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        mapping::update(slf, other, more)
    }

    /// A view of the keys. Iterating it does not count as using the items.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        views::keys(slf)
    }

    /// A view of the values. Iterating it counts as using each item.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        views::values(slf)
    }

    /// A view of the `(key, value)` pairs. Iterating it counts as using each item.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        views::items(slf)
    }

    /// Iterate over the values natively; what `values()` does where no method is overridden.
    fn _iter_values(slf: &Bound<'_, Self>) -> PyResult<CacheIterator> {
        CacheIterator::new(slf, What::Values, false)
    }

    /// Iterate over the pairs natively; what `items()` does where no method is overridden.
    fn _iter_items(slf: &Bound<'_, Self>) -> PyResult<CacheIterator> {
        CacheIterator::new(slf, What::Items, false)
    }

    /// The maximum size of the cache, as given.
    #[getter]
    fn maxsize<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        mapping::maxsize(slf)
    }

    /// The present size of the cache: the number of items, or the sum of their sizes.
    #[getter]
    fn currsize<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        mapping::currsize(slf)
    }

    /// Return the size of a value: 1, unless overridden or replaced by the constructor's argument.
    #[staticmethod]
    fn getsizeof(value: &Any<'_>) -> u32 {
        let _ = value;
        1
    }

    #[classattr]
    fn __reversed__() -> Option<u32> {
        None // as for any `Mapping`: there is no order to reverse
    }

    fn __sizeof__(slf: &Bound<'_, Self>) -> usize {
        mapping::memory(slf)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        state::reduce(slf)
    }

    fn __getstate__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        state::get(slf)
    }

    fn __setstate__(slf: &Bound<'_, Self>, state: &Bound<'_, PyDict>) -> PyResult<()> {
        state::set(slf, state)
    }

    /// Check every internal invariant; raise AssertionError naming the broken one. O(n); for tests.
    fn _check(slf: &Bound<'_, Self>) -> PyResult<()> {
        let checked = slf.get().store.with(slf.py(), |store| store.check());
        checked.map_err(pyo3::exceptions::PyAssertionError::new_err)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: called by the garbage collector only.
        unsafe { self.store.frozen_world() }
            .references()
            .try_for_each(|object| visit.call(object.as_py()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.retire(py));
    }
}

/// A class without deadlines and without arguments of its own.
macro_rules! untimed_class {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[pyclass(extends = Cache, subclass, generic, mapping, frozen, module = "overdrive")]
        pub struct $name;

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize, getsizeof=None)")]
            fn new(
                _args: &Bound<'_, PyTuple>,
                _kwargs: Option<&Bound<'_, PyDict>>,
            ) -> PyClassInitializer<Self> {
                PyClassInitializer::from(Cache::uninitialised($kind)).add_subclass(Self)
            }

            #[pyo3(signature = (maxsize, getsizeof = None))]
            fn __init__<'py>(
                slf: &Bound<'py, Self>,
                maxsize: &Any<'py>,
                getsizeof: Option<&Any<'py>>,
            ) -> PyResult<()> {
                construct::untimed(slf.as_super(), &Arguments { maxsize, getsizeof })
            }

            fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<Any<'py>> {
                mapping::getitem(slf.as_super(), key)
            }
        }
    };
}

untimed_class! {
    /// First in, first out: evicts the item that was set longest ago.
    ///
    /// Setting an existing key counts as setting it anew; reading does not matter. Arguments,
    /// errors, cost and thread-safety as for `Cache`.
    FIFOCache, Kind::Fifo
}

untimed_class! {
    /// Least recently used: evicts the item neither read nor set for longest.
    ///
    /// `cache[key]`, `get`, `setdefault` and iterating `items()` or `values()` count as a use; `in`
    /// and iterating the keys do not. Arguments, errors, cost and thread-safety as for `Cache`.
    LRUCache, Kind::Lru
}

untimed_class! {
    /// Least frequently used: evicts the item with the fewest uses since it was inserted.
    ///
    /// Inserting, setting and reading count as one use each; among equals the one that reached its
    /// count first leaves. O(1) per operation (Shah, Mitra, Matani 2010). Arguments, errors and
    /// thread-safety as for `Cache`.
    LFUCache, Kind::Lfu
}

untimed_class! {
    /// Adaptive replacement: balances recency and frequency by what it evicted too early.
    ///
    /// Items used once and items used again are kept apart, each least recently used first; hashes
    /// of evicted keys, as many as there are items, tell which part should be larger (Megiddo, Modha,
    /// FAST 2003). Resists scans, gains nothing on loops. O(1) per operation; a copy or pickle
    /// forgets evicted keys and the balance. Arguments, errors and thread-safety as for `Cache`.
    ARCCache, Kind::Arc
}

untimed_class! {
    /// 2Q: keeps what is asked for again after it has left a queue of newcomers.
    ///
    /// The queue has a quarter of the room, and half as many evicted keys are remembered by their
    /// hash (Johnson, Shasha, VLDB 1994). O(1) per operation; a copy or pickle forgets evicted keys.
    /// Arguments, errors and thread-safety as for `Cache`.
    TwoQCache, Kind::TwoQ
}

untimed_class! {
    /// S3-FIFO: a small queue sorts out what is used once before it reaches the main queue.
    ///
    /// Reading only counts, which makes hits the cheapest (Yang et al., SOSP 2023). Resists scans. O(1)
    /// amortised per operation; a copy or pickle forgets evicted keys. Arguments, errors and
    /// thread-safety as for `Cache`.
    S3FIFOCache, Kind::S3Fifo
}

untimed_class! {
    /// SIEVE: a hand sweeps over the items, oldest first, and evicts the first not used since it came by.
    ///
    /// Reading only sets a mark (Zhang et al., NSDI 2024). For skewed popularity; poor on scans. O(1)
    /// amortised per operation. Arguments, errors and thread-safety as for `Cache`.
    SieveCache, Kind::Sieve
}

untimed_class! {
    /// LIRS: keeps what is asked for at short intervals, whenever that was last.
    ///
    /// A hundredth of the room is for newcomers (Jiang, Zhang, SIGMETRICS 2002); up to twice as many
    /// evicted keys as there are items are remembered by their hash. Wins on loops and scans, loses
    /// where only recency counts. O(1) amortised per operation; a copy or pickle forgets evicted
    /// keys. Arguments, errors and thread-safety as for `Cache`.
    LIRSCache, Kind::Lirs
}

untimed_class! {
    /// W-TinyLFU: a newcomer displaces an item only if it was asked for more often lately.
    ///
    /// Newcomers pass through a window of a hundredth of the room; frequencies are estimated by a
    /// sketch of eight to sixteen bytes an item that is halved every ten requests for each (Einziger,
    /// Friedman, Manes, ACM TOS 2017). For stable popularity, loops and scans; loses where only
    /// recency counts. O(1) amortised per operation; a copy or pickle forgets frequencies.
    /// Arguments, errors and thread-safety as for `Cache`.
    WTinyLFUCache, Kind::WTinyLfu
}

/// ADAPTIVE: evicts as whichever of ARC and W-TinyLFU with several windows would hit most lately.
///
/// Each of them is simulated on a sample of the keys, and the one that is ahead by more than luck is
/// followed. `report()` says which one that is and why. O(1) amortised per operation; a copy or
/// pickle keeps the order of the items and forgets what was learnt. Arguments, errors and
/// thread-safety as for `Cache`.
#[pyclass(extends = Cache, subclass, generic, mapping, frozen, module = "overdrive")]
pub struct AdaptiveCache;

#[pymethods]
impl AdaptiveCache {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize, getsizeof=None)")]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Cache::uninitialised(Kind::Adaptive)).add_subclass(Self)
    }

    #[pyo3(signature = (maxsize, getsizeof = None))]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        maxsize: &Any<'py>,
        getsizeof: Option<&Any<'py>>,
    ) -> PyResult<()> {
        construct::untimed(slf.as_super(), &Arguments { maxsize, getsizeof })
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<Any<'py>> {
        mapping::getitem(slf.as_super(), key)
    }

    /// What the policy does, and why: a `PolicyReport`.
    fn report<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        let cache = slf.as_super();
        Cache::ready(cache)?;
        let report = cache.get().store.with(slf.py(), |store| report::of(store));
        match report {
            Some(report) => report::to_python(slf.py(), &report),
            None => Err(pyo3::exceptions::PyRuntimeError::new_err(
                "the cache is not initialised",
            )),
        }
    }
}

/// Random replacement: evicts an item chosen at random.
///
/// Args:
///     maxsize: as for `Cache`.
///     choice: gets a non-empty sequence of the keys and returns one of them; by default
///         `random.choice`, whose generator is drawn from exactly as a call would.
///     getsizeof: as for `Cache`.
///
/// Raises:
///     TypeError: `choice` is not callable.
///
/// Eviction is O(1) with `random.choice` or the `choice` of a `random.Random`; a function of
/// your own is called outside of the cache's lock and costs what it costs.
#[pyclass(extends = Cache, subclass, generic, mapping, frozen, module = "overdrive")]
pub struct RRCache;

#[pymethods]
impl RRCache {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(maxsize, choice=..., getsizeof=None)"
    )]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Cache::uninitialised(Kind::Rr)).add_subclass(Self)
    }

    #[pyo3(signature = (maxsize, choice = Given::Default, getsizeof = None))]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        maxsize: &Any<'py>,
        choice: Given<'py>,
        getsizeof: Option<&Any<'py>>,
    ) -> PyResult<()> {
        construct::random(
            slf.as_super(),
            &Arguments { maxsize, getsizeof },
            choice.value(),
        )
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<Any<'py>> {
        mapping::getitem(slf.as_super(), key)
    }

    /// The choice function.
    #[getter]
    fn choice<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        crate::choice::function(slf.as_super())
    }
}

/// What caches whose items expire have in common.
#[pyclass(extends = Cache, subclass, generic, mapping, frozen, module = "overdrive._core", name = "_TimedCache")]
pub struct TimedCache;

#[pymethods]
impl TimedCache {
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<Any<'py>> {
        mapping::getitem(slf.as_super(), key)
    }

    fn __contains__<'py>(slf: &Bound<'py, Self>, key: &Any<'py>) -> PyResult<bool> {
        mapping::contains(slf.as_super(), key)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        mapping::len(slf.as_super())
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<CacheIterator> {
        CacheIterator::new(slf.as_super(), What::Keys, false)
    }

    /// The timer of the cache. Call it for the time; use it as a context manager to freeze time for
    /// the calling thread.
    #[getter]
    fn timer<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        Ok(Cache::timer(slf.as_super())?.into_any())
    }

    /// Remove the items that have expired, by now or by the given time, and return their
    /// `(key, value)` pairs.
    #[pyo3(signature = (time = None))]
    fn expire<'py>(slf: &Bound<'py, Self>, time: Option<Any<'py>>) -> PyResult<Bound<'py, PyList>> {
        timed::expire_list(slf.as_super(), time)
    }
}

/// An LRU cache whose items expire a fixed time after they were set.
///
/// An item set at `t` is gone from `t + ttl` on: it is not returned, counted or iterated, and
/// it is removed when anything is set, `popitem`, `len`, `currsize` or `expire` is called.
///
/// Args:
///     maxsize: as for `Cache`.
///     ttl: time to live in units of the timer: seconds by default; 0 holds nothing,
///         `math.inf` never expires.
///     timer: gives the time; `time.monotonic` by default, which is read natively. Any type
///         that supports `timer() + ttl` and `<` will do, as `datetime.now` with a `timedelta`.
///     getsizeof: as for `Cache`.
///
/// Raises:
///     ValueError: `ttl` is NaN.
///     TypeError: `timer` is not callable, or `ttl` is not a number with the default timer.
#[pyclass(extends = TimedCache, subclass, generic, mapping, frozen, module = "overdrive")]
pub struct TTLCache;

#[pymethods]
impl TTLCache {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(maxsize, ttl, timer=..., getsizeof=None)"
    )]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Cache::uninitialised(Kind::Ttl))
            .add_subclass(TimedCache)
            .add_subclass(Self)
    }

    #[pyo3(signature = (maxsize, ttl, timer = Given::Default, getsizeof = None))]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        maxsize: &Any<'py>,
        ttl: &Any<'py>,
        timer: Given<'py>,
        getsizeof: Option<&Any<'py>>,
    ) -> PyResult<()> {
        let timer = timer.value();
        let arguments = Arguments { maxsize, getsizeof };
        construct::ttl(slf.as_super().as_super(), &arguments, ttl, timer.as_ref())
    }

    /// The time to live of the items, as given.
    #[getter]
    fn ttl<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        mapping::argument(slf.as_super().as_super(), |store| store.config.ttl)
    }
}

/// An LRU cache whose items bring their own time to use.
///
/// Args:
///     maxsize: as for `Cache`.
///     ttu: called as `ttu(key, value, now)` when an item is set; returns when it expires. An
///         item that has expired by then is not stored, and an item under its key is removed.
///     timer: as for `TTLCache`.
///     getsizeof: as for `Cache`.
///
/// Raises:
///     TypeError: `ttu` or `timer` is not callable.
///
/// Setting is O(log n), for a heap of deadlines; everything else as for `TTLCache`.
#[pyclass(extends = TimedCache, subclass, generic, mapping, frozen, module = "overdrive")]
pub struct TLRUCache;

#[pymethods]
impl TLRUCache {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(maxsize, ttu, timer=..., getsizeof=None)"
    )]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Cache::uninitialised(Kind::Tlru))
            .add_subclass(TimedCache)
            .add_subclass(Self)
    }

    #[pyo3(signature = (maxsize, ttu, timer = Given::Default, getsizeof = None))]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        maxsize: &Any<'py>,
        ttu: &Any<'py>,
        timer: Given<'py>,
        getsizeof: Option<&Any<'py>>,
    ) -> PyResult<()> {
        let timer = timer.value();
        let arguments = Arguments { maxsize, getsizeof };
        construct::ttu(slf.as_super().as_super(), &arguments, ttu, timer.as_ref())
    }

    /// The time-to-use function.
    #[getter]
    fn ttu<'py>(slf: &Bound<'py, Self>) -> PyResult<Any<'py>> {
        mapping::argument(slf.as_super().as_super(), |store| store.config.ttu)
    }
}

/// The native class of a kind.
pub fn class_of(py: Python<'_>, kind: Kind) -> Bound<'_, PyType> {
    match kind {
        Kind::Cache => py.get_type::<Cache>(),
        Kind::Fifo => py.get_type::<FIFOCache>(),
        Kind::Lru => py.get_type::<LRUCache>(),
        Kind::Lfu => py.get_type::<LFUCache>(),
        Kind::Rr => py.get_type::<RRCache>(),
        Kind::Arc => py.get_type::<ARCCache>(),
        Kind::TwoQ => py.get_type::<TwoQCache>(),
        Kind::S3Fifo => py.get_type::<S3FIFOCache>(),
        Kind::Sieve => py.get_type::<SieveCache>(),
        Kind::Lirs => py.get_type::<LIRSCache>(),
        Kind::WTinyLfu => py.get_type::<WTinyLFUCache>(),
        Kind::Adaptive => py.get_type::<AdaptiveCache>(),
        Kind::Ttl => py.get_type::<TTLCache>(),
        Kind::Tlru => py.get_type::<TLRUCache>(),
    }
}

/// All native classes, each after the one it is derived from.
pub fn all(py: Python<'_>) -> [Bound<'_, PyType>; 15] {
    [
        py.get_type::<Cache>(),
        py.get_type::<TimedCache>(),
        class_of(py, Kind::Fifo),
        class_of(py, Kind::Lru),
        class_of(py, Kind::Lfu),
        class_of(py, Kind::Rr),
        class_of(py, Kind::Arc),
        class_of(py, Kind::TwoQ),
        class_of(py, Kind::S3Fifo),
        class_of(py, Kind::Sieve),
        class_of(py, Kind::Lirs),
        class_of(py, Kind::WTinyLfu),
        class_of(py, Kind::Adaptive),
        class_of(py, Kind::Ttl),
        class_of(py, Kind::Tlru),
    ]
}

/// Shows the classes in error messages by their bare names, as Python's own classes are.
pub fn shorten_names(py: Python<'_>) {
    let names: [(Kind, &'static CStr); 14] = [
        (Kind::Cache, c"Cache"),
        (Kind::Fifo, c"FIFOCache"),
        (Kind::Lru, c"LRUCache"),
        (Kind::Lfu, c"LFUCache"),
        (Kind::Rr, c"RRCache"),
        (Kind::Arc, c"ARCCache"),
        (Kind::TwoQ, c"TwoQCache"),
        (Kind::S3Fifo, c"S3FIFOCache"),
        (Kind::Sieve, c"SieveCache"),
        (Kind::Lirs, c"LIRSCache"),
        (Kind::WTinyLfu, c"WTinyLFUCache"),
        (Kind::Adaptive, c"AdaptiveCache"),
        (Kind::Ttl, c"TTLCache"),
        (Kind::Tlru, c"TLRUCache"),
    ];
    for (kind, name) in names {
        // SAFETY: the name is static. CPython reads `tp_name` of a heap type for messages only; what
        // it frees with the type, and what `__name__` and `__module__` give, is kept elsewhere.
        unsafe { (*class_of(py, kind).as_type_ptr()).tp_name = name.as_ptr() };
    }
}
