//! Raw memory: the only place of the project's data path with `unsafe`. Everything that leaves this module is a safe
//! interface: records own their memory, tables own their records, and a slot's data is reached only through its guard.
//!
//! It must never know what a database, a command or a snapshot is.
//!
//! Reading order: [`size_class`], [`length`], [`block`], [`chunks`], [`slab`], [`heap`], [`record`], [`bucket`],
//! [`bucket_array`], [`table`], [`cell`], [`prefetch`].

pub(crate) mod block;
pub(crate) mod bucket;
pub(crate) mod bucket_array;
pub(crate) mod cell;
mod chunks;
pub(crate) mod heap;
mod length;
pub(crate) mod prefetch;
pub(crate) mod record;
pub(crate) mod size_class;
mod slab;
pub(crate) mod table;
