//! Making and opening envelopes.

use overdrive_core::envelope::{
    self, Compression, Config, KeyMaterial, Message, Refused, Unsealable, flag,
};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PySlice, PyString, PyTuple};

use super::{Header, Immutable, detached};

/// The cost of a load is written in tenths of a millisecond.
pub const COST_UNITS: f64 = 10_000.0;
/// Payloads up to this many bytes are copied out of an envelope: that is faster than a view of it.
const COPIED: usize = 4 << 10;

/// An envelope that was opened; immutable.
#[pyclass(module = "overdrive._core", frozen, get_all)]
pub struct Opened {
    /// What it says about the value.
    header: Py<Header>,
    /// What the serializer wrote: bytes, or a view of those that were opened.
    payload: Py<PyAny>,
}

/// Makes and opens the envelopes of a namespace; threads share it.
///
/// `keys` are tuples of an id from 1 to 255, the key of the MAC, and the key of the encryption (32 bytes)
/// or None; those that have the same id are tried in turn. `write_key` is the id of the one to write
/// with; without it, no MAC is made. `require_mac` refuses what has none. `max_raw` is the most bytes
/// that a payload may have before it is compressed. `compression` is "zstd", "lz4" or None; payloads of
/// at least `min_compress` bytes are compressed if no more than `keep_below` of them is left.
///
/// Raises: ValueError: if the arguments do not go together.
#[pyclass(module = "overdrive._core", frozen)]
pub struct Sealer {
    /// Boxed: it has a checksum's state, which needs a larger alignment than Python's objects have.
    sealer: Box<envelope::Sealer>,
}

#[pymethods]
impl Sealer {
    #[new]
    #[pyo3(signature = (
        namespace, *, keys=Vec::new(), write_key=None, require_mac=false, encrypt=false,
        max_raw=1 << 26, compression="zstd", min_compress=1024, keep_below=0.9,
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a keyword of the Python class"
    )]
    fn new(
        namespace: Vec<u8>,
        keys: Vec<(u8, Vec<u8>, Option<Vec<u8>>)>,
        write_key: Option<u8>,
        require_mac: bool,
        encrypt: bool,
        max_raw: u32,
        compression: Option<&str>,
        min_compress: usize,
        keep_below: f64,
    ) -> PyResult<Self> {
        let refused = |message: String| Err(PyValueError::new_err(message));
        let mut materials = Vec::with_capacity(keys.len());
        for (id, mac, cipher) in keys {
            if id == 0 {
                return refused("the id of a key must be from 1 to 255, got 0".to_owned());
            }
            let cipher = match cipher.map(<[u8; 32]>::try_from) {
                None => None,
                Some(Ok(cipher)) => Some(cipher),
                Some(Err(wrong)) => {
                    let length = wrong.len();
                    return refused(format!(
                        "the key of the encryption must have 32 bytes, got {length}"
                    ));
                }
            };
            materials.push(KeyMaterial { id, mac, cipher });
        }
        let writer = materials.iter().find(|key| Some(key.id) == write_key);
        if let (Some(id), None) = (write_key, writer) {
            return refused(format!("write_key={id} is the id of none of the keys"));
        }
        if encrypt && writer.is_none_or(|key| key.cipher.is_none()) {
            return refused(
                "encrypt=True needs a write_key with a key of the encryption".to_owned(),
            );
        }
        if require_mac && write_key.is_none() {
            return refused("require_mac=True needs a write_key".to_owned());
        }
        let compression = match compression {
            None => None,
            Some("zstd") => Some(Compression::Zstd),
            Some("lz4") => Some(Compression::Lz4),
            Some(other) => {
                return refused(format!(
                    "compression must be 'zstd', 'lz4' or None, got {other:?}"
                ));
            }
        };
        if !(0.0..=1.0).contains(&keep_below) {
            return refused(format!("keep_below must be from 0 to 1, got {keep_below}"));
        }
        Ok(Self {
            sealer: Box::new(envelope::Sealer::new(Config {
                namespace,
                keys: materials,
                write_key,
                require_mac,
                encrypt,
                max_raw,
                compression,
                min_compress,
                keep_below,
            })),
        })
    }

    /// The most bytes that a payload may have before it is compressed.
    #[getter]
    fn max_raw(&self) -> u32 {
        self.sealer.max_raw()
    }

    /// An envelope for a payload: bytes, a contiguous buffer of bytes, or a tuple of these, one after the
    /// other. `soft`, `hard` and `cost` are in seconds; without an `epoch` there are no `tags`.
    ///
    /// Raises: ValueError: for a payload above `max_raw`, more than 254 tags, flags that are not 2, 16 or
    /// 32, or times that are no number >= 0. Cost: O(payload).
    #[pyo3(signature = (
        key, payload, *, serializer, schema=0, version=0, created_ms, soft=f32::INFINITY,
        hard=f32::INFINITY, cost=0.0, epoch=None, tags=Vec::new(), flags=0,
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a keyword of the Python method"
    )]
    fn seal<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        payload: &Bound<'py, PyAny>,
        serializer: u8,
        schema: u32,
        version: u64,
        created_ms: u64,
        soft: f32,
        hard: f32,
        cost: f64,
        epoch: Option<u64>,
        tags: Vec<u64>,
        flags: u8,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if !(soft >= 0.0 && hard >= 0.0 && cost >= 0.0) {
            return Err(PyValueError::new_err(format!(
                "soft, hard and cost must be numbers of seconds >= 0, got {soft}, {hard} and {cost}"
            )));
        }
        if flags & !flag::OF_VALUES != 0 {
            return Err(PyValueError::new_err(format!(
                "flags must be of 2, 16 and 32, got {flags}"
            )));
        }
        if epoch.is_none() && !tags.is_empty() {
            return Err(PyValueError::new_err("tags need an epoch"));
        }
        let message = Message {
            key,
            flags,
            serializer,
            schema,
            version,
            created_ms,
            soft,
            hard,
            cost: (cost * COST_UNITS) as u32,
            epoch,
            tags: &tags,
        };
        let parts = Parts::of(payload)?;
        self.seal_parts(py, &message, &parts)
    }

    /// Opens an envelope that was found under `key`: an `Opened`, or the reason why it is refused, which
    /// is one of "magic", "format", "length", "bomb", "mac", "key", "checksum", "expired", "schema" and
    /// "codec". They are looked for in this order, and the payload is not touched before.
    ///
    /// Cost: O(envelope).
    #[pyo3(signature = (key, envelope, now_ms, *, schema=None))]
    fn open<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        envelope: &Bound<'py, PyAny>,
        now_ms: u64,
        schema: Option<u32>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let envelope = Immutable::of(envelope)?.into_bytes(py)?;
        let bytes = envelope.as_bytes();
        let checked = detached(py, bytes.len(), || {
            self.sealer.check(key, bytes, now_ms, schema)
        });
        let opened = match checked {
            Ok(header) if envelope::Sealer::is_packed(&header) => {
                self.unpack(py, &header, key, bytes)?
            }
            Ok(header) => Ok((header, plain_payload(&envelope, &header)?)),
            Err(refused) => Err(refused),
        };
        match opened {
            Ok((header, payload)) => {
                let opened = Opened {
                    header: Py::new(py, Header::new(header, bytes))?,
                    payload: payload.unbind(),
                };
                Ok(Bound::new(py, opened)?.into_any())
            }
            Err(refused) => Ok(reason(py, refused).into_any()),
        }
    }

    /// Reads the front of an envelope, at least its first 56 bytes, without checking it; None if it is
    /// something else. Tags that are not there are left out.
    #[staticmethod]
    #[pyo3(signature = (envelope, /))]
    fn header(envelope: &[u8]) -> Option<Header> {
        let header = envelope::Header::parse(envelope).ok()?;
        Some(Header::new(header, envelope))
    }
}

type Payload<'py> = Result<(envelope::Header, Bound<'py, PyAny>), Refused>;

impl Sealer {
    fn seal_parts<'py>(
        &self,
        py: Python<'py>,
        message: &Message<'_>,
        parts: &Parts<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let length = parts.len();
        let refused = |why| refused(why, length, self.sealer.max_raw());
        // What is too large is neither copied nor compressed.
        let whole = self.sealer.frame(message, length, None).map_err(refused)?;
        let packed = if self.sealer.tries_to_pack(length) {
            parts.with_bytes(py, |raw| detached(py, raw.len(), || self.sealer.pack(raw)))?
        } else {
            None
        };
        let frame = match &packed {
            Some((compression, body)) => {
                let packed = Some((*compression, body.len()));
                self.sealer
                    .frame(message, length, packed)
                    .map_err(refused)?
            }
            None => whole,
        };
        PyBytes::new_with(py, frame.total(), |envelope| {
            let body = &mut envelope[frame.body()];
            match &packed {
                Some((_, packed)) => body.copy_from_slice(packed),
                None => parts.copy_to(py, body)?,
            }
            detached(py, length, || self.sealer.seal(&frame, message, envelope)).map_err(refused)
        })
    }

    fn unpack<'py>(
        &self,
        py: Python<'py>,
        header: &envelope::Header,
        key: &[u8],
        envelope: &[u8],
    ) -> PyResult<Payload<'py>> {
        let raw_len = header.raw_len as usize;
        let unpacked = detached(py, envelope.len(), || {
            self.sealer.unpack(header, key, envelope)
        });
        let packed = match unpacked {
            Ok(packed) => packed,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut filled = Ok(());
        let payload = PyBytes::new_with(py, raw_len, |raw| {
            filled = detached(py, raw_len, || packed.fill(raw));
            Ok(())
        })?;
        Ok(filled.map(|()| (*header, payload.into_any())))
    }
}

/// The payload of an envelope that has it as it is.
fn plain_payload<'py>(
    envelope: &Bound<'py, PyBytes>,
    header: &envelope::Header,
) -> PyResult<Bound<'py, PyAny>> {
    let py = envelope.py();
    let range = header.payload();
    if range.len() <= COPIED {
        return Ok(PyBytes::new(py, &envelope.as_bytes()[range]).into_any());
    }
    let view = PyMemoryView::from(envelope.as_any())?;
    let place = PySlice::new(py, range.start as isize, range.end as isize, 1);
    view.get_item(place)
}

fn reason(py: Python<'_>, refused: Refused) -> Bound<'_, PyString> {
    PyString::intern(py, refused.reason())
}

fn refused(why: Unsealable, length: usize, max_raw: u32) -> PyErr {
    match why {
        Unsealable::TooLarge => PyValueError::new_err(format!(
            "a payload of {length} bytes exceeds max_raw={max_raw}"
        )),
        Unsealable::TooManyTags => PyValueError::new_err(format!(
            "a value has at most {} tags",
            envelope::header::MAX_TAGS
        )),
        Unsealable::NoRandomness => PyOSError::new_err("the system has no random bytes"),
    }
}

/// A payload, in one piece or several.
enum Parts<'py> {
    One(Immutable<'py>),
    Many(Vec<Immutable<'py>>),
}

impl<'py> Parts<'py> {
    fn of(payload: &Bound<'py, PyAny>) -> PyResult<Self> {
        match payload.cast_exact::<PyTuple>() {
            Ok(parts) => {
                let parts = parts.iter().map(|part| Immutable::of(&part));
                Ok(Self::Many(parts.collect::<PyResult<_>>()?))
            }
            Err(_) => Ok(Self::One(Immutable::of(payload)?)),
        }
    }

    fn as_slice(&self) -> &[Immutable<'py>] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(parts) => parts,
        }
    }

    fn len(&self) -> usize {
        self.as_slice().iter().map(Immutable::len).sum()
    }

    fn copy_to(&self, py: Python<'_>, mut out: &mut [u8]) -> PyResult<()> {
        for part in self.as_slice() {
            let (place, rest) = out.split_at_mut(part.len());
            part.copy_to(py, place)?;
            out = rest;
        }
        Ok(())
    }

    /// Hands out the payload in one piece, copied if that is not what it is.
    fn with_bytes<T>(&self, py: Python<'_>, run: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
        if let [Immutable::Bytes(bytes)] = self.as_slice() {
            return Ok(run(bytes.as_bytes()));
        }
        let mut copy = vec![0; self.len()];
        self.copy_to(py, &mut copy)?;
        Ok(run(&copy))
    }
}
