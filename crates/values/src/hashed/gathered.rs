//! Elements that come in any order and all at once: they are put into the order of hashes first, so that neighbours are put
//! in after each other, or the tree is built of them.

use super::leaf::{Beside, raw_element, write_element};
use super::{Hashed, InOrder};
use crate::listpack::bare;
use crate::text::Str;

/// Bytes of elements that wait to be put in order, at most, but for the last one.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Takes elements in.
pub(crate) struct Gathered<B: Beside> {
    /// Those that were put in order.
    done: Hashed<B>,
    /// The others, as they lie in leaves, one behind the other.
    waiting: Vec<u8>,
    /// The hash of each, and behind it in the lower half where it begins.
    keys: Vec<u64>,
    has_twins: bool,
}

impl<B: Beside> Gathered<B> {
    /// Nothing; names will be hashed under this seed.
    pub(crate) fn new(seed: u64) -> Gathered<B> {
        Gathered { done: Hashed::new(seed), waiting: Vec::new(), keys: Vec::new(), has_twins: false }
    }

    /// Takes an element, and gives the hash of its name. If that is there already, the first one stays.
    pub(crate) fn push(&mut self, name: Str<'_>, beside: B::Of<'_>) -> u32 {
        if self.waiting.len() >= WAITING_BYTES_MAX {
            self.settle();
        }
        let hash = self.done.hash_of(name);
        self.keys.push(u64::from(hash) << 32 | self.waiting.len() as u64);
        write_element::<B>(&mut self.waiting, name, beside);
        hash
    }

    /// All elements, and whether two had the same name.
    pub(crate) fn finish(mut self) -> (Hashed<B>, bool) {
        self.settle();
        (self.done, self.has_twins)
    }

    /// Puts those that wait in order.
    fn settle(&mut self) {
        self.keys.sort_unstable();
        let waiting = &self.waiting;
        let elements =
            self.keys.drain(..).map(|key| ((key >> 32) as u32, raw_element::<B>(waiting, key as u32 as usize)));
        if self.done.len() == 0 {
            let mut tree = InOrder::default();
            for (hash, element) in elements {
                if tree.holds(hash, element) {
                    self.has_twins = true;
                } else {
                    tree.push(hash, element);
                }
            }
            self.done.tree = tree.into_tree();
        } else {
            for (hash, element) in elements {
                let (name, beside) = bare::read(element, 0);
                let is_new = self.done.tree.edit_found(
                    |begin| *begin <= hash,
                    |leaf| leaf.get(hash, name).is_none() && leaf.insert(hash, name, B::read(element, beside).0),
                );
                self.has_twins |= !is_new;
            }
        }
        self.waiting.clear();
    }
}
