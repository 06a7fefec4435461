//! Iteration over a cache.
//!
//! An iterator keeps its place by the slot of the last item and the address of its key, so that a
//! slot that was emptied or filled again is noticed (a new key at the address of a freed one in the
//! same slot is taken for the old one, and iteration goes on from there). Untimed caches iterate in insertion order, like
//! `dict`, and like `dict` refuse to go on once items were added or removed. Timed caches iterate in
//! the order of their deadlines' structure, skip what has expired, tolerate changes, and hold time
//! still for the calling thread between an item and the next.

use std::ffi::CStr;

use overdrive_core::Slot;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::cache::{Cache, Moment};
use crate::deadline::{Deadline, Held, Time};
use crate::expiry::{Expiry, Instant, Verdict};
use crate::lock::Guarded;
use crate::obj::{Gone, Obj, release};
use crate::store::Store;
use crate::timer::Timer;

/// What an iterator yields. Yielding values counts as using the items.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Keys,
    Values,
    Items,
}

/// An iterator over a cache's keys, values or items.
#[pyclass(frozen, module = "overdrive._core")]
pub struct CacheIterator {
    cache: Py<Cache>,
    what: What,
    /// The timer that is frozen between two keys; none for iteration in insertion order. Kept, as
    /// the cache may get another one.
    timer: Option<Py<Timer>>,
    place: Guarded<Place>,
}

/// How far an iterator has come.
#[derive(Default)]
struct Place {
    last: Option<(Slot, Obj)>,
    /// Where to go on in a timed cache when `last` is gone.
    next: Option<(Slot, Obj)>,
    /// The position after `last` in a heap.
    position: usize,
    len: usize,
    left: usize,
    done: bool,
    /// The thread whose time is frozen.
    frozen: Option<u64>,
    /// The keys that come next in insertion order, as of `epoch`, with references; those from
    /// `at` to `fetched` are set.
    ahead: [Option<(Slot, Obj)>; AHEAD],
    at: usize,
    fetched: usize,
    epoch: u64,
}

/// How many items are fetched at once.
const AHEAD: usize = 16;

/// What an iterator comes to.
pub enum Step {
    /// A key and, unless only keys are asked for, its value; with references.
    Item(Obj, Option<Obj>),
    End,
    Changed(&'static CStr),
    /// Only Python code can judge this deadline; carries a reference.
    Judge(Deadline),
}

type Pair<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

impl CacheIterator {
    /// Starts an iteration; `plain` is in insertion order whether the cache is timed or not.
    pub fn new(slf: &Bound<'_, Cache>, what: What, plain: bool) -> PyResult<Self> {
        Cache::ready(slf)?;
        let len = slf.get().store.with(slf.py(), |store| store.len());
        let mut place = Place::default();
        (place.len, place.left) = (len, len);
        let timed = slf.get().kind().is_timed() && !plain;
        Ok(Self {
            cache: slf.clone().unbind(),
            what,
            timer: if timed {
                Some(Cache::timer(slf)?.unbind())
            } else {
                None
            },
            place: Guarded::new(place),
        })
    }

    /// The next item, if its key was fetched before and nothing was added or removed since.
    #[inline]
    pub fn next_fetched(&self, py: Python<'_>) -> Option<(What, Obj, Option<Obj>)> {
        // Lock order: an iterator's, then its cache's.
        self.place.with(py, |place| {
            if place.at == place.fetched {
                return None;
            }
            self.cache.get().store.with(py, |store| {
                let (key, value) = place.next_fetched(store, self.what)?;
                Some((self.what, key, value))
            })
        })
    }

    /// Advances an iterator in insertion order, which runs no Python code; `None` for others.
    #[inline]
    pub fn step_now(&self, py: Python<'_>) -> Option<(What, Step)> {
        if self.timer.is_some() {
            return None;
        }
        let mut gone = Gone::default();
        let step = self.place.with(py, |place| {
            self.cache
                .get()
                .store
                .with(py, |store| place.step(store, self.what, &mut gone))
        });
        Some((self.what, step))
    }

    fn advance<'py>(&self, py: Python<'py>) -> PyResult<Option<Pair<'py>>> {
        let cache = self.cache.bind(py);
        if let Some((_, step)) = self.step_now(py) {
            return finish(py, step);
        }
        let Some(timer) = self.timer.as_ref().map(Py::get) else {
            return Ok(None);
        };
        if self.place.with(py, |place| place.done) {
            return Ok(None);
        }
        // Between two keys time stands still: what the iterator froze it moves on or thaws.
        let frozen = self.place.with(py, |place| place.frozen.take());
        let moved = frozen.and_then(|thread| timer.move_on(py, thread));
        if let (Some(thread), None) = (frozen, moved) {
            timer.thaw(py, thread);
        }
        let time = match moved {
            Some(now) => Time::from_number(now),
            None => timer.now(py)?,
        };
        let moment = Moment::At(time);
        let step = self.advance_timed(cache, &moment);
        let goes_on = self.what == What::Keys && matches!(step, Ok(Some(_)));
        let thread = match (moved.and(frozen), &moment) {
            (Some(thread), _) if goes_on => thread,
            (Some(thread), _) => {
                timer.thaw(py, thread);
                return step;
            }
            (None, Moment::At(time)) if goes_on => timer.freeze(py, time),
            _ => return step,
        };
        // If another thread advanced the same iterator meanwhile, its freeze ends here.
        if let Some(other) = self.place.with(py, |place| place.frozen.replace(thread)) {
            timer.thaw(py, other);
        }
        step
    }

    fn advance_timed<'py>(
        &self,
        cache: &Bound<'py, Cache>,
        moment: &Moment<'py>,
    ) -> PyResult<Option<Pair<'py>>> {
        let py = cache.py();
        let now = moment.instant();
        let mut judged: Option<(Held, bool)> = None;
        loop {
            let verdict = judged
                .as_ref()
                .map(|(deadline, live)| (deadline.get(), *live));
            let step = self.place.with(py, |place| {
                cache
                    .get()
                    .store
                    .with(py, |store| place.step_timed(store, self.what, now, verdict))
            });
            let Step::Judge(deadline) = step else {
                return finish(py, step);
            };
            let deadline = Held::new(deadline);
            let live = moment.time().is_before(py, deadline.get())?;
            judged = Some((deadline, live));
        }
    }
}

impl Place {
    /// The next item whose key was fetched before.
    #[inline]
    fn next_fetched(&mut self, store: &Store, what: What) -> Option<(Obj, Option<Obj>)> {
        if self.at == self.fetched || self.epoch != store.epoch() {
            return None;
        }
        let (slot, key) = self.ahead[self.at].take()?;
        self.at += 1;
        self.left -= 1;
        self.last = Some((slot, key));
        Some((
            key,
            (what != What::Keys).then(|| store.value(slot).incref()),
        ))
    }

    /// The next item in insertion order.
    #[inline]
    fn step(&mut self, store: &mut Store, what: What, gone: &mut Gone) -> Step {
        if let Some((key, value)) = self.next_fetched(store, what) {
            return Step::Item(key, value);
        }
        let step = self.step_from_last(store, what, gone);
        self.done = !matches!(step, Step::Item(..));
        step
    }

    fn step_from_last(&mut self, store: &mut Store, what: What, gone: &mut Gone) -> Step {
        const SIZE: &CStr = c"dictionary changed size during iteration";
        const KEYS: &CStr = c"dictionary keys changed during iteration";
        (self.at, self.fetched) = (0, 0);
        let ahead = self.ahead.iter_mut().filter_map(Option::take);
        ahead.for_each(|(_, key)| gone.push(key));
        if self.done {
            return Step::End;
        }
        if store.len() != self.len {
            return Step::Changed(SIZE);
        }
        let slot = match self.last {
            Some((slot, key)) if store.holds(slot, key) => store.order().next(slot),
            Some(_) => return Step::Changed(KEYS),
            None => store.order().front(),
        };
        let Some(slot) = slot else { return Step::End };
        if self.left == 0 {
            return Step::Changed(KEYS);
        }
        self.left -= 1;
        // Whoever asks for a second item will want more. Reads that count must happen one by one.
        if self.last.is_some() && (what == What::Keys || !store.counts_reads()) {
            let mut following = store.order().next(slot);
            for place in &mut self.ahead[..AHEAD.min(self.left)] {
                let Some(at) = following else { break };
                *place = Some((at, store.key(at).incref()));
                self.fetched += 1;
                following = store.order().next(at);
            }
            self.epoch = store.epoch();
        }
        self.last = Some((slot, store.key(slot)));
        yield_item(store, slot, what)
    }

    /// The next item that has not expired, in the order of deadlines.
    fn step_timed(
        &mut self,
        store: &mut Store,
        what: What,
        now: Instant,
        verdict: Option<(Deadline, bool)>,
    ) -> Step {
        while let Some(slot) = self.candidate(store) {
            let live = match store.expiry.judge_knowing(slot, now, verdict) {
                Verdict::Live => true,
                Verdict::Expired => false,
                Verdict::Ask(deadline) => return Step::Judge(deadline.incref()),
            };
            self.settle(store, slot);
            if live {
                return yield_item(store, slot, what);
            }
        }
        self.done = true;
        Step::End
    }

    fn candidate(&mut self, store: &Store) -> Option<Slot> {
        if self.done {
            return None;
        }
        match &store.expiry {
            Expiry::Never => None,
            Expiry::InOrder(timed) => match (self.last, self.next) {
                (None, _) => timed.due.front(),
                (Some((slot, key)), _) if store.holds(slot, key) => timed.due.next(slot),
                (_, Some((slot, key))) if store.holds(slot, key) => Some(slot),
                _ => None,
            },
            Expiry::ByHeap(timed) => {
                let rest = timed.heap.items().get(self.position..)?;
                self.position += rest.iter().position(|item| timed.is_live(item))?;
                Some(timed.heap.items()[self.position].slot)
            }
        }
    }

    /// Makes `slot` the last item seen.
    fn settle(&mut self, store: &Store, slot: Slot) {
        let named = |slot| (slot, store.key(slot));
        self.next = match &store.expiry {
            Expiry::InOrder(timed) => timed.due.next(slot).map(named),
            _ => None,
        };
        self.position += 1;
        self.left = self.left.saturating_sub(1);
        self.last = Some(named(slot));
    }
}

fn yield_item(store: &mut Store, slot: Slot, what: What) -> Step {
    let key = store.key(slot).incref();
    if what == What::Keys {
        return Step::Item(key, None);
    }
    store.touch(slot);
    Step::Item(key, Some(store.value(slot).incref()))
}

/// Turns a step into what Python gets.
fn finish(py: Python<'_>, step: Step) -> PyResult<Option<Pair<'_>>> {
    match step {
        // SAFETY: the references were taken in the region.
        Step::Item(key, value) => Ok(Some(unsafe {
            (key.into_bound(py), value.map(|value| value.into_bound(py)))
        })),
        Step::Changed(message) => Err(PyRuntimeError::new_err(
            message.to_string_lossy().into_owned(),
        )),
        Step::End | Step::Judge(_) => Ok(None),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ahead
            .iter_mut()
            .filter_map(Option::take)
            .for_each(|(_, key)| release(key));
    }
}

/// A `StopIteration` that a timer raised is not the end of the items (as PEP 479 has it).
fn not_the_end(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyStopIteration>(py) {
        return error;
    }
    let outer = PyRuntimeError::new_err("the timer raised StopIteration");
    outer.set_cause(py, Some(error));
    outer
}

#[pymethods]
impl CacheIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let advanced = self.advance(py).map_err(|error| not_the_end(py, error));
        let Some((key, value)) = advanced? else {
            return Ok(None);
        };
        Ok(Some(match (self.what, value) {
            (What::Values, Some(value)) => value,
            (What::Items, Some(value)) => PyTuple::new(py, [key, value])?.into_any(),
            _ => key,
        }))
    }

    fn __length_hint__(&self, py: Python<'_>) -> usize {
        self.place
            .with(py, |place| if place.done { 0 } else { place.left })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.timer)?;
        // SAFETY: called by the garbage collector only.
        let place = unsafe { self.place.frozen_world() };
        place
            .ahead
            .iter()
            .flatten()
            .try_for_each(|(_, key)| visit.call(key.as_py()))
    }
}

impl Drop for CacheIterator {
    fn drop(&mut self) {
        if let (Some(thread), Some(timer)) = (self.place.get_mut().frozen.take(), &self.timer) {
            Python::attach(|py| timer.get().thaw(py, thread));
        }
    }
}
