//! Predicting which keys will be asked for next, to fetch them before they are.
//!
//! - [`contexts`]: what a request, task or session asked for last.
//! - [`successors`]: what follows what.
//! - [`lookahead`]: the likeliest paths from here, several steps far.
//! - [`calibration`]: how often predictions of a kind come true.
//! - [`pending`]: predictions whose outcome is not known yet.
//! - [`guard`]: whether prefetching is worth it at all.
//! - [`replay`]: what it would have done to an LRU cache.
//!
//! A prediction is *proposed* if its class was measured to come true often enough, the guard is open and the
//! budget has a token left; otherwise it is *watched*, which costs no load and teaches as much. The caller
//! says which proposals it issued (those that it had to fetch) and what became of each: used, wasted (left the
//! cache unused) or late (asked for before it was there). How far to look ahead follows from how many come
//! late, how long to watch from how long entries stay.
//!
//! Memory is fixed at construction; the same calls with the same seed give the same results.

use std::collections::TryReserveError;

pub mod calibration;
pub mod contexts;
pub mod guard;
pub mod lookahead;
pub mod pending;
pub mod replay;
pub mod successors;

use calibration::{Calibration, Class};
use contexts::Contexts;
use guard::Guard;
use lookahead::{LEAP, Lookahead, MAX_DEPTH, MAX_STEPS, Step};
use pending::{Kind, Pending};
use successors::{Row, Successors};

use crate::sample::mix;

/// Places for the latest proposals; a power of two.
const LATEST: usize = 512;
/// Requests within which a key is proposed once: along a chain it would be at each of them, and if it was not
/// issued the first time, it is most likely in the cache.
const ONCE_IN: u64 = MAX_DEPTH as u64;
/// Requests that predictions are watched for, until entries were seen to leave.
const FIRST_HORIZON: f32 = 512.0;
const LONGEST_HORIZON: f32 = 1_048_576.0;
/// How much a new age counts in the horizon.
const HORIZON_RATE: f32 = 1.0 / 16.0;
/// Steps that the depth grows by when a prefetch comes late, and shrinks by when one from a shorter distance
/// comes in time: it rests where one of 26 of them comes late.
const DEEPER: f32 = 0.5;
const SHALLOWER: f32 = 0.02;
const LEAST_DEPTH: f32 = 2.0;
/// The share of proposals that are made even while the guard is closed: 2 %.
const PROBING: u64 = u64::MAX / 50;
/// A key is watched from the same distance for 256 requests.
const TURN_BITS: u32 = 8;
/// Tokens that the budget holds at most.
const BURST: f32 = 64.0;
/// An issued prefetch of which nothing was heard for so many horizons is given up.
const GIVEN_UP: f32 = 16.0;

/// What a predictor may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Keys whose successors are kept, about.
    pub rows: usize,
    /// Contexts whose last key is kept, about.
    pub contexts: usize,
    /// Predictions whose outcome is awaited, about.
    pub pending: usize,
    /// Loads that may be wasted, per request.
    pub budget: f32,
    /// The share of prefetches that have to be of use.
    pub precision: f32,
    /// How many requests to look ahead at most, 1 to [`MAX_DEPTH`].
    pub depth: u8,
    /// Decides what is left to chance.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rows: 65_536,
            contexts: 4096,
            pending: 4096,
            budget: 0.1,
            precision: 0.5,
            depth: MAX_DEPTH,
            seed: 0,
        }
    }
}

/// What a predictor has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Requests observed.
    pub observed: u64,
    /// Keys proposed.
    pub proposed: u64,
    /// Of these, those that were fetched.
    pub issued: u64,
    /// Fetched and then asked for.
    pub used: u64,
    /// Fetched and not asked for while they were there.
    pub wasted: u64,
    /// Asked for while they were fetched.
    pub late: u64,
    /// Could not be fetched.
    pub failed: u64,
    /// Not proposed because the guard was closed.
    pub guarded: u64,
    /// Not proposed because the budget was spent.
    pub over_budget: u64,
}

/// A key that was proposed, why, and when; never, if that is 0.
#[derive(Clone, Copy, Debug, Default)]
struct Proposal {
    key: u64,
    class: Option<Class>,
    tick: u64,
}

/// Learns from requests, and proposes keys to fetch.
#[derive(Debug)]
pub struct Predictor {
    config: Config,
    contexts: Contexts,
    successors: Successors,
    /// What comes [`LEAP`] requests later; learned while it looks as far.
    leaps: Successors,
    ahead: Lookahead,
    calibration: Calibration,
    pending: Pending,
    guard: Guard,
    /// When the guard closed last.
    closed_at: u64,
    tokens: f32,
    depth: f32,
    horizon: f32,
    tick: u64,
    proposals: [u64; MAX_STEPS],
    /// By key, in no order; of two that share a place the later one is there.
    latest: [Proposal; LATEST],
    stats: Stats,
}

impl Predictor {
    /// A predictor that has learned nothing.
    pub fn new(config: Config) -> Result<Self, TryReserveError> {
        let config = Config {
            depth: config.depth.clamp(1, MAX_DEPTH),
            ..config
        };
        Ok(Self {
            contexts: Contexts::new(config.contexts)?,
            successors: Successors::new(config.rows, config.seed)?,
            leaps: Successors::new(config.rows, config.seed)?,
            ahead: Lookahead::default(),
            calibration: Calibration::default(),
            pending: Pending::new(config.pending, (config.pending / 4).max(1))?,
            guard: Guard::default(),
            closed_at: 0,
            tokens: BURST,
            depth: LEAST_DEPTH,
            horizon: FIRST_HORIZON,
            tick: 0,
            proposals: [0; MAX_STEPS],
            latest: [Proposal::default(); LATEST],
            stats: Stats::default(),
            config,
        })
    }

    /// Notes a request, and whether the cache had it, and returns keys to fetch, the most urgent first.
    pub fn observe(&mut self, context: u64, key: u64, hit: bool) -> &[u64] {
        self.tick += 1;
        self.stats.observed += 1;
        self.tokens = (self.tokens + self.config.budget).min(BURST);
        self.pending.request(key, hit);
        self.settle();
        let before = self.contexts.step(context, key, self.tick);
        if before.last == Some(key) {
            // Asked again: nothing follows that did not follow before.
            return &[];
        }
        if let Some(last) = before.last {
            self.successors.learn(last, key);
        }
        if let Some(far) = before.far
            && far != key
            && self.looks_far()
        {
            self.leaps.learn(far, key);
        }
        let count = self.propose(key);
        &self.proposals[..count]
    }

    /// Whether a key that somebody else predicted may be fetched as well: the guard and the budget are for all.
    pub fn admits(&mut self, key: u64) -> bool {
        self.is_affordable(key, 0)
    }

    /// Notes that a proposed key is being fetched.
    pub fn issued(&mut self, key: u64) {
        let latest = self.latest[place(key)];
        let class = latest.class.filter(|_| latest.key == key);
        self.pending.issue(key, class, self.tick);
        self.tokens = (self.tokens - 1.0).max(-BURST);
        self.stats.issued += 1;
    }

    /// Notes that a key that was fetched was asked for.
    pub fn used(&mut self, key: u64) {
        self.stats.used += 1;
        let Some(age) = self.outcome(key, true) else {
            return;
        };
        // Only what was fetched from a shorter distance, and in time all the same, says that less will do.
        if age < self.depth {
            self.depth = (self.depth - SHALLOWER).max(LEAST_DEPTH);
        }
        if age > self.horizon {
            self.stayed(age);
        }
    }

    /// Notes that a key was asked for while it was being fetched. The prediction was right, and nothing was
    /// loaded in vain, but it has to come earlier.
    pub fn late(&mut self, key: u64) {
        self.stats.late += 1;
        self.depth = (self.depth + DEEPER).min(f32::from(self.config.depth));
        self.outcome(key, true);
    }

    /// Notes that a key that was fetched left the cache without having been asked for.
    pub fn wasted(&mut self, key: u64) {
        self.stats.wasted += 1;
        if let Some(age) = self.outcome(key, false) {
            self.stayed(age);
        }
    }

    /// Notes that a key could not be fetched: a load was spent on nothing.
    pub fn failed(&mut self, key: u64) {
        self.stats.failed += 1;
        self.outcome(key, false);
    }

    /// What it has done.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The share of the last prefetches that were of use; 1 without any.
    pub fn precision(&self) -> f32 {
        self.guard.precision()
    }

    /// Whether the guard lets prefetches be made.
    pub fn is_open(&self) -> bool {
        self.guard.is_open()
    }

    /// How often the guard closed.
    pub fn closings(&self) -> u64 {
        self.guard.closings()
    }

    /// How many requests it looks ahead now.
    pub fn depth(&self) -> u8 {
        (self.depth as u8).clamp(1, self.config.depth)
    }

    /// Requests after which a prediction that is only watched counts as wrong.
    pub fn horizon(&self) -> u64 {
        self.horizon as u64
    }

    /// What it may use.
    pub fn config(&self) -> Config {
        self.config
    }

    /// Keys whose successors are known, with these.
    pub fn rows(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.successors.iter()
    }

    /// What follows a key.
    pub fn row(&self, key: u64) -> Option<&Row> {
        self.successors.get(key)
    }

    /// How many keys' successors are known.
    pub fn len(&self) -> usize {
        self.successors.len()
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.successors.is_empty()
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.contexts.memory()
            + self.successors.memory()
            + self.leaps.memory()
            + self.pending.memory()
    }

    /// Forgets everything, and begins to count anew.
    pub fn clear(&mut self) {
        self.contexts.clear();
        self.successors.clear();
        self.leaps.clear();
        self.calibration.clear();
        self.pending.clear();
        self.guard = Guard::default();
        self.closed_at = 0;
        self.tokens = BURST;
        self.depth = LEAST_DEPTH;
        self.horizon = FIRST_HORIZON;
        self.tick = 0;
        self.latest = [Proposal::default(); LATEST];
        self.stats = Stats::default();
    }

    fn settle(&mut self) {
        let before = self.tick.saturating_sub(self.horizon as u64);
        while let Some(settled) = self.pending.settle(before) {
            let class = settled.class;
            // What was predicted before it closed says nothing about the time since.
            if !self.guard.is_open()
                && settled.tick > self.closed_at
                && self.calibration.reaches(class, self.config.precision)
            {
                self.guard.count(settled.right);
            }
            self.calibration.count(class, settled.right);
        }
    }

    fn propose(&mut self, key: u64) -> usize {
        let depth = self.depth();
        let mut count = 0;
        self.ahead.near(&self.successors, key, depth);
        if self.looks_far() {
            self.ahead.far(&self.leaps, &self.successors, depth);
        }
        let given_up = self.tick.saturating_sub((self.horizon * GIVEN_UP) as u64);
        for at in 0..self.ahead.steps().len() {
            let step = self.ahead.steps()[at];
            let latest = self.latest[place(step.key)];
            if latest.key == step.key && latest.tick > 0 && self.tick - latest.tick < ONCE_IN {
                continue;
            }
            let known = self.pending.get(step.key);
            let is_known = known.is_some();
            if known.is_some_and(|known| known.kind == Kind::Issued && known.tick >= given_up) {
                continue;
            }
            let class = Class::of(&step);
            if self.is_allowed(&step, class, count) {
                self.proposals[count] = step.key;
                count += 1;
                self.latest[place(step.key)] = Proposal {
                    key: step.key,
                    class: Some(class),
                    tick: self.tick,
                };
            } else if !is_known && self.is_turn_of(&step, depth) {
                self.pending.watch(step.key, class, self.tick);
            }
        }
        self.stats.proposed += count as u64;
        count
    }

    fn looks_far(&self) -> bool {
        self.depth() >= LEAP
    }

    /// Whether a key is to be watched from this distance. Along a chain each key is named from all distances,
    /// the largest first; if that were watched, it alone would ever be measured.
    fn is_turn_of(&self, step: &Step, depth: u8) -> bool {
        let turn = mix(self.config.seed ^ step.key ^ self.tick >> TURN_BITS) % u64::from(depth);
        turn + 1 == u64::from(step.depth)
    }

    fn is_allowed(&mut self, step: &Step, class: Class, proposed: usize) -> bool {
        self.calibration.reaches(class, self.config.precision)
            && self.is_affordable(step.key, proposed)
    }

    fn is_affordable(&mut self, key: u64, proposed: usize) -> bool {
        if !self.guard.is_open() && mix(self.config.seed ^ key ^ mix(self.tick)) > PROBING {
            self.stats.guarded += 1;
            return false;
        }
        let left = self.tokens >= proposed as f32 + 1.0;
        self.stats.over_budget += u64::from(!left);
        left
    }

    /// Counts an outcome, and returns how many requests it took, if the prefetch is remembered.
    fn outcome(&mut self, key: u64, right: bool) -> Option<f32> {
        let was_open = self.guard.is_open();
        self.guard.count(right);
        if was_open && !self.guard.is_open() {
            self.closed_at = self.tick;
        }
        if right {
            // It took the place of a load that would have been made anyway.
            self.tokens = (self.tokens + 1.0).min(BURST);
        }
        let taken = self.pending.take_issued(key, right)?;
        if let Some(class) = taken.class {
            self.calibration.count(class, right);
        }
        Some((self.tick - taken.tick) as f32)
    }

    fn stayed(&mut self, age: f32) {
        self.horizon = (self.horizon + (age - self.horizon) * HORIZON_RATE)
            .clamp(FIRST_HORIZON / 8.0, LONGEST_HORIZON);
    }
}

fn place(key: u64) -> usize {
    mix(key) as usize & (LATEST - 1)
}
