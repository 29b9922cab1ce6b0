//! The format seen from outside: exact bytes, files of other servers, and what must hold for all inputs.

mod collections;
mod golden;
mod hostile;
mod oracle;
mod properties;
mod real_files;
mod streams;
mod support;
