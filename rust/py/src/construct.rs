//! `__init__` of the classes: arguments are checked first, then everything is installed at once.

use overdrive_core::budget::Budget;
use overdrive_core::policy::{Fifo, Lfu, Lru, Random};
use overdrive_core::size::Total;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use crate::cache::{Cache, Kind};
use crate::choice;
use crate::config::Config;
use crate::expiry::Expiry;
use crate::hooks::Hooks;
use crate::number::{self, shown};
use crate::obj::Obj;
use crate::store::{Eviction, Store};
use crate::timer::Timer;

/// What the classes have in common.
pub struct Arguments<'a, 'py> {
    pub maxsize: &'a Bound<'py, PyAny>,
    pub getsizeof: Option<&'a Bound<'py, PyAny>>,
}

/// Initialises a cache without deadlines.
pub fn untimed<'py>(slf: &Bound<'py, Cache>, arguments: &Arguments<'_, 'py>) -> PyResult<()> {
    initialise(slf, arguments, Config::default())
}

/// Initialises an `RRCache`; the default choice is `random.choice`.
pub fn random<'py>(
    slf: &Bound<'py, Cache>,
    arguments: &Arguments<'_, 'py>,
    choice: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let mut config = Config::default();
    if let Some(choice) = choice {
        check_callable("choice", &choice)?;
        config.getrandbits = choice::getrandbits(&choice)?.as_ref().map(Obj::owned);
        config.choice = Some(Obj::owned(&choice));
    }
    initialise(slf, arguments, config)
}

/// Initialises a `TTLCache`; the default timer is `time.monotonic`.
pub fn ttl<'py>(
    slf: &Bound<'py, Cache>,
    arguments: &Arguments<'_, 'py>,
    ttl: &Bound<'py, PyAny>,
    timer: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let timer = timer.map(wrap_timer).transpose()?;
    if let Ok(value) = ttl.cast::<PyFloat>()
        && value.value().is_nan()
    {
        return Err(PyValueError::new_err("ttl must be a number, got nan"));
    }
    let ttl_number = number::time(ttl);
    // Any type that the timer's times can be added to will do; with floats that can be tried.
    if timer.is_none() && ttl_number.is_none() && PyFloat::new(slf.py(), 0.0).add(ttl).is_err() {
        return Err(PyTypeError::new_err(format!(
            "ttl must be a number of seconds with the default timer, got {}",
            shown(ttl)
        )));
    }
    let config = Config {
        timer: timer.map(|timer| Obj::owned(timer.as_any())),
        ttl: Some(Obj::owned(ttl)),
        ttl_number,
        ..Config::default()
    };
    initialise(slf, arguments, config)
}

/// Initialises a `TLRUCache`; the default timer is `time.monotonic`.
pub fn ttu<'py>(
    slf: &Bound<'py, Cache>,
    arguments: &Arguments<'_, 'py>,
    ttu: &Bound<'py, PyAny>,
    timer: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    check_callable("ttu", ttu)?;
    let timer = timer.map(wrap_timer).transpose()?;
    let config = Config {
        timer: timer.map(|timer| Obj::owned(timer.as_any())),
        ttu: Some(Obj::owned(ttu)),
        ..Config::default()
    };
    initialise(slf, arguments, config)
}

/// The store of a cache of one of our own classes, made of numbers that need no conversion; `None` for any other
/// arguments, for which `__init__` says what is wrong with them, if anything.
#[inline(always)]
pub fn plain<'py>(
    kind: Kind,
    maxsize: &Bound<'py, PyAny>,
    second: Option<&Bound<'py, PyAny>>,
) -> Option<Store> {
    // Of ints and floats the numbers that can be times are those that can be limits.
    let limit = number::time(maxsize).filter(|&limit| limit >= 0.0)?;
    let mut config = Config {
        maxsize: Some(Obj::owned(maxsize)),
        ..Config::default()
    };
    match (kind, second) {
        (Kind::Ttl, Some(ttl)) => {
            config.ttl_number = Some(number::time(ttl)?);
            config.ttl = Some(Obj::owned(ttl));
        }
        (Kind::Tlru, Some(ttu)) if ttu.is_callable() => config.ttu = Some(Obj::owned(ttu)),
        (Kind::Tlru, _) => return None,
        _ => {}
    }
    Some(store(kind, Total::Float(limit), Hooks::NONE, config))
}

fn wrap_timer<'py>(timer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Timer>> {
    Bound::new(timer.py(), Timer::wrap(timer)?)
}

fn check_callable(name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if value.is_callable() {
        Ok(())
    } else {
        Err(PyTypeError::new_err(format!(
            "{name} must be callable, got {}",
            shown(value)
        )))
    }
}

fn initialise<'py>(
    slf: &Bound<'py, Cache>,
    arguments: &Arguments<'_, 'py>,
    mut config: Config,
) -> PyResult<()> {
    let limit = number::limit("maxsize", arguments.maxsize)?;
    if let Some(getsizeof) = arguments.getsizeof {
        check_callable("getsizeof", getsizeof)?;
        slf.setattr(pyo3::intern!(slf.py(), "getsizeof"), getsizeof)?;
    }
    config.maxsize = Some(Obj::owned(arguments.maxsize));
    let hooks = hooks(slf, arguments.getsizeof.is_some())?;
    let store = store(slf.get().kind(), limit, hooks, config);
    drop(slf.get().install(slf.py(), store, hooks));
    Ok(())
}

/// The methods that the object's class overrides, and whether items have sizes.
///
/// `sized` says that a `getsizeof` was given; without one it may still be a method or an attribute.
pub fn hooks(slf: &Bound<'_, Cache>, sized: bool) -> PyResult<Hooks> {
    let py = slf.py();
    let native = crate::classes::class_of(py, slf.get().kind());
    let plain = slf.get_type().is(&native);
    // A new instance of a class of ours has no attributes yet.
    if plain && !sized && slf.get().hooks().any(Hooks::UNINITIALISED) {
        return Ok(Hooks::NONE);
    }
    let hooks = Hooks::of(&slf.get_type(), &native)?;
    let getsizeof = pyo3::intern!(py, "getsizeof");
    if slf
        .getattr(getsizeof)?
        .is(&py.get_type::<Cache>().getattr(getsizeof)?)
    {
        Ok(hooks)
    } else {
        Ok(hooks.and(Hooks::GETSIZEOF))
    }
}

/// An empty store for a class.
#[inline(always)]
pub fn store(kind: Kind, limit: Total, hooks: Hooks, config: Config) -> Store {
    let policy = match kind {
        Kind::Cache => Eviction::Insertion,
        Kind::Fifo => Eviction::Fifo(Fifo::default()),
        Kind::Lfu => Eviction::Lfu(Lfu::default()),
        Kind::Rr => Eviction::Random(Random::default()),
        Kind::Arc => Eviction::Arc(Box::default()),
        Kind::TwoQ => Eviction::TwoQ(Box::default()),
        Kind::S3Fifo => Eviction::S3Fifo(Box::default()),
        Kind::Sieve => Eviction::Sieve(Box::default()),
        Kind::Lirs => Eviction::Lirs(Box::default()),
        Kind::WTinyLfu => Eviction::WTinyLfu(Box::default()),
        Kind::Adaptive => Eviction::Adaptive(Box::default()),
        Kind::Lru | Kind::Ttl | Kind::Tlru => Eviction::Lru(Lru::default()),
    };
    let budget = if hooks.any(Hooks::GETSIZEOF) {
        Budget::sized(limit)
    } else {
        Budget::units(limit)
    };
    let expiry = match kind {
        Kind::Ttl => Expiry::InOrder(Box::default()),
        Kind::Tlru => Expiry::ByHeap(Box::default()),
        _ => Expiry::Never,
    };
    Store::new(policy, budget, expiry, config)
}
