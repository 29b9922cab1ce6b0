//! Sets: integers in order while there is nothing else, one listpack while they are small, and elements in the order of
//! hashes from there on.

mod intset;
mod several;

use crate::ahead::Fetch;
use crate::hashed::{Hashed, Nothing};
use crate::limits::{Limits, PACK_BYTES_MAX};
use crate::listpack::{Damaged, Listpack, ListpackRef};
use crate::text::Str;
use crate::value::Value;

pub use intset::{Intset, IntsetRef};
pub use several::LargeSetBuilder;

/// A set. Members are told from each other by their canonical form, so all texts are to be given as [`Str::of`] makes them.
#[derive(Clone)]
pub enum Set {
    /// Integers only.
    Ints(Intset),
    /// All members in one listpack, in the order in which they came.
    Packed(Listpack),
    /// Many members, or large ones.
    Large(LargeSet),
}

/// A set too large for a listpack.
#[derive(Clone)]
pub struct LargeSet(Hashed<Nothing>);

impl LargeSet {
    fn len(&self) -> u64 {
        self.0.len()
    }

    /// Asks for what looking for these members will touch.
    pub(crate) fn fetch_elements<'n>(&self, members: impl Iterator<Item = Str<'n>>, fetch: impl Fetch) {
        self.0.fetch_ahead(members, fetch);
    }
}

/// A borrowed set.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    /// Integers only.
    Ints(IntsetRef<'a>),
    /// All members in one listpack.
    Packed(ListpackRef<'a>),
    /// Many members, or large ones.
    Large(&'a LargeSet),
}

/// Integers in an intset, at most, whatever the setting says.
const INTS_MAX: usize = 1 << 30;

impl Default for Set {
    fn default() -> Self {
        Set::Ints(Intset::default())
    }
}

impl Set {
    /// A set without members in the large form.
    pub fn large(limits: &Limits) -> Set {
        Set::Large(LargeSet(Hashed::new(limits.seed)))
    }

    /// The set that a listpack from a file is.
    ///
    /// # Errors
    /// If a member is there twice.
    pub fn from_listpack(pack: Listpack, limits: &Limits) -> Result<Set, Damaged> {
        if pack.as_ref().has_twins(1) {
            return Err(Damaged);
        }
        let is_large = pack.as_ref().len() > limits.set_entries;
        let mut set = Set::Packed(pack);
        if is_large {
            set.make_large(limits);
        }
        Ok(set)
    }

    /// The set that an intset from a file is.
    pub fn from_intset(ints: Intset, limits: &Limits) -> Set {
        let is_large = ints.as_ref().len() > limits.set_ints;
        let mut set = Set::Ints(ints);
        if is_large {
            set.make_large(limits);
        }
        set
    }

    /// The set for reading.
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Set::Ints(ints) => SetRef::Ints(ints.as_ref()),
            Set::Packed(pack) => SetRef::Packed(pack.as_ref()),
            Set::Large(large) => SetRef::Large(large),
        }
    }

    /// Number of members.
    pub fn len(&self) -> u64 {
        self.as_ref().len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.heap_bytes(),
            Set::Packed(pack) => pack.heap_bytes(),
            Set::Large(large) => large.0.heap_bytes(),
        }
    }

    /// Makes ready for the members that a command names, of which this is the first: its form follows from how many they
    /// are, whether they are there already or not (rdb section 10).
    pub fn expect(&mut self, first: Str<'_>, members: usize, limits: &Limits) {
        match self {
            Set::Ints(ints) if ints.as_ref().is_empty() => {
                let is_ints = matches!(first, Str::Int(_)) && members <= limits.set_ints;
                *self = match members <= limits.set_entries {
                    _ if is_ints => Set::default(),
                    true => Set::Packed(Listpack::new()),
                    false => Set::large(limits),
                };
            }
            Set::Ints(_) if members > limits.set_ints => self.make_large(limits),
            Set::Packed(_) if members > limits.set_entries => self.make_large(limits),
            _ => {}
        }
    }

    /// Adds a member; tells whether it is new.
    pub fn add(&mut self, member: Str<'_>, limits: &Limits) -> bool {
        match (&mut *self, member) {
            (Set::Large(large), _) => return large.0.insert(member, ()),
            (Set::Ints(ints), Str::Int(n)) => {
                let is_new = ints.insert(n);
                if ints.as_ref().len() > limits.set_ints.min(INTS_MAX) {
                    self.make_large(limits);
                }
                return is_new;
            }
            (Set::Ints(ints), Str::Bytes(_)) => {
                if ints.as_ref().longest_text() <= limits.set_value_bytes && self.admits(member, limits) {
                    self.make_packed();
                } else {
                    self.make_large(limits);
                }
            }
            (Set::Packed(pack), _) => {
                if pack.as_ref().find_text(member, 1).is_some() {
                    return false;
                }
                if self.admits(member, limits) {
                    self.push(member);
                    return true;
                }
                self.make_large(limits);
            }
        }
        self.add(member, limits)
    }

    /// Whether a listpack of these members may take in one more.
    fn admits(&self, member: Str<'_>, limits: &Limits) -> bool {
        let bytes = match self {
            Set::Packed(pack) => pack.as_ref().bytes().len(),
            _ => 0,
        };
        self.len() < limits.set_entries as u64
            && member.len() <= limits.set_value_bytes
            && bytes + member.len() < PACK_BYTES_MAX
    }

    fn push(&mut self, member: Str<'_>) {
        if let Set::Packed(pack) = self {
            pack.push(member.bytes(&mut itoa::Buffer::new()));
        }
    }

    /// Removes a member; tells whether it was there.
    pub fn remove(&mut self, member: Str<'_>) -> bool {
        match self {
            Set::Ints(ints) => matches!(member, Str::Int(n) if ints.remove(n)),
            Set::Packed(pack) => {
                let place = pack.as_ref().find_text(member, 1);
                if let Some(place) = place {
                    pack.remove(place, 1);
                }
                place.is_some()
            }
            Set::Large(large) => large.0.remove(member),
        }
    }

    /// Removes the member of a rank, if there is one.
    pub fn remove_at(&mut self, rank: u64) {
        if rank >= self.len() {
            return;
        }
        match self {
            Set::Ints(ints) => ints.remove_at(rank as usize),
            Set::Packed(pack) => {
                if let Some(place) = pack.as_ref().at(rank as usize) {
                    pack.remove(place, 1);
                }
            }
            Set::Large(large) => large.0.remove_at(rank),
        }
    }

    /// Becomes a set of integers if it has nothing else and few enough of them: results of commands do, wherever their
    /// members came from.
    pub fn settle(&mut self, limits: &Limits) {
        let all_ints = || self.as_ref().iter().all(|member| matches!(member, Str::Int(_)));
        if matches!(self, Set::Ints(_)) || self.len() > limits.set_ints.min(INTS_MAX) as u64 || !all_ints() {
            return;
        }
        let mut ints = Intset::default();
        for member in self.as_ref().iter() {
            if let Str::Int(n) = member {
                ints.insert(n);
            }
        }
        *self = Set::Ints(ints);
    }

    fn make_packed(&mut self) {
        let mut packed = Set::Packed(Listpack::new());
        self.as_ref().iter().for_each(|member| packed.push(member));
        *self = packed;
    }

    fn make_large(&mut self, limits: &Limits) {
        let mut large = Hashed::new(limits.seed);
        self.as_ref().iter().for_each(|member| {
            large.insert(member, ());
        });
        *self = Set::Large(LargeSet(large));
    }
}

impl IntsetRef<'_> {
    /// Length of the longest integer when it is written out.
    fn longest_text(self) -> usize {
        let ends = [self.at(0), self.len().checked_sub(1).and_then(|last| self.at(last))];
        ends.into_iter().flatten().map(|n| Str::Int(n).len()).max().unwrap_or(0)
    }
}

impl<'a> SetRef<'a> {
    /// Number of members.
    pub fn len(self) -> u64 {
        match self {
            SetRef::Ints(ints) => ints.len() as u64,
            SetRef::Packed(pack) => pack.len() as u64,
            SetRef::Large(large) => large.0.len(),
        }
    }

    /// Whether it has no members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A set of its own with the same members; nothing of a large one is copied.
    pub fn to_set(self) -> Set {
        match self {
            SetRef::Ints(ints) => Set::Ints(Intset::trusted(ints.bytes().to_vec())),
            SetRef::Packed(pack) => Set::Packed(Listpack::trusted(pack.bytes().to_vec())),
            SetRef::Large(large) => Set::Large(large.clone()),
        }
    }

    /// The name that OBJECT ENCODING replies.
    pub fn encoding(self) -> &'static str {
        match self {
            SetRef::Ints(_) => "intset",
            SetRef::Packed(_) => "listpack",
            SetRef::Large(_) => "hashtable",
        }
    }

    /// Whether a text is a member.
    pub fn contains(self, member: Str<'_>) -> bool {
        match self {
            SetRef::Ints(ints) => matches!(member, Str::Int(n) if ints.contains(n)),
            SetRef::Packed(pack) => pack.find_text(member, 1).is_some(),
            SetRef::Large(large) => large.0.get(member).is_some(),
        }
    }

    /// The member of a rank: integers are in ascending order, members of a listpack in the order in which they came, others in
    /// an order that means nothing.
    pub fn at(self, rank: u64) -> Option<Str<'a>> {
        let index = usize::try_from(rank).ok()?;
        match self {
            SetRef::Ints(ints) => ints.at(index).map(Str::Int),
            SetRef::Packed(pack) => pack.at(index).map(|place| pack.get(place)),
            SetRef::Large(large) => large.0.at(rank).map(|(member, ())| member),
        }
    }

    /// All members, in the order of ranks.
    pub fn iter(self) -> impl Iterator<Item = Str<'a>> {
        self.iter_from(0)
    }

    /// The members from a rank on.
    pub fn iter_from(self, rank: u64) -> impl Iterator<Item = Str<'a>> {
        let skipped = usize::try_from(rank).unwrap_or(usize::MAX);
        let (ints, pack, large) = match self {
            SetRef::Ints(ints) => (Some(ints), None, None),
            SetRef::Packed(pack) => (None, Some(pack), None),
            SetRef::Large(large) => (None, None, Some(large)),
        };
        let ints = ints.into_iter().flat_map(move |ints| ints.iter_from(skipped)).map(Str::Int);
        let pack = pack.into_iter().flat_map(move |pack| pack.iter().skip(skipped));
        let large = large.into_iter().flat_map(move |large| large.0.iter_from(rank)).map(|(member, ())| member);
        ints.chain(pack).chain(large)
    }

    /// Visits members from a cursor on, about `count` of a large set and all of a small one. Gives the cursor to go on with, 0
    /// at the end; 0 is also where to begin. What is a member from the first visit to the last is visited, and once.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(Str<'a>)) -> u64 {
        match self {
            SetRef::Large(large) => large.0.scan(cursor, count, |(member, ())| visit(member)),
            small => {
                small.iter().for_each(visit);
                0
            }
        }
    }
}

impl<'a> From<SetRef<'a>> for Value<'a> {
    fn from(set: SetRef<'a>) -> Value<'a> {
        Value::Set(set)
    }
}

impl PartialEq for SetRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains(member))
    }
}

impl std::fmt::Debug for SetRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
