//! Scripts: the Lua sandbox and its libraries, replies in both directions, the cache of scripts, and libraries of
//! functions.
//!
//! Knows no socket, clock or key: what a script asks for goes to its [`Host`], and whether it may go on is asked of a
//! [`Watch`]. Never lets one script leave anything behind for the next.
//!
//! Reading order: [`Script`] and [`ScriptCache`], [`Library`] and [`Libraries`], [`Host`], then [`Engine`], whose sandbox
//! is `engine/prelude.lua`, and the libraries under `libs`.

mod cache;
mod engine;
mod header;
mod library;
mod libs;

pub use cache::{Script, ScriptCache, Sha};
pub use engine::{Call, Engine, Halt, Host, Options, Ran, STACK_BYTES, Version, Watch};
pub use header::{Header, ScriptFlags, parse_header};
pub use library::{FunctionSpec, Libraries, Library, LibraryText, NotAdded};
