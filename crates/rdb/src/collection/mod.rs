//! Collections in files and payloads: which type number a value is written as, and the readers that build one piece by
//! piece. A file per family; each knows all forms that its type ever had.

mod hash;
mod list;
mod set;
mod stream;
mod zset;

use std::borrow::Cow;

use baton_values::{Collection, Limits, Str, Value};

use crate::cursor::{Cursor, RawStr, Stop};
use crate::encode::StringEncoder;
use crate::format::{TYPE_STRING, VersionTarget};
use crate::lzf;

/// Builds a collection from its parts as they stand in the file.
pub(crate) trait CollectionReader: Send {
    /// Reads one part: a count, an element, a blob. Tells whether that was the last. A part of which bytes are still
    /// missing is asked for again, so nothing may be kept of it.
    ///
    /// # Errors
    /// If bytes are missing, or what is there can't be right.
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop>;

    /// The collection, when the last part was read. It may be empty.
    fn take(&mut self) -> Collection;
}

/// The reader for a type number, if that is a collection which can be held here.
pub(crate) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    list::reader_of(number)
        .or_else(|| set::reader_of(number))
        .or_else(|| hash::reader_of(number))
        .or_else(|| zset::reader_of(number))
        .or_else(|| stream::reader_of(number))
}

/// The number of the type as which a value is written.
pub(crate) fn type_number(value: &Value<'_>, target: VersionTarget) -> u8 {
    match value {
        Value::Str(_) => TYPE_STRING,
        Value::List(_) => list::TYPE_WRITTEN,
        Value::Set(set) => set::type_written(*set, target),
        Value::Hash(hash) => hash::type_written(*hash),
        Value::ZSet(zset) => zset::type_number(*zset),
        Value::Stream(_) => stream::type_written(target),
        _ => unreachable!("every kind of value has a form in files"),
    }
}

/// Whether files of this version have a form for a value.
pub(crate) fn is_writable(value: &Value<'_>, target: VersionTarget) -> bool {
    match value {
        Value::Hash(hash) => hash::is_writable(*hash, target),
        _ => true,
    }
}

/// Appends a value as it stands behind its type, or behind type and key.
pub(crate) fn push_value(out: &mut Vec<u8>, strings: &mut StringEncoder, value: &Value<'_>, target: VersionTarget) {
    match value {
        Value::Str(text) => strings.string(out, *text),
        Value::List(list) => list::push(out, strings, *list),
        Value::Set(set) => set::push(out, strings, *set, target),
        Value::Hash(hash) => hash::push(out, strings, *hash),
        Value::ZSet(zset) => zset::push(out, strings, *zset),
        Value::Stream(stream) => stream::push(out, strings, stream, target),
        _ => unreachable!("every kind of value has a form in files"),
    }
}

/// What a reader reads from.
pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) cursor: Cursor<'a>,
    pub(crate) limits: &'a Limits,
    pub(crate) string_bytes_max: u64,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &'a Limits, string_bytes_max: u64) -> Input<'a> {
        Input { bytes, cursor: Cursor::new(bytes), limits, string_bytes_max }
    }

    /// A length that is a number and nothing else.
    pub(crate) fn length(&mut self) -> Result<u64, Stop> {
        self.cursor.length()
    }

    /// So many bytes as they are.
    pub(crate) fn plain(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        Ok(&self.bytes[self.cursor.range(count)?])
    }

    /// A string, as values keep it: `scratch` is where it lies if it was compressed.
    pub(crate) fn element<'t>(&mut self, scratch: &'t mut Vec<u8>) -> Result<Str<'t>, Stop>
    where
        'a: 't,
    {
        Ok(match self.cursor.string(self.string_bytes_max)? {
            RawStr::Plain(range) => Str::of(&self.bytes[range]),
            RawStr::Int(n) => Str::Int(i64::from(n)),
            RawStr::Lzf(range, length) => {
                scratch.clear();
                lzf::decompress(&self.bytes[range], scratch, length)
                    .map_err(|_| Stop::corrupt("Invalid LZF compressed string"))?;
                Str::of(scratch)
            }
        })
    }

    /// A string, as its text.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        Ok(match self.cursor.string(self.string_bytes_max)? {
            RawStr::Plain(range) => Cow::Borrowed(&self.bytes[range]),
            RawStr::Int(n) => Cow::Owned(n.to_string().into_bytes()),
            RawStr::Lzf(range, length) => {
                let mut text = Vec::new();
                lzf::decompress(&self.bytes[range], &mut text, length)
                    .map_err(|_| Stop::corrupt("Invalid LZF compressed string"))?;
                Cow::Owned(text)
            }
        })
    }
}

/// How many parts are still to come: unknown until the count was read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Left(Option<u64>);

impl Left {
    /// So many parts, with no count before them.
    pub(crate) fn of(parts: u64) -> Left {
        Left(Some(parts))
    }

    /// Reads the count if it was not read yet; gives whether it was read just now.
    pub(crate) fn is_count(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        let is_new = self.0.is_none();
        if is_new {
            self.0 = Some(input.length()?);
        }
        Ok(is_new)
    }

    /// How many are to come, if the count was read.
    pub(crate) fn count(self) -> Option<u64> {
        self.0
    }

    /// Counts a part that was read.
    pub(crate) fn count_down(&mut self) {
        self.0 = self.0.map(|left| left.saturating_sub(1));
    }

    /// Whether none are to come.
    pub(crate) fn is_none(self) -> bool {
        self.0 == Some(0)
    }
}
