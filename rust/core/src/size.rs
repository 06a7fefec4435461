//! Item sizes and their totals.
//!
//! Sizes are integers or floats and mix as in Python: integer arithmetic is exact (a total of
//! 2^32 items of up to 2^63 fits in 128 bits), a float makes the total a float, and an integer is
//! compared with a float exactly, not by rounding.

use std::cmp::Ordering;

/// The size of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// An exact size.
    Int(i64),
    /// A fractional or infinite size; never NaN.
    Float(f64),
}

/// A sum or a limit of sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Total {
    /// An exact total.
    Int(i128),
    /// A total that a float took part in.
    Float(f64),
}

impl Total {
    /// No size at all, as an integer.
    pub const ZERO: Total = Total::Int(0);

    fn as_f64(self) -> f64 {
        match self {
            Total::Int(value) => value as f64,
            Total::Float(value) => value,
        }
    }

    /// `self + other`.
    #[must_use]
    pub fn plus(self, other: Total) -> Total {
        match (self, other) {
            (Total::Int(a), Total::Int(b)) => Total::Int(a.saturating_add(b)),
            _ => Total::Float(self.as_f64() + other.as_f64()),
        }
    }

    /// `self - other`.
    #[must_use]
    pub fn minus(self, other: Total) -> Total {
        match (self, other) {
            (Total::Int(a), Total::Int(b)) => Total::Int(a.saturating_sub(b)),
            _ => Total::Float(self.as_f64() - other.as_f64()),
        }
    }

    /// `self > other`; false when either is NaN.
    #[must_use]
    pub fn exceeds(self, other: Total) -> bool {
        let order = match (self, other) {
            (Total::Int(a), Total::Int(b)) => Some(a.cmp(&b)),
            (Total::Float(a), Total::Float(b)) => a.partial_cmp(&b),
            (Total::Int(a), Total::Float(b)) => compare(a, b),
            (Total::Float(a), Total::Int(b)) => compare(b, a).map(Ordering::reverse),
        };
        order == Some(Ordering::Greater)
    }

    /// Whether the total is below zero.
    #[inline]
    #[must_use]
    pub fn is_negative(self) -> bool {
        match self {
            Total::Int(value) => value < 0,
            Total::Float(value) => value < 0.0,
        }
    }

    /// How many items of size one fit, saturating.
    #[must_use]
    pub fn whole_units(self) -> u64 {
        match self {
            Total::Int(value) => u64::try_from(value.max(0)).unwrap_or(u64::MAX),
            // A float-to-int cast saturates, drops the fraction and maps NaN to zero.
            Total::Float(value) => value as u64,
        }
    }
}

impl From<Size> for Total {
    #[inline]
    fn from(size: Size) -> Self {
        match size {
            Size::Int(value) => Total::Int(value.into()),
            Size::Float(value) => Total::Float(value),
        }
    }
}

/// Compares an integer with a float without rounding either.
fn compare(int: i128, float: f64) -> Option<Ordering> {
    const BEYOND: f64 = 1.0e38; // below i128::MAX, above any total of 2^32 64-bit sizes
    if float.is_nan() {
        None
    } else if float >= BEYOND {
        Some(Ordering::Less)
    } else if float <= -BEYOND {
        Some(Ordering::Greater)
    } else {
        let whole = float.trunc();
        let order = int.cmp(&(whole as i128));
        Some(order.then_with(|| 0.0_f64.total_cmp(&(float - whole + 0.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_compared_with_floats_exactly() {
        let large = (1_i128 << 53) + 1;
        assert!(Total::Int(large).exceeds(Total::Float((1_i64 << 53) as f64)));
        assert!(!Total::Int(2).exceeds(Total::Float(2.5)));
        assert!(Total::Int(3).exceeds(Total::Float(2.5)));
        assert!(!Total::Int(2).exceeds(Total::Float(2.0)));
        assert!(!Total::Float(2.0).exceeds(Total::Int(2)));
        assert!(Total::Float(-1.5).is_negative());
        assert!(Total::Int(-1).exceeds(Total::Float(-1.5)));
        assert!(!Total::Int(0).exceeds(Total::Float(-0.0)));
        assert!(!Total::Float(0.0).exceeds(Total::Int(0)));
    }

    #[test]
    fn infinity_and_nan_order_as_in_python() {
        assert!(!Total::Int(i128::MAX).exceeds(Total::Float(f64::INFINITY)));
        assert!(Total::Float(f64::INFINITY).exceeds(Total::Int(i128::MAX)));
        assert!(!Total::Float(f64::NAN).exceeds(Total::Int(0)));
        assert!(!Total::Int(0).exceeds(Total::Float(f64::NAN)));
    }

    #[test]
    fn a_float_makes_the_total_a_float() {
        assert_eq!(Total::Int(1).plus(Total::Float(0.5)), Total::Float(1.5));
        assert_eq!(
            Total::Float(1.5).minus(Total::Float(1.5)),
            Total::Float(0.0)
        );
        assert_eq!(Total::Int(3).minus(Total::Int(3)), Total::ZERO);
    }

    #[test]
    fn whole_units_drop_the_fraction_and_saturate() {
        assert_eq!(Total::Float(2.9).whole_units(), 2);
        assert_eq!(Total::Float(f64::INFINITY).whole_units(), u64::MAX);
        assert_eq!(Total::Int(i128::MAX).whole_units(), u64::MAX);
        assert_eq!(Total::Float(0.9).whole_units(), 0);
    }
}
