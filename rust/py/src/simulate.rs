//! Traces and their replay, for `overdrive.simulate`.
//!
//! A trace never changes once it is made, so replays of it run detached, in slices after which signals
//! are looked at and progress is told. While a builder works, detached too, PyO3 keeps others out of
//! it: using one builder from two threads raises `RuntimeError`.

use std::time::{Duration, Instant};

use overdrive_core::keyed::Keyed;
use overdrive_core::prefetch::replay::Replay as Prefetching;
use overdrive_core::replay::Contestant;
use overdrive_core::trace::file::{Foreign, Header, Recording};
use overdrive_core::trace::lines::{Lines, Malformed};
use overdrive_core::trace::table::{Column, Table};
use overdrive_core::trace::{self, Full};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

/// How long a replay goes on before Python is asked whether to stop.
const SLICE: Duration = Duration::from_millis(50);
/// Requests between looks at the clock.
const STRIDE: usize = 1 << 14;
/// Requests between looks for signals, of a replay that takes well below a microsecond for each.
const PREFETCH_STRIDE: usize = 1 << 17;
/// How much of a wrong value is shown.
const SHOWN: usize = 80;

/// Text becomes a key by this function, so that the same text is the same key in any run.
const TEXT: Keyed = Keyed::new([0, 0]);

/// Why what was read is no trace.
enum Wrong {
    Text(String),
    Memory(Full),
}

impl From<Malformed> for Wrong {
    fn from(malformed: Malformed) -> Self {
        Wrong::Text(malformed.to_string())
    }
}

impl From<Foreign> for Wrong {
    fn from(foreign: Foreign) -> Self {
        Wrong::Text(foreign.to_string())
    }
}

impl From<Full> for Wrong {
    fn from(full: Full) -> Self {
        match full {
            Full::Requests => Wrong::Text(full.to_string()),
            Full::Memory => Wrong::Memory(full),
        }
    }
}

impl From<Wrong> for PyErr {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Text(text) => PyValueError::new_err(text),
            Wrong::Memory(full) => PyMemoryError::new_err(full.to_string()),
        }
    }
}

/// What a builder is fed with.
enum Source {
    Integers { width: usize },
    Lines(Lines),
    Table(Lines, Table),
    Recording(Recording),
}

/// A trace that is being put together from pieces of one kind.
#[pyclass(module = "overdrive._core")]
pub struct TraceBuilder {
    source: Source,
    requests: trace::Builder,
}

/// A sequence of requests; immutable.
#[pyclass(module = "overdrive._core", frozen)]
pub struct RequestTrace {
    trace: trace::Trace,
    rate: f64,
    observed: Option<u64>,
    whole: bool,
}

#[pymethods]
impl TraceBuilder {
    /// Takes integers of `width` bytes, of any byte order: it does not change which are equal.
    #[staticmethod]
    fn integers(width: usize) -> PyResult<Self> {
        if matches!(width, 1 | 2 | 4 | 8) {
            Ok(Self::of(Source::Integers { width }))
        } else {
            let told = format!("integers of {width} bytes; 1, 2, 4 and 8 are possible");
            Err(PyValueError::new_err(told))
        }
    }

    /// Takes text with one key a line.
    #[staticmethod]
    fn lines() -> Self {
        Self::of(Source::Lines(Lines::default()))
    }

    /// Takes text with one key a line, in a column: of a name, or at a place from 0, or as it seems.
    #[staticmethod]
    #[pyo3(signature = (delimiter, column=None, place=None))]
    fn table(delimiter: u8, column: Option<String>, place: Option<usize>) -> Self {
        let column = match (column, place) {
            (Some(name), _) => Column::Named(name),
            (None, Some(place)) => Column::At(place),
            (None, None) => Column::Guessed,
        };
        Self::of(Source::Table(
            Lines::default(),
            Table::new(column, delimiter),
        ))
    }

    /// Takes what a cache recorded.
    #[staticmethod]
    fn recording() -> Self {
        Self::of(Source::Recording(Recording::default()))
    }

    /// Takes a piece.
    fn feed(&mut self, py: Python<'_>, piece: &[u8]) -> PyResult<()> {
        Ok(py.detach(|| self.take(piece))?)
    }

    /// The number of requests so far.
    fn __len__(&self) -> usize {
        self.requests.len()
    }

    /// The trace; the builder is empty after.
    fn finish(&mut self, py: Python<'_>) -> PyResult<RequestTrace> {
        Ok(py.detach(|| self.end())?)
    }
}

impl TraceBuilder {
    fn of(source: Source) -> Self {
        Self {
            source,
            requests: trace::Builder::default(),
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Wrong> {
        let requests = &mut self.requests;
        match &mut self.source {
            Source::Integers { width } => take_integers(requests, piece, *width),
            Source::Lines(lines) => lines.feed(piece, |_, text| take_text(requests, text)),
            Source::Table(lines, table) => {
                lines.feed(piece, |line, text| take_row(requests, table, line, text))
            }
            Source::Recording(recording) => {
                recording.feed(piece, |key| requests.push(key).map_err(Wrong::from))
            }
        }
    }

    fn end(&mut self) -> Result<RequestTrace, Wrong> {
        let requests = &mut self.requests;
        let mut about = Header {
            rate: 1.0,
            observed: None,
            recorded: None,
        };
        let mut whole = true;
        match &mut self.source {
            Source::Integers { .. } => {}
            Source::Lines(lines) => lines.finish(|_, text| take_text(requests, text))?,
            Source::Table(lines, table) => {
                lines.finish(|line, text| take_row(requests, table, line, text))?;
            }
            Source::Recording(recording) => (about, whole) = recording.finish()?,
        }
        Ok(RequestTrace {
            trace: self.requests.finish(),
            rate: about.rate,
            // What was observed says nothing about a recording of which a part is missing.
            observed: about.observed.filter(|_| whole),
            whole,
        })
    }
}

fn take_integers(requests: &mut trace::Builder, piece: &[u8], width: usize) -> Result<(), Wrong> {
    if !piece.len().is_multiple_of(width) {
        let told = format!(
            "{} bytes are no integers of {width} bytes each",
            piece.len()
        );
        return Err(Wrong::Text(told));
    }
    for integer in piece.chunks_exact(width) {
        let mut word = [0; 8];
        word[..width].copy_from_slice(integer);
        requests.push(u64::from_le_bytes(word))?;
    }
    Ok(())
}

fn take_text(requests: &mut trace::Builder, text: &str) -> Result<(), Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    Ok(requests.push(TEXT.bytes(text.as_bytes()))?)
}

fn take_row(
    requests: &mut trace::Builder,
    table: &mut Table,
    line: u64,
    text: &str,
) -> Result<(), Wrong> {
    if text.is_empty() {
        return Ok(());
    }
    match table.key(text) {
        Ok(Some(key)) => Ok(requests.push(TEXT.bytes(key.as_bytes()))?),
        Ok(None) => Ok(()),
        Err(refused) => {
            let shown: String = text.chars().take(SHOWN).collect();
            Err(Wrong::Text(format!("line {line}: {refused}: {shown:?}")))
        }
    }
}

#[pymethods]
impl RequestTrace {
    /// The number of requests.
    fn __len__(&self) -> usize {
        self.trace.len()
    }

    /// The number of different keys.
    #[getter]
    fn keys(&self) -> usize {
        self.trace.keys()
    }

    /// The share of all keys whose requests are here.
    #[getter]
    fn rate(&self) -> f64 {
        self.rate
    }

    /// How many requests were made, those that are not here included; None if that is not known.
    #[getter]
    fn observed(&self) -> Option<u64> {
        self.observed
    }

    /// Whether nothing is missing at the end.
    #[getter]
    fn whole(&self) -> bool {
        self.whole
    }

    /// The first requests.
    fn first(&self, py: Python<'_>, requests: usize) -> Self {
        Self {
            trace: py.detach(|| {
                self.trace
                    .ids()
                    .iter()
                    .take(requests)
                    .map(|&id| id.into())
                    .collect()
            }),
            rate: self.rate,
            observed: None,
            whole: self.whole,
        }
    }

    /// The requests for a share of the keys.
    fn sampled(&self, py: Python<'_>, rate: f64, seed: u64) -> PyResult<Self> {
        let trace = py.detach(|| self.trace.sampled(rate, seed));
        let trace = trace.map_err(|wrong| PyValueError::new_err(wrong.to_string()))?;
        Ok(Self {
            trace,
            rate: self.rate * rate,
            observed: Some(self.observed.unwrap_or(self.trace.len() as u64)),
            whole: self.whole,
        })
    }

    /// Replays the requests through a policy in a cache of `size` keys, and returns how many were hits,
    /// how many keys had to leave, and the nanoseconds taken. Calls `progress` with the number of
    /// requests done a few times a second.
    #[pyo3(signature = (policy, size, seed, progress=None))]
    fn replay(
        &self,
        py: Python<'_>,
        policy: &str,
        size: usize,
        seed: u64,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(u64, u64, u64)> {
        let contestant = Contestant::named(policy).ok_or_else(|| {
            let known = Contestant::names().collect::<Vec<_>>().join(", ");
            PyValueError::new_err(format!("policy {policy:?} is not one of {known}"))
        })?;
        if size == 0 {
            return Err(PyValueError::new_err("size 0 is below the limit of 1"));
        }
        let mut replay = py
            .detach(|| contestant.start(&self.trace, size, seed))
            .map_err(|_| PyMemoryError::new_err("not enough memory for the replay"))?;
        loop {
            let goes_on = py.detach(|| {
                let began = Instant::now();
                while replay.step(&self.trace, STRIDE) {
                    if began.elapsed() >= SLICE {
                        return true;
                    }
                }
                false
            });
            py.check_signals()?;
            let tally = replay.tally();
            if let Some(progress) = progress {
                progress.call1((tally.requests,))?;
            }
            if !goes_on {
                return Ok((tally.hits, tally.evictions, tally.nanoseconds));
            }
        }
    }

    /// Replays the requests through an LRU cache of `size` keys where what is fetched ahead is there `delay`
    /// requests later, 1 at least; `contexts` has who made each request. Returns how many were hits, and of
    /// the keys fetched ahead how many there were, were used, left unused, and came late.
    #[pyo3(signature = (size, delay, contexts=None, *, ahead=true, rows=65_536, budget=0.1, precision=0.5, depth=16, seed=0))]
    #[expect(
        clippy::too_many_arguments,
        reason = "those of a predictor, each by its name"
    )]
    fn prefetch(
        &self,
        py: Python<'_>,
        size: usize,
        delay: u64,
        contexts: Option<Vec<u64>>,
        ahead: bool,
        rows: usize,
        budget: f64,
        precision: f64,
        depth: usize,
        seed: u64,
    ) -> PyResult<(u64, u64, u64, u64, u64)> {
        if size == 0 {
            return Err(PyValueError::new_err("size 0 is below the limit of 1"));
        }
        let config = crate::prefetch::config(rows, 4096, budget, precision, depth, seed)?;
        let contexts = contexts.as_deref();
        let mut replay = py
            .detach(|| Prefetching::new(&self.trace, size, delay, ahead.then_some(config)))
            .map_err(|_| PyMemoryError::new_err("not enough memory for the replay"))?;
        while py.detach(|| replay.step(&self.trace, contexts, PREFETCH_STRIDE)) {
            py.check_signals()?;
        }
        let tally = replay.tally();
        Ok((
            tally.hits,
            tally.issued,
            tally.used,
            tally.wasted,
            tally.late,
        ))
    }
}

/// What can be replayed, the simplest policy first; `opt`, which knows the future, is last.
#[pyfunction]
pub fn policies() -> Vec<&'static str> {
    Contestant::names().collect()
}
