//! Snapshot files: encoding and decoding RDB as streams; no files.
