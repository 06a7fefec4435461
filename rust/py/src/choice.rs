//! Random replacement: drawing the victim.
//!
//! The choice function is the user's; it gets a sequence of all keys. Copying the keys for it would
//! make eviction O(n), so it gets a view. For `choice` methods of `random.Random`, which is what the
//! default is, only the random bits are taken from the generator: the same numbers in the same
//! order as `choice` itself would draw, without building anything.

use overdrive_core::Slot;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PySlice};

use crate::cache::{Cache, hash, key_error};
use crate::hooks::Hooks;
use crate::import::{Imported, once};
use crate::mapping::{empty_error, getitem_plain};
use crate::obj::{Gone, Obj};
use crate::store::{Eviction, Store};

fn drawable(store: &Store) -> &[Slot] {
    match &store.policy {
        Eviction::Random(policy) => policy.list(),
        _ => &[],
    }
}

/// `getrandbits` of the generator that `choice` is a method of, if it is `random.Random.choice`.
pub fn getrandbits<'py>(choice: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = choice.py();
    static RANDOM: Imported = Imported::new("random", "Random");
    let class = RANDOM.get(py)?;
    let Some(generator) = choice.getattr_opt(pyo3::intern!(py, "__self__"))? else {
        return Ok(None);
    };
    if !generator.get_type().is(&class)
        || !choice
            .getattr_opt(pyo3::intern!(py, "__func__"))?
            .is_some_and(|function| class.getattr("choice").is_ok_and(|own| function.is(&own)))
    {
        return Ok(None);
    }
    generator.getattr_opt(pyo3::intern!(py, "getrandbits"))
}

/// `random.choice` and `random.getrandbits`, as the standard library exports them.
pub fn default(py: Python<'_>) -> PyResult<(Bound<'_, PyAny>, Option<Bound<'_, PyAny>>)> {
    static CHOICE: Imported = Imported::new("random", "choice");
    static BITS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let choice = CHOICE.get(py)?;
    let bits = once(&BITS, py, || {
        Ok(getrandbits(&choice)?.unwrap_or_else(|| py.None().into_bound(py)))
    })?;
    Ok((choice, Some(bits).filter(|bits| !bits.is_none())))
}

/// The choice function of an `RRCache`.
pub fn function<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
    Cache::ready(slf)?;
    let py = slf.py();
    match slf
        .get()
        .store
        .with(py, |store| store.config.choice.map(Obj::incref))
    {
        // SAFETY: the reference was taken in the region.
        Some(choice) => Ok(unsafe { choice.into_bound(py) }),
        None => default(py).map(|(choice, _)| choice),
    }
}

/// How often a choice is made at most, if each time another thread removes the item first.
const ATTEMPTS: usize = 100;

/// `popitem()` of an `RRCache`.
pub fn popitem<'py>(slf: &Bound<'py, Cache>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (py, this) = (slf.py(), slf.get());
    let (choice, bits) = this.store.with(py, |store| {
        let config = &store.config;
        (
            config.choice.map(Obj::incref),
            config.getrandbits.map(Obj::incref),
        )
    });
    // SAFETY: the references were taken in the region.
    let (choice, bits) = unsafe {
        (
            choice.map(|choice| choice.into_bound(py)),
            bits.map(|bits| bits.into_bound(py)),
        )
    };
    let (choice, bits) = match choice {
        Some(choice) => (choice, bits),
        None => default(py)?,
    };
    let natively = !this.hooks().any(Hooks::DELITEM.and(Hooks::MISSING));
    if let Some(bits) = bits.filter(|_| natively) {
        return pop_drawn(slf, &bits);
    }
    let state = || this.store.with(py, |store| (store.len(), store.epoch()));
    for _ in 0..ATTEMPTS {
        let (len, epoch) = state();
        if len == 0 {
            break;
        }
        // A choice that is wrong in itself stays an error.
        let overtaken = || state().1 != epoch;
        let keys = RandomKeys {
            cache: slf.clone().unbind(),
        };
        let key = match choice.call1((keys,)) {
            Err(error) if error.is_instance_of::<PyIndexError>(py) && overtaken() => continue,
            chosen => chosen?,
        };
        if !natively {
            let value = getitem_plain(slf, &key)?;
            slf.as_any().del_item(&key)?;
            return Ok((key, value));
        }
        let mut gone = Gone::default();
        let value = this.lookup(&key, hash(&key)?, |store, at| {
            at.map(|slot| {
                let value = store.value(slot).incref();
                store.remove(slot, &mut gone);
                value
            })
        })?;
        match value {
            // SAFETY: the reference was taken in the region.
            Some(value) => return Ok((key, unsafe { value.into_bound(py) })),
            None if overtaken() => {}
            None => return Err(key_error(&key)),
        }
    }
    Err(empty_error(slf))
}

/// Draws an index as `random.Random.choice` does and removes the item there.
fn pop_drawn<'py>(
    slf: &Bound<'py, Cache>,
    getrandbits: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (py, this) = (slf.py(), slf.get());
    loop {
        let len = this.store.with(py, |store| drawable(store).len());
        if len == 0 {
            return Err(empty_error(slf));
        }
        let bits = usize::BITS - len.leading_zeros();
        let mut index = getrandbits.call1((bits,))?.extract::<usize>()?;
        while index >= len {
            index = getrandbits.call1((bits,))?.extract::<usize>()?;
        }
        let mut gone = Gone::default();
        let item = this.store.with(py, |store| {
            let list = drawable(store);
            // Another thread may have been here since; its items are as likely as any then.
            if list.len() != len {
                return None;
            }
            let slot = list[index];
            Some(store.take(slot, &mut gone))
        });
        if let Some((key, value)) = item {
            // SAFETY: both references were handed over.
            return Ok(unsafe { (key.into_bound(py), value.into_bound(py)) });
        }
    }
}

/// The keys of an `RRCache` as its choice function sees them: a sequence in drawing order.
#[pyclass(frozen, sequence, module = "overdrive._core")]
pub struct RandomKeys {
    cache: Py<Cache>,
}

impl RandomKeys {
    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys: Vec<Obj> = self.cache.get().store.with(py, |store| {
            drawable(store)
                .iter()
                .map(|&slot| store.key(slot).incref())
                .collect()
        });
        // SAFETY: the references were taken in the region.
        PyList::new(
            py,
            keys.into_iter().map(|key| unsafe { key.into_bound(py) }),
        )
    }
}

#[pymethods]
impl RandomKeys {
    fn __len__(&self, py: Python<'_>) -> usize {
        self.cache
            .get()
            .store
            .with(py, |store| drawable(store).len())
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if index.is_instance_of::<PySlice>() {
            return self.list(py)?.as_any().get_item(index);
        }
        let index = index.extract::<isize>().map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(py) {
                PyIndexError::new_err("cannot fit 'int' into an index-sized integer")
            } else {
                error
            }
        })?;
        let key = self.cache.get().store.with(py, |store| {
            let list = drawable(store);
            let at = if index < 0 {
                index.checked_add_unsigned(list.len())?
            } else {
                index
            };
            let slot = *list.get(usize::try_from(at).ok()?)?;
            Some(store.key(slot).incref())
        });
        match key {
            // SAFETY: the reference was taken in the region.
            Some(key) => Ok(unsafe { key.into_bound(py) }),
            None => Err(PyIndexError::new_err(format!(
                "key index {index} out of range"
            ))),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.list(py)?.try_iter()?.into_any())
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.list(py)?.contains(key)
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.list(py)?.call_method0("__reversed__")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.list(py)?.repr()?.to_str()?.to_owned())
    }

    /// The position of a key; `ValueError` if it is not there.
    fn index(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.list(py)?.index(key)
    }

    /// How often a key is there: 0 or 1.
    fn count(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<usize> {
        Ok(self.list(py)?.contains(key)?.into())
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.cache)
    }
}
