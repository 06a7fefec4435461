//! What items take of a limit in bytes.

use pyo3::prelude::*;

use crate::sizing;

/// What a cache itself spends on an item, besides the key and the value.
const OVERHEAD: i64 = 96;

/// About how many bytes an item takes.
pub fn of_item(key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    Ok(OVERHEAD + size(key)? + size(value)?)
}

fn size(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    Ok(i64::try_from(sizing::deep(object)?).unwrap_or(i64::MAX / 4))
}
