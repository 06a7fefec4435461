//! What the adaptive policy does, as Python sees it.

use overdrive_core::policy::AdaptiveReport;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::import::Imported;
use crate::store::{Eviction, Store};

/// The report of a store, if its policy gives one.
pub fn of(store: &Store) -> Option<AdaptiveReport> {
    match &store.policy {
        Eviction::Adaptive(policy) => Some(policy.report()),
        _ => None,
    }
}

/// A `PolicyReport`.
pub fn to_python<'py>(py: Python<'py>, report: &AdaptiveReport) -> PyResult<Bound<'py, PyAny>> {
    static REPORT: Imported = Imported::new("overdrive._policy_report", "PolicyReport");
    static SWITCH: Imported = Imported::new("overdrive._policy_report", "PolicySwitch");
    let ratios = PyDict::new(py);
    for (expert, ratio) in report.hit_ratios {
        ratios.set_item(expert, f64::from(ratio))?;
    }
    let last = match report.last_switch {
        Some(switch) => Some(SWITCH.get(py)?.call1((
            switch.request,
            switch.from,
            switch.to,
            f64::from(switch.gain),
        ))?),
        None => None,
    };
    REPORT.get(py)?.call1((
        report.leader,
        ratios,
        f64::from(report.sampled),
        report.switches,
        last,
        report.requests,
    ))
}
