//! Hashes (rdb 4: types 4, 9, 13, 16 and 22; 5.1, 5.3, 5.4).

use baton_base::WallMs;
use baton_values::{Collection, CollectionType as _, FieldValue, Hash, HashRef, LargeHashBuilder, Limits, Listpack};

use super::{CollectionReader, Input, Left};
use crate::cursor::Stop;
use crate::encode::{StringEncoder, push_length};
use crate::format::VersionTarget;
use crate::old::{ziplist, zipmap};

const HASH: u8 = 4;
const HASH_ZIPMAP: u8 = 9;
const HASH_ZIPLIST: u8 = 13;
const HASH_LISTPACK: u8 = 16;
const HASH_2: u8 = 22;

/// What stands in the place of the time of a field that stays.
const STAYS: i64 = -1;

/// What a hash is written as. Versions that don't know of fields with an end have no form for a hash with one.
pub(super) fn type_written(hash: HashRef<'_>) -> u8 {
    match hash {
        HashRef::Packed(_) => HASH_LISTPACK,
        HashRef::Large(_) if hash.next_due().is_some() => HASH_2,
        HashRef::Large(_) => HASH,
    }
}

/// Whether files of this version have a form for it.
pub(super) fn is_writable(hash: HashRef<'_>, target: VersionTarget) -> bool {
    target == VersionTarget::Current || hash.next_due().is_none()
}

pub(super) fn push(out: &mut Vec<u8>, strings: &mut StringEncoder, hash: HashRef<'_>) {
    match hash {
        HashRef::Packed(pack) => strings.bytes(out, pack.bytes()),
        HashRef::Large(_) => {
            let with_ends = hash.next_due().is_some();
            push_length(out, hash.len());
            for (field, value) in hash.iter() {
                strings.string(out, field);
                strings.string(out, value.text);
                if with_ends {
                    let at = value.expire_at.map_or(STAYS, |WallMs(at)| i64::try_from(at).unwrap_or(i64::MAX));
                    out.extend_from_slice(&at.to_le_bytes());
                }
            }
        }
    }
}

pub(super) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    let form = match number {
        HASH => Form::Fields { with_ends: false },
        HASH_2 => Form::Fields { with_ends: true },
        HASH_ZIPMAP => Form::Zipmap,
        HASH_ZIPLIST => Form::Ziplist,
        HASH_LISTPACK => Form::Pack,
        _ => return None,
    };
    let (hash, scratch) = (Hash::default(), [const { Vec::new() }; 2]);
    Some(Box::new(Reader { form, left: Left::default(), hash, large: None, scratch }))
}

#[derive(Clone, Copy)]
enum Form {
    Fields { with_ends: bool },
    Zipmap,
    Ziplist,
    Pack,
}

struct Reader {
    form: Form,
    left: Left,
    hash: Hash,
    /// What takes the fields of a hash that is large from the begin.
    large: Option<LargeHashBuilder>,
    scratch: [Vec<u8>; 2],
}

impl CollectionReader for Reader {
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        let limits = input.limits;
        let (hash, damaged) = match self.form {
            Form::Fields { with_ends } => return self.read_field(input, with_ends),
            Form::Zipmap => (of_zipmap(&input.text()?, limits), "Zipmap integrity check failed."),
            Form::Ziplist => {
                let pack = ziplist::to_listpack(&input.text()?);
                (pack.and_then(|pack| of_pack(pack, limits)), "Hash ziplist integrity check failed.")
            }
            Form::Pack => {
                let pack = Listpack::from_bytes(input.text()?.into_owned()).ok();
                (pack.and_then(|pack| of_pack(pack, limits)), "Hash listpack integrity check failed.")
            }
        };
        self.hash = hash.ok_or(Stop::corrupt(damaged))?;
        Ok(true)
    }

    fn take(&mut self) -> Collection {
        std::mem::take(&mut self.hash).into_collection()
    }
}

fn of_pack(pack: Listpack, limits: &Limits) -> Option<Hash> {
    Hash::from_listpack(pack, limits).ok()
}

/// Fields and values one by one: unlike those of later forms, long ones don't stay packed.
fn of_zipmap(bytes: &[u8], limits: &Limits) -> Option<Hash> {
    let pack = zipmap::to_listpack(bytes)?;
    let mut texts = pack.as_ref().iter();
    let mut hash = Hash::default();
    while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
        hash.set(field, value, limits).then_some(())?;
    }
    Some(hash)
}

impl Reader {
    fn read_field(&mut self, input: &mut Input<'_>, with_ends: bool) -> Result<bool, Stop> {
        if self.left.is_count(input)? {
            if with_ends || self.left.count().is_some_and(|count| count > input.limits.hash_entries as u64) {
                self.large = Some(LargeHashBuilder::new(input.limits));
                self.hash = Hash::large(input.limits);
            }
            return Ok(self.left.is_none());
        }
        let [of_field, of_value] = &mut self.scratch;
        let (field, value) = (input.element(of_field)?, input.element(of_value)?);
        let expire_at = if with_ends { read_end(input)? } else { None };
        let value = FieldValue { text: value, expire_at };
        let is_new = match &mut self.large {
            Some(large) => {
                large.push(field, value);
                true
            }
            None => self.hash.put(field, value, input.limits),
        };
        self.left.count_down();
        let has_twins = || Stop::corrupt("Duplicate hash fields detected");
        if self.left.is_none()
            && let Some(large) = self.large.take()
        {
            self.hash = large.finish().ok_or_else(has_twins)?;
        }
        if is_new { Ok(self.left.is_none()) } else { Err(has_twins()) }
    }
}

fn read_end(input: &mut Input<'_>) -> Result<Option<WallMs>, Stop> {
    match i64::from_le_bytes(input.cursor.array()?) {
        STAYS => Ok(None),
        at => {
            u64::try_from(at).map(|at| Some(WallMs(at))).map_err(|_| Stop::corrupt("Hash field with an invalid expiry"))
        }
    }
}
