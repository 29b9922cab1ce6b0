//! Placeholder while the family is being written.
use super::Outcome;
use crate::worker::client::Client;
use crate::worker::context::Context;
use baton_cluster::{ClusterReply, Topology};
use baton_commands::NodeCommand;
use baton_resp::Args;

/// CLUSTER.
pub fn run(_cx: &mut Context<'_>, _client: &mut Client, _command: NodeCommand, _args: Args<'_>) -> Outcome {
    Err("ERR This instance has cluster support disabled".into())
}

/// Writes SLOTS, SHARDS and LINKS.
pub fn write_structured(_client: &mut Client, _topology: &Topology, _reply: &ClusterReply) {}
