//! How far the estimates for a live cache are from the truth, on a trace of one's own.
//!
//! `cargo run --release --example what_if_error -- SIZE < TRACE`, where the trace has one key a line. The live
//! cache is an LRU of that size; every policy is estimated at half, once, twice and four times the
//! size, and replayed exactly.

use std::io::{self, Read};

use overdrive_core::keyed::Keyed;
use overdrive_core::policy::Lru;
use overdrive_core::replay::{Contestant, Engine, Name};
use overdrive_core::trace::lines::Lines;
use overdrive_core::trace::{Builder, Trace};
use overdrive_core::what_if::WhatIf;

fn main() -> Result<(), String> {
    let size = std::env::args().nth(1).and_then(|size| size.parse().ok());
    let size: usize = size
        .filter(|&size| size > 1)
        .ok_or("SIZE must be a number above 1")?;
    let trace = read().map_err(|error| error.to_string())?;
    let sizes = [size / 2, size, size * 2, size * 4];
    let mut watch =
        WhatIf::new(Name::Lru, size, Name::ALL, &sizes, 1).map_err(|error| error.to_string())?;
    let mut live =
        Engine::new(Lru::default(), trace.keys(), size).map_err(|error| error.to_string())?;
    for &id in trace.ids() {
        let hit = live.replay(&[id]) == 1;
        watch.observe(u64::from(id), hit);
    }
    println!(
        "{} requests, {} of them sampled (rate {:.4}), {} bytes",
        trace.len(),
        watch.seen().sampled,
        watch.rate(),
        watch.memory()
    );
    println!("policy          size   exact  estimate   error  standard error");
    let mut errors = Vec::new();
    for row in &watch.rows()[1..] {
        let exact = hit_ratio(&trace, row.policy, row.size)?;
        let error = row.hit_ratio - exact;
        errors.push(error.abs());
        println!(
            "{:<10}{:>10}{:>8.2}{:>10.2}{:>+8.2}{:>16.2}{}",
            row.policy.text(),
            row.size,
            exact * 100.0,
            row.hit_ratio * 100.0,
            error * 100.0,
            row.standard_error * 100.0,
            if row.rough { " rough" } else { "" }
        );
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let worst = errors.iter().copied().fold(0.0, f64::max);
    println!(
        "mean error {:.2} points, worst {:.2}",
        mean * 100.0,
        worst * 100.0
    );
    Ok(())
}

fn read() -> io::Result<Trace> {
    let (mut builder, mut lines) = (Builder::default(), Lines::default());
    let keyed = Keyed::new([0, 0]);
    let mut piece = vec![0; 1 << 20];
    let mut push = |_, line: &str| {
        let pushed = builder.push(keyed.bytes(line.trim().as_bytes()));
        pushed.map_err(|full| io::Error::other(full.to_string()))
    };
    loop {
        let length = io::stdin().read(&mut piece)?;
        if length == 0 {
            lines.finish(&mut push)?;
            return Ok(builder.finish());
        }
        lines.feed(&piece[..length], &mut push)?;
    }
}

fn hit_ratio(trace: &Trace, policy: Name, size: usize) -> Result<f64, String> {
    let replay = Contestant::Policy(policy).start(trace, size, 1);
    let mut replay = replay.map_err(|error| error.to_string())?;
    while replay.step(trace, usize::MAX) {}
    Ok(replay.tally().hits as f64 / trace.len() as f64)
}
