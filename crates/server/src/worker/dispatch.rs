//! May this command run now, here, for this client? The checks come in upstream's order (replication 3.4), because the
//! first one that refuses decides the error. A command that passes them all runs, is queued, or waits.

use baton_commands::{CommandSpec, Fail, Flags, NodeCommand, Run};
use baton_resp::{Args, OwnedArgs};
use baton_store::Key;

use super::client::{Client, ReplyMode, Waiting};
use super::context::{Context, Flow};
use super::{exec, routing, transaction};
use crate::node::{self, Outcome, Refusal};
use crate::world::{HoldScope, Role};

/// Runs one request; its reply, or its error, is in the client's output afterwards.
pub fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Flow {
    let before = client.out.buf.len();
    let flow = match admit(cx, client, spec, args, key) {
        Ok(flow) => flow,
        Err(Refusal(text)) => {
            client.out.error(&text);
            count_failure(cx, client, before, spec);
            Flow::Next
        }
    };
    if client.reply_mode != ReplyMode::On && node::client_cmd::hide_reply(client) {
        client.out.buf.truncate(before);
    }
    flow
}

#[cold]
fn count_failure(cx: &Context<'_>, client: &Client, before: usize, spec: Option<&'static CommandSpec>) {
    let lane = cx.local.lane.0;
    let text = String::from_utf8_lossy(client.out.buf.get(before + 1..).unwrap_or_default()).into_owned();
    cx.shared.stats.count_error(lane, &text);
    if let Some(spec) = spec {
        cx.shared.stats.lanes[lane].by_command[spec.id().index()].failed.add(1);
    }
}

/// From the command's name to its execution.
#[inline]
fn admit(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Outcome {
    if !client.authenticated && !spec.is_some_and(|s| s.flags.contains(Flags::NO_AUTH)) {
        return Err("NOAUTH Authentication required.".into());
    }
    let spec = match resolve(spec, args) {
        Ok(spec) => spec,
        Err(fail) => return refuse(client, Refusal(String::from_utf8_lossy(&fail.text()).into_owned().into())),
    };
    if cx.world.plain && client.is_plain() {
        return execute(cx, client, spec, args, key);
    }
    let asking = std::mem::take(&mut client.asking);
    if let Err(refusal) = check(cx, client, spec, args, asking) {
        return refuse(client, refusal);
    }
    if held(cx, client, spec) {
        client.asking = asking;
        return Ok(Flow::Wait(Waiting::Hold));
    }
    if client.transaction.is_some() && transaction::is_queued(spec) {
        return queue(client, spec, args);
    }
    execute(cx, client, spec, args, key)
}

/// The command or subcommand, its number of arguments checked.
#[inline]
fn resolve(spec: Option<&'static CommandSpec>, args: Args<'_>) -> Result<&'static CommandSpec, Fail> {
    match spec {
        Some(spec) if spec.subcommands.is_empty() && spec.arity_fits(args.len()) => Ok(spec),
        _ => baton_commands::find(args),
    }
}

/// A refusal inside a transaction spoils it.
fn refuse(client: &mut Client, refusal: Refusal) -> Outcome {
    if let Some(t) = &mut client.transaction {
        t.broken = true;
    }
    Err(refusal)
}

fn check(
    cx: &Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    asking: bool,
) -> Result<(), Refusal> {
    let flags = spec.flags;
    if client.transaction.is_some() && flags.contains(Flags::NO_MULTI) {
        return Err(format!("ERR Command '{}' not allowed inside a transaction", spec.name).into());
    }
    routing::check(cx, client, spec, args, asking)?;
    let writes = flags.contains(Flags::WRITE) || is_exec_with(client, spec, Flags::WRITE);
    let world = &cx.world;
    if let (Role::Replica { host, port }, true) = (&world.role, client.capa_redirect && world.topology.is_none()) {
        let reads = flags.contains(Flags::READONLY) || is_exec_with(client, spec, Flags::READONLY);
        if writes || (reads && !client.readonly) {
            if is_exec(spec) {
                transaction::discard(cx.shared, client);
            }
            return Err(format!("REDIRECT {host}:{port}").into());
        }
    }
    if writes && !world.role.is_replica() && lacks_replicas(cx) {
        return Err("NOREPLICAS Not enough good replicas to write.".into());
    }
    if writes && world.role.is_replica() && world.hot.replica_read_only {
        return Err("READONLY You can't write against a read only replica.".into());
    }
    if client.in_subscribed_mode() && !allowed_while_subscribed(spec) {
        let name = spec.name.replace('|', " ");
        return Err(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )
        .into());
    }
    if world.role.is_replica() && !world.link_up && !world.hot.replica_serve_stale_data && !flags.contains(Flags::STALE)
    {
        return Err("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".into());
    }
    if world.loading.is_some() && !flags.contains(Flags::LOADING) {
        let redis = world.settings.bool(baton_config::Id::ExtendedRedisCompatibility);
        let name = if redis { "Redis" } else { "Valkey" };
        return Err(format!("LOADING {name} is loading the dataset in memory").into());
    }
    Ok(())
}

fn is_exec(spec: &CommandSpec) -> bool {
    matches!(spec.run, Run::Node(NodeCommand::Exec))
}

/// EXEC is judged by the commands that were queued.
fn is_exec_with(client: &Client, spec: &CommandSpec, flag: Flags) -> bool {
    is_exec(spec) && client.transaction.as_ref().is_some_and(|t| t.queue.iter().any(|(s, _)| s.flags.contains(flag)))
}

fn lacks_replicas(cx: &Context<'_>) -> bool {
    let wanted = cx.world.hot.min_replicas_to_write;
    wanted > 0 && cx.shared.good_replicas.load(std::sync::atomic::Ordering::Relaxed) < wanted
}

fn allowed_while_subscribed(spec: &CommandSpec) -> bool {
    use NodeCommand as N;
    matches!(
        spec.run,
        Run::Node(
            N::Subscribe
                | N::Unsubscribe
                | N::Psubscribe
                | N::Punsubscribe
                | N::Ssubscribe
                | N::Sunsubscribe
                | N::Ping
                | N::Quit
                | N::Reset
        )
    )
}

/// Whether a hold keeps this command back (replication 8).
fn held(cx: &Context<'_>, client: &Client, spec: &CommandSpec) -> bool {
    let changing = Flags::WRITE.union(Flags::MAY_REPLICATE);
    match cx.world.holds.scope() {
        None => false,
        Some(HoldScope::All) => !matches!(spec.run, Run::Node(NodeCommand::Replconf)),
        Some(HoldScope::Writes) => {
            spec.flags.intersects(changing)
                || (is_exec(spec)
                    && client
                        .transaction
                        .as_ref()
                        .is_some_and(|t| t.queue.iter().any(|(s, _)| s.flags.intersects(changing))))
        }
    }
}

fn queue(client: &mut Client, spec: &'static CommandSpec, args: Args<'_>) -> Outcome {
    if let Some(t) = &mut client.transaction {
        t.queue.push((spec, OwnedArgs::from(args)));
        client.out.simple("QUEUED");
        client.publish_state();
    }
    Ok(Flow::Next)
}

/// Runs a command that may run.
#[inline]
pub(super) fn execute(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Outcome {
    match spec.run {
        Run::Keyspace(run) => exec::keyspace(cx, client, spec, run, args, key),
        Run::Store(run) => exec::store(cx, client, run, args),
        Run::World(run) => exec::world(cx, client, run, args),
        Run::Registry(run) => {
            if let Err(fail) = run(args, &mut client.out) {
                fail.write(&mut client.out);
            }
            Ok(Flow::Next)
        }
        Run::Node(command) => node::run(cx, client, command, spec, args),
        Run::Container => Err(format!("ERR wrong number of arguments for '{}' command", spec.name).into()),
    }
}
