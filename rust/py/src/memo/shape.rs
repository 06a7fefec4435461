//! What kind of function was memoized, and how: decided when it is decorated.

use std::sync::atomic::{AtomicU32, Ordering};

/// A set of the properties below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(u32);

impl Shape {
    pub const NONE: Shape = Shape(0);
    /// Keys have cachetools' form; otherwise that of `functools.lru_cache`.
    pub const CACHETOOLS: Shape = Shape(1);
    /// The types of arguments are part of the key.
    pub const TYPED: Shape = Shape(1 << 1);
    /// The first argument, an instance, is not.
    pub const SKIP_FIRST: Shape = Shape(1 << 2);
    /// Results may be kept as `Entry`.
    pub const ENTRIES: Shape = Shape(1 << 3);
    /// Answers are awaitable.
    pub const ASYNC: Shape = Shape(1 << 4);
    /// One thread computes while others wait.
    pub const SINGLE_FLIGHT: Shape = Shape(1 << 5);
    /// Misses are computed and stored natively; otherwise Python code is told the key.
    pub const DIRECT: Shape = Shape(1 << 6);
    /// Misses are passed on to Python code just as they came.
    pub const FORWARD: Shape = Shape(1 << 7);
    /// A value that another call stored in the meantime stays.
    pub const KEEP: Shape = Shape(1 << 8);
    /// Each instance, the first argument, has a memo of its own.
    pub const METHOD: Shape = Shape(1 << 9);
    /// There is a key function, or a lock, or a function that gives the cache, or a clock.
    pub const CALLS_OUT: Shape = Shape(1 << 10);
    /// Keys are made before they are looked up, for this interpreter hashes tuples in its own way.
    pub const OWN_HASHES: Shape = Shape(1 << 11);

    /// The union of both.
    #[must_use]
    pub const fn and(self, other: Shape) -> Shape {
        Shape(self.0 | other.0)
    }

    /// This one with `other` if `condition` holds.
    #[must_use]
    pub const fn and_if(self, other: Shape, condition: bool) -> Shape {
        if condition { self.and(other) } else { self }
    }

    /// Whether any property of `other` is set.
    #[inline(always)]
    pub const fn any(self, other: Shape) -> bool {
        self.0 & other.0 != 0
    }
}

/// A shape that is replaced once in a while.
pub struct SharedShape(AtomicU32);

impl SharedShape {
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline(always)]
    pub fn get(&self) -> Shape {
        Shape(self.0.load(Ordering::Relaxed))
    }

    pub fn set(&self, shape: Shape) {
        self.0.store(shape.0, Ordering::Relaxed);
    }
}
