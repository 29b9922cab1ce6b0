//! Placeholder while the family is being written.
use super::Outcome;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};
use baton_resp::Args;

/// DEBUG.
pub fn run(_cx: &mut Context<'_>, client: &mut Client, _args: Args<'_>) -> Outcome {
    client.out.ok();
    Ok(Flow::Next)
}
