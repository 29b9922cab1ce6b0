//! Counting and finding bits in ranges of a string.

use std::ops::Range;

use super::{bits, with_bytes};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// A range as clients state it: both ends count, negative ones from the end of the string.
#[derive(Clone, Copy)]
struct Stated {
    start: i64,
    end: Option<i64>,
    in_bits: bool,
}

impl Stated {
    /// Reads `[start [end [BYTE|BIT]]]` from this argument on.
    fn parse(x: &Exec<'_, '_>, at: usize) -> Result<Stated, Fail> {
        if x.args.len() > at + 3 {
            return Err(Fail::Syntax);
        }
        let start = x.args.get(at).map(int).transpose()?.unwrap_or(0);
        let in_bits = match x.args.get(at + 2) {
            None => false,
            Some(word) if word.eq_ignore_ascii_case(b"BYTE") => false,
            Some(word) if word.eq_ignore_ascii_case(b"BIT") => true,
            Some(_) => return Err(Fail::Syntax),
        };
        let end = x.args.get(at + 1).map(int).transpose()?;
        Ok(Stated { start, end, in_bits })
    }

    /// Whether both ends are counted from the end and lie the wrong way round: then BITCOUNT counts nothing, even where both
    /// lie before the first byte. BITPOS looks at that byte (observed).
    fn is_reversed(self) -> bool {
        self.start < 0 && self.end.is_some_and(|end| end < 0 && self.start > end)
    }

    /// The bits it means in a string of so many bytes; none where it means nothing.
    fn bits(self, len: usize) -> Option<Range<u64>> {
        let unit = if self.in_bits { 1 } else { 8 };
        let total = 8 / unit * len as i64;
        let end = self.end.unwrap_or(-1);
        let place = |at: i64| if at < 0 { (total + at).max(0) } else { at };
        let (start, end) = (place(self.start), place(end).min(total - 1));
        (start <= end).then(|| (start * unit) as u64..((end + 1) * unit) as u64)
    }
}

/// BITCOUNT key [start [end [BYTE|BIT]]].
pub(crate) fn bitcount(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let stated = Stated::parse(x, 2)?;
    let key = x.key(0, 1);
    let count = with_bytes(x, &key, |bytes| {
        let bytes = bytes.unwrap_or_default();
        stated.bits(bytes.len()).filter(|_| !stated.is_reversed()).map_or(0, |range| bits::count_set(bytes, range))
    })?;
    x.out.int(count as i64);
    Ok(())
}

/// BITPOS key bit [start [end [BYTE|BIT]]].
pub(crate) fn bitpos(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let is_set = match int(&x.args[2])? {
        0 => false,
        1 => true,
        _ => return Err(Fail::Text("ERR The bit argument must be 1 or 0.")),
    };
    let stated = Stated::parse(x, 3)?;
    let key = x.key(0, 1);
    let found = with_bytes(x, &key, |bytes| {
        let Some(bytes) = bytes else { return (!is_set).then_some(0) };
        let range = stated.bits(bytes.len())?;
        // What lies behind the string is clear, unless the client said where to stop.
        let behind = (!is_set && stated.end.is_none()).then_some(range.end);
        bits::first(bytes, range, is_set).or(behind)
    })?;
    x.out.int(found.map_or(-1, |at| at as i64));
    Ok(())
}
