//! Predictions whose outcome is not known yet: those that were acted on, and those that are only watched.
//!
//! A table of fixed size; what does not fit displaces the oldest of its set, whose outcome is then not counted.
//! Those that are watched are settled together in the order in which they were made, right and wrong ones after
//! the same time: a right one is known sooner, and counting it sooner would make any class look right at first.

use std::collections::{TryReserveError, VecDeque};

use super::calibration::Class;
use crate::sample::mix;

const WAYS: usize = 4;

/// What was done about a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key was fetched.
    Issued,
    /// Nothing: it is only watched.
    Watched,
}

/// A prediction.
#[derive(Clone, Copy, Debug)]
pub struct Prediction {
    /// The key.
    pub key: u64,
    /// Its class, if that is known.
    pub class: Option<Class>,
    /// When it was made, in requests; never 0.
    pub tick: u64,
    /// What was done about it.
    pub kind: Kind,
    /// When it was first predicted, if it was only watched then; or 0.
    watched: u64,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Open,
    Right,
    Unknown,
}

/// A watched prediction whose outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its class.
    pub class: Class,
    /// When it was made.
    pub tick: u64,
    /// Whether the key was asked for, and missed.
    pub right: bool,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    key: u64,
    class: Class,
    tick: u64,
    outcome: Outcome,
}

/// Predictions of a fixed number.
#[derive(Debug)]
pub struct Pending {
    places: Vec<Option<Prediction>>,
    watched: VecDeque<Watch>,
    most_watched: usize,
}

impl Pending {
    /// Room for about as many predictions, a share of which may be watched ones.
    pub fn new(predictions: usize, watched: usize) -> Result<Self, TryReserveError> {
        let sets = predictions.div_ceil(WAYS).max(1).next_power_of_two();
        let mut places = Vec::new();
        places.try_reserve_exact(sets * WAYS)?;
        places.resize(sets * WAYS, None);
        let mut queue = VecDeque::new();
        queue.try_reserve_exact(watched)?;
        Ok(Self {
            places,
            watched: queue,
            most_watched: watched,
        })
    }

    /// The prediction of a key.
    pub fn get(&self, key: u64) -> Option<&Prediction> {
        let set = self.set(key);
        self.places[set..set + WAYS]
            .iter()
            .flatten()
            .find(|prediction| prediction.key == key)
    }

    /// Notes that a key was fetched. If it was watched, on a prediction from further away, that one was right
    /// if this one is: else only wrong ones of that class would ever be counted.
    pub fn issue(&mut self, key: u64, class: Option<Class>, tick: u64) {
        let watched = self
            .get(key)
            .filter(|known| known.kind == Kind::Watched)
            .map_or(0, |known| known.tick);
        self.put(Prediction {
            key,
            class,
            tick,
            kind: Kind::Issued,
            watched,
        });
    }

    /// Watches whether a key is asked for, if there is room.
    pub fn watch(&mut self, key: u64, class: Class, tick: u64) {
        if self.watched.len() == self.most_watched {
            return;
        }
        self.watched.push_back(Watch {
            key,
            class,
            tick,
            outcome: Outcome::Open,
        });
        self.put(Prediction {
            key,
            class: Some(class),
            tick,
            kind: Kind::Watched,
            watched: tick,
        });
    }

    /// Notes a request for a key: one that it was missed for makes a watched prediction right, one that
    /// found it in the cache says that it would not have been fetched.
    pub fn request(&mut self, key: u64, hit: bool) {
        let Some(prediction) = self.get(key).copied() else {
            return;
        };
        if prediction.kind == Kind::Watched {
            self.forget(key);
            let outcome = if hit {
                Outcome::Unknown
            } else {
                Outcome::Right
            };
            self.decide(key, prediction.watched, outcome);
        }
    }

    /// Takes the prediction of a key that was fetched, and turned out right or wrong.
    pub fn take_issued(&mut self, key: u64, right: bool) -> Option<Prediction> {
        let prediction = *self.get(key)?;
        if prediction.kind == Kind::Watched {
            return None;
        }
        self.forget(key);
        if right && prediction.watched > 0 {
            self.decide(key, prediction.watched, Outcome::Right);
        }
        Some(prediction)
    }

    /// The next watched prediction that was made before a tick, and whose outcome counts.
    pub fn settle(&mut self, before: u64) -> Option<Settled> {
        while self.watched.front()?.tick < before {
            let watch = self.watched.pop_front()?;
            let settled = |right| Settled {
                class: watch.class,
                tick: watch.tick,
                right,
            };
            match watch.outcome {
                Outcome::Right => return Some(settled(true)),
                Outcome::Unknown => {}
                Outcome::Open => {
                    if self
                        .get(watch.key)
                        .is_some_and(|known| known.kind == Kind::Watched)
                    {
                        self.forget(watch.key);
                    }
                    return Some(settled(false));
                }
            }
        }
        None
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.places.capacity() * size_of::<Option<Prediction>>()
            + self.watched.capacity() * size_of::<Watch>()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.fill(None);
        self.watched.clear();
    }

    fn put(&mut self, prediction: Prediction) {
        let set = self.set(prediction.key);
        let places = &self.places[set..set + WAYS];
        let same = places
            .iter()
            .position(|place| place.is_some_and(|old| old.key == prediction.key));
        let oldest = || (0..WAYS).min_by_key(|&at| places[at].map_or(0, |old| old.tick));
        let at = set + same.or_else(oldest).expect("a set has places");
        let displaced = self.places[at].replace(prediction);
        if let Some(old) = displaced.filter(|old| old.key != prediction.key && old.watched > 0) {
            self.decide(old.key, old.watched, Outcome::Unknown);
        }
    }

    fn forget(&mut self, key: u64) {
        let set = self.set(key);
        for place in &mut self.places[set..set + WAYS] {
            if place.is_some_and(|prediction| prediction.key == key) {
                *place = None;
            }
        }
    }

    /// Ticks only grow along the queue, and several predictions share one.
    fn decide(&mut self, key: u64, tick: u64, outcome: Outcome) {
        let from = self.watched.partition_point(|watch| watch.tick < tick);
        let watch = self
            .watched
            .range_mut(from..)
            .take_while(|watch| watch.tick == tick)
            .find(|watch| watch.key == key);
        if let Some(watch) = watch {
            watch.outcome = outcome;
        }
    }

    #[inline(always)]
    fn set(&self, key: u64) -> usize {
        let sets = self.places.len() / WAYS;
        (mix(key) as usize & (sets - 1)) * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::super::lookahead::Step;
    use super::*;

    fn class() -> Class {
        Class::of(&Step::default())
    }

    #[test]
    fn right_and_wrong_ones_are_settled_in_the_order_in_which_they_were_made() {
        let mut pending = Pending::new(64, 16).expect("small");
        pending.watch(1, class(), 1);
        pending.watch(2, class(), 1);
        pending.watch(3, class(), 2);
        pending.request(2, false);
        pending.request(3, true);
        assert_eq!(pending.settle(1), None);
        let outcomes: Vec<_> = std::iter::from_fn(|| pending.settle(5))
            .map(|settled| (settled.tick, settled.right))
            .collect();
        assert_eq!(outcomes, [(1, false), (1, true)]);
        assert!(pending.get(1).is_none());
    }

    #[test]
    fn no_more_are_held_than_there_is_room_for() {
        let mut pending = Pending::new(8, 4).expect("small");
        for key in 1..1000 {
            pending.watch(key, class(), key);
            pending.issue(key + 5000, None, key);
        }
        assert!(pending.watched.len() <= 4);
        assert!(pending.places.iter().flatten().count() <= 8);
    }

    #[test]
    fn what_was_fetched_is_taken_once() {
        let mut pending = Pending::new(64, 16).expect("small");
        pending.issue(1, Some(class()), 3);
        pending.request(1, true);
        assert_eq!(
            pending.take_issued(1, true).map(|taken| taken.tick),
            Some(3)
        );
        assert!(pending.take_issued(1, true).is_none());
    }
}
