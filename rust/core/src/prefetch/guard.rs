//! Whether prefetching is worth its loads at all, going by the last outcomes.
//!
//! Below a share of prefetches that were of use it closes: from then on predictions are only watched, save for
//! a few. It opens when those that would have been made, and the few that were, come true again. Each time that
//! it has to close again soon, it asks for twice as much evidence before it opens: traffic that keeps looking
//! predictable and is not costs less and less.

/// Outcomes that are looked at.
pub const WINDOW: u32 = 300;
const WORDS: usize = WINDOW.div_ceil(64) as usize;
/// Outcomes before there is a verdict.
const ENOUGH: u32 = 100;
/// Closes below this share.
const CLOSES_BELOW: f32 = 0.35;
/// Opens from this share on.
const OPENS_AT: f32 = 0.5;
const MOST_EVIDENCE: u32 = ENOUGH * 16;

/// The last outcomes, and what follows from them.
#[derive(Debug)]
pub struct Guard {
    outcomes: [u64; WORDS],
    at: u32,
    len: u32,
    right: u32,
    open: bool,
    /// Outcomes since it opened or closed.
    since: u32,
    /// Outcomes that opening takes.
    evidence: u32,
    closings: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            outcomes: [0; WORDS],
            at: 0,
            len: 0,
            right: 0,
            open: true,
            since: 0,
            evidence: ENOUGH,
            closings: 0,
        }
    }
}

impl Guard {
    /// Whether prefetches are made.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// How often it closed.
    pub fn closings(&self) -> u64 {
        self.closings
    }

    /// The share of the last outcomes that were right; 1 without any.
    pub fn precision(&self) -> f32 {
        if self.len == 0 {
            1.0
        } else {
            self.right as f32 / self.len as f32
        }
    }

    /// Counts how a prefetch turned out or, while it is closed, one that was only watched.
    pub fn count(&mut self, right: bool) {
        let (word, bit) = ((self.at / 64) as usize, 1_u64 << (self.at % 64));
        if self.len == WINDOW {
            self.right -= u32::from(self.outcomes[word] & bit != 0);
        } else {
            self.len += 1;
        }
        self.outcomes[word] &= !bit;
        if right {
            self.outcomes[word] |= bit;
            self.right += 1;
        }
        self.at = (self.at + 1) % WINDOW;
        self.since = self.since.saturating_add(1);
        self.decide();
    }

    fn decide(&mut self) {
        if self.open {
            if self.since > 4 * WINDOW {
                self.evidence = ENOUGH;
            }
            if self.len >= ENOUGH && self.precision() < CLOSES_BELOW {
                self.evidence = (self.evidence * 2).min(MOST_EVIDENCE);
                self.closings += 1;
                self.turn(false);
            }
        } else if self.since >= self.evidence && self.precision() >= OPENS_AT {
            self.turn(true);
        }
    }

    fn turn(&mut self, open: bool) {
        self.open = open;
        self.since = 0;
        self.at = 0;
        self.len = 0;
        self.right = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(guard: &mut Guard, outcomes: u32, right_of_ten: u32) {
        for at in 0..outcomes {
            guard.count(at % 10 < right_of_ten);
        }
    }

    #[test]
    fn closes_on_noise_and_opens_when_predictions_come_true() {
        let mut guard = Guard::default();
        feed(&mut guard, 90, 0);
        assert!(guard.is_open());
        feed(&mut guard, 20, 0);
        assert!(!guard.is_open());
        feed(&mut guard, 1000, 3);
        assert!(!guard.is_open());
        feed(&mut guard, 600, 8);
        assert!(guard.is_open());
    }

    #[test]
    fn stays_open_above_the_limit() {
        let mut guard = Guard::default();
        feed(&mut guard, 10_000, 4);
        assert!(guard.is_open());
        assert_eq!(guard.precision(), 0.4);
    }

    #[test]
    fn asks_for_more_evidence_each_time() {
        let mut guard = Guard::default();
        let mut opened_after = Vec::new();
        for _ in 0..4 {
            while guard.is_open() {
                guard.count(false);
            }
            let mut outcomes = 0;
            while !guard.is_open() {
                guard.count(true);
                outcomes += 1;
            }
            opened_after.push(outcomes);
        }
        assert_eq!(opened_after, [200, 400, 800, 1600]);
    }
}
