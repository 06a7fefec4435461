//! `Decimal` and `UUID`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::calendar::type_name;
use super::decode::{Decoded, Decoder, Failure, refused};
use super::encode::{Encoder, Refusal};
use super::tag;
use crate::import::Imported;

static DECIMAL: Imported = Imported::new("decimal", "Decimal");
static UUID: Imported = Imported::new("uuid", "UUID");

/// Appends the value if it is one of this module's, and says so.
pub fn encode(encoder: &mut Encoder, value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
    match type_name(value).rsplit(|byte| *byte == b'.').next() {
        Some(b"Decimal") if value.get_type().is(&DECIMAL.get(value.py())?) => {
            let text = value.str()?;
            encoder.prefixed(tag::DECIMAL, text.to_str()?.as_bytes());
        }
        Some(b"UUID") if value.get_type().is(&UUID.get(value.py())?) => {
            let bytes = value.getattr("bytes")?;
            encoder.out.push(tag::UUID);
            let bytes = bytes.cast::<PyBytes>().map_err(PyErr::from)?;
            encoder.out.extend_from_slice(bytes.as_bytes());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads what [`encode`] wrote after this tag.
pub fn decode<'py>(decoder: &mut Decoder<'_, 'py>, tag: u8) -> Decoded<Bound<'py, PyAny>> {
    const NONE: &str = "a decimal number is none";
    let py = decoder.py;
    if tag == tag::UUID {
        let bytes: [u8; 16] = decoder.bytes.array()?;
        let arguments = PyDict::new(py);
        arguments.set_item("bytes", PyBytes::new(py, &bytes))?;
        return Ok(UUID.get(py)?.call((), Some(&arguments))?);
    }
    let text = std::str::from_utf8(decoder.bytes.prefixed()?);
    let text = text.map_err(|_| Failure::Malformed(NONE))?;
    // Malformed text is an `ArithmeticError`, or, if the user's context does not trap it, NaN.
    let decimal = DECIMAL
        .get(py)?
        .call1((PyString::new(py, text),))
        .map_err(|error| {
            if error.is_instance_of::<pyo3::exceptions::PyArithmeticError>(py) {
                Failure::Malformed(NONE)
            } else {
                refused(py, error, NONE)
            }
        })?;
    let again = decimal.str()?;
    if again.to_str()?.eq_ignore_ascii_case(text) {
        Ok(decimal)
    } else {
        Err(Failure::Malformed(NONE))
    }
}
