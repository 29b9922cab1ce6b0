//! Snapshot files: encoding and decoding RDB as streams of byte slices, DUMP payloads, and the framing of a snapshot on
//! a replication link. Knows the format (rdb 1 to 8) and nothing else: no files, no sockets, no clock, no dataset.
//!
//! To write, drive an [`Encoder`] and drain its chunks. To read, give a [`Decoder`] whatever bytes have arrived and
//! poll its events. Both speak of entries as [`Entry`], borrowed from wherever the bytes lie.

mod aux;
mod collection;
mod crc64;
mod cursor;
mod decode;
mod dump;
mod encode;
mod entry;
mod error;
mod event;
pub mod format;
pub mod frame;
mod functions;
pub mod lzf;
mod old;
mod record;

pub use aux::{AuxFacts, Preamble, ReplicationPoint, SlotCounts};
pub use baton_values::{Str, Value};
pub use crc64::{Crc64, checksum};
pub use decode::{Decoder, DecoderOptions};
pub use dump::{DumpEncoder, RestoreError, RestoreScratch, resealed, restore};
pub use encode::{Encoder, EncoderOptions};
pub use entry::Entry;
pub use error::{RdbError, RdbErrorKind};
pub use event::{Checksum, Event};
pub use format::{VersionPolicy, VersionTarget};
pub use functions::{dump_functions, restore_functions};
