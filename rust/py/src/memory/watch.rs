//! Watching the lookups of a live cache: estimates of what another policy or size would hit, and
//! recordings of its keys.
//!
//! Observing runs inside the lock. Full batches of a recording are written outside of it, by the thread
//! whose lookup filled one: it takes the file out of the lock meanwhile, so that two never write.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use overdrive_core::recorder::{Recorder, encode};
use overdrive_core::trace::file::Header;
use overdrive_core::what_if::WhatIf;
use pyo3::Python;

use super::contents::Contents;
use crate::lock::Guarded;

/// Who watches.
#[derive(Default)]
pub struct Watch {
    pub what_if: Option<Box<WhatIf>>,
    pub recording: Option<Box<Recording>>,
}

/// A recording under way.
pub struct Recording {
    recorder: Recorder,
    /// Absent while a thread writes.
    file: Option<File>,
    /// What went wrong; nothing is recorded any more then.
    error: Option<io::Error>,
}

/// What came of a recording.
pub struct Recorded {
    pub requests: u64,
    pub observed: Option<u64>,
    pub lost: u64,
}

impl Recording {
    /// Begins a file.
    pub fn create(path: &Path, recorder: Recorder) -> io::Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(&Header::unfinished(recorder.header().rate).encode())?;
        Ok(Self {
            recorder,
            file: Some(file),
            error: None,
        })
    }

    /// Writes what is left and the numbers of the header.
    pub fn finish(mut self) -> io::Result<Recorded> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let header = self.recorder.header();
        if let Some(mut file) = self.file {
            while let Some(batch) = self.recorder.take_rest() {
                file.write_all(&encode(&batch))?;
            }
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header.encode())?;
            file.sync_all()?;
        }
        Ok(Recorded {
            requests: header.recorded.unwrap_or(0),
            observed: header.observed,
            lost: self.recorder.lost(),
        })
    }

    /// Whether a thread is writing a batch.
    pub fn is_writing(&self) -> bool {
        self.file.is_none() && self.error.is_none()
    }
}

impl Watch {
    /// Whether nobody does.
    pub fn is_idle(&self) -> bool {
        self.what_if.is_none() && self.recording.is_none()
    }

    /// A key of this hash was looked up. `true` if there is a batch to be [written](write).
    #[inline]
    pub fn observe(&mut self, hash: u64, hit: bool) -> bool {
        if let Some(what_if) = &mut self.what_if {
            what_if.observe(hash, hit);
        }
        self.recording
            .as_mut()
            .is_some_and(|recording| recording.error.is_none() && recording.recorder.observe(hash))
    }

    /// A key of this hash was deleted or has expired.
    pub fn forget(&mut self, hash: u64) {
        if let Some(what_if) = &mut self.what_if {
            what_if.forget(hash);
        }
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        let what_if = self.what_if.as_ref().map_or(0, |what_if| what_if.memory());
        let recorder = self
            .recording
            .as_ref()
            .map_or(0, |recording| recording.recorder.memory());
        size_of::<Self>() + what_if + recorder
    }
}

/// Writes the full batches of a recording.
#[cold]
pub fn write(py: Python<'_>, contents: &Guarded<Contents>) {
    let Some(mut file) = contents.with(py, |contents| {
        contents
            .recording_mut()
            .and_then(|recording| recording.file.take())
    }) else {
        return; // another thread is at it
    };
    let mut written = None;
    loop {
        let batch = contents.with(py, |contents| {
            let recording = contents.recording_mut()?;
            if let Some(batch) = written.take() {
                recording.recorder.give_back(batch);
            }
            recording.recorder.take_full()
        });
        let Some(batch) = batch else { break };
        if let Err(error) = file.write_all(&encode(&batch)) {
            contents.with(py, |contents| {
                if let Some(recording) = contents.recording_mut() {
                    recording.error = Some(error);
                }
            });
            return;
        }
        written = Some(batch);
    }
    contents.with(py, |contents| {
        if let Some(recording) = contents.recording_mut() {
            recording.file = Some(file);
        }
    });
}
