//! Sets (rdb 4: types 2, 11 and 20; 5.1, 5.2).

use baton_values::{Collection, CollectionType as _, Intset, LargeSetBuilder, Listpack, Set, SetRef};

use super::{CollectionReader, Input, Left};
use crate::cursor::Stop;
use crate::encode::{StringEncoder, push_length};
use crate::format::VersionTarget;

const SET: u8 = 2;
const SET_INTSET: u8 = 11;
const SET_LISTPACK: u8 = 20;

/// Versions before this one have no listpacks of sets.
const LISTPACK_SINCE: u16 = 11;

/// What a set is written as.
pub(super) fn type_written(set: SetRef<'_>, target: VersionTarget) -> u8 {
    match set {
        SetRef::Ints(_) => SET_INTSET,
        SetRef::Packed(_) if target.number() >= LISTPACK_SINCE => SET_LISTPACK,
        SetRef::Packed(_) | SetRef::Large(_) => SET,
    }
}

pub(super) fn push(out: &mut Vec<u8>, strings: &mut StringEncoder, set: SetRef<'_>, target: VersionTarget) {
    match set {
        SetRef::Ints(ints) => strings.bytes(out, ints.bytes()),
        SetRef::Packed(pack) if target.number() >= LISTPACK_SINCE => strings.bytes(out, pack.bytes()),
        SetRef::Packed(_) | SetRef::Large(_) => {
            push_length(out, set.len());
            set.iter().for_each(|member| strings.string(out, member));
        }
    }
}

pub(super) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    let form = match number {
        SET => Form::Members,
        SET_INTSET => Form::Ints,
        SET_LISTPACK => Form::Pack,
        _ => return None,
    };
    Some(Box::new(Reader { form, left: Left::default(), set: Set::default(), large: None, scratch: Vec::new() }))
}

#[derive(Clone, Copy)]
enum Form {
    Members,
    Ints,
    Pack,
}

struct Reader {
    form: Form,
    left: Left,
    set: Set,
    /// What takes the members of a set that is large from the begin.
    large: Option<LargeSetBuilder>,
    scratch: Vec<u8>,
}

impl CollectionReader for Reader {
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        match self.form {
            Form::Members => return self.read_member(input),
            Form::Ints => {
                let ints = Intset::from_bytes(input.text()?.into_owned()).ok().filter(|ints| !ints.as_ref().is_empty());
                let ints = ints.ok_or(Stop::corrupt("Intset integrity check failed."))?;
                self.set = Set::from_intset(ints, input.limits);
            }
            Form::Pack => {
                let set = Listpack::from_bytes(input.text()?.into_owned())
                    .and_then(|pack| Set::from_listpack(pack, input.limits));
                self.set = set.map_err(|_| Stop::corrupt("Set listpack integrity check failed."))?;
            }
        }
        Ok(true)
    }

    fn take(&mut self) -> Collection {
        std::mem::take(&mut self.set).into_collection()
    }
}

impl Reader {
    fn read_member(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        if self.left.is_count(input)? {
            if self.left.count().is_some_and(|count| count > input.limits.set_ints as u64) {
                self.large = Some(LargeSetBuilder::new(input.limits));
            }
            return Ok(self.left.is_none());
        }
        let member = input.element(&mut self.scratch)?;
        let is_new = match &mut self.large {
            Some(large) => {
                large.push(member);
                true
            }
            None => self.set.add(member, input.limits),
        };
        self.left.count_down();
        let has_twins = || Stop::corrupt("Duplicate set members detected");
        if self.left.is_none()
            && let Some(large) = self.large.take()
        {
            self.set = large.finish().ok_or_else(has_twins)?;
        }
        if is_new { Ok(self.left.is_none()) } else { Err(has_twins()) }
    }
}
