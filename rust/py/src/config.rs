//! What a cache was constructed with.

use pyo3::prelude::*;

use crate::obj::{Gone, Obj};
use crate::timer::Timer;

/// Constructor arguments, each with a reference of its own. All are absent until `__init__` ran.
#[derive(Default)]
pub struct Config {
    /// As given; the `maxsize` property returns it.
    pub maxsize: Option<Obj>,
    /// The `Timer` of a timed cache. One for `time.monotonic` is made when it is first needed.
    pub timer: Option<Obj>,
    /// The time-to-live of a `TTLCache`.
    pub ttl: Option<Obj>,
    /// The same as a number of seconds, if it is one.
    pub ttl_number: Option<f64>,
    /// The time-to-use function of a `TLRUCache`.
    pub ttu: Option<Obj>,
    /// The choice function of an `RRCache`, unless it is the default.
    pub choice: Option<Obj>,
    /// `getrandbits` of the generator whose `choice` method is the choice function.
    pub getrandbits: Option<Obj>,
}

impl Config {
    fn fields(&self) -> [&Option<Obj>; 6] {
        [
            &self.maxsize,
            &self.timer,
            &self.ttl,
            &self.ttu,
            &self.choice,
            &self.getrandbits,
        ]
    }

    /// Whether a timed cache tells the time without running Python code.
    #[inline]
    pub fn is_native(&self, py: Python<'_>) -> bool {
        let Some(timer) = &self.timer else {
            return cfg!(target_os = "linux");
        };
        // SAFETY: only `Timer`s are put there, and `self` keeps the object alive.
        unsafe { timer.as_py().bind_borrowed(py).cast_unchecked::<Timer>() }
            .get()
            .is_native()
    }

    /// Every reference held.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        self.fields().into_iter().flatten()
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let mut gone = Gone::default();
        self.references().for_each(|&object| gone.push(object));
    }
}
