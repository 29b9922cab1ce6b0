//! Commands on keys of any type.

mod copy;
mod delete;
mod dump;
mod expire;
mod key_search;
mod keyspace;
mod object;
mod sort;
mod ttl;
mod world;

pub(crate) use copy::{copy, copy_dbs, move_, rename, renamenx};
pub(crate) use delete::{del, exists, touch, type_, unlink};
pub(crate) use dump::{dump, restore};
pub(crate) use expire::{expire, expireat, persist, pexpire, pexpireat};
pub(crate) use key_search::KeySearch;
pub(crate) use keyspace::{dbsize, keys, randomkey, scan};
pub(crate) use object::{memory_usage, object_encoding, object_freq, object_idletime, object_refcount};
pub use sort::sort_option_of_other_keys;
pub(crate) use sort::{sort, sort_has_patterns, sort_keys, sort_ro};
pub(crate) use ttl::{expiretime, pexpiretime, pttl, ttl};
pub(crate) use world::{flushall, flushdb, flushslot, swapdb};
