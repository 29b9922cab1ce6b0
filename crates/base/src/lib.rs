//! Words that every other crate uses: newtypes for slot, epoch, offset, node id and time, numbers and bytes as
//! text, glob patterns, and seeded randomness. No domain logic, no input or output, no clock.

pub mod double;
pub mod glob;
pub mod hex;
pub mod id;
pub mod num;
pub mod quote;
pub mod rng;
pub mod slot;
pub mod slot_tag;
pub mod sort_key;
pub mod time;

pub use id::{Epoch, NodeId, Offset, ReplId, ShardId};
pub use rng::Rng;
pub use slot::{Slot, SlotBitmap};
pub use slot_tag::SlotTags;
pub use time::{Calendar, Mono, WallMs};
