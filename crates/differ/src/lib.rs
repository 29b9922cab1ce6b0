//! Sends the same random commands to two servers and shows where they differ, in replies and in what they keep. Must
//! never decide which of the two is right: that is the reader's part.
//!
//! `commands.txt` is the language: one line a command, with what may vary; `template.rs` reads it, `words.rs` makes the
//! words, `wrap.rs` and `speech.rs` say in which way they are said (plainly, from scripts, in transactions), `rule.rs` when
//! two replies count as equal. `pair.rs` talks to the two servers, `waiting.rs` where commands wait for others, `check.rs`
//! compares their data, `events.rs` what they tell of changes; `run.rs` brings them together.

mod check;
mod events;
mod finding;
mod pair;
mod rule;
mod run;
mod speech;
mod template;
mod waiting;
mod words;
mod wrap;

pub use finding::{Finding, Summary};
pub use rule::Rule;
pub use run::{Options, Stopped, run};
pub use template::{Template, TemplateError, parse_all};
pub use words::Words;

/// All commands that are compared.
pub const COMMANDS: &str = include_str!("commands.txt");
