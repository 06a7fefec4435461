//! `keys()`, `values()` and `items()`: views of `collections.abc`, iterated natively where no
//! overridden method has to be seen.

use pyo3::prelude::*;

use crate::cache::Cache;
use crate::hooks::Hooks;
use crate::import::Imported;

/// A view class: ours, and the one for classes that override reading.
struct View {
    native: Imported,
    generic: Imported,
}

static KEYS: View = View::named("KeysView");
static VALUES: View = View::named("ValuesView");
static ITEMS: View = View::named("ItemsView");

impl View {
    const fn named(name: &'static str) -> Self {
        Self {
            native: Imported::new("overdrive._views", name),
            generic: Imported::new("collections.abc", name),
        }
    }

    fn of<'py>(&self, slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
        let seen = Hooks::GETITEM.and(Hooks::ITER).and(Hooks::MISSING);
        let class = if Cache::ready(slf)?.any(seen) {
            &self.generic
        } else {
            &self.native
        };
        class.get(slf.py())?.call1((slf,))
    }
}

pub fn keys<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
    KEYS.of(slf)
}

pub fn values<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
    VALUES.of(slf)
}

pub fn items<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyAny>> {
    ITEMS.of(slf)
}
