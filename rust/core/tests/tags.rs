//! Tags against sets of names per slot.

use std::collections::BTreeSet;

use overdrive_core::Slot;
use overdrive_core::tags::Tags;
use proptest::prelude::*;

const SLOTS: u32 = 20;

#[derive(Clone, Debug)]
enum Op {
    Set(Slot, Vec<Box<str>>),
    Unset(Slot),
    Invalidate(Box<str>),
    /// Looks at so many slots, and empties the stale one that it finds.
    Sweep(usize),
    Clear,
}

fn name() -> impl Strategy<Value = Box<str>> {
    prop::sample::select(vec!["", "a", "b", "c", "ä", "\u{1f600}", "a b"]).prop_map(Box::from)
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..SLOTS, prop::collection::vec(name(), 0..5)).prop_map(|(slot, names)| Op::Set(slot, names)),
        3 => (0..SLOTS).prop_map(Op::Unset),
        3 => name().prop_map(Op::Invalidate),
        3 => (0..30_usize).prop_map(Op::Sweep),
        1 => Just(Op::Clear),
    ];
    prop::collection::vec(op, 1..200)
}

/// The names of a slot, and whether one of them was invalidated since it got them.
#[derive(Clone, Default)]
struct Carrier {
    names: BTreeSet<Box<str>>,
    stale: BTreeSet<Box<str>>,
}

proptest! {
    #[test]
    fn tags_are_what_sets_say(ops in ops()) {
        let mut tags = Tags::default();
        let mut model = vec![Carrier::default(); SLOTS as usize];
        for op in ops {
            match op {
                Op::Set(slot, names) => {
                    tags.set(slot, &names);
                    model[slot as usize] = Carrier { names: names.into_iter().collect(), stale: BTreeSet::new() };
                }
                Op::Unset(slot) => {
                    tags.unset(slot);
                    model[slot as usize] = Carrier::default();
                }
                Op::Invalidate(name) => {
                    let mut there = 0;
                    for carrier in &mut model {
                        if carrier.names.contains(&name) && carrier.stale.insert(name.clone()) {
                            there += 1;
                        }
                    }
                    prop_assert_eq!(tags.invalidate(&name), there);
                }
                Op::Sweep(steps) => {
                    if let Some(slot) = tags.sweep(steps) {
                        prop_assert!(!model[slot as usize].stale.is_empty());
                        tags.unset(slot);
                        model[slot as usize] = Carrier::default();
                    }
                }
                Op::Clear => {
                    tags.clear();
                    model = vec![Carrier::default(); SLOTS as usize];
                }
            }
            prop_assert_eq!(tags.check(), Ok(()));
            for (slot, carrier) in model.iter().enumerate() {
                prop_assert_eq!(tags.is_stale(slot as Slot), !carrier.stale.is_empty());
                let names: BTreeSet<Box<str>> = tags.names(slot as Slot).map(Box::from).collect();
                prop_assert_eq!(&names, &carrier.names);
            }
        }
        // A sweep to the end finds all that is stale, and then there is nothing more to look for.
        let mut left = model.iter().filter(|carrier| !carrier.stale.is_empty()).count();
        while tags.may_be_stale() {
            if let Some(slot) = tags.sweep(3) {
                tags.unset(slot);
                left -= 1;
            }
        }
        prop_assert_eq!(left, 0);
    }
}
