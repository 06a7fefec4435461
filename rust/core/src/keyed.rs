//! SipHash-2-4: a hash that tells nothing about what was hashed to those who lack its key.
//!
//! Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012); the numbers in
//! the tests are from its appendix A and from the authors' vectors.

/// Hashes bytes under a 128-bit key.
#[derive(Clone, Copy)]
pub struct Keyed {
    start: [u64; 4],
}

/// The key stays out of panics and logs.
impl std::fmt::Debug for Keyed {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Keyed(..)")
    }
}

impl Keyed {
    /// The function of this key.
    pub const fn new(key: [u64; 2]) -> Self {
        Self {
            start: [
                key[0] ^ 0x736F_6D65_7073_6575,
                key[1] ^ 0x646F_7261_6E64_6F6D,
                key[0] ^ 0x6C79_6765_6E65_7261,
                key[1] ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// The hash of some bytes.
    pub fn bytes(&self, bytes: &[u8]) -> u64 {
        let mut state = self.start;
        let (words, rest) = bytes.as_chunks::<8>();
        for &word in words {
            absorb(&mut state, u64::from_le_bytes(word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = bytes.len() as u8; // modulo 256, as defined
        absorb(&mut state, u64::from_le_bytes(last));
        finish(state)
    }

    /// The hash of the eight bytes of a number, little end first.
    pub fn number(&self, number: u64) -> u64 {
        let mut state = self.start;
        absorb(&mut state, number);
        absorb(&mut state, 8 << 56);
        finish(state)
    }
}

#[inline(always)]
fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

#[inline(always)]
fn finish(mut state: [u64; 4]) -> u64 {
    state[2] ^= 0xFF;
    for _ in 0..4 {
        round(&mut state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline(always)]
fn round(state: &mut [u64; 4]) {
    let [a, b, c, d] = state;
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908];

    #[test]
    fn the_vectors_of_the_paper_are_met() {
        let message: Vec<u8> = (0..15).collect();
        let keyed = Keyed::new(KEY);
        assert_eq!(keyed.bytes(&message), 0xA129_CA61_49BE_45E5);
        assert_eq!(keyed.bytes(&[]), 0x726F_DB47_DD0E_0E31);
        assert_eq!(keyed.bytes(&[0]), 0x74F8_39C5_93DC_67FD);
    }

    #[test]
    fn a_number_is_its_bytes() {
        let keyed = Keyed::new(KEY);
        for number in [0, 7, u64::MAX, 0x0123_4567_89AB_CDEF] {
            assert_eq!(keyed.number(number), keyed.bytes(&number.to_le_bytes()));
        }
    }

    #[test]
    fn another_key_gives_other_hashes() {
        assert_ne!(Keyed::new(KEY).number(7), Keyed::new([KEY[0], 0]).number(7));
    }
}
