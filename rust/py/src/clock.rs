//! `time.monotonic`, read without calling Python.

use pyo3::prelude::*;

/// `time.monotonic()` on any platform.
pub fn present(py: Python<'_>) -> PyResult<f64> {
    if cfg!(target_os = "linux") {
        return Ok(monotonic());
    }
    py.import("time")?.call_method0("monotonic")?.extract()
}

/// Seconds, exactly as `time.monotonic()` gives them.
#[cfg(target_os = "linux")]
pub fn monotonic() -> f64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Whether `time.monotonic()` is before `deadline`, in seconds.
///
/// The coarse clock costs a quarter of the precise one and lags behind it by up to a timer tick
/// (1-10 ms). A deadline further away than [`LAG`] is therefore still ahead; one that the coarse
/// clock has passed has passed; only in between is the precise clock needed. `LAG` is many ticks,
/// for virtual machines that deliver them late.
#[cfg(target_os = "linux")]
#[inline]
pub fn is_before(deadline: f64) -> bool {
    const LAG: f64 = 0.25;
    let coarse = read(libc::CLOCK_MONOTONIC_COARSE);
    coarse + LAG < deadline || (coarse < deadline && monotonic() < deadline)
}

/// Seconds as [`monotonic`] gives them, late by up to a timer tick.
#[cfg(target_os = "linux")]
#[inline]
pub fn coarse() -> f64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

#[cfg(target_os = "linux")]
#[inline]
fn read(clock: libc::clockid_t) -> f64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writing; both clocks exist on every Linux that Rust supports, so
    // the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    // The conversion of CPython's `_PyTime_AsSecondsDouble`, so that results compare equal.
    let nanoseconds = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    if now.tv_nsec == 0 {
        now.tv_sec as f64
    } else {
        nanoseconds as f64 / 1e9
    }
}

/// Elsewhere no timer is native (see `Timer::is_native`) and these are never called.
#[cfg(not(target_os = "linux"))]
pub fn monotonic() -> f64 {
    unreachable!("only Linux reads the clock natively")
}

/// As [`monotonic`].
#[cfg(not(target_os = "linux"))]
pub fn coarse() -> f64 {
    unreachable!("only Linux reads the clock natively")
}

/// As [`monotonic`].
#[cfg(not(target_os = "linux"))]
pub fn is_before(_deadline: f64) -> bool {
    unreachable!("only Linux reads the clock natively")
}
