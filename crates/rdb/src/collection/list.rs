//! Lists (rdb 4: types 1, 10, 14 and 18; 5.1, 5.3).

use baton_values::{Collection, CollectionType as _, List, ListRef, Listpack};

use super::{CollectionReader, Input, Left};
use crate::cursor::Stop;
use crate::encode::{StringEncoder, push_length};
use crate::old::ziplist;

const LIST: u8 = 1;
const LIST_ZIPLIST: u8 = 10;
const LIST_QUICKLIST: u8 = 14;
const LIST_QUICKLIST_2: u8 = 18;

/// What lists are written as.
pub(super) const TYPE_WRITTEN: u8 = LIST_QUICKLIST_2;

/// A node that is one element, as it is.
const PLAIN: u64 = 1;
/// A node that is a listpack.
const PACKED: u64 = 2;

pub(super) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    let (parts, left) = match number {
        LIST => (Parts::Elements, Left::default()),
        LIST_ZIPLIST => (Parts::Ziplists, Left::of(1)),
        LIST_QUICKLIST => (Parts::Ziplists, Left::default()),
        LIST_QUICKLIST_2 => (Parts::Nodes, Left::default()),
        _ => return None,
    };
    Some(Box::new(Reader { parts, left, list: List::default() }))
}

pub(super) fn push(out: &mut Vec<u8>, strings: &mut StringEncoder, list: ListRef<'_>) {
    push_length(out, list.packs().count() as u64);
    for pack in list.packs() {
        push_length(out, PACKED);
        strings.bytes(out, pack.bytes());
    }
}

#[derive(Clone, Copy)]
enum Parts {
    Elements,
    Ziplists,
    Nodes,
}

struct Reader {
    parts: Parts,
    left: Left,
    list: List,
}

impl CollectionReader for Reader {
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        if self.left.is_count(input)? {
            return Ok(self.left.is_none());
        }
        match self.parts {
            Parts::Elements => self.push(&input.text()?, input),
            Parts::Ziplists => {
                let pack = ziplist::to_listpack(&input.text()?);
                let pack = pack.ok_or_else(|| Stop::corrupt("Ziplist integrity check failed."))?;
                self.list.append_pack(pack, input.limits);
            }
            Parts::Nodes => self.read_node(input)?,
        }
        self.left.count_down();
        Ok(self.left.is_none())
    }

    fn take(&mut self) -> Collection {
        std::mem::take(&mut self.list).into_collection()
    }
}

impl Reader {
    fn push(&mut self, element: &[u8], input: &Input<'_>) {
        self.list.expect(1, element.len(), input.limits);
        self.list.push_back(element);
    }

    fn read_node(&mut self, input: &mut Input<'_>) -> Result<(), Stop> {
        match input.length()? {
            PLAIN => {
                let element = input.text()?;
                self.push(&element, input);
            }
            PACKED => {
                let pack = Listpack::from_bytes(input.text()?.into_owned());
                let pack = pack.map_err(|_| Stop::corrupt("Listpack integrity check failed."))?;
                self.list.append_pack(pack, input.limits);
            }
            _ => return Err(Stop::corrupt("Quicklist integrity check failed.")),
        }
        Ok(())
    }
}
