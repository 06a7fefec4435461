//! SIEVE, from Algorithm 1 of the paper.

use proptest::prelude::*;

use crate::full_cache::{Paper, agree, capacities, requests};

/// From tail (oldest) to head (newest), each with its visited bit.
struct SieveOfThePaper {
    size: usize,
    queue: Vec<(u64, bool)>,
    hand: Option<u64>,
}

impl Paper for SieveOfThePaper {
    fn new(size: usize) -> Self {
        Self {
            size,
            queue: Vec::new(),
            hand: None,
        }
    }

    fn request(&mut self, x: u64) -> bool {
        if let Some(object) = self.queue.iter_mut().find(|object| object.0 == x) {
            object.1 = true;
            return true;
        }
        if self.queue.len() == self.size {
            let at_hand = self
                .queue
                .iter()
                .position(|object| Some(object.0) == self.hand);
            let mut o = at_hand.unwrap_or(0);
            while self.queue[o].1 {
                self.queue[o].1 = false;
                o = (o + 1) % self.queue.len();
            }
            self.hand = self.queue.get(o + 1).map(|object| object.0);
            self.queue.remove(o);
        }
        self.queue.push((x, false));
        false
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_paper(requests in requests(), capacity in capacities(), in_one_step: bool) {
        agree::<SieveOfThePaper, overdrive_core::policy::Sieve>(&requests, capacity, in_one_step)?;
    }
}
