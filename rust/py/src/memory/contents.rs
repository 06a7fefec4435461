//! What is inside the lock of a `MemoryCache`.
//!
//! The law of `lock` holds for everything here: no Python code, nothing Python allocated or dropped.
//! What leaves is noted in `departures` or handed to a `Gone`.

use overdrive_core::Slot;
use overdrive_core::ages::Ages;
use overdrive_core::budget::Budget;
use overdrive_core::pins::Pins;
use overdrive_core::size::Size;
use overdrive_core::tags::Tags;

use super::departures::{Cause, Counts, Departures};
use super::lifetimes::Lifetimes;
use super::loads::Loads;
use super::watch::{Recording, Watch};
use crate::expiry::Instant;
use crate::memo::{entry_class, entry_of};
use crate::obj::{Gone, Obj};
use crate::store::{Eviction, Item, Put, Store};

/// How many expired and how many invalidated slots a write looks for at most.
const TIDIED_PER_WRITE: usize = 4;
const SWEPT_PER_WRITE: usize = 8;

/// The lifetime of items that are set without one of their own.
#[derive(Clone, Copy)]
pub struct Defaults {
    /// Seconds; infinite for ever.
    pub ttl: f64,
    /// Seconds without a use; infinite for ever.
    pub idle: f64,
    /// Up to this fraction of a ttl is taken off at random.
    pub jitter: f64,
}

/// An item to put, with what belongs to it.
pub struct New<'a> {
    pub item: Item,
    /// What it takes of the limit in bytes.
    pub bytes: i64,
    /// Seconds that it lives, if not as long as the others.
    pub ttl: Option<f64>,
    /// Whether the ttl is not to be jittered: it is what an item had left.
    pub exact: bool,
    pub tags: &'a [Box<str>],
    pub now: f64,
}

/// The contents of a `MemoryCache`.
pub struct Contents {
    pub store: Store,
    /// Absent until an item is to expire.
    pub lifetimes: Option<Box<Lifetimes>>,
    pub defaults: Defaults,
    pub pins: Pins,
    pub tags: Tags,
    pub ages: Ages,
    /// The limit in bytes, if there is one.
    pub bytes: Option<Budget>,
    pub departures: Departures,
    pub counts: Counts,
    pub loads: Loads,
    /// Absent unless someone watches.
    pub watch: Option<Box<Watch>>,
    /// Whether a batch of a recording is to be written.
    pub has_batch: bool,
    pub clock: Option<Obj>,
    pub weigher: Option<Obj>,
    random: u64,
}

impl Contents {
    /// Nothing yet. `seed` is for the jitter and for random eviction.
    pub fn new(store: Store, defaults: Defaults, seed: u64) -> Self {
        Self {
            store,
            lifetimes: None,
            defaults,
            pins: Pins::default(),
            tags: Tags::default(),
            ages: Ages::default(),
            bytes: None,
            departures: Departures::default(),
            counts: Counts::default(),
            loads: Loads::default(),
            watch: None,
            has_batch: false,
            clock: None,
            weigher: None,
            random: seed | 1,
        }
    }

    /// Contents that hold nothing and take nothing.
    pub fn uninitialised() -> Self {
        let forever = Defaults {
            ttl: f64::INFINITY,
            idle: f64::INFINITY,
            jitter: 0.0,
        };
        Self::new(Store::uninitialised(), forever, 0)
    }

    /// Whether the item in a slot may be returned.
    #[inline(always)]
    pub fn is_live(&self, slot: Slot, now: Instant) -> bool {
        if let Some(lifetimes) = &self.lifetimes
            && !lifetimes.is_live(slot, now)
        {
            return false;
        }
        !(self.tags.may_be_stale() && self.tags.is_stale(slot))
    }

    /// Counts a use of an item.
    #[inline(always)]
    pub fn touch(&mut self, slot: Slot, now: Instant) {
        if let Some(lifetimes) = &mut self.lifetimes {
            lifetimes.used(slot, now);
        }
        if !self.pins.contains(slot) {
            self.store.touch_quickly(slot);
        }
    }

    /// A live value that was looked up, with a reference; counts a hit or a miss.
    #[inline(always)]
    pub fn read(&mut self, at: Option<Slot>, hash: u64, now: Instant) -> Option<Obj> {
        let Some(slot) = at.filter(|&slot| self.is_live(slot, now)) else {
            self.counts.misses += 1;
            self.observe(hash, false);
            return None;
        };
        self.observe(hash, true);
        self.read_live(slot, now)
    }

    /// Lets those who watch see a lookup.
    #[inline(always)]
    pub fn observe(&mut self, hash: u64, hit: bool) {
        if let Some(watch) = &mut self.watch {
            self.has_batch |= watch.observe(hash, hit);
        }
    }

    /// The recording under way, if there is one.
    pub fn recording_mut(&mut self) -> Option<&mut Recording> {
        self.has_batch = false;
        self.watch.as_mut()?.recording.as_deref_mut()
    }

    /// The value of an item that is live, with a reference; counts a hit.
    #[inline(always)]
    pub fn read_live(&mut self, slot: Slot, now: Instant) -> Option<Obj> {
        self.counts.hits += 1;
        self.touch(slot, now);
        Some(self.store.value(slot).incref())
    }

    /// Looks a value up that may be an `Entry`, which is then to be returned without further ado: its
    /// own value, and otherwise the value itself, with a reference. Counts a hit or a miss.
    pub fn read_quiet(&mut self, at: Option<Slot>, hash: u64, now: Instant) -> Option<Obj> {
        let found = at.and_then(|slot| self.read_quiet_at(slot, now));
        self.observe(hash, found.is_some());
        if found.is_none() {
            self.counts.misses += 1;
        }
        found
    }

    /// The same at a slot; counts hits only.
    #[inline(always)]
    pub fn read_quiet_at(&mut self, slot: Slot, now: Instant) -> Option<Obj> {
        let stored = self.store.value(slot);
        // SAFETY: the store holds the entry, and nothing drops it within the region.
        let Some(entry) = (unsafe { entry_of(&stored, entry_class()) }) else {
            return self
                .is_live(slot, now)
                .then(|| self.read_live(slot, now))
                .flatten();
        };
        if self.tags.may_be_stale() && self.tags.is_stale(slot) {
            return None;
        }
        let deadline = self
            .lifetimes
            .as_ref()
            .map_or(f64::INFINITY, |lifetimes| lifetimes.deadline(slot));
        let value = entry.quiet_value_before(deadline, now.into())?;
        self.counts.hits += 1;
        self.touch(slot, now);
        Some(value.incref())
    }

    /// Whether items that are set without a ttl of their own expire.
    pub fn is_mortal(&self) -> bool {
        self.defaults.ttl.min(self.defaults.idle) < f64::INFINITY
    }

    /// Makes items expire from now on, if none has so far; false if there is no memory.
    pub fn begin_lifetimes(&mut self, now: f64) -> bool {
        if self.lifetimes.is_some() {
            return true;
        }
        let mut lifetimes = Box::new(Lifetimes::new(self.defaults.idle, now));
        if lifetimes.reserve(self.store.slots()).is_err() {
            return false;
        }
        self.lifetimes = Some(lifetimes);
        true
    }

    /// Stores an item at the slot of an equal key, or anew, and makes room for it.
    pub fn put(&mut self, at: Option<Slot>, new: &New<'_>, gone: &mut Gone) -> Put {
        let item = &new.item;
        if let Some(refusal) = self.store.refuses(item.size) {
            return refusal;
        }
        let mut at = at;
        if let Some(slot) = at
            && !self.is_live(slot, Instant::At(new.now))
        {
            let cause = if self.tags.is_stale(slot) {
                Cause::Deleted
            } else {
                Cause::Expired
            };
            self.remove(slot, cause, gone);
            at = None;
        }
        if !self.pins.is_empty() && self.is_pinned_full(at, new) {
            self.tidy_up(new.now, gone); // what is pinned may have expired
            if self.is_pinned_full(at, new) {
                return Put::Full;
            }
        }
        let ttl = new.ttl.unwrap_or(self.defaults.ttl);
        if ttl <= 0.0 {
            // Gone at once; and what it was to replace is not to be found any more.
            if let Some(slot) = at {
                self.remove(slot, Cause::Replaced, gone);
            }
            return Put::Done;
        }
        let mortal = ttl.min(self.defaults.idle) < f64::INFINITY;
        if mortal && !self.begin_lifetimes(new.now) {
            return Put::NoMemory;
        }
        at = self.tidy_but(at, new.now, gone);
        if at.is_none()
            && self.bytes.is_none()
            && !self.store.budget.is_exceeded(self.store.len())
            && let Some((key, value)) = self.store.exchange(item.hash, item.key, item.value)
            && let Some(slot) = self.store.order().back()
        {
            self.counts.left[Cause::Size as usize] += 1;
            self.departures.note(key, value, Cause::Size, gone);
            self.note_filled(slot, ttl, new);
            return Put::Done;
        }
        if at.is_none()
            && let Err(shortage) = self.reserve()
        {
            return shortage;
        }
        let newcomer = at.is_none().then_some(item.hash);
        while self.is_over(item.size, new.bytes, at) {
            if let Some(slot) = self.expired(new.now) {
                self.remove(slot, Cause::Expired, gone);
                at = at.filter(|&kept| kept != slot);
                continue;
            }
            let Some(victim) = self.victim(newcomer) else {
                return Put::Full;
            };
            if at == Some(victim) {
                // It was the coldest, and its new value needs more room than it had.
                self.remove(victim, Cause::Replaced, gone);
                at = None;
                if let Err(shortage) = self.reserve() {
                    return shortage;
                }
            } else {
                self.remove(victim, Cause::Size, gone);
            }
        }
        let slot = match at {
            Some(slot) => self.replace(slot, item, gone),
            None => self.store.fill(item),
        };
        if let Some(bytes) = &mut self.bytes {
            bytes.charge(slot, Size::Int(new.bytes), at.is_some());
        }
        self.note_filled(slot, ttl, new);
        Put::Done
    }

    /// What belongs to a slot that was filled.
    fn note_filled(&mut self, slot: Slot, ttl: f64, new: &New<'_>) {
        self.ages.note(slot, age_tick(new.now));
        if self.lifetimes.is_some() {
            let ttl = if new.exact { ttl } else { self.jittered(ttl) };
            if let Some(lifetimes) = &mut self.lifetimes {
                lifetimes.set(slot, new.now + ttl, new.now);
            }
        }
        if !new.tags.is_empty() {
            self.tags.set(slot, new.tags);
        } else {
            self.tags.unset(slot);
        }
    }

    fn replace(&mut self, slot: Slot, item: &Item, gone: &mut Gone) -> Slot {
        self.counts.left[Cause::Replaced as usize] += 1;
        if self.departures.listener.is_some() {
            let (key, value) = (
                self.store.key(slot).incref(),
                self.store.value(slot).incref(),
            );
            self.departures.note(key, value, Cause::Replaced, gone);
        }
        let pinned = self.pins.contains(slot);
        if pinned {
            self.store.hand_back(slot);
        }
        self.store.replace(slot, item, gone);
        if pinned {
            self.store.withhold(slot);
        }
        slot
    }

    /// Empties a slot.
    pub fn remove(&mut self, slot: Slot, cause: Cause, gone: &mut Gone) {
        let (key, value) = self.take(slot, cause, gone);
        self.departures.note(key, value, cause, gone);
    }

    /// Empties a slot, and hands out its key and value with references; no listener is told.
    pub fn take(&mut self, slot: Slot, cause: Cause, gone: &mut Gone) -> (Obj, Obj) {
        self.counts.left[cause as usize] += 1;
        if self.pins.remove(slot) {
            self.store.hand_back(slot);
        }
        if let Some(bytes) = &mut self.bytes {
            bytes.release(slot);
        }
        if let Some(lifetimes) = &mut self.lifetimes {
            lifetimes.unset(slot);
        }
        self.tags.unset(slot);
        if let Some(watch) = &mut self.watch
            && matches!(cause, Cause::Expired | Cause::Deleted)
        {
            watch.forget(self.store.hash(slot));
        }
        if cause == Cause::Size {
            self.store.evict(slot, gone)
        } else {
            self.store.take(slot, gone)
        }
    }

    /// As [`take`](Self::take), with references of its own for the listener.
    pub fn take_telling(&mut self, slot: Slot, cause: Cause, gone: &mut Gone) -> (Obj, Obj) {
        let (key, value) = self.take(slot, cause, gone);
        if self.departures.listener.is_some() {
            self.departures
                .note(key.incref(), value.incref(), cause, gone);
        }
        (key, value)
    }

    /// Removes a few of the items that have expired or were invalidated.
    pub fn tidy(&mut self, now: f64, gone: &mut Gone) {
        self.tidy_but(None, now, gone);
    }

    fn tidy_but(&mut self, kept: Option<Slot>, now: f64, gone: &mut Gone) -> Option<Slot> {
        let mut kept = kept;
        for _ in 0..TIDIED_PER_WRITE {
            let Some(slot) = self.expired(now) else { break };
            self.remove(slot, Cause::Expired, gone);
            kept = kept.filter(|&other| other != slot);
        }
        if self.tags.may_be_stale()
            && let Some(slot) = self.tags.sweep(SWEPT_PER_WRITE)
        {
            self.remove(slot, Cause::Deleted, gone);
            kept = kept.filter(|&other| other != slot);
        }
        kept
    }

    /// Removes everything that has expired or was invalidated; returns how many items had expired.
    pub fn tidy_up(&mut self, now: f64, gone: &mut Gone) -> usize {
        let expired = match &mut self.lifetimes {
            Some(lifetimes) => lifetimes.all_due(now),
            None => Vec::new(),
        };
        let count = expired.len();
        for slot in expired {
            self.remove(slot, Cause::Expired, gone);
        }
        while self.tags.may_be_stale() {
            if let Some(slot) = self.tags.sweep(usize::MAX) {
                self.remove(slot, Cause::Deleted, gone);
            }
        }
        count
    }

    fn expired(&mut self, now: f64) -> Option<Slot> {
        self.lifetimes.as_mut()?.due(now)
    }

    /// The item to evict next.
    pub fn victim(&mut self, newcomer: Option<u64>) -> Option<Slot> {
        if matches!(self.store.policy, Eviction::Random(_)) {
            return self.random_victim();
        }
        self.store.victim(newcomer)
    }

    #[inline(never)]
    fn random_victim(&mut self) -> Option<Slot> {
        let random = self.draw() >> 32;
        let Eviction::Random(policy) = &self.store.policy else {
            return None;
        };
        let list = policy.list();
        let at = (random * list.len() as u64) >> 32;
        list.get(at as usize).copied()
    }

    fn is_over(&self, size: Size, bytes: i64, at: Option<Slot>) -> bool {
        let len = self.store.len();
        self.store.budget.is_over(len, size, at)
            || self
                .bytes
                .as_ref()
                .is_some_and(|budget| budget.is_over(len, Size::Int(bytes), at))
    }

    /// Whether the pinned items alone leave no room for a new one.
    fn is_pinned_full(&self, at: Option<Slot>, new: &New<'_>) -> bool {
        if !self.is_over(new.item.size, new.bytes, at) {
            return false;
        }
        let kept = || self.pins.iter().filter(move |&slot| Some(slot) != at);
        let budget = &self.store.budget;
        let fits = if budget.sizes().is_none() {
            let replaced = at.is_some_and(|slot| self.pins.contains(slot));
            budget.fits_beside(new.item.size, u32::from(replaced)..self.pins.len() as Slot)
        } else {
            budget.fits_beside(new.item.size, kept())
        };
        !fits
            || self
                .bytes
                .as_ref()
                .is_some_and(|budget| !budget.fits_beside(Size::Int(new.bytes), kept()))
    }

    fn reserve(&mut self) -> Result<(), Put> {
        self.store.reserve(true)?;
        let slots = self.store.slots();
        let memory = self.ages.reserve(slots).is_ok()
            && self
                .bytes
                .as_mut()
                .is_none_or(|bytes| bytes.reserve(slots).is_ok())
            && self
                .lifetimes
                .as_mut()
                .is_none_or(|lifetimes| lifetimes.reserve(slots).is_ok());
        if memory { Ok(()) } else { Err(Put::NoMemory) }
    }

    /// Sets the time that an item has left; `None` for that of the cache. Removes it if that is none.
    pub fn set_ttl(&mut self, slot: Slot, ttl: Option<f64>, now: f64, gone: &mut Gone) -> Put {
        let ttl = ttl.unwrap_or(self.defaults.ttl);
        if ttl <= 0.0 {
            self.remove(slot, Cause::Expired, gone);
            return Put::Done;
        }
        if ttl < f64::INFINITY && !self.begin_lifetimes(now) {
            return Put::NoMemory;
        }
        let ttl = self.jittered(ttl);
        if let Some(lifetimes) = &mut self.lifetimes {
            lifetimes.set(slot, now + ttl, now);
        }
        Put::Done
    }

    /// Keeps an item from being evicted; false if there is no memory.
    pub fn pin(&mut self, slot: Slot) -> bool {
        if self.pins.contains(slot) {
            return true;
        }
        if self.pins.insert(slot).is_err() {
            return false;
        }
        self.store.withhold(slot);
        true
    }

    /// Undoes [`pin`](Self::pin); returns whether it was pinned.
    pub fn unpin(&mut self, slot: Slot) -> bool {
        let pinned = self.pins.remove(slot);
        if pinned {
            self.store.hand_back(slot);
        }
        pinned
    }

    /// Evicts until the limits are kept, as far as pins allow; returns how many items left.
    pub fn shrink(&mut self, now: f64, gone: &mut Gone) -> usize {
        self.tidy_up(now, gone);
        let mut count = 0;
        loop {
            let len = self.store.len();
            let over = self.store.budget.is_exceeded(len)
                || self
                    .bytes
                    .as_ref()
                    .is_some_and(|bytes| bytes.is_exceeded(len));
            let victim = if over { self.victim(None) } else { None };
            let Some(victim) = victim else { return count };
            self.remove(victim, Cause::Size, gone);
            count += 1;
        }
    }

    /// Live slots from the coldest to the hottest, pinned ones last.
    pub fn ranking(&self, now: Instant) -> Vec<Slot> {
        let mut ranking = self.store.ranking();
        ranking.extend(self.pins.iter());
        ranking.retain(|&slot| self.is_live(slot, now));
        ranking
    }

    /// Empties the cache: what it held is returned if nobody is to be told.
    #[must_use]
    pub fn clear(&mut self, gone: &mut Gone) -> Option<crate::store::Contents> {
        self.loads.forget_all();
        if self.departures.listener.is_some() {
            while let Some(slot) = self.store.order().front() {
                self.remove(slot, Cause::Deleted, gone);
            }
            return None;
        }
        self.counts.left[Cause::Deleted as usize] += self.store.len() as u64;
        self.pins.clear();
        self.tags.clear();
        self.ages.clear();
        if let Some(bytes) = &mut self.bytes {
            bytes.clear();
        }
        if let Some(lifetimes) = &mut self.lifetimes {
            lifetimes.clear();
        }
        Some(self.store.clear())
    }

    /// Every reference held.
    pub fn references(&self) -> impl Iterator<Item = &Obj> {
        self.store
            .references()
            .chain(self.departures.references())
            .chain([&self.clock, &self.weigher].into_iter().flatten())
    }

    /// Bytes allocated beside the contents themselves.
    pub fn memory(&self) -> usize {
        self.store.memory()
            + self
                .lifetimes
                .as_ref()
                .map_or(0, |lifetimes| lifetimes.memory())
            + self.pins.memory()
            + self.tags.memory()
            + self.ages.memory()
            + self.bytes.as_ref().map_or(0, Budget::memory)
            + self.watch.as_ref().map_or(0, |watch| watch.memory())
    }

    /// Says which invariant is broken, if any.
    pub fn check(&self) -> Result<(), String> {
        self.store.check_but(self.pins.len())?;
        self.tags.check()?;
        if let Some(lifetimes) = &self.lifetimes {
            lifetimes.check(self.store.order().iter())?;
        }
        if let Some(slot) = self
            .pins
            .iter()
            .find(|&slot| !self.store.order().contains(slot))
        {
            return Err(format!("contents: slot {slot} is pinned but not in use"));
        }
        let slots: Vec<Slot> = self.store.order().iter().collect();
        self.bytes.as_ref().map_or(Ok(()), |bytes| {
            bytes.check(slots.into_iter(), !self.pins.is_empty())
        })
    }

    /// A ttl with its random part taken off.
    fn jittered(&mut self, ttl: f64) -> f64 {
        if self.defaults.jitter > 0.0 && ttl < f64::INFINITY {
            let fraction = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
            ttl * (1.0 - self.defaults.jitter * fraction)
        } else {
            ttl
        }
    }

    /// The next random number: xorshift64 spreads deadlines and evictions well enough.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Gives up the constructor's arguments and what nobody was told.
    pub fn retire(&mut self, gone: &mut Gone) {
        self.departures.retire(gone);
        for object in [self.clock.take(), self.weigher.take()]
            .into_iter()
            .flatten()
        {
            gone.push(object);
        }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // The store gives up its own.
        self.retire(&mut Gone::default());
    }
}

/// A time in ticks for ages: tenths of a second, which 32 bits count for 13 years.
pub fn age_tick(now: f64) -> u32 {
    (now * 10.0) as i64 as u32
}
