//! Reading the frame.

use std::io::{self, Read, Seek, SeekFrom};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::wire::{Bytes, Malformed};
use super::{BLOCK, BLOCK_LEN, DIGEST_LEN, FOOTER, FOOTER_LEN, Fault, HEADER_LEN, MAGIC, VERSION};

const END: &str = "the file ends early";
const NUMBER: &str = "a number is malformed";

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// As given to the writer.
    pub flags: u16,
    /// Seconds since 1970.
    pub created: f64,
    /// How many records there are in all blocks.
    pub records: u64,
    /// As given to the writer.
    pub metadata: Vec<u8>,
}

/// Reads a snapshot, block by block.
pub struct Reader<R> {
    input: R,
    length: u64,
    header: Header,
    header_digest: [u8; DIGEST_LEN],
    /// Where the first block is.
    start: u64,
    offset: u64,
    blocks: u64,
    records: u64,
    frames: Xxh3Default,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the header. `length` is that of the input.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn new(mut input: R, length: u64) -> Result<Self, Fault> {
        let damaged = |what| Fault::Damaged { offset: 0, what };
        let mut magic = [0; MAGIC.len()];
        let found = usize::try_from(length).map_or(magic.len(), |length| length.min(magic.len()));
        fill(&mut input, &mut magic[..found], 0)?;
        if found == 0 || magic[..found] != MAGIC[..found] {
            return Err(Fault::Foreign);
        }
        if length < (HEADER_LEN + DIGEST_LEN) as u64 {
            return Err(damaged(END));
        }
        let mut bytes = magic.to_vec();
        bytes.resize(HEADER_LEN, 0);
        fill(&mut input, &mut bytes[MAGIC.len()..], 0)?;
        let mut fields = Bytes::new(&bytes[MAGIC.len()..]);
        let malformed = |Malformed| damaged(NUMBER);
        let version = u16::from_le_bytes(fields.array().map_err(malformed)?);
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let flags = u16::from_le_bytes(fields.array().map_err(malformed)?);
        let size = u32::from_le_bytes(fields.array().map_err(malformed)?);
        let created = fields.float().map_err(malformed)?;
        let records = u64::from_le_bytes(fields.array().map_err(malformed)?);
        let start = HEADER_LEN as u64 + u64::from(size) + DIGEST_LEN as u64;
        if start > length {
            return Err(damaged(END));
        }
        grow(&mut bytes, HEADER_LEN, size.into())?;
        fill(&mut input, &mut bytes[HEADER_LEN..], 0)?;
        let mut header_digest = [0; DIGEST_LEN];
        fill(&mut input, &mut header_digest, 0)?;
        if xxh3_64(&bytes).to_le_bytes() != header_digest {
            return Err(damaged("the checksum of the header does not match"));
        }
        Ok(Self {
            input,
            length,
            header: Header {
                flags,
                created,
                records,
                metadata: bytes.split_off(HEADER_LEN),
            },
            header_digest,
            start,
            offset: start,
            blocks: 0,
            records: 0,
            frames: Xxh3Default::new(),
        })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where the next block begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads everything once, to see whether it is all there, and goes back to the first block.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn verify(&mut self) -> Result<(), Fault> {
        let mut buffer = Vec::new();
        while self.next_block(&mut buffer)?.is_some() {}
        self.input.seek(SeekFrom::Start(self.start))?;
        self.offset = self.start;
        self.blocks = 0;
        self.records = 0;
        self.frames.reset();
        Ok(())
    }

    /// Reads the next block into `buffer`, replacing what is there, and returns how many records it
    /// has; `None` at the end, when the whole file has been found to be sound.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn next_block(&mut self, buffer: &mut Vec<u8>) -> Result<Option<u32>, Fault> {
        let left = self.length - self.offset;
        if left < (BLOCK_LEN + DIGEST_LEN) as u64 {
            return Err(self.damaged(END));
        }
        let mut frame = [0; BLOCK_LEN];
        fill(&mut self.input, &mut frame, self.offset)?;
        let mut fields = Bytes::new(&frame);
        let marker: [u8; 4] = fields.array().map_err(|Malformed| self.damaged(NUMBER))?;
        match marker {
            BLOCK => self.rest_of_block(frame, left, buffer).map(Some),
            FOOTER => self.footer(&frame, left).map(|()| None),
            _ => Err(self.damaged("there is neither a block nor the end")),
        }
    }

    fn rest_of_block(
        &mut self,
        frame: [u8; BLOCK_LEN],
        left: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<u32, Fault> {
        let mut fields = Bytes::new(&frame[BLOCK.len()..]);
        let malformed = |Malformed| Fault::Damaged {
            offset: self.offset,
            what: NUMBER,
        };
        let records = u32::from_le_bytes(fields.array().map_err(malformed)?);
        let size = u64::from_le_bytes(fields.array().map_err(malformed)?);
        let room = left - (BLOCK_LEN + DIGEST_LEN) as u64;
        if size > room {
            return Err(self.damaged("a block is longer than the file"));
        }
        buffer.clear();
        grow(buffer, 0, size)?;
        fill(&mut self.input, buffer, self.offset)?;
        let mut written = [0; DIGEST_LEN];
        fill(&mut self.input, &mut written, self.offset)?;
        let mut digest = Xxh3Default::new();
        digest.update(&frame);
        digest.update(buffer);
        if digest.digest().to_le_bytes() != written {
            return Err(self.damaged("the checksum of a block does not match"));
        }
        self.frames.update(&frame);
        self.frames.update(&written);
        self.blocks += 1;
        self.records = self.records.saturating_add(records.into());
        self.offset += size + (BLOCK_LEN + DIGEST_LEN) as u64;
        Ok(records)
    }

    fn footer(&mut self, begin: &[u8; BLOCK_LEN], left: u64) -> Result<(), Fault> {
        if left != (FOOTER_LEN + DIGEST_LEN) as u64 {
            return Err(self.damaged("the end is not where the file ends"));
        }
        let mut footer = [0; FOOTER_LEN];
        footer[..BLOCK_LEN].copy_from_slice(begin);
        fill(&mut self.input, &mut footer[BLOCK_LEN..], self.offset)?;
        let mut written = [0; DIGEST_LEN];
        fill(&mut self.input, &mut written, self.offset)?;
        let mut expected = FOOTER.to_vec();
        expected.extend(self.blocks.to_le_bytes());
        expected.extend(self.records.to_le_bytes());
        expected.extend(self.length.to_le_bytes());
        if footer != expected[..] || self.records != self.header.records {
            return Err(self.damaged("blocks are missing"));
        }
        self.frames.update(&self.header_digest);
        self.frames.update(&footer);
        if self.frames.digest().to_le_bytes() != written {
            return Err(self.damaged("the checksum of the whole does not match"));
        }
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> Fault {
        Fault::Damaged {
            offset: self.offset,
            what,
        }
    }
}

/// Appends `size` zeros to the first `kept` bytes; the caller has compared `size` with the file.
fn grow(buffer: &mut Vec<u8>, kept: usize, size: u64) -> Result<(), Fault> {
    let bytes = usize::try_from(size).map_err(|_| Fault::Memory(size))?;
    buffer
        .try_reserve_exact(bytes)
        .map_err(|_| Fault::Memory(size))?;
    buffer.resize(kept + bytes, 0);
    Ok(())
}

/// Fills `buffer`. A file that got shorter since its length was asked for is damaged.
fn fill(input: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
    input.read_exact(buffer).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Fault::Damaged { offset, what: END }
        } else {
            Fault::Io(error)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::Writer;

    type Blocks = Vec<(Vec<u8>, u32)>;

    fn write(metadata: &[u8], blocks: &Blocks) -> Vec<u8> {
        let mut writer =
            Writer::new(Cursor::new(Vec::new()), metadata.to_vec()).expect("memory does not fail");
        for (payload, records) in blocks {
            writer
                .block(payload, *records)
                .expect("memory does not fail");
        }
        let (output, length) = writer.finish(3, 12.5).expect("memory does not fail");
        assert_eq!(output.get_ref().len() as u64, length);
        output.into_inner()
    }

    fn read(bytes: &[u8]) -> Result<(Header, Blocks), Fault> {
        let mut reader = Reader::new(Cursor::new(bytes), bytes.len() as u64)?;
        reader.verify()?;
        let mut blocks = Blocks::new();
        let mut buffer = Vec::new();
        while let Some(records) = reader.next_block(&mut buffer)? {
            blocks.push((buffer.clone(), records));
        }
        Ok((reader.header().clone(), blocks))
    }

    fn some_blocks() -> impl Strategy<Value = Blocks> {
        let payload = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec((payload, any::<u32>()), 0..5)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            metadata in proptest::collection::vec(any::<u8>(), 0..40),
            blocks in some_blocks(),
        ) {
            let (header, read) = read(&write(&metadata, &blocks)).expect("memory does not fail");
            prop_assert_eq!((header.flags, header.created), (3, 12.5));
            prop_assert_eq!(header.metadata, metadata);
            prop_assert_eq!(header.records, blocks.iter().map(|block| u64::from(block.1)).sum::<u64>());
            prop_assert_eq!(read, blocks);
        }

        #[test]
        fn a_file_that_was_cut_is_refused(blocks in some_blocks(), at in any::<prop::sample::Index>()) {
            let whole = write(b"meta", &blocks);
            prop_assert!(read(&whole[..at.index(whole.len())]).is_err());
        }

        #[test]
        fn a_changed_byte_is_noticed(
            blocks in some_blocks(), at in any::<prop::sample::Index>(), change in 1_u8..,
        ) {
            let mut bytes = write(b"meta", &blocks);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn garbage_is_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), seemly in any::<bool>()) {
            if seemly && bytes.len() > 10 {
                bytes[..8].copy_from_slice(&MAGIC);
                bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
            }
            prop_assert!(read(&bytes).is_err());
        }
    }

    #[test]
    fn every_bit_counts() {
        let bytes = write(
            b"meta",
            &vec![(b"first".to_vec(), 2), (b"second".to_vec(), 1)],
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn blocks_may_not_change_places_nor_something_follow() {
        let (first, second) = ((b"first".to_vec(), 1), (b"other".to_vec(), 1));
        let bytes = write(b"", &vec![first.clone(), second.clone()]);
        let start = HEADER_LEN + DIGEST_LEN;
        let size = BLOCK_LEN + 5 + DIGEST_LEN;
        let mut swapped = bytes.clone();
        swapped[start..start + size].copy_from_slice(&bytes[start + size..start + 2 * size]);
        swapped[start + size..start + 2 * size].copy_from_slice(&bytes[start..start + size]);
        assert!(matches!(read(&swapped), Err(Fault::Damaged { .. })));
        let mut longer = bytes;
        longer.push(0);
        assert!(matches!(read(&longer), Err(Fault::Damaged { .. })));
    }

    #[test]
    fn other_files_and_versions_are_told_apart_from_damage() {
        assert!(matches!(read(b""), Err(Fault::Foreign)));
        assert!(matches!(
            read(b"\x1f\x8b\x08 a gzip file"),
            Err(Fault::Foreign)
        ));
        assert!(matches!(read(&MAGIC[..5]), Err(Fault::Damaged { .. })));
        let mut bytes = write(b"", &Blocks::new());
        bytes[8] = 2;
        assert!(matches!(read(&bytes), Err(Fault::Version(2))));
    }

    #[test]
    fn an_unfinished_file_is_no_snapshot() {
        let mut output = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut output, b"meta".to_vec()).expect("memory does not fail");
        writer.block(b"payload", 1).expect("memory does not fail");
        drop(writer);
        assert!(matches!(read(output.get_ref()), Err(Fault::Foreign)));
    }
}
