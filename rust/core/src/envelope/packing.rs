//! Compression of payloads.
//!
//! The contexts of zstd are large and are made once a thread. What comes out of a compressed payload is
//! bounded before it is made room for, by what its header announces and by what so many bytes can hold
//! at all, and again while it is written.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, DCtx};

use super::Refused;

/// The fastest of the levels that compress well.
const ZSTD_LEVEL: i32 = 1;
/// The most that zstd has in a block, which takes at least three bytes.
const ZSTD_BLOCK: usize = 128 << 10;
const ZSTD_BLOCK_HEADER: usize = 3;
/// The most that LZ4 says with a byte.
const LZ4_RATIO: usize = 255;
/// From here on, LZ4 tries three samples of this size first.
const PROBED: usize = 16 << 10;
const PROBE: usize = 1300;
/// So many payloads in a row that did not get smaller, and only some of the next are tried.
const PATIENCE: u32 = 16;
const RETRY: u32 = 32;

thread_local! {
    static COMPRESSING: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSING: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// An algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Smaller.
    Zstd,
    /// Faster.
    Lz4,
}

impl Compression {
    /// The one that has this number in headers.
    pub fn of(codec: u8) -> Option<Self> {
        match codec {
            1 => Some(Self::Zstd),
            2 => Some(Self::Lz4),
            _ => None,
        }
    }

    /// Its number in headers.
    pub fn codec(self) -> u8 {
        match self {
            Self::Zstd => 1,
            Self::Lz4 => 2,
        }
    }

    /// The payload in less than `limit` bytes, if it can be had.
    pub fn compress(self, raw: &[u8], limit: usize) -> Option<Vec<u8>> {
        match self {
            Self::Zstd => COMPRESSING.with_borrow_mut(|context| {
                if context.is_none() {
                    *context = CCtx::try_create();
                }
                let mut packed = Vec::with_capacity(limit);
                let context = context.as_mut()?;
                context.compress(&mut packed, raw, ZSTD_LEVEL).ok()?;
                (packed.len() < limit).then_some(packed)
            }),
            Self::Lz4 => {
                if raw.len() >= PROBED && !is_promising(raw, limit) {
                    return None;
                }
                let packed = lz4_flex::block::compress(raw);
                (packed.len() < limit).then_some(packed)
            }
        }
    }

    /// Whether so many bytes may hold `raw_len` at all.
    pub fn is_plausible(self, packed: &[u8], raw_len: usize) -> bool {
        match self {
            Self::Zstd => {
                let announced = zstd_safe::get_frame_content_size(packed);
                matches!(announced, Ok(Some(size)) if size == raw_len as u64)
                    && raw_len.div_ceil(ZSTD_BLOCK) * ZSTD_BLOCK_HEADER <= packed.len()
            }
            Self::Lz4 => raw_len / LZ4_RATIO <= packed.len(),
        }
    }

    /// Fills `raw` with what was compressed; any other length is refused.
    pub fn decompress(self, packed: &[u8], raw: &mut [u8]) -> Result<(), Refused> {
        let length = match self {
            Self::Zstd => DECOMPRESSING.with_borrow_mut(|context| {
                if context.is_none() {
                    *context = DCtx::try_create();
                }
                let context = context.as_mut().ok_or(Refused::Codec)?;
                context.decompress(raw, packed).map_err(|code| {
                    let full = ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall;
                    match zstd_safe::is_error_kind(code, full) {
                        true => Refused::Bomb,
                        false => Refused::Codec,
                    }
                })
            }),
            Self::Lz4 => lz4_flex::block::decompress_into(packed, raw).map_err(|error| {
                use lz4_flex::block::DecompressError::OutputTooSmall;
                match error {
                    OutputTooSmall { .. } => Refused::Bomb,
                    _ => Refused::Codec,
                }
            }),
        }?;
        if length == raw.len() {
            Ok(())
        } else {
            Err(Refused::Codec)
        }
    }
}

/// Whether samples of the payload get as small as all of it should.
fn is_promising(raw: &[u8], limit: usize) -> bool {
    let last = raw.len() - PROBE;
    let (mut before, mut after) = (0, 0);
    for start in [0, last / 2, last] {
        let sample = &raw[start..start + PROBE];
        before += sample.len();
        after += lz4_flex::block::compress(sample).len();
    }
    after as u128 * (raw.len() as u128) < before as u128 * limit as u128
}

/// Remembers whether compression has been of use lately, for payloads of one kind.
#[derive(Debug, Default)]
pub struct Usefulness {
    /// How many in a row were in vain or not tried.
    in_vain: AtomicU32,
}

impl Usefulness {
    /// Whether to try.
    pub fn is_worth_a_try(&self) -> bool {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        if in_vain < PATIENCE {
            return true;
        }
        self.in_vain
            .store(in_vain.wrapping_add(1), Ordering::Relaxed);
        in_vain.is_multiple_of(RETRY)
    }

    /// Takes note of what came of it.
    pub fn note(&self, useful: bool) {
        if useful {
            self.in_vain.store(0, Ordering::Relaxed);
        } else {
            self.in_vain.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_many_tries_in_vain_few_are_made_until_one_is_of_use() {
        let usefulness = Usefulness::default();
        let mut tries = 0;
        for _ in 0..1000 {
            if usefulness.is_worth_a_try() {
                tries += 1;
                usefulness.note(false);
            }
        }
        assert!((20..100).contains(&tries), "{tries}");
        usefulness.note(true);
        assert!((0..10).all(|_| usefulness.is_worth_a_try()));
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let raw = b"what is said thrice is true; ".repeat(300);
        for compression in [Compression::Zstd, Compression::Lz4] {
            assert_eq!(Compression::of(compression.codec()), Some(compression));
            let packed = compression.compress(&raw, raw.len()).expect("it repeats");
            assert!(compression.is_plausible(&packed, raw.len()));
            let mut again = vec![0; raw.len()];
            assert_eq!(compression.decompress(&packed, &mut again), Ok(()));
            assert_eq!(again, raw);
            let mut small = vec![0; raw.len() - 1];
            assert_eq!(
                compression.decompress(&packed, &mut small),
                Err(Refused::Bomb)
            );
            let mut large = vec![0; raw.len() + 1];
            assert_eq!(
                compression.decompress(&packed, &mut large),
                Err(Refused::Codec)
            );
        }
    }

    #[test]
    fn noise_is_left_as_it_is() {
        let mut noise = vec![0; 100_000];
        getrandom::fill(&mut noise).expect("the system has random bytes");
        for compression in [Compression::Zstd, Compression::Lz4] {
            assert_eq!(compression.compress(&noise, 90_000), None);
        }
    }
}
