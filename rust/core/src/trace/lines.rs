//! Lines out of text that arrives in pieces.

use std::fmt;

/// The longest line, in bytes: what is longer is not a key but a file of another kind.
pub const MAX_LINE: usize = 1 << 16;

/// Why text is refused; `line` counts from 1.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than [`MAX_LINE`].
    Long {
        /// Which line.
        line: u64,
    },
    /// Not UTF-8.
    Encoding {
        /// Which line.
        line: u64,
        /// What it holds, as far as that can be shown.
        text: String,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Long { line } => {
                write!(
                    to,
                    "line {line} is longer than the limit of {MAX_LINE} bytes"
                )
            }
            Malformed::Encoding { line, text } => {
                write!(to, "line {line} is not UTF-8 text: {text:?}")
            }
        }
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for std::io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, malformed)
    }
}

/// Cuts text into lines, whatever the pieces in which it arrives.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
    line: u64,
}

impl Lines {
    /// Takes a piece of text, and gives every line that is complete, without its end, to `each`
    /// together with its number. Line ends are `\n` or `\r\n`; a byte order mark is skipped.
    pub fn feed<E: From<Malformed>>(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(u64, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            let (head, tail) = piece.split_at(end);
            piece = &tail[1..];
            if self.rest.is_empty() {
                self.line += 1;
                each(self.line, checked(self.line, head)?)?;
            } else {
                self.keep(head)?;
                let rest = std::mem::take(&mut self.rest);
                self.line += 1;
                each(self.line, checked(self.line, &rest)?)?;
            }
        }
        Ok(self.keep(piece)?)
    }

    /// The last line, if the text did not end with a line end.
    pub fn finish<E: From<Malformed>>(
        &mut self,
        mut each: impl FnMut(u64, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return Ok(());
        }
        self.line += 1;
        each(self.line, checked(self.line, &rest)?)
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        if self.rest.len() + piece.len() > MAX_LINE {
            return Err(Malformed::Long {
                line: self.line + 1,
            });
        }
        self.rest.extend_from_slice(piece);
        Ok(())
    }
}

fn checked(line: u64, bytes: &[u8]) -> Result<&str, Malformed> {
    if bytes.len() > MAX_LINE {
        return Err(Malformed::Long { line });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Encoding {
        line,
        text: String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned(),
    })?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(if line == 1 {
        text.strip_prefix('\u{feff}').unwrap_or(text)
    } else {
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Result<Vec<(u64, String)>, Malformed> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut each = |line, text: &str| {
            found.push((line, text.to_owned()));
            Ok(())
        };
        for piece in pieces {
            lines.feed(piece, &mut each)?;
        }
        lines.finish::<Malformed>(each)?;
        Ok(found)
    }

    #[test]
    fn pieces_end_anywhere() {
        let text = "\u{feff}one\r\ntwo\n\nv\u{e4}r".as_bytes();
        let expected = [(1, "one"), (2, "two"), (3, ""), (4, "v\u{e4}r")];
        let expected: Vec<_> = expected.map(|(line, text)| (line, text.to_owned())).into();
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(lines(&[head, tail]).as_ref(), Ok(&expected), "cut at {cut}");
        }
    }

    #[test]
    fn other_encodings_are_refused_with_the_line() {
        let refused = lines(&[b"one\ntw\xffo\n"]).expect_err("not UTF-8");
        assert_eq!(
            refused.to_string(),
            "line 2 is not UTF-8 text: \"tw\u{fffd}o\""
        );
    }

    #[test]
    fn long_lines_are_refused_before_they_fill_the_memory() {
        let piece = vec![b'x'; MAX_LINE / 2 + 1];
        assert_eq!(
            lines(&[b"one\n", &piece, &piece]),
            Err(Malformed::Long { line: 2 })
        );
        let whole = [piece.clone(), piece, vec![b'\n']].concat();
        assert_eq!(lines(&[&whole]), Err(Malformed::Long { line: 1 }));
    }
}
