//! Which slot leaves next. One algorithm per file, all behind [`Policy`].

mod fifo;
mod lfu;
mod lru;
mod random;

use std::collections::TryReserveError;

pub use fifo::Fifo;
pub use lfu::Lfu;
pub use lru::Lru;
pub use random::Random;

use crate::Slot;

/// Where the rings of policies begin, away from that of insertion (see [`crate::ring`]).
const LEAD: u32 = 8;

/// An eviction order over slots.
///
/// Callers guarantee: `on_insert` only for a slot that is out and was reserved, every other call
/// only for a slot that is in. Implementations guarantee: O(1), no allocation, no failure.
pub trait Policy {
    /// Makes room for slots below `slots`; on failure nothing has changed.
    fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError>;
    /// The slot was filled.
    fn on_insert(&mut self, slot: Slot);
    /// The slot was read.
    fn on_hit(&mut self, slot: Slot);
    /// The slot's value was replaced.
    fn on_replace(&mut self, slot: Slot);
    /// The slot was emptied.
    fn on_remove(&mut self, slot: Slot);
    /// The slot was emptied and filled again at once.
    #[inline]
    fn on_recycle(&mut self, slot: Slot) {
        self.on_remove(slot);
        self.on_insert(slot);
    }
    /// The slot to evict next; `None` when there is none or when the choice is not the policy's.
    fn victim(&self) -> Option<Slot>;
    /// Forgets every slot and returns the memory.
    fn clear(&mut self);
    /// Bytes allocated.
    fn memory(&self) -> usize;
    /// Says what is wrong, if anything; `len` slots should be in.
    fn check(&self, len: usize) -> Result<(), String>;
}
