//! ARC, line by line from Fig. 4 of the paper.

use proptest::prelude::*;

use crate::full_cache::{Paper, agree, capacities, requests};

/// Lists are from least to most recently used.
struct ArcOfThePaper {
    c: usize,
    p: f64,
    t1: Vec<u64>,
    t2: Vec<u64>,
    b1: Vec<u64>,
    b2: Vec<u64>,
}

fn take(list: &mut Vec<u64>, key: u64) -> bool {
    let at = list.iter().position(|&other| other == key);
    at.map(|at| list.remove(at)).is_some()
}

impl ArcOfThePaper {
    fn replace(&mut self, in_b2: bool) {
        let t1 = self.t1.len() as f64;
        if !self.t1.is_empty() && (t1 > self.p || in_b2 && t1 == self.p) {
            self.b1.push(self.t1.remove(0));
        } else {
            self.b2.push(self.t2.remove(0));
        }
    }
}

impl Paper for ArcOfThePaper {
    fn new(c: usize) -> Self {
        let none = Vec::new;
        Self {
            c,
            p: 0.0,
            t1: none(),
            t2: none(),
            b1: none(),
            b2: none(),
        }
    }

    fn request(&mut self, x: u64) -> bool {
        let (b1, b2) = (self.b1.len() as f64, self.b2.len() as f64);
        if take(&mut self.t1, x) || take(&mut self.t2, x) {
            self.t2.push(x);
            return true;
        }
        if self.b1.contains(&x) {
            self.p = (self.p + (b2 / b1).max(1.0)).min(self.c as f64);
            self.replace(false);
            take(&mut self.b1, x);
            self.t2.push(x);
            return false;
        }
        if self.b2.contains(&x) {
            self.p = (self.p - (b1 / b2).max(1.0)).max(0.0);
            self.replace(true);
            take(&mut self.b2, x);
            self.t2.push(x);
            return false;
        }
        let l1 = self.t1.len() + self.b1.len();
        let all = l1 + self.t2.len() + self.b2.len();
        if l1 == self.c {
            if self.t1.len() < self.c {
                self.b1.remove(0);
                self.replace(false);
            } else {
                self.t1.remove(0);
            }
        } else if all >= self.c {
            if all == 2 * self.c {
                self.b2.remove(0);
            }
            self.replace(false);
        }
        self.t1.push(x);
        false
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_paper(requests in requests(), capacity in capacities(), in_one_step: bool) {
        agree::<ArcOfThePaper, overdrive_core::policy::Arc>(&requests, capacity, in_one_step)?;
    }
}
