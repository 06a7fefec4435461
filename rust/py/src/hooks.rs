//! Which methods a subclass overrides.
//!
//! Users extend caches by overriding mapping methods and expect every internal call to go through
//! them. Those calls are made only where there is something to see; decided once, when a cache is
//! initialised.

use pyo3::prelude::*;
use pyo3::types::PyType;

/// A set of overridden methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks(u32);

macro_rules! hooks {
    ($($name:ident = $bit:literal, $method:literal;)*) => {
        impl Hooks {
            $(pub const $name: Hooks = Hooks(1 << $bit);)*
            const METHODS: &'static [(Hooks, &'static str)] = &[$((Hooks::$name, $method)),*];
        }
    };
}

hooks! {
    GETITEM = 0, "__getitem__";
    SETITEM = 1, "__setitem__";
    DELITEM = 2, "__delitem__";
    CONTAINS = 3, "__contains__";
    MISSING = 4, "__missing__";
    ITER = 5, "__iter__";
    POPITEM = 6, "popitem";
}

impl Hooks {
    pub const NONE: Hooks = Hooks(0);
    /// `expire`, which only timed caches have.
    pub const EXPIRE: Hooks = Hooks(1 << 7);
    /// `__init__` has not run: nothing may be assumed.
    pub const UNINITIALISED: Hooks = Hooks(1 << 8);
    /// Sizes come from `getsizeof`, overridden or given.
    pub const GETSIZEOF: Hooks = Hooks(1 << 9);

    /// The methods that `class` defines differently from the native class it derives from.
    pub fn of(class: &Bound<'_, PyType>, native: &Bound<'_, PyType>) -> PyResult<Hooks> {
        let mut hooks = Hooks::NONE;
        if class.is(native) {
            return Ok(hooks);
        }
        for &(hook, method) in Self::METHODS {
            if !class.getattr(method)?.is(&native.getattr(method)?) {
                hooks = hooks.and(hook);
            }
        }
        let expire = pyo3::intern!(class.py(), "expire");
        if let Some(own) = native.getattr_opt(expire)?
            && !class.getattr(expire)?.is(&own)
        {
            hooks = hooks.and(Hooks::EXPIRE);
        }
        Ok(hooks)
    }

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Hooks) -> Hooks {
        Hooks(self.0 | other.0)
    }

    /// Whether any of `other` is in the set.
    #[inline]
    pub const fn any(self, other: Hooks) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn bits(self) -> u32 {
        self.0
    }

    pub const fn from_bits(bits: u32) -> Hooks {
        Hooks(bits)
    }
}
