//! The hash of an int of one digit, read from where it lies.
//!
//! An `int` hashes to itself, but -1 to -2. CPython keeps it in digits of 30 bits behind a word that
//! has their number and the sign: as a signed count before 3.12, and as `number << 3 | 1 - sign` since.
//! That is internal to CPython, so `install` tries it out, and without success nothing is read.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

/// The start of an int object.
#[repr(C)]
struct Int {
    header: PyObject,
    word: usize,
    digit: u32,
}

static IS_AS_EXPECTED: AtomicBool = AtomicBool::new(false);

/// The hash of an exact `int`, if it has one digit at most.
///
/// # Safety
/// `int` is an exact int.
#[inline(always)]
pub unsafe fn hash(int: *mut PyObject) -> Option<u64> {
    // SAFETY: by contract; an int has room for a digit even if it is zero.
    IS_AS_EXPECTED
        .load(Ordering::Relaxed)
        .then(|| unsafe { read(int) })
        .flatten()
}

/// # Safety
/// As for [`hash`].
#[inline(always)]
unsafe fn read(int: *mut PyObject) -> Option<u64> {
    // SAFETY: by contract.
    let (word, digit) = unsafe {
        let int = int.cast::<Int>();
        ((*int).word, u64::from((*int).digit))
    };
    #[cfg(Py_3_12)]
    let (positive, negative) = {
        const ONE_DIGIT: usize = 1 << 3;
        (word == ONE_DIGIT, word == ONE_DIGIT | 2)
    };
    #[cfg(not(Py_3_12))]
    let (positive, negative) = (word == 1, word == usize::MAX);
    if positive {
        Some(digit)
    } else if negative && digit > 1 {
        Some(digit.wrapping_neg())
    } else {
        None // zero, -1, or more digits
    }
}

/// Finds out whether ints are as expected.
pub fn install(py: Python<'_>) -> PyResult<()> {
    const DIGIT: i64 = 1 << 30;
    let samples = [
        0,
        1,
        2,
        255,
        256,
        257,
        65_537,
        DIGIT - 1,
        DIGIT,
        DIGIT + 1,
        DIGIT << 2,
        1 << 61,
        i64::MAX,
    ];
    for sample in samples.into_iter().flat_map(|sample| [sample, -sample]) {
        let int = sample.into_pyobject(py)?;
        // SAFETY: an exact int.
        let read = unsafe { read(int.as_ptr()) };
        // SAFETY: as above.
        let expected = unsafe { ffi::PyObject_Hash(int.as_ptr()) } as u64;
        let covered = (1..DIGIT).contains(&sample.abs()) && sample != -1;
        if covered != read.is_some() || read.is_some_and(|hash| hash != expected) {
            return Ok(());
        }
    }
    IS_AS_EXPECTED.store(true, Ordering::Relaxed);
    Ok(())
}
