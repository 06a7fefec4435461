//! Writing the frame.

use std::io::{self, Seek, SeekFrom, Write};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::{BLOCK, FOOTER, FOOTER_LEN, HEADER_LEN, MAGIC, VERSION};

/// Writes a snapshot, block by block. One that is not finished is no snapshot.
pub struct Writer<W> {
    output: W,
    metadata: Vec<u8>,
    written: u64,
    blocks: u64,
    records: u64,
    /// Over the frames of all blocks.
    frames: Xxh3Default,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a snapshot at the start of an empty output; the header is left blank.
    ///
    /// # Errors
    /// Those of the output; `InvalidInput` for metadata of 4 GiB or more.
    pub fn new(mut output: W, metadata: Vec<u8>) -> io::Result<Self> {
        u32::try_from(metadata.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let blank = HEADER_LEN + metadata.len() + super::DIGEST_LEN;
        output.write_all(&vec![0; blank])?;
        Ok(Self {
            output,
            metadata,
            written: blank as u64,
            blocks: 0,
            records: 0,
            frames: Xxh3Default::new(),
        })
    }

    /// Appends a block of this many records.
    ///
    /// # Errors
    /// Those of the output.
    pub fn block(&mut self, payload: &[u8], records: u32) -> io::Result<()> {
        let mut frame = Vec::with_capacity(super::BLOCK_LEN);
        frame.extend(BLOCK);
        frame.extend(records.to_le_bytes());
        frame.extend((payload.len() as u64).to_le_bytes());
        let mut digest = Xxh3Default::new();
        digest.update(&frame);
        digest.update(payload);
        let digest = digest.digest().to_le_bytes();
        self.frames.update(&frame);
        self.frames.update(&digest);
        self.output.write_all(&frame)?;
        self.output.write_all(payload)?;
        self.output.write_all(&digest)?;
        self.written += (frame.len() + payload.len() + digest.len()) as u64;
        self.blocks += 1;
        self.records += u64::from(records);
        Ok(())
    }

    /// Appends the footer and fills in the header: now it is a snapshot. Returns the output and its
    /// length in bytes. `created` is in seconds since 1970; `flags` is whatever the reader needs.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self, flags: u16, created: f64) -> io::Result<(W, u64)> {
        let mut header = Vec::with_capacity(HEADER_LEN + self.metadata.len());
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend(flags.to_le_bytes());
        header.extend((self.metadata.len() as u32).to_le_bytes());
        header.extend(created.to_le_bytes());
        header.extend(self.records.to_le_bytes());
        header.extend(&self.metadata);
        let header_digest = xxh3_64(&header).to_le_bytes();

        let length = self.written + (FOOTER_LEN + super::DIGEST_LEN) as u64;
        let mut footer = Vec::with_capacity(FOOTER_LEN);
        footer.extend(FOOTER);
        footer.extend(self.blocks.to_le_bytes());
        footer.extend(self.records.to_le_bytes());
        footer.extend(length.to_le_bytes());
        self.frames.update(&header_digest);
        self.frames.update(&footer);
        self.output.write_all(&footer)?;
        self.output.write_all(&self.frames.digest().to_le_bytes())?;

        self.output.seek(SeekFrom::Start(0))?;
        self.output.write_all(&header)?;
        self.output.write_all(&header_digest)?;
        self.output.flush()?;
        Ok((self.output, length))
    }
}
