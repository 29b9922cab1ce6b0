//! Replies read back from bytes: for the links to other nodes, the tools and the tests. Bytes that don't form a reply are an
//! error; nothing is allocated ahead of the bytes that justify it.

use std::fmt;

/// One reply of any type of either protocol version.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+`: a status.
    Simple(Vec<u8>),
    /// `-`: an error, code and text.
    Error(Vec<u8>),
    /// `:`: an integer.
    Int(i64),
    /// `$`: a byte string.
    Bulk(Vec<u8>),
    /// `*`: an array.
    Array(Vec<Reply>),
    /// `$-1`, `*-1` or `_`: no value.
    Null,
    /// `%`: a map.
    Map(Vec<(Reply, Reply)>),
    /// `~`: a set.
    Set(Vec<Reply>),
    /// `>`: a message nobody asked for.
    Push(Vec<Reply>),
    /// `#`: a truth value.
    Bool(bool),
    /// `,`: a floating-point number.
    Double(f64),
    /// `(`: an integer of any size, as its decimal text.
    BigNumber(Vec<u8>),
    /// `=`: a text with its three-letter format.
    Verbatim([u8; 3], Vec<u8>),
}

impl Reply {
    /// The text of a status, byte string or verbatim text.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Reply::Simple(b) | Reply::Bulk(b) | Reply::Verbatim(_, b) => Some(b),
            _ => None,
        }
    }

    /// The elements of an array, set or push message.
    pub fn items(&self) -> Option<&[Reply]> {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Some(items),
            _ => None,
        }
    }
}

/// Why bytes are not a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReply {
    /// No type begins with this byte.
    Kind(u8),
    /// A number is malformed, or a length is negative or too large.
    Number,
    /// A byte string does not end with a line end.
    MissingCrlf,
    /// Replies are nested deeper than [`DEPTH_MAX`].
    Depth,
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadReply::Kind(b) => write!(f, "unknown reply type {:?}", char::from(*b)),
            BadReply::Number => f.write_str("malformed number in a reply"),
            BadReply::MissingCrlf => f.write_str("byte string without line end in a reply"),
            BadReply::Depth => f.write_str("replies nested too deeply"),
        }
    }
}

impl std::error::Error for BadReply {}

/// How deep replies may be nested.
pub const DEPTH_MAX: usize = 32;

/// Longest byte string, in bytes.
const BULK_BYTES_MAX: i64 = 1 << 32;

/// Reads the first reply of `bytes`; gives it with its length, or none if more bytes are needed. Starts from the beginning
/// every time, so it is not for large replies that arrive in small pieces. Attributes are skipped.
pub fn decode(bytes: &[u8]) -> Result<Option<(Reply, usize)>, BadReply> {
    let mut cursor = Cursor { bytes, at: 0 };
    Ok(cursor.reply(0)?.map(|reply| (reply, cursor.at)))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Leaves the function with "more bytes are needed" where a part is not there yet.
macro_rules! need {
    ($part:expr) => {
        match $part {
            Some(part) => part,
            None => return Ok(None),
        }
    };
}

impl<'a> Cursor<'a> {
    fn reply(&mut self, depth: usize) -> Result<Option<Reply>, BadReply> {
        if depth > DEPTH_MAX {
            return Err(BadReply::Depth);
        }
        let kind = *need!(self.bytes.get(self.at));
        if !b"+-:$*_%~>#,(=|!".contains(&kind) {
            return Err(BadReply::Kind(kind));
        }
        let line = need!(self.line());
        Ok(Some(match kind {
            b'+' => Reply::Simple(line.to_vec()),
            b'-' => Reply::Error(line.to_vec()),
            b':' => Reply::Int(number(line)?),
            b'_' => Reply::Null,
            b'#' => Reply::Bool(line == b"t"),
            b',' => Reply::Double(double(line)?),
            b'(' => Reply::BigNumber(line.to_vec()),
            b'$' | b'*' if line == b"-1" => Reply::Null,
            b'$' => Reply::Bulk(need!(self.bulk(line)?).to_vec()),
            b'!' => Reply::Error(need!(self.bulk(line)?).to_vec()),
            b'=' => match need!(self.bulk(line)?) {
                [a, b, c, b':', text @ ..] => Reply::Verbatim([*a, *b, *c], text.to_vec()),
                _ => return Err(BadReply::Number),
            },
            b'*' => Reply::Array(need!(self.items(line, depth)?)),
            b'~' => Reply::Set(need!(self.items(line, depth)?)),
            b'>' => Reply::Push(need!(self.items(line, depth)?)),
            b'%' => Reply::Map(need!(self.pairs(line, depth)?)),
            _ => {
                need!(self.pairs(line, depth)?);
                need!(self.reply(depth + 1)?)
            }
        }))
    }

    /// The rest of the current line after its kind byte.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at + 1..];
        let len = memchr::memmem::find(rest, b"\r\n")?;
        self.at += 1 + len + 2;
        Some(&rest[..len])
    }

    fn bulk(&mut self, line: &[u8]) -> Result<Option<&'a [u8]>, BadReply> {
        let len = number(line)?;
        if !(0..=BULK_BYTES_MAX).contains(&len) {
            return Err(BadReply::Number);
        }
        let rest = &self.bytes[self.at..];
        let (text, after) = need!(rest.split_at_checked(len as usize));
        match after {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Ok(None),
            _ => return Err(BadReply::MissingCrlf),
        }
        self.at += text.len() + 2;
        Ok(Some(text))
    }

    fn items(&mut self, line: &[u8], depth: usize) -> Result<Option<Vec<Reply>>, BadReply> {
        let count = usize::try_from(number(line)?).map_err(|_| BadReply::Number)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(need!(self.reply(depth + 1)?));
        }
        Ok(Some(items))
    }

    fn pairs(&mut self, line: &[u8], depth: usize) -> Result<Option<Vec<(Reply, Reply)>>, BadReply> {
        let count = usize::try_from(number(line)?).map_err(|_| BadReply::Number)?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let key = need!(self.reply(depth + 1)?);
            pairs.push((key, need!(self.reply(depth + 1)?)));
        }
        Ok(Some(pairs))
    }
}

fn number(line: &[u8]) -> Result<i64, BadReply> {
    baton_base::num::parse_i64(line.strip_prefix(b"+").unwrap_or(line)).ok_or(BadReply::Number)
}

fn double(line: &[u8]) -> Result<f64, BadReply> {
    if line == b"nan" {
        return Ok(f64::NAN);
    }
    baton_base::num::parse_f64(line).ok_or(BadReply::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Reply {
        let (reply, used) = decode(text.as_bytes()).expect("well-formed").expect("whole");
        assert_eq!(used, text.len());
        for cut in 0..text.len() {
            assert_eq!(decode(&text.as_bytes()[..cut]), Ok(None), "{text:?} cut at {cut}");
        }
        reply
    }

    #[test]
    fn every_type_reads_back() {
        let bulk = |s: &str| Reply::Bulk(s.into());
        for (text, reply) in [
            ("+OK\r\n", Reply::Simple("OK".into())),
            ("-ERR x\r\n", Reply::Error("ERR x".into())),
            (":-12\r\n", Reply::Int(-12)),
            ("$3\r\na\r\n\r\n", bulk("a\r\n")),
            ("$-1\r\n", Reply::Null),
            ("*-1\r\n", Reply::Null),
            ("_\r\n", Reply::Null),
            ("*2\r\n:1\r\n*0\r\n", Reply::Array(vec![Reply::Int(1), Reply::Array(vec![])])),
            ("%1\r\n+k\r\n#t\r\n", Reply::Map(vec![(Reply::Simple("k".into()), Reply::Bool(true))])),
            ("~1\r\n:1\r\n", Reply::Set(vec![Reply::Int(1)])),
            (">1\r\n:1\r\n", Reply::Push(vec![Reply::Int(1)])),
            (",-1.5\r\n", Reply::Double(-1.5)),
            (",inf\r\n", Reply::Double(f64::INFINITY)),
            ("(99999999999999999999\r\n", Reply::BigNumber("99999999999999999999".into())),
            ("=6\r\ntxt:ab\r\n", Reply::Verbatim(*b"txt", "ab".into())),
            ("!3\r\nE x\r\n", Reply::Error("E x".into())),
            ("|1\r\n+a\r\n+b\r\n:5\r\n", Reply::Int(5)),
        ] {
            assert_eq!(one(text), reply, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_reply() {
        let deep = "*1\r\n".repeat(DEPTH_MAX + 2);
        for (text, error) in [
            ("x", BadReply::Kind(b'x')),
            (":a\r\n", BadReply::Number),
            ("$-2\r\n", BadReply::Number),
            ("*-2\r\n", BadReply::Number),
            ("$99999999999\r\n", BadReply::Number),
            ("$1\r\nabc", BadReply::MissingCrlf),
            (&deep, BadReply::Depth),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(error), "{text:?}");
        }
        assert_eq!(decode(b"*9223372036854775807\r\n"), Ok(None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b"+-:$*_%~>#,(=|!019\r\nab".to_vec()), 0..60)) {
            if let Ok(Some((_, used))) = decode(&bytes) {
                prop_assert!(used <= bytes.len());
            }
        }
    }
}
