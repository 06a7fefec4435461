//! A binary min-heap of deadlines whose comparison may have to be looked up elsewhere.
//!
//! Deadlines are usually numbers, but may be anything that a user's clock returns, and comparing
//! those runs user code, which must not happen while the cache is locked. So an operation is first
//! *planned*: the comparison answers `None` when it does not know, the plan then stops without
//! having changed anything, the caller finds the answer and plans again.
//!
//! The order of the array is visible (items are iterated in it) and equals that of Python's
//! `heapq`: the sift-to-the-leaf variant of Knuth, TAOCP vol. 3, 5.2.3, ex. 18.
//! Items are removed lazily: an item is dead when its ticket is no longer its slot's.

use std::collections::TryReserveError;

use crate::Slot;

/// A slot and when it is due.
#[derive(Clone, Copy, Debug)]
pub struct Item<D> {
    /// When the slot is due.
    pub deadline: D,
    /// The slot.
    pub slot: Slot,
    /// Which filling of the slot this is.
    pub ticket: u64,
}

/// `less(a, b)`, or `None` when that has to be found out first.
pub type Answer = Option<bool>;

/// Items in heap order. Every change advances [`version`](Self::version).
#[derive(Clone, Debug)]
pub struct Heap<D> {
    items: Vec<Item<D>>,
    version: u64,
}

impl<D> Default for Heap<D> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            version: 0,
        }
    }
}

const DEPTH: usize = usize::BITS as usize;

/// Where everything goes when the smallest item leaves.
#[derive(Clone, Copy, Debug)]
pub struct PopPlan {
    path: [usize; DEPTH],
    /// The last item lands at `path[landing]`.
    landing: usize,
}

impl<D: Copy> Heap<D> {
    /// The items in array order.
    pub fn items(&self) -> &[Item<D>] {
        &self.items
    }

    /// Changes with every change of the heap.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Makes room for one more item.
    pub fn reserve(&mut self) -> Result<(), TryReserveError> {
        self.items.try_reserve(1)
    }

    /// Where an item with this deadline belongs.
    pub fn plan_push(&self, deadline: &D, mut less: impl FnMut(&D, &D) -> Answer) -> Option<usize> {
        let mut at = self.items.len();
        while at > 0 {
            let parent = (at - 1) / 2;
            if !less(deadline, &self.items[parent].deadline)? {
                break;
            }
            at = parent;
        }
        Some(at)
    }

    /// Adds an item where [`plan_push`](Self::plan_push) says, with no change in between.
    pub fn push(&mut self, item: Item<D>, at: usize) {
        self.version += 1;
        let mut hole = self.items.len();
        self.items.push(item);
        while hole > at {
            let parent = (hole - 1) / 2;
            self.items[hole] = self.items[parent];
            hole = parent;
        }
        self.items[at] = item;
    }

    /// How to remove the smallest item of a heap that is not empty.
    pub fn plan_pop(&self, mut less: impl FnMut(&D, &D) -> Answer) -> Option<PopPlan> {
        let end = self.items.len() - 1;
        let mut plan = PopPlan {
            path: [0; DEPTH],
            landing: 0,
        };
        let mut depth = 0;
        let mut at = 0;
        while 2 * at + 1 < end {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            at = if right < end && !less(&self.items[left].deadline, &self.items[right].deadline)? {
                right
            } else {
                left
            };
            depth += 1;
            plan.path[depth] = at;
        }
        while depth > 0 {
            if !less(
                &self.items[end].deadline,
                &self.items[plan.path[depth]].deadline,
            )? {
                break;
            }
            depth -= 1;
        }
        plan.landing = depth;
        Some(plan)
    }

    /// Removes the smallest item as [`plan_pop`](Self::plan_pop) says, with no change in between.
    pub fn pop(&mut self, plan: &PopPlan) -> Item<D> {
        self.version += 1;
        let smallest = self.items[0];
        let last = self
            .items
            .pop()
            .expect("planned on a heap that is not empty");
        if !self.items.is_empty() {
            for step in 0..plan.landing {
                self.items[plan.path[step]] = self.items[plan.path[step + 1]];
            }
            self.items[plan.path[plan.landing]] = last;
        }
        smallest
    }

    /// Replaces the items, which must be in heap order, and returns the old ones.
    pub fn replace(&mut self, items: Vec<Item<D>>) -> Vec<Item<D>> {
        self.version += 1;
        std::mem::replace(&mut self.items, items)
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.items.capacity() * size_of::<Item<D>>()
    }
}

/// Brings items into heap order with a comparison that may fail; then the order is undefined, but
/// every item is still there.
pub fn heapify<D: Copy, E>(
    items: &mut [Item<D>],
    mut less: impl FnMut(&D, &D) -> Result<bool, E>,
) -> Result<(), E> {
    (0..items.len() / 2).rev().try_for_each(|root| {
        let moving = items[root];
        let mut hole = root;
        let result = sift(items, root, &moving, &mut hole, &mut less);
        items[hole] = moving;
        result
    })
}

/// Moves the hole at `root` to where `moving` belongs.
fn sift<D: Copy, E>(
    items: &mut [Item<D>],
    root: usize,
    moving: &Item<D>,
    hole: &mut usize,
    less: &mut impl FnMut(&D, &D) -> Result<bool, E>,
) -> Result<(), E> {
    while 2 * *hole + 1 < items.len() {
        let (left, right) = (2 * *hole + 1, 2 * *hole + 2);
        let right_first =
            right < items.len() && !less(&items[left].deadline, &items[right].deadline)?;
        let child = if right_first { right } else { left };
        items[*hole] = items[child];
        *hole = child;
    }
    while *hole > root {
        let parent = (*hole - 1) / 2;
        if !less(&moving.deadline, &items[parent].deadline)? {
            break;
        }
        items[*hole] = items[parent];
        *hole = parent;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(a: &i64, b: &i64) -> Answer {
        Some(a < b)
    }

    fn item(deadline: i64) -> Item<i64> {
        Item {
            deadline,
            slot: deadline as u32,
            ticket: 0,
        }
    }

    fn heap_of(deadlines: &[i64]) -> Heap<i64> {
        let mut heap = Heap::default();
        for &deadline in deadlines {
            let at = heap.plan_push(&deadline, known).expect("known");
            heap.push(item(deadline), at);
        }
        heap
    }

    fn array(heap: &Heap<i64>) -> Vec<i64> {
        heap.items().iter().map(|item| item.deadline).collect()
    }

    /// The arrays are what Python's `heapq` makes of the same pushes and pops.
    #[test]
    fn array_order_equals_heapq() {
        let mut heap = heap_of(&[5, 3, 8, 1, 9, 2, 7, 4]);
        assert_eq!(array(&heap), [1, 3, 2, 4, 9, 8, 7, 5]);
        let plan = heap.plan_pop(known).expect("known");
        assert_eq!(heap.pop(&plan).deadline, 1);
        assert_eq!(array(&heap), [2, 3, 5, 4, 9, 8, 7]);
        let mut items: Vec<_> = [5, 3, 8, 1, 9, 2, 7, 4].map(item).into();
        heapify(&mut items, |a, b| Ok::<_, ()>(a < b)).expect("infallible");
        let order: Vec<_> = items.iter().map(|item| item.deadline).collect();
        assert_eq!(order, [1, 3, 2, 4, 9, 8, 7, 5]);
    }

    #[test]
    fn items_come_out_in_order() {
        let mut heap = heap_of(&[5, 3, 8, 1, 9, 2, 7, 4, 3, 3]);
        let mut out = Vec::new();
        while !heap.items().is_empty() {
            let plan = heap.plan_pop(known).expect("known");
            out.push(heap.pop(&plan).deadline);
        }
        assert_eq!(out, [1, 2, 3, 3, 3, 4, 5, 7, 8, 9]);
    }

    #[test]
    fn a_failed_comparison_loses_no_item() {
        let deadlines = [5, 3, 8, 1, 9, 2, 7, 4, 6, 0];
        for patience in 0..30 {
            let mut left = patience;
            let mut items: Vec<_> = deadlines.map(item).into();
            let _ = heapify(&mut items, |a, b| {
                left -= 1;
                if left < 0 { Err(()) } else { Ok(a < b) }
            });
            let mut kept: Vec<_> = items.iter().map(|item| item.deadline).collect();
            kept.sort_unstable();
            assert_eq!(
                kept,
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
                "after {patience} comparisons"
            );
        }
    }

    #[test]
    fn an_unknown_comparison_stops_the_plan_and_changes_nothing() {
        let heap = heap_of(&[5, 3, 8]);
        let before = heap.version();
        assert!(heap.plan_push(&1, |_, _| None).is_none());
        assert!(heap.plan_pop(|_, _| None).is_none());
        assert_eq!((array(&heap), heap.version()), (vec![3, 5, 8], before));
    }
}
