//! The append-only file: a log of the replication stream in files of its own, which a restart reads back.
//!
//! Reading order: [`dir`] (the directory and its manifest), [`load`] (the start), [`fresh`] (what the start leaves to be
//! written on).

pub mod dir;
pub mod fresh;
pub mod load;
