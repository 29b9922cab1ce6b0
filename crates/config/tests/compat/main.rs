//! The configuration against what Valkey 9.1.2 was observed to do (`../data`), and properties that need no peer.

mod defaults;
mod memory_files;
mod properties;
mod rewrite;
mod set;
mod start;
