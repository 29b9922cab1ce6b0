//! Every configuration directive as data: parsing, checking, showing and rewriting valkey.conf.

mod choice;
mod directive;
mod id;
mod parse;
mod runtime;
mod settings;
mod show;
mod special;
mod table;
mod text_rule;
mod value;

pub use choice::{
    Access, AclPubsubDefault, AppendFsync, Choice, ConfigSaveBehavior, DisklessLoad, LogFormat, LogLevel, LogTimestamp,
    MaxMemoryPolicy, OomScoreAdj, PreferredEndpoint, PropagationError, RdbVersionCheck, ShutdownWords, Supervised,
    SyslogFacility, TlsAuthClients, TlsAuthClientsUser,
};
pub use directive::{Directive, Flags, Kind, Special, State, TextRule, Unit};
pub use id::{COUNT, Id};
pub use runtime::{Changed, SetContext, SetError};
pub use settings::Settings;
pub use value::{BufferLimit, ByteLimit, ClientClass, Endpoint, SavePoint, Value};
