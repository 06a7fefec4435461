//! The memoized methods of instances, by the address of the instance.
//!
//! A weak reference to the instance stands beside each. Its callback removes the row when the instance
//! is destroyed. But callbacks may fail, and the garbage collector may not call them: so a row only
//! counts while its weak reference is to the instance that is asked about.

use overdrive_core::Slot;
use overdrive_core::index::Index;

use pyo3::ffi;

use crate::obj::{Gone, Obj};

struct Row {
    address: usize,
    reference: Obj,
    memo: Obj,
}

/// Instance -> its memo.
#[derive(Default)]
pub struct Instances {
    index: Index,
    /// The instance that was found last, and its memo.
    last: Option<(usize, Obj, Obj)>,
    rows: Vec<Option<Row>>,
    empty: Vec<Slot>,
}

impl Instances {
    /// The memo of an instance, borrowed.
    ///
    /// # Safety
    /// An object that is alive is at the address.
    #[inline(always)]
    pub unsafe fn find(&mut self, address: usize) -> Option<Obj> {
        if let Some((last, reference, memo)) = self.last
            && last == address
            // SAFETY: by contract.
            && unsafe { refers_to(reference, address) }
        {
            return Some(memo);
        }
        // SAFETY: by contract.
        unsafe { self.search(address) }
    }

    #[inline(never)]
    unsafe fn search(&mut self, address: usize) -> Option<Obj> {
        let slot = self.slot(address)?;
        let row = self.rows[slot as usize].as_ref()?;
        // SAFETY: by contract of `find`.
        if !unsafe { refers_to(row.reference, address) } {
            return None;
        }
        self.last = Some((address, row.reference, row.memo));
        Some(row.memo)
    }

    /// Adds the memo of an instance, unless it has one: then that is returned. `None` if there is no
    /// memory. A row of an instance that was at this address before goes to `gone`.
    ///
    /// # Safety
    /// As for [`find`](Self::find).
    pub unsafe fn keep(
        &mut self,
        address: usize,
        reference: Obj,
        memo: Obj,
        gone: &mut Gone,
    ) -> Option<Obj> {
        // SAFETY: by contract.
        if let Some(present) = unsafe { self.find(address) } {
            return Some(present);
        }
        if let Some(slot) = self.slot(address) {
            self.remove(address, slot, gone);
        }
        let rows = &self.rows;
        let address_of =
            |slot: Slot| rows[slot as usize].as_ref().map_or(0, |row| row.address) as u64;
        self.index.reserve(address_of).ok()?;
        let slot = match self.empty.pop() {
            Some(slot) => slot,
            None => {
                self.rows.try_reserve(1).ok()?;
                self.empty.try_reserve(self.rows.len() + 1).ok()?; // so that `forget` need not allocate
                self.rows.push(None);
                (self.rows.len() - 1) as Slot
            }
        };
        self.rows[slot as usize] = Some(Row {
            address,
            reference: reference.incref(),
            memo: memo.incref(),
        });
        let rows = &self.rows;
        let address_of =
            |slot: Slot| rows[slot as usize].as_ref().map_or(0, |row| row.address) as u64;
        self.index.insert(address as u64, slot, address_of);
        Some(memo)
    }

    /// Removes the row that has this weak reference.
    pub fn forget(&mut self, address: usize, reference: Obj, gone: &mut Gone) {
        let Some(slot) = self.slot(address) else {
            return;
        };
        let row = &self.rows[slot as usize];
        if row.as_ref().is_some_and(|row| row.reference == reference) {
            self.remove(address, slot, gone);
        }
    }

    fn remove(&mut self, address: usize, slot: Slot, gone: &mut Gone) {
        self.last = None;
        self.index.remove(address as u64, slot);
        self.empty.push(slot);
        if let Some(row) = self.rows[slot as usize].take() {
            gone.push(row.reference);
            gone.push(row.memo);
        }
    }

    /// The memos of all instances, borrowed.
    pub fn memos(&self) -> impl Iterator<Item = Obj> {
        self.rows.iter().flatten().map(|row| row.memo)
    }

    /// Every reference held.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        self.rows
            .iter()
            .flatten()
            .flat_map(|row| [&row.reference, &row.memo])
    }

    #[inline(always)]
    fn slot(&self, address: usize) -> Option<Slot> {
        self.index.find(address as u64, |slot| {
            self.rows[slot as usize]
                .as_ref()
                .is_some_and(|row| row.address == address)
        })
    }
}

/// Whether a weak reference is to the object at an address.
///
/// # Safety
/// An object that is alive is at the address, and `reference` is a weak reference.
#[inline(always)]
unsafe fn refers_to(reference: Obj, address: usize) -> bool {
    // SAFETY: by contract. A reference to another object than that one is given up only if it is not
    // the last: a weak reference gives none to an object that is being destroyed.
    unsafe {
        #[cfg(Py_3_13)]
        {
            let mut object = std::ptr::null_mut();
            if ffi::PyWeakref_GetRef(reference.as_ptr(), &raw mut object) != 1 {
                return false;
            }
            let same = object.addr() == address;
            ffi::Py_DECREF(object);
            same
        }
        #[cfg(not(Py_3_13))]
        {
            ffi::PyWeakref_GetObject(reference.as_ptr()).addr() == address
        }
    }
}

impl Drop for Instances {
    fn drop(&mut self) {
        let mut gone = Gone::default();
        for row in self.rows.drain(..).flatten() {
            gone.push(row.reference);
            gone.push(row.memo);
        }
    }
}
