//! The file that a live cache records: a header, then eight bytes a request, little end first.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..12 | the version, 1 |
//! | 12..16 | 0 |
//! | 16..24 | the share of keys recorded, a 64-bit float |
//! | 24..32 | how many requests were made, recorded or not |
//! | 32..40 | how many were recorded |
//!
//! The two numbers are [`UNFINISHED`] until the recording ends. Whatever follows the header is read
//! up to the last whole request, so a file that was cut off, or is still written, is of use.

use std::fmt;

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"\x89ODTRACE";
/// The version written, and the newest that is read.
pub const VERSION: u32 = 1;
/// The length of the header in bytes.
pub const HEADER: usize = 40;
/// In place of a number that is not known yet.
pub const UNFINISHED: u64 = u64::MAX;

/// What a recording says about itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// The share of keys recorded.
    pub rate: f64,
    /// How many requests were made, recorded or not.
    pub observed: Option<u64>,
    /// How many were recorded.
    pub recorded: Option<u64>,
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq)]
pub enum Foreign {
    /// It ends within the header, after so many bytes.
    Short(usize),
    /// It begins with something else.
    Magic,
    /// A newer version.
    Version(u32),
    /// The rate is not one.
    Rate(f64),
    /// It goes on after the requests that it says it has.
    Long {
        /// How many requests the header announces.
        announced: u64,
    },
}

impl fmt::Display for Foreign {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Short(bytes) => {
                write!(
                    to,
                    "a recording begins with {HEADER} bytes of header, {bytes} are there"
                )
            }
            Foreign::Magic => to.write_str("is not a recording of a cache"),
            Foreign::Version(version) => {
                write!(
                    to,
                    "is a recording of version {version}, the newest that can be read is {VERSION}"
                )
            }
            Foreign::Rate(rate) => write!(to, "is damaged: its rate is {rate}"),
            Foreign::Long { announced } => {
                write!(
                    to,
                    "is damaged: it goes on after the {announced} requests that it announces"
                )
            }
        }
    }
}

impl Header {
    /// The header of a recording that begins.
    pub const fn unfinished(rate: f64) -> Self {
        Self {
            rate,
            observed: None,
            recorded: None,
        }
    }

    /// The bytes of the header.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.rate.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.observed.unwrap_or(UNFINISHED).to_le_bytes());
        bytes[32..40].copy_from_slice(&self.recorded.unwrap_or(UNFINISHED).to_le_bytes());
        bytes
    }

    /// The header in these bytes.
    pub fn decode(bytes: &[u8; HEADER]) -> Result<Self, Foreign> {
        if bytes[..8] != MAGIC {
            return Err(Foreign::Magic);
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let version = word(8) as u32;
        if version != VERSION {
            return Err(Foreign::Version(version));
        }
        let rate = f64::from_bits(word(16));
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(Foreign::Rate(rate));
        }
        let known = |number| (number != UNFINISHED).then_some(number);
        Ok(Self {
            rate,
            observed: known(word(24)),
            recorded: known(word(32)),
        })
    }
}

/// Takes a recording in pieces.
#[derive(Debug, Default)]
pub struct Recording {
    rest: Vec<u8>,
    header: Option<Header>,
    recorded: u64,
}

impl Recording {
    /// Takes a piece, and gives every request that is complete to `each`.
    pub fn feed<E: From<Foreign>>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rest.extend_from_slice(piece);
        let header = match self.header {
            Some(header) => header,
            None => {
                let wrong = self
                    .rest
                    .iter()
                    .zip(&MAGIC)
                    .any(|(found, expected)| found != expected);
                if wrong {
                    return Err(Foreign::Magic.into());
                }
                let Some((head, tail)) = self.rest.split_first_chunk() else {
                    return Ok(());
                };
                let header = Header::decode(head)?;
                self.rest = tail.to_vec();
                *self.header.insert(header)
            }
        };
        let (requests, rest) = self.rest.as_chunks::<8>();
        let announced = header.recorded.unwrap_or(UNFINISHED);
        for &request in requests {
            if self.recorded == announced {
                return Err(Foreign::Long { announced }.into());
            }
            each(u64::from_le_bytes(request))?;
            self.recorded += 1;
        }
        self.rest = rest.to_vec();
        Ok(())
    }

    /// What the recording said about itself, and whether it is whole; after the last piece.
    pub fn finish(&self) -> Result<(Header, bool), Foreign> {
        let header = self.header.ok_or(Foreign::Short(self.rest.len()))?;
        Ok((
            header,
            header.recorded == Some(self.recorded) && self.rest.is_empty(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Header = Header {
        rate: 0.25,
        observed: Some(12),
        recorded: Some(3),
    };

    fn file(header: &Header, requests: &[u64]) -> Vec<u8> {
        let requests = requests.iter().flat_map(|request| request.to_le_bytes());
        header.encode().into_iter().chain(requests).collect()
    }

    fn read(pieces: &[&[u8]]) -> Result<(Vec<u64>, Header, bool), Foreign> {
        let mut found = Vec::new();
        let mut recording = Recording::default();
        for piece in pieces {
            recording.feed::<Foreign>(piece, |request| {
                found.push(request);
                Ok(())
            })?;
        }
        let (header, whole) = recording.finish()?;
        Ok((found, header, whole))
    }

    #[test]
    fn pieces_end_anywhere() {
        let bytes = file(&WHOLE, &[7, u64::MAX, 7]);
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(
                read(&[head, tail]),
                Ok((vec![7, u64::MAX, 7], WHOLE, true)),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_file_that_was_cut_off_gives_what_is_whole() {
        let bytes = file(&WHOLE, &[7, 8, 9]);
        for end in HEADER..bytes.len() {
            let (found, header, whole) = read(&[&bytes[..end]]).expect("readable");
            assert_eq!(found, [7, 8, 9][..(end - HEADER) / 8]);
            assert_eq!((header, whole), (WHOLE, false));
        }
        for end in 0..HEADER {
            assert_eq!(read(&[&bytes[..end]]), Err(Foreign::Short(end)));
        }
    }

    #[test]
    fn a_recording_that_goes_on_is_read_so_far() {
        let bytes = file(&Header::unfinished(1.0), &[7, 8]);
        assert_eq!(
            read(&[&bytes]),
            Ok((vec![7, 8], Header::unfinished(1.0), false))
        );
    }

    #[test]
    fn what_is_not_a_recording_is_refused() {
        let bytes = file(&WHOLE, &[7, 8, 9]);
        let with = |at: usize, value: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + value.len()].copy_from_slice(value);
            bytes
        };
        assert_eq!(read(&[b"key\nalice\n"]), Err(Foreign::Magic));
        assert_eq!(read(&[&with(8, &[2])]), Err(Foreign::Version(2)));
        assert_eq!(
            read(&[&with(16, &2.0_f64.to_le_bytes())]),
            Err(Foreign::Rate(2.0))
        );
        assert_eq!(
            read(&[&with(32, &[2])]),
            Err(Foreign::Long { announced: 2 })
        );
    }
}
