//! Pure replication machines. Both sides of a synchronisation take inputs and the time, and answer with values to act on;
//! nothing here opens a connection, reads a clock, starts a thread or owns the stream's bytes (those are the journal's).
//!
//! Reading order: [`History`] (which dataset an offset belongs to), [`link`] (a replica's way to its primary),
//! [`sync`] (what a primary answers to PSYNC), [`replconf`] and [`session`] (its view of one replica), [`group`] (whom one
//! snapshot serves), [`quorum`] (who has acknowledged what), [`reply_holds`] (what waits for that), [`info`] (what INFO and ROLE show).
//!
//! Sections in comments ("replication 1.3") are those of the replication specification.

pub mod group;
pub mod history;
pub mod info;
pub mod link;
mod log;
pub mod quorum;
pub mod replconf;
pub mod reply_holds;
pub mod session;
pub mod sync;
mod text;
mod version;

pub use history::History;
pub use link::ReplicaLink;
pub use log::{Level, LogLine};
pub use session::ReplicaSession;
pub use text::command;
pub use version::{RdbVersion, Version};
