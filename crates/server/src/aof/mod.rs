//! The append-only file: a log of the replication stream in files of its own, which a restart reads back.
//!
//! Reading order: [`dir`] (the directory and its manifest).

pub mod dir;
