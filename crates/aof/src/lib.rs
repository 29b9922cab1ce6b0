//! The formats of the append-only file: its manifest, and what stands in its logs. Bytes in, values and bytes out; knows no
//! file, no directory, no clock, and of commands that it reads only where a transaction begins and ends.
//!
//! Reading order: [`Manifest`] (which files there are, and what becomes of them), [`Scanner`] (the commands of a log, and up
//! to where it is whole), [`Annotation`] (lines between commands), [`BaseWriter`] (a dataset as commands).

mod annotation;
mod base;
mod manifest;
mod scan;

pub use annotation::{ANNOTATION_BYTES_MAX, Annotation, Position};
pub use base::BaseWriter;
pub use manifest::{BaseFormat, FileName, ListedFile, MANIFEST_LINE_BYTES_MAX, Manifest, ManifestError, Problem};
pub use scan::{Cut, Ending, Found, Scanner};
