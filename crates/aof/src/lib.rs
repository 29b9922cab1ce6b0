//! The formats of the append-only file: its manifest, and what stands in its logs. Bytes in, values and bytes out; knows no
//! file, no directory, no clock and no command.
//!
//! Reading order: [`Manifest`] (which files there are, and what becomes of them).

mod manifest;

pub use manifest::{BaseFormat, FileName, ListedFile, MANIFEST_LINE_BYTES_MAX, Manifest, ManifestError, Problem};
