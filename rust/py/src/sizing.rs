//! The memory that an object keeps alive, estimated.
//!
//! Objects are visited from a stack, not by recursion, each one once. Every visit has a *share* of the
//! number of objects that may be visited in all: a container divides its own among its items, so that
//! the cost is bounded and no branch starves another one. Of a large container, or one whose share is
//! small, a sample is visited, spread over its length, and counts for the rest.
//!
//! What exists anyway is not kept alive by the object: classes, functions, modules, `None`, small ints,
//! one-character strings. It counts nothing, unless it is what was asked about.
//!
//! Objects of built-in types are measured without Python code. Others are asked for `__sizeof__`, whose
//! answer is taken for all that they hold if their class defines it, or for `nbytes`; whatever an
//! object's own code does wrong, it counts for as much as `object.__sizeof__` says.

use std::collections::HashSet;
use std::ffi::CStr;
use std::hash::{BuildHasherDefault, Hasher};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList,
    PyMemoryView, PySet, PyString, PyTuple,
};
use pyo3::{ffi, intern};

use crate::import::Imported;

/// Containers of up to this many items are looked at in full; of larger ones, this many items are.
const SAMPLE: usize = 128;
/// How many pointers of a sequence are compared to see how often it refers to the same object.
const POINTERS: usize = 4096;
/// How many objects with contents are visited for one answer.
const BUDGET: f64 = 10_000.0;

static REFERENTS: Imported = Imported::new("gc", "get_referents");

/// Estimate the memory that an object keeps alive, in bytes.
///
/// Containers are followed into their items, objects into their attributes; what is reached twice counts
/// once, and what is shared by the whole process (classes, functions, modules, `None`, small ints) counts
/// nothing inside of something else. A view of an array counts with the whole of what it is a view of. Of
/// instances of subclasses of `dict`, the items count but no attributes. An object whose class defines
/// `__sizeof__`, as that of a pandas frame does, or else `nbytes`, is trusted with the answer for all
/// that it holds; one that fails, or gives no number >= 0, counts as if it had no contents.
///
/// Returns: bytes as `sys.getsizeof` counts them, with the header of the garbage collector, without
/// what the allocator rounds up. Within 10 % of what was allocated for values of the usual shapes. Of
/// containers of more than 128 items a sample is looked at: within 25 % where sizes vary with a standard
/// deviation up to their mean.
///
/// Raises: nothing but what is no `Exception` (`KeyboardInterrupt`).
///
/// Cost: some ten nanoseconds for a `str`, `bytes`, number; for anything else, at most some 10,000 objects
/// are visited. Threads may change the object meanwhile; what they change is counted or not.
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub fn sizeof(obj: &Bound<'_, PyAny>) -> PyResult<u64> {
    deep(obj)
}

/// As [`sizeof`], for Rust.
#[inline]
pub fn deep(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    match atom(object) {
        Some(size) => Ok(size as u64),
        None => Walk::default().run(object),
    }
}

/// The size of an object that holds no other ones, if it is of such a built-in type.
#[inline]
fn atom(object: &Bound<'_, PyAny>) -> Option<usize> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        Some(text_size(text))
    } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        // The basic size has room for the NUL at the end.
        Some(basic_size(object) + bytes.as_bytes().len())
    } else if object.cast_exact::<PyInt>().is_ok() {
        Some(int_size(object))
    } else if object.cast_exact::<PyFloat>().is_ok()
        || object.cast_exact::<PyComplex>().is_ok()
        || object.is_none()
    {
        Some(basic_size(object))
    } else {
        None
    }
}

/// `tp_basicsize` of the object's type.
#[inline]
fn basic_size(object: &Bound<'_, PyAny>) -> usize {
    // SAFETY: an object has a type.
    unsafe { (*ffi::Py_TYPE(object.as_ptr())).tp_basicsize as usize }
}

fn text_size(text: &Bound<'_, PyString>) -> usize {
    // SAFETY: an exact str, which is ready; strings do not change.
    let Ok(data) = (unsafe { text.data() }) else {
        return basic_size(text.as_any());
    };
    let bytes = data.as_bytes();
    let width = data.value_width_bytes();
    // An ASCII string has the short header; telling ASCII from Latin-1 takes the state's bit.
    // SAFETY: as above.
    let ascii = unsafe { ffi::PyUnicode_IS_ASCII(text.as_ptr()) } != 0;
    let header = if ascii {
        size_of::<ffi::PyASCIIObject>()
    } else {
        size_of::<ffi::PyCompactUnicodeObject>()
    };
    header + bytes.len() + width
}

/// Digits have 30 bits, in four bytes; there is room for one even in zero.
fn int_size(int: &Bound<'_, PyAny>) -> usize {
    const DIGIT_BITS: u64 = 30;
    let mut overflow = 0;
    // SAFETY: an int; overflow is reported, not raised.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
    let bits = if overflow == 0 {
        u64::from(u64::BITS - value.unsigned_abs().leading_zeros())
    } else {
        // Of `int` itself: a subclass may have another method of that name.
        let class = int.py().get_type::<PyInt>();
        let bits = class.call_method1(intern!(int.py(), "bit_length"), (int,));
        bits.and_then(|bits| bits.extract())
            .unwrap_or(u64::BITS.into())
    };
    let header = if int.cast_exact::<PyBool>().is_ok() {
        // Its two instances are made like those of `int`, though the class has room for a digit.
        size_of::<ffi::PyVarObject>()
    } else {
        basic_size(int)
    };
    header + 4 * bits.div_ceil(DIGIT_BITS).max(1) as usize
}

/// `object.__sizeof__`, and the header that the garbage collector puts in front.
fn shallow(object: &Bound<'_, PyAny>) -> usize {
    if object.is_instance_of::<PyInt>() {
        return int_size(object) + hidden_header(object);
    }
    // SAFETY: the object is alive; the type has items, and so the object their number.
    let items = unsafe {
        let class = ffi::Py_TYPE(object.as_ptr());
        match (*class).tp_itemsize as usize {
            0 => 0,
            size => {
                size * (*object.as_ptr().cast::<ffi::PyVarObject>())
                    .ob_size
                    .unsigned_abs()
            }
        }
    };
    basic_size(object) + items + hidden_header(object)
}

/// What is in front of an object: the garbage collector's list, and where its attributes are.
fn hidden_header(object: &Bound<'_, PyAny>) -> usize {
    const WORDS: usize = 2 * size_of::<usize>();
    // SAFETY: the object is alive.
    let collected = unsafe { ffi::PyObject_IS_GC(object.as_ptr()) } != 0;
    let list = if collected && !cfg!(Py_GIL_DISABLED) {
        WORDS
    } else {
        0
    };
    list + if has_managed_attributes(object) {
        WORDS
    } else {
        0
    }
}

/// Whether the attributes are in a place that CPython manages, often without a dict.
fn has_managed_attributes(object: &Bound<'_, PyAny>) -> bool {
    const MANAGED_DICT: std::ffi::c_ulong = 1 << 4;
    // SAFETY: the object is alive.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object.as_ptr())) };
    flags & MANAGED_DICT != 0
}

/// Exists whether or not anything refers to it.
fn exists_anyway(object: &Bound<'_, PyAny>) -> bool {
    const SMALL: std::ops::RangeInclusive<i64> = -5..=256;
    if object.is_none() {
        return true;
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        // SAFETY: as in `text_size`.
        return unsafe { ffi::PyUnicode_GET_LENGTH(text.as_ptr()) } == 0
            || (text.len().is_ok_and(|length| length == 1)
                && unsafe { text.data() }.is_ok_and(|data| data.value_width_bytes() == 1));
    }
    if object.cast_exact::<PyInt>().is_ok() {
        let mut overflow = 0;
        // SAFETY: an exact int; overflow is reported, not raised.
        let value =
            unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
        return overflow == 0 && SMALL.contains(&value);
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return bytes.as_bytes().len() <= 1;
    }
    let class = object.get_type_ptr();
    let process_wide = [
        &raw mut ffi::PyBool_Type,
        &raw mut ffi::PyFunction_Type,
        &raw mut ffi::PyCFunction_Type,
        &raw mut ffi::PyModule_Type,
        &raw mut ffi::PyCode_Type,
        &raw mut ffi::PyEllipsis_Type,
    ];
    process_wide.contains(&class)
        || object.is_instance_of::<pyo3::types::PyType>()
        || object.is_instance_of::<pyo3::types::PyModule>()
        || object
            .cast_exact::<PyTuple>()
            .is_ok_and(|tuple| tuple.is_empty())
}

/// Addresses are as good as hashes, once they are spread.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = overdrive_core::spread(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

type Addresses = HashSet<usize, BuildHasherDefault<Spread>>;

/// An object to be visited.
struct Visit<'py> {
    object: Bound<'py, PyAny>,
    /// How many objects it stands for.
    weight: f64,
    /// How many objects may be visited because of it.
    share: f64,
}

#[derive(Default)]
struct Walk<'py> {
    stack: Vec<Visit<'py>>,
    seen: Addresses,
    total: f64,
}

impl<'py> Walk<'py> {
    #[cold]
    fn run(mut self, object: &Bound<'py, PyAny>) -> PyResult<u64> {
        if exists_anyway(object) {
            let process_wide =
                object.is_instance_of::<pyo3::types::PyType>() || object.is_callable();
            let plain = !process_wide && !object.is_instance_of::<pyo3::types::PyModule>();
            return Ok(if plain { shallow(object) as u64 } else { 0 });
        }
        self.seen.insert(object.as_ptr() as usize);
        self.stack.push(Visit {
            object: object.clone(),
            weight: 1.0,
            share: BUDGET,
        });
        while let Some(visit) = self.stack.pop() {
            self.visit(&visit)?;
        }
        Ok(self.total as u64)
    }

    fn add(&mut self, visit: &Visit<'py>, bytes: usize) {
        self.total += visit.weight * bytes as f64;
    }

    fn visit(&mut self, visit: &Visit<'py>) -> PyResult<()> {
        let object = &visit.object;
        // Other classes may say more of themselves, and have attributes.
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.add(visit, shallow(object));
            self.sequence(visit, tuple.len(), |index| tuple.get_item(index).ok())
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            self.add(visit, own_size(object)?);
            self.sequence(visit, list.len(), |index| list.get_item(index).ok())
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.add(visit, own_size(object)?);
            self.dict(visit, dict)
        } else if object.cast_exact::<PySet>().is_ok() || object.cast_exact::<PyFrozenSet>().is_ok()
        {
            self.add(visit, own_size(object)?);
            self.set(visit)
        } else if object.cast_exact::<PyByteArray>().is_ok() {
            self.add(visit, own_size(object)?);
            Ok(())
        } else {
            self.other(visit)
        }
    }

    /// The items of something with positions.
    fn sequence(
        &mut self,
        visit: &Visit<'py>,
        length: usize,
        item: impl Fn(usize) -> Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let sample = sample_size(length, visit.share);
        let items: Vec<_> = positions(length, sample).filter_map(&item).collect();
        let distinct = if sample < length && repeats(&items) {
            // How many different objects there are shows better in a larger sample of addresses.
            let count = POINTERS.min(length);
            let addresses = positions(length, count)
                .filter_map(&item)
                .map(|item| item.as_ptr() as usize);
            let different = addresses.collect::<Addresses>().len();
            distinct(different, count, length)
        } else {
            length as f64
        };
        self.items(visit, items, distinct / length as f64, length);
        Ok(())
    }

    fn dict(&mut self, visit: &Visit<'py>, dict: &Bound<'py, PyDict>) -> PyResult<()> {
        let length = dict.len();
        let sample = sample_size(2 * length, visit.share).div_ceil(2).min(length);
        let mut keys = Vec::with_capacity(sample);
        let mut values = Vec::with_capacity(sample);
        with_critical_section(dict, || {
            for position in positions(length, sample) {
                // CPython takes any position: one past the end gives nothing, and one where a key was
                // deleted gives the next.
                let mut position = position as ffi::Py_ssize_t;
                let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
                // SAFETY: a dict that nothing changes meanwhile; the references are borrowed from it.
                unsafe {
                    let found = ffi::PyDict_Next(
                        dict.as_ptr(),
                        &raw mut position,
                        &raw mut key,
                        &raw mut value,
                    );
                    if found != 0 {
                        keys.push(Bound::from_borrowed_ptr(dict.py(), key));
                        values.push(Bound::from_borrowed_ptr(dict.py(), value));
                    }
                }
            }
        });
        let half = Visit {
            object: visit.object.clone(),
            weight: visit.weight,
            share: visit.share / 2.0,
        };
        self.sampled(&half, keys, length);
        self.sampled(&half, values, length);
        Ok(())
    }

    fn set(&mut self, visit: &Visit<'py>) -> PyResult<()> {
        let length = visit.object.len()?;
        let sample = sample_size(length, visit.share);
        // In the order of hashes, which has nothing to do with sizes: the first are as good as any.
        let members = visit.object.try_iter()?.take(sample);
        // Without the GIL another thread may change it: then there are fewer.
        let items = members.map_while(Result::ok).collect();
        self.sampled(visit, items, length);
        Ok(())
    }

    /// A sample of a container that is not worth a second look.
    fn sampled(&mut self, visit: &Visit<'py>, items: Vec<Bound<'py, PyAny>>, length: usize) {
        let count = items.len();
        let different = items
            .iter()
            .map(|item| item.as_ptr() as usize)
            .collect::<Addresses>()
            .len();
        let distinct = if count < length {
            distinct(different, count, length)
        } else {
            length as f64
        };
        self.items(visit, items, distinct / length as f64, length);
    }

    /// Counts the items of a sample for all `length` items, of which `different` (0 to 1) are different
    /// objects.
    fn items(
        &mut self,
        visit: &Visit<'py>,
        items: Vec<Bound<'py, PyAny>>,
        different: f64,
        length: usize,
    ) {
        if items.is_empty() {
            return;
        }
        let whole = items.len() >= length;
        let mut fresh: Vec<_> = Vec::with_capacity(items.len());
        let (mut distinct, mut anyway) = (0, 0);
        let mut own = Addresses::default();
        let all = items.len();
        for item in items {
            if exists_anyway(&item) {
                anyway += 1;
            } else if whole || own.insert(item.as_ptr() as usize) {
                distinct += 1;
                // What only this container refers to, and this sample, cannot have been seen before.
                let shared = cfg!(Py_GIL_DISABLED) || references(&item) > 2;
                if !shared || self.seen.insert(item.as_ptr() as usize) {
                    fresh.push(item);
                }
            }
        }
        if distinct == 0 {
            return;
        }
        let scale = if whole {
            1.0
        } else {
            let counting = (all - anyway) as f64 / all as f64;
            (length as f64 * counting * different).max(distinct as f64) / distinct as f64
        };
        let weight = visit.weight * scale;
        let mut containers = Vec::new();
        for item in fresh {
            match atom(&item) {
                Some(size) => self.total += weight * size as f64,
                None => containers.push(item),
            }
        }
        let share = (visit.share - 1.0) / containers.len() as f64;
        for object in containers {
            self.stack.push(Visit {
                object,
                weight,
                share,
            });
        }
    }

    /// An object of any other class.
    fn other(&mut self, visit: &Visit<'py>) -> PyResult<()> {
        let object = &visit.object;
        let answer = asked_size(object)?;
        match answer {
            Answer::All(bytes) => {
                self.add(visit, bytes + hidden_header(object));
                Ok(())
            }
            Answer::Own(bytes) => {
                self.add(visit, bytes + hidden_header(object));
                if has_type_name(object, b"numpy.ndarray") {
                    self.array(visit)
                } else if let Ok(dict) = object.cast::<PyDict>() {
                    // The garbage collector does not look at keys that are strings.
                    self.dict(visit, dict)
                } else {
                    self.referents(visit, false)
                }
            }
            Answer::None => {
                self.add(visit, shallow(object));
                self.referents(visit, true)
            }
        }
    }

    /// What an array of numpy holds beside its own memory.
    fn array(&mut self, visit: &Visit<'py>) -> PyResult<()> {
        let array = &visit.object;
        let py = array.py();
        let base = fallible(py, array.getattr(intern!(py, "base")))?;
        if let Some(base) = base.filter(|base| !base.is_none()) {
            // A view keeps all of it alive; the items are there.
            self.items(visit, vec![base], 1.0, 1);
            return Ok(());
        }
        let dtype = array.getattr(intern!(py, "dtype"))?;
        if dtype.getattr(intern!(py, "hasobject"))?.is_truthy()? {
            let length = array.getattr(intern!(py, "size"))?.extract()?;
            let flat = array.getattr(intern!(py, "flat"))?;
            self.sequence(visit, length, |index| flat.get_item(index).ok())?;
        }
        Ok(())
    }

    /// What the garbage collector knows an object to refer to. Asking for the attributes would run the
    /// object's own code, and make dicts that were not there. `plain`: it has nothing but attributes.
    fn referents(&mut self, visit: &Visit<'py>, plain: bool) -> PyResult<()> {
        let object = &visit.object;
        // SAFETY: the object is alive.
        let collected = unsafe { ffi::PyObject_IS_GC(object.as_ptr()) } != 0;
        if visit.share < 1.0 || !collected {
            return Ok(());
        }
        let referents = REFERENTS.get(object.py())?.call1((object,))?;
        let referents: Vec<_> = referents
            .cast_into::<PyList>()
            .map_err(PyErr::from)?
            .iter()
            .collect();
        let length = referents.len();
        let in_dict = referents
            .iter()
            .any(|object| object.cast_exact::<PyDict>().is_ok());
        if plain && has_managed_attributes(object) && !in_dict {
            // A word for each attribute, and a header; what is not an attribute is the class.
            self.add(visit, (length + 1) * size_of::<usize>());
        }
        self.sequence(visit, length, |index| referents.get(index).cloned())
    }
}

/// How many references there are to an object.
fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: the object is alive.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// How many of `length` items are visited.
fn sample_size(length: usize, share: f64) -> usize {
    const LEAST: f64 = 4.0;
    if share < 1.0 {
        return 0;
    }
    length.min(SAMPLE).min(share.max(LEAST) as usize)
}

/// `count` positions of `length`, one somewhere in each of as many equal parts: what repeats at regular
/// distances is not always met at the same point.
fn positions(length: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |part| {
        if count == length {
            return part;
        }
        let (start, end) = (part * length / count, (part + 1) * length / count);
        let width = (end - start).max(1) as u64;
        start + (overdrive_core::spread(part as u64) % width) as usize
    })
}

/// Whether some of the items may be referred to from several positions.
fn repeats(items: &[Bound<'_, PyAny>]) -> bool {
    // One reference is the sample's, one the container's.
    cfg!(Py_GIL_DISABLED) || items.iter().any(|item| references(item) > 2)
}

/// How many different objects there are among `length`, if a sample of `count` has `different` ones: the
/// number of which that is the expected outcome.
fn distinct(different: usize, count: usize, length: usize) -> f64 {
    if different >= count {
        return length as f64;
    }
    let expected = |all: f64| all * (1.0 - (1.0 - 1.0 / all).powf(count as f64));
    let (mut low, mut high) = (different as f64, length as f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if expected(middle) < different as f64 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// What the type's own `__sizeof__` says of a built-in container without its items.
fn own_size(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    let size = object.call_method0(intern!(object.py(), "__sizeof__"))?;
    Ok(size.extract::<usize>()? + hidden_header(object))
}

/// An error of the object's own code counts as no answer; `KeyboardInterrupt` and the like do not.
fn fallible<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What an object says of its size, in bytes.
enum Answer {
    /// With all that it holds.
    All(usize),
    /// Without the objects that it refers to, as classes made in C count.
    Own(usize),
    None,
}

fn asked_size(object: &Bound<'_, PyAny>) -> PyResult<Answer> {
    let py = object.py();
    let class = object.get_type();
    let name = intern!(py, "__sizeof__");
    let method = fallible(py, class.getattr(name))?;
    let everyones = py.get_type::<PyAny>().getattr(name)?;
    if let Some(method) = method.filter(|method| !method.is(&everyones)) {
        let bytes = sane(py, object.call_method0(name))?;
        let native = method.get_type_ptr() == &raw mut ffi::PyMethodDescr_Type;
        return Ok(match bytes {
            Some(bytes) if native => Answer::Own(bytes),
            Some(bytes) => Answer::All(bytes),
            None => Answer::All(basic_size(object)),
        });
    }
    let name = intern!(py, "nbytes");
    // What a memoryview shows may be a part of what it keeps alive.
    if object.cast_exact::<PyMemoryView>().is_err()
        && fallible(py, class.getattr(name))?.is_some()
        && let Some(bytes) = sane(py, object.getattr(name))?
    {
        return Ok(Answer::All(bytes + basic_size(object)));
    }
    Ok(Answer::None)
}

/// A number of bytes that there could be.
fn sane(py: Python<'_>, answer: PyResult<Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    const MOST: u64 = 1 << 56;
    let Some(answer) = fallible(py, answer)? else {
        return Ok(None);
    };
    let bytes = fallible(py, answer.extract::<u64>())?;
    Ok(bytes
        .filter(|bytes| *bytes <= MOST)
        .map(|bytes| bytes as usize))
}

/// Whether the class or one that it derives from has this name, which is one of a class made in C.
fn has_type_name(object: &Bound<'_, PyAny>, name: &[u8]) -> bool {
    let mut class = object.get_type_ptr();
    while !class.is_null() {
        // SAFETY: a class lives as long as its instance, and its bases as long as it does.
        unsafe {
            if CStr::from_ptr((*class).tp_name).to_bytes() == name {
                return true;
            }
            class = (*class).tp_base;
        }
    }
    false
}
