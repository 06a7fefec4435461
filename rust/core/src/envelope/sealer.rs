//! Whole envelopes: made, checked and opened.

use std::borrow::Cow;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3Default;

use super::header::{CHECKED, Header, LEN, MAC_LEN, MAX_TAGS};
use super::keyring::{Key, KeyMaterial, NONCE_LEN, TAG_LEN};
use super::packing::{Compression, Usefulness};
use super::{Refused, flag};

/// How a namespace's envelopes are made and what is asked of those that are read.
pub struct Config {
    /// The namespace; the same key in another one is another key.
    pub namespace: Vec<u8>,
    /// The keys that are known.
    pub keys: Vec<KeyMaterial>,
    /// The id of the key to write with; the first of those that have it. Without one, no MAC is made.
    pub write_key: Option<u8>,
    /// Refuse what has no MAC.
    pub require_mac: bool,
    /// Encrypt what is written.
    pub encrypt: bool,
    /// The most bytes that a payload may have, before it is compressed.
    pub max_raw: u32,
    /// How to compress.
    pub compression: Option<Compression>,
    /// The least bytes that a payload has for compression to be tried.
    pub min_compress: usize,
    /// The most of a payload that may be left by compression, from 0 to 1.
    pub keep_below: f64,
}

/// What is said about a value.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The key that the value belongs to.
    pub key: &'a [u8],
    /// [`flag::OF_VALUES`] that are set.
    pub flags: u8,
    /// What wrote the payload.
    pub serializer: u8,
    /// The version of the code that uses the cache.
    pub schema: u32,
    /// Orders the values of the key.
    pub version: u64,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Seconds for which the value is fresh.
    pub soft: f32,
    /// Seconds after which the value is gone.
    pub hard: f32,
    /// How long the value took to make, in tenths of a millisecond.
    pub cost: u32,
    /// When the value's load began. Without it, there are no tags.
    pub epoch: Option<u64>,
    /// The hashes of its tags.
    pub tags: &'a [u64],
}

/// Why an envelope cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealable {
    /// The payload is larger than payloads may be.
    TooLarge,
    /// There are more tags than there is room for.
    TooManyTags,
    /// There are no random numbers.
    NoRandomness,
}

/// An envelope that has its header, and room for the payload.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    header: Header,
}

impl Frame {
    /// The length of the envelope.
    pub fn total(&self) -> usize {
        self.header.total()
    }

    /// Where the payload has to be put.
    pub fn body(&self) -> Range<usize> {
        let payload = self.header.payload();
        if self.header.has(flag::ENCRYPTED) {
            payload.start + NONCE_LEN..payload.end - TAG_LEN
        } else {
            payload
        }
    }
}

/// A payload that has yet to be decompressed, if it is compressed.
pub struct Packed<'a> {
    body: Cow<'a, [u8]>,
    compression: Option<Compression>,
}

impl Packed<'_> {
    /// Fills `raw`, which has the length that the header says.
    pub fn fill(&self, raw: &mut [u8]) -> Result<(), Refused> {
        match self.compression {
            Some(compression) => compression.decompress(&self.body, raw),
            None if raw.len() == self.body.len() => {
                raw.copy_from_slice(&self.body);
                Ok(())
            }
            None => Err(Refused::Length),
        }
    }
}

/// Makes and opens the envelopes of a namespace. Nothing in it changes but what it remembers about
/// compression, so that threads share it.
pub struct Sealer {
    /// As it is covered: with its length in front.
    namespace: Vec<u8>,
    /// Has taken in the namespace.
    checksum: Xxh3Default,
    keys: Vec<Key>,
    writer: Option<usize>,
    require_mac: bool,
    encrypt: bool,
    max_raw: u32,
    compression: Option<Compression>,
    min_compress: usize,
    keep_below: f64,
    usefulness: Usefulness,
}

impl Sealer {
    /// Prepares all that the envelopes of the namespace have in common.
    pub fn new(config: Config) -> Self {
        let mut namespace = (config.namespace.len() as u32).to_le_bytes().to_vec();
        namespace.extend_from_slice(&config.namespace);
        let mut checksum = Xxh3Default::new();
        checksum.update(&namespace);
        let keys: Vec<_> = config
            .keys
            .iter()
            .map(|material| Key::new(material, &namespace))
            .collect();
        let writer = config
            .write_key
            .and_then(|id| keys.iter().position(|key| key.id() == id));
        let encrypt = config.encrypt && writer.is_some_and(|index| keys[index].encrypts());
        Self {
            namespace,
            checksum,
            keys,
            writer,
            require_mac: config.require_mac,
            encrypt,
            max_raw: config.max_raw,
            compression: config.compression,
            min_compress: config.min_compress,
            keep_below: config.keep_below,
            usefulness: Usefulness::default(),
        }
    }

    /// The most bytes that a payload may have.
    pub fn max_raw(&self) -> u32 {
        self.max_raw
    }

    /// Whether compression of a payload of this length would be tried.
    pub fn tries_to_pack(&self, raw_len: usize) -> bool {
        self.compression.is_some()
            && raw_len >= self.min_compress
            && self.usefulness.is_worth_a_try()
    }

    /// The payload compressed, if that is worth it.
    pub fn pack(&self, raw: &[u8]) -> Option<(Compression, Vec<u8>)> {
        let compression = self.compression?;
        let limit = (raw.len() as f64 * self.keep_below) as usize;
        let packed = compression.compress(raw, limit);
        self.usefulness.note(packed.is_some());
        Some((compression, packed?))
    }

    /// The frame for a payload of `raw_len` bytes, of which compression made `packed` ones.
    pub fn frame(
        &self,
        message: &Message<'_>,
        raw_len: usize,
        packed: Option<(Compression, usize)>,
    ) -> Result<Frame, Unsealable> {
        let body = packed.map_or(raw_len, |(_, length)| length);
        let payload = body + if self.encrypt { NONCE_LEN + TAG_LEN } else { 0 };
        let (Ok(raw_len), Ok(payload_len)) = (u32::try_from(raw_len), u32::try_from(payload))
        else {
            return Err(Unsealable::TooLarge);
        };
        if raw_len > self.max_raw {
            return Err(Unsealable::TooLarge);
        }
        if message.tags.len() > MAX_TAGS {
            return Err(Unsealable::TooManyTags);
        }
        let words = match message.epoch {
            Some(_) => 1 + message.tags.len() as u8,
            None => 0,
        };
        let set = |present: bool, flag: u8| if present { flag } else { 0 };
        let key = self.writer.map(|index| &self.keys[index]);
        Ok(Frame {
            header: Header {
                flags: message.flags & flag::OF_VALUES
                    | set(packed.is_some(), flag::COMPRESSED)
                    | set(key.is_some(), flag::MAC)
                    | set(self.encrypt, flag::ENCRYPTED),
                serializer: message.serializer,
                codec: packed.map_or(0, |(compression, _)| compression.codec()),
                key_id: key.map_or(0, Key::id),
                words,
                schema: message.schema,
                raw_len,
                version: message.version,
                created_ms: message.created_ms,
                soft: message.soft,
                hard: message.hard,
                cost: message.cost,
                payload_len,
                checksum: 0,
            },
        })
    }

    /// Completes an envelope of which the payload is in its place.
    ///
    /// # Panics
    /// If `envelope` has not the length of the frame.
    pub fn seal(
        &self,
        frame: &Frame,
        message: &Message<'_>,
        envelope: &mut [u8],
    ) -> Result<(), Unsealable> {
        let mut header = frame.header;
        let payload = header.payload();
        assert_eq!(envelope.len(), header.total());
        envelope[..LEN].copy_from_slice(&header.to_bytes());
        if let Some(epoch) = message.epoch {
            let words = std::iter::once(&epoch).chain(message.tags);
            for (place, word) in envelope[LEN..payload.start].chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        let key = self.writer.map(|index| &self.keys[index]);
        if let (Some(key), true) = (key, header.has(flag::ENCRYPTED)) {
            let associated = self.associated(message.key, &envelope[..payload.start]);
            key.encrypt(&associated, &mut envelope[payload.clone()])
                .ok_or(Unsealable::NoRandomness)?;
        }
        header.checksum = self.checksum(message.key, &envelope[..payload.end]);
        envelope[CHECKED..LEN].copy_from_slice(&header.checksum.to_le_bytes());
        if let Some(key) = key {
            let (signed, mac) = envelope.split_at_mut(payload.end);
            mac.copy_from_slice(&key.sign(message.key, signed));
        }
        Ok(())
    }

    /// Checks an envelope that was found under a key: that it is whole, for this key, authentic if that
    /// is asked for, in its time, and of the schema. [`Self::unpack`] is for what this let through.
    pub fn check(
        &self,
        key: &[u8],
        envelope: &[u8],
        now_ms: u64,
        schema: Option<u32>,
    ) -> Result<Header, Refused> {
        let header = Header::parse(envelope)?;
        if header.total() != envelope.len() {
            return Err(Refused::Length);
        }
        if header.raw_len > self.max_raw {
            return Err(Refused::Bomb);
        }
        if header.has(flag::MAC) {
            self.check_mac(&header, key, envelope)?;
        } else if self.require_mac {
            return Err(Refused::Mac);
        } else if header.checksum != self.checksum(key, &envelope[..header.payload().end]) {
            return Err(Refused::Checksum);
        }
        if header.is_expired(now_ms) {
            return Err(Refused::Expired);
        }
        if schema.is_some_and(|schema| schema != header.schema) {
            return Err(Refused::Schema);
        }
        let length = header.payload_len as usize;
        let body = if header.has(flag::ENCRYPTED) {
            length.checked_sub(NONCE_LEN + TAG_LEN)
        } else {
            Some(length)
        };
        match (header.compression()?, body) {
            (None, body) if body == Some(header.raw_len as usize) => Ok(header),
            (Some(_), Some(_)) => Ok(header),
            _ => Err(Refused::Length),
        }
    }

    fn check_mac(&self, header: &Header, key: &[u8], envelope: &[u8]) -> Result<(), Refused> {
        let (signed, mac) = envelope
            .split_last_chunk::<MAC_LEN>()
            .ok_or(Refused::Length)?;
        let mut known = false;
        for candidate in self.keys_of(header) {
            known = true;
            if candidate.verify(key, signed, mac) {
                return Ok(());
            }
        }
        Err(if known { Refused::Mac } else { Refused::Key })
    }

    fn keys_of(&self, header: &Header) -> impl Iterator<Item = &Key> {
        let id = header.key_id;
        self.keys.iter().filter(move |key| key.id() == id)
    }

    /// Whether the payload has to be unpacked, rather than taken as it is.
    pub fn is_packed(header: &Header) -> bool {
        header.flags & (flag::COMPRESSED | flag::ENCRYPTED) != 0
    }

    /// The payload of an envelope that was checked: decrypted, and not yet decompressed. What cannot
    /// possibly be as long as its header says is refused, so that no room is made for it.
    pub fn unpack<'a>(
        &self,
        header: &Header,
        key: &[u8],
        envelope: &'a [u8],
    ) -> Result<Packed<'a>, Refused> {
        let payload = &envelope[header.payload()];
        let body = if header.has(flag::ENCRYPTED) {
            let associated = self.associated(key, &envelope[..header.payload().start]);
            Cow::Owned(self.decrypt(header, &associated, payload)?)
        } else {
            Cow::Borrowed(payload)
        };
        let compression = header.compression()?;
        let raw_len = header.raw_len as usize;
        if compression.is_some_and(|packed| !packed.is_plausible(&body, raw_len)) {
            return Err(Refused::Bomb);
        }
        Ok(Packed { body, compression })
    }

    fn decrypt(
        &self,
        header: &Header,
        associated: &[u8],
        payload: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let mut refused = Refused::Key;
        for candidate in self.keys_of(header).filter(|key| key.encrypts()) {
            refused = Refused::Mac;
            let mut text = payload.to_vec();
            if candidate.decrypt(associated, &mut text).is_some() {
                text.truncate(text.len() - TAG_LEN);
                text.drain(..NONCE_LEN);
                return Ok(text);
            }
        }
        Err(refused)
    }

    /// An envelope from a payload.
    pub fn seal_payload(&self, message: &Message<'_>, raw: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let packed = if self.tries_to_pack(raw.len()) {
            self.pack(raw)
        } else {
            None
        };
        let (body, compressed) = match &packed {
            Some((compression, body)) => (&body[..], Some((*compression, body.len()))),
            None => (raw, None),
        };
        let frame = self.frame(message, raw.len(), compressed)?;
        let mut envelope = vec![0; frame.total()];
        envelope[frame.body()].copy_from_slice(body);
        self.seal(&frame, message, &mut envelope)?;
        Ok(envelope)
    }

    /// The header and the payload of an envelope.
    pub fn open(
        &self,
        key: &[u8],
        envelope: &[u8],
        now_ms: u64,
        schema: Option<u32>,
    ) -> Result<(Header, Vec<u8>), Refused> {
        let header = self.check(key, envelope, now_ms, schema)?;
        let packed = self.unpack(&header, key, envelope)?;
        let mut raw = vec![0; header.raw_len as usize];
        packed.fill(&mut raw)?;
        Ok((header, raw))
    }

    /// XXH3-64 over the namespace, the key, the header without the checksum, and what follows it.
    fn checksum(&self, key: &[u8], envelope: &[u8]) -> u64 {
        let mut checksum = self.checksum.clone();
        checksum.update(&(key.len() as u32).to_le_bytes());
        checksum.update(key);
        checksum.update(&envelope[..CHECKED]);
        checksum.update(&envelope[LEN..]);
        checksum.digest()
    }

    /// What is not encrypted, but authentic if the payload is. The checksum is not known yet.
    fn associated(&self, key: &[u8], front: &[u8]) -> Vec<u8> {
        let length = (key.len() as u32).to_le_bytes();
        let (header, extension) = (&front[..CHECKED], &front[LEN..]);
        [&self.namespace, &length[..], key, header, extension].concat()
    }
}
