//! The timing wheel against a list that is sorted when it is asked.

use overdrive_core::Slot;
use overdrive_core::wheel::{MAX_TICK, Wheel};
use proptest::prelude::*;

const SLOTS: u32 = 24;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Sets the tick of a slot to so much after the present one.
    Schedule(Slot, u64),
    /// Moves the tick of a slot to later, without telling the wheel.
    Defer(Slot, u64),
    Cancel(Slot),
    Advance(u64),
    Clear,
}

/// Spans of all magnitudes: a tick, a bucket, a level, more than the wheel can tell.
fn spans() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..4_u64,
        4 => 0..200_u64,
        3 => (0..48_u32, 0..64_u64).prop_map(|(shift, digit)| digit << shift),
        1 => Just(63),
        1 => Just(64),
        1 => Just(4095),
        1 => Just(4096),
        1 => Just(u64::MAX / 2),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let slot = 0..SLOTS;
    let op = prop_oneof![
        8 => (slot.clone(), spans()).prop_map(|(slot, span)| Op::Schedule(slot, span)),
        3 => (slot.clone(), spans()).prop_map(|(slot, span)| Op::Defer(slot, span)),
        2 => slot.prop_map(Op::Cancel),
        8 => spans().prop_map(Op::Advance),
        1 => Just(Op::Clear),
    ];
    prop::collection::vec(op, 1..150)
}

/// The tick of each slot that is scheduled, and the present one.
#[derive(Default)]
struct Model {
    ticks: [Option<u64>; SLOTS as usize],
    now: u64,
}

impl Model {
    fn tick(&self, slot: Slot) -> u64 {
        self.ticks[slot as usize].expect("only scheduled slots are asked for")
    }

    /// All slots that are due, the wheel's last tick standing for all after it.
    fn due(&self) -> Vec<Slot> {
        (0..SLOTS)
            .filter(|&slot| {
                self.ticks[slot as usize]
                    .is_some_and(|tick| tick.min(MAX_TICK) <= self.now.min(MAX_TICK))
            })
            .collect()
    }

    fn len(&self) -> usize {
        self.ticks.iter().flatten().count()
    }
}

fn all_due(wheel: &Wheel) -> Vec<Slot> {
    let mut due: Vec<Slot> = wheel.all_due().collect();
    due.sort_unstable();
    due
}

proptest! {
    #[test]
    fn what_is_due_is_what_a_list_says(ops in ops()) {
        let (mut wheel, mut model) = (Wheel::default(), Model::default());
        for op in ops {
            wheel.reserve(SLOTS as usize).expect("small");
            match op {
                Op::Schedule(slot, span) => {
                    let tick = model.now.saturating_add(span);
                    model.ticks[slot as usize] = Some(tick);
                    wheel.schedule(slot, tick);
                }
                Op::Defer(slot, span) => {
                    // Once it is due, the wheel does not look at it again.
                    if let Some(tick) = &mut model.ticks[slot as usize]
                        && (*tick).min(MAX_TICK) > model.now.min(MAX_TICK)
                    {
                        *tick = tick.saturating_add(span);
                    }
                }
                Op::Cancel(slot) => {
                    model.ticks[slot as usize] = None;
                    wheel.cancel(slot);
                }
                Op::Advance(span) => {
                    model.now = model.now.saturating_add(span);
                    while wheel.advance(model.now, |slot| model.tick(slot)) {}
                }
                Op::Clear => {
                    wheel.clear();
                    wheel.reserve(SLOTS as usize).expect("small");
                    model.ticks = Default::default();
                }
            }
            prop_assert_eq!(wheel.check(model.len(), |slot| model.tick(slot)), Ok(()));
            prop_assert_eq!(all_due(&wheel), model.due());
            for slot in 0..SLOTS {
                prop_assert_eq!(wheel.contains(slot), model.ticks[slot as usize].is_some());
            }
        }
    }

    #[test]
    fn partial_work_loses_nothing(ticks in prop::collection::vec(0..100_000_u64, 1..300), step in 1..5_000_u64) {
        let mut wheel = Wheel::default();
        wheel.reserve(ticks.len()).expect("small");
        for (slot, &tick) in ticks.iter().enumerate() {
            wheel.schedule(slot as Slot, tick);
        }
        let mut found = Vec::new();
        let mut now = 0;
        while found.len() < ticks.len() {
            now += step;
            // One part of the work per step of time, as a cache that is written to now and then does it.
            wheel.advance(now, |slot| ticks[slot as usize]);
            while let Some(slot) = wheel.due() {
                prop_assert!(ticks[slot as usize] <= now);
                wheel.cancel(slot);
                found.push(slot);
            }
            prop_assert_eq!(wheel.check(ticks.len() - found.len(), |slot| ticks[slot as usize]), Ok(()));
            prop_assert!(now < 100_000 + step * 1_000, "the work is never done");
        }
        found.sort_unstable();
        prop_assert!(found.into_iter().eq(0..ticks.len() as Slot));
    }
}
