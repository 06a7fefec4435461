//! LIRS, from the description in the paper, with a history of bounded length.

use proptest::prelude::*;

use crate::full_cache::{Paper, agree, capacities, requests};

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Lir,
    Resident,
    NonResident,
}

use Status::{Lir, NonResident, Resident};

struct LirsOfThePaper {
    size: usize,
    /// From bottom to top.
    s: Vec<(u64, Status)>,
    /// The resident HIR blocks, next victim first.
    q: Vec<u64>,
    /// The non-resident blocks in the order in which they left.
    left: Vec<u64>,
}

impl LirsOfThePaper {
    fn count(&self, status: Status) -> usize {
        self.s.iter().filter(|block| block.1 == status).count()
    }

    fn prune(&mut self) {
        while self.s.first().is_some_and(|block| block.1 != Lir) {
            let (x, _) = self.s.remove(0);
            self.left.retain(|&other| other != x);
        }
    }

    fn push(&mut self, x: u64, status: Status) {
        self.s.retain(|block| block.0 != x);
        self.s.push((x, status));
    }

    /// A block has become LIR: the one at the bottom no longer is, if those are too many.
    fn balance(&mut self) {
        self.prune();
        let blocks = self.count(Lir) + self.q.len();
        if self.count(Lir) > blocks - (blocks / 100).max(1) {
            let (x, _) = self.s.remove(0);
            self.q.push(x);
            self.prune();
        }
    }
}

impl Paper for LirsOfThePaper {
    fn new(size: usize) -> Self {
        Self {
            size,
            s: Vec::new(),
            q: Vec::new(),
            left: Vec::new(),
        }
    }

    fn request(&mut self, x: u64) -> bool {
        let on_stack = self
            .s
            .iter()
            .find(|block| block.0 == x)
            .map(|block| block.1);
        let queued = self.q.contains(&x);
        self.q.retain(|&other| other != x);
        if on_stack == Some(Lir) || on_stack == Some(Resident) {
            self.push(x, Lir);
            self.balance();
            return true;
        }
        if queued {
            self.push(x, Resident);
            self.q.push(x);
            self.prune();
            return true;
        }
        if self.count(Lir) + self.q.len() == self.size {
            let y = self.q.remove(0);
            if let Some(block) = self.s.iter_mut().find(|block| block.0 == y) {
                block.1 = NonResident;
                self.left.push(y);
            }
        }
        self.left.retain(|&other| other != x);
        let blocks = self.count(Lir) + self.q.len() + 1;
        if on_stack == Some(NonResident) || self.count(Lir) < blocks - (blocks / 100).max(1) {
            self.push(x, Lir);
            self.balance();
        } else {
            self.push(x, Resident);
            self.q.push(x);
            self.prune();
        }
        while self.left.len() > 2 * self.size {
            let y = self.left.remove(0);
            self.s.retain(|block| block.0 != y);
        }
        false
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_paper(requests in requests(), capacity in capacities(), in_one_step: bool) {
        agree::<LirsOfThePaper, overdrive_core::policy::Lirs>(&requests, capacity, in_one_step)?;
    }
}
