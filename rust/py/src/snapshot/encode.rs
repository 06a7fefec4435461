//! Values as bytes.

use overdrive_core::snapshot::wire::{put_varint, zigzag};
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyRange,
    PySet, PyString, PyStringData, PyTuple,
};
use pyo3::{ffi, prelude::*};

use super::{MAX_DEPTH, arrays, calendar, identity, tag};
use crate::number::shown;

/// Why a value is not written.
pub enum Refusal {
    /// What is wrong with it, and where it is: the innermost step first.
    Value {
        reason: Reason,
        path: Vec<String>,
    },
    Raised(PyErr),
}

/// What is wrong with a value.
pub enum Reason {
    /// It is of a type that the format does not have; this is how the type is shown.
    Type(String),
    /// It contains itself.
    Cycle,
    Depth,
    /// It takes more bytes than it may.
    Size,
}

impl Refusal {
    pub fn of_type(value: &Bound<'_, PyAny>) -> Self {
        Self::named(shown(&value.get_type()))
    }

    pub fn named(name: String) -> Self {
        Refusal::Value {
            reason: Reason::Type(name),
            path: Vec::new(),
        }
    }

    /// The same, seen from one step further out.
    pub fn inside(mut self, step: impl FnOnce() -> String) -> Self {
        if let Refusal::Value { path, .. } = &mut self {
            path.push(step());
        }
        self
    }
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Refusal::Raised(error)
    }
}

pub type Written = Result<(), Refusal>;

/// Collects bytes.
pub struct Encoder {
    pub out: Vec<u8>,
    /// With more bytes than this, no further value is begun: containers that are in each other many times
    /// can take any number of them.
    limit: usize,
    /// The containers that are being written, the outermost first.
    ancestors: Vec<*mut ffi::PyObject>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::with_limit(usize::MAX)
    }
}

impl Encoder {
    pub fn with_limit(limit: usize) -> Self {
        Self {
            out: Vec::new(),
            limit,
            ancestors: Vec::new(),
        }
    }

    /// Appends a value. After a refusal `out` has a part of it.
    pub fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if self.out.len() > self.limit {
            return Err(Refusal::Value {
                reason: Reason::Size,
                path: Vec::new(),
            });
        }
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.text(text)
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.prefixed(tag::BYTES, bytes.as_bytes());
            Ok(())
        } else if value.is_none() {
            self.tag(tag::NONE)
        } else if let Ok(int) = value.cast_exact::<PyInt>() {
            self.int(int)
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.out.push(tag::FLOAT);
            self.float(float.value());
            Ok(())
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            self.tag(if flag.is_true() {
                tag::TRUE
            } else {
                tag::FALSE
            })
        } else if value.cast_exact::<PyTuple>().is_ok()
            || value.cast_exact::<PyList>().is_ok()
            || value.cast_exact::<PyDict>().is_ok()
            || value.cast_exact::<PySet>().is_ok()
            || value.cast_exact::<PyFrozenSet>().is_ok()
        {
            self.container(value)
        } else {
            self.rarer(value)
        }
    }

    fn rarer(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(array) = value.cast_exact::<PyByteArray>() {
            // A copy: another thread may change it while it is read, without the GIL.
            self.prefixed(tag::BYTEARRAY, &array.to_vec());
            Ok(())
        } else if let Ok(complex) = value.cast_exact::<PyComplex>() {
            // SAFETY: attached, and an exact complex.
            let parts = unsafe { ffi::PyComplex_AsCComplex(complex.as_ptr()) };
            self.out.push(tag::COMPLEX);
            self.float(parts.real);
            self.float(parts.imag);
            Ok(())
        } else if value.is(value.py().Ellipsis()) {
            self.tag(tag::ELLIPSIS)
        } else if value.cast_exact::<PyRange>().is_ok() {
            self.out.push(tag::RANGE);
            for name in ["start", "stop", "step"] {
                self.value(&value.getattr(name)?)?;
            }
            Ok(())
        } else if calendar::encode(self, value)?
            || identity::encode(self, value)?
            || arrays::encode(self, value)?
        {
            Ok(())
        } else {
            Err(Refusal::of_type(value))
        }
    }

    /// Appends a tag alone.
    pub fn tag(&mut self, tag: u8) -> Written {
        self.out.push(tag);
        Ok(())
    }

    /// Appends a float, bit for bit.
    pub fn float(&mut self, value: f64) {
        self.out.extend(value.to_le_bytes());
    }

    /// Appends a tag, a length and as many bytes.
    pub fn prefixed(&mut self, tag: u8, bytes: &[u8]) {
        self.out.push(tag);
        put_varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn int(&mut self, int: &Bound<'_, PyInt>) -> Written {
        let mut overflow = 0;
        // SAFETY: an exact int; overflow is reported, not raised.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
        if overflow == 0 {
            self.out.push(tag::INT);
            put_varint(&mut self.out, zigzag(value));
            return Ok(());
        }
        let py = int.py();
        let bits = int.call_method0("bit_length")?.extract::<usize>()?;
        let signed = PyDict::new(py);
        signed.set_item("signed", true)?;
        let bytes = int.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&signed))?;
        self.prefixed(
            tag::BIG_INT,
            bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes(),
        );
        Ok(())
    }

    /// Appends a string as CPython has it, lone surrogates and all.
    pub fn text(&mut self, text: &Bound<'_, PyString>) -> Written {
        // SAFETY: strings do not change, and this one is alive.
        match unsafe { text.data() }? {
            PyStringData::Ucs1(characters) => self.prefixed(tag::STR_1, characters),
            PyStringData::Ucs2(units) => {
                self.out.push(tag::STR_2);
                put_varint(&mut self.out, units.len() as u64);
                self.out
                    .extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            }
            PyStringData::Ucs4(points) => {
                self.out.push(tag::STR_4);
                put_varint(&mut self.out, points.len() as u64);
                self.out
                    .extend(points.iter().flat_map(|point| point.to_le_bytes()));
            }
        }
        Ok(())
    }

    fn container(&mut self, value: &Bound<'_, PyAny>) -> Written {
        let refused = |reason| Refusal::Value {
            reason,
            path: Vec::new(),
        };
        if self.ancestors.contains(&value.as_ptr()) {
            return Err(refused(Reason::Cycle));
        }
        if self.ancestors.len() >= MAX_DEPTH {
            return Err(refused(Reason::Depth));
        }
        self.ancestors.push(value.as_ptr());
        let written = self.contents(value);
        self.ancestors.pop();
        written
    }

    fn contents(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.head(tag::TUPLE, tuple.len());
            for (index, item) in tuple.iter_borrowed().enumerate() {
                self.value(&item)
                    .map_err(|refusal| refusal.inside(|| format!("item {index}")))?;
            }
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            let items: Vec<_> = list.iter().collect();
            self.head(tag::LIST, items.len());
            for (index, item) in items.iter().enumerate() {
                self.value(item)
                    .map_err(|refusal| refusal.inside(|| format!("item {index}")))?;
            }
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            let items: Vec<_> = with_critical_section(dict, || dict.iter().collect());
            self.head(tag::DICT, items.len());
            for (key, value) in &items {
                self.value(key)
                    .map_err(|refusal| refusal.inside(|| format!("the key {}", shown(key))))?;
                self.value(value)
                    .map_err(|refusal| refusal.inside(|| format!("the value of {}", shown(key))))?;
            }
        } else {
            let frozen = value.cast_exact::<PyFrozenSet>().is_ok();
            let items = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            self.head(if frozen { tag::FROZENSET } else { tag::SET }, items.len());
            for item in &items {
                self.value(item)
                    .map_err(|refusal| refusal.inside(|| format!("the member {}", shown(item))))?;
            }
        }
        Ok(())
    }

    fn head(&mut self, tag: u8, count: usize) {
        self.out.push(tag);
        put_varint(&mut self.out, count as u64);
    }
}
