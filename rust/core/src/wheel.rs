//! Deadlines of any order in O(1): a hierarchical timing wheel.
//!
//! Source: Varghese, Lauck, "Hashed and hierarchical timing wheels" (SOSP 1987), in the form in which
//! a slot's level is the highest base-64 digit in which its tick differs from the present one: then
//! the first bucket in use of the lowest level in use is always the next to come.
//!
//! The wheel knows buckets, not ticks: the caller keeps the tick of each slot and is asked for it when
//! a bucket comes up. So a deadline that moves *later* need not be told; the slot comes up early and
//! is put back. One that moves earlier is scheduled anew.
//!
//! Invariants: a slot is in at most one bucket; the bucket of a slot starts no later than the tick it
//! was scheduled for; a bit of `occupied` is set exactly for the buckets that are not empty.

use std::collections::TryReserveError;

use crate::Slot;

/// Base-64 digits of a tick: enough for 136 years in 1/1024 s.
const LEVELS: u32 = 7;
const DIGIT: u32 = 6;
const BUCKETS: u32 = 1 << DIGIT;
/// Slots whose time has come.
const DUE: u32 = LEVELS * BUCKETS;
/// Slots of a bucket that came up and that are yet to be looked at.
const PENDING: u32 = DUE + 1;
const SENTINELS: u32 = PENDING + 1;
const OUT: u32 = u32::MAX;

/// The last tick that can be told from later ones.
pub const MAX_TICK: u64 = (1 << (LEVELS * DIGIT)) - 1;

/// How many slots one call of [`Wheel::advance`] looks at: a bucket may hold all slots there are.
const STRIDE: u32 = 32;

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
}

/// Slots by the time at which they are due.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    links: Vec<Link>,
    occupied: [u64; LEVELS as usize],
    now: u64,
}

impl Wheel {
    /// Makes room for slots below `slots`.
    pub fn reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        let nodes = slots + SENTINELS as usize;
        if self.links.len() < nodes {
            let first = self.links.is_empty();
            self.links.try_reserve(nodes - self.links.len())?;
            if first {
                self.links
                    .extend((0..SENTINELS).map(|at| Link { prev: at, next: at }));
            }
            self.links.resize(
                nodes,
                Link {
                    prev: OUT,
                    next: OUT,
                },
            );
        }
        Ok(())
    }

    /// Whether the slot is scheduled.
    pub fn contains(&self, slot: Slot) -> bool {
        self.links
            .get((slot + SENTINELS) as usize)
            .is_some_and(|link| link.next != OUT)
    }

    /// Schedules a slot that was reserved, or schedules it anew.
    #[inline]
    pub fn schedule(&mut self, slot: Slot, tick: u64) {
        self.cancel(slot);
        let bucket = self.bucket_of(tick.min(MAX_TICK));
        self.link(slot + SENTINELS, bucket);
    }

    /// Takes a slot out, if it is scheduled.
    #[inline]
    pub fn cancel(&mut self, slot: Slot) {
        if self.contains(slot) {
            self.unlink(slot + SENTINELS);
        }
    }

    /// Lets time pass, which never goes back, and does a bounded part of the work: returns whether
    /// there is more to do. `tick_of` gives the present tick of a scheduled slot.
    pub fn advance(&mut self, now: u64, tick_of: impl Fn(Slot) -> u64) -> bool {
        if self.links.is_empty() {
            return false;
        }
        let now = now.min(MAX_TICK);
        for _ in 0..STRIDE {
            if self.links[PENDING as usize].next == PENDING && !self.next_bucket(now) {
                self.now = self.now.max(now);
                return false;
            }
            let node = self.links[PENDING as usize].next;
            if node == PENDING {
                continue; // the bucket was that of the present tick only
            }
            self.unlink(node);
            let bucket = self.bucket_of(tick_of(node - SENTINELS).min(MAX_TICK));
            self.link(node, bucket);
        }
        true
    }

    /// The tick up to which time was advanced.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// A slot whose time has come, as far as time was advanced; it stays until it is cancelled or
    /// scheduled anew.
    #[inline]
    pub fn due(&self) -> Option<Slot> {
        let node = self.links.get(DUE as usize)?.next;
        (node != DUE).then(|| node - SENTINELS)
    }

    /// All slots whose time has come, as far as time was advanced.
    pub fn all_due(&self) -> impl Iterator<Item = Slot> + '_ {
        let next = |&node: &u32| Some(self.links[node as usize].next);
        std::iter::successors(self.links.get(DUE as usize).map(|link| link.next), next)
            .take_while(|&node| node != DUE)
            .map(|node| node - SENTINELS)
    }

    /// Forgets every slot and returns the memory; time stays.
    pub fn clear(&mut self) {
        *self = Self {
            now: self.now,
            ..Self::default()
        };
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    /// Says what is wrong, if anything. `tick_of` gives the tick of a slot, which may have moved to
    /// later only; `len` slots should be scheduled.
    pub fn check(&self, len: usize, tick_of: impl Fn(Slot) -> u64) -> Result<(), String> {
        let mut seen = 0;
        for sentinel in 0..SENTINELS.min(self.links.len() as u32) {
            let mut before = sentinel;
            let mut node = self.links[sentinel as usize].next;
            while node != sentinel {
                if self.links[node as usize].prev != before {
                    return Err(format!(
                        "wheel: node {node} does not point back to {before}"
                    ));
                }
                let slot = node - SENTINELS;
                let tick = tick_of(slot).min(MAX_TICK);
                if sentinel < DUE && self.start_of(sentinel) > tick {
                    return Err(format!(
                        "wheel: slot {slot} of tick {tick} is in a bucket past that"
                    ));
                }
                before = node;
                node = self.links[node as usize].next;
                seen += 1;
                if seen > len {
                    return Err(format!("wheel: more than {len} slots"));
                }
            }
            let used = before != sentinel;
            if sentinel < DUE && used != self.is_occupied(sentinel) {
                return Err(format!("wheel: bucket {sentinel} is marked wrongly"));
            }
        }
        if seen == len {
            Ok(())
        } else {
            Err(format!("wheel: {seen} slots, expected {len}"))
        }
    }

    fn is_occupied(&self, bucket: u32) -> bool {
        self.occupied[(bucket / BUCKETS) as usize] >> (bucket % BUCKETS) & 1 == 1
    }

    /// The first tick of a bucket of a level, at the present time.
    fn start_of(&self, bucket: u32) -> u64 {
        let (level, digit) = (bucket / BUCKETS, u64::from(bucket % BUCKETS));
        let shift = level * DIGIT;
        (self.now >> (shift + DIGIT) << (shift + DIGIT)) | digit << shift
    }

    #[inline]
    fn bucket_of(&self, tick: u64) -> u32 {
        if tick <= self.now {
            return DUE;
        }
        let level = (63 - (tick ^ self.now).leading_zeros()) / DIGIT;
        level * BUCKETS + (tick >> (level * DIGIT)) as u32 % BUCKETS
    }

    /// Moves on to the next bucket in use that starts by `now`, and its slots to the pending ones.
    fn next_bucket(&mut self, now: u64) -> bool {
        let Some(level) = (0..LEVELS).find(|&level| self.occupied[level as usize] != 0) else {
            return false;
        };
        let bucket = level * BUCKETS + self.occupied[level as usize].trailing_zeros();
        let start = self.start_of(bucket);
        if start > now {
            return false;
        }
        self.now = self.now.max(start);
        self.occupied[level as usize] &= !(1 << (bucket % BUCKETS));
        let Link {
            prev: last,
            next: first,
        } = self.links[bucket as usize];
        self.links[bucket as usize] = Link {
            prev: bucket,
            next: bucket,
        };
        self.links[PENDING as usize] = Link {
            prev: last,
            next: first,
        };
        self.links[first as usize].prev = PENDING;
        self.links[last as usize].next = PENDING;
        true
    }

    #[inline]
    fn link(&mut self, node: u32, sentinel: u32) {
        let last = self.links[sentinel as usize].prev;
        self.links[node as usize] = Link {
            prev: last,
            next: sentinel,
        };
        self.links[last as usize].next = node;
        self.links[sentinel as usize].prev = node;
        if sentinel < DUE {
            self.occupied[(sentinel / BUCKETS) as usize] |= 1 << (sentinel % BUCKETS);
        }
    }

    #[inline]
    fn unlink(&mut self, node: u32) {
        let Link { prev, next } = self.links[node as usize];
        self.links[prev as usize].next = next;
        self.links[next as usize].prev = prev;
        self.links[node as usize] = Link {
            prev: OUT,
            next: OUT,
        };
        if prev == next && prev < DUE {
            self.occupied[(prev / BUCKETS) as usize] &= !(1 << (prev % BUCKETS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wheel and the ticks of its slots.
    struct Clockwork {
        wheel: Wheel,
        ticks: Vec<u64>,
    }

    impl Clockwork {
        fn new(ticks: &[u64]) -> Self {
            let mut wheel = Wheel::default();
            wheel.reserve(ticks.len()).expect("small");
            for (slot, &tick) in ticks.iter().enumerate() {
                wheel.schedule(slot as Slot, tick);
            }
            Self {
                wheel,
                ticks: ticks.to_vec(),
            }
        }

        /// All slots that are due by `now`, in order of their numbers.
        fn due_by(&mut self, now: u64) -> Vec<Slot> {
            let mut due = Vec::new();
            loop {
                let more = self.wheel.advance(now, |slot| self.ticks[slot as usize]);
                while let Some(slot) = self.wheel.due() {
                    assert!(self.ticks[slot as usize] <= now);
                    self.wheel.cancel(slot);
                    due.push(slot);
                }
                if !more {
                    due.sort_unstable();
                    return due;
                }
            }
        }
    }

    #[test]
    fn slots_come_up_at_their_tick_whatever_its_level() {
        let ticks = [0, 1, 63, 64, 65, 4095, 4096, 262_144, 1 << 30, MAX_TICK];
        for step in [1, 7, 64, 4096] {
            let mut clockwork = Clockwork::new(&ticks[..8]);
            let mut now = 0;
            while now < 300_000 {
                let due: Vec<u64> = clockwork
                    .due_by(now)
                    .iter()
                    .map(|&slot| ticks[slot as usize])
                    .collect();
                assert!(
                    due.iter()
                        .all(|&tick| tick <= now && (now == 0 || tick > now - step)),
                    "{due:?} at {now}"
                );
                now += step;
            }
            assert!(clockwork.wheel.check(0, |_| 0).is_ok());
        }
        let mut clockwork = Clockwork::new(&ticks);
        assert_eq!(clockwork.due_by(1 << 29), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(clockwork.due_by((1 << 30) - 1), []);
        assert_eq!(clockwork.due_by(1 << 30), [8]);
        assert_eq!(clockwork.due_by(u64::MAX), [9]);
    }

    #[test]
    fn a_deadline_that_moved_on_unheard_is_put_back() {
        let mut clockwork = Clockwork::new(&[100, 100]);
        clockwork.ticks[0] = 5_000;
        assert_eq!(clockwork.due_by(100), [1]);
        assert_eq!(clockwork.due_by(4_999), []);
        assert_eq!(clockwork.due_by(5_000), [0]);
    }

    #[test]
    fn a_crowded_bucket_is_worked_off_in_parts() {
        let mut clockwork = Clockwork::new(&[70; 100]);
        assert!(clockwork.wheel.advance(70, |_| 70));
        assert_eq!(clockwork.due_by(70).len(), 100);
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let mut clockwork = Clockwork::new(&[100]);
        assert_eq!(clockwork.due_by(50), []);
        assert_eq!(clockwork.due_by(10), []);
        clockwork.ticks[0] = 20; // past already
        clockwork.wheel.schedule(0, 20);
        assert_eq!(clockwork.due_by(20), [0]);
    }
}
