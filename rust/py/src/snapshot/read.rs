//! Reading a snapshot.

use std::fs::File;
use std::path::{Path, PathBuf};

use overdrive_core::snapshot::wire::Bytes;
use overdrive_core::snapshot::{Fault, Reader};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyTuple};

use super::decode::{Decoded, Decoder, Failure};
use super::{errors, field, flag};

/// Metadata, records, how many had run out, and the size of the file in bytes.
type Contents<'py> = (Bound<'py, PyDict>, Bound<'py, PyList>, u64, u64);

/// Reads the records of a file.
///
/// `now` is the time in seconds since 1970, or None to take the records as they were when they were
/// written. `codec` is the flag of the codec that `loads` belongs to. Each record is
/// `(key, value, ttl, tags, pinned, weight, idle)`.
#[pyfunction]
#[pyo3(name = "_snapshot_read", signature = (path, *, now, codec, loads))]
pub fn read<'py>(
    py: Python<'py>,
    path: PathBuf,
    now: Option<f64>,
    codec: u16,
    loads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Contents<'py>> {
    let fault = |fault| errors::of_fault(py, &path, fault);
    let (file, size) = open(py, &path)?;
    let mut reader = py.detach(|| Reader::new(file, size)).map_err(fault)?;
    let header = reader.header().clone();
    check_codec(py, &path, header.flags, codec)?;
    // All of it, before anything is made of a part: a codec is not given half a file.
    py.detach(|| reader.verify()).map_err(fault)?;

    let malformed = |offset, what: &str| errors::damaged(py, &path, offset, what);
    let meta = read_metadata(py, &header.metadata).map_err(|failure| match failure {
        Failure::Malformed(what) => malformed(0, what),
        Failure::Raised(error) => error,
    })?;
    // A clock that went backwards says that no time has passed.
    let elapsed = now.map_or(0.0, |now| (now - header.created).max(0.0));
    if header.created.is_nan() {
        return Err(malformed(0, "the time of writing is none"));
    }
    let records = PyList::empty(py);
    let mut expired = 0;
    let mut buffer = Vec::new();
    loop {
        let offset = reader.offset();
        let next = py
            .detach(|| reader.next_block(&mut buffer))
            .map_err(fault)?;
        let Some(count) = next else { break };
        let mut block = Block {
            bytes: Bytes::new(&buffer),
            elapsed,
            loads,
            expired: 0,
        };
        for _ in 0..count {
            match block.record(py) {
                Ok(Some(record)) => records.append(record)?,
                Ok(None) => {}
                Err(Failure::Malformed(what)) => return Err(malformed(offset, what)),
                Err(Failure::Raised(error)) => return Err(error),
            }
        }
        if block.bytes.left() > 0 {
            return Err(malformed(offset, "a block has more than its records"));
        }
        expired += block.expired;
        py.check_signals()?;
    }
    Ok((meta, records, expired, size))
}

/// Opens a regular file; anything else could keep us waiting for ever.
fn open(py: Python<'_>, path: &Path) -> PyResult<(File, u64)> {
    let opened = py.detach(|| {
        let found = std::fs::metadata(path)?;
        if found.is_dir() {
            let number = if cfg!(windows) { 13 } else { 21 };
            return Err(std::io::Error::from_raw_os_error(number));
        }
        if !found.is_file() {
            return Ok(None);
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Some((file, size)))
    });
    match opened {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => Err(errors::foreign(py, path, "it is not a regular file")),
        Err(error) => Err(errors::of_fault(py, path, Fault::Io(error))),
    }
}

fn check_codec(py: Python<'_>, path: &Path, flags: u16, codec: u16) -> PyResult<()> {
    if flags & !(flag::PICKLE | flag::CODEC) != 0 || flags == flag::PICKLE | flag::CODEC {
        return Err(errors::damaged(
            py,
            path,
            0,
            "its flags are of no known meaning",
        ));
    }
    let missing = flags & !codec;
    if missing & flag::PICKLE != 0 {
        return Err(errors::general(
            py,
            format!(
                "snapshot {path:?} was saved with codec='pickle', and a pickle can run any code when it \
                 is loaded; pass codec='pickle' if you trust everybody who could have written the file"
            ),
        ));
    }
    if missing & flag::CODEC != 0 {
        return Err(errors::general(
            py,
            format!(
                "snapshot {path:?} was saved with a codec of the caller's; pass codec=(dumps, loads)"
            ),
        ));
    }
    Ok(())
}

fn read_metadata<'py>(py: Python<'py>, metadata: &[u8]) -> Decoded<Bound<'py, PyDict>> {
    const NONE: &str = "the metadata is malformed";
    let mut decoder = Decoder {
        py,
        bytes: Bytes::new(metadata),
        loads: None,
        depth: 0,
    };
    let meta = decoder.value()?.cast_into::<PyDict>();
    match meta {
        Ok(meta) if decoder.bytes.left() == 0 => Ok(meta),
        _ => Err(Failure::Malformed(NONE)),
    }
}

struct Block<'a, 'py> {
    bytes: Bytes<'a>,
    elapsed: f64,
    loads: Option<&'a Bound<'py, PyAny>>,
    expired: u64,
}

impl<'py> Block<'_, 'py> {
    /// The next record; `None` if it has run out, without a look at its value.
    fn record(&mut self, py: Python<'py>) -> Decoded<Option<Bound<'py, PyTuple>>> {
        let mut decoder = Decoder {
            py,
            bytes: Bytes::new(self.bytes.prefixed()?),
            loads: self.loads,
            depth: 0,
        };
        let fields = decoder.bytes.byte()?;
        if fields & !field::ALL != 0 {
            return Err(Failure::Malformed("a record has an unknown field"));
        }
        let has = |field| fields & field != 0;
        let ttl = self.remaining(&mut decoder, has(field::TTL))?;
        let idle = self.remaining(&mut decoder, has(field::IDLE))?;
        if [ttl, idle].into_iter().flatten().any(|left| left <= 0.0) {
            self.expired += 1;
            return Ok(None);
        }
        let key = decoder.value()?;
        let value = decoder.value()?;
        let none = || py.None().into_bound(py);
        let weight = if has(field::WEIGHT) {
            let weight = decoder.value()?;
            if weight.cast_exact::<PyInt>().is_err() && weight.cast_exact::<PyFloat>().is_err() {
                return Err(Failure::Malformed("a weight is no number"));
            }
            weight
        } else {
            none()
        };
        let tags = if has(field::TAGS) {
            let tags = decoder.value()?;
            if tags.cast_exact::<PyTuple>().is_err() {
                return Err(Failure::Malformed("tags are no tuple"));
            }
            tags
        } else {
            none()
        };
        if decoder.bytes.left() > 0 {
            return Err(Failure::Malformed("a record has more than its fields"));
        }
        let seconds = |left: Option<f64>| match left {
            Some(left) => PyFloat::new(py, left).into_any(),
            None => none(),
        };
        let pinned = PyBool::new(py, has(field::PINNED)).to_owned().into_any();
        let record = [
            key,
            value,
            seconds(ttl),
            tags,
            pinned,
            weight,
            seconds(idle),
        ];
        Ok(Some(PyTuple::new(py, record)?))
    }

    fn remaining(&self, decoder: &mut Decoder<'_, 'py>, there: bool) -> Decoded<Option<f64>> {
        if !there {
            return Ok(None);
        }
        let left = decoder.bytes.float()?;
        if left.is_nan() {
            return Err(Failure::Malformed("a ttl is not a number"));
        }
        Ok(Some(left - self.elapsed))
    }
}
