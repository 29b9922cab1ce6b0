//! The command registry as data, and the commands that run on the keyspace.
//!
//! A command is one record: name, arity, flags, ACL categories, where its keys are, documentation, and how it runs. Parser,
//! dispatcher, `COMMAND`, ACL and tests read that same record. Commands reach keys only through the [`View`] they are
//! given, know the time only from it, and never lock, log, or look at a socket.
//!
//! Reading order: [`CommandSpec`] and [`Run`] (the record), [`lookup`] (finding one), [`key_positions`] (its keys),
//! [`Exec`] (what a running command has), [`Effects`] (what it leaves for the journal),
//! [`LongReply`] (what it leaves of its reply), [`Event`] (what it tells listeners), [`Fail`] (how it refuses), then the
//! families under `string`, `list` and `generic`, whose records are under `table`.
//!
//! [`View`]: baton_store::View

mod arg;
mod bitmap;
mod chosen;
mod deadline;
pub mod docs;
mod effects;
mod element_scan;
mod event;
mod exec;
mod fail;
mod flags;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod key_spec;
mod keys;
mod list;
mod long_reply;
mod multi_pop;
mod node;
mod number;
mod options;
mod registry;
mod reply;
mod scan_filter;
mod set;
mod spec;
mod stream;
mod string;
mod table;
mod wait;
mod zset;

pub use arg::{Arg, ArgFlags, ArgKind};
pub use effects::{Effects, Left, Propagate};
pub use event::{Event, EventClass};
pub use exec::{Emptied, Env, Exec, LazyFree, StoreExec, WorldExec};
pub use fail::Fail;
pub use flags::{Categories, Flags};
pub use generic::sort_option_of_other_keys;
pub use key_spec::{BeginSearch, FindKeys, KeyFlags, KeySpec};
pub use keys::{KeyPosition, KeyPositions, KeysError, key_positions};
pub use long_reply::LongReply;
pub use node::NodeCommand;
pub use number::db_index;
pub use registry::{CommandId, Found, all, by_id, count, find, lookup};
pub use scan_filter::{KeyNames, ScanFilter};
pub use spec::{ChannelArgs, CommandSpec, DbPositions, DocFlags, ElementArgs, Group, Run};
pub use wait::{Nothing, WaitFor, Waits};
