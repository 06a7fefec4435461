//! What Python code sees of a memo: construction, and what the decorators' own methods are made of.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use pyo3::exceptions::{PyKeyError, PyMemoryError, PyReferenceError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySuper, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use super::counters::{Counter, Counters};
use super::entry::Now;
use super::field::Field;
use super::flight::{self, Flights};
use super::instances::Instances;
use super::lock_probe::probe_of;
use super::shape::{Shape, SharedShape};
use super::{Memo, PyMethod_New, SLOTS, TUPLES_ALIKE, call, vectorcall};
use crate::cache::{Cache, hash};
use crate::lock::Guarded;
use crate::obj::{Gone, Obj};
use crate::store::Tally;

/// What a memo is made from, all by name.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Plan<'py> {
    cache: Option<Bound<'py, Cache>>,
    slow: Option<Bound<'py, PyAny>>,
    wait: Option<Bound<'py, PyAny>>,
    unhashable: Option<Bound<'py, PyAny>>,
    key: Option<Bound<'py, PyAny>>,
    clock: Option<Bound<'py, PyAny>>,
    lock: Option<Bound<'py, PyAny>>,
    getter: Option<Bound<'py, PyAny>>,
    owner: Option<Bound<'py, PyAny>>,
    ttl: f64,
    idle: f64,
    cachetools_keys: bool,
    typed: bool,
    skip_first: bool,
    entries: bool,
    asynchronous: bool,
    single_flight: bool,
    direct: bool,
    forward: bool,
    keep: bool,
}

#[pymethods]
impl Memo {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            vectorcall: AtomicPtr::new(call::call as *mut c_void),
            shape: SharedShape::new(),
            cache: Field::empty(),
            function: Field::empty(),
            slow: Field::empty(),
            wait: Field::empty(),
            unhashable: Field::empty(),
            key: Field::empty(),
            clock: Field::empty(),
            lock: Field::empty(),
            lock_probe: AtomicPtr::new(null_mut()),
            getter: Field::empty(),
            owner: Field::empty(),
            counters: Counters::default(),
            ttl: AtomicU64::new(f64::INFINITY.to_bits()),
            idle: AtomicU64::new(f64::INFINITY.to_bits()),
            hand: AtomicUsize::new(0),
            forgets: Counter::default(),
            empty_slot: AtomicU32::new(0),
            flights: Guarded::new(Flights::default()),
            instances: Guarded::new(Instances::default()),
        }
    }

    /// Sets what is called and how; once, before the first call.
    fn __init__(slf: &Bound<'_, Self>, function: &Bound<'_, PyAny>, plan: Plan<'_>) {
        let this = slf.get();
        let mut gone = Gone::default();
        let calls_out = plan.key.is_some()
            || plan.clock.is_some()
            || plan.lock.is_some()
            || plan.getter.is_some();
        let probe = plan.lock.as_ref().and_then(probe_of).unwrap_or(null_mut());
        this.lock_probe.store(probe, Ordering::Relaxed);
        this.ttl.store(plan.ttl.to_bits(), Ordering::Relaxed);
        this.idle.store(plan.idle.to_bits(), Ordering::Relaxed);
        this.function.set(Some(function), &mut gone);
        this.cache
            .set(plan.cache.as_ref().map(Bound::as_any), &mut gone);
        let objects = [
            (&this.slow, plan.slow),
            (&this.wait, plan.wait),
            (&this.unhashable, plan.unhashable),
            (&this.key, plan.key),
            (&this.clock, plan.clock),
            (&this.lock, plan.lock),
            (&this.getter, plan.getter),
            (&this.owner, plan.owner),
        ];
        for (field, object) in objects {
            field.set(object.as_ref(), &mut gone);
        }
        let shape = Shape::NONE
            .and_if(Shape::CACHETOOLS, plan.cachetools_keys)
            .and_if(Shape::TYPED, plan.typed)
            .and_if(Shape::SKIP_FIRST, plan.skip_first)
            .and_if(Shape::ENTRIES, plan.entries)
            .and_if(Shape::ASYNC, plan.asynchronous)
            .and_if(Shape::SINGLE_FLIGHT, plan.single_flight)
            .and_if(Shape::DIRECT, plan.direct)
            .and_if(Shape::FORWARD, plan.forward)
            .and_if(Shape::KEEP, plan.keep)
            .and_if(Shape::CALLS_OUT, calls_out)
            .and_if(Shape::OWN_HASHES, !TUPLES_ALIKE.load(Ordering::Relaxed));
        this.shape.set(shape);
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::by_tuple(slf.as_any(), call::call, args, kwargs)
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        let py = slf.py();
        if instance.is_none() {
            return Ok(slf.clone().into_any());
        }
        if slf.get().shape.get().any(Shape::METHOD) {
            return slf.call_method1(pyo3::intern!(py, "_bound"), (instance,));
        }
        // SAFETY: both are alive; the result is a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, PyMethod_New(slf.as_ptr(), instance.as_ptr())) }
    }

    /// Prepares a subclass for native calls; passes on to the next class in line.
    #[classmethod]
    #[pyo3(signature = (**kwargs))]
    fn __init_subclass__(
        cls: &Bound<'_, PyType>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let next = PySuper::new(&cls.py().get_type::<Memo>(), cls)?;
        next.call_method("__init_subclass__", (), kwargs)?;
        vectorcall::adopt(cls, &SLOTS);
        Ok(())
    }

    /// Gives each instance, the first argument, a memo of its own; `_bind` makes them.
    fn _become_method(&self) {
        self.shape.set(self.shape.get().and(Shape::METHOD));
    }

    /// The memo of an instance, or None.
    fn _memo_of<'py>(&self, instance: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let address = instance.as_ptr().addr();
        let found = self.instances.with(instance.py(), |instances| {
            // SAFETY: the instance is an argument.
            unsafe { instances.find(address) }.map(Obj::incref)
        });
        // SAFETY: the reference was taken in the region.
        found.map(|memo| unsafe { memo.into_bound(instance.py()) })
    }

    /// Sets the memo of an instance, unless it has one; returns the one it has. `reference` is a weak
    /// reference to the instance whose callback calls `_forget`.
    fn _keep<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        reference: &Bound<'py, PyAny>,
        memo: &Bound<'py, Self>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = instance.py();
        let mut gone = Gone::default();
        gone.reserve(2);
        let (address, reference) = (instance.as_ptr().addr(), Obj::of(reference));
        let kept = self.instances.with(py, |instances| {
            // SAFETY: the instance is an argument.
            unsafe { instances.keep(address, reference, Obj::of(memo.as_any()), &mut gone) }
                .map(Obj::incref)
        });
        match kept {
            // SAFETY: the reference was taken in the region.
            Some(kept) => Ok(unsafe { kept.into_bound(py) }),
            None => Err(PyMemoryError::new_err(
                "no memory for the memo of another instance",
            )),
        }
    }

    /// Forgets the instance at an address, if `reference` is the weak reference to it.
    fn _forget(&self, address: usize, reference: &Bound<'_, PyAny>) {
        let mut gone = Gone::default();
        self.instances.with(reference.py(), |instances| {
            instances.forget(address, Obj::of(reference), &mut gone);
        });
    }

    /// The memos of all instances.
    fn _memos<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut memos: Vec<Obj> = Vec::new();
        loop {
            let count = self
                .instances
                .with(py, |instances| instances.memos().count());
            memos
                .try_reserve(count)
                .map_err(|_| PyMemoryError::new_err("no memory for a list"))?;
            let fits = self.instances.with(py, |instances| {
                let fits = instances.memos().count() <= memos.capacity();
                if fits {
                    memos.extend(instances.memos().map(Obj::incref));
                }
                fits
            });
            if fits {
                break;
            }
        }
        // SAFETY: the references were taken in the region.
        PyList::new(
            py,
            memos
                .into_iter()
                .map(|memo| unsafe { memo.into_bound(py) })
                .collect::<Vec<_>>(),
        )
    }

    /// The key of a call with these arguments.
    #[pyo3(signature = (*args, **kwargs))]
    fn _key<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::by_tuple(slf.as_any(), call::key, args, kwargs)
    }

    /// What the native cache holds for a key, without counting it as a use; KeyError if nothing.
    fn _find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let Some(cache) = self.cache.bound(py) else {
            return Err(PyReferenceError::new_err(
                "the memoized function has no native cache",
            ));
        };
        let cache = cache.cast_into::<Cache>()?;
        let moment = Cache::moment(&cache)?;
        let found = cache
            .get()
            .lookup_live(key, hash(key)?, &moment, |store, slot| {
                store.value(slot).incref()
            })?;
        match found {
            // SAFETY: the reference was taken in the region.
            Some(value) => Ok(unsafe { value.into_bound(py) }),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    /// Joins the flight of a key: the object that hears of its end, which is `waiters` if nobody waits
    /// yet, and the identifier of the thread that leads it; None if there is no such flight.
    fn _join<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        waiters: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, u64)>> {
        let joined = self.with_flight(key, |flights, hash, key, asked| {
            flights.join(hash, key, Obj::of(waiters), asked)
        })?;
        // SAFETY: the reference was taken in the region.
        Ok(joined.map(|(waiters, leader)| (unsafe { waiters.into_bound(key.py()) }, leader)))
    }

    /// Keeps what is being computed for a key from being stored.
    fn _detach(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.forgets.add(1);
        self.with_flight(key, Flights::detach)
    }

    /// The same for all keys.
    fn _detach_all(&self, py: Python<'_>) {
        self.forgets.add(1);
        self.flights.with(py, Flights::detach_all);
    }

    /// Forgets flights of threads that a fork did not copy.
    fn _after_fork(&self, py: Python<'_>) {
        let mut gone = Gone::default();
        let me = flight::this_thread();
        self.flights.with(py, |flights| {
            gone.reserve(flights.references().count());
            flights.keep_only(me, &mut gone);
        });
    }

    /// Removes expired entries among the next `count` slots of the cache.
    fn _sweep(&self, py: Python<'_>, now: f64, count: usize) -> PyResult<()> {
        if let Some(cache) = self.cache.bound(py) {
            self.sweep(py, cache.cast::<Cache>()?.get(), Now::At(now), count);
        }
        Ok(())
    }

    /// Hits, misses, loads, errors, and seconds spent in loads.
    fn _counts(&self) -> (u64, u64, u64, u64, f64) {
        let counters = &self.counters;
        (
            counters.hits.get(),
            counters.misses.get(),
            counters.loads.get(),
            counters.errors.get(),
            counters.load_seconds(),
        )
    }

    /// Items that left the native cache by eviction and by expiry, since the last `_reset`.
    fn _tally(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        let Some(cache) = self.cache.bound(py) else {
            return Ok((0, 0));
        };
        let tally = cache
            .cast::<Cache>()?
            .get()
            .store
            .with(py, |store| store.tally);
        Ok((tally.evicted, tally.expired))
    }

    /// Counts from zero.
    fn _reset(&self, py: Python<'_>) -> PyResult<()> {
        self.counters.reset();
        if let Some(cache) = self.cache.bound(py) {
            let cache = cache.cast::<Cache>()?.get();
            cache.store.with(py, |store| store.tally = Tally::default());
        }
        Ok(())
    }

    fn _count_hit(&self) {
        self.counters.hits.add(1);
    }

    fn _count_miss(&self) {
        self.counters.misses.add(1);
    }

    /// Counts a run of the function that returned after so many seconds.
    fn _count_load(&self, seconds: f64) {
        self.counters.add_load(seconds);
    }

    /// How often results were forgotten, of one key or of all.
    #[getter]
    fn _forgets(&self) -> u64 {
        self.forgets.get()
    }

    /// Counts an expired item of the native cache that something else takes the place of.
    fn _count_expiration(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(cache) = self.cache.bound(py) {
            let cache = cache.cast::<Cache>()?.get();
            cache.store.with(py, |store| store.tally.expired += 1);
        }
        Ok(())
    }

    fn _count_error(&self) {
        self.counters.errors.add(1);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for field in self.fields() {
            field.visit(&visit)?;
        }
        // SAFETY: called from `tp_traverse`.
        let (flights, instances) =
            unsafe { (self.flights.frozen_world(), self.instances.frozen_world()) };
        for object in flights.references().chain(instances.references()) {
            visit.call(object.as_py())?;
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        let mut gone = Gone::default();
        self.fields()
            .into_iter()
            .filter_map(Field::take)
            .for_each(|object| gone.push(object));
        let flights = self.flights.with(py, std::mem::take);
        let instances = self.instances.with(py, std::mem::take);
        drop((flights, instances));
    }
}
