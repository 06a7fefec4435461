//! Counts of one memoized function.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One count. With the GIL its holder is the only writer, so that adding needs no locked instruction.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline(always)]
    pub fn add(&self, more: u64) {
        if cfg!(Py_GIL_DISABLED) {
            self.0.fetch_add(more, Ordering::Relaxed);
        } else {
            self.0.store(
                self.0.load(Ordering::Relaxed).wrapping_add(more),
                Ordering::Relaxed,
            );
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What is counted.
#[derive(Default)]
pub struct Counters {
    /// Calls answered without running the function.
    pub hits: Counter,
    /// Calls that ran the function.
    pub misses: Counter,
    /// Runs that returned.
    pub loads: Counter,
    /// Runs that raised.
    pub errors: Counter,
    load_ns: Counter,
    /// Of one load more than this one is timed; one less than a power of two.
    untimed: Counter,
}

/// Loads shorter than this are timed now and then only: reading the clock twice would be much of
/// their cost.
const SHORT: Duration = Duration::from_micros(1);
const UNTIMED: u64 = 63;

impl Counters {
    /// The start of a load, if it is one to be timed.
    #[inline]
    pub fn start(&self) -> Option<Instant> {
        (self.loads.get() & self.untimed.get() == 0).then(Instant::now)
    }

    /// The end of a load.
    #[inline]
    pub fn finish(&self, started: Option<Instant>) {
        self.loads.add(1);
        if let Some(started) = started {
            self.note_load(started);
        }
    }

    #[cold]
    fn note_load(&self, started: Instant) {
        let taken = started.elapsed();
        let stands_for = self.untimed.get() + 1;
        self.load_ns.add(taken.as_nanos() as u64 * stands_for);
        let untimed = if taken < SHORT { UNTIMED } else { 0 };
        self.untimed.0.store(untimed, Ordering::Relaxed);
    }

    /// A load of known length.
    pub fn add_load(&self, seconds: f64) {
        self.loads.add(1);
        self.load_ns.add((seconds.max(0.0) * 1e9) as u64);
    }

    /// Seconds spent in loads; an estimate where they are short.
    pub fn load_seconds(&self) -> f64 {
        self.load_ns.get() as f64 / 1e9
    }

    /// Counts from zero.
    pub fn reset(&self) {
        for counter in [
            &self.hits,
            &self.misses,
            &self.loads,
            &self.errors,
            &self.load_ns,
        ] {
            counter.reset();
        }
    }
}
