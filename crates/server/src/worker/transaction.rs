//! MULTI, EXEC, DISCARD, WATCH, UNWATCH. EXEC locks the slots of everything that was queued and runs it on one view, so
//! a transaction is isolated without stopping others; only commands that go over the whole keyspace make it stop the
//! world.

use std::sync::Arc;
use std::time::Instant;

use baton_base::Slot;
use baton_commands::{CommandSpec, NodeCommand, Run};
use baton_resp::{Args, OwnedArgs};
use baton_store::View;

use super::client::{Client, Watches};
use super::context::{Context, Flow};
use super::{count, dispatch, exec};
use crate::node::{self, Outcome};
use crate::shared::Shared;

pub use super::client::Queued;

/// Whether a command between MULTI and EXEC is queued rather than run.
pub(super) fn is_queued(spec: &CommandSpec) -> bool {
    use NodeCommand as N;
    !matches!(spec.run, Run::Node(N::Exec | N::Discard | N::Multi | N::Watch | N::Quit | N::Reset))
}

/// MULTI.
pub fn multi(client: &mut Client) -> Outcome {
    if client.transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    client.transaction = Some(Box::default());
    client.publish_state();
    client.out.ok();
    Ok(Flow::Next)
}

/// DISCARD.
pub fn discard_command(cx: &Context<'_>, client: &mut Client) -> Outcome {
    if client.transaction.is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    discard(cx.shared, client);
    client.out.ok();
    Ok(Flow::Next)
}

/// Drops the transaction and the watches.
pub(super) fn discard(shared: &Shared, client: &mut Client) {
    client.transaction = None;
    unwatch(shared, client);
    client.publish_state();
}

/// WATCH key [key ...].
pub fn watch(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    if client.transaction.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    let db = client.db;
    let watches = client.watches.get_or_insert_default();
    for name in args.skip(1).iter() {
        if watches.keys.iter().any(|(d, k)| *d == db && **k == *name) {
            continue;
        }
        let key = cx.shared.store.key(name);
        let mut view = cx.shared.store.view(key.slot, db, cx.now.wall, cx.world.expiry_rule());
        // A key whose time has come already is missing from the start: its removal later is no change.
        view.exists(&key);
        view.watch(&key, &watches.flag);
        exec::propagate_expired(cx, &mut view);
        watches.keys.push((db, name.into()));
    }
    client.publish_state();
    client.out.ok();
    Ok(Flow::Next)
}

/// UNWATCH.
pub fn unwatch_command(cx: &Context<'_>, client: &mut Client) -> Outcome {
    unwatch(cx.shared, client);
    client.publish_state();
    client.out.ok();
    Ok(Flow::Next)
}

/// Ends all watches of a client.
pub fn unwatch(shared: &Shared, client: &mut Client) {
    let Some(watches) = client.watches.take() else { return };
    for (db, name) in &watches.keys {
        let key = shared.store.key(name);
        shared.store.view(key.slot, *db, shared.clock.wall(), baton_store::Expiry::Ignore).unwatch(&key, &watches.flag);
    }
}

/// Whether a watched key changed; one whose time came since counts as changed.
fn watched_changed(cx: &mut Context<'_>, watches: &Watches) -> bool {
    for (db, name) in &watches.keys {
        let key = cx.shared.store.key(name);
        // Looking at the key makes it expire if its time has come, and that touches its watchers.
        let mut view = cx.shared.store.view(key.slot, *db, cx.now.wall, cx.world.expiry_rule());
        view.exists(&key);
        exec::propagate_expired(cx, &mut view);
    }
    watches.flag.is_set()
}

/// EXEC.
pub fn exec_command(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    let Some(transaction) = client.transaction.take() else { return Err("ERR EXEC without MULTI".into()) };
    if transaction.broken {
        discard(cx.shared, client);
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    let changed = client.watches.as_ref().is_some_and(|w| watched_changed(cx, w));
    unwatch(cx.shared, client);
    client.publish_state();
    if changed {
        client.out.null_array();
        return Ok(Flow::Next);
    }
    client.out.array(transaction.queue.len());
    cx.in_transaction = true;
    let mut flow = Flow::Next;
    if transaction.queue.iter().all(|(spec, _)| runs_on_view(spec)) {
        run_on_slots(cx, client, &transaction.queue);
    } else {
        flow = run_on_world(cx, client, &transaction.queue);
    }
    cx.in_transaction = false;
    Ok(flow)
}

/// Whether a command can run while the transaction's slots are locked.
fn runs_on_view(spec: &CommandSpec) -> bool {
    match spec.run {
        Run::Keyspace(_) | Run::Registry(_) | Run::Container => true,
        Run::Node(command) => node::runs_beside_locks(command),
        Run::Store(_) | Run::World(_) => false,
    }
}

/// Runs the queue with all its slots locked.
fn run_on_slots(cx: &mut Context<'_>, client: &mut Client, queue: &Queued) {
    let mut slots: Vec<Slot> = Vec::new();
    let mut hidden = false;
    for (spec, args) in queue {
        let keys = exec::declared_keys(cx, spec, args.as_args());
        hidden |= keys.is_empty() && matches!(spec.run, Run::Keyspace(_));
        slots.extend(keys.iter().map(|k| k.slot));
    }
    slots.sort_unstable();
    slots.dedup();
    if slots.is_empty() {
        slots.push(Slot::default());
    }
    let shared = Arc::clone(cx.shared);
    let (wall, rule) = (cx.now.wall, cx.world.expiry_rule());
    let mut view = if hidden {
        shared.store.view_all(client.db, wall, rule)
    } else {
        shared.store.view_many(&slots, client.db, wall, rule)
    };
    for (spec, args) in queue {
        run_one(cx, client, spec, args, Some(&mut view));
    }
    append(cx, client);
}

/// Runs the queue with the world standing still; each command takes what locks it needs and gives them back.
fn run_on_world(cx: &mut Context<'_>, client: &mut Client, queue: &Queued) -> Flow {
    cx.stop_world(|cx| {
        let mut flow = Flow::Next;
        for (spec, args) in queue {
            if run_one(cx, client, spec, args, None) == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        append(cx, client);
        flow
    })
}

fn append(cx: &mut Context<'_>, client: &mut Client) {
    if !cx.local.unit.is_empty() {
        client.last_write = cx.shared.journal.append(&cx.local.unit);
        cx.local.unit.clear();
    }
}

fn run_one(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: &OwnedArgs,
    view: Option<&mut View<'_>>,
) -> Flow {
    let args = args.as_args();
    let began = Instant::now();
    let flow = match spec.run {
        Run::Keyspace(run) => {
            let keys = exec::declared_keys(cx, spec, args);
            let shared = Arc::clone(cx.shared);
            match view {
                Some(view) => {
                    view.select(client.db);
                    exec::on_view(cx, client, spec, view, run, args, &keys);
                    exec::finish(cx, client, view, args, false);
                }
                None => {
                    let mut view = shared.store.view_all(client.db, cx.now.wall, cx.world.expiry_rule());
                    exec::on_view(cx, client, spec, &mut view, run, args, &keys);
                    exec::finish(cx, client, &mut view, args, false);
                }
            }
            Flow::Next
        }
        _ => dispatch::execute(cx, client, spec, args, None),
    };
    cx.count_inner(client, spec, args, count::nanos_since(began));
    flow
}
