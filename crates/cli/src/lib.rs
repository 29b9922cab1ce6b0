//! Client side: a blocking RESP connection, a cluster client that follows redirects, and the command-line client with
//! its prompt. Reads sockets, clocks and the terminal; must never contain anything that a server needs.
//!
//! In reading order: [`Reply`] and its [`Decoder`], [`Connection`], [`SlotMap`] and [`ClusterClient`], then [`run`],
//! which is `baton cli`.

mod cluster;
mod cluster_options;
mod connection;
mod decode;
mod endpoint;
mod error;
mod format;
mod options;
mod prompt;
mod redirect;
mod reply;
mod routing;
mod run;
mod session;
mod slot_map;
mod subscribe;
#[cfg(test)]
mod testing;

pub use cluster::ClusterClient;
pub use cluster_options::{ClusterOptions, Repeat, Statistics};
pub use connection::{Connection, Login};
pub use decode::{Decoder, ProtocolError};
pub use endpoint::Endpoint;
pub use error::{Error, LastFailure, QueryError};
pub use redirect::Redirect;
pub use reply::{ErrorReply, Reply};
pub use run::run;
pub use slot_map::SlotMap;
