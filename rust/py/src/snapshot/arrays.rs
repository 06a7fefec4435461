//! Arrays and scalars of numpy. It is imported only where there is a value of its own, or one to read.

use overdrive_core::snapshot::wire::put_varint;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::calendar::type_name;
use super::decode::{Decoded, Decoder, Failure, refused};
use super::encode::{Encoder, Refusal};
use super::tag;
use crate::import::Imported;

static NDARRAY: Imported = Imported::new("numpy", "ndarray");
static GENERIC: Imported = Imported::new("numpy", "generic");
static STR: Imported = Imported::new("numpy", "str_");
static BYTES: Imported = Imported::new("numpy", "bytes_");
static DTYPE: Imported = Imported::new("numpy", "dtype");
static CONTIGUOUS: Imported = Imported::new("numpy", "ascontiguousarray");
static EMPTY: Imported = Imported::new("numpy", "empty");
static UINT8: Imported = Imported::new("numpy", "uint8");

/// `dtype.kind` of what is nothing but bytes: booleans, numbers, times, strings of a fixed length.
/// Anything else, read from a file, could be taken for addresses.
const PLAIN_KINDS: &[u8] = b"biufcmMSU";

const MAX_DIMENSIONS: usize = 64;
const NO_ARRAY: &str = "an array is none";

/// Appends the value if it is one of numpy's, and says so.
pub fn encode(encoder: &mut Encoder, value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
    if !type_name(value).starts_with(b"numpy.") {
        return Ok(false);
    }
    let py = value.py();
    let class = value.get_type();
    if class.is(&NDARRAY.get(py)?) {
        array(encoder, value)?;
    } else if class.is(&STR.get(py)?) {
        // As an array's item, and also as its own `str`, it would lose NULs at its end.
        encoder.out.push(tag::NUMPY_STR);
        encoder.text(value.cast::<PyString>().map_err(PyErr::from)?)?;
    } else if class.is(&BYTES.get(py)?) {
        let bytes = value.cast::<pyo3::types::PyBytes>().map_err(PyErr::from)?;
        encoder.prefixed(tag::NUMPY_BYTES, bytes.as_bytes());
    } else if value.is_instance(&GENERIC.get(py)?)? {
        let (dtype, _) = plain_dtype(value)?;
        if !DTYPE.get(py)?.call1((&dtype,))?.getattr("type")?.is(&class) {
            return Ok(false);
        }
        encoder.prefixed(tag::SCALAR, dtype.to_str()?.as_bytes());
        let bytes = value.call_method0("tobytes")?;
        let bytes = bytes.cast::<pyo3::types::PyBytes>().map_err(PyErr::from)?;
        put_varint(&mut encoder.out, bytes.as_bytes().len() as u64);
        encoder.out.extend_from_slice(bytes.as_bytes());
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The name of the value's dtype and the size of its items, if those are plain bytes.
fn plain_dtype<'py>(value: &Bound<'py, PyAny>) -> Result<(Bound<'py, PyString>, usize), Refusal> {
    let dtype = value.getattr("dtype")?;
    let refuse = || {
        let class = value.get_type();
        let name = class
            .name()
            .map_or_else(|_| "value".to_owned(), |name| name.to_string());
        Refusal::named(format!("numpy.{name} of {dtype}"))
    };
    let kind: String = dtype.getattr("kind")?.extract()?;
    let size: usize = dtype.getattr("itemsize")?.extract()?;
    let [kind] = *kind.as_bytes() else {
        return Err(refuse());
    };
    if !PLAIN_KINDS.contains(&kind) || size == 0 {
        return Err(refuse());
    }
    let name = dtype
        .getattr("str")?
        .cast_into::<PyString>()
        .map_err(PyErr::from)?;
    // A dtype of somebody else's has the name of one of numpy's, but is not it.
    if !DTYPE.get(value.py())?.call1((&name,))?.eq(&dtype)? {
        return Err(refuse());
    }
    Ok((name, size))
}

fn array(encoder: &mut Encoder, value: &Bound<'_, PyAny>) -> Result<(), Refusal> {
    let (dtype, size) = plain_dtype(value)?;
    let flags = value.getattr("flags")?;
    let by_columns = flags.getattr("f_contiguous")?.is_truthy()?
        && !flags.getattr("c_contiguous")?.is_truthy()?;
    let shape: Vec<usize> = value.getattr("shape")?.extract()?;
    encoder.prefixed(tag::ARRAY, dtype.to_str()?.as_bytes());
    encoder.out.push(by_columns.into());
    put_varint(&mut encoder.out, shape.len() as u64);
    for dimension in &shape {
        put_varint(&mut encoder.out, *dimension as u64);
    }
    let rows = if by_columns {
        value.getattr("T")?
    } else {
        value.clone()
    };
    let length = shape.iter().product::<usize>() * size;
    put_varint(&mut encoder.out, length as u64);
    if length > 0 {
        let start = encoder.out.len();
        encoder.out.resize(start + length, 0);
        bytes_of(&rows)?.copy_to_slice(value.py(), &mut encoder.out[start..])?;
    }
    Ok(())
}

/// The items of an array as bytes: its own memory, if that is in one piece.
fn bytes_of(array: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let py = array.py();
    let packed = CONTIGUOUS.get(py)?.call1((array,))?;
    let flat = packed.call_method1("reshape", (-1,))?;
    PyBuffer::get(&flat.call_method1("view", (UINT8.get(py)?,))?)
}

/// Reads what [`encode`] wrote after this tag.
pub fn decode<'py>(decoder: &mut Decoder<'_, 'py>, tag: u8) -> Decoded<Bound<'py, PyAny>> {
    let py = decoder.py;
    match tag {
        tag::NUMPY_STR => {
            let text = decoder.value()?;
            Ok(STR.get(py)?.call1((text,))?)
        }
        tag::NUMPY_BYTES => {
            let bytes = pyo3::types::PyBytes::new(py, decoder.bytes.prefixed()?);
            Ok(BYTES.get(py)?.call1((bytes,))?)
        }
        tag::SCALAR => {
            let (dtype, size) = read_dtype(decoder)?;
            let data = decoder.bytes.prefixed()?;
            if data.len() != size {
                return Err(Failure::Malformed(NO_ARRAY));
            }
            let array = filled(py, &[1], &dtype, data)?;
            Ok(array.get_item(0)?)
        }
        _ => {
            let (dtype, size) = read_dtype(decoder)?;
            let by_columns = decoder.bytes.byte()?;
            let dimensions = decoder.bytes.count(1)?;
            if by_columns > 1 || dimensions > MAX_DIMENSIONS {
                return Err(Failure::Malformed(NO_ARRAY));
            }
            let mut shape = Vec::with_capacity(dimensions);
            for _ in 0..dimensions {
                let dimension = usize::try_from(decoder.bytes.varint()?);
                shape.push(dimension.map_err(|_| Failure::Malformed(NO_ARRAY))?);
            }
            let data = decoder.bytes.prefixed()?;
            let length = shape
                .iter()
                .try_fold(size, |product, dimension| product.checked_mul(*dimension));
            if length != Some(data.len()) {
                return Err(Failure::Malformed(NO_ARRAY));
            }
            if by_columns == 1 {
                shape.reverse();
                Ok(filled(py, &shape, &dtype, data)?.getattr("T")?)
            } else {
                filled(py, &shape, &dtype, data)
            }
        }
    }
}

/// A dtype and the size of its items.
fn read_dtype<'py>(decoder: &mut Decoder<'_, 'py>) -> Decoded<(Bound<'py, PyAny>, usize)> {
    let none = || Failure::Malformed("a dtype is none");
    let name = decoder.bytes.prefixed()?;
    let [order, kind, rest @ ..] = name else {
        return Err(none());
    };
    let harmless = b"<>|=".contains(order)
        && PLAIN_KINDS.contains(kind)
        && rest.len() < 32
        && rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"[]".contains(byte));
    if !harmless {
        return Err(none());
    }
    let py = decoder.py;
    let name = std::str::from_utf8(name).map_err(|_| none())?;
    let dtype = DTYPE
        .get(py)?
        .call1((name,))
        .map_err(|error| refused(py, error, "a dtype is none"))?;
    let found: String = dtype.getattr("kind")?.extract()?;
    let size: usize = dtype.getattr("itemsize")?.extract()?;
    if found.as_bytes() != [*kind] || size == 0 {
        return Err(none());
    }
    Ok((dtype, size))
}

/// A new array with these bytes, of which the caller knows that they fit.
fn filled<'py>(
    py: Python<'py>,
    shape: &[usize],
    dtype: &Bound<'py, PyAny>,
    data: &[u8],
) -> Decoded<Bound<'py, PyAny>> {
    let array = EMPTY
        .get(py)?
        .call1((PyTuple::new(py, shape)?, dtype))
        .map_err(|error| refused(py, error, NO_ARRAY))?;
    if !data.is_empty() {
        bytes_of(&array)?.copy_from_slice(py, data)?;
    }
    Ok(array)
}
