//! MULTI, EXEC, DISCARD, WATCH, UNWATCH. EXEC locks the slots of everything that was queued and runs it on one view, so
//! a transaction is isolated without stopping others; only commands that go over the whole keyspace make it stop the
//! world.

use std::sync::Arc;
use std::time::Instant;

use baton_base::Slot;
use baton_commands::{CommandSpec, Flags, NodeCommand, Run};
use baton_resp::{Args, OwnedArgs};
use baton_store::{Expiry, View};

use super::client::{Client, NAME_BYTES, Transaction, Watched, Watches};
use super::context::{Context, Flow};
use super::{count, dispatch, exec, routing};
use crate::acl;
use crate::clients::ClientId;
use crate::monitor::{self, Source};
use crate::node::{self, Outcome, Refusal};
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
    client.transaction =
        Some(Box::new(Transaction { asking: std::mem::take(&mut client.asking), ..Transaction::default() }));
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
    let (db, me) = (client.db, client.meta.id);
    let watches = client.watches.get_or_insert_default();
    for name in args.skip(1).iter() {
        if watches.keys.iter().any(|w| w.db == db && *w.name == *name) {
            continue;
        }
        let key = cx.shared.store.key(name);
        let view = cx.shared.store.view_or_give_up(key.slot, db, cx.now.wall, cx.world.expiry_rule());
        let mut view = view.map_err(|held| cx.busy(held))?;
        // A key whose time has come already is missing from the start: its removal later is no change.
        let was_there = view.exists(&key);
        view.watch(&key, &watches.flag);
        exec::propagate_expired(cx, me, &mut view);
        watches.bytes += name.len() + NAME_BYTES;
        watches.keys.push(Watched { db, name: name.into(), was_there });
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
    if let Some(watches) = client.watches.take() {
        end(shared, *watches);
    }
}

/// Ends watches; those of slots that a script holds for long, when that is over.
fn end(shared: &Shared, mut watches: Watches) {
    let flag = watches.flag.clone();
    watches.keys.retain(|watched| {
        let key = shared.store.key(&watched.name);
        let view = shared.store.view_or_give_up(key.slot, watched.db, shared.clock.wall(), Expiry::Ignore);
        view.map(|mut view| view.unwatch(&key, &flag)).is_err()
    });
    if !watches.keys.is_empty() {
        shared.unwatched.lock().push(watches);
    }
}

/// Ends watches that could not be ended at their time.
pub fn end_left_watches(shared: &Shared) {
    let left = std::mem::take(&mut *shared.unwatched.lock());
    left.into_iter().for_each(|watches| end(shared, watches));
}

/// Ends watches whose slots the view holds; tells whether a watched key changed. One whose time came since counts as
/// changed: looking at it makes it expire, and that touches its watchers. One that was missing is not looked at: whoever made
/// it touched them already, but for SWAPDB with a key whose time had come. The answer holds for as long as the view does,
/// because whoever changes a key needs its slot.
fn end_watches(cx: &mut Context<'_>, me: ClientId, view: &mut View<'_>, watches: Option<&Watches>) -> bool {
    let Some(watches) = watches else { return false };
    for watched in &watches.keys {
        let key = cx.shared.store.key(&watched.name);
        view.select(watched.db);
        if watched.was_there {
            view.exists(&key);
        }
        view.unwatch(&key, &watches.flag);
    }
    exec::propagate_expired(cx, me, view);
    watches.flag.is_set()
}

/// EXEC.
pub fn exec_command(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    let Some(transaction) = client.transaction.take() else { return Err("ERR EXEC without MULTI".into()) };
    if transaction.broken {
        discard(cx.shared, client);
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    let watches = client.watches.take();
    client.publish_state();
    cx.in_transaction = true;
    let flow = match slots_of(cx, &transaction.queue, watches.as_deref()) {
        Some(slots) => run_on_slots(cx, client, &transaction.queue, &slots, watches.as_deref()),
        None => run_on_world(cx, client, &transaction.queue, watches.as_deref()),
    };
    cx.in_transaction = false;
    cx.serve_ready();
    Ok(flow)
}

/// The slots of all queued and all watched keys, ascending; none if the transaction needs the world to stand still.
fn slots_of(cx: &Context<'_>, queue: &Queued, watches: Option<&Watches>) -> Option<Vec<Slot>> {
    let mut slots: Vec<Slot> = watches.iter().flat_map(|w| &w.keys).map(|w| Slot::of_key(&w.name)).collect();
    for (spec, args) in queue {
        if !runs_on_view(spec) || (spec.reaches_all(args.as_args()) && !cx.world.env.cluster) {
            return None;
        }
        let keys = exec::declared_keys(cx, spec, args.as_args());
        // Arguments that hide where the keys are: the command will refuse them, but no lock may be taken out of order.
        if keys.is_empty() && matches!(spec.run, Run::Keyspace(_)) {
            return None;
        }
        slots.extend(keys.iter().map(|k| k.slot));
    }
    slots.sort_unstable();
    slots.dedup();
    if slots.is_empty() {
        slots.push(Slot::default());
    }
    Some(slots)
}

/// Whether a command can run while the transaction's slots are locked.
fn runs_on_view(spec: &CommandSpec) -> bool {
    match spec.run {
        Run::Keyspace(_) | Run::Registry(_) | Run::Container => true,
        Run::Node(command) => node::runs_beside_locks(command),
        Run::Store(_) | Run::World(_) => false,
    }
}

/// Runs the queue with all its slots locked, unless a watched key changed.
fn run_on_slots(
    cx: &mut Context<'_>,
    client: &mut Client,
    queue: &Queued,
    slots: &[Slot],
    watches: Option<&Watches>,
) -> Flow {
    let shared = Arc::clone(cx.shared);
    let writes = queue.iter().any(|(spec, _)| spec.flags.contains(Flags::WRITE));
    let rule = cx.expiry_rule(client, writes);
    let mut view = match shared.store.view_many_or_give_up(slots, client.db, cx.now.wall, rule) {
        Ok(view) => view,
        Err(held) => return abort_busy(cx, client, watches, &cx.busy(held)),
    };
    if end_watches(cx, client.meta.id, &mut view, watches) {
        client.out.null_array();
        if cx.holds_replies {
            cx.reveals(slots);
        }
        return Flow::Next;
    }
    if let Some(text) = moved_meanwhile(cx, client, &mut view, queue) {
        return cx.reject(client, baton_commands::lookup(b"exec"), text.as_bytes());
    }
    client.out.array(queue.len());
    for (spec, args) in queue {
        run_one(cx, client, spec, args, Some(&mut view));
    }
    append(cx, client);
    if cx.holds_replies {
        slots.iter().for_each(|slot| cx.shared.write_acks.note_write(*slot, client.last_write));
        cx.reveals(slots);
    }
    Flow::Next
}

/// Runs the queue with the world standing still, unless a watched key changed; each command takes what locks it needs
/// and gives them back.
fn run_on_world(cx: &mut Context<'_>, client: &mut Client, queue: &Queued, watches: Option<&Watches>) -> Flow {
    let ran = cx.stop_world(|cx| {
        let shared = Arc::clone(cx.shared);
        let mut view = shared.store.view_all(client.db, cx.now.wall, cx.world.expiry_rule());
        let changed = end_watches(cx, client.meta.id, &mut view, watches);
        let moved = if changed { None } else { moved_meanwhile(cx, client, &mut view, queue) };
        drop(view);
        if cx.holds_replies {
            cx.reveals_all();
        }
        if changed {
            client.out.null_array();
            return Flow::Next;
        }
        if let Some(text) = moved {
            return cx.reject(client, baton_commands::lookup(b"exec"), text.as_bytes());
        }
        client.out.array(queue.len());
        let mut flow = Flow::Next;
        for (spec, args) in queue {
            if run_one(cx, client, spec, args, None) == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        append(cx, client);
        if cx.holds_replies {
            cx.shared.write_acks.cover(shared.journal.end());
            cx.reveals_all();
        }
        flow
    });
    ran.unwrap_or_else(|busy| abort_busy(cx, client, watches, &busy))
}

/// Why a transaction is not to run here, if its keys have left since it was admitted.
fn moved_meanwhile(cx: &mut Context<'_>, client: &Client, view: &mut View<'_>, queue: &Queued) -> Option<String> {
    cx.open.as_ref()?;
    let text = routing::moved_meanwhile(cx, client, view, routing::queued_places(cx, client, queue))?;
    exec::propagate_expired(cx, client.meta.id, view);
    Some(text)
}

/// Nothing of a transaction is run, because a script takes long that stands in its way.
#[cold]
fn abort_busy(cx: &mut Context<'_>, client: &mut Client, watches: Option<&Watches>, busy: &Refusal) -> Flow {
    if let Some(watches) = watches {
        end(cx.shared, watches.clone());
    }
    let text = format!("EXECABORT Transaction discarded because of: {}", busy.0);
    cx.reject(client, baton_commands::lookup(b"exec"), text.as_bytes())
}

fn append(cx: &mut Context<'_>, client: &mut Client) {
    if !cx.local.unit.is_empty() {
        client.last_write = cx.append_unit();
    }
}

/// Refuses a command that its user may not run any more, though it could be queued.
#[cold]
fn refused_now(cx: &mut Context<'_>, client: &mut Client, spec: &'static CommandSpec, args: Args<'_>) -> bool {
    let text = acl::refusal_of_queued(cx, client, spec, args);
    let text = text.or_else(|| acl::refusal_of_patterns(cx, client, spec, args));
    if let Some(text) = &text {
        cx.fail(client, spec, text.as_bytes());
    }
    text.is_some()
}

fn run_one(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: &OwnedArgs,
    view: Option<&mut View<'_>>,
) -> Flow {
    let args = args.as_args();
    if !client.who.is_free && refused_now(cx, client, spec, args) {
        return Flow::Next;
    }
    let (began, replied_from) = (Instant::now(), client.out.buf.len());
    let flow = match spec.run {
        Run::Keyspace(run) => {
            let keys = exec::declared_keys(cx, spec, args);
            let shared = Arc::clone(cx.shared);
            match view {
                Some(view) => {
                    view.select(client.db);
                    let mut caller = client.caller(false);
                    exec::on_view(cx, &mut caller, spec, view, run, args, &keys);
                    exec::finish(cx, &mut caller, spec, view, args, &keys, false);
                    // The view goes on to the next command, which counts for itself.
                    view.take_outcome();
                }
                None => {
                    let rule = cx.expiry_rule(client, spec.flags.contains(Flags::WRITE));
                    let mut view = shared.store.view_all(client.db, cx.now.wall, rule);
                    let mut caller = client.caller(false);
                    exec::on_view(cx, &mut caller, spec, &mut view, run, args, &keys);
                    exec::finish(cx, &mut caller, spec, &mut view, args, &keys, false);
                }
            }
            Flow::Next
        }
        _ => dispatch::execute(cx, client, spec, args, None),
    };
    let cost = count::Cost {
        nanos: count::nanos_since(began),
        request_bytes: count::request_bytes(args),
        reply_bytes: client.out.buf.len().saturating_sub(replied_from) as u64,
    };
    cx.count_inner(client, spec, args, cost);
    if cx.monitored && monitor::is_shown(spec) {
        cx.show(client, Source::Client(&client.meta), args);
    }
    flow
}
