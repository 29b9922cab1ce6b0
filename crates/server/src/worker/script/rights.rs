//! May a script run here and now, and what may it do? The checks come in upstream's order.

use baton_acl::{Context as Where, Request};
use baton_commands::CommandSpec;
use baton_resp::Args;
use baton_script::ScriptFlags;

use crate::acl;
use crate::node::Refusal;
use crate::worker::client::Client;
use crate::worker::context::Context;
use crate::worker::dispatch;

/// What a script may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    /// It writes nothing.
    pub(super) read_only: bool,
    /// It may take more memory.
    pub(super) allow_oom: bool,
    /// It may reach several slots in a cluster.
    pub(super) cross_slot: bool,
}

/// The rights of a script with these flags, called by a command that reads only or not.
pub(super) fn of(cx: &Context<'_>, flags: Option<ScriptFlags>, read_only: bool) -> Result<Rights, Refusal> {
    let full = cx.lacks_room;
    let Some(flags) = flags else {
        if dispatch::is_stale(cx) {
            return Err(dispatch::MASTERDOWN.into());
        }
        return Ok(Rights { read_only, allow_oom: !full, cross_slot: true });
    };
    let world = &cx.world;
    if world.hot.cluster && flags.contains(ScriptFlags::NO_CLUSTER) {
        return Err("ERR Can not run script on cluster, 'no-cluster' flag is set.".into());
    }
    let writes = !flags.contains(ScriptFlags::NO_WRITES);
    if !flags.contains(ScriptFlags::ALLOW_STALE) && dispatch::is_stale(cx) {
        return Err(dispatch::MASTERDOWN.into());
    }
    if writes {
        if world.role.is_replica() && world.hot.replica_read_only {
            return Err("READONLY You can't write against a read only replica.".into());
        }
        if read_only {
            return Err("ERR Can not execute a script with write flag using *_ro command.".into());
        }
        dispatch::check_write(cx)?;
    }
    // Who says that he writes nothing takes no memory either.
    let allow_oom = flags.contains(ScriptFlags::ALLOW_OOM) || !writes;
    if full && !allow_oom {
        let text = "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'";
        return Err(text.into());
    }
    let cross_slot = flags.contains(ScriptFlags::ALLOW_CROSS_SLOT_KEYS);
    Ok(Rights {
        read_only: read_only || !writes,
        allow_oom: !full || flags.contains(ScriptFlags::ALLOW_OOM),
        cross_slot,
    })
}

/// Refuses what the client's user may not do.
pub(super) fn may_call(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Result<(), Refusal> {
    if client.who.is_free {
        return Ok(());
    }
    let request = request_of(cx, client, spec, args);
    if let Err(text) = acl::permit(cx.shared, &client.meta, &client.who.user, &request, Where::Lua) {
        let text = String::from_utf8_lossy(&text).into_owned();
        return Err(format!("NOPERM ACL failure in script: {text}").into());
    }
    match acl::refusal_of_patterns(cx, client, spec, args) {
        Some(text) => Err(text.into()),
        None => Ok(()),
    }
}

/// Whether the client's user could run this command; asking leaves no trace.
pub(super) fn could_call(cx: &Context<'_>, client: &Client, spec: &'static CommandSpec, args: Args<'_>) -> bool {
    client.who.is_free || baton_acl::check(&client.who.user, &request_of(cx, client, spec, args)).is_ok()
}

fn request_of<'a>(cx: &Context<'_>, client: &Client, spec: &'a CommandSpec, args: Args<'a>) -> Request<'a> {
    Request { spec, args, db: client.db.0, databases: cx.shared.store.databases() }
}
