//! A short text for every slot that hashes to it, so that whatever routes by hash tag can be sent to any slot. Decides
//! nothing about who serves a slot.

use crate::slot::{Slot, crc16};

/// The letters of tags, in the order in which they are tried.
const LETTERS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// With three letters every slot has a tag; the tests count them.
const LETTERS_MAX: usize = 3;

/// For each slot the first of its tags: shorter ones come before longer ones, then the order of the letters counts. These
/// are the very texts that Valkey 9.1.2 uses (observed for all slots).
#[derive(Debug)]
pub struct SlotTags(Box<[Tag]>);

#[derive(Clone, Copy, Debug, Default)]
struct Tag {
    letters: [u8; LETTERS_MAX],
    len: u8,
}

impl SlotTags {
    /// Finds them all, which takes about a millisecond.
    pub fn new() -> SlotTags {
        let mut tags = vec![Tag::default(); Slot::COUNT].into_boxed_slice();
        let mut missing = Slot::COUNT;
        let mut length = vec![Tag::default()];
        while missing > 0 && length.len() <= LETTERS.len().pow(LETTERS_MAX as u32 - 1) {
            length = length.iter().flat_map(|tag| LETTERS.iter().map(|letter| tag.followed_by(*letter))).collect();
            for tag in &length {
                let found = &mut tags[usize::from(crc16(tag.text())) % Slot::COUNT];
                if found.len == 0 {
                    *found = *tag;
                    missing -= 1;
                }
            }
        }
        SlotTags(tags)
    }

    /// The tag of a slot, without braces.
    pub fn of(&self, slot: Slot) -> &[u8] {
        self.0[slot.index()].text()
    }
}

impl Default for SlotTags {
    fn default() -> Self {
        SlotTags::new()
    }
}

impl Tag {
    fn text(&self) -> &[u8] {
        &self.letters[..usize::from(self.len)]
    }

    fn followed_by(mut self, letter: u8) -> Tag {
        self.letters[usize::from(self.len)] = letter;
        self.len += 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_tag_that_hashes_to_it() {
        let tags = SlotTags::new();
        assert!(Slot::all().all(|slot| !tags.of(slot).is_empty() && Slot::of_key(tags.of(slot)) == slot));
        let short = Slot::all().filter(|slot| tags.of(*slot).len() < LETTERS_MAX).count();
        assert_eq!(short, 62 + 3448);
    }

    #[test]
    fn tags_are_those_that_were_observed() {
        let tags = SlotTags::new();
        for (slot, tag) in
            [(0, "06S"), (1, "Qi"), (2, "5L5"), (50, "4ZG"), (80, "avs"), (89, "b4e"), (9000, "1F4"), (16383, "6ZJ")]
        {
            assert_eq!(tags.of(Slot::new(slot).unwrap()), tag.as_bytes(), "{slot}");
        }
    }
}
