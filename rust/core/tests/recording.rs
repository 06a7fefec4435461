//! From a live cache to a file and back: a replay of the recording hits what the cache did.

use overdrive_core::policy::Lru;
use overdrive_core::recorder::{Recorder, encode};
use overdrive_core::replay::Engine;
use overdrive_core::sample::mix;
use overdrive_core::trace::file::{Foreign, HEADER, Header, Recording};
use overdrive_core::trace::{Builder, Trace};

const SECRET: [u64; 2] = [17, 4];

fn requests() -> Trace {
    let draw = |at: u64| 3000_f64.powf(mix(at) as f64 / u64::MAX as f64) as u64;
    (0..60_000).map(draw).collect()
}

fn recorded(trace: &Trace, rate: f64) -> Vec<u8> {
    let mut recorder = Recorder::new(rate, SECRET).expect("a rate");
    let mut file = recorder.header().encode().to_vec();
    for &id in trace.ids() {
        if recorder.observe(id.into())
            && let Some(batch) = recorder.take_full()
        {
            file.extend(encode(&batch));
            recorder.give_back(batch);
        }
    }
    while let Some(batch) = recorder.take_rest() {
        file.extend(encode(&batch));
    }
    file[..HEADER].copy_from_slice(&recorder.header().encode());
    file
}

fn read(file: &[u8]) -> (Trace, Header, bool) {
    let (mut recording, mut builder) = (Recording::default(), Builder::default());
    for piece in file.chunks(1000) {
        let fed = recording.feed::<Foreign>(piece, |key| {
            builder.push(key).unwrap_or_else(|full| panic!("{full}"));
            Ok(())
        });
        fed.expect("a recording");
    }
    let (header, whole) = recording.finish().expect("a header");
    (builder.finish(), header, whole)
}

fn hits(trace: &Trace, size: usize) -> u64 {
    let mut engine = Engine::new(Lru::default(), trace.keys(), size).expect("small");
    engine.replay(trace.ids())
}

#[test]
fn everything_recorded_is_the_trace_again() {
    let trace = requests();
    let (found, header, whole) = read(&recorded(&trace, 1.0));
    assert_eq!(found.ids(), trace.ids());
    assert_eq!(
        (header.observed, header.recorded, whole),
        (Some(60_000), Some(60_000), true)
    );
}

#[test]
fn a_sample_hits_about_as_often_in_a_cache_as_much_smaller() {
    let trace = requests();
    let (found, header, whole) = read(&recorded(&trace, 0.25));
    assert!(whole && header.rate == 0.25 && header.observed == Some(60_000));
    let expected = 60_000.0 * 0.25;
    let estimate = (hits(&found, 250) as f64 + expected - found.len() as f64) / expected;
    let exact = hits(&trace, 1000) as f64 / 60_000.0;
    assert!((estimate - exact).abs() < 0.02, "{estimate}, exact {exact}");
}

#[test]
fn what_was_written_before_a_crash_is_read() {
    let trace = requests();
    let mut file = recorded(&trace, 1.0);
    file[..HEADER].copy_from_slice(&Header::unfinished(1.0).encode());
    file.truncate(HEADER + 8 * 1000 + 3);
    let (found, header, whole) = read(&file);
    assert_eq!(found.ids(), &trace.ids()[..1000]);
    assert!(!whole && header.observed.is_none());
}
