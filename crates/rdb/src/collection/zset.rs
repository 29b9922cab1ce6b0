//! Sorted sets (rdb 4: types 3, 5, 12 and 17).

use baton_base::num;
use baton_values::{Collection, CollectionType as _, ScoredBatch, ZSet, ZSetRef};

use super::{CollectionReader, Input, Left};
use crate::cursor::Stop;
use crate::encode::{StringEncoder, push_length};
use crate::old::ziplist;

const ZSET: u8 = 3;
const ZSET_2: u8 = 5;
const ZSET_ZIPLIST: u8 = 12;
const ZSET_LISTPACK: u8 = 17;

/// Bytes of elements that are put in together, about.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// Lengths of score texts that are no lengths.
mod text_length {
    pub(super) const NAN: u8 = 253;
    pub(super) const INFINITE: u8 = 254;
    pub(super) const INFINITE_BELOW: u8 = 255;
}

/// What a sorted set is written as.
pub(super) fn type_number(zset: ZSetRef<'_>) -> u8 {
    match zset {
        ZSetRef::Packed(_) => ZSET_LISTPACK,
        ZSetRef::Large(_) => ZSET_2,
    }
}

pub(super) fn push(out: &mut Vec<u8>, strings: &mut StringEncoder, zset: ZSetRef<'_>) {
    match zset {
        ZSetRef::Packed(pack) => strings.bytes(out, pack.bytes()),
        ZSetRef::Large(_) => {
            push_length(out, zset.len());
            for element in zset.iter_back_from(zset.len()) {
                strings.bytes(out, element.member.bytes(&mut itoa::Buffer::new()));
                out.extend_from_slice(&element.score.to_le_bytes());
            }
        }
    }
}

pub(super) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    let parts = match number {
        ZSET => Parts::TextScores,
        ZSET_2 => Parts::BinaryScores,
        ZSET_ZIPLIST => Parts::Ziplist,
        ZSET_LISTPACK => Parts::Listpack,
        _ => return None,
    };
    Some(Box::new(Reader { parts, left: Left::default(), zset: ZSet::default(), batch: None }))
}

#[derive(Clone, Copy)]
enum Parts {
    TextScores,
    BinaryScores,
    Ziplist,
    Listpack,
}

struct Reader {
    parts: Parts,
    left: Left,
    zset: ZSet,
    /// Elements that are not in the sorted set yet.
    batch: Option<ScoredBatch>,
}

impl CollectionReader for Reader {
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        if matches!(self.parts, Parts::Ziplist | Parts::Listpack) {
            self.read_pack(input)?;
            return Ok(true);
        }
        if self.left.is_count(input)? {
            return Ok(self.left.is_none());
        }
        let member = input.text()?;
        let score = match self.parts {
            Parts::TextScores => text_score(input)?,
            _ => f64::from_le_bytes(input.cursor.array()?),
        };
        if score.is_nan() {
            return Err(Stop::corrupt("Zset with NAN score detected"));
        }
        let batch = self.batch.get_or_insert_with(|| ScoredBatch::new(input.limits));
        batch.push(&member, score);
        self.left.count_down();
        if (self.left.is_none() || batch.heap_bytes() > BATCH_BYTES_MAX)
            && let Some(batch) = self.batch.take()
            && !self.zset.take_in(batch, input.limits)
        {
            return Err(Stop::corrupt("Zset with duplicate fields detected"));
        }
        Ok(self.left.is_none())
    }

    fn take(&mut self) -> Collection {
        std::mem::take(&mut self.zset).into_collection()
    }
}

impl Reader {
    fn read_pack(&mut self, input: &mut Input<'_>) -> Result<(), Stop> {
        let blob = input.text()?;
        if matches!(self.parts, Parts::Listpack) {
            let zset = ZSet::from_pack(blob.into_owned(), input.limits);
            self.zset = zset.map_err(|_| Stop::corrupt("Zset listpack integrity check failed."))?;
            return Ok(());
        }
        let damaged = || Stop::corrupt("Zset ziplist integrity check failed.");
        let pack = ziplist::to_listpack(&blob).ok_or_else(damaged)?;
        self.zset = ZSet::from_pack(pack.into_bytes(), input.limits).map_err(|_| damaged())?;
        Ok(())
    }
}

/// A score as one byte of length and so many characters.
fn text_score(input: &mut Input<'_>) -> Result<f64, Stop> {
    match input.cursor.byte()? {
        text_length::NAN => Ok(f64::NAN),
        text_length::INFINITE => Ok(f64::INFINITY),
        text_length::INFINITE_BELOW => Ok(f64::NEG_INFINITY),
        length => {
            let text = input.plain(usize::from(length))?;
            num::parse_f64(text).ok_or_else(|| Stop::corrupt("Zset with a score that is no number"))
        }
    }
}
