//! Every configuration directive as data: parsing, checking, showing and rewriting valkey.conf. Opens no file, applies
//! nothing and logs nothing; what it needs of the file system comes in through `Files`.
//!
//! Reading order: `directive` (what is known about one), `table` (all of them), `settings` (their values), `parse` and
//! `show` (text to value and back), `load` and `command_line` (start-up), `runtime` (CONFIG GET and SET), `rewrite`.
//!
//! # How to drive it
//! - Start: `parse_command_line(&args, &mut files)` gives an `Action`; for `Action::Start` log `loaded.notes`, check
//!   `loaded.renames`, `users` and `modules` against what the server knows, apply `settings`, and report what can't be
//!   applied with `Loaded::refusal`.
//! - CONFIG SET: clone the current `Settings`, call `set_runtime` on the clone, apply what it lists as changed, then
//!   publish the clone. If applying fails, drop it and answer `SetError::apply`.
//! - CONFIG GET: `get_matching`. CONFIG REWRITE: `rewrite`.
//!
//! # Where values differ from Valkey 9.1.2 on purpose
//! | What | Upstream | Here | Why |
//! |---|---|---|---|
//! | `worker-threads`, `handover-on-shutdown`, `cluster-detect-refusals`, `cluster-detect-silence`, `cluster-write-lease`, `cluster-witness`, `write-ack-replicas`, `write-ack-timeout`, `metrics-port`, `metrics-bind`, `busy-reply-to-all` | unknown | 0, yes, yes, 800, yes, no, 0, 1000, 0, 127.0.0.1, no | our own |
//! | `io-threads` | changes at run time | counts as `worker-threads` where that is 0, from the next start on | workers own their connections |
//! | memory sizes above 2^63-1, or that overflow with their unit | wrap around, or are accepted where unsigned | refused | a limit nobody meant |
//! | `save` and buffer limits beyond 32 bits | cut to 32 bits | kept | the same |
//! | `cluster-blacklist-ttl` below 0 | accepted | refused | the same |
//! | texts other than passwords that are not UTF-8 | accepted | refused: `argument must be valid UTF-8` | paths and names are text |
//! | `notify-keyspace-events` with `A` and `n` | `n` is not shown | shown | a rewrite would lose it |
//! | a quote that closes inside a word, `"1"x` | joins the parts | refused as unbalanced | rather a typing error than a value |
//! | `sentinel` alone | ignored | refused like any other `sentinel` line | the same |
//! | a file that includes itself | crashes | refused | bounds everywhere |
//! | CONFIG REWRITE | adds `save`, `latency-tracking-info-percentiles`, `dir`, `user default` always; merges blank lines | adds what is not at its default; leaves blank lines alone | smallest change of a file that people own |

mod choice;
mod command_line;
mod directive;
mod files;
mod id;
mod load;
mod parse;
mod rewrite;
mod runtime;
mod settings;
mod show;
mod special;
mod start_error;
mod table;
mod text_rule;
mod value;

pub use choice::{
    Access, AclPubsubDefault, AppendFsync, Choice, ConfigSaveBehavior, DisklessLoad, LogFormat, LogLevel, LogTimestamp,
    MaxMemoryPolicy, OomScoreAdj, PreferredEndpoint, PropagationError, RdbVersionCheck, ShutdownWords, Supervised,
    SyslogFacility, TlsAuthClients, TlsAuthClientsUser,
};
pub use command_line::{Action, Started, parse_command_line, usage};
pub use directive::{Directive, Flags, Kind, Special, State, TextRule, Unit};
pub use files::Files;
pub use id::{COUNT, Id};
pub use load::{FileLine, Loaded, load};
pub use rewrite::{Extent, rewrite, rewrite_with_users};
pub use runtime::{Changed, SetContext, SetError};
pub use settings::Settings;
pub use start_error::{Origin, StartError};
pub use value::{BufferLimit, ByteLimit, ClientClass, Endpoint, SavePoint, Value};

/// The version of Valkey whose configuration this is, as start-up errors name it.
pub const VERSION: &str = "9.1.2";
