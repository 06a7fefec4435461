//! Coherence tables against a model, and under threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use overdrive_core::coherence::{Proof, Standing, Table, words};
use proptest::prelude::*;

fn memory(slots: usize) -> Vec<AtomicU64> {
    (0..words(slots)).map(|_| AtomicU64::new(0)).collect()
}

fn table(memory: &[AtomicU64]) -> Table<'_> {
    Table::new(memory).expect("enough words")
}

#[derive(Clone, Debug)]
enum Step {
    Load(Vec<u8>),
    Bump(Vec<u8>),
    BumpAll,
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = || prop::collection::vec(0..12_u8, 0..4);
    let step = prop_oneof![
        3 => names().prop_map(Step::Load),
        3 => names().prop_map(Step::Bump),
        1 => Just(Step::BumpAll),
        4 => Just(Step::Look),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// With few slots names collide, which may only make more invalid.
    #[test]
    fn nothing_is_current_that_was_invalidated(steps in steps(), slots in prop_oneof![1..6_usize, Just(65_536)]) {
        let memory = memory(slots);
        let table = table(&memory);
        let slot = |name: &u8| table.slot_of(&[b'k', *name]);
        let exact = slots == 65_536;
        let mut loaded: Vec<(Proof, Vec<u8>, usize)> = Vec::new();
        let (mut bumped, mut all) = (HashMap::new(), 0);
        for (now, step) in (1..).zip(steps) {
            match step {
                Step::Load(names) => {
                    let proof = Proof::new(table.stamp(), names.iter().map(slot));
                    loaded.push((proof, names, now));
                }
                Step::Bump(names) => {
                    table.bump(names.iter().map(slot));
                    bumped.extend(names.into_iter().map(|name| (name, now)));
                }
                Step::BumpAll => {
                    table.bump_all();
                    all = now;
                }
                Step::Look => {}
            }
            for (proof, names, since) in &loaded {
                let invalid = names.iter().any(|name| bumped.get(name) > Some(since));
                let expected = match (invalid, all > *since) {
                    (true, _) => Standing::Invalid,
                    (false, true) => Standing::Suspect,
                    (false, false) => Standing::Current,
                };
                let standing = proof.standing(table);
                if exact || expected == Standing::Invalid {
                    prop_assert_eq!(standing, expected);
                } else {
                    prop_assert!(standing == expected || standing == Standing::Invalid);
                }
                prop_assert_eq!(proof.is_current(table), standing == Standing::Current);
            }
        }
        prop_assert!(table.is_sound());
    }
}

#[test]
fn a_stamp_taken_before_a_bump_never_validates_after_it() {
    let memory = memory(64);
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            let memory = &memory;
            scope.spawn(move || {
                let table = table(memory);
                for round in 0..20_000_u32 {
                    let slot = (round * 7 + worker) % 64;
                    let proof = Proof::new(table.stamp(), [slot]);
                    proof.is_current(table); // whatever it says, it is remembered
                    let time = table.bump([slot]);
                    assert!(proof.stamp() < time);
                    assert!(!proof.is_current(table));
                    assert!(!table.is_current(proof.stamp(), [slot]));
                }
            });
        }
    });
    assert!(table(&memory).is_sound());
    assert_eq!(table(&memory).stamp(), 80_000);
}

/// What is kept of a load.
type Kept = RwLock<Option<Arc<(Proof, u64)>>>;

#[test]
fn nothing_older_than_the_last_invalidation_that_returned_is_read() {
    const KEYS: usize = 3;
    const WRITES: u64 = 30_000;
    let memory = memory(2); // two of the keys share a slot
    let origin: [AtomicU64; KEYS] = Default::default();
    let returned: [AtomicU64; KEYS] = Default::default();
    let kept: [Kept; KEYS] = Default::default();
    let hits = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let read = || {
            let table = table(&memory);
            while !done.load(Ordering::Relaxed) {
                for key in 0..KEYS {
                    let slot = key as u32 % 2;
                    let least = returned[key].load(Ordering::SeqCst);
                    let present = kept[key].read().expect("no panic").clone();
                    if let Some(entry) = present
                        && entry.0.is_current(table)
                    {
                        assert!(entry.1 >= least, "{} was read after {least}", entry.1);
                        hits.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let proof = Proof::new(table.stamp(), [slot]);
                    let value = origin[key].load(Ordering::Relaxed);
                    *kept[key].write().expect("no panic") = Some(Arc::new((proof, value)));
                }
            }
        };
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        let writers: Vec<_> = (0..KEYS)
            .map(|key| {
                let (memory, origin, returned) = (&memory, &origin, &returned);
                scope.spawn(move || {
                    let table = table(memory);
                    for value in 1..=WRITES {
                        origin[key].store(value, Ordering::Relaxed);
                        table.bump([key as u32 % 2]);
                        returned[key].store(value, Ordering::SeqCst);
                        if value % 16 == 0 {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("no panic");
        }
        while hits.load(Ordering::Relaxed) == 0
            && readers.iter().any(|reader| !reader.is_finished())
        {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
}
