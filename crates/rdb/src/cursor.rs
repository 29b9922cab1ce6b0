//! Reading lengths, numbers and strings from bytes of which more may still come. Never allocates and never trusts a
//! length: what is not there yet is reported as missing.

use std::ops::Range;

use crate::error::RdbErrorKind;
use crate::format::string;

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// At least this many bytes, counted from the start of the cursor, are needed to go on.
    Missing(usize),
    /// The bytes are wrong.
    Bad(RdbErrorKind),
}

impl Stop {
    pub(crate) fn corrupt(text: &'static str) -> Stop {
        Stop::Bad(RdbErrorKind::Corrupt(text))
    }
}

/// A string as it lies in the bytes; ranges are counted from the start of the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawStr {
    /// An integer.
    Int(i32),
    /// Plain bytes.
    Plain(Range<usize>),
    /// A compressed string of this length.
    Lzf(Range<usize>, usize),
}

enum Length {
    Plain(u64),
    Special(u8),
}

/// A position in bytes of which more may still come.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn range(&mut self, count: usize) -> Result<Range<usize>, Stop> {
        let end = self.at.checked_add(count).ok_or(Stop::Bad(RdbErrorKind::ShortRead))?;
        if end > self.bytes.len() {
            return Err(Stop::Missing(end));
        }
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let range = self.range(N)?;
        Ok(self.bytes[range].try_into().expect("the range is as long as the array"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Stop> {
        Ok(self.array::<1>()?[0])
    }

    fn length_or_special(&mut self) -> Result<Length, Stop> {
        let first = self.byte()?;
        Ok(Length::Plain(match (first >> 6, first) {
            (0, _) => u64::from(first),
            (1, _) => u64::from(first & 0x3F) << 8 | u64::from(self.byte()?),
            (3, _) => return Ok(Length::Special(first)),
            (_, 0x80) => u64::from(u32::from_be_bytes(self.array()?)),
            (_, 0x81) => u64::from_be_bytes(self.array()?),
            _ => return Err(Stop::corrupt("Unknown length encoding in rdbLoadLen()")),
        }))
    }

    /// A length that is a number and nothing else (rdb 2).
    pub(crate) fn length(&mut self) -> Result<u64, Stop> {
        match self.length_or_special()? {
            Length::Plain(n) => Ok(n),
            Length::Special(_) => Err(Stop::corrupt("string encoding where a length is expected")),
        }
    }

    /// A string, of which neither the stored nor the real length may exceed `bytes_max` (rdb 3).
    pub(crate) fn string(&mut self, bytes_max: u64) -> Result<RawStr, Stop> {
        let bounded = |bytes: u64| match usize::try_from(bytes) {
            Ok(n) if bytes <= bytes_max => Ok(n),
            _ => Err(Stop::Bad(RdbErrorKind::StringTooLong { bytes, bytes_max })),
        };
        match self.length_or_special()? {
            Length::Plain(n) => Ok(RawStr::Plain(self.range(bounded(n)?)?)),
            Length::Special(string::INT8) => Ok(RawStr::Int(i32::from(i8::from_le_bytes(self.array()?)))),
            Length::Special(string::INT16) => Ok(RawStr::Int(i32::from(i16::from_le_bytes(self.array()?)))),
            Length::Special(string::INT32) => Ok(RawStr::Int(i32::from_le_bytes(self.array()?))),
            Length::Special(string::LZF) => {
                let packed = bounded(self.length()?)?;
                let length = bounded(self.length()?)?;
                Ok(RawStr::Lzf(self.range(packed)?, length))
            }
            Length::Special(form) => Err(Stop::Bad(RdbErrorKind::UnknownStringForm(form & 0x3F))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(bytes: &[u8]) -> Option<u64> {
        Cursor::new(bytes).length().ok()
    }

    #[test]
    fn lengths_in_every_form() {
        assert_eq!(length(&[0x3F]), Some(63));
        assert_eq!(length(&[0x7F, 0xFF]), Some(16383));
        assert_eq!(length(&[0x80, 0, 1, 0, 0]), Some(65536));
        assert_eq!(length(&[0x81, 0, 0, 0, 1, 0, 0, 0, 0]), Some(1 << 32));
        assert!(matches!(Cursor::new(&[0x82]).length(), Err(Stop::Bad(RdbErrorKind::Corrupt(_)))));
        assert!(matches!(Cursor::new(&[0xC0, 1]).length(), Err(Stop::Bad(RdbErrorKind::Corrupt(_)))));
        assert!(matches!(Cursor::new(&[0x80, 0]).length(), Err(Stop::Missing(5))));
    }

    #[test]
    fn strings_in_every_form() {
        let string = |bytes: &[u8]| Cursor::new(bytes).string(100);
        assert_eq!(string(b"\x02ab").ok(), Some(RawStr::Plain(1..3)));
        assert_eq!(string(&[0xC0, 0xFF]).ok(), Some(RawStr::Int(-1)));
        assert_eq!(string(&[0xC1, 0, 0x80]).ok(), Some(RawStr::Int(-32768)));
        assert_eq!(string(&[0xC2, 0, 0, 0, 0x80]).ok(), Some(RawStr::Int(i32::MIN)));
        assert_eq!(string(&[0xC3, 2, 9, 1, 1]).ok(), Some(RawStr::Lzf(3..5, 9)));
        assert!(matches!(string(&[0x02, b'a']), Err(Stop::Missing(3))));
        assert!(matches!(string(&[0xC4]), Err(Stop::Bad(RdbErrorKind::UnknownStringForm(4)))));
        let too_long = RdbErrorKind::StringTooLong { bytes: 101, bytes_max: 100 };
        assert!(matches!(string(&[0x40, 101]), Err(Stop::Bad(kind)) if kind == too_long));
        assert!(matches!(string(&[0xC3, 2, 0x40, 101]), Err(Stop::Bad(kind)) if kind == too_long));
    }
}
