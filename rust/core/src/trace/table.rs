//! One column out of comma-separated values (RFC 4180), line by line.
//!
//! A quoted field may hold the delimiter, and quotes doubled; it may not hold a line end.

use std::borrow::Cow;
use std::fmt;

/// Which column holds the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The one of this name; the first line has the names.
    Named(String),
    /// The one at this place, from 0; the first line is data as the others are.
    At(usize),
    /// One that is called `key`, or else the only one.
    Guessed,
}

/// The columns of a file, known once its first line was read.
#[derive(Debug)]
pub struct Table {
    column: Column,
    delimiter: u8,
    at: Option<usize>,
}

/// Why a line is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no column of this name among these.
    Unnamed(String, Vec<String>),
    /// More columns than one, none of them called `key`.
    Ambiguous(Vec<String>),
    /// Fewer fields than it takes: the field needed, from 1, and how many are there.
    Short(usize, usize),
    /// A quote that is not closed, or is followed by something.
    Quote,
}

impl fmt::Display for Refused {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unnamed(name, names) => {
                write!(
                    to,
                    "there is no column {name:?}, there are {}",
                    names.join(", ")
                )
            }
            Refused::Ambiguous(names) => write!(
                to,
                "which column holds the keys? None is called \"key\", there are {}",
                names.join(", ")
            ),
            Refused::Short(needed, fields) => {
                write!(to, "column {needed} was asked for, the line has {fields}")
            }
            Refused::Quote => {
                to.write_str("a quoted field does not end with a quote and a delimiter")
            }
        }
    }
}

impl Table {
    /// A table of which one column matters.
    pub fn new(column: Column, delimiter: u8) -> Self {
        Self {
            column,
            delimiter,
            at: None,
        }
    }

    /// The key in a line; `None` if it is the line with the names.
    pub fn key<'a>(&mut self, line: &'a str) -> Result<Option<Cow<'a, str>>, Refused> {
        if let Some(at) = self.at {
            return self.field(line, at).map(Some);
        }
        let names = self.names(line)?;
        let (at, is_data) = match &self.column {
            Column::At(at) => (*at, true),
            Column::Named(name) => match names.iter().position(|other| other == name) {
                Some(at) => (at, false),
                None => return Err(Refused::Unnamed(name.clone(), names)),
            },
            Column::Guessed => match names
                .iter()
                .position(|name| name.eq_ignore_ascii_case("key"))
            {
                Some(at) => (at, false),
                None if names.len() == 1 => (0, true),
                None => return Err(Refused::Ambiguous(names)),
            },
        };
        self.at = Some(at);
        if is_data {
            self.field(line, at).map(Some)
        } else {
            Ok(None)
        }
    }

    fn names(&self, line: &str) -> Result<Vec<String>, Refused> {
        let mut names = Vec::new();
        let mut rest = Some(line);
        while let Some(text) = rest {
            let (field, after) = self.split(text)?;
            names.push(field.trim().to_owned());
            rest = after;
        }
        Ok(names)
    }

    fn field<'a>(&self, line: &'a str, at: usize) -> Result<Cow<'a, str>, Refused> {
        let mut rest = line;
        for passed in 0..at {
            match self.split(rest)? {
                (_, Some(after)) => rest = after,
                (_, None) => return Err(Refused::Short(at + 1, passed + 1)),
            }
        }
        Ok(self.split(rest)?.0)
    }

    /// The first field and what is behind the delimiter after it.
    fn split<'a>(&self, text: &'a str) -> Result<(Cow<'a, str>, Option<&'a str>), Refused> {
        let delimiter = char::from(self.delimiter);
        let Some(quoted) = text.strip_prefix('"') else {
            return Ok(match text.split_once(delimiter) {
                Some((field, rest)) => (Cow::Borrowed(field), Some(rest)),
                None => (Cow::Borrowed(text), None),
            });
        };
        let mut from = 0;
        let end = loop {
            let at = from + quoted[from..].find('"').ok_or(Refused::Quote)?;
            if !quoted[at + 1..].starts_with('"') {
                break at;
            }
            from = at + 2;
        };
        let field = &quoted[..end];
        let field = if from == 0 {
            Cow::Borrowed(field)
        } else {
            Cow::Owned(field.replace("\"\"", "\""))
        };
        let rest = &quoted[end + 1..];
        match rest.strip_prefix(delimiter) {
            Some(rest) => Ok((field, Some(rest))),
            None if rest.is_empty() => Ok((field, None)),
            None => Err(Refused::Quote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(column: Column, lines: &[&str]) -> Result<Vec<String>, Refused> {
        let mut table = Table::new(column, b',');
        let keys: Result<Vec<_>, _> = lines.iter().map(|line| table.key(line)).collect();
        Ok(keys?.into_iter().flatten().map(Cow::into_owned).collect())
    }

    fn named(name: &str) -> Column {
        Column::Named(name.to_owned())
    }

    #[test]
    fn a_column_is_found_by_name_by_place_or_by_guessing() {
        let lines = ["time,Key,size", "1,a,10", "2,b,20"];
        assert_eq!(keys(named("Key"), &lines), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(
            keys(named("size"), &lines),
            Ok(vec!["10".into(), "20".into()])
        );
        assert_eq!(
            keys(Column::Guessed, &lines),
            Ok(vec!["a".into(), "b".into()])
        );
        assert_eq!(
            keys(Column::At(0), &lines),
            Ok(vec!["time".into(), "1".into(), "2".into()])
        );
        assert_eq!(
            keys(Column::Guessed, &["a", "b"]),
            Ok(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn quotes_are_taken_off() {
        let lines = [
            "\"time\",\"key\"",
            "1,\"a,b\"",
            "\"2\",\"say \"\"x\"\"\"",
            "3,\"\"",
            "4,pl\"ain",
        ];
        let expected = ["a,b", "say \"x\"", "", "pl\"ain"].map(str::to_owned);
        assert_eq!(keys(named("key"), &lines), Ok(expected.into()));
    }

    #[test]
    fn a_wrong_line_is_refused_with_what_is_there() {
        let lines = ["time,size", "1,2"];
        let told = keys(named("key"), &lines)
            .expect_err("no such column")
            .to_string();
        assert_eq!(told, "there is no column \"key\", there are time, size");
        let told = keys(Column::Guessed, &lines)
            .expect_err("unclear")
            .to_string();
        assert!(told.contains("there are time, size"), "{told}");
        assert_eq!(keys(Column::At(2), &lines), Err(Refused::Short(3, 2)));
        assert_eq!(keys(Column::At(0), &["\"open,1"]), Err(Refused::Quote));
        assert_eq!(keys(Column::At(0), &["\"a\"b,1"]), Err(Refused::Quote));
    }
}
