//! `MemoryCache`: its methods, and when user code runs.
//!
//! Python code may run, and may do anything to the same cache, in exactly these places, all outside
//! of the lock: hashing and comparing keys, the clock, the weigher, the listener, the methods of
//! arguments, and dropping references. After each of them the lock is taken anew and the key is looked
//! up again.

use std::sync::atomic::AtomicBool;

use overdrive_core::budget::Budget;
use overdrive_core::recorder::Recorder;
use overdrive_core::replay::Name;
use overdrive_core::what_if::WhatIf;
use pyo3::exceptions::{PyAssertionError, PyKeyError, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::arguments;
use super::contents::{Contents, Defaults, age_tick};
use super::departures::{Cause, Counts};
use super::operations::{Purpose, callable, lifetime};
use super::policies;
use super::records::records;
use super::watch::Recording;
use crate::cache::{hash, key_error};
use crate::config::Config;
use crate::expiry::{Expiry, Instant};
use crate::lock::Guarded;
use crate::number::{self};
use crate::obj::{Gone, Obj};
use crate::report;
use crate::store::{Put, Store};

type Any<'py> = Bound<'py, PyAny>;

/// The native part of `overdrive.MemoryCache`, which is documented there.
#[pyclass(
    subclass,
    dict,
    weakref,
    generic,
    mapping,
    frozen,
    module = "overdrive._core",
    name = "_MemoryCache"
)]
pub struct MemoryCache {
    pub(super) initialised: AtomicBool,
    pub contents: Guarded<Contents>,
}

#[pymethods]
impl MemoryCache {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            initialised: AtomicBool::new(false),
            contents: Guarded::new(Contents::uninitialised()),
        }
    }

    #[pyo3(signature = (maxsize, policy, ttl, idle, jitter, weigher, max_bytes, listener, clock, seed))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the constructor's, by name"
    )]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        maxsize: &Any<'py>,
        policy: &str,
        ttl: Option<&Any<'py>>,
        idle: Option<&Any<'py>>,
        jitter: f64,
        weigher: Option<&Any<'py>>,
        max_bytes: Option<&Any<'py>>,
        listener: Option<&Any<'py>>,
        clock: Option<&Any<'py>>,
        seed: u64,
    ) -> PyResult<()> {
        let py = slf.py();
        let limit = arguments::limit("maxsize", maxsize)?;
        let Some(eviction) = policies::by_name(policy) else {
            return Err(PyValueError::new_err(format!(
                "policy must be one of {}, got {policy:?}",
                policies::NAMES
            )));
        };
        let defaults = Defaults {
            ttl: lifetime("ttl", ttl)?.unwrap_or(f64::INFINITY),
            idle: lifetime("idle", idle)?.unwrap_or(f64::INFINITY),
            jitter,
        };
        if defaults.idle <= 0.0 {
            return Err(PyValueError::new_err(format!(
                "idle must be more than 0 seconds, got {}",
                defaults.idle
            )));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(PyValueError::new_err(format!(
                "jitter must be a fraction of the ttl from 0 to 1, got {jitter}"
            )));
        }
        let bytes = max_bytes
            .map(|limit| arguments::limit("max_bytes", limit).map(Budget::sized))
            .transpose()?;
        let budget = if weigher.is_some() {
            Budget::sized(limit)
        } else {
            Budget::units(limit)
        };
        let store = Store::new(eviction, budget, Expiry::Never, Config::default());
        let mut contents = Contents::new(store, defaults, seed);
        contents.bytes = bytes;
        contents.weigher = callable("weigher", weigher)?;
        contents.clock = callable("clock", clock)?;
        contents.departures.listener = callable("on_evict", listener)?;
        drop(slf.get().install(py, contents, true));
        Ok(())
    }

    fn __getitem__<'py>(&self, key: &Any<'py>) -> PyResult<Any<'py>> {
        self.ready()?;
        let hash = hash(key)?;
        let now = self.instant(key.py())?;
        match self.read(key, hash, now)? {
            Some(value) => Ok(value),
            None => Err(key_error(key)),
        }
    }

    fn __setitem__<'py>(&self, key: &Any<'py>, value: &Any<'py>) -> PyResult<()> {
        self.store_item(key, value, None, &[], Purpose::Set)?;
        Ok(())
    }

    fn __delitem__(&self, key: &Any<'_>) -> PyResult<()> {
        if self.discard(key)? {
            Ok(())
        } else {
            Err(key_error(key))
        }
    }

    fn __contains__(&self, key: &Any<'_>) -> PyResult<bool> {
        Ok(self.lookup_live(key, |_, _, _| ())?.is_some())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.expire(py)?;
        Ok(self.contents.with(py, |contents| contents.store.len()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let keys = self.live(py)?.into_iter().map(|(key, _)| key);
        Ok(PyList::new(py, keys.collect::<Vec<_>>())?
            .try_iter()?
            .into_any())
    }

    /// The live pairs, in the order in which they were first set; no use is counted.
    fn _pairs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.live(py)?)
    }

    #[pyo3(signature = (key, default = None))]
    fn get<'py>(&self, key: &Any<'py>, default: Option<Any<'py>>) -> PyResult<Option<Any<'py>>> {
        self.ready()?;
        let hash = hash(key)?;
        let now = self.instant(key.py())?;
        Ok(self.read(key, hash, now)?.or(default))
    }

    #[pyo3(signature = (key, default = None))]
    fn peek<'py>(&self, key: &Any<'py>, default: Option<Any<'py>>) -> PyResult<Option<Any<'py>>> {
        let found =
            self.lookup_live(key, |contents, slot, _| contents.store.value(slot).incref())?;
        // SAFETY: the reference was taken in the region.
        Ok(found
            .map(|value| unsafe { value.into_bound(key.py()) })
            .or(default))
    }

    #[pyo3(signature = (key, value, *, ttl = None, tags = None))]
    fn set<'py>(
        &self,
        key: &Any<'py>,
        value: &Any<'py>,
        ttl: Option<&Any<'py>>,
        tags: Option<&Any<'py>>,
    ) -> PyResult<()> {
        let ttl = lifetime("ttl", ttl)?;
        let tags = tags.map(arguments::tags).transpose()?.unwrap_or_default();
        self.store_item(key, value, ttl, &tags, Purpose::Set)?;
        Ok(())
    }

    /// Remove a key and return its value in a tuple; an empty tuple if it is absent.
    fn _pop<'py>(&self, key: &Any<'py>) -> PyResult<Option<(Any<'py>,)>> {
        let py = key.py();
        let found = self.remove(key, |contents, slot, gone| {
            let (key, value) = contents.take_telling(slot, Cause::Deleted, gone);
            gone.push(key);
            value
        })?;
        // SAFETY: the reference was handed over.
        let found = found.map(|value| (unsafe { value.into_bound(py) },));
        self.tell(py)?;
        Ok(found)
    }

    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<(Any<'py>, Any<'py>)> {
        self.ready()?;
        let now = self.now(py)?;
        let mut gone = Gone::default();
        let taken = self.contents.with(py, |contents| {
            contents.tidy_up(now, &mut gone);
            let slot = contents.victim(None)?;
            Some(contents.take_telling(slot, Cause::Deleted, &mut gone))
        });
        drop(gone);
        let Some((key, value)) = taken else {
            self.tell(py)?;
            return Err(PyKeyError::new_err(
                "the cache is empty, or all items are pinned",
            ));
        };
        // SAFETY: both references were handed over.
        let pair = unsafe { (key.into_bound(py), value.into_bound(py)) };
        self.tell(py)?;
        Ok(pair)
    }

    #[pyo3(signature = (key, default = None))]
    fn setdefault<'py>(&self, key: &Any<'py>, default: Option<&Any<'py>>) -> PyResult<Any<'py>> {
        self.ready()?;
        let none = key.py().None().into_bound(key.py());
        let found = self.get(key, None)?;
        match found {
            Some(value) => Ok(value),
            None => {
                // Another thread, or the weigher, may have set the key meanwhile.
                let default = default.unwrap_or(&none);
                let present = self.store_item(key, default, None, &[], Purpose::Default)?;
                Ok(present.unwrap_or_else(|| default.clone()))
            }
        }
    }

    fn delete(&self, key: &Any<'_>) -> PyResult<bool> {
        self.discard(key)
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.ready()?;
        let mut gone = Gone::default();
        let old = self.contents.with(py, |contents| contents.clear(&mut gone));
        drop(old);
        drop(gone);
        self.tell(py)
    }

    fn expire(&self, py: Python<'_>) -> PyResult<usize> {
        self.ready()?;
        let ageless = self.contents.with(py, |contents| {
            contents.lifetimes.is_none() && !contents.tags.may_be_stale()
        });
        if ageless {
            return Ok(0);
        }
        let now = self.now(py)?;
        let mut gone = Gone::default();
        let count = self
            .contents
            .with(py, |contents| contents.tidy_up(now, &mut gone));
        drop(gone);
        self.tell(py)?;
        Ok(count)
    }

    #[pyo3(signature = (key, *, ttl = None))]
    fn touch<'py>(&self, key: &Any<'py>, ttl: Option<&Any<'py>>) -> PyResult<bool> {
        self.ready()?;
        let ttl = lifetime("ttl", ttl)?;
        let hash = hash(key)?;
        let now = self.now(key.py())?;
        let mut gone = Gone::default();
        let put = self.lookup(key, hash, |contents, at| {
            let instant = Instant::At(now);
            let slot = at.filter(|&slot| contents.is_live(slot, instant))?;
            contents.touch(slot, instant);
            Some(contents.set_ttl(slot, ttl, now, &mut gone))
        })?;
        drop(gone);
        self.tell(key.py())?;
        match put {
            Some(Put::NoMemory) => Err(PyMemoryError::new_err("no memory for a deadline")),
            put => Ok(put.is_some()),
        }
    }

    fn remaining_ttl(&self, key: &Any<'_>) -> PyResult<f64> {
        self.ready()?;
        let hash = hash(key)?;
        let now = self.now(key.py())?;
        let remaining = self.lookup(key, hash, |contents, at| {
            let slot = at.filter(|&slot| contents.is_live(slot, Instant::At(now)))?;
            Some(
                contents
                    .lifetimes
                    .as_ref()
                    .map_or(f64::INFINITY, |lifetimes| lifetimes.deadlines(slot).0 - now),
            )
        })?;
        remaining.ok_or_else(|| key_error(key))
    }

    fn tags<'py>(&self, key: &Any<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let tags = self.lookup_live(key, |contents, slot, _| {
            contents
                .tags
                .names(slot)
                .map(Box::from)
                .collect::<Vec<Box<str>>>()
        })?;
        let tags = tags.ok_or_else(|| key_error(key))?;
        PyTuple::new(key.py(), tags.iter().map(|tag| &**tag))
    }

    fn invalidate_tag(&self, py: Python<'_>, tag: &str) -> PyResult<u32> {
        self.ready()?;
        Ok(self.contents.with(py, |contents| {
            contents.loads.forget_tag(tag);
            contents.tags.invalidate(tag)
        }))
    }

    fn pin(&self, key: &Any<'_>) -> PyResult<bool> {
        match self.lookup_live(key, |contents, slot, _| contents.pin(slot))? {
            Some(false) => Err(PyMemoryError::new_err("no memory for a pin")),
            pinned => Ok(pinned.is_some()),
        }
    }

    fn unpin(&self, key: &Any<'_>) -> PyResult<bool> {
        let unpinned = self.lookup_live(key, |contents, slot, _| contents.unpin(slot))?;
        if unpinned == Some(true) {
            self.shrink(key.py())?; // the limits may have been lowered below what was pinned
        }
        Ok(unpinned == Some(true))
    }

    fn is_pinned(&self, key: &Any<'_>) -> PyResult<bool> {
        let pinned = self.lookup_live(key, |contents, slot, _| contents.pins.contains(slot))?;
        Ok(pinned == Some(true))
    }

    #[pyo3(signature = (count = None))]
    fn hottest<'py>(
        &self,
        py: Python<'py>,
        count: Option<&Any<'py>>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.ranked(py, arguments::count(count)?, true)
    }

    #[pyo3(signature = (count = None))]
    fn coldest<'py>(
        &self,
        py: Python<'py>,
        count: Option<&Any<'py>>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.ranked(py, arguments::count(count)?, false)
    }

    fn get_many<'py>(&self, keys: &Any<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.ready()?;
        let py = keys.py();
        let found = PyDict::new(py);
        for key in keys.try_iter()? {
            let key = key?;
            let hash = hash(&key)?;
            let now = self.instant(py)?; // time passes while the keys are made
            if let Some(value) = self.read(&key, hash, now)? {
                found.set_item(key, value)?;
            }
        }
        Ok(found)
    }

    /// Store a list of pairs.
    #[pyo3(signature = (pairs, ttl = None, tags = None))]
    fn _set_pairs<'py>(
        &self,
        pairs: Vec<(Any<'py>, Any<'py>)>,
        ttl: Option<&Any<'py>>,
        tags: Option<&Any<'py>>,
    ) -> PyResult<()> {
        let ttl = lifetime("ttl", ttl)?;
        let tags = tags.map(arguments::tags).transpose()?.unwrap_or_default();
        for (key, value) in pairs {
            self.store_item(&key, &value, ttl, &tags, Purpose::Set)?;
        }
        Ok(())
    }

    fn delete_many(&self, keys: &Any<'_>) -> PyResult<usize> {
        let mut count = 0;
        for key in keys.try_iter()? {
            count += usize::from(self.discard(&key?)?);
        }
        Ok(count)
    }

    /// Change the limits; those left out stay. Returns how many items were evicted.
    #[pyo3(signature = (maxsize = None, max_bytes = None))]
    fn _resize<'py>(
        &self,
        py: Python<'py>,
        maxsize: Option<&Any<'py>>,
        max_bytes: Option<&Any<'py>>,
    ) -> PyResult<usize> {
        self.ready()?;
        let limit = maxsize
            .map(|limit| arguments::limit("maxsize", limit))
            .transpose()?;
        let bytes = max_bytes
            .map(|limit| arguments::limit("max_bytes", limit))
            .transpose()?;
        let now = self.now(py)?;
        let mut gone = Gone::default();
        let evicted = self.contents.with(py, |contents| {
            if bytes.is_some() && contents.bytes.is_none() {
                return None;
            }
            if let Some(limit) = limit {
                contents.store.budget.set_limit(limit);
            }
            if let (Some(budget), Some(limit)) = (&mut contents.bytes, bytes) {
                budget.set_limit(limit);
            }
            Some(contents.shrink(now, &mut gone))
        });
        drop(gone);
        self.tell(py)?;
        evicted.ok_or_else(|| {
            PyValueError::new_err(
                "max_bytes can only be changed in a cache that was made with max_bytes",
            )
        })
    }

    #[getter]
    fn maxsize<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.ready()?;
        let limit = self
            .contents
            .with(py, |contents| contents.store.budget.limit());
        number::total(py, limit)
    }

    #[getter]
    fn currsize<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.expire(py)?;
        let used = self.contents.with(py, |contents| {
            contents.store.budget.used(contents.store.len())
        });
        number::total(py, used)
    }

    #[getter]
    fn max_bytes<'py>(&self, py: Python<'py>) -> PyResult<Option<Any<'py>>> {
        self.ready()?;
        let limit = self
            .contents
            .with(py, |contents| contents.bytes.as_ref().map(Budget::limit));
        limit.map(|limit| number::total(py, limit)).transpose()
    }

    #[getter]
    fn currbytes<'py>(&self, py: Python<'py>) -> PyResult<Option<Any<'py>>> {
        self.expire(py)?;
        let used = self.contents.with(py, |contents| {
            let len = contents.store.len();
            contents.bytes.as_ref().map(|bytes| bytes.used(len))
        });
        used.map(|used| number::total(py, used)).transpose()
    }

    #[getter]
    fn policy(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.ready()?;
        Ok(self
            .contents
            .with(py, |contents| policies::name(&contents.store.policy)))
    }

    /// What an adaptive policy does, and why; `None` for the others.
    fn policy_report<'py>(&self, py: Python<'py>) -> PyResult<Option<Any<'py>>> {
        self.ready()?;
        let report = self
            .contents
            .with(py, |contents| report::of(&contents.store));
        report
            .map(|report| report::to_python(py, &report))
            .transpose()
    }

    #[getter]
    fn ttl(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.ready()?;
        let ttl = self.contents.with(py, |contents| contents.defaults.ttl);
        Ok((ttl < f64::INFINITY).then_some(ttl))
    }

    #[getter]
    fn idle(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.ready()?;
        let idle = self.contents.with(py, |contents| contents.defaults.idle);
        Ok((idle < f64::INFINITY).then_some(idle))
    }

    #[getter]
    fn jitter(&self, py: Python<'_>) -> PyResult<f64> {
        self.ready()?;
        Ok(self.contents.with(py, |contents| contents.defaults.jitter))
    }

    #[getter]
    fn _weigher<'py>(&self, py: Python<'py>) -> Option<Any<'py>> {
        let weigher = self
            .contents
            .with(py, |contents| contents.weigher.map(Obj::incref));
        // SAFETY: the reference was taken in the region.
        weigher.map(|weigher| unsafe { weigher.into_bound(py) })
    }

    #[getter]
    fn _clock<'py>(&self, py: Python<'py>) -> Option<Any<'py>> {
        self.clock(py)
    }

    #[getter]
    fn _listener<'py>(&self, py: Python<'py>) -> Option<Any<'py>> {
        let listener = self
            .contents
            .with(py, |contents| contents.departures.listener.map(Obj::incref));
        // SAFETY: the reference was taken in the region.
        listener.map(|listener| unsafe { listener.into_bound(py) })
    }

    /// Tell another listener from now on, or nobody, if the present one is the `expected` one; returns whether it is.
    #[pyo3(signature = (listener, expected))]
    fn _listen<'py>(
        &self,
        py: Python<'py>,
        listener: Option<&Any<'py>>,
        expected: Option<&Any<'py>>,
    ) -> PyResult<bool> {
        self.ready()?;
        let mut listener = callable("on_evict", listener)?;
        let is_as_expected = self.contents.with(py, |contents| {
            let present = &mut contents.departures.listener;
            let same = *present == expected.map(Obj::of);
            if same {
                std::mem::swap(present, &mut listener);
            }
            same
        });
        let mut gone = Gone::default();
        listener.into_iter().for_each(|old| gone.push(old));
        Ok(is_as_expected)
    }

    /// Hits, misses, loads, failed loads, seconds of loads, and how many items left by cause.
    fn _counts(&self, py: Python<'_>) -> PyResult<(u64, u64, u64, u64, f64, [u64; 4])> {
        self.ready()?;
        let counts = self.contents.with(py, |contents| contents.counts);
        Ok((
            counts.hits,
            counts.misses,
            counts.loads,
            counts.load_errors,
            counts.load_seconds,
            counts.left,
        ))
    }

    fn reset_stats(&self, py: Python<'_>) -> PyResult<()> {
        self.ready()?;
        self.contents
            .with(py, |contents| contents.counts = Counts::default());
        Ok(())
    }

    /// The ttl and the tags that an item is to get, read once and checked.
    #[staticmethod]
    #[pyo3(signature = (ttl, tags))]
    fn _checked<'py>(
        py: Python<'py>,
        ttl: Option<&Any<'py>>,
        tags: Option<&Any<'py>>,
    ) -> PyResult<(Option<f64>, Bound<'py, PyTuple>)> {
        let ttl = lifetime("ttl", ttl)?;
        let tags = tags.map(arguments::tags).transpose()?.unwrap_or_default();
        Ok((ttl, PyTuple::new(py, tags.iter().map(|tag| &**tag))?))
    }

    /// Begin a load of a key; the ticket of it is returned.
    #[pyo3(signature = (key, tags = None))]
    fn _begin_load(&self, key: &Any<'_>, tags: Option<&Any<'_>>) -> PyResult<u64> {
        self.ready()?;
        let tags = tags.map(arguments::tags).transpose()?.unwrap_or_default();
        let hash = hash(key)?;
        Ok(self
            .contents
            .with(key.py(), |contents| contents.loads.begin(hash, tags)))
    }

    /// Store the value of a load and end it, unless something has made it outdated meanwhile.
    #[pyo3(signature = (key, value, ticket, ttl = None, tags = None))]
    fn _set_loaded<'py>(
        &self,
        key: &Any<'py>,
        value: &Any<'py>,
        ticket: u64,
        ttl: Option<&Any<'py>>,
        tags: Option<&Any<'py>>,
    ) -> PyResult<()> {
        let ttl = lifetime("ttl", ttl)?;
        let tags = tags.map(arguments::tags).transpose()?.unwrap_or_default();
        let stored = self.store_item(key, value, ttl, &tags, Purpose::Loaded(ticket));
        self._end_load(key.py(), ticket); // if it was not reached
        stored.map(drop)
    }

    /// End a load; returns whether its value may be stored.
    fn _end_load(&self, py: Python<'_>, ticket: u64) -> bool {
        self.contents
            .with(py, |contents| contents.loads.end(ticket))
    }

    /// Count a load that took so many seconds.
    fn _count_load(&self, py: Python<'_>, seconds: f64, failed: bool) {
        self.contents.with(py, |contents| {
            let counts = &mut contents.counts;
            counts.load_seconds += seconds;
            if failed {
                counts.load_errors += 1;
            } else {
                counts.loads += 1;
            }
        });
    }

    /// How many live items were set so long ago: below 0.1 s, 0.2 s, 0.4 s and so on; and how many were looked at.
    fn _ages(&self, py: Python<'_>) -> PyResult<(Vec<u64>, u64)> {
        self.ready()?;
        let now = self.now(py)?;
        let (buckets, sampled) = self.contents.with(py, |contents| {
            let live = contents
                .store
                .order()
                .iter()
                .filter(|&slot| contents.is_live(slot, Instant::At(now)));
            contents.ages.histogram(live, age_tick(now))
        });
        Ok((buckets.to_vec(), sampled))
    }

    /// All live items as `(key, value, remaining ttl, tags, pinned, weight)`, coldest first.
    fn _records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.ready()?;
        let now = self.now(py)?;
        let records = self.contents.with(py, |contents| records(contents, now));
        let list = PyList::empty(py);
        for record in records {
            list.append(record.into_tuple(py)?)?;
        }
        Ok(list)
    }

    /// Store what `_records` gave; weights and bytes are taken anew.
    fn _restore(&self, records: &Bound<'_, PyList>) -> PyResult<()> {
        for record in records {
            let (key, value, remaining, tags, pinned, _weight) = record.extract::<(
                Any<'_>,
                Any<'_>,
                Option<f64>,
                Option<Any<'_>>,
                bool,
                Option<Any<'_>>,
            )>()?;
            let tags = match tags {
                Some(tags) => arguments::tags(&tags)?,
                None => Vec::new(),
            };
            let ttl = remaining.unwrap_or(f64::INFINITY);
            self.store_item(&key, &value, Some(ttl), &tags, Purpose::Restored)?;
            if pinned {
                self.pin(&key)?;
            }
        }
        Ok(())
    }

    /// Estimate from now on what other policies would hit at these sizes; nothing is estimated with an empty list.
    fn _watch(
        &self,
        py: Python<'_>,
        size: usize,
        policies: Vec<String>,
        sizes: Vec<usize>,
        seed: u64,
    ) -> PyResult<()> {
        self.ready()?;
        let named = |name: &str| {
            Name::parse(name).ok_or_else(|| {
                PyValueError::new_err(format!("there is no policy {name:?} to estimate"))
            })
        };
        let own = named(self.policy(py)?)?;
        let policies = policies
            .iter()
            .map(|name| named(name))
            .collect::<PyResult<Vec<_>>>()?;
        let what_if = if policies.is_empty() {
            None
        } else {
            let what_if = WhatIf::new(own, size, &policies, &sizes, seed);
            Some(Box::new(what_if.map_err(|refused| {
                PyValueError::new_err(refused.to_string())
            })?))
        };
        let old = self.contents.with(py, |contents| {
            let watch = contents.watch.get_or_insert_default();
            let old = std::mem::replace(&mut watch.what_if, what_if);
            contents.watch.take_if(|watch| watch.is_idle());
            old
        });
        drop(old);
        Ok(())
    }

    /// Lookups, hits, the share of keys watched, the bytes that watching takes, and the estimates, the cache itself first:
    /// `(policy, size, hit ratio, standard error, sampled, rough, full)`. `None` if nothing is estimated.
    #[expect(clippy::type_complexity, reason = "a tuple for one Python function")]
    fn _estimates(
        &self,
        py: Python<'_>,
    ) -> Option<(
        u64,
        u64,
        f64,
        usize,
        Vec<(&'static str, usize, f64, f64, u64, bool, bool)>,
    )> {
        self.contents.with(py, |contents| {
            let what_if = contents.watch.as_ref()?.what_if.as_ref()?;
            let seen = what_if.seen();
            let rows = what_if.rows().into_iter().map(|row| {
                (
                    row.policy.text(),
                    row.size,
                    row.hit_ratio,
                    row.standard_error,
                    row.sampled,
                    row.rough,
                    row.full,
                )
            });
            Some((
                seen.requests,
                seen.hits,
                what_if.rate(),
                what_if.memory(),
                rows.collect(),
            ))
        })
    }

    /// Record the keys that are looked up, in a file.
    fn _record(
        &self,
        py: Python<'_>,
        path: std::path::PathBuf,
        rate: f64,
        secret: [u64; 2],
    ) -> PyResult<()> {
        self.ready()?;
        let recorder = Recorder::new(rate, secret)
            .map_err(|refused| PyValueError::new_err(refused.to_string()))?;
        let busy = |contents: &mut Contents| contents.recording_mut().is_some();
        if self.contents.with(py, busy) {
            return Err(PyRuntimeError::new_err(
                "a recording of this cache is under way",
            ));
        }
        let mut recording = Some(Box::new(Recording::create(&path, recorder)?));
        self.contents.with(py, |contents| {
            if contents.recording_mut().is_none() {
                let watch = contents.watch.get_or_insert_default();
                watch.recording = recording.take();
            }
        });
        if recording.is_some() {
            return Err(PyRuntimeError::new_err(
                "a recording of this cache is under way",
            ));
        }
        Ok(())
    }

    /// End a recording; returns how many requests it has, how many there were, if none was lost, and how many were lost.
    /// `None` while a thread writes, or if nothing is recorded.
    fn _end_recording(&self, py: Python<'_>) -> PyResult<Option<(u64, Option<u64>, u64)>> {
        let recording = self.contents.with(py, |contents| {
            let watch = contents.watch.as_mut()?;
            let recording = watch.recording.take_if(|recording| !recording.is_writing());
            contents.watch.take_if(|watch| watch.is_idle());
            recording
        });
        let Some(recording) = recording else {
            return Ok(None);
        };
        let recorded = py.detach(|| recording.finish())?;
        Ok(Some((recorded.requests, recorded.observed, recorded.lost)))
    }

    #[getter]
    fn _is_recording(&self, py: Python<'_>) -> bool {
        self.contents
            .with(py, |contents| contents.recording_mut().is_some())
    }

    fn __sizeof__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let basic: usize = slf.get_type().getattr("__basicsize__")?.extract()?;
        Ok(basic
            + slf
                .get()
                .contents
                .with(slf.py(), |contents| contents.memory()))
    }

    /// Check every internal invariant; raise AssertionError naming the broken one. O(n); for tests.
    fn _check(&self, py: Python<'_>) -> PyResult<()> {
        let checked = self.contents.with(py, |contents| contents.check());
        checked.map_err(PyAssertionError::new_err)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: called by the garbage collector only.
        unsafe { self.contents.frozen_world() }
            .references()
            .try_for_each(|object| visit.call(object.as_py()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.install(py, Contents::uninitialised(), false));
    }
}
