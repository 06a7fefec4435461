//! Which expert is ahead, and whether that is more than luck.
//!
//! For each request that the shadows saw it is counted *which* experts hit, so that the difference of
//! any two is known from the requests on which they differ, and with it how much of it may be chance
//! (McNemar, "Note on the sampling error of the difference between correlated proportions", 1947).
//! Counts fade exponentially.
//!
//! A shadow may do better than the real cache would under its rules, because it *holds* what the real
//! cache does not. So what the leader's shadow hits and the real cache misses is held against it, and
//! stays so for a while after it has lost the lead.

use super::experts::EXPERTS;

/// To be followed, an expert must be ahead by this share of the requests,
const MARGIN: f32 = 0.005;
/// and by so many standard deviations.
const DEVIATIONS: f32 = 3.0;
/// Counts fade over so many requests per entry of a shadow, and at least so many.
const HORIZON: f32 = 8.0;
const LEAST_HORIZON: f32 = 500.0;
/// How much of what the real cache did not live up to counts,
const DOUBT: f32 = 0.75;
/// and how many horizons it takes to be forgiven.
const FORGIVING: f32 = 4.0;

/// Sets of experts, a bit each.
const SETS: usize = 1 << EXPERTS;

/// What is known about the experts.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Requests since the last verdict, by the set of experts that hit.
    counts: [u32; SETS],
    /// The same, faded.
    faded: [f32; SETS],
    /// Hits of the leader's shadow that the real cache missed, less the other way round, since the last verdict.
    lacking: f32,
    /// The same by expert, faded.
    doubts: [f32; EXPERTS],
    seen: u32,
}

impl Evidence {
    /// The shadows saw a request: who hit it, a bit each, and whether the real cache did.
    #[inline]
    pub fn note(&mut self, hits: usize, leader: usize, hit: bool) {
        self.counts[hits % SETS] += 1;
        self.seen += 1;
        self.lacking += f32::from((hits >> leader & 1) as u8) - f32::from(u8::from(hit));
    }

    /// Whom to follow, as far as can be said; looked at every quarter of a shadow of so many entries.
    #[inline]
    pub fn verdict(&mut self, leader: usize, entries: usize) -> usize {
        if self.seen < (entries / 4).max(16) as u32 {
            leader
        } else {
            self.judge(leader, entries)
        }
    }

    fn judge(&mut self, leader: usize, entries: usize) -> usize {
        let horizon = (HORIZON * entries as f32).max(LEAST_HORIZON);
        let keep = |horizon: f32| (-(self.seen as f32) / horizon).exp();
        let (kept, forgiven) = (keep(horizon), keep(horizon * FORGIVING));
        for (faded, count) in self.faded.iter_mut().zip(&mut self.counts) {
            *faded = *faded * kept + std::mem::take(count) as f32;
        }
        for (expert, doubt) in self.doubts.iter_mut().enumerate() {
            *doubt *= if expert == leader { kept } else { forgiven };
        }
        self.doubts[leader] += std::mem::take(&mut self.lacking);
        self.seen = 0;
        let least = MARGIN * self.requests();
        let mut best = (leader, 0.0);
        for expert in (0..EXPERTS).filter(|&expert| expert != leader) {
            let (more, fewer) = self.differences(expert, leader);
            let doubt = self.doubts[expert].max(0.0) - self.doubts[leader].max(0.0);
            let lead = more - fewer - DOUBT * doubt;
            let luck = DEVIATIONS * (more + fewer).sqrt();
            if lead > least && lead > luck && lead > best.1 {
                best = (expert, lead);
            }
        }
        best.0
    }

    /// Requests that only the one of two experts hit, and that only the other did.
    fn differences(&self, one: usize, other: usize) -> (f32, f32) {
        self.faded
            .iter()
            .enumerate()
            .fold((0.0, 0.0), |(more, fewer), (hits, count)| {
                match (hits >> one & 1, hits >> other & 1) {
                    (1, 0) => (more + count, fewer),
                    (0, 1) => (more, fewer + count),
                    _ => (more, fewer),
                }
            })
    }

    /// Requests that the evidence rests on, faded.
    pub fn requests(&self) -> f32 {
        self.faded.iter().sum()
    }

    /// Hits per request of each expert lately, 0 to 1.
    pub fn hit_ratios(&self) -> [f32; EXPERTS] {
        let requests = self.requests().max(1.0);
        std::array::from_fn(|expert| {
            let hits = self.faded.iter().enumerate();
            hits.filter(|(hits, _)| hits >> expert & 1 == 1)
                .map(|(_, count)| count)
                .sum::<f32>()
                / requests
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: usize = 100;

    #[test]
    fn the_leader_stays_while_the_difference_may_be_luck() {
        let mut evidence = Evidence::default();
        for request in 0..200 {
            evidence.note(if request % 50 == 0 { 0b0010 } else { 0b0011 }, 0, true);
            assert_eq!(evidence.verdict(0, ENTRIES), 0);
        }
    }

    #[test]
    fn an_expert_that_is_clearly_ahead_is_followed() {
        let mut evidence = Evidence::default();
        let verdicts: Vec<usize> = (0..210)
            .map(|_| {
                evidence.note(0b0100, 0, false);
                evidence.verdict(0, ENTRIES)
            })
            .collect();
        assert_eq!(verdicts.last(), Some(&0), "before the next verdict is due");
        assert!(verdicts.contains(&2));
        assert!(evidence.hit_ratios()[2] > 0.9);
    }

    #[test]
    fn what_the_real_cache_does_not_live_up_to_is_held_against_the_leader() {
        let mut evidence = Evidence::default();
        // Expert 1 leads and its shadow hits everything; the real cache nothing, and expert 0 half.
        let verdicts: Vec<usize> = (0..600)
            .map(|request| {
                evidence.note(if request % 2 == 0 { 0b0011 } else { 0b0010 }, 1, false);
                evidence.verdict(1, ENTRIES)
            })
            .collect();
        assert!(verdicts.contains(&0));
    }
}
