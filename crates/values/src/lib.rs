//! What a key can hold: a string, or a collection. Small collections are packed: the very bytes of the file format
//! (listpack, intset), so that saving and loading are copies. Large ones are trees of packed leaves with counted, shared
//! nodes: any of them is copied in no time, and a copy and its original part ways leaf by leaf as one of them changes. That
//! is what lets a snapshot, COPY and a long reply see a value as it was while writers go on.
//!
//! No hash table and no list of pointers: all orders (by place, by hash, by score, by id) are orders of one tree, and
//! every element has a rank in it.
//!
//! It must never know of keys, expiry of keys, clients or commands, and never panic on bytes from outside: these go
//! through the `from_bytes` functions, which walk them whole.
//!
//! Reading order: `text`, `value`, `listpack`, `limits`, `tree`, `hashed`, then one file per type, each with a small and a large
//! form.

mod ahead;
mod fields;
mod hash;
mod hashed;
mod limits;
mod list;
mod listpack;
mod room;
mod set;
mod stream;
mod text;
mod tree;
mod value;
mod zset;

pub use fields::{FieldValue, Hash, HashRef, LargeHash, LargeHashBuilder, LiveHash};
pub use limits::{Limits, ListNodeLimit};
pub use list::{LargeList, List, ListRef};
pub use listpack::{Damaged, Elements, Listpack, ListpackRef, Place};
pub use set::{Intset, IntsetRef, LargeSet, LargeSetBuilder, Set, SetRef};
pub use stream::{Consumer, Group, Pending, Stream, StreamEntry, StreamId, StreamTrim, TrimTo};
pub use text::Str;
pub use value::{Collection, CollectionType, PackedKind, Value, ValueKind};
pub use zset::{LargeZSet, Scored, ScoredBatch, ZSet, ZSetRef};
