//! Points in time: numbers where the clock gives numbers, otherwise whatever it gives.

use overdrive_core::heap::Answer;
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::types::PyFloat;
use smallvec::SmallVec;

use crate::number;
use crate::obj::{Gone, Obj};

/// When an item expires, as the store keeps it. Whether a foreign one owns a reference is up to its
/// holder.
#[derive(Clone, Copy, Debug)]
pub enum Deadline {
    /// Seconds or other units of the clock; never NaN.
    Number(f64),
    /// Anything that supports `time < deadline`.
    Foreign(Obj),
}

impl Deadline {
    /// Adds a reference to a foreign deadline.
    pub fn incref(self) -> Self {
        if let Deadline::Foreign(object) = self {
            object.incref();
        }
        self
    }

    /// Gives a foreign deadline's reference to `gone`.
    pub fn give_up(self, gone: &mut Gone) {
        if let Deadline::Foreign(object) = self {
            gone.push(object);
        }
    }

    /// Whether both are the same number or the same object.
    pub fn is(self, other: Deadline) -> bool {
        match (self, other) {
            (Deadline::Number(a), Deadline::Number(b)) => a.to_bits() == b.to_bits(),
            (Deadline::Foreign(a), Deadline::Foreign(b)) => a == b,
            _ => false,
        }
    }

    /// The Python object.
    pub fn to_object(self, py: Python<'_>) -> Bound<'_, PyAny> {
        match self {
            Deadline::Number(value) => PyFloat::new(py, value).into_any(),
            Deadline::Foreign(object) => object.to_bound(py),
        }
    }
}

/// A deadline with a reference of its own.
pub struct Held(Deadline);

impl Held {
    /// Takes over a reference.
    pub fn new(deadline: Deadline) -> Self {
        Self(deadline)
    }

    pub fn get(&self) -> Deadline {
        self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.give_up(&mut Gone::default());
    }
}

/// A point in time outside of the store: a number, the object it came from, or both.
#[derive(Clone)]
pub struct Time<'py> {
    number: Option<f64>,
    object: Option<Bound<'py, PyAny>>,
}

impl<'py> Time<'py> {
    /// A time that is known as a number.
    pub fn from_number(value: f64) -> Self {
        Self {
            number: Some(value),
            object: None,
        }
    }

    /// A time as Python code gave it.
    pub fn from_object(object: Bound<'py, PyAny>) -> Self {
        Self {
            number: number::time(&object),
            object: Some(object),
        }
    }

    /// The time as a number, if it is one.
    #[inline]
    pub fn number(&self) -> Option<f64> {
        self.number
    }

    /// The time as Python code is to see it.
    pub fn to_object(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match (&self.object, self.number) {
            (Some(object), _) => object.clone(),
            (None, number) => PyFloat::new(py, number.unwrap_or(f64::NAN)).into_any(),
        }
    }

    /// The object that the number came from, if Python code gave it.
    pub fn shared_object(&self) -> Option<&Bound<'py, PyAny>> {
        self.object.as_ref()
    }

    /// The deadline, borrowing the object from `self`.
    pub fn as_deadline(&self) -> Deadline {
        match (self.number, &self.object) {
            (Some(value), _) => Deadline::Number(value),
            (None, Some(object)) => Deadline::Foreign(Obj::of(object)),
            (None, None) => Deadline::Number(f64::NEG_INFINITY),
        }
    }

    /// `self + duration`.
    pub fn plus(&self, py: Python<'py>, duration: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let (Some(now), Some(seconds)) = (self.number, number::time(duration)) {
            let sum = now + seconds;
            // Past 2^53 an integer sum would lose what Python keeps; inf - inf is Python's NaN.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            let exact = sum.abs() <= EXACT || sum.is_infinite() || self.object.is_none();
            if exact && !sum.is_nan() {
                return Ok(Self::from_number(sum));
            }
        }
        self.to_object(py).add(duration).map(Self::from_object)
    }

    /// `self < deadline`; may run Python code.
    pub fn is_before(&self, py: Python<'py>, deadline: Deadline) -> PyResult<bool> {
        match (self.number, deadline) {
            (Some(now), Deadline::Number(deadline)) => Ok(now < deadline),
            _ => {
                let deadline = deadline.to_object(py);
                self.to_object(py)
                    .rich_compare(deadline, CompareOp::Lt)?
                    .is_truthy()
            }
        }
    }
}

/// Comparisons of deadlines that Python made for one operation.
#[derive(Default)]
pub struct Memo(SmallVec<[(Deadline, Deadline, bool); 2]>);

impl Memo {
    /// `a < b`, if it takes no Python code or is known.
    #[inline]
    pub fn less(&self, a: &Deadline, b: &Deadline) -> Answer {
        match (a, b) {
            (Deadline::Number(a), Deadline::Number(b)) => Some(a < b),
            _ => self
                .0
                .iter()
                .find(|(x, y, _)| x.is(*a) && y.is(*b))
                .map(|&(_, _, less)| less),
        }
    }

    /// Compares and remembers; takes over the references of both.
    pub fn learn(&mut self, py: Python<'_>, a: Deadline, b: Deadline) -> PyResult<()> {
        let less = less(py, a, b);
        self.0.push((a, b, *less.as_ref().unwrap_or(&false)));
        less.map(drop)
    }
}

/// `a < b` by Python code.
pub fn less(py: Python<'_>, a: Deadline, b: Deadline) -> PyResult<bool> {
    a.to_object(py)
        .rich_compare(b.to_object(py), CompareOp::Lt)?
        .is_truthy()
}

impl Drop for Memo {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_empty() {
            let mut gone = Gone::default();
            for (a, b, _) in self.0.drain(..) {
                a.give_up(&mut gone);
                b.give_up(&mut gone);
            }
        }
    }
}
