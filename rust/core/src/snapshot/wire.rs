//! Integers, floats and strings of bytes, as they are in snapshots. Little-endian throughout.

/// The longest encoding of 64 bits in groups of seven.
const MAX_VARINT: usize = 10;

/// Appends an unsigned integer: seven bits a byte, the lowest first, the top bit set in all but the
/// last.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps small integers of either sign to small unsigned ones.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// There is less than there should be, or a number that nothing writes.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Bytes that are read from the front.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Reads `bytes` from the front.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// The next float, bit for bit.
    pub fn float(&mut self) -> Result<f64, Malformed> {
        self.array().map(f64::from_le_bytes)
    }

    /// The next integer; only its shortest encoding will do.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for index in 0..MAX_VARINT {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if index == MAX_VARINT - 1 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                return if byte == 0 && index > 0 {
                    Err(Malformed)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Malformed)
    }

    /// The number of things that follow, each of at least `size` bytes: no more than there is room for.
    #[inline]
    pub fn count(&mut self, size: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        match count.checked_mul(size) {
            Some(bytes) if bytes <= self.left() => Ok(count),
            _ => Err(Malformed),
        }
    }

    /// A length and as many bytes.
    #[inline]
    pub fn prefixed(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count(1)?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back(value in any::<u64>(), shift in 0_u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut bytes = Bytes::new(&out);
            prop_assert_eq!(bytes.varint(), Ok(value));
            prop_assert_eq!(bytes.left(), 0);
            prop_assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }

        #[test]
        fn what_is_read_is_what_would_be_written(input in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut bytes = Bytes::new(&input);
            if let Ok(value) = bytes.varint() {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                prop_assert_eq!(&out[..], &input[..input.len() - bytes.left()]);
            }
        }
    }

    #[test]
    fn a_count_never_exceeds_what_is_there() {
        let mut out = Vec::new();
        put_varint(&mut out, 3);
        out.extend([0; 8]);
        assert_eq!(Bytes::new(&out).count(2), Ok(3));
        assert_eq!(Bytes::new(&out).count(3), Err(Malformed));
        let mut huge = Vec::new();
        put_varint(&mut huge, u64::MAX);
        huge.extend([0; 8]);
        assert_eq!(Bytes::new(&huge).count(8), Err(Malformed));
        assert_eq!(Bytes::new(&huge).prefixed(), Err(Malformed));
    }
}
