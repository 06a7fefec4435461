//! The last keys of each context: a request, a task, a session.
//!
//! Of keys that are asked for by many at once, the order in which they arrive is noise; what one context
//! asks for in turn is a pattern. Contexts come and go without a word, so the table has a fixed size, and of
//! those in a set the one that was silent the longest gives way.

use std::collections::TryReserveError;

use super::lookahead::LEAP;
use crate::sample::mix;

const RECENT: usize = LEAP as usize;
const WAYS: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    context: u64,
    /// Its last keys, in a ring.
    recent: [u64; RECENT],
    /// How many there were.
    len: u64,
    /// When it was last heard of; 0 if this place is free.
    tick: u64,
}

impl Place {
    fn step(&mut self, key: u64) -> Before {
        let at = |number: u64| (number % RECENT as u64) as usize;
        let last = (self.len > 0).then(|| self.recent[at(self.len - 1)]);
        if last == Some(key) {
            return Before { last, far: None };
        }
        let far = (self.len >= RECENT as u64).then_some(self.recent[at(self.len)]);
        self.recent[at(self.len)] = key;
        self.len += 1;
        Before { last, far }
    }
}

/// What a context asked for before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Right before.
    pub last: Option<u64>,
    /// [`LEAP`] requests before.
    pub far: Option<u64>,
}

/// What each of a fixed number of contexts asked for last.
#[derive(Debug)]
pub struct Contexts {
    places: Vec<Place>,
}

impl Contexts {
    /// An empty table of about as many contexts.
    pub fn new(contexts: usize) -> Result<Self, TryReserveError> {
        let sets = contexts.div_ceil(WAYS).max(1).next_power_of_two();
        let mut places = Vec::new();
        places.try_reserve_exact(sets * WAYS)?;
        places.resize(sets * WAYS, Place::default());
        Ok(Self { places })
    }

    /// Notes what a context asks for now, `tick` > 0, and returns what it asked for before. The same key
    /// again is no step.
    pub fn step(&mut self, context: u64, key: u64, tick: u64) -> Before {
        let sets = self.places.len() / WAYS;
        let set = (mix(context) as usize & (sets - 1)) * WAYS;
        let places = &mut self.places[set..set + WAYS];
        let known = places
            .iter()
            .position(|place| place.context == context && place.tick > 0);
        let at = known.unwrap_or_else(|| {
            let oldest = (0..WAYS).min_by_key(|&at| places[at].tick);
            let oldest = oldest.expect("a set has places");
            places[oldest] = Place {
                context,
                ..Place::default()
            };
            oldest
        });
        places[at].tick = tick;
        places[at].step(key)
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.fill(Place::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(contexts: &mut Contexts, context: u64, key: u64, tick: u64) -> Option<u64> {
        contexts.step(context, key, tick).last
    }

    #[test]
    fn contexts_do_not_mix() {
        let mut contexts = Contexts::new(16).expect("small");
        assert_eq!(last(&mut contexts, 1, 10, 1), None);
        assert_eq!(last(&mut contexts, 2, 20, 2), None);
        assert_eq!(last(&mut contexts, 1, 11, 3), Some(10));
        assert_eq!(last(&mut contexts, 2, 21, 4), Some(20));
    }

    #[test]
    fn what_was_asked_for_a_leap_ago_is_known() {
        let mut contexts = Contexts::new(16).expect("small");
        for key in 1..50 {
            let far = contexts.step(7, key, key).far;
            assert_eq!(far, key.checked_sub(8).filter(|&far| far > 0));
            assert_eq!(contexts.step(7, key, key).far, None);
        }
    }

    #[test]
    fn those_that_were_silent_the_longest_give_way() {
        let mut contexts = Contexts::new(4).expect("small");
        for context in 0..1000 {
            contexts.step(context, context, context + 1);
        }
        assert_eq!(last(&mut contexts, 999, 5, 2000), Some(999));
        assert_eq!(last(&mut contexts, 0, 5, 2001), None);
    }
}
