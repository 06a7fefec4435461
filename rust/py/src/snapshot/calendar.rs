//! Dates, times and time zones.

use std::ffi::CStr;

use overdrive_core::snapshot::wire::{put_varint, unzigzag, zigzag};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{
    PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyString, PyTime, PyTimeAccess,
    PyTuple, PyTzInfo, PyTzInfoAccess,
};

use super::decode::{Decoded, Decoder, Failure, refused};
use super::encode::{Encoder, Refusal, Written};
use super::{errors, tag};
use crate::import::Imported;
use crate::number::shown;

static TIMEZONE: Imported = Imported::new("datetime", "timezone");
static ZONEINFO: Imported = Imported::new("zoneinfo", "ZoneInfo");

const NO_DATE: &str = "a date or time is none";

/// The name that CPython keeps of a type's class: with the module for those made in C.
pub fn type_name<'a>(value: &'a Bound<'_, PyAny>) -> &'a [u8] {
    // SAFETY: every type has a name, which lives as long as the type.
    unsafe { CStr::from_ptr((*pyo3::ffi::Py_TYPE(value.as_ptr())).tp_name) }.to_bytes()
}

/// Appends the value if it is one of this module's, and says so. Modules are imported only for values
/// whose class has the right name.
pub fn encode(encoder: &mut Encoder, value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
    match type_name(value).rsplit(|byte| *byte == b'.').next() {
        Some(b"datetime") => {
            let Ok(moment) = value.cast_exact::<PyDateTime>() else {
                return Ok(false);
            };
            encoder.out.push(tag::DATETIME);
            date(encoder, moment);
            time(encoder, moment, moment.get_tzinfo())?;
        }
        Some(b"date") => {
            let Ok(day) = value.cast_exact::<PyDate>() else {
                return Ok(false);
            };
            encoder.out.push(tag::DATE);
            date(encoder, day);
        }
        Some(b"time") => {
            let Ok(clock) = value.cast_exact::<PyTime>() else {
                return Ok(false);
            };
            encoder.out.push(tag::TIME);
            time(encoder, clock, clock.get_tzinfo())?;
        }
        Some(b"timedelta") => {
            let Ok(delta) = value.cast_exact::<PyDelta>() else {
                return Ok(false);
            };
            encoder.out.push(tag::TIMEDELTA);
            put_varint(&mut encoder.out, zigzag(delta.get_days().into()));
            put_varint(&mut encoder.out, delta.get_seconds() as u64);
            put_varint(&mut encoder.out, delta.get_microseconds() as u64);
        }
        Some(b"timezone") if value.get_type().is(&TIMEZONE.get(value.py())?) => {
            let arguments = value.call_method0("__getinitargs__")?;
            let arguments = arguments.cast::<PyTuple>().map_err(PyErr::from)?;
            encoder.out.push(tag::TIMEZONE);
            encoder.value(&arguments.get_item(0)?)?;
            match arguments.len() {
                1 => encoder.tag(tag::NONE)?,
                _ => encoder.value(&arguments.get_item(1)?)?,
            }
        }
        Some(b"ZoneInfo") if value.get_type().is(&ZONEINFO.get(value.py())?) => {
            // One that was read from a file has no key, and there is no telling what it was.
            let key = value.getattr("key")?;
            let Ok(key) = key.cast_exact::<PyString>() else {
                return Err(Refusal::named("a ZoneInfo without a key".to_owned()));
            };
            encoder.out.push(tag::ZONEINFO);
            encoder.text(key)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn date(encoder: &mut Encoder, day: &impl PyDateAccess) {
    encoder.out.extend((day.get_year() as u16).to_le_bytes());
    encoder.out.extend([day.get_month(), day.get_day()]);
}

fn time(
    encoder: &mut Encoder,
    clock: &impl PyTimeAccess,
    zone: Option<Bound<'_, PyTzInfo>>,
) -> Written {
    encoder.out.extend([
        clock.get_hour(),
        clock.get_minute(),
        clock.get_second(),
        clock.get_fold().into(),
    ]);
    encoder.out.extend(clock.get_microsecond().to_le_bytes());
    let Some(zone) = zone else {
        return encoder.tag(tag::NONE);
    };
    // Only what can be a time zone again; `value` would take any value.
    match encode(encoder, zone.as_any()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::of_type(zone.as_any())),
        Err(refusal) => Err(refusal),
    }
    .map_err(|refusal| refusal.inside(|| "its tzinfo".to_owned()))
}

/// Reads what [`encode`] wrote after this tag.
pub fn decode<'py>(decoder: &mut Decoder<'_, 'py>, tag: u8) -> Decoded<Bound<'py, PyAny>> {
    let py = decoder.py;
    let malformed = |error| refused(py, error, NO_DATE);
    match tag {
        tag::DATE => {
            let (year, month, day) = read_date(decoder)?;
            let date = PyDate::new(py, year, month, day).map_err(malformed)?;
            Ok(date.into_any())
        }
        tag::TIME => {
            let ([hour, minute, second], fold, microsecond, zone) = read_time(decoder)?;
            let zone = zone.as_ref();
            let time = PyTime::new_with_fold(py, hour, minute, second, microsecond, zone, fold);
            Ok(time.map_err(malformed)?.into_any())
        }
        tag::DATETIME => {
            let (year, month, day) = read_date(decoder)?;
            let ([hour, minute, second], fold, microsecond, zone) = read_time(decoder)?;
            let moment = PyDateTime::new_with_fold(
                py,
                year,
                month,
                day,
                hour,
                minute,
                second,
                microsecond,
                zone.as_ref(),
                fold,
            );
            Ok(moment.map_err(malformed)?.into_any())
        }
        tag::TIMEDELTA => {
            let none = Failure::Malformed(NO_DATE);
            let days = i32::try_from(unzigzag(decoder.bytes.varint()?)).map_err(|_| none)?;
            let seconds = decoder.bytes.varint()?;
            let microseconds = decoder.bytes.varint()?;
            if seconds >= 86_400 || microseconds >= 1_000_000 {
                return Err(Failure::Malformed(NO_DATE));
            }
            let delta = PyDelta::new(py, days, seconds as i32, microseconds as i32, false);
            Ok(delta.map_err(malformed)?.into_any())
        }
        tag::TIMEZONE => {
            let (offset, name) = (decoder.value()?, decoder.value()?);
            let class = TIMEZONE.get(py)?;
            let zone = if name.is_none() {
                class.call1((offset,))
            } else {
                class.call1((offset, name))
            };
            zone.map_err(malformed)
        }
        _ => {
            let key = decoder.value()?;
            ZONEINFO.get(py)?.call1((&key,)).map_err(|error| {
                if !error.is_instance_of::<PyKeyError>(py) {
                    return malformed(error);
                }
                let message = format!(
                    "a value has the time zone {}, which is not known here",
                    shown(&key)
                );
                let unknown = errors::general(py, message);
                unknown.set_cause(py, Some(error));
                Failure::Raised(unknown)
            })
        }
    }
}

fn read_date(decoder: &mut Decoder<'_, '_>) -> Decoded<(i32, u8, u8)> {
    let year = u16::from_le_bytes(decoder.bytes.array()?);
    let [month, day] = decoder.bytes.array()?;
    Ok((year.into(), month, day))
}

type Time<'py> = ([u8; 3], bool, u32, Option<Bound<'py, PyTzInfo>>);

fn read_time<'py>(decoder: &mut Decoder<'_, 'py>) -> Decoded<Time<'py>> {
    let [hour, minute, second, fold] = decoder.bytes.array()?;
    let microsecond = u32::from_le_bytes(decoder.bytes.array()?);
    if fold > 1 || microsecond >= 1_000_000 {
        return Err(Failure::Malformed(NO_DATE));
    }
    let zone = decoder.value()?;
    let zone = if zone.is_none() {
        None
    } else {
        let zone = zone.cast_into::<PyTzInfo>();
        Some(zone.map_err(|_| Failure::Malformed("a time zone is none"))?)
    };
    Ok(([hour, minute, second], fold == 1, microsecond, zone))
}
