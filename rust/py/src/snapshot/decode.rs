//! Bytes as values.

use overdrive_core::snapshot::wire::{Bytes, Malformed, unzigzag};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyRange, PyTuple};
use pyo3::{ffi, prelude::*};

use super::{MAX_DEPTH, arrays, calendar, identity, tag};

/// Why there is no value.
pub enum Failure {
    /// The bytes are not those of a value; this is what is wrong.
    Malformed(&'static str),
    Raised(PyErr),
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Failure::Malformed("the value ends early, or a number in it is malformed")
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Failure::Raised(error)
    }
}

pub type Decoded<T> = Result<T, Failure>;

/// A constructor of the standard library refused its arguments: they cannot be what was written.
/// Other exceptions, as for want of memory, say nothing about the file.
pub fn refused(py: Python<'_>, error: PyErr, what: &'static str) -> Failure {
    let about_the_value = error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyOverflowError>(py);
    if about_the_value {
        Failure::Malformed(what)
    } else {
        Failure::Raised(error)
    }
}

/// Reads values from the front of some bytes.
pub struct Decoder<'a, 'py> {
    pub py: Python<'py>,
    pub bytes: Bytes<'a>,
    /// Reads what the writer's codec wrote.
    pub loads: Option<&'a Bound<'py, PyAny>>,
    pub depth: usize,
}

impl<'py> Decoder<'_, 'py> {
    /// The next value.
    pub fn value(&mut self) -> Decoded<Bound<'py, PyAny>> {
        let py = self.py;
        match self.bytes.byte()? {
            tag::STR_1 => {
                let characters = self.bytes.prefixed()?;
                self.text(
                    ffi::PyUnicode_1BYTE_KIND,
                    characters.as_ptr(),
                    characters.len(),
                )
            }
            tag::BYTES => {
                let bytes = self.bytes.prefixed()?;
                // SAFETY: as many bytes as there are.
                let object = unsafe {
                    ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize)
                };
                self.new_object(object)
            }
            tag::INT => {
                let value = unzigzag(self.bytes.varint()?);
                // SAFETY: attached.
                self.new_object(unsafe { ffi::PyLong_FromLongLong(value) })
            }
            tag::NONE => Ok(py.None().into_bound(py)),
            tag::FALSE => Ok(PyBool::new(py, false).to_owned().into_any()),
            tag::TRUE => Ok(PyBool::new(py, true).to_owned().into_any()),
            tag::FLOAT => Ok(PyFloat::new(py, self.bytes.float()?).into_any()),
            tag @ (tag::TUPLE | tag::LIST | tag::DICT | tag::SET | tag::FROZENSET) => {
                self.nested(|decoder| decoder.container(tag))
            }
            tag => self.nested(|decoder| decoder.rarer(tag)),
        }
    }

    /// Goes one level down.
    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Decoded<Bound<'py, PyAny>>,
    ) -> Decoded<Bound<'py, PyAny>> {
        // One more than is written, for what is below the innermost container: a date's time zone.
        if self.depth > MAX_DEPTH {
            return Err(Failure::Malformed(
                "values nest deeper than is ever written",
            ));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn rarer(&mut self, tag: u8) -> Decoded<Bound<'py, PyAny>> {
        let py = self.py;
        match tag {
            tag::ELLIPSIS => Ok(py.Ellipsis().into_bound(py)),
            tag::BIG_INT => {
                let bytes = PyBytes::new(py, self.bytes.prefixed()?);
                let signed = PyDict::new(py);
                signed.set_item("signed", true)?;
                let class = py.get_type::<PyInt>();
                Ok(class.call_method("from_bytes", (bytes, "little"), Some(&signed))?)
            }
            tag::COMPLEX => {
                let parts = ffi::Py_complex {
                    real: self.bytes.float()?,
                    imag: self.bytes.float()?,
                };
                // SAFETY: attached.
                self.new_object(unsafe { ffi::PyComplex_FromCComplex(parts) })
            }
            tag::STR_2 => {
                let count = self.bytes.count(2)?;
                let units: Vec<u16> = self
                    .bytes
                    .take(2 * count)?
                    .chunks_exact(2)
                    .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                    .collect();
                self.text(ffi::PyUnicode_2BYTE_KIND, units.as_ptr().cast(), count)
            }
            tag::STR_4 => {
                let count = self.bytes.count(4)?;
                let points: Vec<u32> = self
                    .bytes
                    .take(4 * count)?
                    .chunks_exact(4)
                    .map(|point| u32::from_le_bytes([point[0], point[1], point[2], point[3]]))
                    .collect();
                if points.iter().any(|point| *point > char::MAX.into()) {
                    return Err(Failure::Malformed("a character is none"));
                }
                self.text(ffi::PyUnicode_4BYTE_KIND, points.as_ptr().cast(), count)
            }
            tag::BYTEARRAY => Ok(PyByteArray::new(py, self.bytes.prefixed()?).into_any()),
            tag::RANGE => {
                let bounds = (self.value()?, self.value()?, self.value()?);
                py.get_type::<PyRange>()
                    .call1(bounds)
                    .map_err(|error| refused(py, error, "a range is none"))
            }
            tag::DATE
            | tag::TIME
            | tag::DATETIME
            | tag::TIMEDELTA
            | tag::TIMEZONE
            | tag::ZONEINFO => calendar::decode(self, tag),
            tag::DECIMAL | tag::UUID => identity::decode(self, tag),
            tag::ARRAY | tag::SCALAR | tag::NUMPY_STR | tag::NUMPY_BYTES => {
                arrays::decode(self, tag)
            }
            tag::CODED => {
                let bytes = self.bytes.prefixed()?;
                match self.loads {
                    Some(loads) => Ok(loads.call1((PyBytes::new(py, bytes),))?),
                    None => Err(Failure::Malformed(
                        "a value has a codec, and the header has none",
                    )),
                }
            }
            _ => Err(Failure::Malformed("a value is of no known type")),
        }
    }

    /// A new string of `count` characters.
    fn text(&self, kind: u32, characters: *const u8, count: usize) -> Decoded<Bound<'py, PyAny>> {
        // SAFETY: the caller has as many characters of this kind, aligned for it.
        self.new_object(unsafe {
            ffi::PyUnicode_FromKindAndData(kind as i32, characters.cast(), count as isize)
        })
    }

    /// What a constructor of CPython's made, or the exception that it set.
    fn new_object(&self, object: *mut ffi::PyObject) -> Decoded<Bound<'py, PyAny>> {
        // SAFETY: a new reference, or null with an exception set.
        Ok(unsafe { Bound::from_owned_ptr_or_err(self.py, object) }?)
    }

    /// That many values. Room is made for what has been read, not for what is announced: of nested
    /// containers, each could announce all the rest of the block.
    fn values(&mut self) -> Decoded<Vec<Bound<'py, PyAny>>> {
        const TRUSTED: usize = 64;
        let count = self.bytes.count(1)?;
        let mut values = Vec::with_capacity(count.min(TRUSTED));
        for _ in 0..count {
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn container(&mut self, tag: u8) -> Decoded<Bound<'py, PyAny>> {
        let py = self.py;
        match tag {
            tag::TUPLE => Ok(PyTuple::new(py, self.values()?)?.into_any()),
            tag::LIST => Ok(PyList::new(py, self.values()?)?.into_any()),
            tag::DICT => {
                let dict = PyDict::new(py);
                let count = self.bytes.count(2)?;
                for _ in 0..count {
                    let (key, value) = (self.value()?, self.value()?);
                    dict.set_item(key, value)
                        .map_err(|error| refused(py, error, "a key of a dict is not hashable"))?;
                }
                if dict.len() != count {
                    return Err(Failure::Malformed("a dict has a key twice"));
                }
                Ok(dict.into_any())
            }
            tag => {
                let members = self.values()?;
                let count = members.len();
                let members = PyTuple::new(py, members)?;
                // SAFETY: attached; iterates an exact tuple.
                let set = self.new_object(unsafe {
                    if tag == tag::SET {
                        ffi::PySet_New(members.as_ptr())
                    } else {
                        ffi::PyFrozenSet_New(members.as_ptr())
                    }
                });
                let set = set.map_err(|failure| match failure {
                    Failure::Raised(error) => {
                        refused(py, error, "a member of a set is not hashable")
                    }
                    other => other,
                })?;
                if set.len()? != count {
                    return Err(Failure::Malformed("a set has a member twice"));
                }
                Ok(set)
            }
        }
    }
}
