//! Sets put together: unions, and the members of one that are in others or not. Large sets are all in one order, that of
//! hashes, so it is walking through them side by side.

use super::{LargeSet, Set, SetRef};
use crate::hashed::{Follower, Gathered, Nothing};
use crate::limits::Limits;
use crate::text::Str;

/// How many times smaller a set has to be for its members to be put into another one by one, or taken out.
const FEW: u64 = 8;

impl Set {
    /// The set with these members, as it becomes when they are added one by one.
    pub fn of_members<'m>(members: impl Iterator<Item = Str<'m>>, limits: &Limits) -> Set {
        let mut set = Set::default();
        let mut members = members;
        let small_max = limits.set_entries.max(limits.set_ints) as u64;
        while set.len() <= small_max {
            match members.next() {
                Some(member) => set.add(member, limits),
                None => return set,
            };
        }
        let mut rest = Gathered::new(limits.seed);
        members.for_each(|member| {
            rest.push(member, ());
        });
        set.add_all(SetRef::Large(&LargeSet(rest.finish().0)), limits);
        set
    }

    /// Adds all members of another set. If both are large, what comes out is too.
    pub fn add_all(&mut self, other: SetRef<'_>, limits: &Limits) {
        match (&mut *self, other) {
            (Set::Large(own), SetRef::Large(more)) if more.len() > own.len() / FEW => {
                own.0 = own.0.merged(&more.0);
            }
            _ => other.iter().for_each(|member| {
                self.add(member, limits);
            }),
        }
    }
}

impl<'a> SetRef<'a> {
    /// The members that are in all the others as well, in the order of ranks.
    pub fn common_with(self, others: &[SetRef<'a>]) -> impl Iterator<Item = Str<'a>> {
        self.sifted(others, |mut others, hash, member| others.all(|other| other.holds(hash, member)))
    }

    /// The members that are in none of the others, in the order of ranks.
    pub fn without(self, others: &[SetRef<'a>]) -> impl Iterator<Item = Str<'a>> {
        self.sifted(others, |mut others, hash, member| !others.any(|other| other.holds(hash, member)))
    }

    fn sifted(
        self,
        others: &[SetRef<'a>],
        stays: impl Fn(std::slice::IterMut<'_, Other<'a>>, u32, Str<'a>) -> bool,
    ) -> impl Iterator<Item = Str<'a>> {
        let is_large = matches!(self, SetRef::Large(_));
        let mut others: Vec<Other<'a>> = others
            .iter()
            .map(|other| match other {
                SetRef::Large(large) if is_large => Other::Followed(Follower::new(&large.0)),
                other => Other::Asked(*other),
            })
            .collect();
        self.iter_hashed()
            .filter(move |(hash, member)| stays(others.iter_mut(), *hash, *member))
            .map(|(_, member)| member)
    }

    /// All members, with their hashes if it is large.
    fn iter_hashed(self) -> impl Iterator<Item = (u32, Str<'a>)> {
        let (small, large) = match self {
            SetRef::Large(large) => (None, Some(large)),
            small => (Some(small), None),
        };
        let small = small.into_iter().flat_map(SetRef::iter).map(|member| (0, member));
        small
            .chain(large.into_iter().flat_map(|large| large.0.iter_hashed()).map(|(hash, (member, ()))| (hash, member)))
    }
}

/// Another set, where the hashes that are asked for ascend.
enum Other<'a> {
    Followed(Follower<'a, Nothing>),
    Asked(SetRef<'a>),
}

impl Other<'_> {
    fn holds(&mut self, hash: u32, member: Str<'_>) -> bool {
        match self {
            Other::Followed(follower) => follower.holds(hash, member),
            Other::Asked(set) => set.contains(member),
        }
    }
}

/// Makes a large set of members that come in any order.
pub struct LargeSetBuilder(Gathered<Nothing>);

impl LargeSetBuilder {
    /// No members.
    pub fn new(limits: &Limits) -> LargeSetBuilder {
        LargeSetBuilder(Gathered::new(limits.seed))
    }

    /// Takes a member, given as [`Str::of`] makes it.
    pub fn push(&mut self, member: Str<'_>) {
        self.0.push(member, ());
    }

    /// The set, in the large form; none if a member came twice.
    pub fn finish(self) -> Option<Set> {
        let (members, has_twins) = self.0.finish();
        (!has_twins).then(|| Set::Large(LargeSet(members)))
    }
}
