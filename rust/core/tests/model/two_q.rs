//! 2Q, from the paper's full version.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::full_cache::{Paper, agree, capacities, requests};

struct TwoQOfThePaper {
    size: usize,
    a1in: VecDeque<u64>,
    a1out: VecDeque<u64>,
    am: VecDeque<u64>,
}

impl TwoQOfThePaper {
    /// The place that the page will have; pages that leave A1in are remembered.
    fn reclaim(&mut self) {
        let (k_in, k_out) = ((self.size / 4).max(1), (self.size / 2).max(1));
        if self.a1in.len() + self.am.len() < self.size {
            return;
        }
        if self.a1in.len() > k_in || self.am.is_empty() {
            self.a1out.extend(self.a1in.pop_front());
            if self.a1out.len() > k_out {
                self.a1out.pop_front();
            }
        } else {
            self.am.pop_front();
        }
    }
}

impl Paper for TwoQOfThePaper {
    fn new(size: usize) -> Self {
        let none = VecDeque::new;
        Self {
            size,
            a1in: none(),
            a1out: none(),
            am: none(),
        }
    }

    fn request(&mut self, x: u64) -> bool {
        if let Some(at) = self.am.iter().position(|&other| other == x) {
            self.am.remove(at);
            self.am.push_back(x);
            true
        } else if self.a1in.contains(&x) {
            true
        } else if let Some(at) = self.a1out.iter().position(|&other| other == x) {
            self.a1out.remove(at);
            self.reclaim();
            self.am.push_back(x);
            false
        } else {
            self.reclaim();
            self.a1in.push_back(x);
            false
        }
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_paper(requests in requests(), capacity in capacities(), in_one_step: bool) {
        agree::<TwoQOfThePaper, overdrive_core::policy::TwoQ>(&requests, capacity, in_one_step)?;
    }
}
