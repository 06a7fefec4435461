//! Python references that are counted by hand, and the one place where they are given up.
//!
//! Inside a critical region no reference count may reach zero (see `lock`). So what the store holds
//! is a plain pointer that does nothing when it goes out of scope, and what leaves the store is
//! collected in a [`Gone`], which gives the references up when it is dropped: outside the region.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

use pyo3::{ffi, prelude::*};
use smallvec::SmallVec;

/// A pointer to a Python object. Whether it owns a reference is up to its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Obj(NonNull<ffi::PyObject>);

// SAFETY: an `Obj` is only an address; every use of what it points to asks for an attached thread.
unsafe impl Send for Obj {}
// SAFETY: as for `Send`.
unsafe impl Sync for Obj {}

impl Obj {
    /// The address of `object`, without a reference of its own.
    #[inline]
    pub fn of(object: &Bound<'_, PyAny>) -> Self {
        // SAFETY: a `Bound` is never null.
        Self(unsafe { NonNull::new_unchecked(object.as_ptr()) })
    }

    /// An address that is known not to be null.
    #[inline]
    pub const fn from_non_null(pointer: NonNull<ffi::PyObject>) -> Self {
        Self(pointer)
    }

    /// A new reference to `object`.
    #[inline]
    pub fn owned(object: &Bound<'_, PyAny>) -> Self {
        Self::of(object).incref()
    }

    /// Adds a reference. The thread must be attached, as in every critical region.
    #[inline]
    pub fn incref(self) -> Self {
        // SAFETY: the holder keeps the object alive, and regions are entered with a `Python` token.
        unsafe { ffi::Py_INCREF(self.as_ptr()) };
        self
    }

    /// The bare pointer.
    #[inline]
    pub fn as_ptr(self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Turns an owned reference into a smart pointer.
    ///
    /// # Safety
    /// The holder owns a reference and gives it up here.
    #[inline]
    pub unsafe fn into_bound(self, py: Python<'_>) -> Bound<'_, PyAny> {
        // SAFETY: by contract.
        unsafe { Bound::from_owned_ptr(py, self.as_ptr()) }
    }

    /// A smart pointer with a reference of its own.
    #[inline]
    pub fn to_bound(self, py: Python<'_>) -> Bound<'_, PyAny> {
        // SAFETY: the holder keeps the object alive.
        unsafe { Bound::from_borrowed_ptr(py, self.as_ptr()) }
    }

    /// The same pointer in the form that the garbage collector's visitor takes.
    pub fn as_py(&self) -> &Py<PyAny> {
        // SAFETY: both are transparent wrappers of a non-null object pointer.
        unsafe { &*std::ptr::from_ref(self).cast::<Py<PyAny>>() }
    }
}

/// References that left the store and are given up when this is dropped.
///
/// Giving one up may run any Python code, including code that uses the same cache. Caches nested in
/// caches are released without recursion: past a fixed depth the references wait in a list that the
/// outermost release works off, so that depth does not exhaust the C stack.
#[derive(Default)]
pub struct Gone(SmallVec<[Obj; 4]>);

impl Gone {
    /// Takes over a reference.
    #[inline]
    pub fn push(&mut self, object: Obj) {
        self.0.push(object);
    }

    /// Makes room for `more` references.
    pub fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }
}

/// How many releases nest before the rest waits: well under what a 512 KiB thread stack takes.
const MAX_NESTING: u32 = 40;

thread_local! {
    static NESTING: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<Obj>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Gone {
    #[inline]
    fn drop(&mut self) {
        for object in &self.0 {
            release(*object);
        }
    }
}

/// Gives up a reference, outside of any region.
#[inline(always)]
pub fn release(object: Obj) {
    // SAFETY: the caller owns the reference and is attached. A type without garbage collection holds
    // no other objects, so releasing its instances does not nest; nor does a reference that is not
    // the last one.
    unsafe {
        let shared = cfg!(not(Py_GIL_DISABLED)) && ffi::Py_REFCNT(object.as_ptr()) > 1;
        if shared || ffi::PyType_IS_GC(ffi::Py_TYPE(object.as_ptr())) == 0 {
            ffi::Py_DECREF(object.as_ptr());
        } else {
            release_container(object);
        }
    }
}

fn release_container(object: Obj) {
    let depth = NESTING.get();
    if depth >= MAX_NESTING {
        WAITING.with_borrow_mut(|waiting| waiting.push(object));
        return;
    }
    NESTING.set(depth + 1);
    // SAFETY: the caller owns the reference and is attached.
    unsafe { ffi::Py_DECREF(object.as_ptr()) };
    if depth == 0 {
        // One at a time: releasing may add to the list.
        while let Some(object) = WAITING.with_borrow_mut(Vec::pop) {
            // SAFETY: the list owns the reference.
            unsafe { ffi::Py_DECREF(object.as_ptr()) };
        }
    }
    NESTING.set(depth);
}
