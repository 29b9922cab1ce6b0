//! The one ordered log of replication-stream bytes with offsets, in memory.
