//! Replaying a trace through a policy: a cold start, items of size one, every miss is stored.
//!
//! - [`Contestant`]: what can be replayed, by name.
//! - `engine`: any policy, without a table: keys are numbers.
//! - `optimal`: Belady's bound, which knows the future.
//! - `drawn`: random replacement that draws for itself.

use std::collections::TryReserveError;

mod drawn;
mod engine;
mod marks;
mod named;
mod optimal;

pub use drawn::Drawn;
pub use engine::Engine;
pub use named::{Name, Visitor};
pub use optimal::Optimal;

use crate::policy::Policy;
use crate::trace::Trace;

/// What came of the requests replayed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests replayed.
    pub requests: u64,
    /// Those for a key that was in.
    pub hits: u64,
    /// Keys that had to leave.
    pub evictions: u64,
    /// Nanoseconds that the replay took.
    pub nanoseconds: u64,
}

/// A replay that is under way.
pub trait Replay: Send {
    /// Replays the next requests, a number of them at most; `false` when there are no more. Always to
    /// be given the same trace.
    fn step(&mut self, trace: &Trace, requests: usize) -> bool;
    /// What came of it so far.
    fn tally(&self) -> Tally;
}

/// Whatever can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// A policy.
    Policy(Name),
    /// The optimal replacement, which no policy can beat.
    Optimal,
}

impl Contestant {
    /// What goes by this name, in lower case.
    pub fn named(name: &str) -> Option<Self> {
        if name == "opt" {
            Some(Self::Optimal)
        } else {
            Name::parse(name).map(Self::Policy)
        }
    }

    /// All names, the simplest policy first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Name::ALL.iter().map(|name| name.text()).chain(["opt"])
    }

    /// Begins to replay a trace in a cache of `size` keys; the seed decides what is left to chance.
    pub fn start(
        self,
        trace: &Trace,
        size: usize,
        seed: u64,
    ) -> Result<Box<dyn Replay>, TryReserveError> {
        match self {
            Contestant::Optimal => Ok(Box::new(Optimal::new(trace, size)?)),
            Contestant::Policy(name) => name.visit(seed, Start { trace, size }),
        }
    }
}

struct Start<'a> {
    trace: &'a Trace,
    size: usize,
}

impl Visitor for Start<'_> {
    type Output = Result<Box<dyn Replay>, TryReserveError>;

    fn with<P: Policy + Send + Sync + 'static>(self, policy: P) -> Self::Output {
        Ok(Box::new(Engine::new(policy, self.trace.keys(), self.size)?))
    }
}
