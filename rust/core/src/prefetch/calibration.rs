//! How often predictions of a kind come true, measured.
//!
//! The share of a successor says how often it came *next*. What a prefetch is worth is another question:
//! whether the key is asked for, as one that would have been missed, before the entry leaves the cache. That
//! depends on the traffic as much as on the share, and is therefore not assumed but measured, for each class
//! of share, of support and of distance.

use super::lookahead::Step;

/// Two for each halving of the confidence.
const CONFIDENCES: usize = 24;
const SUPPORTS: usize = 5;
const DEPTHS: usize = 5;
const CELLS: usize = CONFIDENCES * SUPPORTS * DEPTHS;
/// Outcomes after which a class is believed.
const ENOUGH: f32 = 8.0;
/// Outcomes at which both counts are halved, so that a class tells of the recent ones.
const AGED_AT: f32 = 256.0;

/// A class of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(u16);

impl Class {
    /// The class that a prediction belongs to.
    pub fn of(step: &Step) -> Self {
        let confidence = half_octaves(step.confidence).min(CONFIDENCES - 1);
        let support = logarithm(step.support).min(SUPPORTS - 1);
        let depth = logarithm(step.depth).min(DEPTHS - 1);
        Self(((confidence * SUPPORTS + support) * DEPTHS + depth) as u16)
    }
}

/// 0 for 1, 1 for 3/4 to 1, 2 for 1/2 to 3/4, 3 for 3/8 to 1/2, and so on: the exponent of the number and
/// the first bit of its fraction.
fn half_octaves(share: f32) -> usize {
    const FRACTION: u32 = f32::MANTISSA_DIGITS - 2;
    let one = 1.0_f32.to_bits() >> FRACTION;
    one.saturating_sub(share.to_bits() >> FRACTION) as usize
}

/// 0 for 0 and 1, 1 for 2, 2 for 3 and 4, 3 for 5 to 8, and so on.
fn logarithm(number: u8) -> usize {
    (u8::BITS - number.saturating_sub(1).leading_zeros()) as usize
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    right: f32,
    total: f32,
}

/// What came of the predictions of each class.
#[derive(Debug)]
pub struct Calibration {
    cells: [Cell; CELLS],
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            cells: [Cell::default(); CELLS],
        }
    }
}

impl Calibration {
    /// Counts how a prediction turned out.
    pub fn count(&mut self, class: Class, right: bool) {
        let cell = &mut self.cells[usize::from(class.0)];
        if cell.total >= AGED_AT {
            cell.right /= 2.0;
            cell.total /= 2.0;
        }
        cell.total += 1.0;
        cell.right += f32::from(u8::from(right));
    }

    /// Whether predictions of a class come true at least as often. One that was not measured yet is as good as
    /// the same with less support: as rows fill up together, all predictions may be of a new class at once.
    pub fn reaches(&self, class: Class, precision: f32) -> bool {
        let at = usize::from(class.0);
        let mut less_support =
            (0..=at / DEPTHS % SUPPORTS).map(|less| self.cells[at - less * DEPTHS]);
        let measured = less_support.find(|cell| cell.total >= ENOUGH);
        measured.is_some_and(|cell| cell.right >= precision * cell.total)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(confidence: f32, support: u8, depth: u8) -> Step {
        Step {
            confidence,
            support,
            depth,
            ..Step::default()
        }
    }

    #[test]
    fn classes_are_distinct_and_in_range() {
        let last = Class::of(&step(0.0, u8::MAX, u8::MAX));
        assert_eq!(usize::from(last.0), CELLS - 1);
        assert_ne!(Class::of(&step(0.9, 1, 1)), Class::of(&step(0.9, 2, 1)));
        assert_eq!(Class::of(&step(0.9, 3, 3)), Class::of(&step(0.9, 4, 4)));
    }

    #[test]
    fn confidences_are_told_apart_by_half_octaves() {
        let shares = [1.0, 0.8, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2];
        assert_eq!(shares.map(half_octaves), [0, 1, 1, 2, 2, 3, 4, 5]);
    }

    #[test]
    fn a_class_is_believed_once_it_was_measured() {
        let mut calibration = Calibration::default();
        let class = Class::of(&step(0.6, 4, 2));
        assert!(!calibration.reaches(class, 0.0));
        for turn in 0..20 {
            calibration.count(class, turn % 4 != 0);
        }
        assert!(calibration.reaches(class, 0.75));
        assert!(!calibration.reaches(class, 0.76));
    }

    #[test]
    fn a_class_that_was_not_measured_is_as_good_as_with_less_support() {
        let mut calibration = Calibration::default();
        for _ in 0..20 {
            calibration.count(Class::of(&step(0.6, 2, 2)), true);
        }
        let reaches = |step| calibration.reaches(Class::of(&step), 0.9);
        assert!(reaches(step(0.6, 60, 2)));
        assert!(!reaches(step(0.6, 1, 2)));
        assert!(!reaches(step(0.6, 60, 1)));
        assert!(!reaches(step(0.4, 60, 2)));
    }

    #[test]
    fn a_class_follows_a_change() {
        let mut calibration = Calibration::default();
        let class = Class::of(&step(0.6, 4, 2));
        for _ in 0..10_000 {
            calibration.count(class, true);
        }
        for _ in 0..300 {
            calibration.count(class, false);
        }
        assert!(!calibration.reaches(class, 0.5));
    }
}
