//! May this command run now, here, for this client? The checks come in upstream's order (replication 3.4), because the
//! first one that refuses decides the error. A command that passes them all runs, is queued, or waits.

use baton_cluster::RouteQuery;
use baton_commands::{CommandSpec, Fail, Flags, NodeCommand, Run};
use baton_config::Id;
use baton_resp::{Args, OwnedArgs};
use baton_store::Key;

use super::asked::Asked;
use super::client::{Client, ReplyMode, Waiting};
use super::context::{Context, Flow};
use super::{exec, routing, script, transaction};
use crate::acl;
use crate::monitor::{self, Ran, Source};
use crate::node::{self, Outcome, Refusal};
use crate::slot_jobs::import;
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
    let flow = admit(cx, client, spec, args, key);
    if client.reply_mode != ReplyMode::On {
        hide_reply(client, spec, before);
    }
    // All of it is one comparison: nothing of the kind is the rule.
    if cx.monitored | !cx.local.own_pushes.is_empty() | client.tracking.is_some() {
        after_reply(cx, client, spec, args, flow);
    }
    flow
}

/// What stands behind a reply, whether or not the reply itself is wanted: messages that the command caused for its own
/// connection, its own line among them where that connection watches all commands. CLIENT CACHING counts for the one command, or transaction, behind it.
#[cold]
fn after_reply(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
    flow: Flow,
) {
    let began = !matches!(flow, Flow::Wait(Waiting::Hold | Waiting::Move)) && !cx.local.is_uncounted();
    if cx.monitored
        && began
        && let Ok(spec) = baton_commands::find(args)
        && monitor::is_shown(spec)
    {
        cx.show(client, Source::Client(&client.meta), args);
    }
    let pushes = std::mem::take(&mut cx.local.own_pushes);
    if client.unfinished.is_some() {
        cx.local.deliveries.extend(pushes.into_iter().map(|push| (client.meta.id, push)));
    } else {
        pushes.iter().for_each(|push| node::tracking::write_own_push(cx.shared, client, push));
    }
    if let Some(tracked) = &mut client.tracking
        && client.transaction.is_none()
        && !matches!(flow, Flow::Wait(Waiting::Hold | Waiting::Move))
        && !spec.is_some_and(|spec| spec.name.starts_with("client"))
    {
        tracked.caching = false;
    }
}

impl Context<'_> {
    /// Shows a command that ran to those who watch.
    #[cold]
    pub(super) fn show(&mut self, client: &Client, source: Source<'_>, args: Args<'_>) {
        let ran = Ran { at: self.now.wall, db: client.db.0, source, args };
        for (to, push) in self.shared.monitors.show(&ran) {
            script::pass_on(self, client.meta.id, to, push, true);
        }
    }
}

/// CLIENT REPLY OFF and SKIP hide replies, but not what is pushed: subscriptions are confirmed all the same.
#[cold]
fn hide_reply(client: &mut Client, spec: Option<&'static CommandSpec>, before: usize) {
    if node::client_cmd::hides_reply(client) && !spec.is_some_and(is_subscribing) {
        client.out.buf.truncate(before);
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
) -> Flow {
    if !client.who.is_free {
        return admit_restricted(cx, client, spec, args, key);
    }
    let spec = match spec {
        Some(spec) if spec.subcommands.is_empty() && spec.arity_fits(args.len()) => spec,
        other => match resolve(cx, other, args) {
            Ok(spec) => spec,
            Err((spec, fail)) => return reject_or_abort(cx, client, spec, &fail.text()),
        },
    };
    admit_permitted(cx, client, spec, args, key)
}

/// The same for a client that has to authenticate, or that may not do everything.
#[cold]
fn admit_restricted(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Flow {
    if !client.who.is_in && !spec.is_some_and(|s| s.flags.contains(Flags::NO_AUTH)) {
        return cx.reject(client, spec, b"NOAUTH Authentication required.");
    }
    let spec = match resolve(cx, spec, args) {
        Ok(spec) => spec,
        Err((spec, fail)) => return reject_or_abort(cx, client, spec, &fail.text()),
    };
    // What can't be in a transaction is refused for that reason first.
    let is_misplaced = client.transaction.is_some() && spec.flags.contains(Flags::NO_MULTI);
    if let Some(text) = if is_misplaced { None } else { acl::refusal(cx, client, spec, args) } {
        return reject_or_abort(cx, client, Some(spec), &text);
    }
    let is_queued = client.transaction.is_some() && transaction::is_queued(spec);
    if let Some(text) = if is_queued { None } else { acl::refusal_of_patterns(cx, client, spec, args) } {
        cx.fail(client, spec, text.as_bytes());
        return Flow::Next;
    }
    admit_permitted(cx, client, spec, args, key)
}

/// Refuses a command. If that is EXEC, its transaction is gone, if there is one.
fn reject_or_abort(cx: &mut Context<'_>, client: &mut Client, spec: Option<&'static CommandSpec>, text: &[u8]) -> Flow {
    if !spec.is_some_and(is_exec) {
        return cx.reject(client, spec, text);
    }
    transaction::discard(cx.shared, client);
    let reason = text.strip_prefix(b"ERR ").unwrap_or(text);
    cx.reject(client, spec, &[b"EXECABORT Transaction discarded because of: ", reason].concat())
}

/// From a command that the client's user may run to its execution.
#[inline]
fn admit_permitted(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Flow {
    if cx.plain && client.is_plain() {
        return execute(cx, client, spec, args, key);
    }
    if client.import.is_some() {
        return import::request(cx, client, spec, args);
    }
    let asking = std::mem::take(&mut client.asking) || client.transaction.as_ref().is_some_and(|t| t.asking);
    let asked = Asked::of(cx, client, spec, args);
    match route(cx, client, spec, args, asking, &asked) {
        Ok(open) => cx.open = open,
        Err(Refusal(text)) => {
            if is_exec(spec) {
                transaction::discard(cx.shared, client);
            }
            return cx.reject(client, Some(spec), text.as_bytes());
        }
    }
    if should_have_moved(cx, client, spec, &asked) {
        return node::notices::send_on(client, &cx.world);
    }
    if awaits_successor(cx, client, &asked) {
        client.asking = asking;
        return Flow::Wait(Waiting::Hold);
    }
    if cx.world.hot.memory_max > 0 && !cx.is_outside() {
        cx.make_room(client);
    }
    if let Err(Refusal(text)) = check(cx, client, spec, args, &asked) {
        return reject_or_abort(cx, client, Some(spec), text.as_bytes());
    }
    if held(cx, spec, &asked) || awaits_move(cx, client, spec, args) {
        client.asking = asking;
        return Flow::Wait(Waiting::Hold);
    }
    if matches!(spec.run, Run::Node(NodeCommand::Multi)) {
        client.asking = asking;
    }
    if client.transaction.is_some() && transaction::is_queued(spec) {
        return queue(cx, client, spec, args);
    }
    execute(cx, client, spec, args, key)
}

/// The subcommand of a request, or why there is none, with the command that the refusal is counted for.
#[cold]
fn resolve(
    cx: &mut Context<'_>,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
) -> Result<&'static CommandSpec, (Option<&'static CommandSpec>, Fail)> {
    if spec.is_none() {
        return Err((None, Fail::unknown_command(args)));
    }
    match baton_commands::find(args) {
        Ok(found) => {
            cx.local.counts_as(found);
            Ok(found)
        }
        Err(fail) => {
            let named = spec.and_then(|s| if s.subcommands.is_empty() { Some(s) } else { s.subcommand(args.get(1)?) });
            Err((named, fail))
        }
    }
}

/// Refuses what is served elsewhere. Gives the question that has to be asked once more when the keys are locked.
fn route(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    asking: bool,
    asked: &Asked,
) -> Result<Option<RouteQuery>, Refusal> {
    if client.transaction.is_some() && spec.flags.contains(Flags::NO_MULTI) {
        return Err(format!("ERR Command '{}' not allowed inside a transaction", spec.name).into());
    }
    let open = routing::check(cx, client, spec, args, asking, asked.has(Flags::WRITE))?;
    let world = &cx.world;
    if let (Role::Replica { host, port }, true) = (&world.role, world.topology.is_none() && !world.takeover)
        && client.capa_redirect
        && needs_primary(client, asked)
    {
        return Err(format!("REDIRECT {host}:{port}").into());
    }
    Ok(open)
}

/// Whether a client that can be redirected wants this command to be served by the primary.
fn needs_primary(client: &Client, asked: &Asked) -> bool {
    asked.has(Flags::WRITE) || (asked.has(Flags::READONLY) && !client.readonly)
}

/// Whether a client writes here that asked to be told of changes, after this node handed over outside of a cluster. What
/// begins a transaction counts as writing: halfway through, it couldn't be sent on any more.
fn should_have_moved(cx: &Context<'_>, client: &Client, spec: &CommandSpec, asked: &Asked) -> bool {
    let world = &cx.world;
    client.listener.is_some()
        && world.notices.moved().is_some()
        && world.role.is_replica()
        && !world.takeover
        && (world.leaving || world.hot.replica_read_only)
        && (asked.has(Flags::WRITE) || matches!(spec.run, Run::Node(NodeCommand::Multi | NodeCommand::Watch)))
}

/// Whether a command waits for what a handover outside of a cluster comes to. While a peer is being asked to take over it
/// is not known who is primary: whoever wants the primary waits, so that nobody is sent back and forth or reads what is
/// about to be old. Once another node is primary and this one ends, writers that can't be sent there wait for the end of
/// their connection.
fn awaits_successor(cx: &Context<'_>, client: &Client, asked: &Asked) -> bool {
    let world = &cx.world;
    if !world.takeover && !world.leaving {
        return false;
    }
    let writes = asked.has(Flags::WRITE.union(Flags::MAY_REPLICATE));
    if world.leaving {
        return writes && !client.capa_redirect;
    }
    let stale = !world.hot.replica_serve_stale_data && asked.has(Flags::READONLY);
    writes || stale || (client.capa_redirect && needs_primary(client, asked))
}

/// Refuses what can't be done in the present state of the node and the connection.
fn check(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    asked: &Asked,
) -> Result<(), Refusal> {
    let world = &cx.world;
    let writes = asked.has(Flags::WRITE);
    let replica = world.role.is_replica();
    if cx.lacks_room && takes_memory(client, spec, asked) {
        return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
    }
    let pings = matches!(spec.run, Run::Node(NodeCommand::Ping));
    if pings && !replica {
        check_disk(cx)?;
    }
    if writes {
        check_write(cx)?;
    }
    if writes && replica && world.hot.replica_read_only {
        return Err("READONLY You can't write against a read only replica.".into());
    }
    if client.in_subscribed_mode() && !allowed_while_subscribed(spec) {
        let name = spec.name;
        return Err(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )
        .into());
    }
    if is_stale(cx) && asked.needs_more_than(Flags::STALE) {
        return Err(MASTERDOWN.into());
    }
    if world.loading.is_some() && asked.needs_more_than(Flags::LOADING) {
        let redis = world.settings.bool(baton_config::Id::ExtendedRedisCompatibility);
        let name = if redis { "Redis" } else { "Valkey" };
        return Err(format!("LOADING {name} is loading the dataset in memory").into());
    }
    if cx.shared.running.any() || cx.is_outside() {
        check_running(cx, spec, args)?;
    }
    if client.monitors && asked.has(Flags::WRITE | Flags::READONLY | Flags::MAY_REPLICATE) {
        return Err("ERR Replica can't interact with the keyspace".into());
    }
    Ok(())
}

/// The error where stale data may not be served.
pub(super) const MASTERDOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";

/// Whether this node has only stale data, and may not serve them.
pub(super) fn is_stale(cx: &Context<'_>) -> bool {
    let world = &cx.world;
    world.role.is_replica() && !world.link_up && !world.hot.replica_serve_stale_data
}

/// Refuses writes that could not be made safe now.
pub(super) fn check_write(cx: &Context<'_>) -> Result<(), Refusal> {
    let world = &cx.world;
    let replica = world.role.is_replica();
    if !replica {
        check_disk(cx)?;
    }
    if !replica && lacks_replicas(cx) {
        return Err("NOREPLICAS Not enough good replicas to write.".into());
    }
    if world.holds_replies && cx.shared.write_acks.present() < world.hot.write_ack_replicas {
        return Err(too_few_to_acknowledge(cx));
    }
    Ok(())
}

/// Refuses what a primary could not write to its disk.
fn check_disk(cx: &Context<'_>) -> Result<(), Refusal> {
    if cx.shared.persist.refuses_writes(&cx.world.settings) {
        return Err(crate::persist::MISCONF.into());
    }
    if cx.shared.aof.status.fails() && cx.shared.aof.is_open() {
        return Err(cx.shared.aof.status.refusal().into());
    }
    Ok(())
}

/// Refuses what a script stands in the way of that takes long. Who had to stay outside of the gate may do nothing that needs
/// to be inside.
#[cold]
fn check_running(cx: &Context<'_>, spec: &'static CommandSpec, args: Args<'_>) -> Result<(), Refusal> {
    let watches = matches!(spec.run, Run::Node(NodeCommand::Watch));
    if spec.flags.contains(Flags::ALLOW_BUSY) && !watches {
        return Ok(());
    }
    if cx.world.settings.bool(Id::BusyReplyToAll) {
        return Err(cx.busy_with(&[]));
    }
    let slots: Vec<_> = exec::declared_keys(cx, spec, args).iter().map(|key| key.slot).collect();
    if cx.is_outside() {
        return Err(cx.busy_with(&slots));
    }
    // A transaction finds out when it locks its slots.
    if is_exec(spec) {
        return Ok(());
    }
    cx.shared.running.refusal(&slots, cx.server_name()).map_or(Ok(()), |text| Err(text.into()))
}

/// Whether a command must not run without room. What a transaction queues takes memory whatever it is.
fn takes_memory(client: &Client, spec: &CommandSpec, asked: &Asked) -> bool {
    asked.has(Flags::DENYOOM) || (client.transaction.is_some() && transaction::is_queued(spec))
}

fn is_exec(spec: &CommandSpec) -> bool {
    matches!(spec.run, Run::Node(NodeCommand::Exec))
}

fn lacks_replicas(cx: &Context<'_>) -> bool {
    let wanted = cx.world.hot.min_replicas_to_write;
    wanted > 0 && cx.shared.good_replicas.load(std::sync::atomic::Ordering::Relaxed) < wanted
}

/// A write that nobody could acknowledge does not run at all.
#[cold]
fn too_few_to_acknowledge(cx: &Context<'_>) -> Refusal {
    let (present, wanted) = (cx.shared.write_acks.present(), cx.world.hot.write_ack_replicas);
    cx.shared.write_acks.writes_refused.add_shared(1);
    format!("NOREPLICAS Not enough replicas to acknowledge a write: {present} of {wanted} are there.").into()
}

fn is_subscribing(spec: &CommandSpec) -> bool {
    use NodeCommand as N;
    matches!(
        spec.run,
        Run::Node(N::Subscribe | N::Unsubscribe | N::Psubscribe | N::Punsubscribe | N::Ssubscribe | N::Sunsubscribe)
    )
}

fn allowed_while_subscribed(spec: &CommandSpec) -> bool {
    use NodeCommand as N;
    is_subscribing(spec) || matches!(spec.run, Run::Node(N::Ping | N::Quit | N::Reset))
}

/// Whether a hold keeps this command back (replication 8), or a lease that is over.
fn held(cx: &Context<'_>, spec: &CommandSpec, asked: &Asked) -> bool {
    let writes = || asked.has(Flags::WRITE.union(Flags::MAY_REPLICATE));
    match cx.world.holds.scope() {
        None => !cx.leased && writes(),
        Some(HoldScope::All) => !matches!(spec.run, Run::Node(NodeCommand::Replconf)),
        Some(HoldScope::Writes) => writes(),
    }
}

/// Whether a command has to wait because a key that it may change is being moved to another server.
fn awaits_move(cx: &Context<'_>, client: &Client, spec: &CommandSpec, args: Args<'_>) -> bool {
    let (moving, me) = (&cx.world.moving, client.meta.id);
    if moving.is_empty() {
        return false;
    }
    match &client.transaction {
        Some(t) if is_exec(spec) => t.queue.iter().any(|(s, args)| moving.holds_back(s, args.as_args(), me)),
        Some(_) if transaction::is_queued(spec) => false,
        _ => moving.holds_back(spec, args, me),
    }
}

fn queue(cx: &mut Context<'_>, client: &mut Client, spec: &'static CommandSpec, args: Args<'_>) -> Flow {
    // It counts as a call when EXEC runs it.
    cx.local.uncounted();
    if let Some(t) = &mut client.transaction {
        if matches!(spec.run, Run::Node(NodeCommand::Select)) {
            t.db = baton_commands::db_index(args.at(1), cx.shared.store.databases()).ok().or(t.db);
        }
        t.push(spec, OwnedArgs::from(args));
        client.out.simple("QUEUED");
        client.publish_state();
    }
    Flow::Next
}

/// Runs a command that may run. Its reply or error is in the output afterwards.
#[inline]
pub(crate) fn execute(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Flow {
    match spec.run {
        Run::Keyspace(run) => exec::keyspace(cx, client, spec, run, args, key),
        Run::Store(run) => exec::store(cx, client, spec, run, args),
        Run::World(run) => {
            let flow = exec::world(cx, client, spec, run, args);
            client.who.follow(&cx.world);
            flow
        }
        Run::Registry(run) => {
            if let Err(fail) = run(args, &mut client.out) {
                cx.fail(client, spec, &fail.text());
            }
            Flow::Next
        }
        Run::Node(command) => execute_node(cx, client, command, spec, args),
        Run::Container => {
            let text = format!("ERR wrong number of arguments for '{}' command", spec.name);
            cx.reject(client, Some(spec), text.as_bytes())
        }
    }
}

fn execute_node(
    cx: &mut Context<'_>,
    client: &mut Client,
    command: NodeCommand,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Flow {
    // CLIENT LIST shows what each connection does, this one included.
    client.meta.last_command.store(spec.id().index() as i64, std::sync::atomic::Ordering::Relaxed);
    let outcome: Outcome = node::run(cx, client, command, spec, args);
    let flow = outcome.unwrap_or_else(|Refusal(text)| {
        cx.fail(client, spec, text.as_bytes());
        Flow::Next
    });
    // The world may have changed while the command was outside of the gate, or through it.
    client.who.follow(&cx.world);
    flow
}
