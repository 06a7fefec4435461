//! Cache data structures that know nothing of Python.
//!
//! A cached item is a *slot*: a `u32` that the caller hands out. This crate is told when a slot is
//! filled, read, replaced or emptied, together with hashes, sizes and deadlines, and answers which
//! slot to evict or what has expired. It never sees a key, a value, a clock or a lock, so nothing
//! in it can call back into user code, and all of it can be tested and fuzzed without an
//! interpreter.
//!
//! The rooms:
//!
//! - [`index`]: hash -> slot.
//! - [`hints`]: address -> slot, for most of the objects that are looked up again.
//! - [`ring`]: slots in an order, O(1) to move.
//! - [`segments`]: the same for several orders, a slot in at most one of them.
//! - [`ghosts`]: hashes of keys that were evicted.
//! - [`sketch`]: how often hashes were seen, approximately.
//! - [`policy`]: which slot leaves next, one algorithm per file.
//! - [`size`]: the arithmetic of item sizes and totals, exact for integers.
//! - [`budget`]: how much a cache may hold and how much it holds.
//! - [`heap`]: deadlines of any kind that are not in insertion order.
//! - [`wheel`]: deadlines that are numbers, in O(1).
//! - [`tags`], [`pins`], [`ages`]: what else a slot may have.
//! - [`sample`], [`keyed`]: some of the keys, and hashes that do not give them away.
//! - [`trace`], [`replay`]: recorded requests, and what a policy would have made of them.
//! - [`recorder`], [`what_if`]: the same for a cache in use.
//! - [`prefetch`]: which keys will be asked for next.
//! - [`snapshot`]: the frame of snapshot files.
//! - [`coherence`]: what was invalidated since it was loaded, for threads and processes.
//! - [`envelope`]: what surrounds values in Redis and on the disk.
//!
//! Invariants that hold across the crate: a slot is at most once in a ring, and in at most one of the
//! segments; whatever may allocate
//! is a separate `reserve` call that fails without changing anything; every other call neither
//! allocates nor fails, given a slot that was reserved.

#![forbid(unsafe_code)]

pub mod ages;
pub mod budget;
pub mod coherence;
pub mod envelope;
pub mod ghosts;
pub mod heap;
pub mod hints;
pub mod index;
pub mod keyed;
pub mod pins;
pub mod policy;
pub mod prefetch;
pub mod recorder;
pub mod replay;
pub mod ring;
pub mod sample;
pub mod segments;
pub mod size;
pub mod sketch;
pub mod snapshot;
pub mod tags;
pub mod trace;
pub mod what_if;
pub mod wheel;

/// Names a cached item. Slots are dense: the caller reuses emptied ones.
pub type Slot = u32;

/// The largest number of slots; two values above it serve as markers.
pub const MAX_SLOTS: usize = u32::MAX as usize - 64;

/// Spreads a Python hash over 64 bits.
///
/// Small ints hash to themselves and tuples of them to similar values; tables take a bucket from the
/// low bits and a tag from the high ones, so both must depend on all of the input.
#[inline(always)]
pub fn spread(hash: u64) -> u64 {
    const ODD: u128 = 0x9E37_79B9_7F4A_7C15;
    let product = u128::from(hash ^ 0x2545_F491_4F6C_DD1D) * ODD;
    (product >> 64) as u64 ^ product as u64
}
