//! Values of built-in types as bytes, types and all, and which values other formats give back as they are.

use overdrive_core::snapshot::wire::Bytes;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyStringData};

use super::Immutable;
use crate::snapshot::MAX_DEPTH;
use crate::snapshot::decode::{Decoder, Failure};
use crate::snapshot::encode::{Encoder, Reason, Refusal};

/// A value as bytes, from which `_decode_value` makes one of the same type, down to its innermost items.
///
/// Raises: TypeError: for a type that the format does not have. ValueError: for a value that contains
/// itself, nests deeper than 100, or takes more than `limit` bytes.
#[pyfunction]
#[pyo3(name = "_encode_value", signature = (value, /, limit))]
pub fn encode_value<'py>(value: &Bound<'py, PyAny>, limit: usize) -> PyResult<Bound<'py, PyBytes>> {
    let mut encoder = Encoder::with_limit(limit);
    match encoder.value(value) {
        Ok(()) if encoder.out.len() <= limit => Ok(PyBytes::new(value.py(), &encoder.out)),
        Ok(()) => Err(too_large(limit)),
        Err(Refusal::Raised(error)) => Err(error),
        Err(Refusal::Value { reason, .. }) => Err(match reason {
            Reason::Type(name) => PyTypeError::new_err(name),
            Reason::Cycle => PyValueError::new_err("contains itself"),
            Reason::Depth => PyValueError::new_err(format!("nests deeper than {MAX_DEPTH}")),
            Reason::Size => too_large(limit),
        }),
    }
}

fn too_large(limit: usize) -> PyErr {
    PyValueError::new_err(format!("takes more than {limit} bytes"))
}

/// The value that `_encode_value` made these bytes of.
///
/// Raises: ValueError: if they are not those of a value.
#[pyfunction]
#[pyo3(name = "_decode_value", signature = (data, /))]
pub fn decode_value<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    let bytes = Immutable::of(data)?.into_bytes(py)?;
    let mut decoder = Decoder {
        py,
        bytes: Bytes::new(bytes.as_bytes()),
        loads: None,
        depth: 0,
    };
    match decoder.value() {
        Ok(value) if decoder.bytes.left() == 0 => Ok(value),
        Ok(_) => Err(PyValueError::new_err("there is more than a value")),
        Err(Failure::Malformed(what)) => Err(PyValueError::new_err(what)),
        Err(Failure::Raised(error)) => Err(error),
    }
}

/// Which formats give a value back as it is: 0 none, 1 MessagePack, 2 also JSON. That is so for None, bools,
/// ints of 64 bits, floats, strings that are UTF-8, lists, and dicts of them with strings for keys; in
/// MessagePack also for bytes. Of a value of more than `limit` items it is not looked for.
///
/// Cost: O(items); some 10 ns each.
#[pyfunction]
#[pyo3(name = "_plainness", signature = (value, /, limit))]
pub fn plainness(value: &Bound<'_, PyAny>, limit: usize) -> u8 {
    let mut walk = Walk {
        left: limit,
        json: true,
    };
    match (walk.is_plain(value, 0), walk.json) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    }
}

struct Walk {
    /// Items that may still be looked at.
    left: usize,
    json: bool,
}

impl Walk {
    fn is_plain(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> bool {
        if self.left == 0 || depth > MAX_DEPTH {
            return false;
        }
        self.left -= 1;
        if let Ok(text) = value.cast_exact::<PyString>() {
            is_utf8(text)
        } else if let Ok(int) = value.cast_exact::<PyInt>() {
            let mut overflow = 0;
            // SAFETY: an exact int; overflow is reported, not raised.
            unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
            overflow == 0
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.json &= float.value().is_finite();
            true
        } else if value.is_none() || value.cast_exact::<PyBool>().is_ok() {
            true
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            let items: Vec<_> = with_critical_section(dict, || dict.iter().collect());
            items.iter().all(|(key, value)| {
                key.cast_exact::<PyString>().is_ok_and(is_utf8) && self.is_plain(value, depth + 1)
            })
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            list.iter().all(|item| self.is_plain(&item, depth + 1))
        } else if value.cast_exact::<PyBytes>().is_ok() {
            self.json = false;
            true
        } else {
            false
        }
    }
}

/// Whether a string has no lone surrogates.
fn is_utf8(text: &Bound<'_, PyString>) -> bool {
    // SAFETY: strings do not change, and this one is alive.
    match unsafe { text.data() } {
        Ok(PyStringData::Ucs1(_)) => true,
        Ok(PyStringData::Ucs2(units)) => !units.iter().any(|unit| (0xD800..0xE000).contains(unit)),
        Ok(PyStringData::Ucs4(points)) => {
            !points.iter().any(|point| (0xD800..0xE000).contains(point))
        }
        Err(_) => false,
    }
}
