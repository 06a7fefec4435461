//! Memoized functions: what `overdrive.memoize`, `lru_cache`, `cached` and `cachedmethod` have in common.
//!
//! - `arguments`, `call`: a call, and where it goes.
//! - `quick`: the shortest way to a hit.
//! - `lookup`: any other lookup; `load`: computing what is not there, and storing it.
//! - `key`: keys that are looked up without being made.
//! - `flight`: who is computing what.
//! - `entry`, `marker`: results that know their times; `provenance`: and where they came from.
//! - `ready`: the awaitable of a hit.
//! - `instances`, `bound`: methods.
//! - `shape`, `counters`, `field`, `raised`, `lock_probe`: what a memo is made of; `surface`: what Python
//!   code sees of it.
//! - `vectorcall`: how CPython calls it.
//!
//! A hit is answered here. What a miss does is either here too, or Python code (`slow`).

mod arguments;
mod bound;
mod call;
mod counters;
mod entry;
mod field;
mod flight;
mod instances;
mod key;
mod load;
mod lock_probe;
mod lookup;
mod marker;
mod provenance;
mod quick;
mod raised;
mod ready;
mod shape;
mod surface;
mod tuple_hash;
mod vectorcall;

pub use bound::BoundMemo;
pub use counters::Counter;
pub use entry::{Entry, Now, entry_of};
pub use field::Field;
pub use key::Keywords;
pub use marker::WithTtl;
pub use ready::Ready;

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::cache::{Cache, hash};
use crate::key::Asked;
use crate::lock::Guarded;
use crate::obj::{Gone, Obj};
use arguments::{Call, Raised};
use counters::Counters;
use flight::Flights;
use instances::Instances;
use key::{Form, Items, Key, Made, Parts, is_own_key};
use shape::{Shape, SharedShape};
use vectorcall::Slots;

/// A function whose results are kept. The base of the classes that the decorators return.
#[pyclass(
    frozen,
    subclass,
    dict,
    weakref,
    generic,
    module = "overdrive._core",
    name = "Memo"
)]
pub struct Memo {
    vectorcall: AtomicPtr<c_void>,
    shape: SharedShape,
    /// The native cache, unless Python code does all lookups.
    cache: Field,
    function: Field,
    /// Answers what is not answered natively.
    slow: Field,
    /// Waits for another thread that computes the same key.
    wait: Field,
    /// Explains why arguments cannot be hashed.
    unhashable: Field,
    /// Makes the key instead of us.
    key: Field,
    /// Gives the time in seconds instead of `time.monotonic`.
    clock: Field,
    /// Guards the cache: no hit while another thread holds it.
    lock: Field,
    lock_probe: AtomicPtr<c_void>,
    /// Called with `owner`, gives the cache.
    getter: Field,
    owner: Field,
    counters: Counters,
    /// The bits of the seconds that a result lives, and that it lives unused.
    ttl: AtomicU64,
    idle: AtomicU64,
    /// The slot that is looked at next for an expired entry.
    hand: AtomicUsize,
    /// How often results were forgotten, of one key or of all.
    forgets: Counter,
    /// Where the key of a call without arguments was last.
    empty_slot: AtomicU32,
    flights: Guarded<Flights>,
    instances: Guarded<Instances>,
}

/// How many slots each store of an entry looks at for expired ones: more than one, so that they leave
/// faster than they come.
const SWEEP: usize = 4;

static SLOTS: Slots = Slots::new();
static ENTRY_CLASS: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(null_mut());
static TUPLES_ALIKE: AtomicBool = AtomicBool::new(false);

/// The class of entries.
#[inline(always)]
pub fn entry_class() -> *mut ffi::PyTypeObject {
    ENTRY_CLASS.load(Ordering::Relaxed)
}

unsafe extern "C" {
    // Include/cpython/classobject.h; not in pyo3-ffi.
    fn PyMethod_New(function: *mut PyObject, instance: *mut PyObject) -> *mut PyObject;
}

type NoArguments = unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject;

impl Memo {
    fn fields(&self) -> [&Field; 10] {
        [
            &self.cache,
            &self.function,
            &self.slow,
            &self.wait,
            &self.unhashable,
            &self.key,
            &self.clock,
            &self.lock,
            &self.getter,
            &self.owner,
        ]
    }

    /// Whether someone holds the lock that guards the cache; also where that cannot be told.
    #[inline]
    fn is_locked(&self) -> bool {
        let Some(lock) = self.lock.get() else {
            return false;
        };
        let probe = self.lock_probe.load(Ordering::Relaxed);
        if probe.is_null() {
            return true;
        }
        // SAFETY: the pointer is that of the lock's method `locked`, a C function without arguments
        // that returns a bool and runs no Python code.
        unsafe {
            let probe = std::mem::transmute::<*mut c_void, NoArguments>(probe);
            let held = probe(lock.as_ptr(), null_mut());
            ffi::Py_XDECREF(held);
            held != ffi::Py_False()
        }
    }

    /// The cache of the moment, if it is one of ours.
    fn present_cache<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>, Raised> {
        let (Some(getter), Some(owner)) = (self.getter.bound(py), self.owner.bound(py)) else {
            return Ok(self.cache.bound(py));
        };
        let arguments = [owner.as_ptr()];
        // SAFETY: both are alive; the result is a new reference, or null with an exception set. Called
        // by a function that `thread_exit` has a stub for, which `call1` does not.
        let cache = unsafe {
            let cache =
                ffi::PyObject_Vectorcall(getter.as_ptr(), arguments.as_ptr(), 1, null_mut());
            Bound::from_owned_ptr_or_err(py, cache)
        };
        match cache {
            Ok(cache) if cache.is_instance_of::<Cache>() => Ok(Some(cache)),
            Ok(_) => Ok(None),
            Err(error) => {
                raised::raise(py, error);
                Err(Raised)
            }
        }
    }

    /// The time by the function's clock.
    fn now(&self, py: Python<'_>) -> PyResult<Now> {
        match self.clock.bound(py) {
            None => Ok(Now::Native),
            Some(clock) => Ok(Now::At(clock.call0()?.extract()?)),
        }
    }

    fn lifetimes(&self) -> (f64, f64) {
        let [ttl, idle] =
            [&self.ttl, &self.idle].map(|bits| f64::from_bits(bits.load(Ordering::Relaxed)));
        (ttl, idle)
    }

    /// Removes what has expired among the next few slots.
    fn sweep(&self, py: Python<'_>, cache: &Cache, now: Now, count: usize) {
        let mut gone = Gone::default();
        gone.reserve(2 * count);
        cache.store.with(py, |store| {
            for _ in 0..count.min(store.slots()) {
                let slot = self.hand.fetch_add(1, Ordering::Relaxed);
                if slot >= store.slots() {
                    self.hand.store(0, Ordering::Relaxed);
                    continue;
                }
                let Some(value) = store.value_at(slot) else {
                    continue;
                };
                // SAFETY: the store holds the entry, and nothing drops it within the region.
                let gone_by = unsafe { entry_of(&value, entry_class()) }
                    .is_some_and(|entry| entry.is_gone(now));
                if gone_by {
                    store.expire(slot as overdrive_core::Slot, &mut gone);
                }
            }
        });
    }

    /// The key of a call, as an object.
    fn key_of<'py>(&self, py: Python<'py>, call: &Call<'_>) -> PyResult<Bound<'py, PyAny>> {
        let arguments = call.keyed(self.shape.get());
        let form = lookup::form(self.shape.get());
        // SAFETY: the arguments are alive; results are new references, or null with an exception set.
        unsafe {
            if let Some(function) = self.key.get() {
                let key = call.pass_to(function);
                return Bound::from_owned_ptr_or_err(py, key);
            }
            let mut parts = Parts::new();
            let typed = self.shape.get().any(Shape::TYPED);
            let key = match arguments.values {
                _ if !arguments.names.is_null() || typed => {
                    parts.lay_out(&arguments, form, typed).make()
                }
                [only] if form == Form::Functools && is_own_key(*only) => Made(*only).make(),
                values => Items(values).make(),
            };
            match key {
                Some(key) => Ok(key.into_bound(py)),
                None => Err(PyErr::fetch(py)),
            }
        }
    }

    /// Runs `action` on the flight of a key.
    fn with_flight<T>(
        &self,
        key: &Bound<'_, PyAny>,
        mut action: impl FnMut(&mut Flights, u64, Obj, &mut Asked) -> Result<T, flight::Unknown>,
    ) -> PyResult<T> {
        let hash = hash(key)?;
        let mut asked = Asked::default();
        loop {
            let done = self.flights.with(key.py(), |flights| {
                action(flights, hash, Obj::of(key), &mut asked)
            });
            match done {
                Ok(result) => return Ok(result),
                Err(flight::Unknown) => asked.resolve(key)?,
            }
        }
    }
}

/// Makes calls native, unless a probe shows that they would not work.
pub fn install(py: Python<'_>) -> PyResult<()> {
    key::install(py);
    marker::install(py);
    TUPLES_ALIKE.store(key::hashes_tuples_alike(py)?, Ordering::Relaxed);
    ENTRY_CLASS.store(py.get_type::<Entry>().as_type_ptr(), Ordering::Relaxed);
    quick::install(py);
    ready::install(py);
    bound::install(py)?;
    let class = py.get_type::<Memo>();
    let sample = class
        .call_method1("__new__", (&class,))?
        .cast_into::<Memo>()?;
    let inside = std::ptr::from_ref(sample.get()).addr() - sample.as_ptr().addr();
    SLOTS.install(&class, inside + offset_of!(Memo, vectorcall), true);
    if !probe(&class).unwrap_or(false) {
        SLOTS.uninstall(&class);
    }
    Ok(())
}

/// Whether a call finds in a cache what was put there.
fn probe(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let py = class.py();
    let cache = py.get_type::<crate::classes::LRUCache>().call1((1,))?;
    let value = cache.get_type().into_any();
    cache.set_item(1, &value)?;
    let plan = PyDict::new(py);
    let none = py.None();
    for name in [
        "slow",
        "wait",
        "unhashable",
        "key",
        "clock",
        "lock",
        "getter",
        "owner",
    ] {
        plan.set_item(name, &none)?;
    }
    plan.set_item("cache", &cache)?;
    plan.set_item("ttl", f64::INFINITY)?;
    plan.set_item("idle", f64::INFINITY)?;
    for name in [
        "cachetools_keys",
        "typed",
        "skip_first",
        "entries",
        "asynchronous",
        "single_flight",
        "forward",
        "keep",
    ] {
        plan.set_item(name, false)?;
    }
    plan.set_item("direct", true)?;
    let memo = class.call1((py.get_type::<pyo3::types::PyInt>(), plan))?;
    let argument = 1_i64.into_pyobject(py)?.into_any();
    Ok(
        vectorcall::agrees(&memo, &argument)?
            && memo.cast::<Memo>()?.get().counters.hits.get() == 2,
    )
}
