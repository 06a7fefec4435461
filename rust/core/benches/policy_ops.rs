//! What the policies cost per operation, without Python: a full cache of a given size under hits,
//! and under evict-and-insert.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use overdrive_core::Slot;
use overdrive_core::heap::{Heap, Item};
use overdrive_core::index::Index;
use overdrive_core::policy::{
    Adaptive, Arc, Fifo, Lfu, Lirs, Lru, Policy, Random, S3Fifo, Sieve, TwoQ, WTinyLfu,
};

const SIZES: [u32; 2] = [1_000, 100_000];

/// Visits every slot once per round, in an order without locality.
fn scattered(size: u32) -> Vec<Slot> {
    (0..size)
        .map(|at| ((u64::from(at) * 0x9E37_79B1) % u64::from(size)) as Slot)
        .collect()
}

fn full<P: Policy + Default>(size: u32) -> P {
    let mut policy = P::default();
    policy.reserve(size as usize).expect("memory");
    (0..size).for_each(|slot| policy.on_insert(slot, slot.into()));
    policy
}

fn bench_policy<P: Policy + Default>(criterion: &mut Criterion, name: &str) {
    for size in SIZES {
        let order = scattered(size);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(size.into()));
        let mut policy: P = full(size);
        group.bench_function(BenchmarkId::new("hit", size), |bencher| {
            bencher.iter(|| {
                order
                    .iter()
                    .for_each(|&slot| policy.on_hit(black_box(slot)))
            });
        });
        let mut policy: P = full(size);
        let mut keys: Vec<u64> = (0..size.into()).collect();
        let mut next = u64::from(size);
        group.bench_function(BenchmarkId::new("recycle", size), |bencher| {
            bencher.iter(|| {
                for &slot in &order {
                    // A new key each time, as in a scan; a random one's victim is not the policy's.
                    let slot = policy.victim(Some(next)).unwrap_or(slot);
                    let old = std::mem::replace(&mut keys[slot as usize], next);
                    policy.on_recycle(black_box(slot), old, next);
                    next += 1;
                }
            });
        });
        group.finish();
    }
}

fn policies(criterion: &mut Criterion) {
    bench_policy::<Fifo>(criterion, "fifo");
    bench_policy::<Lru>(criterion, "lru");
    bench_policy::<Lfu>(criterion, "lfu");
    bench_policy::<Random>(criterion, "random");
    bench_policy::<Arc>(criterion, "arc");
    bench_policy::<TwoQ>(criterion, "2q");
    bench_policy::<S3Fifo>(criterion, "s3-fifo");
    bench_policy::<Sieve>(criterion, "sieve");
    bench_policy::<Lirs>(criterion, "lirs");
    bench_policy::<WTinyLfu>(criterion, "w-tinylfu");
    bench_policy::<Adaptive>(criterion, "adaptive");
}

fn index(criterion: &mut Criterion) {
    for size in SIZES {
        let mut index = Index::new();
        for slot in 0..size {
            index.reserve(u64::from).expect("memory");
            index.insert(slot.into(), slot, u64::from);
        }
        let order = scattered(size);
        let mut group = criterion.benchmark_group("index");
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::new("find", size), |bencher| {
            bencher.iter(|| {
                for &slot in &order {
                    black_box(index.find(slot.into(), |found| found == slot));
                }
            });
        });
        group.finish();
    }
}

fn deadlines(criterion: &mut Criterion) {
    let less = |a: &f64, b: &f64| Some(a < b);
    for size in SIZES {
        let mut group = criterion.benchmark_group("heap");
        let mut heap = Heap::default();
        let order = scattered(size);
        for &slot in &order {
            let deadline = f64::from(slot);
            let place = heap.plan_push(&deadline, less).expect("known");
            heap.push(
                Item {
                    deadline,
                    slot,
                    ticket: 1,
                },
                place,
            );
        }
        let mut later = f64::from(size);
        group.bench_function(BenchmarkId::new("pop and push", size), |bencher| {
            bencher.iter(|| {
                let plan = heap.plan_pop(less).expect("known");
                let item = heap.pop(&plan);
                later += 1.0;
                let place = heap.plan_push(&later, less).expect("known");
                heap.push(
                    Item {
                        deadline: later,
                        ..item
                    },
                    place,
                );
            });
        });
        group.finish();
    }
}

criterion_group!(benches, policies, index, deadlines);
criterion_main!(benches);
