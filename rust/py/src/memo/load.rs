//! Running the function for a key that is not in the cache, and storing what it returns.

use std::cell::RefCell;
use std::ptr::{NonNull, null_mut};

use overdrive_core::size::Size;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arguments::{Answer, Call};
use super::entry::{Entry, Now};
use super::flight::{Begin, Landed, Ticket, this_thread};
use super::key::Key;
use super::lookup::{Missing, cleared, find_asking, give};
use super::marker::is_marker;
use super::shape::Shape;
use super::{Memo, raised};
use crate::cache::{Cache, IfPresent};
use crate::fast::{Short, guarded, obj, set_hashed};
use crate::hooks::Hooks;
use crate::key::Asked;
use crate::obj::{Gone, Obj, release};

/// Computes the answer, and stores it.
#[inline(always)]
pub unsafe fn load(
    py: Python<'_>,
    memo: &Memo,
    shape: Shape,
    call: &Call<'_>,
    cache: Obj,
    (key, hash, missing): (&impl Key, u64, Missing),
) -> Answer {
    // SAFETY: the arguments of a vectorcall; the cache is one.
    unsafe {
        let Some(made) = key.make() else {
            return null_mut();
        };
        let load = Load {
            py,
            memo,
            shape,
            call,
            cache: cache.to_bound(py).cast_into_unchecked(),
            key: made.into_bound(py),
            hash,
            missing,
            interruption: RefCell::new(None),
        };
        // Making a tuple may run the garbage collector, and comparing keys anything.
        let others_ran = cfg!(Py_GIL_DISABLED) || !key.is_made() || matches!(missing, Missing::Ask);
        load.finish(load.run(others_ran))
    }
}

/// One run of the function, for a key that is not in the cache.
struct Load<'a, 'py> {
    py: Python<'py>,
    memo: &'a Memo,
    shape: Shape,
    call: &'a Call<'a>,
    cache: Bound<'py, Cache>,
    key: Bound<'py, PyAny>,
    hash: u64,
    missing: Missing,
    /// What interrupted the telling of those who wait: raised when they have been told after all.
    interruption: RefCell<Option<Bound<'py, PyAny>>>,
}

impl<'py> Load<'_, 'py> {
    /// Runs it, or waits for who runs it already.
    #[inline(never)]
    fn run(&self, others_ran: bool) -> Answer {
        let mut ticket = None;
        if self.shape.any(Shape::SINGLE_FLIGHT) {
            let me = this_thread();
            ticket = self.memo.flights.with(self.py, |flights| {
                flights.begin_now(self.hash, Obj::of(&self.key), me)
            });
            if ticket.is_none() || (others_ran && !self.is_still_absent()) {
                return self.run_carefully(ticket, others_ran);
            }
        }
        self.compute(ticket)
    }

    /// Whether nobody can have stored the key since it was looked up.
    #[inline(always)]
    fn is_still_absent(&self) -> bool {
        let Missing::Absent(then) = self.missing else {
            return false;
        };
        then == self.cache.get().store.with(self.py, |store| store.epoch())
    }

    /// Does the same where others may compute the key, or may have done so already.
    #[cold]
    fn run_carefully(&self, mut begun: Option<Ticket>, mut others_ran: bool) -> Answer {
        let py = self.py;
        loop {
            let begin = match begun.take() {
                Some(ticket) => Ok(Begin::Begun(ticket)),
                None => self.begin(),
            };
            let ticket = match begin {
                Ok(Begin::Begun(ticket)) => Some(ticket),
                Ok(Begin::Alone | Begin::Ask) => None,
                Ok(Begin::Busy) => match self.wait() {
                    Ok(Waited::Answer(value)) => {
                        self.memo.counters.hits.add(1);
                        return value.into_ptr();
                    }
                    Ok(Waited::Alone) => None,
                    Ok(Waited::Again) => {
                        others_ran = true;
                        continue;
                    }
                    Err(error) => {
                        raised::raise(py, error);
                        return null_mut();
                    }
                },
                Err(error) => {
                    raised::raise(py, error);
                    return null_mut();
                }
            };
            // The flight before this one may have ended between the look into the cache and the
            // beginning of this one; it stored its value first.
            if let Some(ticket) = ticket
                && others_ran
            {
                match self.look_again() {
                    Ok(None) => {}
                    Ok(Some(value)) => {
                        self.land(ticket, &Outcome::Value(&value));
                        self.memo.counters.hits.add(1);
                        return value.into_ptr();
                    }
                    Err(error) => {
                        self.land(ticket, &Outcome::Abandoned);
                        raised::raise(py, error);
                        return null_mut();
                    }
                }
            }
            return self.compute_out_of_line(ticket);
        }
    }

    /// In a frame of its own, which is smaller.
    #[inline(never)]
    fn compute_out_of_line(&self, ticket: Option<Ticket>) -> Answer {
        self.compute(ticket)
    }

    fn begin(&self) -> PyResult<Begin> {
        let me = this_thread();
        let mut asked = Asked::default();
        loop {
            let begin = self.memo.flights.with(self.py, |flights| {
                flights.begin(self.hash, Obj::of(&self.key), me, &mut asked)
            });
            match begin {
                Begin::Ask => asked.resolve(&self.key)?,
                other => return Ok(other),
            }
        }
    }

    fn wait(&self) -> PyResult<Waited<'py>> {
        let py = self.py;
        // SAFETY: the memo is alive during its call.
        let slf = unsafe { obj(self.call.slf) }.to_bound(py);
        let Some(wait) = self.memo.wait.bound(py) else {
            return Ok(Waited::Alone);
        };
        let outcome = wait.call1((slf, &self.key))?;
        if outcome.is_none() {
            Ok(Waited::Again)
        } else if let Ok(value) = outcome.cast::<PyTuple>() {
            Ok(Waited::Answer(value.get_item(0)?))
        } else {
            Ok(Waited::Alone)
        }
    }

    fn look_again(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        let now = self.memo.now(self.py)?;
        let found = find_asking(self.py, &self.cache, &self.key, self.hash, self.shape, now)?;
        // SAFETY: the reference was taken in the region.
        Ok(found.map(|value| unsafe { value.into_bound(self.py) }))
    }

    /// Runs the function, stores what it returns, and ends the flight.
    #[inline(always)]
    fn compute(&self, ticket: Option<Ticket>) -> Answer {
        let memo = self.memo;
        let Some(function) = memo.function.get() else {
            return self.abandon(ticket);
        };
        memo.counters.misses.add(1);
        let forgets = memo.forgets.get();
        let started = memo.counters.start();
        // SAFETY: the arguments of a vectorcall; a reference is held while the function runs.
        let value = unsafe {
            let function = function.incref();
            let value = self.call.pass_to(function);
            ffi::Py_DECREF(function.as_ptr());
            value
        };
        let Some(value) = NonNull::new(value).map(Obj::from_non_null) else {
            return self.fail(ticket);
        };
        memo.counters.finish(started);
        if !self.exchange(ticket, forgets, value) {
            return self.keep(ticket, forgets, value);
        }
        value.as_ptr()
    }

    /// Does the common case of [`keep`](Self::keep): nobody has touched the cache, and the value takes
    /// the place of another one. Otherwise does nothing.
    #[inline(always)]
    fn exchange(&self, ticket: Option<Ticket>, forgets: u64, value: Obj) -> bool {
        let (py, memo, cache) = (self.py, self.memo, self.cache.get());
        let Missing::Absent(then) = self.missing else {
            return false;
        };
        let is_plain = !self.shape.any(Shape::ENTRIES)
            && cache.hooks() == Hooks::NONE
            && !is_marker(value)
            && self.is_wanted(ticket, forgets);
        if !is_plain {
            return false;
        }
        let left = {
            let mut store = cache.store.enter(py);
            if store.epoch() != then {
                return false;
            }
            match store.exchange(self.hash, Obj::of(&self.key), value) {
                Some(left) => left,
                None => return false,
            }
        };
        if let Some(ticket) = ticket {
            let landed = memo.flights.with(py, |flights| flights.end(ticket));
            if landed.waiters.is_some() || !landed.attached {
                self.tell_landed(landed, value);
            } else if let Some(key) = landed.key {
                release(key);
            }
        }
        release(left.0);
        release(left.1);
        true
    }

    /// Whether the value may be stored. Without a flight it is not known which keys have been
    /// forgotten since `forgets` were: then none may.
    #[inline(always)]
    fn is_wanted(&self, ticket: Option<Ticket>, forgets: u64) -> bool {
        let memo = self.memo;
        memo.forgets.get() == forgets
            || self.shape.any(Shape::KEEP)
            || ticket.is_some_and(|ticket| {
                memo.flights
                    .with(self.py, |flights| flights.is_attached(ticket))
            })
    }

    /// Tells those who wait, and takes back what was invalidated while it was being stored.
    #[cold]
    fn tell_landed(&self, landed: Landed, value: Obj) {
        let value = value.to_bound(self.py);
        let attached = landed.attached;
        self.give_out(landed, &Outcome::Value(&value));
        if !attached {
            self.take_back(&value);
        }
    }

    /// Stores what the function returned, and ends the flight.
    #[inline(never)]
    fn keep(&self, ticket: Option<Ticket>, forgets: u64, value: Obj) -> Answer {
        let py = self.py;
        // SAFETY: the reference is that of the function's result.
        let value = unsafe { value.into_bound(py) };
        if is_marker(Obj::of(&value)) {
            return self.keep_marked(&value, ticket, forgets);
        }
        let stored = if self.is_wanted(ticket, forgets) {
            self.store(&value)
        } else {
            Ok(None)
        };
        let wanted = self.is_wanted(ticket, forgets);
        let attached = ticket.is_none_or(|ticket| self.land(ticket, &Outcome::Value(&value)));
        // Invalidated between the two looks.
        if let (false, Ok(Some(stored))) = (wanted && attached, &stored) {
            self.take_back(stored);
        }
        match stored {
            Ok(_) => value.into_ptr(),
            Err(error) => {
                raised::raise(py, error);
                null_mut()
            }
        }
    }

    /// The function raised.
    #[cold]
    fn fail(&self, ticket: Option<Ticket>) -> Answer {
        self.memo.counters.errors.add(1);
        if let Some(ticket) = ticket {
            let error = PyErr::fetch(self.py);
            self.land(ticket, &Outcome::Error(&error));
            raised::raise(self.py, error);
        }
        null_mut()
    }

    /// There is no function any more.
    #[cold]
    fn abandon(&self, ticket: Option<Ticket>) -> Answer {
        if let Some(ticket) = ticket {
            self.land(ticket, &Outcome::Abandoned);
        }
        cleared(self.py)
    }

    /// Has Python code keep a result that brings its time-to-live along.
    #[cold]
    fn keep_marked(
        &self,
        result: &Bound<'py, PyAny>,
        ticket: Option<Ticket>,
        forgets: u64,
    ) -> Answer {
        let py = self.py;
        let kept = if self.shape.any(Shape::ENTRIES) {
            // SAFETY: the memo is alive during its call.
            let slf = unsafe { obj(self.call.slf) }.to_bound(py);
            let wanted = self.is_wanted(ticket, forgets);
            slf.call_method1(
                pyo3::intern!(py, "_store_marked"),
                (&self.key, result, wanted),
            )
        } else {
            Err(PyTypeError::new_err(
                "the function returned a WithTTL, but was decorated without a time option: add ttl=math.inf",
            ))
        };
        if let Some(ticket) = ticket {
            match &kept {
                Ok(value) => self.land(ticket, &Outcome::Value(value)),
                Err(error) => self.land(ticket, &Outcome::Error(error)),
            };
        }
        give(py, kept)
    }

    /// Stores the value, with its times if it has any; returns what is in the cache now.
    #[inline]
    fn store(&self, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.shape.any(Shape::ENTRIES) {
            return self.store_object(value).map(|()| Some(value.clone()));
        }
        let py = self.py;
        let now = match self.memo.now(py)? {
            Now::Native => crate::clock::monotonic(),
            Now::At(now) => now,
        };
        let (ttl, idle) = self.memo.lifetimes();
        if ttl <= 0.0 || idle <= 0.0 {
            return Ok(None);
        }
        let entry = Bound::new(py, Entry::living(value, now, ttl, idle))?.into_any();
        self.store_object(&entry)?;
        if matches!(self.missing, Missing::Stale) {
            let store = &self.cache.get().store;
            store.with(py, |store| store.tally.expired += 1);
        }
        self.memo
            .sweep(py, self.cache.get(), Now::At(now), super::SWEEP);
        Ok(Some(entry))
    }

    /// Removes what was stored, unless something else has taken its place.
    #[cold]
    fn take_back(&self, stored: &Bound<'py, PyAny>) {
        let mut gone = Gone::default();
        let removed = self.cache.get().lookup(&self.key, self.hash, |store, at| {
            if let Some(slot) = at.filter(|&slot| store.value(slot) == Obj::of(stored)) {
                store.remove(slot, &mut gone);
            }
        });
        if let Err(error) = removed {
            error.write_unraisable(self.py, Some(&self.key));
        }
    }

    #[inline]
    fn store_object(&self, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let keep = self.shape.any(Shape::KEEP);
        let (key, hash) = (&self.key, self.hash);
        // SAFETY: the objects are alive.
        let short = guarded(|py| unsafe {
            set_hashed(
                py,
                self.cache.get(),
                hash,
                obj(key.as_ptr()),
                obj(value.as_ptr()),
                keep,
            )
        });
        match short {
            Short::Done(present) => {
                // SAFETY: the reference was taken in the region.
                drop(present.map(|present| unsafe { present.into_bound(self.py) }));
                Ok(())
            }
            Short::Raised => Err(PyErr::fetch(self.py)),
            Short::Pass => self.store_slowly(value, keep),
        }
    }

    #[cold]
    fn store_slowly(&self, value: &Bound<'py, PyAny>, keep: bool) -> PyResult<()> {
        let cache = &self.cache;
        let stored = if cache.get().hooks() == Hooks::NONE && !cache.get().kind().is_timed() {
            let if_present = if keep {
                IfPresent::Keep(crate::expiry::Instant::Native)
            } else {
                IfPresent::Replace
            };
            Cache::put_hashed(
                cache,
                (&self.key, self.hash),
                value,
                Size::Int(1),
                None,
                if_present,
            )
            .map(drop)
        } else {
            cache.as_any().set_item(&self.key, value)
        };
        match stored {
            // Too large for the cache, or the cache holds nothing: returned all the same.
            Err(error) if error.is_instance_of::<PyValueError>(self.py) => {
                raised::raise(self.py, error);
                drop(raised::take(self.py));
                Ok(())
            }
            stored => stored,
        }
    }

    /// Ends the flight and tells those who wait; returns whether its value may be in the cache.
    fn land(&self, ticket: Ticket, outcome: &Outcome<'_, 'py>) -> bool {
        let landed = self
            .memo
            .flights
            .with(self.py, |flights| flights.end(ticket));
        let attached = landed.attached;
        self.give_out(landed, outcome);
        attached
    }

    fn give_out(&self, landed: Landed, outcome: &Outcome<'_, 'py>) {
        landed.key.into_iter().for_each(release);
        if let Some(waiters) = landed.waiters {
            // SAFETY: the reference was handed over.
            let waiters = unsafe { waiters.into_bound(self.py) };
            if let Err(error) = tell(&waiters, outcome) {
                raised::raise(self.py, error);
                self.interruption.replace(raised::take(self.py));
                // Telling goes on where it was interrupted.
                if let Err(error) = tell(&waiters, outcome) {
                    error.write_unraisable(self.py, Some(&waiters));
                }
            }
        }
    }

    /// The answer, unless telling the others was interrupted, as by a signal handler that raised.
    #[inline(always)]
    fn finish(&self, answer: Answer) -> Answer {
        match self.interruption.take() {
            None => answer,
            Some(error) => raise_instead(self.py, error, answer),
        }
    }
}

/// What waiting came to.
enum Waited<'py> {
    Answer(Bound<'py, PyAny>),
    /// Nobody computes the key any more.
    Again,
    /// Waiting longer would be for ever.
    Alone,
}

/// How a flight ended.
enum Outcome<'a, 'py> {
    Value(&'a Bound<'py, PyAny>),
    Error(&'a PyErr),
    /// Somebody else has to try.
    Abandoned,
}

/// Tells those who wait how a flight ended.
#[cold]
fn tell(waiters: &Bound<'_, PyAny>, outcome: &Outcome<'_, '_>) -> PyResult<()> {
    let py = waiters.py();
    let told = match outcome {
        Outcome::Value(value) => waiters.call_method1(pyo3::intern!(py, "land"), (*value,)),
        // What is not an `Exception` was meant for the thread that ran the function.
        Outcome::Error(error) if error.is_instance_of::<PyException>(py) => {
            waiters.call_method1(pyo3::intern!(py, "fail"), (error.value(py),))
        }
        _ => waiters.call_method0(pyo3::intern!(py, "abandon")),
    };
    told.map(drop)
}

/// Raises an exception instead of giving an answer; one that is raised already has precedence.
#[cold]
fn raise_instead(py: Python<'_>, error: Bound<'_, PyAny>, answer: Answer) -> Answer {
    // SAFETY: the answer is a new reference, or null with an exception set.
    let answer = unsafe { Bound::from_owned_ptr_or_opt(py, answer) };
    if answer.is_some() {
        raised::set(error);
    }
    null_mut()
}
