//! The keyspace: 16384 slots, each locked by itself, each with a table per database; entries with expiry, access clock
//! and snapshot epoch; the [`View`] through which a command reaches the slots it declared and nothing else; and the
//! fork-free snapshot walk.
//!
//! No clock, no thread, no socket: time is handed in, and whoever wants the world to stand still brings the proof.
//!
//! Reading order: `value`, `key`, `store`, `view`, `writing`, `editing`, `undo`, `expiring`, `evicting`, `snapshot`, and beneath them `slot_data` and
//! `raw`, the only module with `unsafe`.

mod clock;
mod counters;
mod editing;
mod evicting;
mod expiring;
mod hash;
mod held;
mod key;
mod raw;
mod scanning;
mod slot_data;
mod snapshot;
mod store;
mod undo;
mod value;
mod view;
mod walk;
mod wholesale;
mod writing;

pub use baton_values::{Collection, CollectionType, Str, Value, ValueKind};
pub use clock::AccessRule;
pub use editing::{Missing, WrongType};
pub use evicting::{EvictFirst, EvictionPool, EvictionRule};
pub use expiring::{Expired, ExpiredElements};
pub use key::{DbIndex, Key, KeyHash};
pub use scanning::Scanned;
pub use snapshot::{SnapshotItem, SnapshotWalker};
pub use store::{HeldForLong, Store, StoreSettings};
pub use value::{Entry, Expire, SharedText};
pub use view::{ChangedKey, ChangedKeys, Expiry, View, ViewOutcome, WatchFlag};
pub use wholesale::Garbage;
