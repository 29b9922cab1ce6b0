//! The one ordered log of replication-stream bytes with offsets, in memory. Every effect is appended here while the
//! locks of its slots are held; replicas, the AOF and WAIT only read it.
//!
//! Reading order: [`Unit`] (what one client command produced), [`Journal`] (append, extent, life cycle), [`Reader`]
//! (one consumer's place in the log), [`Feeder`] (how a consuming thread sleeps without missing bytes).
//!
//! The crate owns no thread, clock or socket. It knows no command: it frames what it is given.

mod backlog;
mod encode;
mod feeder;
mod journal;
mod reader;
mod unit;

pub use backlog::{BACKLOG_BYTES_DEFAULT, BACKLOG_BYTES_MIN};
pub use feeder::Feeder;
pub use journal::{Extent, Journal, NotInBacklog, Settings};
pub use reader::{Detached, Reader};
pub use unit::Unit;
