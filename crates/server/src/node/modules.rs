//! The MODULE commands. There are no modules: what would load one is refused.

use baton_commands::NodeCommand as N;
use baton_config::Id;
use baton_resp::Args;

use super::Outcome;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

const FORBIDDEN: &str = "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can \
run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";

/// MODULE subcommands.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    if command == N::ModuleList {
        client.out.array(0);
        return Ok(Flow::Next);
    }
    if !cx.world.settings.access(Id::EnableModuleCommand).allows(super::config::is_local(client)) {
        return Err(FORBIDDEN.into());
    }
    if command == N::ModuleUnload {
        return Err("ERR Error unloading module: no such module with that name".into());
    }
    let path = String::from_utf8_lossy(args.at(2)).into_owned();
    cx.shared.log.warning(&format!("Module {path} failed to load: modules can't be loaded into this server"));
    Err("ERR Error loading the extension. Please check the server logs.".into())
}
