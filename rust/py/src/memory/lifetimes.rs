//! When the items of a `MemoryCache` expire: each has a deadline of its own, and one that moves with
//! every use if items are to be idle for a limited time only.
//!
//! Times are seconds of the cache's clock. An item is never returned from its deadline on; it is
//! *removed* when the wheel comes to it, which is up to a tick (1/1024 s) later, on a later write.

use std::collections::TryReserveError;

use overdrive_core::Slot;
use overdrive_core::wheel::Wheel;

use crate::clock;
use crate::expiry::Instant;

/// Ticks of the wheel in a second.
const TICKS: f64 = 1024.0;
/// Seconds by which a clock may go back unnoticed: threads that read it may come here in another order.
const TOLERATED: f64 = 0.125;

/// The deadlines of slots.
#[derive(Default)]
pub struct Lifetimes {
    /// From then on the item is gone; infinite for never.
    deadlines: Vec<f64>,
    /// The same without regard to uses. Empty unless idle items expire.
    hard: Vec<f64>,
    idle: f64,
    wheel: Wheel,
    /// The time of tick 0.
    origin: f64,
    /// The latest time that was seen.
    latest: f64,
}

impl Lifetimes {
    /// For items that may be idle for so many seconds; `now` is about the present time.
    pub fn new(idle: f64, now: f64) -> Self {
        Self {
            idle,
            origin: now - 1.0,
            latest: now,
            ..Self::default()
        }
    }

    /// Makes room for slots below `slots`, which do not expire unless they are set.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let missing = slots.saturating_sub(self.deadlines.len());
        if missing > 0 {
            self.deadlines.try_reserve(missing)?;
            if self.idle < f64::INFINITY {
                self.hard.try_reserve(missing)?;
                self.hard.resize(slots, f64::INFINITY);
            }
            self.wheel.reserve(slots)?;
            self.deadlines.resize(slots, f64::INFINITY);
        }
        Ok(())
    }

    /// Sets the time from which on the item in a slot is gone, used or not.
    pub fn set(&mut self, slot: Slot, deadline: f64, now: f64) {
        if let Some(hard) = self.hard.get_mut(slot as usize) {
            *hard = deadline;
        }
        let deadline = deadline.min(now + self.idle);
        self.deadlines[slot as usize] = deadline;
        if deadline < f64::INFINITY {
            let tick = self.tick(deadline);
            self.wheel.schedule(slot, tick);
        } else {
            self.wheel.cancel(slot);
        }
    }

    /// Forgets a slot that is being emptied.
    pub fn unset(&mut self, slot: Slot) {
        self.wheel.cancel(slot);
        self.deadlines[slot as usize] = f64::INFINITY;
    }

    /// The item was used. The wheel learns of it when it comes to the slot.
    #[inline]
    pub fn used(&mut self, slot: Slot, now: Instant) {
        if let Some(&hard) = self.hard.get(slot as usize) {
            let before = self.deadlines[slot as usize];
            let Instant::At(now) = now else {
                // The coarse clock is a little behind, but it never goes back.
                let deadline = hard.min(clock::coarse() + self.idle);
                self.deadlines[slot as usize] = deadline.max(before);
                return;
            };
            let deadline = hard.min(now + self.idle);
            self.deadlines[slot as usize] = deadline;
            if deadline < before {
                let tick = self.tick(deadline);
                self.wheel.schedule(slot, tick);
            }
        }
    }

    /// Whether the item may still be returned.
    #[inline(always)]
    pub fn is_live(&self, slot: Slot, now: Instant) -> bool {
        let deadline = self.deadlines[slot as usize];
        match now {
            Instant::At(now) => now < deadline,
            _ => clock::is_before(deadline),
        }
    }

    /// From when on the item is gone, and the same without regard to uses.
    pub fn deadlines(&self, slot: Slot) -> (f64, f64) {
        let deadline = self.deadlines[slot as usize];
        (
            deadline,
            self.hard.get(slot as usize).copied().unwrap_or(deadline),
        )
    }

    /// An item that has expired, if there is one; and whether there may be more after a bounded
    /// amount of work.
    pub fn due(&mut self, now: f64) -> (Option<Slot>, bool) {
        if now < self.latest - TOLERATED {
            self.begin_anew(now);
        }
        self.latest = self.latest.max(now);
        let (origin, deadlines) = (self.origin, &self.deadlines);
        let tick_of = |slot: Slot| tick(deadlines[slot as usize], origin);
        let more = self.wheel.advance(((now - origin) * TICKS) as u64, tick_of);
        while let Some(slot) = self.wheel.due() {
            if self.deadlines[slot as usize] <= now {
                return (Some(slot), true);
            }
            let later = self.tick(self.deadlines[slot as usize]);
            if later <= self.wheel.now() {
                return (None, false); // the clock went back a little: it waits until that has come again
            }
            self.wheel.schedule(slot, later);
        }
        (None, more)
    }

    /// The clock was set back, which the wheel cannot: all slots go into a new one. O(n).
    #[cold]
    fn begin_anew(&mut self, now: f64) {
        self.latest = now;
        self.origin = now - 1.0;
        self.wheel.restart();
        for slot in 0..self.deadlines.len() {
            let deadline = self.deadlines[slot];
            if deadline < f64::INFINITY {
                let tick = self.tick(deadline);
                self.wheel.schedule(slot as Slot, tick);
            }
        }
    }

    /// Forgets every slot.
    pub fn clear(&mut self) {
        self.deadlines = Vec::new();
        self.hard = Vec::new();
        self.wheel.clear();
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + (self.deadlines.capacity() + self.hard.capacity()) * size_of::<f64>()
            + self.wheel.memory()
    }

    /// Says what is wrong, if anything; `slots` are those in use.
    pub fn check(&self, slots: impl Iterator<Item = Slot>) -> Result<(), String> {
        let mortal = slots.filter(|&slot| self.deadlines[slot as usize] < f64::INFINITY);
        let mut count = 0;
        for slot in mortal {
            count += 1;
            if !self.wheel.contains(slot) {
                return Err(format!("lifetimes: slot {slot} is not in the wheel"));
            }
        }
        self.wheel.check(count, |_| u64::MAX)
    }

    fn tick(&self, time: f64) -> u64 {
        tick(time, self.origin)
    }
}

/// The first tick that is not before a time; casts saturate.
fn tick(time: f64, origin: f64) -> u64 {
    ((time - origin) * TICKS).ceil() as u64
}
