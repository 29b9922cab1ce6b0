//! Users in a running server: what a connection may do, what is counted and logged when it is refused, and what happens to
//! connections when users change. What users may do is decided in `baton_acl`; nothing here decides it.
//!
//! Users are part of the published [`World`](crate::world::World). A connection remembers its user and whether there is anything
//! to check ([`Identity::is_free`]); that is all that a command of an unlimited user looks at. Users change while the world
//! stands still, so that nobody is in the middle of a batch that was judged by the old ones.

mod change;
mod identity;
mod start;

pub use change::{change_users, keep_apart, load_file, save_file};
pub use identity::{Identity, begin_anew, log_in};
pub use start::{config_lines, users_at_start};

use std::sync::atomic::Ordering;

use baton_acl::{Context as Where, Defaults, Denied, Reason, Refused, Request, User};
use baton_commands::{CommandSpec, sort_option_of_other_keys};
use baton_config::{AclPubsubDefault, Id};
use baton_resp::Args;

use crate::blocked::Waiter;
use crate::clients::ClientMeta;
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::worker::context::Context;
use crate::world::World;

/// What new users begin with.
pub fn defaults(world: &World) -> Defaults {
    Defaults { all_channels: world.settings.choice::<AclPubsubDefault>() == AclPubsubDefault::AllChannels }
}

/// Whether a user may do this for a connection. If not, it is counted and logged, and the error's text without its code is
/// given. Scripts ask this for the commands that they call, with the database that the script has selected.
pub fn permit(
    shared: &Shared,
    meta: &ClientMeta,
    user: &User,
    request: &Request<'_>,
    place: Where,
) -> Result<(), Vec<u8>> {
    judge(shared, meta, user, request, place).map_err(|denied| denied.text(user, request))
}

fn judge(shared: &Shared, meta: &ClientMeta, user: &User, request: &Request<'_>, place: Where) -> Result<(), Denied> {
    baton_acl::check(user, request).inspect_err(|denied| {
        let object = denied.object(request);
        note(shared, meta, denied.reason(), place, object, user.name());
    })
}

/// Counts and logs that something was refused.
#[cold]
fn note(shared: &Shared, meta: &ClientMeta, reason: Reason, context: Where, object: Vec<u8>, user: &[u8]) {
    let stats = &shared.stats;
    let counter = match reason {
        Reason::Auth => &stats.auth_failures,
        Reason::Command => &stats.denied_commands,
        Reason::Key => &stats.denied_keys,
        Reason::Channel => &stats.denied_channels,
        Reason::Database => &stats.denied_databases,
    };
    counter.add_shared(1);
    let client = meta.line(shared.clock.mono());
    let refused = Refused { reason, context, object, user: user.into(), client };
    let len_max = shared.world.peek().settings.uint(Id::AcllogMaxLen);
    shared.acl_log.lock().add(refused, shared.clock.wall(), len_max);
}

/// Where a command of a connection stands.
fn place_of(cx: &Context<'_>, client: &Client) -> Where {
    if cx.in_transaction || client.transaction.is_some() { Where::Multi } else { Where::Toplevel }
}

/// What a connection asks for. What it queues is for the database that will be selected by then.
fn request_of<'a>(cx: &Context<'_>, client: &Client, spec: &'a CommandSpec, args: Args<'a>) -> Request<'a> {
    let db = client.transaction.as_ref().and_then(|t| t.db).unwrap_or(client.db);
    Request { spec, args, db: db.0, databases: cx.shared.store.databases() }
}

/// Why a connection may not run or queue a command; none if it may.
#[cold]
pub fn refusal(cx: &Context<'_>, client: &mut Client, spec: &'static CommandSpec, args: Args<'_>) -> Option<Vec<u8>> {
    client.publish_state();
    client.meta.last_command.store(spec.id().index() as i64, Ordering::Relaxed);
    let request = request_of(cx, client, spec, args);
    let text = permit(cx.shared, &client.meta, &client.who.user, &request, place_of(cx, client)).err()?;
    Some([b"NOPERM ", &*text].concat())
}

/// Why a command that was queued may not run any more; none if it may.
#[cold]
pub fn refusal_of_queued(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Option<String> {
    let request = request_of(cx, client, spec, args);
    let denied = judge(cx.shared, &client.meta, &client.who.user, &request, Where::Multi).err()?;
    let reason = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => "no permission to access one of the channels used as arguments",
        Denied::Database(_) => "no permission",
    };
    Some(format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no \
         longer allowed for the following reason: {reason}"
    ))
}

/// Why a command may not look at keys that it doesn't name; none if it may, or doesn't.
#[cold]
pub fn refusal_of_patterns(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Option<String> {
    let option = spec.has_patterns.and_then(|_| sort_option_of_other_keys(args))?;
    let request = request_of(cx, client, spec, args);
    let may = baton_acl::reads_every_key(&client.who.user, &request);
    (!may).then(|| format!("ERR {option} option of SORT denied due to insufficient ACL permissions."))
}

/// Why a command that waited may not run any more; none if it may. It was checked when it began to wait.
pub fn refusal_of_waiter(cx: &Context<'_>, waiter: &Waiter) -> Option<Vec<u8>> {
    if waiter.users_version == cx.world.users_version {
        return None;
    }
    let (meta, user) = (cx.shared.clients.find(waiter.client)?, cx.world.users.find(waiter.user.name())?);
    let request = Request {
        spec: waiter.spec,
        args: waiter.args.as_args(),
        db: waiter.db.0,
        databases: cx.shared.store.databases(),
    };
    let text = permit(cx.shared, &meta, user, &request, Where::Toplevel).err()?;
    Some([b"NOPERM ", &*text].concat())
}
