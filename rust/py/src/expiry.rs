//! When the items of a cache are due.
//!
//! Like everything in the store this runs inside the critical region; what only Python code can
//! decide is handed out as a question.

use std::collections::TryReserveError;

use overdrive_core::Slot;
use overdrive_core::heap::{Heap, heapify};
use overdrive_core::ring::Ring;

use crate::clock;
use crate::deadline::{Deadline, Memo};
use crate::obj::{Gone, Obj};

/// How items expire.
pub enum Expiry {
    Never,
    /// Every item lives equally long: they are due in the order in which they were set.
    InOrder(Box<InOrder>),
    /// Each item has a deadline of its own.
    ByHeap(Box<ByHeap>),
}

#[derive(Default)]
pub struct InOrder {
    /// A third ring over the same slots, beside those of insertion and use.
    pub due: Ring<16>,
    deadlines: Deadlines,
}

#[derive(Default)]
pub struct ByHeap {
    pub heap: Heap<Deadline>,
    deadlines: Deadlines,
    /// Which filling of the slot its live heap item is; 0 for none.
    tickets: Vec<u64>,
    last_ticket: u64,
}

/// A deadline in the heap.
pub type HeapItem = overdrive_core::heap::Item<Deadline>;

/// The deadline of each slot: eight bytes, NaN standing for an object in `foreign`.
#[derive(Default)]
struct Deadlines {
    numbers: Vec<f64>,
    foreign: Vec<Option<Obj>>,
}

/// The time at which items are judged.
#[derive(Clone, Copy)]
pub enum Instant {
    /// Now, by the native clock.
    Native,
    At(f64),
    /// A time that is no number.
    Foreign,
}

/// Whether an item that is due may still be returned.
pub enum Verdict {
    Live,
    Expired,
    /// Only Python code can compare; the reference stays with the store.
    Ask(Deadline),
}

/// The next thing to do about expired items.
pub enum Due {
    /// Nothing has expired.
    Nothing,
    /// This item has; it is to be taken out.
    Slot(Slot),
    /// A deadline of an item that was removed before, dropped.
    Dead,
    /// Only Python code can judge this deadline; carries a reference.
    Judge(Deadline),
    /// Only Python code can compare these; each carries a reference.
    Compare(Deadline, Deadline),
}

/// Why a deadline cannot be set.
pub enum Obstacle {
    Memory,
    /// Only Python code can compare these; each carries a reference.
    Compare(Deadline, Deadline),
}

impl From<TryReserveError> for Obstacle {
    fn from(_: TryReserveError) -> Self {
        Obstacle::Memory
    }
}

impl Expiry {
    fn deadlines(&self) -> Option<&Deadlines> {
        match self {
            Expiry::Never => None,
            Expiry::InOrder(timed) => Some(&timed.deadlines),
            Expiry::ByHeap(timed) => Some(&timed.deadlines),
        }
    }

    /// The deadline of a slot in use, if items expire at all.
    pub fn deadline(&self, slot: Slot) -> Option<Deadline> {
        self.deadlines().map(|deadlines| deadlines.get(slot))
    }

    /// Whether an item may still be returned.
    #[inline]
    pub fn judge(&self, slot: Slot, now: Instant) -> Verdict {
        match self.deadlines() {
            None => Verdict::Live,
            Some(deadlines) => judge(deadlines.get(slot), now),
        }
    }

    /// As [`judge`](Self::judge), with an answer that Python gave.
    pub fn judge_knowing(
        &self,
        slot: Slot,
        now: Instant,
        answer: Option<(Deadline, bool)>,
    ) -> Verdict {
        match self.deadlines() {
            None => Verdict::Live,
            Some(deadlines) => judge_knowing(deadlines.get(slot), now, answer),
        }
    }

    /// Makes room for slots below `slots`.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        match self {
            Expiry::Never => Ok(()),
            Expiry::InOrder(timed) => {
                timed.due.reserve(slots)?;
                timed.deadlines.reserve(slots)
            }
            Expiry::ByHeap(timed) => {
                timed.deadlines.reserve(slots)?;
                let missing = slots.saturating_sub(timed.tickets.len());
                timed.tickets.try_reserve(missing)?;
                timed.tickets.resize(slots.max(timed.tickets.len()), 0);
                Ok(())
            }
        }
    }

    /// Finds the place of a deadline and makes room for it, or says what stands against it.
    #[inline]
    pub fn plan(&mut self, deadline: Option<Deadline>, memo: &Memo) -> Result<usize, Obstacle> {
        let Some(deadline) = deadline else {
            return Ok(0);
        };
        match self {
            Expiry::Never => Ok(0),
            Expiry::InOrder(timed) => {
                timed.deadlines.reserve_for(deadline)?;
                Ok(0)
            }
            Expiry::ByHeap(timed) => {
                timed.deadlines.reserve_for(deadline)?;
                timed.heap.reserve()?;
                let mut unknown = None;
                let place = timed
                    .heap
                    .plan_push(&deadline, remembered(memo, &mut unknown));
                place.ok_or_else(|| {
                    let (a, b) = unknown.expect("the plan stops only at an unknown answer");
                    Obstacle::Compare(a.incref(), b.incref())
                })
            }
        }
    }

    /// Sets the deadline of a slot at the place planned for it.
    #[inline]
    pub fn set(&mut self, slot: Slot, deadline: Option<Deadline>, place: usize, gone: &mut Gone) {
        let Some(deadline) = deadline else { return };
        match self {
            Expiry::Never => {}
            Expiry::InOrder(timed) => {
                timed.deadlines.set(slot, deadline.incref(), gone);
                if timed.due.contains(slot) {
                    timed.due.move_to_back(slot);
                } else {
                    timed.due.push_back(slot);
                }
            }
            Expiry::ByHeap(timed) => {
                timed.deadlines.set(slot, deadline.incref(), gone);
                let ticket = timed.new_ticket(slot);
                timed.heap.push(
                    HeapItem {
                        deadline: deadline.incref(),
                        slot,
                        ticket,
                    },
                    place,
                );
            }
        }
    }

    /// Drops the deadline of a slot that is being emptied.
    #[inline]
    pub fn unset(&mut self, slot: Slot, gone: &mut Gone) {
        match self {
            Expiry::Never => {}
            Expiry::InOrder(timed) => {
                timed.due.remove(slot);
                timed.deadlines.unset(slot, gone);
            }
            Expiry::ByHeap(timed) => {
                timed.tickets[slot as usize] = 0; // its heap item is dead now
                timed.deadlines.unset(slot, gone);
            }
        }
    }

    /// The next item that has expired, or why there is none. `verdict` is what Python said about
    /// the deadline it was asked to judge.
    #[inline]
    pub fn next_due(
        &mut self,
        now: Instant,
        verdict: Option<(Deadline, bool)>,
        memo: &Memo,
        gone: &mut Gone,
    ) -> Due {
        match self {
            Expiry::Never => Due::Nothing,
            Expiry::InOrder(timed) => {
                let Some(slot) = timed.due.front() else {
                    return Due::Nothing;
                };
                match judge_knowing(timed.deadlines.get(slot), now, verdict) {
                    Verdict::Live => Due::Nothing,
                    Verdict::Ask(deadline) => Due::Judge(deadline.incref()),
                    Verdict::Expired => Due::Slot(slot),
                }
            }
            Expiry::ByHeap(timed) => timed.next_due(now, verdict, memo, gone),
        }
    }

    /// Drops dead deadlines from the heap once they outnumber the `len` live ones. With foreign
    /// deadlines Python has to do the ordering: the live ones are returned then, each with a
    /// reference, with the heap's version.
    pub fn compact(&mut self, len: usize, gone: &mut Gone) -> Option<(Vec<HeapItem>, u64)> {
        let Expiry::ByHeap(timed) = self else {
            return None;
        };
        if timed.heap.items().len() <= 2 * len {
            return None;
        }
        let mut live: Vec<HeapItem> = timed.live_items().copied().collect();
        let by_number = live
            .iter()
            .all(|item| matches!(item.deadline, Deadline::Number(_)))
            && heapify(&mut live, |a, b| Memo::default().less(a, b).ok_or(())).is_ok();
        if by_number {
            timed
                .heap
                .replace(live)
                .iter()
                .for_each(|item| item.deadline.give_up(gone));
            return None;
        }
        let owned = timed.live_items().map(|item| HeapItem {
            deadline: item.deadline.incref(),
            ..*item
        });
        Some((owned.collect(), timed.heap.version()))
    }

    /// Installs what Python ordered, unless the heap has changed since; returns what is left over.
    pub fn install(&mut self, items: Vec<HeapItem>, version: u64) -> Vec<HeapItem> {
        match self {
            Expiry::ByHeap(timed) if timed.heap.version() == version => timed.heap.replace(items),
            _ => items,
        }
    }

    /// Sets all deadlines at once from a heap's array; the references of the array are taken over.
    /// Items without a slot are dead.
    pub fn restore_heap(
        &mut self,
        array: Vec<(Option<(Slot, Deadline)>, Deadline)>,
        gone: &mut Gone,
    ) -> Result<(), TryReserveError> {
        let Expiry::ByHeap(timed) = self else {
            return Ok(());
        };
        let mut items = Vec::with_capacity(array.len());
        for (live, deadline) in array {
            let item = match live {
                Some((slot, own)) => {
                    timed.deadlines.reserve_for(own)?;
                    timed.deadlines.set(slot, own.incref(), gone);
                    HeapItem {
                        deadline,
                        slot,
                        ticket: timed.new_ticket(slot),
                    }
                }
                None => HeapItem {
                    deadline,
                    slot: 0,
                    ticket: DEAD,
                },
            };
            items.push(item);
        }
        timed.heap.replace(items);
        Ok(())
    }

    /// Forgets every slot.
    pub fn clear(&mut self, gone: &mut Gone) {
        match self {
            Expiry::Never => {}
            Expiry::InOrder(timed) => {
                timed.due.clear();
                timed.deadlines.clear(gone);
            }
            Expiry::ByHeap(timed) => {
                timed
                    .heap
                    .replace(Vec::new())
                    .iter()
                    .for_each(|item| item.deadline.give_up(gone));
                timed.deadlines.clear(gone);
                timed.tickets = Vec::new();
            }
        }
    }

    /// Every reference held.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        let heap = match self {
            Expiry::ByHeap(timed) => timed.heap.items(),
            _ => &[],
        };
        let in_heap = heap.iter().filter_map(|item| match &item.deadline {
            Deadline::Foreign(object) => Some(object),
            Deadline::Number(_) => None,
        });
        self.deadlines()
            .into_iter()
            .flat_map(|deadlines| &deadlines.foreign)
            .flatten()
            .chain(in_heap)
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        match self {
            Expiry::Never => 0,
            Expiry::InOrder(timed) => {
                size_of::<InOrder>() + timed.due.memory() + timed.deadlines.memory()
            }
            Expiry::ByHeap(timed) => {
                let tickets = timed.tickets.capacity() * size_of::<u64>();
                size_of::<ByHeap>() + timed.heap.memory() + timed.deadlines.memory() + tickets
            }
        }
    }

    /// Says what is wrong, if anything; `len` items should have a deadline.
    pub fn check(&self, len: usize) -> Result<(), String> {
        match self {
            Expiry::Never => Ok(()),
            Expiry::InOrder(timed) => timed.due.check(len),
            Expiry::ByHeap(timed) => {
                let live = timed.live_items().count();
                if live == len {
                    Ok(())
                } else {
                    Err(format!("expiry: {live} live deadlines for {len} items"))
                }
            }
        }
    }
}

/// The ticket of heap items that were dead when they were restored; no slot ever has it.
const DEAD: u64 = u64::MAX;

impl ByHeap {
    /// Whether the item is the present one of its slot.
    pub fn is_live(&self, item: &HeapItem) -> bool {
        self.tickets.get(item.slot as usize) == Some(&item.ticket)
    }

    fn live_items(&self) -> impl Iterator<Item = &HeapItem> {
        self.heap.items().iter().filter(|item| self.is_live(item))
    }

    fn new_ticket(&mut self, slot: Slot) -> u64 {
        self.last_ticket += 1;
        self.tickets[slot as usize] = self.last_ticket;
        self.last_ticket
    }

    fn next_due(
        &mut self,
        now: Instant,
        verdict: Option<(Deadline, bool)>,
        memo: &Memo,
        gone: &mut Gone,
    ) -> Due {
        let Some(&first) = self.heap.items().first() else {
            return Due::Nothing;
        };
        let live = self.is_live(&first);
        if live {
            match judge_knowing(first.deadline, now, verdict) {
                Verdict::Live => return Due::Nothing,
                Verdict::Ask(deadline) => return Due::Judge(deadline.incref()),
                Verdict::Expired => {}
            }
        }
        let mut unknown = None;
        let Some(plan) = self.heap.plan_pop(remembered(memo, &mut unknown)) else {
            let (a, b) = unknown.expect("the plan stops only at an unknown answer");
            return Due::Compare(a.incref(), b.incref());
        };
        self.heap.pop(&plan).deadline.give_up(gone);
        if live {
            Due::Slot(first.slot)
        } else {
            Due::Dead
        }
    }
}

/// A comparison for the heap that notes what it does not know.
fn remembered<'a>(
    memo: &'a Memo,
    unknown: &'a mut Option<(Deadline, Deadline)>,
) -> impl FnMut(&Deadline, &Deadline) -> Option<bool> + 'a {
    |a, b| {
        let answer = memo.less(a, b);
        if answer.is_none() {
            *unknown = Some((*a, *b));
        }
        answer
    }
}

/// Whether a deadline is ahead.
#[inline]
fn judge(deadline: Deadline, now: Instant) -> Verdict {
    let live = match (deadline, now) {
        (Deadline::Number(deadline), Instant::At(now)) => now < deadline,
        (Deadline::Number(deadline), Instant::Native) => clock::is_before(deadline),
        _ => return Verdict::Ask(deadline),
    };
    if live {
        Verdict::Live
    } else {
        Verdict::Expired
    }
}

/// As [`judge`], with an answer that Python gave.
#[inline]
fn judge_knowing(deadline: Deadline, now: Instant, answer: Option<(Deadline, bool)>) -> Verdict {
    match (judge(deadline, now), answer) {
        (Verdict::Ask(asked), Some((known, true))) if known.is(asked) => Verdict::Live,
        (Verdict::Ask(asked), Some((known, false))) if known.is(asked) => Verdict::Expired,
        (verdict, _) => verdict,
    }
}

impl Deadlines {
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        if self.numbers.len() < slots {
            self.numbers.try_reserve(slots - self.numbers.len())?;
            self.numbers.resize(slots, 0.0);
        }
        Ok(())
    }

    /// Makes room for a foreign deadline, which most caches never have.
    fn reserve_for(&mut self, deadline: Deadline) -> Result<(), TryReserveError> {
        if matches!(deadline, Deadline::Foreign(_)) && self.foreign.len() < self.numbers.len() {
            self.foreign
                .try_reserve(self.numbers.len() - self.foreign.len())?;
            self.foreign.resize(self.numbers.len(), None);
        }
        Ok(())
    }

    #[inline]
    fn get(&self, slot: Slot) -> Deadline {
        let number = self.numbers[slot as usize];
        if number.is_nan()
            && let Some(Some(object)) = self.foreign.get(slot as usize)
        {
            Deadline::Foreign(*object)
        } else {
            Deadline::Number(number)
        }
    }

    /// Sets the deadline, taking over its reference, and gives up the previous one's.
    fn set(&mut self, slot: Slot, deadline: Deadline, gone: &mut Gone) {
        self.unset(slot, gone);
        match deadline {
            Deadline::Number(number) => self.numbers[slot as usize] = number,
            Deadline::Foreign(object) => {
                self.numbers[slot as usize] = f64::NAN;
                self.foreign[slot as usize] = Some(object);
            }
        }
    }

    fn unset(&mut self, slot: Slot, gone: &mut Gone) {
        if let Some(foreign) = self.foreign.get_mut(slot as usize)
            && let Some(object) = foreign.take()
        {
            gone.push(object);
        }
    }

    fn clear(&mut self, gone: &mut Gone) {
        std::mem::take(&mut self.foreign)
            .into_iter()
            .flatten()
            .for_each(|object| gone.push(object));
        self.numbers = Vec::new();
    }

    fn memory(&self) -> usize {
        self.numbers.capacity() * size_of::<f64>()
            + self.foreign.capacity() * size_of::<Option<Obj>>()
    }
}
