//! Why items leave, how often that happened, and telling listeners.
//!
//! What left is noted inside the lock and told outside of it, by the thread that removed it, before
//! its operation returns. A listener that uses the cache may make more items leave: these are told
//! after it has returned, by the same loop, so that listeners do not nest.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::contents::Contents;
use crate::import::Imported;
use crate::lock::Guarded;
use crate::obj::{Gone, Obj};

/// Why an item left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its time was over.
    Expired,
    /// To make room.
    Size,
    /// Another value took its place.
    Replaced,
    /// It was deleted, cleared away or invalidated.
    Deleted,
}

impl Cause {
    /// All of them, as indices into [`Counts::left`].
    pub const ALL: [Cause; 4] = [Cause::Expired, Cause::Size, Cause::Replaced, Cause::Deleted];

    pub fn name(self) -> &'static str {
        match self {
            Cause::Expired => "expired",
            Cause::Size => "size",
            Cause::Replaced => "replaced",
            Cause::Deleted => "deleted",
        }
    }
}

/// What happened since the cache was made or its counts were reset.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub hits: u64,
    pub misses: u64,
    pub loads: u64,
    pub load_errors: u64,
    pub load_seconds: f64,
    pub left: [u64; Cause::ALL.len()],
}

/// An item that left, with references.
pub struct Departure {
    pub key: Obj,
    pub value: Obj,
    pub cause: Cause,
}

/// What listeners are yet to be told, and by whom.
#[derive(Default)]
pub struct Departures {
    pub listener: Option<Obj>,
    waiting: Vec<Departure>,
    /// How many of those were left waiting by earlier operations.
    left_over: usize,
    /// Threads that are telling.
    tellers: Vec<u64>,
}

impl Departures {
    /// Notes what left, if someone listens, and gives up its references otherwise.
    #[inline]
    pub fn note(&mut self, key: Obj, value: Obj, cause: Cause, gone: &mut Gone) {
        if self.listener.is_some() {
            self.waiting.push(Departure { key, value, cause });
        } else {
            gone.push(key);
            gone.push(value);
        }
    }

    /// Whether there is something to tell.
    #[inline(always)]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Every reference held.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        self.waiting
            .iter()
            .flat_map(|departure| [&departure.key, &departure.value])
            .chain(&self.listener)
    }

    /// Takes everything out.
    pub fn retire(&mut self, gone: &mut Gone) {
        self.left_over = 0;
        for departure in self.waiting.drain(..) {
            gone.push(departure.key);
            gone.push(departure.value);
        }
        if let Some(listener) = self.listener.take() {
            gone.push(listener);
        }
    }
}

/// An operation tells what it removed itself, and so many of the departures that listeners cause; the rest waits for
/// the next one. A listener that stores what was evicted, and so evicts something else, would never return otherwise.
const MAX_CAUSED: usize = 1000;

thread_local! {
    static THREAD: u64 = {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Tells the listener what left. Its exceptions are logged; `KeyboardInterrupt`, `SystemExit` and their
/// like, which are not errors of the listener, are raised.
pub fn tell(py: Python<'_>, contents: &Guarded<Contents>) -> PyResult<()> {
    let thread = THREAD.with(|id| *id);
    let begun = contents.with(py, |contents| {
        let departures = &mut contents.departures;
        let begins = departures.is_waiting() && !departures.tellers.contains(&thread);
        if begins {
            departures.tellers.push(thread);
        }
        let own = departures
            .waiting
            .len()
            .saturating_sub(departures.left_over);
        begins.then_some(own + MAX_CAUSED)
    });
    let Some(mut quota) = begun else {
        return Ok(());
    };
    let mut result = Ok(());
    loop {
        let batch: Vec<Departure> = contents.with(py, |contents| {
            let departures = &mut contents.departures;
            let count = departures.waiting.len().min(quota);
            if count == 0 || result.is_err() {
                departures.tellers.retain(|&teller| teller != thread);
                departures.left_over = departures.waiting.len();
                Vec::new()
            } else {
                departures.left_over = 0;
                departures.waiting.drain(..count).collect()
            }
        });
        if batch.is_empty() {
            return result;
        }
        quota -= batch.len();
        let mut batch = batch.into_iter();
        while result.is_ok()
            && let Some(departure) = batch.next()
        {
            result = tell_one(py, contents, departure);
        }
        if batch.len() > 0 {
            // The operation ends here; what is left is told by the next one.
            contents.with(py, |contents| {
                contents.departures.waiting.splice(0..0, batch);
            });
        }
    }
}

/// Tells whoever listens now: a listener may have been removed since the item left.
fn tell_one(py: Python<'_>, contents: &Guarded<Contents>, departure: Departure) -> PyResult<()> {
    let Departure { key, value, cause } = departure;
    // SAFETY: both references were handed over.
    let (key, value) = unsafe { (key.into_bound(py), value.into_bound(py)) };
    let listener = contents.with(py, |contents| contents.departures.listener.map(Obj::incref));
    let Some(listener) = listener else {
        return Ok(());
    };
    // SAFETY: the reference was taken in the region.
    let listener = unsafe { listener.into_bound(py) };
    let cause = PyString::intern(py, cause.name());
    match listener.call1((key, value, cause)) {
        Ok(_) => Ok(()),
        Err(error) => log(py, &listener, error),
    }
}

/// Logs what a listener raised.
fn log(py: Python<'_>, listener: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    if !error.is_instance_of::<PyException>(py) {
        return Err(error);
    }
    static LOG: Imported = Imported::new("overdrive._memory.listeners", "log_error");
    match LOG
        .get(py)
        .and_then(|log| log.call1((listener, error.value(py))))
    {
        Ok(_) => Ok(()),
        Err(second) if second.is_instance_of::<PyException>(py) => {
            // Logging itself failed: all that is left is the interpreter's last resort.
            second.write_unraisable(py, Some(listener));
            Ok(())
        }
        Err(second) => Err(second),
    }
}
