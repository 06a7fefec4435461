//! Python numbers as sizes and times.

use overdrive_core::size::{Size, Total};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::types::{PyFloat, PyInt};
use pyo3::{ffi, prelude::*};

/// A number that the core can compute with.
enum Number {
    Int(i64),
    /// An integer outside of 64 bits.
    Huge {
        negative: bool,
        value: f64,
    },
    Float(f64),
}

/// Reads an int or float, or whatever converts to one without loss of meaning (`__index__`,
/// `__float__`). Strings and complex numbers do not.
fn number(what: &str, object: &Bound<'_, PyAny>) -> PyResult<Number> {
    if let Ok(float) = object.cast::<PyFloat>() {
        return Ok(Number::Float(float.value()));
    }
    // SAFETY: only reads the type's slots.
    if unsafe { ffi::PyIndex_Check(object.as_ptr()) } == 1 {
        // SAFETY: returns a new reference or null with an error set.
        let int = unsafe {
            Bound::from_owned_ptr_or_err(object.py(), ffi::PyNumber_Index(object.as_ptr()))
        }?;
        return int_number(&int);
    }
    if object.is_instance_of::<pyo3::types::PyComplex>()
        || !object
            .get_type()
            .hasattr(pyo3::intern!(object.py(), "__float__"))?
    {
        return Err(PyTypeError::new_err(format!(
            "{what} must be a real number, got {} ({})",
            shown(object),
            object.get_type().name()?,
        )));
    }
    Ok(Number::Float(object.extract::<f64>()?))
}

fn int_number(int: &Bound<'_, PyAny>) -> PyResult<Number> {
    let mut overflow = 0;
    // SAFETY: `int` is an int; overflow is reported, not raised.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
    if overflow == 0 {
        return Ok(Number::Int(value));
    }
    let negative = overflow < 0;
    let infinity = if negative {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    };
    let value = int.extract::<f64>().or_else(|error| {
        if error.is_instance_of::<PyOverflowError>(int.py()) {
            Ok(infinity)
        } else {
            Err(error)
        }
    })?;
    Ok(Number::Huge { negative, value })
}

/// A value as an error message shows it: its `repr`, cut, and never another error.
pub fn shown(object: &Bound<'_, PyAny>) -> String {
    const MAX: usize = 80;
    let Ok(text) = object.repr().and_then(|repr| repr.extract::<String>()) else {
        return "a value without a usable repr".to_owned();
    };
    if text.chars().count() <= MAX {
        text
    } else {
        text.chars().take(MAX).chain("...".chars()).collect()
    }
}

/// Reads a limit, as the `maxsize` argument: a real number >= 0, possibly infinite.
pub fn limit(what: &str, limit: &Bound<'_, PyAny>) -> PyResult<Total> {
    let total = match number(what, limit)? {
        Number::Int(value) => Total::Int(value.into()),
        Number::Huge {
            negative: false,
            value,
        } => Total::Float(value),
        Number::Huge { negative: true, .. } => Total::Int(-1),
        Number::Float(value) if value.is_nan() => {
            return Err(PyValueError::new_err(format!(
                "{what} must be a number >= 0, got nan"
            )));
        }
        Number::Float(value) => Total::Float(value),
    };
    if total.is_negative() {
        return Err(PyValueError::new_err(format!(
            "{what} must be non-negative, got {}",
            shown(limit)
        )));
    }
    Ok(total)
}

/// Reads what `getsizeof` returned. Negative sizes are left for the store to refuse, after it has
/// refused those that are too large.
pub fn size(object: &Bound<'_, PyAny>) -> PyResult<Size> {
    match number("value size", object)? {
        Number::Int(value) => Ok(Size::Int(value)),
        Number::Huge { value, .. } => Ok(Size::Float(value)),
        Number::Float(value) if value.is_nan() => Err(PyValueError::new_err(
            "value size must be a number >= 0, got nan",
        )),
        Number::Float(value) => Ok(Size::Float(value)),
    }
}

/// A total as a Python number.
pub fn total<'py>(py: Python<'py>, total: Total) -> PyResult<Bound<'py, PyAny>> {
    Ok(match total {
        Total::Int(value) => value.into_pyobject(py)?.into_any(),
        Total::Float(value) => PyFloat::new(py, value).into_any(),
    })
}

/// Integers up to this size are floats without loss, and so are sums of two of them.
const EXACT: i64 = 1 << 52;

/// A time or duration as a float, if it is exactly an int or a float and loses nothing. NaN stays
/// with Python, which defines how it compares.
pub fn time(object: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        let value = float.value();
        (!value.is_nan()).then_some(value)
    } else if object.cast_exact::<PyInt>().is_ok() {
        let mut overflow = 0;
        // SAFETY: an exact int; overflow is reported, not raised.
        let value =
            unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
        (overflow == 0 && (-EXACT..=EXACT).contains(&value)).then_some(value as f64)
    } else {
        None
    }
}
