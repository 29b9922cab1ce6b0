//! Hashes (rdb 4: types 4, 9, 13 and 16; 5.1, 5.3, 5.4).

use baton_values::{Collection, CollectionType as _, Hash, HashRef, Limits, Listpack, Str};

use super::{CollectionReader, Input, Left};
use crate::cursor::Stop;
use crate::encode::{StringEncoder, push_length};
use crate::old::{ziplist, zipmap};

const HASH: u8 = 4;
const HASH_ZIPMAP: u8 = 9;
const HASH_ZIPLIST: u8 = 13;
const HASH_LISTPACK: u8 = 16;

/// What a hash is written as.
pub(super) fn type_written(hash: HashRef<'_>) -> u8 {
    match hash {
        HashRef::Packed(_) => HASH_LISTPACK,
        HashRef::Large(_) => HASH,
    }
}

pub(super) fn push(out: &mut Vec<u8>, strings: &mut StringEncoder, hash: HashRef<'_>) {
    match hash {
        HashRef::Packed(pack) => strings.bytes(out, pack.bytes()),
        HashRef::Large(_) => {
            push_length(out, hash.len());
            for (field, value) in hash.iter() {
                strings.string(out, field);
                strings.string(out, value);
            }
        }
    }
}

pub(super) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    let form = match number {
        HASH => Form::Fields,
        HASH_ZIPMAP => Form::Zipmap,
        HASH_ZIPLIST => Form::Ziplist,
        HASH_LISTPACK => Form::Pack,
        _ => return None,
    };
    Some(Box::new(Reader { form, left: Left::default(), hash: Hash::default() }))
}

#[derive(Clone, Copy)]
enum Form {
    Fields,
    Zipmap,
    Ziplist,
    Pack,
}

struct Reader {
    form: Form,
    left: Left,
    hash: Hash,
}

impl CollectionReader for Reader {
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        let limits = input.limits;
        let (hash, damaged) = match self.form {
            Form::Fields => return self.read_field(input),
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
    fn read_field(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        if self.left.is_count(input)? {
            if self.left.count().is_some_and(|count| count > input.limits.hash_entries as u64) {
                self.hash = Hash::large(input.limits);
            }
            return Ok(self.left.is_none());
        }
        let (field, value) = (input.text()?, input.text()?);
        if !self.hash.set(Str::of(&field), Str::of(&value), input.limits) {
            return Err(Stop::corrupt("Duplicate hash fields detected"));
        }
        self.left.count_down();
        Ok(self.left.is_none())
    }
}
