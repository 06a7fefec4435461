//! How much a cache may hold and how much it holds.

use std::collections::TryReserveError;

use crate::Slot;
use crate::size::{Size, Total};

/// A limit, and the sizes counted against it.
#[derive(Clone, Debug)]
pub enum Budget {
    /// Every item has size one: the number of items is the size.
    Units {
        /// The largest number of items.
        capacity: u64,
    },
    /// Items bring their sizes.
    Sized(Box<Sized>),
}

/// The sizes of items and their total.
#[derive(Clone, Debug)]
pub struct Sized {
    limit: Total,
    used: Total,
    sizes: Vec<Size>,
}

impl Budget {
    /// A budget that counts items.
    #[must_use]
    pub fn units(limit: Total) -> Self {
        Budget::Units {
            capacity: limit.whole_units(),
        }
    }

    /// A budget that adds up sizes.
    #[must_use]
    pub fn sized(limit: Total) -> Self {
        Budget::Sized(Box::new(Sized {
            limit,
            used: Total::ZERO,
            sizes: Vec::new(),
        }))
    }

    /// Makes room for slots below `slots`.
    #[inline]
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        match self {
            Budget::Units { .. } => Ok(()),
            Budget::Sized(sized) => sized.reserve(slots),
        }
    }

    /// Whether an item of `size` could ever fit.
    #[inline]
    #[must_use]
    pub fn admits(&self, size: Size) -> bool {
        match self {
            Budget::Units { capacity } => *capacity >= 1,
            Budget::Sized(sized) => !Total::from(size).exceeds(sized.limit),
        }
    }

    /// Whether something must leave before `size` fits beside the `len` items there are;
    /// `replaces` names the slot whose present size is given up, if any.
    #[inline]
    #[must_use]
    pub fn is_over(&self, len: usize, size: Size, replaces: Option<Slot>) -> bool {
        match self {
            Budget::Units { capacity } => replaces.is_none() && len as u64 >= *capacity,
            Budget::Sized(sized) => sized.is_over(size, replaces),
        }
    }

    /// Counts a filled or replaced slot.
    #[inline]
    pub fn charge(&mut self, slot: Slot, size: Size, replaces: bool) {
        if let Budget::Sized(sized) = self {
            sized.charge(slot, size, replaces);
        }
    }

    /// Stops counting an emptied slot.
    #[inline]
    pub fn release(&mut self, slot: Slot) {
        if let Budget::Sized(sized) = self {
            sized.release(slot);
        }
    }

    /// The present total of `len` items.
    #[must_use]
    pub fn used(&self, len: usize) -> Total {
        match self {
            Budget::Units { .. } => Total::Int(len as i128),
            Budget::Sized(sized) => sized.used,
        }
    }

    /// Sets the total to one that was saved: float totals depend on the order of additions.
    pub fn restore_used(&mut self, total: Total) {
        if let Budget::Sized(sized) = self {
            sized.used = total;
        }
    }

    /// The size of each slot in use, if items bring their sizes.
    #[must_use]
    pub fn sizes(&self) -> Option<&[Size]> {
        match self {
            Budget::Units { .. } => None,
            Budget::Sized(sized) => Some(&sized.sizes),
        }
    }

    /// Whether `size` fits if only the `kept` slots stay.
    #[must_use]
    pub fn fits_beside(&self, size: Size, kept: impl Iterator<Item = Slot>) -> bool {
        match self {
            Budget::Units { capacity } => (kept.count() as u64) < *capacity,
            Budget::Sized(sized) => {
                let add = |sum: Total, slot| sum.plus(sized.sizes[slot as usize].into());
                !kept.fold(size.into(), add).exceeds(sized.limit)
            }
        }
    }

    /// Whether what there is exceeds the limit, as after it was lowered.
    #[must_use]
    pub fn is_exceeded(&self, len: usize) -> bool {
        match self {
            Budget::Units { capacity } => len as u64 > *capacity,
            Budget::Sized(sized) => sized.used.exceeds(sized.limit),
        }
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> Total {
        match self {
            Budget::Units { capacity: u64::MAX } => Total::Float(f64::INFINITY),
            Budget::Units { capacity } => Total::Int((*capacity).into()),
            Budget::Sized(sized) => sized.limit,
        }
    }

    /// Changes the limit.
    pub fn set_limit(&mut self, limit: Total) {
        match self {
            Budget::Units { capacity } => *capacity = limit.whole_units(),
            Budget::Sized(sized) => sized.limit = limit,
        }
    }

    /// Forgets every slot.
    pub fn clear(&mut self) {
        if let Budget::Sized(sized) = self {
            sized.used = Total::ZERO;
            sized.sizes = Vec::new();
        }
    }

    /// Bytes allocated.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Budget::Units { .. } => 0,
            Budget::Sized(sized) => size_of::<Sized>() + sized.sizes.capacity() * size_of::<Size>(),
        }
    }

    /// Adds the sizes of `slots` up again and says if they exceed the limit or, for integers,
    /// differ from the running total.
    pub fn check(
        &self,
        slots: impl ExactSizeIterator<Item = Slot>,
        may_exceed: bool,
    ) -> Result<(), String> {
        match self {
            Budget::Units { .. } if may_exceed => Ok(()),
            Budget::Units { capacity } if slots.len() as u64 > *capacity => Err(format!(
                "budget: {} items, capacity {capacity}",
                slots.len()
            )),
            Budget::Units { .. } => Ok(()),
            Budget::Sized(sized) => sized.check(slots, may_exceed),
        }
    }
}

// Kept out of line: caches whose items all count one should not pay for this arithmetic.
impl Sized {
    #[inline(never)]
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if self.sizes.len() < slots {
            self.sizes.try_reserve(slots - self.sizes.len())?;
            self.sizes.resize(slots, Size::Int(0));
        }
        Ok(())
    }

    #[inline(never)]
    fn is_over(&self, size: Size, replaces: Option<Slot>) -> bool {
        self.used
            .plus(growth(size, replaces, &self.sizes))
            .exceeds(self.limit)
    }

    #[inline(never)]
    fn charge(&mut self, slot: Slot, size: Size, replaces: bool) {
        self.used = self
            .used
            .plus(growth(size, replaces.then_some(slot), &self.sizes));
        self.sizes[slot as usize] = size;
    }

    #[inline(never)]
    fn release(&mut self, slot: Slot) {
        self.used = self.used.minus(self.sizes[slot as usize].into());
    }

    fn check(&self, slots: impl Iterator<Item = Slot>, may_exceed: bool) -> Result<(), String> {
        let sum = slots.fold(Total::ZERO, |sum, slot| {
            sum.plus(self.sizes[slot as usize].into())
        });
        match (sum, self.used) {
            (Total::Int(sum), Total::Int(used)) if sum != used => {
                Err(format!("budget: sizes add up to {sum}, total says {used}"))
            }
            (Total::Int(_), used) if !may_exceed && used.exceeds(self.limit) => {
                Err(format!("budget: {used:?} exceeds {:?}", self.limit))
            }
            _ => Ok(()),
        }
    }
}

fn growth(size: Size, replaces: Option<Slot>, sizes: &[Size]) -> Total {
    match replaces {
        Some(slot) => Total::from(size).minus(sizes[slot as usize].into()),
        None => size.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_reserves_only_the_difference() {
        let mut budget = Budget::sized(Total::Int(10));
        budget.reserve(2).expect("small");
        budget.charge(0, Size::Int(3), false);
        budget.charge(1, Size::Int(4), false);
        assert!(!budget.is_over(2, Size::Int(7), Some(1)));
        assert!(budget.is_over(2, Size::Int(8), Some(1)));
        budget.charge(1, Size::Int(7), true);
        assert_eq!(budget.used(2), Total::Int(10));
        budget.release(0);
        assert_eq!(budget.used(1), Total::Int(7));
    }

    #[test]
    fn a_fractional_limit_holds_its_whole_part_of_units() {
        let budget = Budget::units(Total::Float(2.5));
        assert!(budget.admits(Size::Int(1)));
        assert!(!budget.is_over(1, Size::Int(1), None));
        assert!(budget.is_over(2, Size::Int(1), None));
        assert!(!Budget::units(Total::Float(0.5)).admits(Size::Int(1)));
    }
}
