//! Which slot leaves next. One algorithm per file, all behind [`Policy`].

mod adaptive;
mod arc;
mod fifo;
mod lfu;
mod lirs;
mod lru;
mod random;
mod s3_fifo;
mod sieve;
mod two_q;
mod w_tiny_lfu;

use std::collections::TryReserveError;

pub use adaptive::{Adaptive, Report as AdaptiveReport, Switch};
pub use arc::Arc;
pub use fifo::Fifo;
pub use lfu::Lfu;
pub use lirs::Lirs;
pub use lru::Lru;
pub use random::Random;
pub use s3_fifo::S3Fifo;
pub use sieve::Sieve;
pub use two_q::TwoQ;
pub use w_tiny_lfu::WTinyLfu;

use crate::Slot;

/// Where the rings of policies begin, away from that of insertion (see [`crate::ring`]).
const LEAD: u32 = 8;

/// An eviction order over slots.
///
/// Callers guarantee: `on_insert` only for a slot that is out and was reserved, every other call
/// only for a slot that is in; the hash of a key is always the same, though not necessarily well
/// mixed (see [`crate::spread`]). Implementations guarantee: O(1) amortised, no allocation, no
/// failure.
///
/// A policy is not told how much the cache may hold: items may have sizes, and the limit may
/// change. Where its paper has a capacity, it takes the number of slots that are in when it is
/// asked for a victim, which is the same thing in a full cache of items of size one.
pub trait Policy {
    /// Makes room for slots below `slots`; on failure nothing has changed.
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError>;
    /// The slot was filled with a key of this hash, which was not in.
    fn on_insert(&mut self, slot: Slot, hash: u64);
    /// The slot was read.
    fn on_hit(&mut self, slot: Slot);
    /// The slot's value was replaced.
    fn on_replace(&mut self, slot: Slot);
    /// The slot was emptied: its item was deleted or has expired.
    fn on_remove(&mut self, slot: Slot);
    /// The slot was emptied to make room; its key had this hash.
    #[inline]
    fn on_evict(&mut self, slot: Slot, _hash: u64) {
        self.on_remove(slot);
    }
    /// The slot was emptied to make room for a key of hash `new`, and filled with that at once.
    #[inline]
    fn on_recycle(&mut self, slot: Slot, old: u64, new: u64) {
        self.on_evict(slot, old);
        self.on_insert(slot, new);
    }
    /// The slot to evict next, to make room for a key of hash `newcomer` if there is one; `None`
    /// when there is none or when the choice is not the policy's. Asked again without a change in
    /// between, it gives the same answer.
    fn victim(&mut self, newcomer: Option<u64>) -> Option<Slot>;
    /// All slots from the coldest to the hottest: the next victim first, as far as that is
    /// settled.
    fn ranking(&self) -> Vec<Slot>;
    /// Forgets every slot and returns the memory.
    fn clear(&mut self);
    /// Bytes allocated.
    fn memory(&self) -> usize;
    /// Says what is wrong, if anything; `len` slots should be in.
    fn check(&self, len: usize) -> Result<(), String>;
}

/// A policy whose state, but for what it knows of keys that left, is an order of slots with a grade
/// each: which segment a slot is in, or how often it was used.
pub trait Graded: Policy + Default {
    /// Grades are below this.
    const GRADES: u8;
    /// All slots with their grades, in the order in which [`restore`](Self::restore) wants them.
    fn grades(&self) -> Vec<(Slot, u8)>;
    /// Fills slots of an empty policy, given with the hashes of their keys and with grades.
    fn restore(&mut self, graded: impl Iterator<Item = (Slot, u64, u8)>);
}

/// All slots in the order in which they would leave if nothing came in: a [`Policy::ranking`] for
/// policies whose lists do not show it.
fn in_order_of_departure<P: Policy + Clone>(policy: &P) -> Vec<Slot> {
    let mut rest = policy.clone();
    std::iter::from_fn(|| {
        let slot = rest.victim(None)?;
        rest.on_remove(slot);
        Some(slot)
    })
    .collect()
}
