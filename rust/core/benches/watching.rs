//! What a lookup of a live cache pays for being watched, by a recorder and by what-if estimates, when its
//! key is sampled and when it is not.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use overdrive_core::recorder::Recorder;
use overdrive_core::replay::Name;
use overdrive_core::what_if::WhatIf;

const LOOKUPS: u64 = 100_000;
/// Far below one sampled lookup in a run, a usual rate, and all.
const RATES: [f64; 3] = [1e-9, 0.01, 1.0];

fn recorder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(LOOKUPS));
    for rate in RATES {
        let mut recorder = Recorder::new(rate, [3, 4]).expect("memory");
        group.bench_function(BenchmarkId::new("observe", rate), |bencher| {
            bencher.iter(|| {
                for hash in 0..LOOKUPS {
                    if recorder.observe(black_box(hash))
                        && let Some(batch) = recorder.take_full()
                    {
                        recorder.give_back(black_box(batch));
                    }
                }
            });
        });
    }
    group.finish();
}

fn what_if(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("what_if");
    group.throughput(Throughput::Elements(LOOKUPS));
    for rate in RATES {
        let policies = [Name::Lru, Name::Lfu];
        let watch = WhatIf::with_rate(Name::Lru, 1000, &policies, &[1000, 2000], rate, 3);
        let mut watch = watch.unwrap_or_else(|refused| panic!("{refused}"));
        group.bench_function(BenchmarkId::new("observe", rate), |bencher| {
            bencher.iter(|| {
                for hash in 0..LOOKUPS {
                    watch.observe(black_box(hash % 3000), true);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, recorder, what_if);
criterion_main!(benches);
