//! Placeholder while the family is being written.
use super::Outcome;
use crate::worker::client::Client;
use crate::worker::context::Context;
use baton_commands::NodeCommand;
use baton_resp::Args;

/// SAVE, BGSAVE, LASTSAVE.
pub fn run(_cx: &mut Context<'_>, _client: &mut Client, _command: NodeCommand, _args: Args<'_>) -> Outcome {
    Err("ERR not here".into())
}
