//! A value of any type: borrowed as [`Value`], owned as [`Collection`], and as the packed bytes that small collections are.

use baton_base::WallMs;

use crate::fields::{Hash, HashRef};
use crate::list::{List, ListRef};
use crate::listpack::{Listpack, ListpackRef};
use crate::set::{Intset, IntsetRef, Set, SetRef};
use crate::stream::Stream;
use crate::text::Str;
use crate::zset::{ZSet, ZSetRef};

/// A borrowed value of any type. Two are equal if they have the same type and elements.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A string.
    Str(Str<'a>),
    /// A list.
    List(ListRef<'a>),
    /// A set.
    Set(SetRef<'a>),
    /// A hash.
    Hash(HashRef<'a>),
    /// A sorted set.
    ZSet(ZSetRef<'a>),
    /// A stream.
    Stream(&'a Stream),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    ZSet,
    /// A stream.
    Stream,
}

/// A value of its own, of any type but string.
#[derive(Clone)]
#[non_exhaustive]
pub enum Collection {
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    ZSet(ZSet),
    /// A stream.
    Stream(Stream),
}

/// What the bytes of a packed collection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PackedKind {
    /// A list as a listpack.
    List = 1,
    /// A set of integers.
    Ints = 2,
    /// A set as a listpack.
    Set = 3,
    /// A hash as a listpack of fields and values.
    Hash = 4,
    /// A sorted set as a listpack of members and scores.
    ZSet = 5,
}

/// One of the types of collections.
pub trait CollectionType: Default + Clone {
    /// Its kind.
    const KIND: ValueKind;

    /// It as a collection of any type.
    fn into_collection(self) -> Collection;

    /// It, if that is what the collection is.
    fn from_collection(collection: Collection) -> Option<Self>;

    /// It for change, if that is what the collection is.
    fn of(collection: &mut Collection) -> Option<&mut Self>;

    /// Whether a key that holds it is removed: most collections exist only as long as they have an element.
    fn is_gone(&self) -> bool;
}

impl CollectionType for List {
    const KIND: ValueKind = ValueKind::List;

    fn into_collection(self) -> Collection {
        Collection::List(self)
    }

    fn from_collection(collection: Collection) -> Option<List> {
        match collection {
            Collection::List(list) => Some(list),
            _ => None,
        }
    }

    fn of(collection: &mut Collection) -> Option<&mut List> {
        match collection {
            Collection::List(list) => Some(list),
            _ => None,
        }
    }

    fn is_gone(&self) -> bool {
        self.is_empty()
    }
}

impl CollectionType for Set {
    const KIND: ValueKind = ValueKind::Set;

    fn into_collection(self) -> Collection {
        Collection::Set(self)
    }

    fn from_collection(collection: Collection) -> Option<Set> {
        match collection {
            Collection::Set(set) => Some(set),
            _ => None,
        }
    }

    fn of(collection: &mut Collection) -> Option<&mut Set> {
        match collection {
            Collection::Set(set) => Some(set),
            _ => None,
        }
    }

    fn is_gone(&self) -> bool {
        self.is_empty()
    }
}

impl CollectionType for Hash {
    const KIND: ValueKind = ValueKind::Hash;

    fn into_collection(self) -> Collection {
        Collection::Hash(self)
    }

    fn from_collection(collection: Collection) -> Option<Hash> {
        match collection {
            Collection::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn of(collection: &mut Collection) -> Option<&mut Hash> {
        match collection {
            Collection::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn is_gone(&self) -> bool {
        self.is_empty()
    }
}

impl CollectionType for ZSet {
    const KIND: ValueKind = ValueKind::ZSet;

    fn into_collection(self) -> Collection {
        Collection::ZSet(self)
    }

    fn from_collection(collection: Collection) -> Option<ZSet> {
        match collection {
            Collection::ZSet(zset) => Some(zset),
            _ => None,
        }
    }

    fn of(collection: &mut Collection) -> Option<&mut ZSet> {
        match collection {
            Collection::ZSet(zset) => Some(zset),
            _ => None,
        }
    }

    fn is_gone(&self) -> bool {
        self.is_empty()
    }
}

impl CollectionType for Stream {
    const KIND: ValueKind = ValueKind::Stream;

    fn into_collection(self) -> Collection {
        Collection::Stream(self)
    }

    fn from_collection(collection: Collection) -> Option<Stream> {
        match collection {
            Collection::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn of(collection: &mut Collection) -> Option<&mut Stream> {
        match collection {
            Collection::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// A stream without entries still has its ids and groups.
    fn is_gone(&self) -> bool {
        false
    }
}

impl<'a> Value<'a> {
    /// Its type.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Str(_) => ValueKind::String,
            Value::List(_) => ValueKind::List,
            Value::Set(_) => ValueKind::Set,
            Value::Hash(_) => ValueKind::Hash,
            Value::ZSet(_) => ValueKind::ZSet,
            Value::Stream(_) => ValueKind::Stream,
        }
    }

    /// The value that these packed bytes are; they came from [`Collection::packed`].
    #[inline]
    pub fn from_packed(kind: PackedKind, bytes: &'a [u8]) -> Value<'a> {
        match kind {
            PackedKind::List => Value::List(ListRef::Packed(ListpackRef::trusted(bytes))),
            PackedKind::Ints => Value::Set(SetRef::Ints(IntsetRef::trusted(bytes))),
            PackedKind::Set => Value::Set(SetRef::Packed(ListpackRef::trusted(bytes))),
            PackedKind::Hash => Value::Hash(HashRef::Packed(ListpackRef::trusted(bytes))),
            PackedKind::ZSet => Value::ZSet(ZSetRef::Packed(ListpackRef::trusted(bytes))),
        }
    }

    /// When the first of its elements ends, if any does: only fields of hashes may.
    pub fn next_due(&self) -> Option<WallMs> {
        match self {
            Value::Hash(hash) => hash.next_due(),
            _ => None,
        }
    }

    /// A collection of its own with the same elements; none for a string. Nothing of a large one is copied.
    pub fn to_collection(self) -> Option<Collection> {
        match self {
            Value::Str(_) => None,
            Value::List(list) => Some(Collection::List(list.to_list())),
            Value::Set(set) => Some(Collection::Set(set.to_set())),
            Value::Hash(hash) => Some(Collection::Hash(hash.to_hash())),
            Value::ZSet(zset) => Some(Collection::ZSet(zset.to_zset())),
            Value::Stream(stream) => Some(Collection::Stream(stream.clone())),
        }
    }
}

impl ValueKind {
    /// The name that TYPE replies.
    pub fn name(self) -> &'static str {
        match self {
            ValueKind::String => "string",
            ValueKind::List => "list",
            ValueKind::Set => "set",
            ValueKind::Hash => "hash",
            ValueKind::ZSet => "zset",
            ValueKind::Stream => "stream",
        }
    }
}

impl Collection {
    /// It for reading.
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Collection::List(list) => Value::List(list.as_ref()),
            Collection::Set(set) => Value::Set(set.as_ref()),
            Collection::Hash(hash) => Value::Hash(hash.as_ref()),
            Collection::ZSet(zset) => Value::ZSet(zset.as_ref()),
            Collection::Stream(stream) => Value::Stream(stream),
        }
    }

    /// Its bytes, if it is packed.
    pub fn packed(&self) -> Option<(PackedKind, &[u8])> {
        match self {
            Collection::List(List::Packed(pack)) => Some((PackedKind::List, pack.as_ref().bytes())),
            Collection::Set(Set::Ints(ints)) => Some((PackedKind::Ints, ints.as_ref().bytes())),
            Collection::Set(Set::Packed(pack)) => Some((PackedKind::Set, pack.as_ref().bytes())),
            Collection::Hash(Hash::Packed(pack)) => Some((PackedKind::Hash, pack.as_ref().bytes())),
            Collection::ZSet(ZSet::Packed(pack)) => Some((PackedKind::ZSet, pack.as_ref().bytes())),
            Collection::List(List::Large(_)) => None,
            Collection::Set(Set::Large(_)) => None,
            Collection::Hash(Hash::Large(_)) => None,
            Collection::ZSet(ZSet::Large(_)) => None,
            Collection::Stream(_) => None,
        }
    }

    /// The collection that these packed bytes are; they came from [`Collection::packed`].
    pub fn from_packed(kind: PackedKind, bytes: Vec<u8>) -> Collection {
        match kind {
            PackedKind::List => Collection::List(List::Packed(Listpack::trusted(bytes))),
            PackedKind::Ints => Collection::Set(Set::Ints(Intset::trusted(bytes))),
            PackedKind::Set => Collection::Set(Set::Packed(Listpack::trusted(bytes))),
            PackedKind::Hash => Collection::Hash(Hash::Packed(Listpack::trusted(bytes))),
            PackedKind::ZSet => Collection::ZSet(ZSet::Packed(Listpack::trusted(bytes))),
        }
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Collection::List(list) => list.heap_bytes(),
            Collection::Set(set) => set.heap_bytes(),
            Collection::Hash(hash) => hash.heap_bytes(),
            Collection::ZSet(zset) => zset.heap_bytes(),
            Collection::Stream(stream) => stream.heap_bytes(),
        }
    }

    /// When the first of its elements ends, if any does: only fields of hashes may.
    #[inline]
    pub fn next_due(&self) -> Option<WallMs> {
        match self {
            Collection::Hash(hash) => hash.as_ref().next_due(),
            _ => None,
        }
    }

    /// Removes an element that has ended at this time, and gives its name; none if there is no such element.
    pub fn take_due(&mut self, now: WallMs) -> Option<Vec<u8>> {
        match self {
            Collection::Hash(hash) => hash.take_due(now),
            _ => None,
        }
    }

    /// Whether a key that holds it is removed.
    pub fn is_gone(&self) -> bool {
        match self {
            Collection::List(list) => CollectionType::is_gone(list),
            Collection::Set(set) => CollectionType::is_gone(set),
            Collection::Hash(hash) => CollectionType::is_gone(hash),
            Collection::ZSet(zset) => CollectionType::is_gone(zset),
            Collection::Stream(stream) => CollectionType::is_gone(stream),
        }
    }
}

impl PackedKind {
    /// The number by which it is kept beside the bytes, 1 to 15.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    #[inline]
    pub fn from_code(code: u8) -> Option<PackedKind> {
        [PackedKind::List, PackedKind::Ints, PackedKind::Set, PackedKind::Hash, PackedKind::ZSet]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}
