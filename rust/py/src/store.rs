//! What a cache holds, and the operations on it that run inside the critical region.
//!
//! Nothing here runs Python code or gives up a reference: what leaves is handed to the caller or
//! pushed to a `Gone`. Whatever may fail for want of memory comes first in an operation, before
//! anything has changed.

use overdrive_core::budget::Budget;
use overdrive_core::hints::Hints;
use overdrive_core::index::Index;
use overdrive_core::policy::{
    Adaptive, Arc, Fifo, Lfu, Lirs, Lru, Policy, Random, S3Fifo, Sieve, TwoQ, WTinyLfu,
};
use overdrive_core::ring::Ring;
use overdrive_core::size::{Size, Total};
use overdrive_core::{MAX_SLOTS, Slot};

use crate::config::Config;
use crate::deadline::{Deadline, Memo};
use crate::expiry::{Expiry, Obstacle};
use crate::key::{Asked, Same, same};
use crate::obj::{Gone, Obj, release};

/// A key, its value and its hash. An empty slot has no key; its hash names the next empty slot.
#[derive(Clone, Copy)]
struct Entry {
    key: Option<Obj>,
    value: Option<Obj>,
    hash: u64,
}

const NO_SLOT: u64 = u64::MAX;

/// Who decides what leaves.
pub enum Eviction {
    /// The item inserted first; the base class has no policy of its own.
    Insertion,
    Fifo(Fifo),
    Lru(Lru),
    Lfu(Lfu),
    Random(Random),
    // Boxed, so that they do not enlarge every cache.
    Arc(Box<Arc>),
    TwoQ(Box<TwoQ>),
    S3Fifo(Box<S3Fifo>),
    Sieve(Box<Sieve>),
    Lirs(Box<Lirs>),
    WTinyLfu(Box<WTinyLfu>),
    Adaptive(Box<Adaptive>),
}

/// The contents of a cache.
pub struct Store {
    index: Index,
    hints: Hints,
    entries: Vec<Entry>,
    empty: u64,
    /// The policy is LRU, and items do not expire.
    plain: bool,
    /// Slots in insertion order, as a `dict` iterates.
    order: Ring,
    /// Advances whenever a slot is filled or emptied; reads leave it alone.
    epoch: u64,
    pub policy: Eviction,
    pub budget: Budget,
    pub expiry: Expiry,
    pub config: Config,
    pub tally: Tally,
}

/// How many items left by themselves, since the cache was made.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub evicted: u64,
    pub expired: u64,
}

/// Where a key is.
pub enum Probe {
    Slot(Slot),
    Absent,
    /// `Asked` has new questions.
    Ask,
}

/// Where a key is, as far as that can be said at once.
#[derive(Clone, Copy)]
pub enum Quick {
    Slot(Slot),
    Absent,
    /// Only Python code can compare the keys.
    Ask,
}

/// What to put into the store; all references are borrowed.
pub struct Item {
    pub hash: u64,
    pub key: Obj,
    pub value: Obj,
    pub size: Size,
    pub deadline: Option<Deadline>,
}

/// What came of putting an item.
pub enum Put {
    Done,
    /// Something must leave first, and it is not for the store to say what.
    Full,
    TooLarge,
    Negative,
    NoMemory,
    TooMany,
    /// Only Python code can compare these two deadlines; each carries a reference.
    Compare(Deadline, Deadline),
}

impl From<Obstacle> for Put {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Memory => Put::NoMemory,
            Obstacle::Compare(a, b) => Put::Compare(a, b),
        }
    }
}

impl Entry {
    const EMPTY: Entry = Entry {
        key: None,
        value: None,
        hash: NO_SLOT,
    };

    fn holding(item: &Item) -> Self {
        Self {
            key: Some(item.key.incref()),
            value: Some(item.value.incref()),
            hash: item.hash,
        }
    }
}

/// Runs a policy method without dynamic dispatch, which would not be inlined.
macro_rules! with_policy {
    ($eviction:expr, $none:expr, $policy:ident => $body:expr) => {
        match $eviction {
            Eviction::Insertion => $none,
            Eviction::Fifo($policy) => $body,
            Eviction::Lru($policy) => $body,
            Eviction::Lfu($policy) => $body,
            Eviction::Random($policy) => $body,
            Eviction::Arc($policy) => $body,
            Eviction::TwoQ($policy) => $body,
            Eviction::S3Fifo($policy) => $body,
            Eviction::Sieve($policy) => $body,
            Eviction::Lirs($policy) => $body,
            Eviction::WTinyLfu($policy) => $body,
            Eviction::Adaptive($policy) => $body,
        }
    };
}

impl Store {
    /// An empty store.
    #[inline(always)]
    pub fn new(policy: Eviction, budget: Budget, expiry: Expiry, config: Config) -> Self {
        Self {
            plain: matches!((&policy, &expiry), (Eviction::Lru(_), Expiry::Never)),
            index: Index::new(),
            hints: Hints::new(),
            entries: Vec::new(),
            empty: NO_SLOT,
            order: Ring::new(),
            epoch: 0,
            policy,
            budget,
            expiry,
            config,
            tally: Tally::default(),
        }
    }

    /// A store that holds nothing and takes nothing.
    pub fn uninitialised() -> Self {
        Self::new(
            Eviction::Insertion,
            Budget::units(Total::ZERO),
            Expiry::Never,
            Config::default(),
        )
    }

    /// The number of items, expired ones included.
    #[inline]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Looks a key up.
    #[inline]
    pub fn find(&self, hash: u64, key: Obj, asked: &mut Asked) -> Probe {
        let mut ask = false;
        let found = self.find_by(hash, key, |stored| {
            asked.answer(stored).unwrap_or_else(|| {
                asked.note(stored);
                ask = true;
                false
            })
        });
        match found {
            Some(slot) => Probe::Slot(slot),
            None if ask => Probe::Ask,
            None => Probe::Absent,
        }
    }

    /// Looks up a key as far as that takes no Python code.
    #[inline(always)]
    pub fn find_now(&self, hash: u64, key: Obj) -> Quick {
        let mut ask = false;
        let found = self.find_by(hash, key, |_| {
            ask = true;
            false
        });
        match found {
            Some(slot) => Quick::Slot(slot),
            None if ask => Quick::Ask,
            None => Quick::Absent,
        }
    }

    /// The slot and its value, if it holds this very key.
    #[inline(always)]
    pub fn find_at(&self, slot: Slot, key: Obj) -> Option<(Slot, Obj)> {
        let entry = self.entries.get(slot as usize)?;
        if entry.key == Some(key) {
            entry.value.map(|value| (slot, value))
        } else {
            None
        }
    }

    /// The slot that holds a key for which `is_key` holds, and its value, if there is a hint that leads
    /// there from `address`.
    #[inline(always)]
    pub fn find_hinted(&self, address: usize, is_key: impl Fn(Obj) -> bool) -> Option<(Slot, Obj)> {
        self.hints.find(address, |slot| {
            let entry = self.entries.get(slot as usize)?;
            if is_key(entry.key?) {
                entry.value
            } else {
                None
            }
        })
    }

    /// Leaves a hint for [`find_hinted`](Self::find_hinted).
    #[inline(always)]
    pub fn hint(&mut self, address: usize, slot: Slot) {
        self.hints.note(address, slot);
    }

    /// Whether the policy is LRU, and items do not expire: the case that has short ways of its own.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// As [`touch`](Self::touch), in a plain store.
    #[inline(always)]
    pub fn touch_plainly(&mut self, slot: Slot) {
        if let Eviction::Lru(policy) = &mut self.policy {
            policy.on_hit(slot);
        }
    }

    /// As [`touch`](Self::touch), with little code where it is inlined.
    #[inline(always)]
    pub fn touch_quickly(&mut self, slot: Slot) {
        // Not `match`, which would become a jump through a table.
        if let Eviction::Lru(policy) = &mut self.policy {
            policy.on_hit(slot);
        } else {
            self.touch_out_of_line(slot);
        }
    }

    #[inline(never)]
    fn touch_out_of_line(&mut self, slot: Slot) {
        self.touch(slot);
    }

    /// Looks up a key by its hash and a comparison.
    #[inline(always)]
    pub fn find_where(&self, hash: u64, mut same: impl FnMut(Obj) -> Same) -> Quick {
        let mut ask = false;
        let found = self.index.find(hash, |slot| {
            let entry = &self.entries[slot as usize];
            let Some(stored) = entry.key.filter(|_| entry.hash == hash) else {
                return false;
            };
            match same(stored) {
                Same::Yes => true,
                Same::No => false,
                Same::Ask => {
                    ask = true;
                    false
                }
            }
        });
        match found {
            Some(slot) => Quick::Slot(slot),
            None if ask => Quick::Ask,
            None => Quick::Absent,
        }
    }

    #[inline(always)]
    fn find_by(&self, hash: u64, key: Obj, mut ask: impl FnMut(Obj) -> bool) -> Option<Slot> {
        self.index.find(hash, |slot| {
            let entry = &self.entries[slot as usize];
            let Some(stored) = entry.key.filter(|_| entry.hash == hash) else {
                return false;
            };
            match same(stored, key) {
                Same::Yes => true,
                Same::No => false,
                Same::Ask => ask(stored),
            }
        })
    }

    /// The key in a slot that is in use.
    #[inline]
    pub fn key(&self, slot: Slot) -> Obj {
        self.entries[slot as usize].key.expect("slot is in use")
    }

    /// The hash of the key in a slot that is in use.
    pub fn hash(&self, slot: Slot) -> u64 {
        self.entries[slot as usize].hash
    }

    /// The value in a slot that is in use.
    #[inline]
    pub fn value(&self, slot: Slot) -> Obj {
        self.entries[slot as usize].value.expect("slot is in use")
    }

    /// Whether the slot still holds exactly this key object.
    pub fn holds(&self, slot: Slot, key: Obj) -> bool {
        self.entries
            .get(slot as usize)
            .is_some_and(|entry| entry.key == Some(key))
    }

    /// Slots in insertion order.
    pub fn order(&self) -> &Ring {
        &self.order
    }

    /// Differs from what it was if a slot was filled or emptied since.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the place of another store: iterators must notice.
    pub fn succeed(&mut self, other: &Store) {
        self.epoch = other.epoch + 1;
    }

    /// Counts a use of the item.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        with_policy!(&mut self.policy, (), policy => policy.on_hit(slot));
    }

    /// Whether a read changes the eviction order.
    pub fn counts_reads(&self) -> bool {
        !matches!(
            self.policy,
            Eviction::Insertion | Eviction::Fifo(_) | Eviction::Random(_)
        )
    }

    /// The item to evict next, where that is for the store to say.
    #[inline]
    pub fn victim(&mut self, newcomer: Option<u64>) -> Option<Slot> {
        with_policy!(&mut self.policy, self.order.front(), policy => policy.victim(newcomer))
    }

    #[inline(never)]
    fn victim_out_of_line(&mut self, newcomer: u64) -> Option<Slot> {
        self.victim(Some(newcomer))
    }

    /// Why an item of this size can never be stored, if so.
    #[inline]
    pub fn refuses(&self, size: Size) -> Option<Put> {
        if !self.budget.admits(size) {
            Some(Put::TooLarge)
        } else if Total::from(size).is_negative() {
            Some(Put::Negative)
        } else {
            None
        }
    }

    /// Stores an item at the slot of an equal key, or anew; makes room if it may.
    #[inline]
    pub fn put(
        &mut self,
        at: Option<Slot>,
        item: &Item,
        may_evict: bool,
        memo: &Memo,
        gone: &mut Gone,
    ) -> Put {
        if let Some(refusal) = self.refuses(item.size) {
            return refusal;
        }
        let full = self.budget.is_over(self.len(), item.size, at);
        let one_for_one = full && at.is_none() && may_evict && self.budget.sizes().is_none();
        let recycled = if one_for_one {
            self.victim(Some(item.hash))
        } else {
            None
        };
        if at.is_none()
            && let Err(shortage) = self.reserve(recycled.is_none())
        {
            return shortage;
        }
        let place = match self.expiry.plan(item.deadline, memo) {
            Ok(place) => place,
            Err(obstacle) => return obstacle.into(),
        };
        let mut at = at;
        let slot = if let Some(victim) = recycled {
            let (key, value) = self.recycle(victim, item.hash, item.key, item.value);
            gone.push(key);
            gone.push(value);
            victim
        } else {
            let newcomer = at.is_none().then_some(item.hash);
            while self.budget.is_over(self.len(), item.size, at) {
                let Some(victim) = self.victim(newcomer).filter(|_| may_evict) else {
                    return Put::Full;
                };
                let (key, value) = self.evict(victim, gone);
                gone.push(key);
                gone.push(value);
                at = at.filter(|&slot| slot != victim);
            }
            match at {
                Some(slot) => self.replace(slot, item, gone),
                None => self.fill(item),
            }
        };
        self.expiry.set(slot, item.deadline, place, gone);
        Put::Done
    }

    /// Stores an item of size one at the slot of an equal key, if items are only counted and never
    /// expire: then there is nothing to make room for and nothing that may fail.
    #[inline]
    pub fn overwrite(&mut self, slot: Slot, item: &Item, gone: &mut Gone) -> bool {
        let simple = self.budget.sizes().is_none() && matches!(self.expiry, Expiry::Never);
        if simple {
            self.replace(slot, item, gone);
        }
        simple
    }

    /// Stores an item of size one, whose key is absent, in place of the one to evict, and hands out the
    /// key and value of that with their references: what a full cache does most of the time. `None`
    /// says nothing and changes nothing.
    #[inline(always)]
    pub fn exchange(&mut self, hash: u64, key: Obj, value: Obj) -> Option<(Obj, Obj)> {
        let Budget::Units { capacity: 1.. } = self.budget else {
            return None;
        };
        let full = self.budget.is_over(self.len(), Size::Int(1), None);
        if !full || !matches!(self.expiry, Expiry::Never) {
            return None;
        }
        let victim = match &mut self.policy {
            Eviction::Lru(policy) => policy.victim(None),
            Eviction::Fifo(policy) => policy.victim(None),
            Eviction::Lfu(policy) => policy.victim(None),
            _ => self.victim_out_of_line(hash),
        }?;
        self.reserve(false).ok()?;
        Some(self.recycle(victim, hash, key, value))
    }

    /// Stores an item without a deadline, whatever the budget says; `None` if there is no memory.
    pub fn restore(&mut self, at: Option<Slot>, item: &Item, gone: &mut Gone) -> Option<Slot> {
        if let Some(slot) = at {
            return Some(self.replace(slot, item, gone));
        }
        self.reserve(true).ok()?;
        Some(self.fill(item))
    }

    /// Empties a slot, leaving its references to `gone`.
    pub fn remove(&mut self, slot: Slot, gone: &mut Gone) {
        let (key, value) = self.take(slot, gone);
        gone.push(key);
        gone.push(value);
    }

    /// Empties the slot of an item that has expired.
    pub fn expire(&mut self, slot: Slot, gone: &mut Gone) {
        self.tally.expired += 1;
        self.remove(slot, gone);
    }

    /// Withholds an item from the policy, which cannot evict it then. It may not be used, replaced or
    /// removed until it was [handed back](Self::hand_back).
    pub fn withhold(&mut self, slot: Slot) {
        with_policy!(&mut self.policy, (), policy => policy.on_remove(slot));
    }

    /// Ends what [`withhold`](Self::withhold) began; the item is as if it had just been stored.
    pub fn hand_back(&mut self, slot: Slot) {
        let hash = self.entries[slot as usize].hash;
        with_policy!(&mut self.policy, (), policy => policy.on_insert(slot, hash));
    }

    /// The slots that the policy has, from the coldest to the hottest.
    pub fn ranking(&self) -> Vec<Slot> {
        with_policy!(&self.policy, self.order.iter().collect(), policy => policy.ranking())
    }

    /// The value in a slot, if there is such a slot and it is in use.
    pub fn value_at(&self, slot: usize) -> Option<Obj> {
        self.entries.get(slot)?.value
    }

    /// How many slots there are, used or not.
    pub fn slots(&self) -> usize {
        self.entries.len()
    }

    /// Empties a slot and hands out its key and value with their references; its deadline's
    /// reference goes to `gone`.
    #[inline]
    pub fn take(&mut self, slot: Slot, gone: &mut Gone) -> (Obj, Obj) {
        with_policy!(&mut self.policy, (), policy => policy.on_remove(slot));
        self.empty_slot(slot, gone)
    }

    /// As [`take`](Self::take), to make room.
    #[inline]
    pub fn evict(&mut self, slot: Slot, gone: &mut Gone) -> (Obj, Obj) {
        let hash = self.entries[slot as usize].hash;
        with_policy!(&mut self.policy, (), policy => policy.on_evict(slot, hash));
        self.tally.evicted += 1;
        self.empty_slot(slot, gone)
    }

    /// Takes a slot that the policy knows to be out from everywhere else.
    #[inline]
    fn empty_slot(&mut self, slot: Slot, gone: &mut Gone) -> (Obj, Obj) {
        let Entry { key, value, hash } = self.entries[slot as usize];
        self.epoch += 1;
        self.index.remove(hash, slot);
        self.order.remove(slot);
        self.budget.release(slot);
        self.expiry.unset(slot, gone);
        self.entries[slot as usize] = Entry {
            hash: self.empty,
            ..Entry::EMPTY
        };
        self.empty = slot.into();
        (key.expect("slot is in use"), value.expect("slot is in use"))
    }

    /// Empties the store; the old contents are returned, to be dropped outside the region.
    #[must_use]
    pub fn clear(&mut self) -> Contents {
        let mut contents = Contents {
            entries: std::mem::take(&mut self.entries),
            deadlines: Gone::default(),
        };
        self.epoch += 1;
        self.index.clear();
        self.hints.clear();
        self.order.clear();
        self.empty = NO_SLOT;
        with_policy!(&mut self.policy, (), policy => policy.clear());
        self.budget.clear();
        self.expiry.clear(&mut contents.deadlines);
        contents
    }

    /// Every reference that the store holds.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        self.entries
            .iter()
            .flat_map(|entry| [&entry.key, &entry.value])
            .flatten()
            .chain(self.expiry.references())
            .chain(self.config.references())
    }

    /// Bytes allocated beside the store itself.
    pub fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.index.memory()
            + self.hints.memory()
            + self.order.memory()
            + self.budget.memory()
            + self.expiry.memory()
            + with_policy!(&self.policy, 0, policy => policy.memory())
    }

    /// Says which invariant is broken, if any.
    pub fn check(&self) -> Result<(), String> {
        self.check_but(0)
    }

    /// As [`check`](Self::check), with so many items withheld from the policy.
    pub fn check_but(&self, withheld: usize) -> Result<(), String> {
        let len = self.len();
        self.order.check(len)?;
        for slot in self.index.iter() {
            if self.entries[slot as usize].key.is_none() || !self.order.contains(slot) {
                return Err(format!("store: slot {slot} is in the index but not in use"));
            }
        }
        let used = self
            .entries
            .iter()
            .filter(|entry| entry.key.is_some())
            .count();
        if used != len {
            return Err(format!("store: {used} slots in use, the index has {len}"));
        }
        let slots: Vec<Slot> = self.order.iter().collect();
        self.budget.check(slots.into_iter(), withheld > 0)?;
        self.expiry.check(len)?;
        with_policy!(&self.policy, Ok(()), policy => policy.check(len - withheld))
    }

    /// Makes sure that there is room for another key and, if asked for, an empty slot.
    #[inline]
    pub fn reserve(&mut self, slot: bool) -> Result<(), Put> {
        let entries = &self.entries;
        let memory = self.index.reserve(|slot| entries[slot as usize].hash);
        memory.map_err(|_| Put::NoMemory)?;
        if slot && self.empty == NO_SLOT {
            self.new_slot()
        } else {
            Ok(())
        }
    }

    #[cold]
    fn new_slot(&mut self) -> Result<(), Put> {
        let slots = self.entries.len() + 1;
        if slots > MAX_SLOTS {
            return Err(Put::TooMany);
        }
        self.entries.try_reserve(1).map_err(|_| Put::NoMemory)?;
        self.order.reserve(slots).map_err(|_| Put::NoMemory)?;
        self.budget.reserve(slots).map_err(|_| Put::NoMemory)?;
        self.expiry.reserve(slots).map_err(|_| Put::NoMemory)?;
        with_policy!(&mut self.policy, Ok(()), policy => policy.reserve(slots))
            .map_err(|_| Put::NoMemory)?;
        self.entries.push(Entry::EMPTY);
        self.hints.grow(slots);
        self.empty = slots as u64 - 1;
        Ok(())
    }

    /// Fills the next empty slot.
    #[inline]
    pub fn fill(&mut self, item: &Item) -> Slot {
        let slot = self.empty as Slot;
        self.epoch += 1;
        self.empty = self.entries[slot as usize].hash;
        self.entries[slot as usize] = Entry::holding(item);
        let entries = &self.entries;
        self.index
            .insert(item.hash, slot, |slot| entries[slot as usize].hash);
        self.order.push_back(slot);
        with_policy!(&mut self.policy, (), policy => policy.on_insert(slot, item.hash));
        self.budget.charge(slot, item.size, false);
        slot
    }

    /// Evicts an item and stores another in its slot: what a full cache does all the time, in one
    /// step. All items count one. Hands out the old key and value with their references.
    #[inline(always)]
    pub fn recycle(&mut self, slot: Slot, hash: u64, key: Obj, value: Obj) -> (Obj, Obj) {
        self.tally.evicted += 1;
        self.epoch += 1;
        // Field by field: an entry that is copied whole is read before its parts have been written
        // back, which stalls the processor.
        let entry = &mut self.entries[slot as usize];
        let old_hash = std::mem::replace(&mut entry.hash, hash);
        let old_key = entry.key.replace(key.incref());
        let old_value = entry.value.replace(value.incref());
        let entries = &self.entries;
        let hash_of = |slot: Slot| entries[slot as usize].hash;
        self.index.move_slot(slot, old_hash, hash, hash_of);
        self.order.move_to_back(slot);
        match &mut self.policy {
            Eviction::Lru(policy) => policy.on_recycle(slot, old_hash, hash),
            _ => self.recycle_in_policy(slot, old_hash, hash),
        }
        (
            old_key.expect("slot is in use"),
            old_value.expect("slot is in use"),
        )
    }

    #[inline(never)]
    fn recycle_in_policy(&mut self, slot: Slot, old: u64, new: u64) {
        with_policy!(&mut self.policy, (), policy => policy.on_recycle(slot, old, new));
    }

    /// Replaces the value of a slot; the first of equal keys stays.
    #[inline]
    pub fn replace(&mut self, slot: Slot, item: &Item, gone: &mut Gone) -> Slot {
        let value = item.value.incref();
        if let Some(old) = self.entries[slot as usize].value.replace(value) {
            gone.push(old);
        }
        with_policy!(&mut self.policy, (), policy => policy.on_replace(slot));
        self.budget.charge(slot, item.size, true);
        slot
    }
}

/// What a cleared store held. Gives the references up when dropped, outside the region.
pub struct Contents {
    entries: Vec<Entry>,
    /// Gives itself up.
    deadlines: Gone,
}

impl Drop for Contents {
    fn drop(&mut self) {
        for entry in &self.entries {
            if let (Some(key), Some(value)) = (entry.key, entry.value) {
                release(key);
                release(value);
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // An empty heap of deadlines may still hold dead ones.
        if !self.index.is_empty() || !matches!(self.expiry, Expiry::Never) {
            drop(self.clear());
        }
    }
}
