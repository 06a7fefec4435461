//! The memoized methods of instances, by the address of the instance.
//!
//! A weak reference to the instance stands beside each. Its callback removes the row while the
//! instance is being destroyed, so before its address can be that of another object.

use overdrive_core::Slot;
use overdrive_core::index::Index;

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
    last: Option<(usize, Obj)>,
    rows: Vec<Option<Row>>,
    empty: Vec<Slot>,
}

impl Instances {
    /// The memo of an instance, borrowed.
    #[inline(always)]
    pub fn find(&mut self, address: usize) -> Option<Obj> {
        if let Some((last, memo)) = self.last
            && last == address
        {
            return Some(memo);
        }
        self.search(address)
    }

    #[inline(never)]
    fn search(&mut self, address: usize) -> Option<Obj> {
        let slot = self.slot(address)?;
        let memo = self.rows[slot as usize].as_ref()?.memo;
        self.last = Some((address, memo));
        Some(memo)
    }

    /// Adds the memo of an instance, unless it has one: then that is returned. `None` if there is no
    /// memory. References are taken over where they are stored.
    pub fn keep(&mut self, address: usize, reference: Obj, memo: Obj) -> Option<Obj> {
        if let Some(present) = self.find(address) {
            return Some(present);
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
        let row = &mut self.rows[slot as usize];
        if row.as_ref().is_some_and(|row| row.reference == reference) {
            self.last = None;
            self.index.remove(address as u64, slot);
            self.empty.push(slot);
            if let Some(row) = row.take() {
                gone.push(row.reference);
                gone.push(row.memo);
            }
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

impl Drop for Instances {
    fn drop(&mut self) {
        let mut gone = Gone::default();
        for row in self.rows.drain(..).flatten() {
            gone.push(row.reference);
            gone.push(row.memo);
        }
    }
}
