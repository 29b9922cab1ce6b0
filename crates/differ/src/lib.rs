//! Sends the same random commands to two servers and shows where they differ, in replies and in what they keep. Must
//! never decide which of the two is right: that is the reader's part.
//!
//! `commands.txt` is the language: one line a command, with what may vary; `template.rs` reads it, `words.rs` makes the
//! words, `rule.rs` says when two replies count as equal, `pair.rs` talks to the two servers, `check.rs` compares their
//! data, `run.rs` brings them together.

mod check;
mod finding;
mod pair;
mod rule;
mod run;
mod template;
mod words;

pub use finding::{Finding, Summary};
pub use rule::Rule;
pub use run::{Options, Stopped, run};
pub use template::{Template, TemplateError, parse_all};
pub use words::Words;

/// All commands that are compared.
pub const COMMANDS: &str = include_str!("commands.txt");
