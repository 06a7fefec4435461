//! When the items of a `MemoryCache` expire: each has a deadline of its own, and one that moves with
//! every use if items are to be idle for a limited time only.
//!
//! Times are seconds of the cache's clock. An item is never returned from its deadline on; it is
//! *removed* when the wheel comes to it, on a later write. The wheel goes by ticks of 1/1024 s, and a clock
//! may be set back: so not all that it takes for due is.

use std::collections::TryReserveError;

use overdrive_core::Slot;
use overdrive_core::wheel::Wheel;

use crate::clock;
use crate::expiry::Instant;

/// Ticks of the wheel in a second.
const TICKS: f64 = 1024.0;
/// How many of those that the wheel takes for due a write looks at, at most.
const LOOKED_AT: usize = 4;

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
}

impl Lifetimes {
    /// For items that may be idle for so many seconds; `now` is about the present time.
    pub fn new(idle: f64, now: f64) -> Self {
        Self {
            idle,
            origin: now - 1.0,
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
            let now = match now {
                Instant::At(now) => now,
                _ => clock::coarse(),
            };
            // Never sooner: the coarse clock lags, and another one may be set back.
            let deadline = &mut self.deadlines[slot as usize];
            *deadline = hard.min(deadline.max(now + self.idle));
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

    /// From when on the item is gone.
    #[inline(always)]
    pub fn deadline(&self, slot: Slot) -> f64 {
        self.deadlines[slot as usize]
    }

    /// From when on the item is gone, and the same without regard to uses.
    pub fn deadlines(&self, slot: Slot) -> (f64, f64) {
        let deadline = self.deadlines[slot as usize];
        (
            deadline,
            self.hard.get(slot as usize).copied().unwrap_or(deadline),
        )
    }

    /// An item that has expired, if a bounded amount of work finds one.
    pub fn due(&mut self, now: f64) -> Option<Slot> {
        self.advance(now);
        for _ in 0..LOOKED_AT {
            let slot = self.wheel.due()?;
            let deadline = self.deadlines[slot as usize];
            if deadline <= now {
                return Some(slot);
            }
            // To its time, or behind the others if that is before what the clock has shown already.
            let later = self.tick(deadline);
            self.wheel.schedule(slot, later);
        }
        None
    }

    /// All items that have expired.
    pub fn all_due(&mut self, now: f64) -> Vec<Slot> {
        while self.advance(now) {}
        let mut due: Vec<Slot> = self.wheel.all_due().collect();
        due.retain(|&slot| {
            let deadline = self.deadlines[slot as usize];
            let expired = deadline <= now;
            if !expired {
                let later = self.tick(deadline);
                self.wheel.schedule(slot, later);
            }
            expired
        });
        due
    }

    /// Lets time pass in the wheel; returns whether there is more to do.
    fn advance(&mut self, now: f64) -> bool {
        let (origin, deadlines) = (self.origin, &self.deadlines);
        let tick_of = |slot: Slot| tick(deadlines[slot as usize], origin);
        self.wheel.advance(tick(now, origin), tick_of)
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
        self.wheel
            .check(count, |slot| self.tick(self.deadlines[slot as usize]))
    }

    fn tick(&self, time: f64) -> u64 {
        tick(time, self.origin)
    }
}

/// The first tick that is not before a time; casts saturate.
fn tick(time: f64, origin: f64) -> u64 {
    ((time - origin) * TICKS).ceil() as u64
}
