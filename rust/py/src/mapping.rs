//! The operations of the mapping protocol, with the semantics of cachetools 8.

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::cache::{Cache, IfPresent, Kind, Moment, hash, key_error, size_of};
use crate::choice;
use crate::deadline::Held;
use crate::hooks::Hooks;
use crate::import::Imported;
use crate::obj::{Gone, Obj};
use crate::store::Store;
use crate::timed;
use crate::timer::{Freeze, Timer};

/// `cache[key]`.
pub fn getitem<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let this = slf.get();
    let hash = hash(key)?;
    let touch_and_take = |store: &mut Store, slot| {
        store.touch(slot);
        store.value(slot).incref()
    };
    let found = if Cache::tells_time_natively(slf) {
        this.lookup_live(key, hash, &Moment::Native, touch_and_take)?
    } else {
        // The timer is called after the item was found and counted as used.
        let touched = this.lookup(key, hash, |store, at| {
            at.map(|slot| store.touch(slot)).is_some()
        })?;
        if touched {
            let moment = Cache::moment(slf)?;
            this.lookup_live(key, hash, &moment, |store, slot| store.value(slot).incref())?
        } else {
            None
        }
    };
    match found {
        // SAFETY: the reference was taken in the region.
        Some(value) => Ok(unsafe { value.into_bound(slf.py()) }),
        None => missing(slf, key),
    }
}

/// `Cache.__getitem__(cache, key)`: reads without counting a use and whether or not it has expired.
pub fn getitem_plain<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let found = slf.get().lookup(key, hash(key)?, |store, at| {
        at.map(|slot| store.value(slot).incref())
    })?;
    match found {
        // SAFETY: the reference was taken in the region.
        Some(value) => Ok(unsafe { value.into_bound(slf.py()) }),
        None => missing(slf, key),
    }
}

/// What `cache[key]` gives for an absent key.
#[cold]
fn missing<'py>(slf: &Bound<'py, Cache>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let this = slf.get();
    if !Cache::ready(slf)?.any(Hooks::MISSING) {
        return Err(key_error(key));
    }
    let value = slf.call_method1(pyo3::intern!(slf.py(), "__missing__"), (key,))?;
    if this.kind().has_reads_that_count() {
        // `__missing__` may have stored the item; reading it counts as a use then.
        this.lookup(key, hash(key)?, |store, at| {
            at.map(|slot| store.touch(slot))
        })?;
    }
    Ok(value)
}

/// `cache[key] = value`.
pub fn setitem<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    set(slf, key, value, IfPresent::Replace).map(drop)
}

fn set<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    if_present: IfPresent,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if slf.get().kind().is_timed() {
        return timed::set(slf, key, value, if_present);
    }
    Cache::ready(slf)?;
    let size = size_of(slf, value)?;
    Cache::put(slf, key, value, size, None, if_present)
}

/// `del cache[key]`.
pub fn delitem<'py>(slf: &Bound<'py, Cache>, key: &Bound<'py, PyAny>) -> PyResult<()> {
    let this = slf.get();
    Cache::ready(slf)?;
    let hash = hash(key)?;
    let before = if this.kind() == Kind::Tlru {
        Some(Cache::moment(slf)?)
    } else {
        None
    };
    let mut gone = Gone::default();
    let removed = this.lookup(key, hash, |store, at| {
        let slot = at?;
        let deadline = store
            .expiry
            .deadline(slot)
            .map(|deadline| deadline.incref());
        store.remove(slot, &mut gone);
        Some(deadline)
    })?;
    let Some(deadline) = removed else {
        return Err(key_error(key));
    };
    if !this.kind().is_timed() {
        return Ok(());
    }
    let deadline = deadline.map(Held::new);
    let moment = match before {
        Some(moment) => moment,
        None => Cache::moment(slf)?,
    };
    match deadline {
        Some(deadline) if !moment.time().is_before(slf.py(), deadline.get())? => {
            Err(key_error(key))
        }
        _ => Ok(()),
    }
}

/// `key in cache`.
pub fn contains<'py>(slf: &Bound<'py, Cache>, key: &Bound<'py, PyAny>) -> PyResult<bool> {
    let this = slf.get();
    let hash = hash(key)?;
    if Cache::tells_time_natively(slf) {
        Cache::ready(slf)?;
        return Ok(this
            .lookup_live(key, hash, &Moment::Native, |_, _| ())?
            .is_some());
    }
    if !this.lookup(key, hash, |_, at| at.is_some())? {
        return Ok(false);
    }
    let moment = Cache::moment(slf)?;
    Ok(this.lookup_live(key, hash, &moment, |_, _| ())?.is_some())
}

/// `Cache.__contains__(cache, key)`: whether the key is there, expired or not.
pub fn contains_plain<'py>(slf: &Bound<'py, Cache>, key: &Bound<'py, PyAny>) -> PyResult<bool> {
    Cache::ready(slf)?;
    slf.get().lookup(key, hash(key)?, |_, at| at.is_some())
}

/// Freezes the timer of a timed cache, for operations made of several that users can see.
fn with_frozen_time<'py, R>(
    slf: &Bound<'py, Cache>,
    operation: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    if !slf.get().kind().is_timed() {
        return operation();
    }
    let timer = Cache::timer(slf)?;
    let time = timer.get().now(slf.py())?;
    let _frozen: Freeze<'_, '_> = Timer::freeze_scope(&timer, &time);
    operation()
}

/// `cache.get(key, default)`.
pub fn get<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    default: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let this = slf.get();
    if Cache::ready(slf)?.any(Hooks::CONTAINS.and(Hooks::GETITEM)) {
        return with_frozen_time(slf, || {
            if slf.contains(key)? {
                slf.as_any().get_item(key)
            } else {
                Ok(default)
            }
        });
    }
    let moment = Cache::moment(slf)?;
    let found = this.lookup_live(key, hash(key)?, &moment, |store, slot| {
        store.touch(slot);
        store.value(slot).incref()
    })?;
    match found {
        // SAFETY: the reference was taken in the region.
        Some(value) => Ok(unsafe { value.into_bound(slf.py()) }),
        None => Ok(default),
    }
}

/// `cache.pop(key[, default])`.
pub fn pop<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    default: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let this = slf.get();
    let absent = |default: Option<Bound<'py, PyAny>>| default.ok_or_else(|| key_error(key));
    if Cache::ready(slf)?.any(Hooks::CONTAINS.and(Hooks::GETITEM).and(Hooks::DELITEM)) {
        return with_frozen_time(slf, || {
            if !slf.contains(key)? {
                return absent(default);
            }
            let value = slf.as_any().get_item(key)?;
            slf.as_any().del_item(key)?;
            Ok(value)
        });
    }
    let moment = Cache::moment(slf)?;
    let mut gone = Gone::default();
    let found = this.lookup_live(key, hash(key)?, &moment, |store, slot| {
        let (key, value) = store.take(slot, &mut gone);
        gone.push(key);
        value
    })?;
    match found {
        // SAFETY: the reference was handed over.
        Some(value) => Ok(unsafe { value.into_bound(slf.py()) }),
        None => absent(default),
    }
}

/// `cache.setdefault(key, default)`.
pub fn setdefault<'py>(
    slf: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    default: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let this = slf.get();
    if Cache::ready(slf)?.any(Hooks::CONTAINS.and(Hooks::GETITEM).and(Hooks::SETITEM)) {
        return with_frozen_time(slf, || {
            if slf.contains(key)? {
                slf.as_any().get_item(key)
            } else {
                slf.as_any().set_item(key, &default)?;
                Ok(default)
            }
        });
    }
    with_frozen_time(slf, || {
        let moment = Cache::moment(slf)?;
        let found = this.lookup_live(key, hash(key)?, &moment, |store, slot| {
            store.touch(slot);
            store.value(slot).incref()
        })?;
        match found {
            // SAFETY: the reference was taken in the region.
            Some(value) => Ok(unsafe { value.into_bound(slf.py()) }),
            None => {
                Ok(set(slf, key, &default, IfPresent::Keep(moment.instant()))?.unwrap_or(default))
            }
        }
    })
}

/// `cache.popitem()`.
pub fn popitem<'py>(slf: &Bound<'py, Cache>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let this = slf.get();
    let hooks = Cache::ready(slf)?;
    if this.kind() == Kind::Cache && hooks.any(Hooks::ITER.and(Hooks::GETITEM).and(Hooks::DELITEM))
    {
        let Some(key) = slf.try_iter()?.next() else {
            return Err(empty_error(slf));
        };
        let key = key?;
        let value = slf.as_any().get_item(&key)?;
        slf.as_any().del_item(&key)?;
        return Ok((key, value));
    }
    if this.kind() == Kind::Rr {
        return choice::popitem(slf);
    }
    let removes_visibly = hooks.any(Hooks::DELITEM);
    if this.kind().is_timed() {
        with_frozen_time(slf, || {
            timed::expire_visibly(slf, &Cache::moment(slf)?)?;
            if removes_visibly {
                remove_victim_visibly(slf)
            } else {
                remove_victim(slf)
            }
        })
    } else if removes_visibly {
        remove_victim_visibly(slf)
    } else {
        remove_victim(slf)
    }
}

fn remove_victim<'py>(slf: &Bound<'py, Cache>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = slf.py();
    let mut gone = Gone::default();
    let item = slf.get().store.with(py, |store| {
        store.victim(None).map(|slot| store.evict(slot, &mut gone))
    });
    match item {
        // SAFETY: both references were handed over.
        Some((key, value)) => Ok(unsafe { (key.into_bound(py), value.into_bound(py)) }),
        None => Err(empty_error(slf)),
    }
}

/// Evicts through an overridden `__delitem__`.
fn remove_victim_visibly<'py>(
    slf: &Bound<'py, Cache>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = slf.py();
    let victim = slf.get().store.with(py, |store| {
        store
            .victim(None)
            .map(|slot| (store.key(slot).incref(), store.value(slot).incref()))
    });
    let Some((key, value)) = victim else {
        return Err(empty_error(slf));
    };
    // SAFETY: both references were taken in the region.
    let (key, value) = unsafe { (key.into_bound(py), value.into_bound(py)) };
    slf.as_any().del_item(&key)?;
    Ok((key, value))
}

/// `KeyError` for `popitem` on an empty cache, raised "from None".
#[cold]
pub fn empty_error(slf: &Bound<'_, Cache>) -> PyErr {
    let py = slf.py();
    let error = if slf.get().kind() == Kind::Cache {
        PyKeyError::new_err(())
    } else {
        match slf.get_type().name() {
            Ok(class) => PyKeyError::new_err(format!("{class} is empty")),
            Err(error) => return error,
        }
    };
    match error
        .value(py)
        .setattr(pyo3::intern!(py, "__suppress_context__"), true)
    {
        Ok(()) => error,
        Err(other) => other,
    }
}

/// `cache.clear()`.
pub fn clear(slf: &Bound<'_, Cache>) -> PyResult<()> {
    Cache::ready(slf)?;
    drop(slf.get().store.with(slf.py(), Store::clear));
    Ok(())
}

/// `len(cache)`, without expired items.
pub fn len(slf: &Bound<'_, Cache>) -> PyResult<usize> {
    expire_first(slf)?;
    len_plain(slf)
}

/// `Cache.__len__(cache)`: expired items included.
pub fn len_plain(slf: &Bound<'_, Cache>) -> PyResult<usize> {
    Cache::ready(slf)?;
    Ok(slf.get().store.with(slf.py(), |store| store.len()))
}

/// Removes the expired items of a timed cache.
pub fn expire_first(slf: &Bound<'_, Cache>) -> PyResult<()> {
    let hooks = Cache::ready(slf)?;
    if !slf.get().kind().is_timed() {
        return Ok(());
    }
    if hooks.any(Hooks::EXPIRE) {
        with_frozen_time(slf, || timed::expire_visibly(slf, &Cache::moment(slf)?))
    } else {
        timed::expire_visibly(slf, &Moment::At(Cache::now(slf)?))
    }
}

/// `cache.currsize`.
pub fn currsize<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
    expire_first(slf)?;
    let used = slf
        .get()
        .store
        .with(slf.py(), |store| store.budget.used(store.len()));
    crate::number::total(slf.py(), used)
}

/// `cache.maxsize`.
pub fn maxsize<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
    argument(slf, |store| store.config.maxsize)
}

/// A constructor argument, for the property of its name.
pub fn argument<'py>(
    slf: &Bound<'py, Cache>,
    pick: impl FnOnce(&Store) -> Option<Obj>,
) -> PyResult<Bound<'py, PyAny>> {
    let argument = slf
        .get()
        .store
        .with(slf.py(), |store| pick(store).map(Obj::incref));
    match argument {
        // SAFETY: the reference was taken in the region.
        Some(argument) => Ok(unsafe { argument.into_bound(slf.py()) }),
        None => Err(Cache::ready(slf)
            .err()
            .unwrap_or_else(|| PyValueError::new_err("not set"))),
    }
}

/// `repr(cache)`.
pub fn repr(slf: &Bound<'_, Cache>) -> PyResult<String> {
    let py = slf.py();
    expire_first(slf)?;
    let class = slf.get_type().name()?;
    let maxsize = maxsize(slf)?.repr()?;
    // SAFETY: an object and its thread; balanced by `Py_ReprLeave` below.
    let content = match unsafe { pyo3::ffi::Py_ReprEnter(slf.as_ptr()) } {
        0 => {
            let content = repr_items(slf);
            // SAFETY: balances `Py_ReprEnter`.
            unsafe { pyo3::ffi::Py_ReprLeave(slf.as_ptr()) };
            content?
        }
        1 => "...".to_owned(),
        _ => return Err(PyErr::fetch(py)),
    };
    let used = slf
        .get()
        .store
        .with(py, |store| store.budget.used(store.len()));
    let currsize = crate::number::total(py, used)?.repr()?;
    Ok(format!(
        "{class}({{{content}}}, maxsize={maxsize}, currsize={currsize})"
    ))
}

fn repr_items(slf: &Bound<'_, Cache>) -> PyResult<String> {
    let items = snapshot(slf)
        .into_iter()
        .map(|(key, value)| {
            Ok(format!(
                "{}: {}",
                key.repr()?.to_str()?,
                value.repr()?.to_str()?
            ))
        })
        .collect::<PyResult<Vec<_>>>()?;
    Ok(items.join(", "))
}

/// All pairs in insertion order, expired ones included, uncounted.
pub fn snapshot<'py>(slf: &Bound<'py, Cache>) -> Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = slf.py();
    let pairs: Vec<(Obj, Obj)> = slf.get().store.with(py, |store| {
        let pair = |slot| (store.key(slot).incref(), store.value(slot).incref());
        store.order().iter().map(pair).collect()
    });
    // SAFETY: the references were taken in the region.
    pairs
        .into_iter()
        .map(|(key, value)| unsafe { (key.into_bound(py), value.into_bound(py)) })
        .collect()
}

/// `cache == other`: equal as mappings.
pub fn equals<'py>(
    slf: &Bound<'py, Cache>,
    other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    if !is_mapping(other)? {
        return Ok(py.NotImplemented().into_bound(py));
    }
    let items = pyo3::intern!(py, "items");
    let dict = py.get_type::<PyDict>();
    let ours = dict.call1((slf.call_method0(items)?,))?;
    let theirs = dict.call1((other.call_method0(items)?,))?;
    ours.rich_compare(theirs, pyo3::basic::CompareOp::Eq)
}

/// `isinstance(other, collections.abc.Mapping)`; an error in that is one here, unlike in `PyMapping`.
fn is_mapping(other: &Bound<'_, PyAny>) -> PyResult<bool> {
    static MAPPING: Imported = Imported::new("collections.abc", "Mapping");
    if other.is_instance_of::<PyDict>() || other.is_instance_of::<Cache>() {
        return Ok(true);
    }
    other.is_instance(&MAPPING.get(other.py())?)
}

/// `cache.update(other, **more)`.
pub fn update<'py>(
    slf: &Bound<'py, Cache>,
    other: Option<&Bound<'py, PyAny>>,
    more: Option<&Bound<'py, PyDict>>,
) -> PyResult<()> {
    let hooked = Cache::ready(slf)?.any(Hooks::SETITEM);
    let put = |key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>| {
        if hooked {
            slf.as_any().set_item(key, value)
        } else {
            setitem(slf, key, value)
        }
    };
    if let Some(other) = other {
        // Without the GIL another thread may change the dict at any moment.
        let dict = other.cast_exact::<PyDict>().ok();
        let dict = dict.filter(|_| !hooked && cfg!(not(Py_GIL_DISABLED)));
        // Not `PyDict`'s own iterator, which panics when a hook changes the dict.
        if let Some(items) = dict {
            crate::fast::update(slf, items)?;
        } else if is_mapping(other)? {
            for key in other.try_iter()? {
                let key = key?;
                put(&key, &other.get_item(&key)?)?;
            }
        } else if other.hasattr(pyo3::intern!(slf.py(), "keys"))? {
            for key in other
                .call_method0(pyo3::intern!(slf.py(), "keys"))?
                .try_iter()?
            {
                let key = key?;
                put(&key, &other.get_item(&key)?)?;
            }
        } else {
            for pair in other.try_iter()? {
                let (key, value) = unpack(&pair?)?;
                put(&key, &value)?;
            }
        }
    }
    for (key, value) in more.into_iter().flatten() {
        put(&key, &value)?;
    }
    Ok(())
}

/// `key, value = pair`, with the messages that Python has for it.
fn unpack<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(tuple) = pair.cast_exact::<PyTuple>()
        && tuple.len() == 2
    {
        return Ok((tuple.get_item(0)?, tuple.get_item(1)?));
    }
    let iterator = pair.try_iter().map_err(|error| {
        match (
            error.is_instance_of::<PyTypeError>(pair.py()),
            pair.get_type().name(),
        ) {
            (true, Ok(name)) => {
                PyTypeError::new_err(format!("cannot unpack non-iterable {name} object"))
            }
            _ => error,
        }
    })?;
    let mut items = Vec::new();
    for item in iterator.take(3) {
        items.push(item?);
    }
    match <[_; 2]>::try_from(items) {
        Ok([key, value]) => Ok((key, value)),
        Err(items) if items.len() > 2 => Err(PyValueError::new_err(
            "too many values to unpack (expected 2)",
        )),
        Err(items) => Err(PyValueError::new_err(format!(
            "not enough values to unpack (expected 2, got {})",
            items.len()
        ))),
    }
}

/// `sys.getsizeof(cache)`: the memory of the cache itself, in bytes, without keys and values.
pub fn memory(slf: &Bound<'_, Cache>) -> usize {
    let fixed = slf
        .get_type()
        .getattr("__basicsize__")
        .and_then(|size| size.extract::<usize>());
    fixed.unwrap_or(0) + slf.get().store.with(slf.py(), |store| store.memory())
}
