//! S3-FIFO, from Algorithm 1 of the paper.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::full_cache::{Paper, agree, capacities, requests};

/// Queues are from tail (oldest) to head (newest).
struct S3FifoOfThePaper {
    c: usize,
    small: VecDeque<(u64, u8)>,
    main: VecDeque<(u64, u8)>,
    ghost: VecDeque<u64>,
}

impl S3FifoOfThePaper {
    fn tenth(&self) -> usize {
        (self.c / 10).max(1)
    }

    fn evict(&mut self) {
        if self.small.len() >= self.tenth() {
            self.evict_from_small();
        } else {
            self.evict_from_main();
        }
    }

    fn evict_from_small(&mut self) {
        while let Some((t, freq)) = self.small.pop_front() {
            if freq > 1 {
                self.main.push_back((t, 0));
                if self.main.len() > self.c - self.tenth() {
                    return self.evict_from_main();
                }
            } else {
                self.ghost.push_back(t);
                return;
            }
        }
        self.evict_from_main();
    }

    fn evict_from_main(&mut self) {
        while let Some((t, freq)) = self.main.pop_front() {
            if freq == 0 {
                return;
            }
            self.main.push_back((t, freq - 1));
        }
    }
}

impl Paper for S3FifoOfThePaper {
    fn new(c: usize) -> Self {
        let ghost = VecDeque::new();
        Self {
            c,
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghost,
        }
    }

    fn request(&mut self, x: u64) -> bool {
        let mut cached = self.small.iter_mut().chain(&mut self.main);
        if let Some(object) = cached.find(|object| object.0 == x) {
            object.1 = (object.1 + 1).min(3);
            return true;
        }
        if self.small.len() + self.main.len() == self.c {
            self.evict();
        }
        if let Some(at) = self.ghost.iter().position(|&other| other == x) {
            self.ghost.remove(at);
            self.main.push_back((x, 0));
        } else {
            self.small.push_back((x, 0));
        }
        if self.ghost.len() > (self.c - self.tenth()).max(1) {
            self.ghost.pop_front();
        }
        false
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_paper(requests in requests(), capacity in capacities(), in_one_step: bool) {
        agree::<S3FifoOfThePaper, overdrive_core::policy::S3Fifo>(&requests, capacity, in_one_step)?;
    }
}
