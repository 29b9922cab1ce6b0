//! Who may do what: users, their passwords and rules, and the log of what was refused. Only decides and remembers: it knows no
//! connection, no clock, no file and no lock, and never runs a command.
//!
//! A [`User`] has passwords and one or more [`Selector`]s. A selector is a complete set of permissions (commands, keys,
//! channels, databases); a request is allowed if one of the user's selectors allows all of it. All users together are one
//! immutable value, [`Users`], that is replaced as a whole: whoever holds one sees no change.
//!
//! Reading order: [`Rule`-by-rule changes](Selector::apply) in `selector`, with its parts `commands`, `keys`, `channels` and
//! `databases`; `user` and `users`; [`check`] (the question that is asked for every request of a restricted user); `file` (users
//! as text); `log`; `replies` (the subcommands of ACL).

mod channels;
mod check;
mod commands;
mod databases;
mod file;
mod keys;
mod log;
mod password;
pub mod replies;
mod rule_error;
mod selector;
mod user;
mod users;

pub use channels::ChannelPatterns;
pub use check::{Denied, Request, check, reads_every_key};
pub use commands::AllowedCommands;
pub use databases::AllowedDatabases;
pub use file::{FileError, read_users, user_lines};
pub use keys::{Access, KeyPatterns};
pub use log::{Context, Entry, Log, Reason, Refused};
pub use password::PasswordHash;
pub use rule_error::RuleError;
pub use selector::Selector;
pub use user::{Defaults, User, gathered_rules};
pub use users::Users;
