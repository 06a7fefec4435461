//! Durations, tags and limits as users give them.

use overdrive_core::size::{Size, Total};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::number::{self, shown};

/// A duration in seconds: a number, or a `timedelta`. Not NaN; may be infinite, zero or negative.
pub fn seconds(what: &str, object: &Bound<'_, PyAny>) -> PyResult<f64> {
    let number = match number::time(object) {
        Some(seconds) => seconds,
        None => {
            let total = object.getattr_opt(pyo3::intern!(object.py(), "total_seconds"))?;
            let number = match total {
                Some(total) => total.call0()?,
                None => object.clone(),
            };
            number.extract::<f64>().map_err(|_| {
                PyTypeError::new_err(format!(
                    "{what} must be a number of seconds or a timedelta, got {}",
                    shown(object)
                ))
            })?
        }
    };
    if number.is_nan() {
        return Err(PyValueError::new_err(format!(
            "{what} must be a number, got nan"
        )));
    }
    Ok(number)
}

/// The tags of an item: one `str`, or an iterable of them.
pub fn tags(object: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    if let Ok(tag) = object.cast::<PyString>() {
        return Ok(vec![tag.to_str()?.into()]);
    }
    let mut tags = Vec::new();
    for tag in object.try_iter()? {
        let tag = tag?;
        let Ok(tag) = tag.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!(
                "a tag must be a str, got {}",
                shown(&tag)
            )));
        };
        tags.push(tag.to_str()?.into());
    }
    Ok(tags)
}

/// A limit of items, weights or bytes: `None` for no limit.
pub fn limit(what: &str, object: &Bound<'_, PyAny>) -> PyResult<Total> {
    if object.is_none() {
        Ok(Total::Float(f64::INFINITY))
    } else {
        number::limit(what, object)
    }
}

/// What a weigher returned.
pub fn weight(object: &Bound<'_, PyAny>) -> PyResult<Size> {
    let weight = number::size(object)?;
    if Total::from(weight).is_negative() {
        return Err(PyValueError::new_err(format!(
            "the weight of an item must be a number >= 0, got {}",
            shown(object)
        )));
    }
    Ok(weight)
}
