//! Pickling and copying: the whole state of a cache as plain Python objects, and back.
//!
//! The state dict is the instance's `__dict__` plus one entry, so that subclasses which extend
//! `__getstate__` and `__setstate__` work as with any class. Hashes are not saved: those of strings
//! differ between processes. The format is versioned, but like cachetools' not meant to be read by
//! another version.

use overdrive_core::Slot;
use overdrive_core::policy::{Graded, Lfu, Policy, Random};
use overdrive_core::size::{Size, Total};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::cache::{Cache, Kind, Moment, hash};
use crate::config::Config;
use crate::construct;
use crate::deadline::{Deadline, Memo, Time};
use crate::expiry::Expiry;
use crate::key::Asked;
use crate::number;
use crate::obj::{Gone, Obj};
use crate::store::{Eviction, Item, Probe, Store};
use crate::timed;

const ENTRY: &str = "__overdrive_cache__";
const FORMAT: u32 = 1;

/// Positions of items in the state's list, in eviction order.
enum Rank {
    None,
    Order(Vec<usize>),
    /// Runs of items with the same count of uses, or of the same grade.
    Counts(Vec<(u64, Vec<usize>)>),
}

/// A copy of a store's contents, made in one region. Objects carry references.
struct Image {
    items: Vec<(Obj, Obj)>,
    sizes: Option<Vec<Size>>,
    used: Total,
    rank: Rank,
    deadlines: Vec<Deadline>,
    /// The heap's array: positions of live items, `None` for dead ones.
    heap: Vec<(Option<usize>, Deadline)>,
}

impl Image {
    fn of(store: &Store) -> Self {
        let slots: Vec<Slot> = store.order().iter().collect();
        let top = slots.iter().max().map_or(0, |&slot| slot as usize + 1);
        let mut position = vec![0; top];
        for (at, &slot) in slots.iter().enumerate() {
            position[slot as usize] = at;
        }
        let at = |slot: Slot| position[slot as usize];
        let heap = match &store.expiry {
            Expiry::ByHeap(timed) => timed
                .heap
                .items()
                .iter()
                .map(|item| {
                    (
                        timed.is_live(item).then(|| at(item.slot)),
                        item.deadline.incref(),
                    )
                })
                .collect(),
            _ => Vec::new(),
        };
        Self {
            items: slots
                .iter()
                .map(|&slot| (store.key(slot).incref(), store.value(slot).incref()))
                .collect(),
            sizes: store
                .budget
                .sizes()
                .map(|sizes| slots.iter().map(|&slot| sizes[slot as usize]).collect()),
            used: store.budget.used(store.len()),
            rank: match &store.policy {
                Eviction::Insertion => Rank::None,
                Eviction::Fifo(policy) => Rank::Order(policy.order().iter().map(at).collect()),
                Eviction::Lru(policy) => Rank::Order(policy.order().iter().map(at).collect()),
                Eviction::Random(policy) => {
                    Rank::Order(policy.list().iter().copied().map(at).collect())
                }
                Eviction::Lfu(policy) => Rank::Counts(
                    policy
                        .buckets()
                        .map(|(count, slots)| (count, slots.into_iter().map(at).collect()))
                        .collect(),
                ),
                Eviction::Arc(policy) => graded(&**policy, at),
                Eviction::TwoQ(policy) => graded(&**policy, at),
                Eviction::S3Fifo(policy) => graded(&**policy, at),
                Eviction::Sieve(policy) => graded(&**policy, at),
                Eviction::Lirs(policy) => graded(&**policy, at),
                Eviction::WTinyLfu(policy) => graded(&**policy, at),
                Eviction::Adaptive(policy) => graded(&**policy, at),
            },
            deadlines: slots
                .iter()
                .filter_map(|&slot| store.expiry.deadline(slot))
                .map(Deadline::incref)
                .collect(),
            heap,
        }
    }
}

/// Runs of items of one grade.
fn graded(policy: &impl Graded, at: impl Fn(Slot) -> usize) -> Rank {
    let grades = policy.grades();
    let runs = grades.chunk_by(|before, after| before.1 == after.1);
    Rank::Counts(
        runs.map(|run| {
            let positions = run.iter().map(|&(slot, _)| at(slot)).collect();
            (run[0].1.into(), positions)
        })
        .collect(),
    )
}

/// `__getstate__`.
pub fn get<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyDict>> {
    let py = slf.py();
    Cache::ready(slf)?;
    let (image, arguments) = slf.get().store.with(py, |store| {
        let config = &store.config;
        let arguments = [
            config.maxsize,
            config.timer,
            config.ttl,
            config.ttu,
            config.choice,
        ];
        (
            Image::of(store),
            arguments.map(|argument| argument.map(Obj::incref)),
        )
    });
    // SAFETY: all references were taken in the region.
    let own = |object: Obj| unsafe { object.into_bound(py) };
    let due = |deadline: Deadline| match deadline {
        Deadline::Number(_) => deadline.to_object(py),
        Deadline::Foreign(object) => own(object),
    };
    let state = PyDict::new(py);
    state.set_item("format", FORMAT)?;
    for (name, argument) in ["maxsize", "timer", "ttl", "ttu", "choice"]
        .into_iter()
        .zip(arguments)
    {
        state.set_item(name, argument.map(own))?;
    }
    if slf.get().kind() == Kind::Rr {
        // As an object even if it is the default: its generator goes along, as with cachetools.
        state.set_item("choice", crate::choice::function(slf)?)?;
    }
    let items = image
        .items
        .into_iter()
        .map(|(key, value)| (own(key), own(value)));
    state.set_item("items", PyList::new(py, items.collect::<Vec<_>>())?)?;
    let sizes = image.sizes.map(|sizes| {
        sizes
            .into_iter()
            .map(|size| number::total(py, size.into()))
            .collect::<PyResult<Vec<_>>>()
    });
    state.set_item("sizes", sizes.transpose()?)?;
    state.set_item("used", number::total(py, image.used)?)?;
    match image.rank {
        Rank::None => state.set_item("rank", py.None())?,
        Rank::Order(positions) => state.set_item("rank", positions)?,
        Rank::Counts(counts) => state.set_item("rank", counts)?,
    }
    state.set_item(
        "deadlines",
        image.deadlines.into_iter().map(due).collect::<Vec<_>>(),
    )?;
    let heap = image
        .heap
        .into_iter()
        .map(|(position, deadline)| (position, due(deadline)));
    state.set_item("heap", heap.collect::<Vec<_>>())?;

    let all = PyDict::new(py);
    all.update(slf.getattr("__dict__")?.cast()?)?;
    all.set_item(ENTRY, state)?;
    Ok(all)
}

/// `__setstate__`.
pub fn set(slf: &Bound<'_, Cache>, state: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = slf.py();
    let rest = state.copy()?;
    let Some(own) = rest.get_item(ENTRY)? else {
        return Err(PyValueError::new_err(format!(
            "the state of a cache needs the entry {ENTRY:?}: extend super().__getstate__()"
        )));
    };
    rest.del_item(ENTRY)?;
    let own = own.cast_into::<PyDict>()?;
    let format = field(&own, "format")?;
    if !format.eq(FORMAT)? {
        return Err(PyValueError::new_err(format!(
            "cache state has format {format}, expected {FORMAT}"
        )));
    }
    slf.getattr("__dict__")?
        .cast::<PyDict>()?
        .update(rest.as_mapping())?;
    let store = restore(slf, &own)?;
    let hooks = construct::hooks(slf, true)?;
    drop(slf.get().install(py, store, hooks));
    if slf.get().kind() == Kind::Ttl {
        timed::expire_visibly(slf, &Moment::At(Cache::now(slf)?))?;
    }
    Ok(())
}

fn field<'py>(state: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    state
        .get_item(name)?
        .ok_or_else(|| PyValueError::new_err(format!("the state of a cache has no field {name:?}")))
}

fn malformed(what: &str) -> PyErr {
    PyValueError::new_err(format!("malformed cache state: {what}"))
}

fn no_memory(_: std::collections::TryReserveError) -> PyErr {
    PyMemoryError::new_err("no memory to restore the cache")
}

fn restore(slf: &Bound<'_, Cache>, state: &Bound<'_, PyDict>) -> PyResult<Store> {
    let kind = slf.get().kind();
    let argument = |name| -> PyResult<Option<Obj>> {
        let value = field(state, name)?;
        Ok((!value.is_none()).then(|| Obj::owned(&value)))
    };
    let maxsize = field(state, "maxsize")?;
    let config = Config {
        maxsize: argument("maxsize")?,
        timer: argument("timer")?,
        ttl: argument("ttl")?,
        ttl_number: number::time(&field(state, "ttl")?),
        ttu: argument("ttu")?,
        choice: argument("choice")?,
        getrandbits: match kind {
            Kind::Rr => crate::choice::getrandbits(&field(state, "choice")?)?
                .as_ref()
                .map(Obj::owned),
            _ => None,
        },
    };
    let timer = field(state, "timer")?;
    if !timer.is_none() && timer.cast::<crate::timer::Timer>().is_err() {
        return Err(malformed("timer is not a timer"));
    }
    if (kind == Kind::Ttl && config.ttl.is_none())
        || (kind == Kind::Tlru && config.ttu.is_none())
        || (kind == Kind::Rr && !field(state, "choice")?.is_callable())
        || (kind == Kind::Tlru && !field(state, "ttu")?.is_callable())
    {
        return Err(malformed("an argument of the class is missing"));
    }
    let mut store = construct::store(
        kind,
        number::limit("maxsize", &maxsize)?,
        construct::hooks(slf, true)?,
        config,
    );
    let slots = restore_items(&mut store, state, kind)?;
    restore_rank(&mut store, &field(state, "rank")?, &slots)?;
    // A float total depends on the order of additions, and stays one when the floats are gone;
    // integers have been added up again.
    let saved = Total::from(number::size(&field(state, "used")?)?);
    let added = store.budget.used(store.len());
    let is_float = |total| matches!(total, Total::Float(_));
    if store.len() == slots.len() && (is_float(saved) || is_float(added)) {
        store.budget.restore_used(saved);
    }
    store.check().map_err(|message| malformed(&message))?;
    Ok(store)
}

fn checked_size(size: &Bound<'_, PyAny>) -> PyResult<Size> {
    let size = number::size(size)?;
    if Total::from(size).is_negative() {
        Err(malformed("a size is negative"))
    } else {
        Ok(size)
    }
}

/// Fills the store, in insertion order; the slot of each position is returned.
fn restore_items(store: &mut Store, state: &Bound<'_, PyDict>, kind: Kind) -> PyResult<Vec<Slot>> {
    let items = field(state, "items")?.extract::<Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>>()?;
    let sizes = field(state, "sizes")?.extract::<Option<Vec<Bound<'_, PyAny>>>>()?;
    let deadlines = field(state, "deadlines")?.extract::<Vec<Bound<'_, PyAny>>>()?;
    if sizes
        .as_ref()
        .is_some_and(|sizes| sizes.len() != items.len())
        || (kind.is_timed() && deadlines.len() != items.len())
    {
        return Err(malformed("lists differ in length"));
    }
    let times: Vec<Time<'_>> = deadlines.into_iter().map(Time::from_object).collect();
    let mut slots = Vec::with_capacity(items.len());
    for (at, (key, value)) in items.iter().enumerate() {
        let size = match &sizes {
            Some(sizes) => checked_size(&sizes[at])?,
            None => Size::Int(1),
        };
        let item = Item {
            hash: hash(key)?,
            key: Obj::of(key),
            value: Obj::of(value),
            size,
            deadline: None,
        };
        let mut asked = Asked::default();
        let present = loop {
            match store.find(item.hash, item.key, &mut asked) {
                Probe::Slot(slot) => break Some(slot),
                Probe::Absent => break None,
                Probe::Ask => asked.resolve(key)?,
            }
        };
        let mut gone = Gone::default();
        let slot = store.restore(present, &item, &mut gone);
        slots.push(slot.ok_or_else(|| PyMemoryError::new_err("no memory for another cache item"))?);
    }
    match kind {
        Kind::Ttl => restore_due(store, state, &slots, &times)?,
        Kind::Tlru => restore_heap(store, state, &slots, &times)?,
        _ => {}
    }
    Ok(slots)
}

/// Sets the deadlines of a `TTLCache` in the order in which they are due.
fn restore_due(
    store: &mut Store,
    state: &Bound<'_, PyDict>,
    slots: &[Slot],
    times: &[Time<'_>],
) -> PyResult<()> {
    let py = state.py();
    let builtins = py.import("builtins")?;
    let by_deadline = PyDict::new(py);
    by_deadline.set_item("key", field(state, "deadlines")?.getattr("__getitem__")?)?;
    let rank = field(state, "rank")?;
    if rank
        .extract::<Vec<usize>>()?
        .iter()
        .any(|&position| position >= slots.len())
    {
        return Err(malformed("rank names an item that is not there"));
    }
    let sorted = builtins
        .getattr("sorted")?
        .call((rank,), Some(&by_deadline))?;
    let mut gone = Gone::default();
    for position in sorted.extract::<Vec<usize>>()? {
        let (Some(&slot), Some(time)) = (slots.get(position), times.get(position)) else {
            return Err(malformed("rank names an item that is not there"));
        };
        let deadline = Some(time.as_deadline());
        let planned = store.expiry.plan(deadline, &Memo::default());
        let place =
            planned.map_err(|_| PyMemoryError::new_err("no memory for another deadline"))?;
        store.expiry.set(slot, deadline, place, &mut gone);
    }
    Ok(())
}

/// Sets the deadlines of a `TLRUCache` in the heap's own order, dead ones included.
fn restore_heap(
    store: &mut Store,
    state: &Bound<'_, PyDict>,
    slots: &[Slot],
    times: &[Time<'_>],
) -> PyResult<()> {
    let heap = field(state, "heap")?.extract::<Vec<(Option<usize>, Bound<'_, PyAny>)>>()?;
    let mut items = Vec::with_capacity(heap.len());
    let mut gone = Gone::default();
    for (position, deadline) in heap {
        let slot = match position.map(|position| (slots.get(position), times.get(position))) {
            None => None,
            Some((Some(&slot), Some(time))) => Some((slot, time.as_deadline())),
            Some(_) => return Err(malformed("heap names an item that is not there")),
        };
        items.push((slot, Time::from_object(deadline).as_deadline().incref()));
    }
    store
        .expiry
        .restore_heap(items, &mut gone)
        .map_err(no_memory)
}

fn restore_rank(store: &mut Store, rank: &Bound<'_, PyAny>, slots: &[Slot]) -> PyResult<()> {
    let top = slots.iter().max().map_or(0, |&slot| slot as usize + 1);
    let mut seen = vec![false; top];
    let mut hashes = vec![0; top];
    for &slot in slots {
        hashes[slot as usize] = store.hash(slot);
    }
    // Keys that have become equal since share a slot; it counts where it comes first.
    let mut slot = |position: usize| {
        let slot = slots.get(position).copied();
        let slot = slot.ok_or_else(|| malformed("rank names an item that is not there"))?;
        let first = !std::mem::replace(&mut seen[slot as usize], true);
        PyResult::Ok(first.then_some(slot))
    };
    match &mut store.policy {
        Eviction::Insertion => {}
        Eviction::Fifo(policy) => {
            for position in rank.extract::<Vec<usize>>()? {
                if let Some(slot) = slot(position)? {
                    policy.on_replace(slot);
                }
            }
        }
        Eviction::Lru(policy) => {
            for position in rank.extract::<Vec<usize>>()? {
                if let Some(slot) = slot(position)? {
                    policy.on_hit(slot);
                }
            }
        }
        Eviction::Random(policy) => {
            let mut restored = Random::default();
            restored.reserve(top).map_err(no_memory)?;
            for position in rank.extract::<Vec<usize>>()? {
                if let Some(slot) = slot(position)? {
                    restored.on_insert(slot, 0);
                }
            }
            *policy = restored;
        }
        Eviction::Lfu(policy) => {
            let mut restored = Lfu::default();
            restored.reserve(top).map_err(no_memory)?;
            for (count, positions) in rank.extract::<Vec<(u64, Vec<usize>)>>()? {
                if !(1..MAX_COUNT).contains(&count) {
                    return Err(malformed("a use count is out of range"));
                }
                for position in positions {
                    if let Some(slot) = slot(position)? {
                        restored.restore(slot, count);
                    }
                }
            }
            *policy = restored;
        }
        Eviction::Arc(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
        Eviction::TwoQ(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
        Eviction::S3Fifo(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
        Eviction::Sieve(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
        Eviction::Lirs(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
        Eviction::WTinyLfu(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
        Eviction::Adaptive(policy) => **policy = restore_graded(rank, top, slot, &hashes)?,
    }
    Ok(())
}

/// A policy with the slots in the given order, of the given grades.
fn restore_graded<P: Graded>(
    rank: &Bound<'_, PyAny>,
    top: usize,
    mut slot: impl FnMut(usize) -> PyResult<Option<Slot>>,
    hashes: &[u64],
) -> PyResult<P> {
    let mut graded = Vec::new();
    for (grade, positions) in rank.extract::<Vec<(u64, Vec<usize>)>>()? {
        let grade = u8::try_from(grade).ok().filter(|&grade| grade < P::GRADES);
        let grade = grade.ok_or_else(|| malformed("a grade is out of range"))?;
        for position in positions {
            if let Some(slot) = slot(position)? {
                graded.push((slot, hashes[slot as usize], grade));
            }
        }
    }
    let mut restored = P::default();
    restored.reserve(top).map_err(no_memory)?;
    restored.restore(graded.into_iter());
    Ok(restored)
}

/// Counts that no cache reaches, and that leave room for more.
const MAX_COUNT: u64 = 1 << 63;

/// `__reduce__`.
pub fn reduce<'py>(slf: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyTuple>> {
    let py = slf.py();
    let new = py.import("copyreg")?.getattr("__newobj__")?;
    let state = slf.call_method0(pyo3::intern!(py, "__getstate__"))?;
    (new, (slf.get_type(),), state).into_pyobject(py)
}
