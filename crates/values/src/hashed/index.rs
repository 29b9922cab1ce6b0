//! Which element of a leaf has which hash and where it begins, in the order of hashes: in one piece of memory first all
//! hashes, so that they are looked through side by side, then all places. It never looks at elements.

use std::ops::Range;

use crate::ahead::{Fetch, fetch_all};
use crate::room::{give_room_back, make_room};

const HASH_BYTES: usize = size_of::<u32>();
const START_BYTES: usize = size_of::<u16>();
/// Bytes of an entry.
const ENTRY_BYTES: usize = HASH_BYTES + START_BYTES;

/// Hashes and places.
#[derive(Clone, Default)]
pub(super) struct Index {
    bytes: Vec<u8>,
}

impl Index {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / ENTRY_BYTES
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    #[inline]
    fn hashes(&self) -> &[[u8; HASH_BYTES]] {
        self.bytes[..HASH_BYTES * self.len()].as_chunks().0
    }

    /// The hash of an entry.
    #[inline]
    pub(super) fn hash(&self, at: usize) -> Option<u32> {
        self.hashes().get(at).map(|hash| u32::from_le_bytes(*hash))
    }

    /// Where the element of an entry begins.
    #[inline]
    pub(super) fn start(&self, at: usize) -> u16 {
        let starts = self.bytes[HASH_BYTES * self.len()..].as_chunks().0;
        u16::from_le_bytes(starts[at])
    }

    /// The first entry whose hash is not below this one. All are compared, as that takes no longer than to find out where to
    /// go on.
    #[inline]
    pub(super) fn first(&self, hash: u32) -> usize {
        // Counted in words as wide as hashes, so that four are compared and counted by one step each.
        self.hashes().iter().map(|own| u32::from(u32::from_le_bytes(*own) < hash)).sum::<u32>() as usize
    }

    /// Asks for all of it.
    #[inline]
    pub(super) fn fetch(&self, fetch: impl Fetch) {
        fetch_all(&self.bytes[..], fetch);
    }

    /// Room for so many more.
    pub(super) fn make_room(&mut self, more: usize) {
        make_room(&mut self.bytes, ENTRY_BYTES * more);
    }

    /// Puts an entry where its hash belongs.
    pub(super) fn insert(&mut self, at: usize, hash: u32, start: u16) {
        self.make_room(1);
        let (hashes, old) = (HASH_BYTES * self.len(), self.bytes.len());
        let place = hashes + START_BYTES * at;
        self.bytes.resize(old + ENTRY_BYTES, 0);
        self.bytes.copy_within(place..old, place + ENTRY_BYTES);
        self.bytes.copy_within(HASH_BYTES * at..place, HASH_BYTES * (at + 1));
        self.bytes[HASH_BYTES * at..][..HASH_BYTES].copy_from_slice(&hash.to_le_bytes());
        self.bytes[place + HASH_BYTES..][..START_BYTES].copy_from_slice(&start.to_le_bytes());
    }

    /// Removes entries.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        let hashes = HASH_BYTES * self.len();
        self.bytes.drain(hashes + START_BYTES * range.start..hashes + START_BYTES * range.end);
        self.bytes.drain(HASH_BYTES * range.start..HASH_BYTES * range.end);
    }

    /// Moves the places that are not before this one so much towards the front.
    pub(super) fn pull(&mut self, from: usize, by: usize) {
        let hashes = HASH_BYTES * self.len();
        for start in self.bytes[hashes..].as_chunks_mut().0 {
            let place = u16::from_le_bytes(*start);
            if usize::from(place) >= from {
                *start = (place - by as u16).to_le_bytes();
            }
        }
    }

    pub(super) fn give_room_back(&mut self) {
        give_room_back(&mut self.bytes);
    }

    /// What it has, with no more room than that needs; it keeps its own.
    pub(super) fn pour_out(&mut self) -> Index {
        let mut poured = Index::default();
        make_room(&mut poured.bytes, self.bytes.len());
        poured.bytes.append(&mut self.bytes);
        poured
    }
}
