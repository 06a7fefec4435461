//! The cache object: lookup, and the operations of the mapping protocol.
//!
//! Reentrancy note. Python code may run, and may do anything to the same cache, in exactly these
//! places, all outside of critical regions: hashing the key (before), comparing keys (`Asked`),
//! comparing deadlines (`Memo`, `Time::is_before`), calling the timer, `getsizeof`, `ttu`, `choice`
//! or an overridden method, and dropping references (`Gone`, at the end of a scope). After each of
//! them the region is entered anew and everything in it is looked up again.

use std::sync::atomic::{AtomicU32, Ordering};

use overdrive_core::Slot;
use overdrive_core::size::Size;
use pyo3::exceptions::{PyKeyError, PyMemoryError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::deadline::{Deadline, Held, Memo, Time};
use crate::expiry::{Instant, Verdict};
use crate::hooks::Hooks;
use crate::key::Asked;
use crate::lock::Guarded;
use crate::number;
use crate::obj::{Gone, Obj};
use crate::store::{Item, Probe, Put, Store};
use crate::timer::Timer;

/// Which of the classes an object is an instance of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cache,
    Fifo,
    Lru,
    Lfu,
    Rr,
    Arc,
    TwoQ,
    S3Fifo,
    Sieve,
    Lirs,
    WTinyLfu,
    Adaptive,
    Ttl,
    Tlru,
}

impl Kind {
    /// Whether items expire.
    #[inline]
    pub const fn is_timed(self) -> bool {
        matches!(self, Kind::Ttl | Kind::Tlru)
    }

    /// Whether reading an item that `__missing__` has stored counts as using it.
    pub const fn has_reads_that_count(self) -> bool {
        !matches!(self, Kind::Cache | Kind::Fifo | Kind::Rr) && !self.is_timed()
    }
}

/// A mutable mapping of bounded size: the base class of all caches.
///
/// Evicts in insertion order. Thread-safe: every operation is atomic unless a subclass overrides
/// methods that it is made of. A key's `__eq__` and `__hash__`, `getsizeof` and the destructors of
/// evicted objects may use the cache; none of them runs while it is locked.
///
/// Args:
///     maxsize: capacity in `getsizeof` units, a number >= 0; `math.inf` for no limit.
///     getsizeof: gives the size of a value, a number >= 0; every item counts 1 by default. The
///         size of an item must not change while it is cached.
///
/// Raises:
///     ValueError: `maxsize` is negative or NaN.
///     TypeError: `maxsize` is not a number, or `getsizeof` is not callable.
///
/// Setting an item raises `ValueError` if it alone exceeds `maxsize`. All operations are O(1)
/// except iteration.
#[pyclass(
    subclass,
    dict,
    weakref,
    generic,
    mapping,
    frozen,
    module = "overdrive"
)]
pub struct Cache {
    kind: Kind,
    hooks: AtomicU32,
    pub store: Guarded<Store>,
}

/// What an operation takes the time from.
pub enum Moment<'py> {
    /// The native clock, read at the moment of the comparison.
    Native,
    /// One instant for the whole operation.
    At(Time<'py>),
}

/// When `put` finds the key.
#[derive(Clone, Copy)]
pub enum IfPresent {
    Replace,
    /// Keep an item that is live at this time.
    Keep(Instant),
}

impl Cache {
    /// A cache whose `__init__` has not run.
    pub fn uninitialised(kind: Kind) -> Self {
        Self {
            kind,
            hooks: AtomicU32::new(Hooks::UNINITIALISED.bits()),
            store: Guarded::new(Store::uninitialised()),
        }
    }

    /// A cache of a class that overrides nothing.
    #[inline(always)]
    pub fn initialised(kind: Kind, store: Store) -> Self {
        Self {
            kind,
            hooks: AtomicU32::new(Hooks::NONE.bits()),
            store: Guarded::new(store),
        }
    }

    #[inline]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    #[inline]
    pub fn hooks(&self) -> Hooks {
        Hooks::from_bits(self.hooks.load(Ordering::Relaxed))
    }

    /// Replaces everything; the previous contents go when the returned store is dropped.
    #[must_use]
    pub fn install(&self, py: Python<'_>, mut store: Store, hooks: Hooks) -> Store {
        let old = self.store.with(py, |present| {
            store.succeed(present);
            std::mem::replace(present, store)
        });
        self.hooks.store(hooks.bits(), Ordering::Relaxed);
        old
    }

    /// Takes everything out, for the garbage collector; the cache is as if never initialised.
    #[must_use]
    pub fn retire(&self, py: Python<'_>) -> Store {
        self.install(py, Store::uninitialised(), Hooks::UNINITIALISED)
    }

    /// Fails unless `__init__` has run.
    #[inline]
    pub fn ready(slf: &Bound<'_, Self>) -> PyResult<Hooks> {
        let hooks = slf.get().hooks();
        if hooks.any(Hooks::UNINITIALISED) {
            Err(not_initialised(slf))
        } else {
            Ok(hooks)
        }
    }

    /// Finds a key and runs `decide` on what was found, in one region.
    #[inline]
    pub fn lookup<R>(
        &self,
        key: &Bound<'_, PyAny>,
        hash: u64,
        mut decide: impl FnMut(&mut Store, Option<Slot>) -> R,
    ) -> PyResult<R> {
        let mut asked = Asked::default();
        loop {
            let outcome = self.store.with(key.py(), |store| {
                match store.find(hash, Obj::of(key), &mut asked) {
                    Probe::Slot(slot) => Some(decide(store, Some(slot))),
                    Probe::Absent => Some(decide(store, None)),
                    Probe::Ask => None,
                }
            });
            match outcome {
                Some(result) => return Ok(result),
                None => asked.resolve(key)?,
            }
        }
    }

    /// Finds a key whose item has not expired and runs `take` on it, in one region.
    pub fn lookup_live<'py, R>(
        &self,
        key: &Bound<'py, PyAny>,
        hash: u64,
        moment: &Moment<'py>,
        mut take: impl FnMut(&mut Store, Slot) -> R,
    ) -> PyResult<Option<R>> {
        enum Found<R> {
            Nothing,
            Item(R),
            Ask(Deadline),
        }
        let now = moment.instant();
        let mut ahead: Option<Held> = None;
        loop {
            let found = self.lookup(key, hash, |store, at| {
                let Some(slot) = at else {
                    return Found::Nothing;
                };
                match store.expiry.judge(slot, now) {
                    Verdict::Live => Found::Item(take(store, slot)),
                    Verdict::Expired => Found::Nothing,
                    Verdict::Ask(deadline)
                        if ahead.as_ref().is_some_and(|known| known.get().is(deadline)) =>
                    {
                        Found::Item(take(store, slot))
                    }
                    Verdict::Ask(deadline) => Found::Ask(deadline.incref()),
                }
            })?;
            match found {
                Found::Nothing => return Ok(None),
                Found::Item(item) => return Ok(Some(item)),
                Found::Ask(deadline) => {
                    let deadline = Held::new(deadline);
                    if !moment.time().is_before(key.py(), deadline.get())? {
                        return Ok(None);
                    }
                    ahead = Some(deadline);
                }
            }
        }
    }

    /// The timer of a timed cache that was initialised; the default one is made here.
    pub fn timer<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Timer>> {
        let py = slf.py();
        Self::ready(slf)?;
        let present = |store: &mut Store| store.config.timer.map(Obj::incref);
        let timer = match slf.get().store.with(py, present) {
            Some(timer) => timer,
            None => {
                let new = Bound::new(py, Timer::default(py)?)?;
                // Whichever thread is first.
                slf.get().store.with(py, |store| {
                    store
                        .config
                        .timer
                        .get_or_insert_with(|| Obj::owned(new.as_any()))
                        .incref()
                })
            }
        };
        // SAFETY: the reference was taken in the region; only `Timer`s are put there.
        Ok(unsafe { timer.into_bound(py).cast_into_unchecked() })
    }

    /// The time for one operation. Runs the user's timer, if there is one.
    #[inline]
    pub fn moment<'py>(slf: &Bound<'py, Self>) -> PyResult<Moment<'py>> {
        if Self::tells_time_natively(slf) {
            Ok(Moment::Native)
        } else {
            Self::now(slf).map(Moment::At)
        }
    }

    /// The time of a timed cache. Runs the user's timer, if there is one.
    pub fn now<'py>(slf: &Bound<'py, Self>) -> PyResult<Time<'py>> {
        Self::ready(slf)?;
        if Self::tells_time_natively(slf) {
            Ok(Time::from_number(crate::clock::monotonic()))
        } else {
            Self::timer(slf)?.get().now(slf.py())
        }
    }

    /// Whether telling the time runs no Python code.
    #[inline]
    pub fn tells_time_natively(slf: &Bound<'_, Self>) -> bool {
        let (py, this) = (slf.py(), slf.get());
        !this.kind.is_timed() || this.store.with(py, |store| store.config.is_native(py))
    }

    /// Stores an item. Returns the present value instead if the key is live and is to be kept.
    pub fn put<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        size: Size,
        deadline: Option<Deadline>,
        if_present: IfPresent,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let this = slf.get();
        let py = slf.py();
        // Before the key is hashed, as in cachetools: an item that can never fit is refused first.
        if let Some(refusal) = this.store.with(py, |store| store.refuses(size)) {
            return Err(refused(&refusal));
        }
        Self::put_hashed(slf, (key, hash(key)?), value, size, deadline, if_present)
    }

    /// As [`put`](Self::put), with the hash of the key.
    pub fn put_hashed<'py>(
        slf: &Bound<'py, Self>,
        (key, hash): (&Bound<'py, PyAny>, u64),
        value: &Bound<'py, PyAny>,
        size: Size,
        deadline: Option<Deadline>,
        if_present: IfPresent,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, this) = (slf.py(), slf.get());
        let item = Item {
            hash,
            key: Obj::of(key),
            value: Obj::of(value),
            size,
            deadline,
        };
        let evicts_natively = this.evicts_natively();
        let mut memo = Memo::default();
        loop {
            let mut gone = Gone::default();
            let mut present = None;
            let put = this.lookup(key, hash, |store, at| {
                if let (Some(slot), IfPresent::Keep(now)) = (at, if_present)
                    && matches!(store.expiry.judge(slot, now), Verdict::Live)
                {
                    store.touch(slot);
                    present = Some(store.value(slot).incref());
                    return Put::Done;
                }
                store.put(at, &item, evicts_natively, &memo, &mut gone)
            })?;
            match put {
                // SAFETY: the reference was taken in the region.
                Put::Done => return Ok(present.map(|value| unsafe { value.into_bound(py) })),
                Put::Full => evict(slf)?,
                Put::Compare(a, b) => memo.learn(py, a, b)?,
                refusal => return Err(refused(&refusal)),
            }
        }
    }

    /// Whether the store may make room by itself.
    #[inline]
    fn evicts_natively(&self) -> bool {
        let removal = Hooks::POPITEM.and(Hooks::DELITEM);
        let seen = match self.kind {
            Kind::Cache => removal.and(Hooks::GETITEM).and(Hooks::ITER),
            Kind::Ttl => removal.and(Hooks::EXPIRE),
            // Each `popitem` tidies the heap, whose order is that of iteration.
            Kind::Tlru => return false,
            _ => removal,
        };
        !self.hooks().any(seen)
    }
}

impl<'py> Moment<'py> {
    /// The time as the store judges by.
    #[inline]
    pub fn instant(&self) -> Instant {
        match self {
            Moment::Native => Instant::Native,
            Moment::At(time) => time.number().map_or(Instant::Foreign, Instant::At),
        }
    }

    /// The time as a value.
    pub fn time(&self) -> Time<'py> {
        match self {
            Moment::Native => Time::from_number(crate::clock::monotonic()),
            Moment::At(time) => time.clone(),
        }
    }
}

/// Why an item was not stored.
#[cold]
fn refused(put: &Put) -> PyErr {
    match put {
        Put::Negative => PyValueError::new_err("value size must be non-negative"),
        Put::NoMemory => PyMemoryError::new_err("no memory for another cache item"),
        Put::TooMany => PyOverflowError::new_err(format!(
            "a cache cannot hold more than {} items",
            overdrive_core::MAX_SLOTS
        )),
        _ => PyValueError::new_err("value too large"),
    }
}

/// Makes room for an item where that is not for the store alone to do.
fn evict(slf: &Bound<'_, Cache>) -> PyResult<()> {
    if slf.get().hooks().any(Hooks::POPITEM) {
        slf.call_method0(pyo3::intern!(slf.py(), "popitem"))
            .map(drop)
    } else {
        let evicted = crate::mapping::popitem(slf).map(drop);
        let (py, this) = (slf.py(), slf.get());
        let visible = this.hooks().any(Hooks::DELITEM.and(Hooks::MISSING));
        match evicted {
            // Another thread has removed everything, so there is room.
            Err(error)
                if !visible
                    && error.is_instance_of::<PyKeyError>(py)
                    && this.store.with(py, |store| store.len() == 0) =>
            {
                Ok(())
            }
            evicted => evicted,
        }
    }
}

/// The hash of a key, as `hash()` gives it.
#[inline]
pub fn hash(key: &Bound<'_, PyAny>) -> PyResult<u64> {
    key.hash().map(|hash| hash as u64)
}

/// The size of a value: 1, or what `getsizeof` says.
pub fn size_of(slf: &Bound<'_, Cache>, value: &Bound<'_, PyAny>) -> PyResult<Size> {
    if slf.get().hooks().any(Hooks::GETSIZEOF) {
        number::size(&slf.call_method1(pyo3::intern!(slf.py(), "getsizeof"), (value,))?)
    } else {
        Ok(Size::Int(1))
    }
}

/// `KeyError(key)`, also for keys that are tuples.
pub fn key_error(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

#[cold]
fn not_initialised(slf: &Bound<'_, Cache>) -> PyErr {
    match slf.get_type().name() {
        Ok(class) => PyRuntimeError::new_err(format!(
            "{class}.__init__() has not run: a subclass must call the __init__ of its cache class"
        )),
        Err(error) => error,
    }
}
