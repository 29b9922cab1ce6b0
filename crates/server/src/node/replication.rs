//! Placeholder while the family is being written.
use super::Outcome;
use crate::worker::client::Client;
use crate::worker::context::Context;
use baton_resp::Args;

/// REPLICAOF.
pub fn replica_of(_cx: &mut Context<'_>, _client: &mut Client, _args: Args<'_>) -> Outcome {
    Err("ERR not here".into())
}
/// ROLE.
pub fn role(_cx: &mut Context<'_>, _client: &mut Client) -> Outcome {
    Err("ERR not here".into())
}
/// WAIT.
pub fn wait(_cx: &mut Context<'_>, _client: &mut Client, _args: Args<'_>) -> Outcome {
    Err("ERR not here".into())
}
/// REPLCONF.
pub fn replconf(_cx: &mut Context<'_>, _client: &mut Client, _args: Args<'_>) -> Outcome {
    Err("ERR not here".into())
}
/// PSYNC and SYNC.
pub fn sync(_cx: &mut Context<'_>, _client: &mut Client, _args: Args<'_>) -> Outcome {
    Err("ERR not here".into())
}
/// SHUTDOWN.
pub fn shutdown(_cx: &mut Context<'_>, _client: &mut Client, _args: Args<'_>) -> Outcome {
    Err("ERR not here".into())
}
