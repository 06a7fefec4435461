//! The lock of a cache, and the law that makes it safe.
//!
//! **Inside a critical region no Python code runs, no Python object is allocated or dropped, the
//! thread is not detached, and nothing panics.** Then nobody can re-enter, no garbage collection can
//! start, `fork` cannot happen in the middle, and a stop-the-world pause cannot catch a thread
//! inside.
//!
//! With the GIL, holding the GIL is the lock; all that is left is a flag that turns a violation of
//! the law into a panic instead of aliased memory. Without the GIL it is a one-byte spin lock that
//! is taken and released only while attached: regions last tens of nanoseconds, so waiters spin and
//! then yield, and never own the lock while detached (or a forked child could inherit it locked).
//!
//! Lock order: an iterator's, then its cache's. No other region enters another one.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

use pyo3::Python;

/// A value that is reached only through critical regions.
pub struct Guarded<T> {
    flag: flag::Flag,
    value: UnsafeCell<T>,
}

// SAFETY: access to the value goes through `with`, which is exclusive, or through `frozen_world`,
// whose contract excludes regions.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    /// Guards a value.
    pub const fn new(value: T) -> Self {
        Self {
            flag: flag::Flag::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `region` with exclusive access. See the module's law for what `region` may do.
    #[inline(always)]
    pub fn with<R>(&self, py: Python<'_>, region: impl FnOnce(&mut T) -> R) -> R {
        region(&mut self.enter(py))
    }

    /// Enters a region that lasts until the result is dropped: [`with`](Self::with) for code that has
    /// to be inlined whole.
    #[inline(always)]
    pub fn enter(&self, py: Python<'_>) -> Region<'_, T> {
        self.flag.acquire(py);
        Region {
            _release: flag::Release(&self.flag),
            value: self.value.get(),
        }
    }

    /// The value as a garbage collection sees it.
    ///
    /// # Safety
    /// Only from `tp_traverse`: all other threads are stopped outside of regions then, and this one
    /// cannot be in a region, because no collection starts there.
    pub unsafe fn frozen_world(&self) -> &T {
        // SAFETY: by contract.
        unsafe { &*self.value.get() }
    }

    /// The value, when nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// Exclusive access to a guarded value.
pub struct Region<'a, T> {
    _release: flag::Release<'a>,
    value: *mut T,
}

impl<T> Deref for Region<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the flag makes the access exclusive until `_release` is dropped.
        unsafe { &*self.value }
    }
}

impl<T> DerefMut for Region<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.value }
    }
}

#[cfg(not(Py_GIL_DISABLED))]
mod flag {
    use std::cell::Cell;

    use pyo3::Python;

    pub struct Flag(Cell<bool>);

    impl Flag {
        pub const fn new() -> Self {
            Self(Cell::new(false))
        }

        #[inline]
        pub fn acquire(&self, _py: Python<'_>) {
            assert!(!self.0.replace(true), "a critical region was entered twice");
        }
    }

    pub struct Release<'a>(pub &'a Flag);

    impl Drop for Release<'_> {
        #[inline]
        fn drop(&mut self) {
            self.0.0.set(false);
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod flag {
    use std::sync::atomic::{AtomicBool, Ordering};

    use pyo3::Python;

    const SPINS: u32 = 100;

    pub struct Flag(AtomicBool);

    impl Flag {
        pub const fn new() -> Self {
            Self(AtomicBool::new(false))
        }

        #[inline]
        pub fn acquire(&self, _py: Python<'_>) {
            if self
                .0
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                self.acquire_contended();
            }
        }

        #[cold]
        fn acquire_contended(&self) {
            let mut spins = 0_u32;
            while self.0.swap(true, Ordering::Acquire) {
                while self.0.load(Ordering::Relaxed) {
                    spins = spins.wrapping_add(1);
                    // Attached throughout: whoever holds the lock waits for nothing, so it leaves
                    // its region even while others are being stopped for a collection.
                    if spins % SPINS == 0 {
                        std::thread::yield_now();
                    } else {
                        std::hint::spin_loop();
                    }
                }
            }
        }
    }

    pub struct Release<'a>(pub &'a Flag);

    impl Drop for Release<'_> {
        #[inline]
        fn drop(&mut self) {
            self.0.0.store(false, Ordering::Release);
        }
    }
}
