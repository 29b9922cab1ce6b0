//! One value outside a file: what DUMP replies, RESTORE takes and MIGRATE sends (rdb 8). Unlike in files the checksum
//! is always there and always compared; nothing is read before it was.

use baton_values::{Collection, Limits, Str, Value};

use crate::collection::{self, Input};
use crate::crc64::checksum;
use crate::cursor::{Cursor, RawStr};
use crate::encode::StringEncoder;
use crate::format::{self, TYPE_STRING, VERSION, VersionPolicy, VersionTarget};
use crate::lzf;

/// Version and checksum at the end of a payload.
const FOOTER_BYTES: usize = 10;
/// Longest string, as in files (rdb 4.1).
pub(crate) const STRING_BYTES_MAX: u64 = 1 << 32;

/// Writes payloads; keeps its working memory between them.
pub struct DumpEncoder {
    strings: StringEncoder,
}

impl DumpEncoder {
    /// An encoder that compresses long strings if told to (`rdbcompression`).
    pub fn new(compress: bool) -> Self {
        DumpEncoder { strings: StringEncoder::new(compress) }
    }

    /// Appends the payload of a value.
    pub fn encode(&mut self, value: Value<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(collection::type_number(&value, VersionTarget::Current));
        collection::push_value(out, &mut self.strings, &value, VersionTarget::Current);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let sum = checksum(&out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

/// Why a payload is refused. The text is the reply, without its `-ERR `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Too short, of a version that is not accepted, or damaged.
    #[error("DUMP payload version or checksum are wrong")]
    Footer,
    /// A type that may mean something else in the product that wrote it.
    #[error("Unsupported foreign data type: {0}")]
    ForeignType(u8),
    /// The value can't be read.
    #[error("Bad data format")]
    Format,
    /// Something else than a library of functions, where there may only be those.
    #[error("given type is not a function")]
    NoFunction,
    /// The value is of a type that can't be held here.
    #[error("Bad data format")]
    UnsupportedType(u8),
}

/// Where a restored value lies that doesn't lie in its payload as it is.
#[derive(Default)]
pub struct RestoreScratch {
    text: Vec<u8>,
    collection: Option<Collection>,
}

/// Verifies a payload and reads its value. What was in `scratch` before is forgotten.
///
/// # Errors
/// As [`RestoreError`] says. Nothing is allocated before the checksum was found right, and then only in proportion to
/// the payload.
pub fn restore<'a>(
    payload: &'a [u8],
    versions: VersionPolicy,
    limits: &Limits,
    scratch: &'a mut RestoreScratch,
) -> Result<Value<'a>, RestoreError> {
    let (version, body) = checked_body(payload, versions)?;
    let (&number, value) = body.split_first().ok_or(RestoreError::Format)?;
    if format::is_foreign(version) && number >= format::FOREIGN_TYPE_FIRST {
        return Err(RestoreError::ForeignType(number));
    }
    match number {
        TYPE_STRING => Ok(Value::Str(string_of(value, &mut scratch.text)?)),
        _ if let Some(collection) = collection_of(number, value, limits)? => {
            Ok(scratch.collection.insert(collection).as_value())
        }
        _ if format::type_name(number).is_some() => Err(RestoreError::UnsupportedType(number)),
        _ => Err(RestoreError::Format),
    }
}

/// A payload with its checksum made right, whatever it was: for those who damage payloads on purpose.
pub fn resealed(payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    if let Some((covered, sum)) = payload.split_last_chunk_mut::<8>() {
        *sum = checksum(covered).to_le_bytes();
    }
    payload
}

/// The version of a payload, and what lies before that, if the checksum is right.
pub(crate) fn checked_body(payload: &[u8], versions: VersionPolicy) -> Result<(u16, &[u8]), RestoreError> {
    let (covered, sum) = payload.split_last_chunk::<8>().ok_or(RestoreError::Footer)?;
    let (body, version) = covered.split_last_chunk::<2>().ok_or(RestoreError::Footer)?;
    debug_assert_eq!(body.len() + FOOTER_BYTES, payload.len());
    let version = u16::from_le_bytes(*version);
    if !versions.accepts(version) || checksum(covered) != u64::from_le_bytes(*sum) {
        return Err(RestoreError::Footer);
    }
    Ok((version, body))
}

/// Reads a collection; none if the number is no type that can be held here. Upstream ignores what follows it, and takes no
/// empty one.
fn collection_of(number: u8, bytes: &[u8], limits: &Limits) -> Result<Option<Collection>, RestoreError> {
    let Some(mut reader) = collection::reader_of(number) else { return Ok(None) };
    let mut input = Input::new(bytes, limits, STRING_BYTES_MAX);
    while !reader.read_part(&mut input).map_err(|_| RestoreError::Format)? {}
    let collection = reader.take();
    if collection.is_gone() { Err(RestoreError::Format) } else { Ok(Some(collection)) }
}

/// Reads a string. Upstream ignores what follows it, and so must this.
fn string_of<'a>(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Str<'a>, RestoreError> {
    match Cursor::new(bytes).string(STRING_BYTES_MAX).map_err(|_| RestoreError::Format)? {
        RawStr::Int(n) => Ok(Str::Int(i64::from(n))),
        RawStr::Plain(range) => Ok(Str::Bytes(&bytes[range])),
        RawStr::Lzf(range, length) => {
            scratch.clear();
            lzf::decompress(&bytes[range], scratch, length).map_err(|_| RestoreError::Format)?;
            Ok(Str::Bytes(scratch))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_base::hex::Hex;
    use baton_values::{List, ZSet};
    use proptest::prelude::*;

    fn dump(value: Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        DumpEncoder::new(true).encode(value, &mut out);
        out
    }

    fn restored(payload: &[u8], versions: VersionPolicy) -> Result<Vec<u8>, RestoreError> {
        match restore(payload, versions, &Limits::default(), &mut RestoreScratch::default())? {
            Value::Str(Str::Int(n)) => Ok(n.to_string().into_bytes()),
            Value::Str(Str::Bytes(b)) => Ok(b.to_vec()),
            _ => panic!("no string"),
        }
    }

    fn sealed(body: &[u8], version: u16) -> Vec<u8> {
        let mut out = [body, &version.to_le_bytes()].concat();
        out.extend_from_slice(&checksum(&out).to_le_bytes());
        out
    }

    #[test]
    fn payloads_are_those_of_upstream() {
        let ten = b"\x00\xc0\x0a\x50\x00\xa1\xb5\x9e\xd4\x90\xfc\x04\x4f";
        let hello = b"\x00\x05hello\x50\x00\xac\x58\x16\xe7\xfb\x66\x47\xfe";
        assert_eq!(dump(Value::Str(Str::Int(10))), ten);
        assert_eq!(dump(Value::Str(Str::Bytes(b"10"))), ten);
        assert_eq!(dump(Value::Str(Str::Bytes(b"hello"))), hello);
        let old = b"\x00\xc0\x0a\x0a\x00\x6e\x9f\x57\x45\x0e\xae\x63\xbb";
        assert_eq!(restored(old, VersionPolicy::Strict), Ok(b"10".to_vec()));
    }

    #[test]
    fn what_is_wrong_is_refused_in_upstreams_words() {
        use VersionPolicy::{Relaxed, Strict};
        let hello = b"\x00\x05hello";
        let cases: [(Vec<u8>, VersionPolicy, &str); 10] = [
            (b"123456789".to_vec(), Strict, "DUMP payload version or checksum are wrong"),
            (sealed(hello, 81), Strict, "DUMP payload version or checksum are wrong"),
            (sealed(hello, 12), Strict, "DUMP payload version or checksum are wrong"),
            (sealed(hello, 0), Relaxed, "DUMP payload version or checksum are wrong"),
            ([hello.as_slice(), &[80, 0], &[0; 8]].concat(), Strict, "DUMP payload version or checksum are wrong"),
            (sealed(b"\x16\x00", 12), Relaxed, "Unsupported foreign data type: 22"),
            (sealed(b"", 80), Strict, "Bad data format"),
            (sealed(b"\x00\x05hell", 80), Strict, "Bad data format"),
            (sealed(b"\x00\xc3\x02\x09\x00\x00", 80), Strict, "Bad data format"),
            (sealed(b"\xfa\x00", 80), Strict, "Bad data format"),
        ];
        for (payload, versions, text) in cases {
            let error = restored(&payload, versions).expect_err(text);
            assert_eq!(error.to_string(), text, "{payload:x?}");
        }
        assert_eq!(restored(&sealed(b"\x06\x01\x01a", 80), Strict), Err(RestoreError::UnsupportedType(6)));
        assert_eq!(restored(&sealed(hello, 12), Relaxed), Ok(b"hello".to_vec()));
    }

    /// A list as Valkey 9.1.2 dumps it: `RPUSH l a 1 hello`.
    #[test]
    fn a_list_as_the_real_server_dumps_it() {
        let mut list = List::default();
        [&b"a"[..], b"1", b"hello"].iter().for_each(|text| list.push_back(text));
        let body = dump(Value::List(list.as_ref()));
        assert_eq!(Hex(&body).to_string(), "1201021313000000030081610201018568656c6c6f06ff50006d3af134889d1aa5");
        let mut scratch = RestoreScratch::default();
        let value = restore(&body, VersionPolicy::Strict, &Limits::default(), &mut scratch);
        assert_eq!(value, Ok(Value::List(list.as_ref())));
    }

    fn zset(elements: &[(f64, &str)], limits: &Limits) -> ZSet {
        let mut zset = ZSet::default();
        for (score, member) in elements {
            zset.put(member.as_bytes(), *score, limits);
        }
        zset
    }

    /// Sorted sets as Valkey 9.1.2 dumps them: `ZADD z 1 a 0.5 b -inf c`, packed and not.
    #[test]
    fn sorted_sets_as_the_real_server_dumps_them() {
        let elements = [(1.0, "a"), (0.5, "b"), (f64::NEG_INFINITY, "c")];
        for (entries, expected) in [
            (128, "111d1d0000000600816302842d696e660581620283302e35048161020101ff50009f14dc1120aee96e"),
            (0, "05030161000000000000f03f0162000000000000e03f0163000000000000f0ff5000e837448248f6c9ae"),
        ] {
            let limits = Limits { zset_entries: entries, ..Limits::default() };
            let zset = zset(&elements, &limits);
            let body = dump(Value::ZSet(zset.as_ref()));
            assert_eq!(Hex(&body).to_string(), expected);
            let mut scratch = RestoreScratch::default();
            let value = restore(&body, VersionPolicy::Strict, &limits, &mut scratch);
            assert_eq!(value, Ok(Value::ZSet(zset.as_ref())));
        }
    }

    /// What older servers wrote: scores as text, and a ziplist (`ZADD z 1 a 0.5 b` on Redis 6).
    #[test]
    fn sorted_sets_of_older_servers() {
        let limits = Limits::default();
        let load = |body: &[u8]| {
            let mut scratch = RestoreScratch::default();
            let payload = sealed(body, 9);
            let value = restore(&payload, VersionPolicy::Strict, &limits, &mut scratch);
            value.map(|value| format!("{value:?}")).map_err(|error| error.to_string())
        };
        let shown = |elements: &[(f64, &str)]| Ok(format!("{:?}", Value::ZSet(zset(elements, &limits).as_ref())));
        let texts = b"\x03\x03\x01a\x031.5\x01b\xff\x01c\xfe";
        assert_eq!(load(texts), shown(&[(1.5, "a"), (f64::NEG_INFINITY, "b"), (f64::INFINITY, "c")]));
        let ziplist = b"\x0c\x18\x18\0\0\0\x15\0\0\0\x04\0\0\x01b\x03\x030.5\x05\x01a\x03\xf2\xff";
        assert_eq!(load(ziplist), shown(&[(0.5, "b"), (1.0, "a")]));
        let bad: [&[u8]; 5] = [
            b"\x03\x01\x01a\xfd",
            b"\x03\x02\x01a\x011\x01a\x012",
            b"\x03\x01\x01a\x01x",
            b"\x05\x01\x01a\0\0\0\0\0\0\xf8\x7f",
            b"\x0c\x0b\x0b\0\0\0\x0a\0\0\0\x01\0\xff",
        ];
        for body in bad {
            assert_eq!(load(body), Err("Bad data format".to_string()), "{body:x?}");
        }
    }

    #[test]
    fn a_damaged_payload_can_be_made_to_pass_for_whole() {
        let mut payload = dump(Value::Str(Str::Bytes(b"abc")));
        let (last, whole) = (payload.len() - 1, payload.clone());
        payload[last] ^= 1;
        assert_eq!(restored(&payload, VersionPolicy::Strict), Err(RestoreError::Footer));
        assert_eq!(resealed(&payload), whole);
        assert_eq!(resealed(b"short"), b"short");
    }

    proptest! {
        #[test]
        fn whatever_is_dumped_is_restored(bytes in proptest::collection::vec(0u8..6, 0..200), n in any::<i64>()) {
            prop_assert_eq!(restored(&dump(Value::Str(Str::Bytes(&bytes))), VersionPolicy::Strict), Ok(bytes));
            let text = n.to_string().into_bytes();
            prop_assert_eq!(restored(&dump(Value::Str(Str::Int(n))), VersionPolicy::Strict), Ok(text));
        }

        #[test]
        fn a_sealed_body_of_any_bytes_never_panics(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut scratch = RestoreScratch::default();
            let _ = restore(&sealed(&body, 80), VersionPolicy::Strict, &Limits::default(), &mut scratch);
            let collection = scratch.collection.as_ref().map_or(0, Collection::heap_bytes);
            prop_assert!(scratch.text.capacity() + collection <= 100 * 60);
        }
    }
}
