//! What the methods of `MemoryCache` are made of, and where user code runs among it.

use std::sync::atomic::Ordering;

use overdrive_core::Slot;
use overdrive_core::size::{Size, Total};
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::arguments;
use super::class::MemoryCache;
use super::contents::{Contents, New};
use super::departures::{self, Cause};
use super::sizes;
use super::watch::{self};
use crate::cache::hash;
use crate::clock;
use crate::expiry::Instant;
use crate::import::Imported;
use crate::key::Asked;
use crate::number::{self, shown};
use crate::obj::{Gone, Obj};
use crate::store::{Item, Probe, Put, Store};

type Any<'py> = Bound<'py, PyAny>;

/// What an item is stored for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// To be the value of its key.
    Set,
    /// The same, unless there is one.
    Default,
    /// It was loaded, by the load of this ticket.
    Loaded(u64),
    /// It comes from another cache, with what is left of its lifetime.
    Restored,
}

impl MemoryCache {
    pub(crate) fn ready(&self) -> PyResult<()> {
        if self.initialised.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(PyRuntimeError::new_err(
                "__init__() has not run: a subclass must call the __init__ of MemoryCache",
            ))
        }
    }

    /// Replaces everything; the previous contents go when what is returned is dropped.
    #[must_use]
    pub(super) fn install(
        &self,
        py: Python<'_>,
        mut contents: Contents,
        initialised: bool,
    ) -> Contents {
        self.initialised.store(initialised, Ordering::Relaxed);
        self.contents.with(py, |present| {
            contents.store.succeed(&present.store);
            contents.loads.succeed(&present.loads);
            std::mem::replace(present, contents)
        })
    }

    /// Finds a key and runs `decide` on what was found, in one region.
    pub(crate) fn lookup<R>(
        &self,
        key: &Any<'_>,
        hash: u64,
        mut decide: impl FnMut(&mut Contents, Option<Slot>) -> R,
    ) -> PyResult<R> {
        let mut asked = Asked::default();
        loop {
            let outcome = self.contents.with(key.py(), |contents| {
                match contents.store.find(hash, Obj::of(key), &mut asked) {
                    Probe::Slot(slot) => Some(decide(contents, Some(slot))),
                    Probe::Absent => Some(decide(contents, None)),
                    Probe::Ask => None,
                }
            });
            match outcome {
                Some(result) => return Ok(result),
                None => asked.resolve(key)?,
            }
        }
    }

    /// Finds a live item and runs `take` on it, in one region; `None` if there is none.
    pub(crate) fn lookup_live<R>(
        &self,
        key: &Any<'_>,
        mut take: impl FnMut(&mut Contents, Slot, Instant) -> R,
    ) -> PyResult<Option<R>> {
        self.ready()?;
        let hash = hash(key)?;
        let now = self.instant(key.py())?;
        self.lookup(key, hash, |contents, at| {
            let slot = at.filter(|&slot| contents.is_live(slot, now))?;
            Some(take(contents, slot, now))
        })
    }

    /// A live value; counts a hit or a miss.
    pub(super) fn read<'py>(
        &self,
        key: &Any<'py>,
        hash: u64,
        now: Instant,
    ) -> PyResult<Option<Any<'py>>> {
        let py = key.py();
        let (found, has_batch) = self.lookup(key, hash, |contents, at| {
            (contents.read(at, hash, now), contents.has_batch)
        })?;
        if has_batch {
            watch::write(py, &self.contents);
        }
        // SAFETY: the reference was taken in the region.
        Ok(found.map(|value| unsafe { value.into_bound(py) }))
    }

    /// What [`Contents::read_quiet`] finds.
    pub(crate) fn read_quiet<'py>(&self, key: &Any<'py>) -> PyResult<Option<Any<'py>>> {
        self.ready()?;
        let py = key.py();
        let hash = hash(key)?;
        let now = self.instant(py)?;
        let (found, has_batch) = self.lookup(key, hash, |contents, at| {
            (contents.read_quiet(at, hash, now), contents.has_batch)
        })?;
        if has_batch {
            watch::write(py, &self.contents);
        }
        // SAFETY: the reference was taken in the region.
        Ok(found.map(|value| unsafe { value.into_bound(py) }))
    }

    /// The user's clock, if there is one.
    pub(super) fn clock<'py>(&self, py: Python<'py>) -> Option<Any<'py>> {
        let clock = self
            .contents
            .with(py, |contents| contents.clock.map(Obj::incref));
        // SAFETY: the reference was taken in the region.
        clock.map(|clock| unsafe { clock.into_bound(py) })
    }

    /// What reads are judged by.
    pub(crate) fn instant(&self, py: Python<'_>) -> PyResult<Instant> {
        match self.clock(py) {
            None => Ok(Instant::Native),
            Some(clock) => read_clock(&clock).map(Instant::At),
        }
    }

    /// The time, in seconds.
    pub(super) fn now(&self, py: Python<'_>) -> PyResult<f64> {
        match self.clock(py) {
            None => Ok(clock::monotonic()),
            Some(clock) => read_clock(&clock),
        }
    }

    /// Stores an item; returns the value that is there already, if there is to be only one.
    pub(super) fn store_item<'py>(
        &self,
        key: &Any<'py>,
        value: &Any<'py>,
        ttl: Option<f64>,
        tags: &[Box<str>],
        purpose: Purpose,
    ) -> PyResult<Option<Any<'py>>> {
        self.ready()?;
        let py = key.py();
        let (weigher, limited) = self.contents.with(py, |contents| {
            (contents.weigher.map(Obj::incref), contents.bytes.is_some())
        });
        // SAFETY: the reference was taken in the region.
        let weigher = weigher.map(|weigher| unsafe { weigher.into_bound(py) });
        let size = match weigher {
            Some(weigher) => arguments::weight(&weigher.call1((key, value))?)?,
            None => Size::Int(1),
        };
        let bytes = if limited {
            sizes::of_item(key, value)?
        } else {
            0
        };
        let hash = hash(key)?;
        let now = self.now(py)?;
        let new = New {
            item: Item {
                hash,
                key: Obj::of(key),
                value: Obj::of(value),
                size,
                deadline: None,
            },
            bytes,
            ttl,
            exact: matches!(purpose, Purpose::Restored),
            tags,
            now,
        };
        let present = self.put(key, &new, purpose);
        // SAFETY: the reference was taken in the region.
        let present = present.map(|value| value.map(|value| unsafe { value.into_bound(py) }));
        let told = self.tell(py); // also what had expired when there was no room
        present.and_then(|present| told.map(|()| present))
    }

    /// Stores an item that is weighed already; one that was loaded, if it is wanted still. Returns as
    /// [`store_item`](Self::store_item), with a reference.
    pub(super) fn put(
        &self,
        key: &Any<'_>,
        new: &New<'_>,
        purpose: Purpose,
    ) -> PyResult<Option<Obj>> {
        enum Refusal {
            TooLarge(Total),
            TooManyBytes(Total),
        }
        let py = key.py();
        let mut gone = Gone::default();
        let mut refusal = None;
        let mut present = None;
        let put = self.lookup(key, new.item.hash, |contents, at| {
            if matches!(purpose, Purpose::Default)
                && let Some(slot) = at.filter(|&slot| contents.is_live(slot, Instant::At(new.now)))
            {
                contents.touch(slot, Instant::At(new.now));
                present = Some(contents.store.value(slot).incref());
                return Put::Done;
            }
            if let Some(bytes) = &contents.bytes
                && !bytes.admits(Size::Int(new.bytes))
            {
                refusal = Some(Refusal::TooManyBytes(bytes.limit()));
                return Put::TooLarge;
            }
            if let Purpose::Loaded(ticket) = purpose
                && !contents.loads.end(ticket)
            {
                return Put::Done;
            }
            contents.loads.forget(new.item.hash);
            let put = contents.put(at, new, &mut gone);
            if matches!(put, Put::TooLarge) {
                let limit = contents.store.budget.limit();
                if let Some(slot) = at
                    && !limit.exceeds(Total::Int(0))
                {
                    // It was pinned when the limit became 0; its old value is not to be found any more.
                    contents.remove(slot, Cause::Replaced, &mut gone);
                }
                refusal = Some(Refusal::TooLarge(limit));
            }
            put
        })?;
        drop(gone);
        let told = match put {
            Put::Done => return Ok(present),
            // What was loaded is the answer all the same.
            Put::Full | Put::TooLarge if matches!(purpose, Purpose::Loaded(_)) => return Ok(None),
            Put::NoMemory => PyMemoryError::new_err("no memory for another cache item"),
            Put::TooMany => PyOverflowError::new_err(format!(
                "a cache cannot hold more than {} items",
                overdrive_core::MAX_SLOTS
            )),
            Put::Full => full_error(py)?,
            _ => match refusal {
                Some(Refusal::TooManyBytes(limit)) => PyValueError::new_err(format!(
                    "value too large: the item takes about {} bytes, max_bytes is {}",
                    new.bytes,
                    number::total(py, limit)?,
                )),
                // A cache of size 0 keeps nothing, and says nothing about it.
                Some(Refusal::TooLarge(limit)) if !limit.exceeds(Total::Int(0)) => return Ok(None),
                Some(Refusal::TooLarge(limit)) => PyValueError::new_err(format!(
                    "value too large: the item weighs {}, maxsize is {}",
                    number::total(py, Total::from(new.item.size))?,
                    number::total(py, limit)?,
                )),
                None => PyValueError::new_err("the weight of an item must not be negative"),
            },
        };
        Err(told)
    }

    /// Tells listeners what left.
    #[inline]
    pub(super) fn tell(&self, py: Python<'_>) -> PyResult<()> {
        if self
            .contents
            .with(py, |contents| contents.departures.is_waiting())
        {
            departures::tell(py, &self.contents)
        } else {
            Ok(())
        }
    }

    /// Removes a key, if it is live, and runs `take` on it first; `None` if it is not.
    pub(super) fn remove<R>(
        &self,
        key: &Any<'_>,
        mut take: impl FnMut(&mut Contents, Slot, &mut Gone) -> R,
    ) -> PyResult<Option<R>> {
        self.ready()?;
        let hash = hash(key)?;
        let now = self.instant(key.py())?;
        let mut gone = Gone::default();
        let removed = self.lookup(key, hash, |contents, at| {
            contents.loads.forget(hash);
            let slot = at.filter(|&slot| contents.is_live(slot, now))?;
            Some(take(contents, slot, &mut gone))
        })?;
        drop(gone);
        Ok(removed)
    }

    /// Removes a key, if it is live; returns whether it was.
    pub(super) fn discard(&self, key: &Any<'_>) -> PyResult<bool> {
        let removed = self.remove(key, |contents, slot, gone| {
            contents.remove(slot, Cause::Deleted, gone);
        })?;
        self.tell(key.py())?;
        Ok(removed.is_some())
    }

    /// Evict until the limits are kept.
    pub(super) fn shrink(&self, py: Python<'_>) -> PyResult<usize> {
        let now = self.now(py)?;
        let mut gone = Gone::default();
        let count = self
            .contents
            .with(py, |contents| contents.shrink(now, &mut gone));
        drop(gone);
        self.tell(py)?;
        Ok(count)
    }

    /// Live pairs from the coldest to the hottest, or the other way; all of them without `count`.
    pub(super) fn ranked<'py>(
        &self,
        py: Python<'py>,
        count: Option<usize>,
        hottest_first: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        self.ready()?;
        let now = self.instant(py)?;
        let pairs = self.contents.with(py, |contents| {
            let mut ranking = contents.ranking(now);
            if hottest_first {
                ranking.reverse();
            }
            ranking.truncate(count.unwrap_or(usize::MAX));
            pairs(&contents.store, ranking.into_iter())
        });
        PyList::new(py, owned(py, pairs))
    }

    /// Live pairs in the order in which they were first set.
    pub(super) fn live<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Any<'py>, Any<'py>)>> {
        self.ready()?;
        let now = self.instant(py)?;
        let pairs = self.contents.with(py, |contents| {
            let live = contents
                .store
                .order()
                .iter()
                .filter(|&slot| contents.is_live(slot, now));
            pairs(&contents.store, live)
        });
        Ok(owned(py, pairs))
    }
}

pub(super) fn pairs(store: &Store, slots: impl Iterator<Item = Slot>) -> Vec<(Obj, Obj)> {
    slots
        .map(|slot| (store.key(slot).incref(), store.value(slot).incref()))
        .collect()
}

pub(super) fn owned(py: Python<'_>, pairs: Vec<(Obj, Obj)>) -> Vec<(Any<'_>, Any<'_>)> {
    // SAFETY: the references were taken in the region and are given up here.
    let owned = |(key, value): (Obj, Obj)| unsafe { (key.into_bound(py), value.into_bound(py)) };
    pairs.into_iter().map(owned).collect()
}

pub(super) fn read_clock(clock: &Any<'_>) -> PyResult<f64> {
    arguments::time(&clock.call0()?)
}

#[cold]
pub(super) fn full_error(py: Python<'_>) -> PyResult<PyErr> {
    static ERROR: Imported = Imported::new("overdrive.exceptions", "CacheFullError");
    let message = "no room for another item: what is pinned may not be evicted";
    Ok(PyErr::from_value(ERROR.get(py)?.call1((message,))?))
}

pub(super) fn callable<'py>(name: &str, value: Option<&Any<'py>>) -> PyResult<Option<Obj>> {
    match value {
        None => Ok(None),
        Some(value) if value.is_callable() => Ok(Some(Obj::owned(value))),
        Some(value) => Err(PyTypeError::new_err(format!(
            "{name} must be callable, got {}",
            shown(value)
        ))),
    }
}

/// Seconds of a lifetime, if it was given.
pub(super) fn lifetime(what: &str, value: Option<&Any<'_>>) -> PyResult<Option<f64>> {
    value
        .map(|value| arguments::seconds(what, value))
        .transpose()
}
