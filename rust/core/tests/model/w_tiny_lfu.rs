//! W-TinyLFU, from the paper: an LRU window before a segmented LRU, with the sketch as it is.

use overdrive_core::sketch::Sketch;
use overdrive_core::spread;
use proptest::prelude::*;

use crate::full_cache::{Paper, agree, capacities, requests};

/// Lists are from least to most recently used.
struct WTinyLfuOfThePaper {
    window: Vec<u64>,
    probation: Vec<u64>,
    protected: Vec<u64>,
    sketch: Sketch,
    capacity: usize,
}

fn take(list: &mut Vec<u64>, key: u64) -> bool {
    let at = list.iter().position(|&other| other == key);
    at.map(|at| list.remove(at)).is_some()
}

impl WTinyLfuOfThePaper {
    fn len(&self) -> usize {
        self.window.len() + self.probation.len() + self.protected.len()
    }

    fn frequency(&self, key: u64) -> u64 {
        self.sketch.estimate(spread(key) as u32)
    }

    fn count(&mut self, key: u64) {
        self.sketch.count(spread(key) as u32);
        if self.sketch.counted() >= 10 * self.len().max(10) as u64 {
            self.sketch.halve();
        }
    }

    /// The protected segment has four fifths of what is outside the window of one.
    fn demote(&mut self) {
        while self.protected.len() > (self.len() - 1) * 4 / 5 {
            self.probation.push(self.protected.remove(0));
        }
    }

    fn evict(&mut self) {
        let main = if self.probation.is_empty() {
            &self.protected
        } else {
            &self.probation
        };
        let candidate = self.window[0];
        match main.first() {
            Some(&victim) if self.frequency(candidate) > self.frequency(victim) => {
                let _ = take(&mut self.probation, victim) || take(&mut self.protected, victim);
            }
            _ => {
                self.window.remove(0);
            }
        }
    }
}

impl Paper for WTinyLfuOfThePaper {
    fn new(capacity: usize) -> Self {
        let none = Vec::new;
        let sketch = Sketch::default();
        Self {
            window: none(),
            probation: none(),
            protected: none(),
            sketch,
            capacity,
        }
    }

    fn request(&mut self, x: u64) -> bool {
        if self.window.contains(&x) || self.probation.contains(&x) || self.protected.contains(&x) {
            self.count(x);
            if take(&mut self.window, x) {
                self.window.push(x);
            } else {
                let _ = take(&mut self.probation, x) || take(&mut self.protected, x);
                self.protected.push(x);
                self.demote();
            }
            return true;
        }
        if self.len() == self.capacity {
            self.evict();
        }
        self.window.push(x);
        self.sketch.reserve(self.len()).expect("small");
        self.count(x);
        if self.window.len() > 1 {
            self.probation.push(self.window.remove(0));
        }
        self.demote();
        false
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_paper(requests in requests(), capacity in capacities(), in_one_step: bool) {
        agree::<WTinyLfuOfThePaper, overdrive_core::policy::WTinyLfu>(&requests, capacity, in_one_step)?;
    }
}
