//! Choosing keys by their hash: all requests for a key are in the sample, or none is.
//!
//! Source: Waldspurger, Park, Garthwaite, Ahmad, "Efficient MRC Construction with SHARDS" (FAST '15):
//! a cache of `rate * size` entries that sees only the sampled keys hits about as often as one of
//! `size` entries that sees all of them.

use std::fmt;

/// Spreads 64 bits over 64 bits, one to one: every bit of the result depends on every bit given.
///
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA '14).
#[inline(always)]
pub const fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A share that is not above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotARate(pub f64);

impl fmt::Display for NotARate {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "rate {} is not above 0 and at most 1", self.0)
    }
}

/// Decides which keys are in a sample. One multiplication chain and one comparison a request.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    seed: u64,
    limit: u64,
    rate: f64,
}

impl Filter {
    /// A filter that lets the share `rate` of all keys pass; which ones depends on the seed.
    pub fn new(rate: f64, seed: u64) -> Result<Self, NotARate> {
        if rate > 0.0 && rate <= 1.0 {
            Ok(Self {
                seed: mix(seed),
                // The conversion saturates: at a rate of 1 everything passes.
                limit: (rate * 2.0_f64.powi(64)) as u64,
                rate,
            })
        } else {
            Err(NotARate(rate))
        }
    }

    /// The share of keys that pass.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether a key of this hash is in the sample; if so, 64 bits of which the low half is as good
    /// as random (the high half is what was compared).
    #[inline(always)]
    pub fn passes(&self, hash: u64) -> Option<u64> {
        let mixed = mix(hash ^ self.seed);
        (mixed <= self.limit).then_some(mixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_passes_is_the_rate() {
        for rate in [0.5, 0.1, 0.01] {
            let filter = Filter::new(rate, 7).expect("a rate");
            let passed = (0..200_000)
                .filter(|&hash| filter.passes(hash).is_some())
                .count();
            let expected = rate * 200_000.0;
            assert!(
                (passed as f64 - expected).abs() < 5.0 * expected.sqrt(),
                "{passed} at {rate}"
            );
        }
    }

    #[test]
    fn everything_passes_at_a_rate_of_one() {
        let filter = Filter::new(1.0, 7).expect("a rate");
        assert!((0..10_000).all(|hash| filter.passes(mix(hash)).is_some()));
    }

    #[test]
    fn the_seed_chooses_the_keys() {
        let [one, other] = [1, 2].map(|seed| Filter::new(0.1, seed).expect("a rate"));
        let both = (0..100_000)
            .filter(|&hash| one.passes(hash).is_some() && other.passes(hash).is_some())
            .count();
        assert!(
            (800..1200).contains(&both),
            "{both} keys in both samples, 1000 expected"
        );
    }

    #[test]
    fn a_lower_rate_takes_a_part_of_the_same_keys() {
        let [few, many] = [0.01, 0.1].map(|rate| Filter::new(rate, 7).expect("a rate"));
        assert!((0..100_000).all(|hash| few.passes(hash).is_none() || many.passes(hash).is_some()));
    }

    #[test]
    fn what_is_not_a_share_is_refused() {
        for rate in [0.0, -0.5, 1.001, f64::NAN, f64::INFINITY] {
            assert!(Filter::new(rate, 0).is_err(), "{rate}");
        }
        assert_eq!(
            NotARate(1.5).to_string(),
            "rate 1.5 is not above 0 and at most 1"
        );
    }
}
