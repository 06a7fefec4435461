//! Predicting what will be asked for next, for `overdrive._tiers.prefetch`.
//!
//! Keys are known by hashes that the caller makes. A predictor holds no Python object, so a region does
//! nothing but arithmetic; lists are made after it.

use overdrive_core::prefetch::lookahead::{MAX_DEPTH, MAX_STEPS};
use overdrive_core::prefetch::successors::BRANCHES;
use overdrive_core::prefetch::{self, Config};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::lock::Guarded;

/// Rows and contexts that a predictor may be told to keep: 6 GiB of them.
const MOST_ROWS: usize = 1 << 26;

/// Learns in which order keys are asked for, and proposes what to fetch ahead. Thread-safe.
#[pyclass(module = "overdrive._core", frozen)]
pub struct Predictor {
    inner: Guarded<prefetch::Predictor>,
    config: Config,
    memory: usize,
}

/// What a predictor may use, checked.
pub fn config(
    rows: usize,
    contexts: usize,
    budget: f64,
    precision: f64,
    depth: usize,
    seed: u64,
) -> PyResult<Config> {
    let wrong = |told: String| Err(PyValueError::new_err(told));
    for (name, number) in [("rows", rows), ("contexts", contexts)] {
        if number == 0 || number > MOST_ROWS {
            return wrong(format!("{name} {number} is not from 1 to {MOST_ROWS}"));
        }
    }
    for (name, share) in [("budget", budget), ("precision", precision)] {
        if !(0.0..=1.0).contains(&share) {
            return wrong(format!("{name} {share} is not from 0 to 1"));
        }
    }
    if depth == 0 || depth > usize::from(MAX_DEPTH) {
        return wrong(format!("depth {depth} is not from 1 to {MAX_DEPTH}"));
    }
    Ok(Config {
        rows,
        contexts,
        budget: budget as f32,
        precision: precision as f32,
        depth: depth as u8,
        seed,
        ..Config::default()
    })
}

#[pymethods]
impl Predictor {
    #[new]
    #[pyo3(signature = (*, rows=65_536, contexts=4096, budget=0.1, precision=0.5, depth=16, seed=0))]
    fn new(
        rows: usize,
        contexts: usize,
        budget: f64,
        precision: f64,
        depth: usize,
        seed: u64,
    ) -> PyResult<Self> {
        let config = config(rows, contexts, budget, precision, depth, seed)?;
        let inner = prefetch::Predictor::new(config)
            .map_err(|_| PyMemoryError::new_err("not enough memory for the predictor"))?;
        Ok(Self {
            memory: inner.memory(),
            inner: Guarded::new(inner),
            config,
        })
    }

    /// Notes a request by a context, and whether the cache had the key; returns hashes of keys to fetch.
    #[pyo3(signature = (context, key_hash, hit=false))]
    fn observe<'py>(
        &self,
        py: Python<'py>,
        context: u64,
        key_hash: u64,
        hit: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut proposed = [0; MAX_STEPS];
        let count = self.inner.with(py, |predictor| {
            let found = predictor.observe(context, key_hash, hit);
            proposed[..found.len()].copy_from_slice(found);
            found.len()
        });
        PyList::new(py, &proposed[..count])
    }

    /// Whether a key that was predicted otherwise may be fetched, going by the guard and the budget.
    fn admits(&self, py: Python<'_>, key_hash: u64) -> bool {
        self.inner.with(py, |predictor| predictor.admits(key_hash))
    }

    /// Notes that a key is being fetched that was proposed.
    fn issued(&self, py: Python<'_>, key_hash: u64) {
        self.inner.with(py, |predictor| predictor.issued(key_hash));
    }

    /// Notes that a key was asked for that had been fetched.
    fn used(&self, py: Python<'_>, key_hash: u64) {
        self.inner.with(py, |predictor| predictor.used(key_hash));
    }

    /// Notes that a key that had been fetched left the cache without having been asked for.
    fn wasted(&self, py: Python<'_>, key_hash: u64) {
        self.inner.with(py, |predictor| predictor.wasted(key_hash));
    }

    /// Notes that a key was asked for while it was being fetched.
    fn late(&self, py: Python<'_>, key_hash: u64) {
        self.inner.with(py, |predictor| predictor.late(key_hash));
    }

    /// Notes that a key could not be fetched.
    fn failed(&self, py: Python<'_>, key_hash: u64) {
        self.inner.with(py, |predictor| predictor.failed(key_hash));
    }

    /// What came right after a key, and how often, as a share; the likeliest first.
    fn successors(&self, py: Python<'_>, key_hash: u64) -> Vec<(u64, f64)> {
        let mut found = [(0, 0.0); BRANCHES];
        let count = self.inner.with(py, |predictor| {
            let Some(row) = predictor.row(key_hash) else {
                return 0;
            };
            let total = f64::from(row.total());
            let mut count = 0;
            for ((next, times), place) in row.branches().zip(&mut found) {
                *place = (next, f64::from(times) / total);
                count += 1;
            }
            count
        });
        found[..count].to_vec()
    }

    /// What it has counted, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.inner.with(py, |predictor| predictor.stats());
        let counts = PyDict::new(py);
        for (name, count) in [
            ("observed", stats.observed),
            ("proposed", stats.proposed),
            ("issued", stats.issued),
            ("used", stats.used),
            ("wasted", stats.wasted),
            ("late", stats.late),
            ("failed", stats.failed),
            ("guarded", stats.guarded),
            ("over_budget", stats.over_budget),
        ] {
            counts.set_item(name, count)?;
        }
        Ok(counts)
    }

    /// The share of the last 300 prefetches that were of use; 1 without any.
    #[getter]
    fn precision(&self, py: Python<'_>) -> f64 {
        f64::from(self.inner.with(py, |predictor| predictor.precision()))
    }

    /// Whether it proposes more than a few keys, going by how useful the last ones were.
    #[getter]
    fn is_open(&self, py: Python<'_>) -> bool {
        self.inner.with(py, |predictor| predictor.is_open())
    }

    /// How often the guard closed.
    #[getter]
    fn closings(&self, py: Python<'_>) -> u64 {
        self.inner.with(py, |predictor| predictor.closings())
    }

    /// How many requests it looks ahead now.
    #[getter]
    fn depth(&self, py: Python<'_>) -> u8 {
        self.inner.with(py, |predictor| predictor.depth())
    }

    /// Requests after which a prediction that is only watched counts as wrong.
    #[getter]
    fn horizon(&self, py: Python<'_>) -> u64 {
        self.inner.with(py, |predictor| predictor.horizon())
    }

    /// Bytes that it takes, now and always.
    #[getter]
    fn memory(&self) -> usize {
        self.memory
    }

    /// The number of keys whose successors are known.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.inner.with(py, |predictor| predictor.len())
    }

    /// Forgets everything, and counts anew.
    fn reset(&self, py: Python<'_>) {
        self.inner.with(py, prefetch::Predictor::clear);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let known = self.__len__(py);
        let rows = self.config.rows;
        let state = if self.is_open(py) { "open" } else { "closed" };
        format!("<Predictor of {known} keys (about {rows} at most), guard {state}>")
    }
}
