//! Commands that the node itself answers: connection, clients, configuration, publish and subscribe, information,
//! replication and cluster. One file per family; each handler gets the context of the batch, the client and the
//! arguments, and gives how the connection goes on, or the error that it is told.

pub mod acl;
pub mod answer;
pub mod client_cmd;
pub mod client_filter;
pub mod cluster;
pub mod command_log;
pub mod config;
pub mod connection;
pub mod debug;
pub mod failover;
pub mod failovers;
pub mod info;
pub mod latency;
pub mod lolwut;
pub mod memory;
pub mod migrate;
pub mod modules;
pub mod notices;
pub mod persistence;
pub mod pubsub;
pub mod replication;
pub mod tracking;

use std::borrow::Cow;

use baton_commands::{CommandSpec, NodeCommand as N};
use baton_resp::Args;

pub use answer::write_answer;

use crate::pubsub::Kind;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};
use crate::worker::{script, transaction};

/// An error reply: its code and text without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Cow<'static, str>);

impl From<&'static str> for Refusal {
    fn from(text: &'static str) -> Refusal {
        Refusal(Cow::Borrowed(text))
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal(Cow::Owned(text))
    }
}

/// What a handler gives.
pub type Outcome = Result<Flow, Refusal>;

/// The error for options that make no sense.
pub const SYNTAX: &str = "ERR syntax error";
/// The error for text that is no integer.
pub const NOT_INTEGER: &str = "ERR value is not an integer or out of range";

/// Runs a command of the node.
pub fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    command: N,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Outcome {
    if let Some(outcome) = script::run(cx, client, command, spec, args) {
        return outcome;
    }
    match command {
        N::Ping => connection::ping(client, args),
        N::Auth => connection::auth(cx, client, args),
        N::Hello => connection::hello(cx, client, args),
        N::Reset => connection::reset(cx, client),
        N::Quit => connection::quit(client),
        N::Select => connection::select(cx, client, args),
        N::Time => connection::time(cx, client),
        N::Asking => connection::asking(cx, client),
        N::Readonly => connection::set_readonly(client, true),
        N::Readwrite => connection::set_readonly(client, false),
        N::Multi => transaction::multi(client),
        N::Exec => transaction::exec_command(cx, client),
        N::Discard => transaction::discard_command(cx, client),
        N::Watch => transaction::watch(cx, client, args),
        N::Unwatch => transaction::unwatch_command(cx, client),
        N::Subscribe => pubsub::subscribe(cx, client, args, Kind::Channel),
        N::Psubscribe => pubsub::subscribe(cx, client, args, Kind::Pattern),
        N::Ssubscribe => pubsub::subscribe(cx, client, args, Kind::Shard),
        N::Unsubscribe => pubsub::unsubscribe(cx, client, args, Kind::Channel),
        N::Punsubscribe => pubsub::unsubscribe(cx, client, args, Kind::Pattern),
        N::Sunsubscribe => pubsub::unsubscribe(cx, client, args, Kind::Shard),
        N::Publish => pubsub::publish(cx, client, args, false),
        N::Spublish => pubsub::publish(cx, client, args, true),
        N::PubsubChannels | N::PubsubNumpat | N::PubsubNumsub | N::PubsubShardchannels | N::PubsubShardnumsub => {
            pubsub::introspect(cx, client, args)
        }
        _ => run_server(cx, client, command, spec, args),
    }
}

/// Whether a command may run while its transaction holds slot locks: it needs none itself and waits for no thread.
pub fn runs_beside_locks(command: N) -> bool {
    use N::{Ping, Publish, Select, Spublish, Time};
    matches!(command, Ping | Publish | Select | Spublish | Time)
}

/// Commands about the server, its configuration, replication and the cluster.
fn run_server(
    cx: &mut Context<'_>,
    client: &mut Client,
    command: N,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Outcome {
    match command {
        N::ConfigGet | N::ConfigSet | N::ConfigRewrite | N::ConfigResetstat => config::run(cx, client, args),
        N::Info => info::run(cx, client, args),
        N::Monitor => connection::monitor(cx, client),
        N::Lolwut => lolwut::run(cx, client, args),
        N::Debug => debug::run(cx, client, args),
        N::Failover => failover::run(cx, client, args),
        N::Replicaof | N::Slaveof => replication::replica_of(cx, client, args),
        N::Role => replication::role(cx, client),
        N::Wait => replication::wait(cx, client, args),
        N::Waitaof => replication::wait_aof(cx, client, args),
        N::Replconf => replication::replconf(cx, client, args),
        N::Psync | N::Sync => replication::sync(cx, client, args),
        N::Save | N::Bgsave | N::Lastsave | N::Bgrewriteaof => persistence::run(cx, client, command, args),
        N::Shutdown => replication::shutdown(cx, client, args),
        _ if spec.name.starts_with("acl|") => acl::run(cx, client, command, args),
        N::ClientTracking | N::ClientCaching | N::ClientGetredir | N::ClientTrackinginfo => {
            tracking::run(cx, client, command, args)
        }
        _ if spec.name.starts_with("commandlog|") || spec.name.starts_with("slowlog|") => {
            command_log::run(cx, client, command, args)
        }
        _ if spec.name.starts_with("latency|") => latency::run(cx, client, command, args),
        _ if spec.name.starts_with("memory|") => memory::run(cx, client, command, args),
        _ if spec.name.starts_with("module|") => modules::run(cx, client, command, args),
        _ if spec.name.starts_with("client|") => client_cmd::run(cx, client, args),
        N::Migrate => migrate::run(cx, client, args),
        N::Clusterscan => cluster::run(cx, client, command, args),
        _ if spec.name.starts_with("cluster|") => cluster::run(cx, client, command, args),
        _ => Err(format!("ERR unknown command '{}'", spec.name).into()),
    }
}
