//! Expiry, and how items get their deadlines.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::cache::{Cache, IfPresent, Kind, Moment, hash, size_of};
use crate::deadline::{Held, Memo, Time, less};
use crate::expiry::{Due, HeapItem};
use crate::hooks::Hooks;
use crate::obj::{Gone, Obj};
use crate::timer::Timer;

/// Removes expired items; each is passed on with the references to its key and value.
pub fn expire<'py>(
    slf: &Bound<'py, Cache>,
    moment: &Moment<'py>,
    mut sink: impl FnMut(Obj, Obj),
) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    if this.kind() == Kind::Tlru {
        compact_heap(slf)?;
    }
    let now = moment.instant();
    let mut memo = Memo::default();
    let mut judged: Option<(Held, bool)> = None;
    loop {
        let mut gone = Gone::default();
        let verdict = judged
            .as_ref()
            .map(|(deadline, live)| (deadline.get(), *live));
        let mut taken = None;
        let due = this.store.with(py, |store| {
            let due = store.expiry.next_due(now, verdict, &memo, &mut gone);
            if let Due::Slot(slot) = due {
                store.tally.expired += 1;
                taken = Some(store.take(slot, &mut gone));
            }
            due
        });
        if let Some((key, value)) = taken {
            sink(key, value);
        }
        if matches!(due, Due::Slot(_) | Due::Dead) {
            // What was learned was about the item that has left; what is kept is searched each time.
            memo = Memo::default();
        }
        match due {
            Due::Nothing => return Ok(()),
            Due::Slot(_) => {}
            Due::Dead => {}
            Due::Judge(deadline) => {
                let deadline = Held::new(deadline);
                let live = moment.time().is_before(py, deadline.get())?;
                judged = Some((deadline, live));
            }
            Due::Compare(a, b) => memo.learn(py, a, b)?,
        }
    }
}

/// Rebuilds the heap when most of it is dead.
fn compact_heap(slf: &Bound<'_, Cache>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let mut gone = Gone::default();
    let Some((mut items, version)) = this
        .store
        .with(py, |store| store.expiry.compact(store.len(), &mut gone))
    else {
        return Ok(());
    };
    let ordered = overdrive_core::heap::heapify(&mut items, |a, b| less(py, *a, *b));
    let left_over: Vec<HeapItem> = match ordered {
        Ok(()) => this
            .store
            .with(py, |store| store.expiry.install(items, version)),
        // The array still holds every item, if not in order.
        Err(_) => items,
    };
    left_over
        .iter()
        .for_each(|item| item.deadline.give_up(&mut gone));
    ordered
}

/// As the user's `expire` sees it: through an override, if there is one.
pub fn expire_visibly<'py>(slf: &Bound<'py, Cache>, moment: &Moment<'py>) -> PyResult<()> {
    if slf.get().hooks().any(Hooks::EXPIRE) {
        let time = moment.time().to_object(slf.py());
        slf.call_method1(pyo3::intern!(slf.py(), "expire"), (time,))
            .map(drop)
    } else {
        let mut gone = Gone::default();
        expire(slf, moment, |key, value| {
            gone.push(key);
            gone.push(value);
        })
    }
}

/// The `expire(time=None)` method: removes expired items and lists them.
pub fn expire_list<'py>(
    slf: &Bound<'py, Cache>,
    time: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    Cache::ready(slf)?;
    let moment = match time {
        Some(time) => Moment::At(Time::from_object(time)),
        None => Moment::At(Cache::now(slf)?),
    };
    let mut pairs = Vec::new();
    let result = expire(slf, &moment, |key, value| {
        // SAFETY: both references were handed over.
        pairs.push(unsafe { (key.into_bound(py), value.into_bound(py)) });
    });
    result?;
    PyList::new(py, pairs)
}

/// `cache[key] = value` of a timed cache.
pub fn set<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    if_present: IfPresent,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    let this = slf.get();
    let hooks = Cache::ready(slf)?;
    let time = Cache::now(slf)?;
    let seen = Hooks::EXPIRE
        .and(Hooks::GETSIZEOF)
        .and(Hooks::POPITEM)
        .and(Hooks::DELITEM);
    // Code that runs from here on asks for the time and must see this instant.
    let visible = this.kind() == Kind::Tlru || hooks.any(seen);
    let timer = if visible {
        Some(Cache::timer(slf)?)
    } else {
        None
    };
    let _frozen = timer
        .as_ref()
        .map(|timer| Timer::freeze_scope(timer, &time));
    let argument = this.store.with(py, |store| {
        let config = &store.config;
        if this.kind() == Kind::Ttl {
            config.ttl.map(Obj::incref)
        } else {
            config.ttu.map(Obj::incref)
        }
    });
    // SAFETY: the reference was taken in the region.
    let argument = argument.map(|argument| unsafe { argument.into_bound(py) });
    let Some(argument) = argument else {
        return Cache::ready(slf).map(|_| None);
    };
    let moment = Moment::At(time);
    let expires = if this.kind() == Kind::Ttl {
        let expires = moment.time().plus(py, &argument)?;
        expire_visibly(slf, &moment)?;
        expires
    } else {
        expire_visibly(slf, &moment)?;
        let expires =
            Time::from_object(argument.call1((key, value, moment.time().to_object(py)))?);
        if !moment.time().is_before(py, expires.as_deadline())? {
            return discard(slf, key).map(|()| None);
        }
        expires
    };
    let size = size_of(slf, value)?;
    Cache::put(
        slf,
        key,
        value,
        size,
        Some(expires.as_deadline()),
        if_present,
    )
}

/// Removes a key without a word if it is there: what was to replace it has expired already.
fn discard(slf: &Bound<'_, Cache>, key: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut gone = Gone::default();
    slf.get().lookup(key, hash(key)?, |store, at| {
        if let Some(slot) = at {
            store.remove(slot, &mut gone);
        }
    })
}
