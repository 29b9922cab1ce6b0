//! Bytes of a client to requests. Keeps where it is inside a half-received request, so that no byte is looked at twice
//! however the request is cut into pieces. Bytes from outside never panic and never make it allocate ahead of them.

use crate::args::ArgRange;
use crate::inline;
use crate::limits::{INLINE_BYTES_MAX, Limits};

/// What one call of [`RequestParser::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole request: its `argc` ranges were appended, and it took `consumed` bytes.
    Complete {
        /// Bytes of the request; the next one begins after them.
        consumed: usize,
        /// Number of its arguments, at least 1.
        argc: usize,
    },
    /// A whole inline request. Its words are decoded, so they don't lie in the buffer.
    Inline {
        /// Bytes of the line with its end.
        consumed: usize,
        /// Its words, at least one.
        args: Vec<Vec<u8>>,
    },
    /// Nothing to do for these bytes: a blank line, or an array without elements.
    Empty {
        /// Bytes to drop.
        consumed: usize,
    },
    /// More bytes are needed.
    Incomplete,
    /// The client broke the protocol: send the error and close.
    Fail(ProtocolError),
}

/// How a client broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of arguments is not a number or too large.
    MultibulkLength,
    /// More arguments than a client may send before it authenticates.
    UnauthenticatedMultibulkLength,
    /// The length of an argument is not a number, negative or too large.
    BulkLength,
    /// A longer argument than a client may send before it authenticates.
    UnauthenticatedBulkLength,
    /// This byte stands where an argument's `$` belongs.
    ExpectedDollar(u8),
    /// A line or an argument does not end with CR LF.
    MissingCrlf,
    /// An inline request without an end within [`INLINE_BYTES_MAX`].
    BigInline,
    /// A count of arguments without an end within [`INLINE_BYTES_MAX`].
    BigMultibulkCount,
    /// A length of an argument without an end within [`INLINE_BYTES_MAX`].
    BigBulkCount,
    /// A quote of an inline request is not closed.
    UnbalancedQuotes,
    /// The request is longer than 4 GiB.
    BigRequest,
}

impl ProtocolError {
    /// The text of the error reply, without its leading `-`. Not UTF-8 if the offending byte is not.
    pub fn text(&self) -> Vec<u8> {
        let what = match self {
            ProtocolError::MultibulkLength => "invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::BulkLength => "invalid bulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
            ProtocolError::ExpectedDollar(got) => {
                return [b"ERR Protocol error: expected '$', got '", &[*got][..], b"'"].concat();
            }
            ProtocolError::MissingCrlf => "invalid CRLF in request",
            ProtocolError::BigInline => "too big inline request",
            ProtocolError::BigMultibulkCount => "too big mbulk count string",
            ProtocolError::BigBulkCount => "too big bulk count string",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::BigRequest => "too big request",
        };
        format!("ERR Protocol error: {what}").into_bytes()
    }
}

/// The state of one client between two reads. Made new for each connection.
///
/// Call [`RequestParser::next`] with the bytes from the current request's first byte on until it gives
/// [`Step::Incomplete`]; after any other step drop the consumed bytes first. While a request is incomplete its bytes stay
/// at the front of the buffer (they may move in memory, and more may follow).
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Ranges of the current request that were found in earlier calls.
    found: Vec<ArgRange>,
    /// Where to go on: an offset from the request's first byte. 0 when its header was not read yet.
    at: usize,
    /// Arguments still to come.
    missing: usize,
    /// Length of the argument at `at`, once its `$` line was read.
    bulk: Option<u32>,
    /// How much of an inline request was already searched for its end.
    searched: usize,
}

impl RequestParser {
    /// A parser before its first byte.
    pub fn new() -> RequestParser {
        RequestParser::default()
    }

    /// Reads the next request. `buf` begins at its first byte; ranges are appended to `ranges`, counted from there.
    /// Ranges are appended only with [`Step::Complete`].
    #[inline]
    pub fn next(&mut self, buf: &[u8], limits: &Limits, ranges: &mut Vec<ArgRange>) -> Step {
        if self.at != 0 {
            return self.resume(buf, limits, ranges);
        }
        match buf.first() {
            Some(b'*') => {}
            Some(_) => return self.inline(buf),
            None => return Step::Incomplete,
        }
        let before = ranges.len();
        match self.multibulk(buf, limits, ranges) {
            Ok(Some(done)) => done,
            Ok(None) => {
                self.found.extend(ranges.drain(before..));
                Step::Incomplete
            }
            Err(e) => {
                ranges.truncate(before);
                Step::Fail(e)
            }
        }
    }

    /// Bytes, counted from the current request's first one, without which the request cannot get on. For sizing the buffer
    /// of a client that sends a large argument; 0 when nothing is known.
    pub fn bytes_wanted(&self) -> usize {
        self.bulk.map_or(0, |len| self.at + len as usize + 2)
    }

    /// Bytes at the front of an incomplete request that were read already: its count, and whole arguments.
    pub fn read_bytes(&self) -> usize {
        self.at
    }

    /// Memory that the parser keeps for the current request, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.found.capacity() * size_of::<ArgRange>()
    }

    /// Goes on with a request of which a part was read before.
    #[cold]
    fn resume(&mut self, buf: &[u8], limits: &Limits, ranges: &mut Vec<ArgRange>) -> Step {
        let mut found = std::mem::take(&mut self.found);
        let argc = found.len() + self.missing;
        let step = self.bulks(buf, limits, &mut found);
        self.found = found;
        match step {
            Ok(None) => Step::Incomplete,
            Err(e) => Step::Fail(e),
            Ok(Some(consumed)) => {
                ranges.extend_from_slice(&self.found);
                self.found.clear();
                self.found.shrink_to(RANGES_KEPT);
                self.at = 0;
                Step::Complete { consumed, argc }
            }
        }
    }

    /// Reads a request from its `*` on.
    #[inline]
    fn multibulk(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        ranges: &mut Vec<ArgRange>,
    ) -> Result<Option<Step>, ProtocolError> {
        let (count, next) = match quick_number(buf, 1) {
            Some(found) => found,
            None => {
                match Self::slow_number(buf, 0, ProtocolError::BigMultibulkCount, ProtocolError::MultibulkLength)? {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
        };
        if count <= 0 {
            return Ok(Some(Step::Empty { consumed: next }));
        }
        let argc = count as u64;
        limits.check_args(argc)?;
        self.at = next;
        self.missing = argc as usize;
        let done = self.bulks(buf, limits, ranges)?;
        Ok(done.map(|consumed| {
            self.at = 0;
            Step::Complete { consumed, argc: argc as usize }
        }))
    }

    /// Reads arguments until none is missing; gives the end of the request.
    #[inline]
    fn bulks(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        ranges: &mut Vec<ArgRange>,
    ) -> Result<Option<usize>, ProtocolError> {
        let (mut at, mut missing) = (self.at, self.missing);
        while missing > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match Self::bulk_header(buf, at, limits)? {
                    Some((len, next)) => {
                        at = next;
                        len
                    }
                    None => return Ok(self.pause(at, missing, None)),
                },
            };
            let end = at + len as usize;
            match buf.get(end..end + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError::MissingCrlf),
                None => return Ok(self.pause(at, missing, Some(len))),
            }
            ranges.push(ArgRange { start: at as u32, len });
            self.bulk = None;
            missing -= 1;
            at = end + 2;
        }
        Ok(Some(at))
    }

    /// Notes where to go on, for want of bytes.
    #[cold]
    fn pause(&mut self, at: usize, missing: usize, bulk: Option<u32>) -> Option<usize> {
        (self.at, self.missing, self.bulk) = (at, missing, bulk);
        None
    }

    /// Reads a `$` line; gives the length and where the argument begins.
    #[inline]
    fn bulk_header(buf: &[u8], at: usize, limits: &Limits) -> Result<Option<(u32, usize)>, ProtocolError> {
        let quick = if buf.get(at) == Some(&b'$') { quick_number(buf, at + 1) } else { None };
        let (len, next) = match quick {
            Some(found) => found,
            None => match Self::slow_number(buf, at, ProtocolError::BigBulkCount, ProtocolError::BulkLength)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let len = u64::try_from(len).map_err(|_| ProtocolError::BulkLength)?;
        limits.check_bulk(len)?;
        let end = next as u64 + len + 2;
        if end > u64::from(u32::MAX) {
            return Err(ProtocolError::BigRequest);
        }
        Ok(Some((len as u32, next)))
    }

    /// Reads a line of a kind byte and a number in full generality: for lines that are incomplete, odd or wrong. The order of
    /// the checks is the real server's: end of line, CR LF, kind, number.
    #[cold]
    fn slow_number(
        buf: &[u8],
        at: usize,
        too_big: ProtocolError,
        invalid: ProtocolError,
    ) -> Result<Option<(i64, usize)>, ProtocolError> {
        let line = buf.get(at..).unwrap_or_default();
        let Some(len) = memchr::memchr(b'\r', line).filter(|&len| len <= INLINE_BYTES_MAX) else {
            return if line.len() > INLINE_BYTES_MAX { Err(too_big) } else { Ok(None) };
        };
        match line.get(len + 1) {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) => return Err(ProtocolError::MissingCrlf),
        }
        if at != 0 && line[0] != b'$' {
            return Err(ProtocolError::ExpectedDollar(line[0]));
        }
        let number = baton_base::num::parse_i64(&line[1..len]).ok_or(invalid)?;
        Ok(Some((number, at + len + 2)))
    }

    /// Reads an inline request. A NUL hides the rest of the bytes, line ends included, as it does on the real server.
    #[cold]
    fn inline(&mut self, buf: &[u8]) -> Step {
        let from = self.searched.min(buf.len());
        let end = memchr::memchr2(b'\n', 0, &buf[from..]).map(|i| from + i).filter(|&i| i <= INLINE_BYTES_MAX);
        let Some(end) = end.filter(|&i| buf[i] == b'\n') else {
            self.searched = end.unwrap_or(buf.len());
            return if buf.len() > INLINE_BYTES_MAX { Step::Fail(ProtocolError::BigInline) } else { Step::Incomplete };
        };
        self.searched = 0;
        match inline::split(&buf[..end]) {
            None => Step::Fail(ProtocolError::UnbalancedQuotes),
            Some(args) if args.is_empty() => Step::Empty { consumed: end + 1 },
            Some(args) => Step::Inline { consumed: end + 1, args },
        }
    }
}

/// Ranges of a half-received request for which memory is kept between requests.
const RANGES_KEPT: usize = 64;

/// Reads the common form of a number line from its first digit on: up to nine digits, canonical, CR LF. Anything else is left
/// to the slow path.
#[inline]
fn quick_number(buf: &[u8], at: usize) -> Option<(i64, usize)> {
    let line = buf.get(at..)?;
    let mut value: u32 = 0;
    let mut i = 0;
    while let Some(&b) = line.get(i) {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if i == 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
        i += 1;
    }
    let canonical = i == 1 || (i > 1 && line[0] != b'0');
    if canonical && line.get(i..i + 2) == Some(b"\r\n") { Some((i64::from(value), at + i + 2)) } else { None }
}

#[cfg(test)]
mod tests;
