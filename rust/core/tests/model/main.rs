//! Every policy against a transcription of its definition that is too simple to be wrong.

mod any_use;
mod arc;
mod full_cache;
mod lirs;
mod lists;
mod s3_fifo;
mod sieve;
mod two_q;
mod w_tiny_lfu;
