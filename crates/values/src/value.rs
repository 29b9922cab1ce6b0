//! A value of any type: borrowed as [`Value`], owned as [`Collection`], and as the packed bytes that small collections are.

use crate::list::{List, ListRef};
use crate::listpack::{Listpack, ListpackRef};
use crate::text::Str;

/// A borrowed value of any type. Two are equal if they have the same type and elements.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A string.
    Str(Str<'a>),
    /// A list.
    List(ListRef<'a>),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// A string.
    String,
    /// A list.
    List,
}

/// A value of its own, of any type but string.
#[derive(Clone)]
#[non_exhaustive]
pub enum Collection {
    /// A list.
    List(List),
}

/// What the bytes of a packed collection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PackedKind {
    /// A list as a listpack.
    List = 1,
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
        }
    }

    fn of(collection: &mut Collection) -> Option<&mut List> {
        match collection {
            Collection::List(list) => Some(list),
        }
    }

    fn is_gone(&self) -> bool {
        self.is_empty()
    }
}

impl<'a> Value<'a> {
    /// Its type.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Str(_) => ValueKind::String,
            Value::List(_) => ValueKind::List,
        }
    }

    /// The value that these packed bytes are; they came from [`Collection::packed`].
    #[inline]
    pub fn from_packed(kind: PackedKind, bytes: &'a [u8]) -> Value<'a> {
        match kind {
            PackedKind::List => Value::List(ListRef::Packed(ListpackRef::trusted(bytes))),
        }
    }

    /// A collection of its own with the same elements; none for a string. Nothing of a large one is copied.
    pub fn to_collection(self) -> Option<Collection> {
        match self {
            Value::Str(_) => None,
            Value::List(list) => Some(Collection::List(list.to_list())),
        }
    }
}

impl ValueKind {
    /// The name that TYPE replies.
    pub fn name(self) -> &'static str {
        match self {
            ValueKind::String => "string",
            ValueKind::List => "list",
        }
    }
}

impl Collection {
    /// It for reading.
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Collection::List(list) => Value::List(list.as_ref()),
        }
    }

    /// Its bytes, if it is packed.
    pub fn packed(&self) -> Option<(PackedKind, &[u8])> {
        match self {
            Collection::List(List::Packed(pack)) => Some((PackedKind::List, pack.as_ref().bytes())),
            Collection::List(List::Large(_)) => None,
        }
    }

    /// The collection that these packed bytes are; they came from [`Collection::packed`].
    pub fn from_packed(kind: PackedKind, bytes: Vec<u8>) -> Collection {
        match kind {
            PackedKind::List => Collection::List(List::Packed(Listpack::trusted(bytes))),
        }
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Collection::List(list) => list.heap_bytes(),
        }
    }

    /// Whether a key that holds it is removed.
    pub fn is_gone(&self) -> bool {
        match self {
            Collection::List(list) => CollectionType::is_gone(list),
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
        [PackedKind::List].into_iter().find(|kind| kind.code() == code)
    }
}
