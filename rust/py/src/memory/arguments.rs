//! Durations, tags and limits as users give them.

use overdrive_core::size::{Size, Total};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
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
            float(&number, object, || {
                format!("{what} must be a number of seconds or a timedelta")
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

/// A number as a float; `object` is what the user gave. Exceptions of its own methods are passed on.
fn float(
    number: &Bound<'_, PyAny>,
    object: &Bound<'_, PyAny>,
    demand: impl Fn() -> String,
) -> PyResult<f64> {
    let py = number.py();
    number.extract::<f64>().map_err(|error| {
        if error.is_instance_of::<PyTypeError>(py) {
            PyTypeError::new_err(format!("{}, got {}", demand(), shown(object)))
        } else if error.is_instance_of::<PyOverflowError>(py) {
            PyValueError::new_err(format!(
                "{}, at most 1e308, got {}",
                demand(),
                shown(object)
            ))
        } else {
            error
        }
    })
}

/// What a clock shows: finite, or deadlines could not be told from each other.
pub fn time(object: &Bound<'_, PyAny>) -> PyResult<f64> {
    let time = float(object, object, || {
        "clock must return a number of seconds".to_owned()
    })?;
    if time.is_finite() {
        Ok(time)
    } else {
        Err(PyValueError::new_err(format!(
            "clock must return a finite number of seconds, got {time}"
        )))
    }
}

/// The tags of an item: one `str`, or an iterable of them.
pub fn tags(object: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    if let Ok(tag) = object.cast::<PyString>() {
        return Ok(vec![tag.to_str()?.into()]);
    }
    if object
        .getattr_opt(pyo3::intern!(object.py(), "__iter__"))?
        .is_none()
    {
        return Err(PyTypeError::new_err(format!(
            "tags must be a str or an iterable of them, got {}",
            shown(object)
        )));
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

/// How many items are asked for; `None` for all.
pub fn count(object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    let Some(object) = object.filter(|object| !object.is_none()) else {
        return Ok(None);
    };
    let count = match object.extract::<i64>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
            if object.gt(0)? {
                i64::MAX
            } else {
                -1
            }
        }
        count => count?,
    };
    usize::try_from(count).map(Some).map_err(|_| {
        PyValueError::new_err(format!("count must be at least 0, got {}", shown(object)))
    })
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
