//! Keyspace commands: lock the slots of the declared keys, run the command on a view of them, and append its effects to
//! the journal before the locks are given back. That order makes the journal a history that every replica can follow.

use baton_base::{Offset, WallMs};
use baton_commands::{
    CommandSpec, Emptied, Exec, Fail, Flags, Left, Propagate, Run, StoreExec, Waits, WorldExec, key_positions,
};
use baton_resp::{Args, Out, OwnedArgs};
use baton_store::{DbIndex, Expiry, Key, Store, View, ViewOutcome};
use smallvec::SmallVec;
use std::sync::atomic::Ordering;

use super::client::Client;
use super::context::{Context, Flow};
use super::{blocking, routing, unfinished};
use crate::clients::ClientId;
use crate::node::Refusal;

type RunOnView = fn(&mut Exec<'_, '_>) -> Result<(), Fail>;
type RunOnStore = fn(&mut StoreExec<'_>) -> Result<(), Fail>;
type RunOnWorld = fn(&mut WorldExec<'_>) -> Result<(), Fail>;

/// On whose behalf a command runs.
pub(super) struct Caller<'c> {
    /// The connection.
    pub(super) id: ClientId,
    /// Its database.
    pub(super) db: DbIndex,
    /// Whether its reads renew access clocks.
    pub(super) touch: bool,
    /// Its worker, if keys that it reads are followed for it.
    pub(super) tracked_by: Option<u32>,
    /// Whether the command may wait for its keys.
    pub(super) may_wait: bool,
    /// It is a script.
    pub(super) in_script: bool,
    /// Where its reply goes.
    pub(super) out: &'c mut Out,
    /// Where the stream ended behind its latest write.
    pub(super) last_write: &'c mut Offset,
}

impl Client {
    /// The connection as a caller.
    #[inline]
    pub(super) fn caller(&mut self, may_wait: bool) -> Caller<'_> {
        Caller {
            id: self.meta.id,
            db: self.db,
            touch: !self.no_touch,
            tracked_by: self.follows_reads().then(|| self.meta.worker.load(Ordering::Relaxed)),
            may_wait,
            in_script: false,
            out: &mut self.out,
            last_write: &mut self.last_write,
        }
    }

    /// The connection as the caller of a command of its script, whose reply goes elsewhere.
    pub(super) fn called<'c>(&'c mut self, out: &'c mut Out) -> Caller<'c> {
        Caller { out, in_script: true, ..self.caller(false) }
    }
}

impl Context<'_> {
    /// How a command of this connection treats keys whose time has come. To who imports keys they are all there.
    #[inline]
    pub(super) fn expiry_rule(&self, client: &Client, writes: bool) -> Expiry {
        if client.import_source && (self.world.imports || client.import.is_some()) {
            Expiry::Ignore
        } else {
            self.world.expiry_rule_of(writes)
        }
    }
}

/// Runs a command on a view of the slots of its keys.
#[inline]
pub(super) fn keyspace(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    run: RunOnView,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Flow {
    let rule = cx.expiry_rule(client, spec.flags.contains(Flags::WRITE));
    let (wall, db) = (cx.now.wall, client.db);
    let store = &cx.shared.store;
    if let Some(key) = key.or_else(|| Some(store.key(args.get(spec.single_key()?)?))) {
        let mut view = match store.view_or_give_up(key.slot, db, wall, rule) {
            Ok(view) => view,
            Err(held) => return cx.reject_busy(client, spec, held),
        };
        let flow = on_keys(cx, client, spec, &mut view, run, args, &[key]);
        drop(view);
        if cx.holds_replies {
            cx.reveals(&[key.slot]);
        }
        cx.serve_ready();
        return flow;
    }
    let keys = declared_keys(cx, spec, args);
    if spec.reaches_all(args) && !cx.world.env.cluster {
        let shared = std::sync::Arc::clone(cx.shared);
        let flow = cx.stop_world(|cx| {
            let rule = cx.expiry_rule(client, spec.flags.contains(Flags::WRITE));
            let mut view = shared.store.view_all(db, wall, rule);
            let flow = on_keys(cx, client, spec, &mut view, run, args, &keys);
            drop(view);
            if cx.holds_replies {
                cx.reveals_all();
            }
            flow
        });
        cx.serve_ready();
        return flow.unwrap_or_else(|Refusal(text)| cx.reject(client, Some(spec), text.as_bytes()));
    }
    prefetch(&cx.shared.store, db, &keys);
    cx.local.slots.clear();
    cx.local.slots.extend(keys.iter().map(|k| k.slot));
    cx.local.slots.sort_unstable();
    cx.local.slots.dedup();
    let slots = std::mem::take(&mut cx.local.slots);
    let flow = if !slots.is_empty() {
        let shared = std::sync::Arc::clone(cx.shared);
        match shared.store.view_many_or_give_up(&slots, db, wall, rule) {
            Ok(mut view) => on_keys(cx, client, spec, &mut view, run, args, &keys),
            Err(held) => cx.reject_busy(client, spec, held),
        }
    } else {
        // Such a command only refuses its arguments. Should it look at keys all the same, it may look at any.
        let mut view = cx.shared.store.view_all(db, wall, rule);
        on_keys(cx, client, spec, &mut view, run, args, &keys)
    };
    if cx.holds_replies {
        cx.reveals(&slots);
    }
    cx.local.slots = slots;
    cx.serve_ready();
    flow
}

/// Runs a command on a view of its slots and appends what it did to the journal. A command that found nothing gets in line
/// before the slots are given back.
#[inline]
fn on_keys(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    view: &mut View<'_>,
    run: RunOnView,
    args: Args<'_>,
    keys: &[Key<'_>],
) -> Flow {
    if cx.open.is_some()
        && let Some(text) =
            routing::moved_meanwhile(cx, client, view, keys.iter().map(|key| (client.db, key.bytes)).collect())
    {
        propagate_expired(cx, client.meta.id, view);
        return cx.reject(client, Some(spec), text.as_bytes());
    }
    let mut caller = client.caller(true);
    on_view(cx, &mut caller, spec, view, run, args, keys);
    let left = cx.local.effects.take_left();
    finish(cx, &mut caller, spec, view, args, keys, true);
    match left {
        None => Flow::Next,
        Some(Left::Wait(wait)) => blocking::enter(cx, client, spec, args, keys, *wait),
        Some(Left::Reply(rest)) => unfinished::leave(cx, client, spec, args, keys, rest),
    }
}

/// Brings the cache lines of several keys on their way, stage by stage, so that the waits for memory overlap.
fn prefetch(store: &Store, db: DbIndex, keys: &[Key<'_>]) {
    if keys.len() < 2 {
        return;
    }
    // A command may name a million keys; what was fetched first would be gone again before it is used.
    let near = &keys[..keys.len().min(PREFETCH_KEYS_MAX)];
    store.prefetch(db, near.iter());
}

const PREFETCH_KEYS_MAX: usize = 64;

/// Keys of one command; more than this many are on the heap.
pub(super) type Keys<'k> = SmallVec<[Key<'k>; 12]>;

/// The keys that the registry finds in a request; none where its arguments hide them: the command refuses those itself.
pub(super) fn declared_keys<'k>(cx: &Context<'_>, spec: &CommandSpec, args: Args<'k>) -> Keys<'k> {
    let positions = key_positions(spec, args).unwrap_or_default();
    positions.iter().map(|p| cx.shared.store.key(args.at(p.index as usize))).collect()
}

/// Runs a command on a view that may hold more slots than its own; its reply or error is in the output afterwards.
#[inline]
pub(super) fn on_view(
    cx: &mut Context<'_>,
    caller: &mut Caller<'_>,
    spec: &'static CommandSpec,
    view: &mut View<'_>,
    run: RunOnView,
    args: Args<'_>,
    keys: &[Key<'_>],
) {
    cx.local.effects.clear();
    let before = caller.out.buf.len();
    let mut exec = Exec {
        view,
        args,
        keys,
        out: caller.out,
        effects: &mut cx.local.effects,
        rng: &mut cx.local.rng,
        env: &cx.world.env,
        touch: caller.touch,
        waits: if caller.may_wait { Waits::May } else { Waits::Never },
        in_script: caller.in_script,
    };
    if let Err(fail) = run(&mut exec) {
        caller.out.buf.truncate(before);
        cx.fail_to(caller.out, spec, &fail.text());
    }
}

/// Counts what a view did and makes the unit for the journal of it; appends the unit if `append`, else leaves it for
/// the end of the transaction.
#[inline]
pub(super) fn finish(
    cx: &mut Context<'_>,
    caller: &mut Caller<'_>,
    spec: &'static CommandSpec,
    view: &mut View<'_>,
    args: Args<'_>,
    keys: &[Key<'_>],
    append: bool,
) {
    if !cx.world.env.events.is_empty() {
        cx.publish_events(caller.id, spec, view, keys);
    }
    if caller.tracked_by.is_some() || view.outcome.changed.is_some() {
        cx.follow(caller, spec, view, keys);
    }
    let outcome = &view.outcome;
    let lane = &cx.shared.stats.lanes[cx.local.lane.0];
    lane.hits.add(outcome.hits);
    lane.misses.add(outcome.misses);
    let propagate = cx.local.effects.propagate(outcome.dirty);
    if outcome.dirty == 0 && outcome.expired.is_empty() && propagate == Propagate::Nothing {
        return;
    }
    lane.dirty.add(outcome.dirty);
    lane.expired.add(outcome.expired.len() as u64 + cx.local.effects.deadlines_passed());
    lane.expired_fields.add(cx.local.effects.ended_elements());
    if cx.shared.blocked.any() {
        cx.note_ready(view, keys);
    }
    if cx.world.role.is_replica() {
        // What a count leaves in a key of the primary does not make it a key of this replica.
        if spec.flags.contains(Flags::WRITE) {
            cx.shared.written_here.note(caller.db, keys);
        }
    } else if cx.shared.journal.is_active() {
        record(cx, caller.db, view, args, propagate);
        if append {
            *caller.last_write = cx.append_unit();
            if cx.holds_replies {
                let end = *caller.last_write;
                keys.iter().for_each(|key| cx.shared.write_acks.note_write(key.slot, end));
            }
        }
    }
    if let Some(garbage) = view.take_outcome().garbage {
        cx.shared.free_later(*garbage);
    }
}

/// Propagates keys that a look made expire, where no command of its own follows.
pub(super) fn propagate_expired(cx: &mut Context<'_>, me: ClientId, view: &mut View<'_>) {
    cx.publish_expired_of(me, view);
    cx.announce(Some(me), view);
    let ViewOutcome { expired, garbage, .. } = view.take_outcome();
    if let Some(garbage) = garbage {
        cx.shared.free_later(*garbage);
    }
    cx.shared.stats.lanes[cx.local.lane.0].expired.add(expired.len() as u64);
    if expired.is_empty() || !cx.shared.journal.is_active() || cx.world.role.is_replica() {
        return;
    }
    let verb: &[u8] = if cx.world.hot.lazy_expire { b"UNLINK" } else { b"DEL" };
    for (db, key) in &expired {
        cx.local.unit.push(db.0, &[verb, key]);
    }
    cx.shared.journal.append_bare(&cx.local.unit);
    cx.local.unit.clear();
}

/// Adds what the command did to the unit: expired keys first, then the command or what stands for it.
fn record(cx: &mut Context<'_>, own: DbIndex, view: &View<'_>, args: Args<'_>, propagate: Propagate) {
    let verb: &[u8] = if cx.world.hot.lazy_expire { b"UNLINK" } else { b"DEL" };
    let (unit, effects) = (&mut cx.local.unit, &cx.local.effects);
    for (db, key) in &view.outcome.expired {
        unit.push(db.0, &[verb, key]);
    }
    match propagate {
        Propagate::Nothing => {}
        Propagate::Verbatim => unit.push(own.0, &words(args)),
        Propagate::Ops => {
            for (db, op) in effects.ops() {
                unit.push(db.unwrap_or(own).0, &words(op));
            }
        }
    }
}

fn words(args: Args<'_>) -> SmallVec<[&[u8]; 8]> {
    args.iter().collect()
}

/// Runs a command that goes over the whole keyspace, locking slot after slot by itself.
pub(super) fn store(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    run: RunOnStore,
    args: Args<'_>,
) -> Flow {
    let before = client.out.buf.len();
    // To who imports keys none has ended.
    let now = if client.import_source && cx.world.imports { WallMs(0) } else { cx.now.wall };
    let mut exec = StoreExec {
        store: &cx.shared.store,
        db: client.db,
        now,
        args,
        out: &mut client.out,
        rng: &mut cx.local.rng,
        env: &cx.world.env,
        due: Vec::new(),
        waits: if cx.in_transaction { Waits::Never } else { Waits::May },
        left: None,
    };
    let result = run(&mut exec);
    let StoreExec { due, left, .. } = exec;
    if let Err(fail) = result {
        client.out.buf.truncate(before);
        match fail {
            Fail::Held(held) => _ = cx.reject_busy(client, spec, held),
            _ => cx.fail(client, spec, &fail.text()),
        }
    }
    delete_due(cx, client, &due);
    if cx.holds_replies {
        cx.reveals_all();
    }
    match left {
        None => Flow::Next,
        Some(rest) => unfinished::leave(cx, client, spec, args, &[], rest),
    }
}

/// Leaves of these names those of keys that exist.
pub(crate) fn keep_existing(cx: &mut Context<'_>, client: &Client, names: &mut Vec<Box<[u8]>>) {
    let (shared, rule) = (std::sync::Arc::clone(cx.shared), cx.world.expiry_rule());
    names.retain(|name| {
        let key = shared.store.key(name);
        // What a script holds is asked for again when it is sent.
        let Ok(mut view) = shared.store.view_or_give_up(key.slot, client.db, cx.now.wall, rule) else { return true };
        let exists = view.read(&key, !client.no_touch).is_some();
        propagate_expired(cx, client.meta.id, &mut view);
        exists
    });
}

/// Deletes keys as DEL does, without a reply.
pub(crate) fn delete(cx: &mut Context<'_>, client: &mut Client, names: &[Box<[u8]>]) {
    let Some(spec) = baton_commands::lookup(b"del") else { return };
    let Run::Keyspace(run) = spec.run else { return };
    let words: Vec<&[u8]> = std::iter::once(&b"DEL"[..]).chain(names.iter().map(|name| &**name)).collect();
    let args = OwnedArgs::from_slices(&words);
    let before = client.out.buf.len();
    // Nobody else may change what is deleted here, so it is still there.
    cx.open = None;
    if cx.in_transaction {
        let keys = declared_keys(cx, spec, args.as_args());
        let shared = std::sync::Arc::clone(cx.shared);
        let mut view = shared.store.view_all(client.db, cx.now.wall, cx.expiry_rule(client, true));
        let mut caller = client.caller(false);
        on_view(cx, &mut caller, spec, &mut view, run, args.as_args(), &keys);
        finish(cx, &mut caller, spec, &mut view, args.as_args(), &keys, false);
    } else {
        keyspace(cx, client, spec, run, args.as_args(), None);
    }
    client.out.buf.truncate(before);
}

/// Deletes keys that a scan met although their time had come, each in a unit of its own. Only where keys that are due are
/// deleted when reached.
pub(crate) fn delete_due(cx: &mut Context<'_>, client: &Client, due: &[Box<[u8]>]) {
    let rule = cx.world.expiry_rule();
    if rule != Expiry::Delete {
        return;
    }
    let shared = std::sync::Arc::clone(cx.shared);
    for name in due {
        let key = shared.store.key(name);
        let Ok(mut view) = shared.store.view_or_give_up(key.slot, client.db, cx.now.wall, rule) else { continue };
        view.exists(&key);
        propagate_expired(cx, client.meta.id, &mut view);
    }
}

/// Runs a command for which the world has to stand still.
pub(super) fn world(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    run: RunOnWorld,
    args: Args<'_>,
) -> Flow {
    let emptied = match cx.stop_world(|cx| on_world(cx, client, spec, run, args)) {
        Ok(emptied) => emptied,
        Err(Refusal(text)) => return cx.reject(client, Some(spec), text.as_bytes()),
    };
    cx.serve_ready();
    if emptied != Emptied::Nothing {
        crate::slot_jobs::on_flush(cx.shared);
    }
    if emptied == Emptied::Everything {
        // A transaction keeps the world standing still: it can't wait for a file, so the keeper sees to it.
        if cx.in_transaction {
            crate::persist::after_flush_all(cx.shared, false);
        } else {
            cx.step_outside(|shared| crate::persist::after_flush_all(shared, true));
        }
    }
    Flow::Next
}

/// Gives what was emptied.
fn on_world(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    run: RunOnWorld,
    args: Args<'_>,
) -> Emptied {
    let before = client.out.buf.len();
    cx.local.effects.clear();
    let mut exec = WorldExec {
        store: &cx.shared.store,
        db: client.db,
        now: cx.now.wall,
        args,
        out: &mut client.out,
        effects: &mut cx.local.effects,
        env: &cx.world.env,
        dirty: 0,
        garbage: Vec::new(),
        free_now: false,
        emptied: Emptied::Nothing,
    };
    let result = run(&mut exec);
    let (dirty, garbage, free_now, emptied) = (exec.dirty, exec.garbage, exec.free_now, exec.emptied);
    if let Err(fail) = result {
        client.out.buf.truncate(before);
        cx.fail(client, spec, &fail.text());
    }
    cx.shared.stats.lanes[cx.local.lane.0].dirty.add(dirty);
    match emptied {
        Emptied::Nothing => {}
        Emptied::Everything | Emptied::Database => cx.announce_all(client.meta.id),
        Emptied::Slot(slot) => super::changes::announce_slot_from_aside(cx.shared, slot),
    }
    if cx.shared.blocked.any() {
        cx.note_all_ready();
    }
    let propagate = cx.local.effects.propagate(dirty);
    if propagate != Propagate::Nothing && cx.shared.journal.is_active() && !cx.world.role.is_replica() {
        let (unit, effects) = (&mut cx.local.unit, &cx.local.effects);
        match propagate {
            Propagate::Ops => effects.ops().for_each(|(db, op)| unit.push(db.unwrap_or(client.db).0, &words(op))),
            _ => unit.push(client.db.0, &words(args)),
        }
        if !cx.in_transaction {
            client.last_write = cx.append_unit();
        }
    }
    if cx.holds_replies {
        cx.shared.write_acks.cover(cx.shared.journal.end());
        cx.reveals_all();
    }
    for taken in garbage {
        if free_now { drop(taken) } else { cx.shared.free_later(taken) }
    }
    emptied
}
