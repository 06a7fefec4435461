//! Sequences of requests: what caches were, or would be, asked for.
//!
//! - [`numbering`]: keys -> dense numbers, so that replays index arrays.
//! - [`lines`], [`table`]: keys out of text, piece by piece.
//! - [`file`]: what a live cache records.

use std::collections::TryReserveError;
use std::fmt;

pub mod file;
pub mod lines;
mod numbering;
pub mod table;

pub use numbering::Numbering;

use crate::sample::{Filter, NotARate};

/// The largest number of requests: times are 32 bits wide, with one value to spare.
pub const MAX_REQUESTS: usize = u32::MAX as usize - 1;

/// Requests in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    ids: Vec<u32>,
    keys: usize,
}

/// Why a request could not be added.
#[derive(Debug)]
pub enum Full {
    /// [`MAX_REQUESTS`] are there.
    Requests,
    /// No memory is left.
    Memory,
}

impl fmt::Display for Full {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Full::Requests => write!(to, "more requests than the limit of {MAX_REQUESTS}"),
            Full::Memory => to.write_str("not enough memory for the requests"),
        }
    }
}

impl From<TryReserveError> for Full {
    fn from(_: TryReserveError) -> Self {
        Full::Memory
    }
}

impl Trace {
    /// The requested keys, numbered from 0 in the order of their first request.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The number of different keys.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// The number of requests.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no request.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The requests for a share of the keys, chosen by the seed.
    pub fn sampled(&self, rate: f64, seed: u64) -> Result<Trace, NotARate> {
        let filter = Filter::new(rate, seed)?;
        let mut numbers = vec![None; self.keys];
        let mut keys = 0;
        for (id, number) in numbers.iter_mut().enumerate() {
            if filter.passes(id as u64).is_some() {
                *number = Some(keys);
                keys += 1;
            }
        }
        Ok(Trace {
            ids: self
                .ids
                .iter()
                .filter_map(|&id| numbers[id as usize])
                .collect(),
            keys: keys as usize,
        })
    }
}

/// A trace that is being put together.
#[derive(Debug, Default)]
pub struct Builder {
    numbering: Numbering,
    ids: Vec<u32>,
}

impl Builder {
    /// Adds a request for a key.
    #[inline]
    pub fn push(&mut self, key: u64) -> Result<(), Full> {
        if self.ids.len() == MAX_REQUESTS {
            return Err(Full::Requests);
        }
        if self.ids.len() == self.ids.capacity() {
            self.ids.try_reserve(1)?;
        }
        let id = self.numbering.number(key)?;
        self.ids.push(id);
        Ok(())
    }

    /// The number of requests so far.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no request yet.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The trace; nothing is left here.
    pub fn finish(&mut self) -> Trace {
        let keys = std::mem::take(&mut self.numbering).len();
        let mut ids = std::mem::take(&mut self.ids);
        ids.shrink_to_fit();
        Trace { ids, keys }
    }
}

impl FromIterator<u64> for Trace {
    /// # Panics
    /// If there are too many requests for a trace or for the memory.
    fn from_iter<I: IntoIterator<Item = u64>>(keys: I) -> Self {
        let mut builder = Builder::default();
        for key in keys {
            if let Err(full) = builder.push(key) {
                panic!("{full}");
            }
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbered_in_the_order_of_their_first_request() {
        let trace: Trace = [700, 3, 700, u64::MAX, 3].into_iter().collect();
        assert_eq!(trace.ids(), [0, 1, 0, 2, 1]);
        assert_eq!((trace.len(), trace.keys()), (5, 3));
    }

    #[test]
    fn a_sample_has_all_requests_for_its_keys() {
        let trace: Trace = (0..10_000).map(|at| at % 1000).collect();
        let sample = trace.sampled(0.25, 3).expect("a rate");
        assert!((200..300).contains(&sample.keys()));
        assert_eq!(sample.len(), sample.keys() * 10);
        assert_eq!(
            sample.ids().iter().max().copied(),
            Some(sample.keys() as u32 - 1)
        );
    }

    #[test]
    fn a_finished_builder_begins_anew() {
        let mut builder = Builder::default();
        builder.push(9).expect("room");
        assert_eq!(builder.finish().keys(), 1);
        builder.push(8).expect("room");
        assert_eq!(builder.finish().ids(), [0]);
    }
}
