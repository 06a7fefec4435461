//! Writing a snapshot.

use std::fs::File;
use std::path::PathBuf;

use overdrive_core::snapshot::Writer;
use overdrive_core::snapshot::wire::put_varint;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyTuple};

use super::draft::Draft;
use super::encode::{Encoder, Reason, Refusal};
use super::{errors, field, tag};
use crate::number::shown;

/// Records are gathered into blocks of about this many bytes, each of which is checked and written
/// while the interpreter is free for others.
const BLOCK_SIZE: usize = 1 << 20;

/// What to do with values that are of no known type.
struct Codec<'a, 'py> {
    dumps: Option<&'a Bound<'py, PyAny>>,
    /// Leave out records that cannot be written; these exceptions of `dumps` mean that.
    skip: Option<&'a Bound<'py, PyTuple>>,
}

/// Writes records to a file, which replaces the one at `path` when it is complete.
///
/// Each record is `(key, value, ttl, tags, pinned, weight)`, and may have `idle` at its end: seconds
/// left or None, a tuple of tags or None, whether it is pinned, a number or None. Returns how many were
/// written, the size of the file in bytes, and how many were skipped.
#[pyfunction]
#[pyo3(name = "_snapshot_write", signature = (path, records, *, meta, created, flags, dumps, skip))]
#[expect(
    clippy::too_many_arguments,
    reason = "each is a keyword of the Python function"
)]
pub fn write<'py>(
    py: Python<'py>,
    path: PathBuf,
    records: &Bound<'py, PyAny>,
    meta: &Bound<'py, PyDict>,
    created: f64,
    flags: u16,
    dumps: Option<&Bound<'py, PyAny>>,
    skip: Option<&Bound<'py, PyTuple>>,
) -> PyResult<(u64, u64, u64)> {
    check_target(py, &path)?;
    let metadata = encode_metadata(py, meta)?;
    let codec = Codec { dumps, skip };
    let system = |error: std::io::Error| errors::of_system(&path, &error);

    let (draft, file) = py.detach(|| Draft::new(&path)).map_err(system)?;
    let mut writer = py.detach(|| Writer::new(file, metadata)).map_err(system)?;
    let (mut items, mut skipped) = (0, 0);
    let mut block = Encoder::default();
    let mut in_block = 0;
    let mut scratch = Encoder::default();
    for record in records.try_iter()? {
        if codec.record(&mut scratch, &record?)? {
            put_varint(&mut block.out, scratch.out.len() as u64);
            block.out.extend_from_slice(&scratch.out);
            in_block += 1;
            items += 1;
        } else {
            skipped += 1;
        }
        scratch.out.clear();
        if block.out.len() >= BLOCK_SIZE {
            write_block(py, &mut writer, &mut block, in_block).map_err(system)?;
            in_block = 0;
            py.check_signals()?;
        }
    }
    if in_block > 0 {
        write_block(py, &mut writer, &mut block, in_block).map_err(system)?;
    }
    let bytes = py
        .detach(|| {
            let (file, bytes) = writer.finish(flags, created)?;
            draft.replace(file).map(|()| bytes)
        })
        .map_err(system)?;
    Ok((items, bytes, skipped))
}

fn write_block(
    py: Python<'_>,
    writer: &mut Writer<File>,
    block: &mut Encoder,
    records: u32,
) -> std::io::Result<()> {
    py.detach(|| writer.block(&block.out, records))?;
    block.out.clear();
    Ok(())
}

/// Refuses what `os.replace` would refuse, before anything is written, and what is no place for a file.
fn check_target(py: Python<'_>, path: &PathBuf) -> PyResult<()> {
    if let Ok(target) = std::fs::symlink_metadata(path)
        && !target.is_file()
        && !target.is_symlink()
    {
        if target.is_dir() {
            let number = if cfg!(windows) { 13 } else { 21 };
            let error = std::io::Error::from_raw_os_error(number);
            return Err(errors::of_system(path, &error));
        }
        return Err(errors::general(
            py,
            format!("{path:?} is not a regular file, and is not replaced by a snapshot"),
        ));
    }
    Ok(())
}

fn encode_metadata(py: Python<'_>, meta: &Bound<'_, PyDict>) -> PyResult<Vec<u8>> {
    let mut encoder = Encoder::default();
    match encoder.value(meta.as_any()) {
        Ok(()) => Ok(encoder.out),
        Err(Refusal::Raised(error)) => Err(error),
        Err(Refusal::Value { reason, path }) => {
            Err(errors::of_refusal(py, &place("metadata", &path), &reason))
        }
    }
}

/// Where a value is, from the outside in.
fn place(outermost: &str, path: &[String]) -> String {
    let mut place = outermost.to_owned();
    for step in path.iter().rev() {
        place.push_str(": ");
        place.push_str(step);
    }
    place
}

impl Codec<'_, '_> {
    /// Writes a record; false if it is to be left out.
    fn record(&self, encoder: &mut Encoder, record: &Bound<'_, PyAny>) -> PyResult<bool> {
        let record = record
            .cast::<PyTuple>()
            .ok()
            .filter(|record| matches!(record.len(), 6 | 7));
        let Some(record) = record else {
            return Err(PyTypeError::new_err(
                "a record must be a tuple (key, value, ttl, tags, pinned, weight[, idle])",
            ));
        };
        let get = |index| record.get_item(index);
        let (key, value) = (get(0)?, get(1)?);
        let ttl = seconds("ttl", &get(2)?)?;
        let idle = match record.len() {
            7 => seconds("idle", &get(6)?)?,
            _ => None,
        };
        let (tags, weight) = (get(3)?, get(5)?);
        if !tags.is_none() && tags.cast_exact::<PyTuple>().is_err() {
            return Err(PyTypeError::new_err(format!(
                "tags must be a tuple or None, got {}",
                shown(&tags)
            )));
        }
        let pinned = get(4)?.cast::<PyBool>().map_err(PyErr::from)?.is_true();
        let present = |there: bool, flag: u8| if there { flag } else { 0 };
        encoder.out.push(
            present(ttl.is_some(), field::TTL)
                | present(idle.is_some(), field::IDLE)
                | present(!weight.is_none(), field::WEIGHT)
                | present(!tags.is_none(), field::TAGS)
                | present(pinned, field::PINNED),
        );
        for seconds in [ttl, idle].into_iter().flatten() {
            encoder.float(seconds);
        }
        let written = self.coded(encoder, &key, || format!("key {}", shown(&key)))?
            && self.coded(encoder, &value, || format!("value of key {}", shown(&key)))?
            && (weight.is_none()
                || self.plain(encoder, &weight, || {
                    format!("weight of key {}", shown(&key))
                })?)
            && (tags.is_none()
                || self.plain(encoder, &tags, || format!("tags of key {}", shown(&key)))?);
        Ok(written)
    }

    /// Writes a value of built-in types; false if it is to be left out.
    fn plain(
        &self,
        encoder: &mut Encoder,
        value: &Bound<'_, PyAny>,
        name: impl FnOnce() -> String,
    ) -> PyResult<bool> {
        match encoder.value(value) {
            Ok(()) => Ok(true),
            Err(Refusal::Raised(error)) => Err(error),
            Err(Refusal::Value { .. }) if self.skip.is_some() => Ok(false),
            Err(Refusal::Value { reason, path }) => {
                let py = value.py();
                Err(errors::of_refusal(py, &place(&name(), &path), &reason))
            }
        }
    }

    /// Writes a value, whole by the codec if it is not of built-in types all through.
    fn coded(
        &self,
        encoder: &mut Encoder,
        value: &Bound<'_, PyAny>,
        name: impl FnOnce() -> String,
    ) -> PyResult<bool> {
        let Some(dumps) = self.dumps else {
            return self.plain(encoder, value, name);
        };
        let start = encoder.out.len();
        match encoder.value(value) {
            Ok(()) => return Ok(true),
            Err(Refusal::Raised(error)) => return Err(error),
            Err(Refusal::Value {
                reason: Reason::Type(_) | Reason::Cycle | Reason::Depth | Reason::Size,
                ..
            }) => {}
        }
        encoder.out.truncate(start);
        let py = value.py();
        let bytes = match dumps.call1((value,)) {
            Ok(bytes) => bytes,
            Err(error) => {
                return match self.skip {
                    Some(skip) if error.matches(py, skip)? => Ok(false),
                    _ => Err(error),
                };
            }
        };
        let Ok(bytes) = bytes.cast::<PyBytes>() else {
            return Err(PyTypeError::new_err(format!(
                "{}: dumps of the codec must return bytes, got {}",
                name(),
                shown(&bytes)
            )));
        };
        encoder.prefixed(tag::CODED, bytes.as_bytes());
        Ok(true)
    }
}

/// Seconds that are left; infinitely many are as good as no limit.
fn seconds(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if value.is_none() {
        return Ok(None);
    }
    let seconds: f64 = value.extract()?;
    if seconds.is_nan() {
        return Err(PyValueError::new_err(format!(
            "{what} of a record must be a number of seconds, got nan"
        )));
    }
    Ok((seconds != f64::INFINITY).then_some(seconds))
}
