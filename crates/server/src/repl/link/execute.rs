//! Applying the primary's stream: units are executed inside the gate, and their bytes are appended to this node's own
//! journal in the same pass, so a snapshot or a promotion sees the dataset and the offset of one and the same moment.
//! Keys whose time has come are still there: deleting them is the primary's to say (replication 3.3).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use baton_base::{Rng, WallMs};
use baton_cluster::{ClusterCommand, FailoverMode, SetSlot};
use baton_commands::{
    CommandSpec, Effects, Emptied, Env, Exec, Fail, NodeCommand, Run, StoreExec, Waits, WorldExec, key_positions,
};
use baton_config::{Id, PropagationError};
use baton_rdb::VersionPolicy;
use baton_resp::{Args, Out, Proto};
use baton_store::{DbIndex, Expiry, Garbage, Key, View, ViewOutcome};
use smallvec::SmallVec;

use super::scripted::Scripted;
use super::stream::{Command, Stream};
use crate::blocked::Name;
use crate::clients::{ClientFlags, ClientMeta};
use crate::function_change::FunctionChange;
use crate::monitor;
use crate::node::Refusal;
use crate::scripts::Loader;
use crate::shared::Shared;
use crate::slot_jobs::import;
use crate::slot_stats::SlotCost;
use crate::worker::WorkerMessage;
use crate::worker::count::nanos_since;

/// Whom this node follows changed while bytes of the former primary waited, or their connection was cut: they are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stale;

/// By what right a primary's stream is executed here. It is looked at inside the gate, so whoever takes it away while the world
/// stands still, a transaction for one, sees nothing executed from then on.
#[derive(Clone, Copy)]
pub(super) struct Mandate<'a> {
    /// The order to follow the primary.
    pub(super) epoch: u64,
    /// The connection that the bytes came over.
    pub(super) conn: Option<&'a ClientMeta>,
}

impl Mandate<'_> {
    fn check(self, shared: &Shared) -> Result<(), Stale> {
        let cut = self.conn.is_some_and(|meta| meta.doomed.load(Ordering::Acquire));
        if cut || shared.repl.epoch.load(Ordering::SeqCst) != self.epoch { Err(Stale) } else { Ok(()) }
    }
}

/// What the applied bytes asked for besides changes of the dataset.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// An acknowledgement.
    pub(super) ack: bool,
    /// Orders to the cluster machine, in order.
    pub(super) cluster: Vec<ClusterCommand>,
}

/// Whose units are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The primary's, which are this node's history, too.
    Primary,
    /// Those of an append-only file: they were counted and recorded when they were written.
    Log,
}

/// Executes units. Keeps what carries over from one to the next.
pub(super) struct Applier {
    origin: Origin,
    pub(super) shared: Arc<Shared>,
    /// The stream's selected database.
    pub(super) db: DbIndex,
    /// Loads libraries of functions.
    loader: Loader,
    out: Out,
    pub(super) effects: Effects,
    pub(super) rng: Rng,
    requests: Requests,
    pub(super) garbage: Vec<Garbage>,
    /// The first command of a log that can't be one: why.
    refused: Option<Vec<u8>>,
    /// Runs scripts that stand in a log.
    pub(super) scripts: Option<Scripted>,
}

type RunOnView = fn(&mut Exec<'_, '_>) -> Result<(), baton_commands::Fail>;

impl Applier {
    /// An applier of the stream that goes on where the journal ends.
    pub(super) fn new(shared: &Arc<Shared>) -> Applier {
        Applier {
            origin: Origin::Primary,
            refused: None,
            scripts: None,
            loader: Loader::default(),
            db: DbIndex(shared.journal.selected_db().unwrap_or(0)),
            shared: Arc::clone(shared),
            out: Out::new(Proto::V2),
            effects: Effects::unwanted(),
            rng: Rng::new(crate::repl::random_seed()),
            requests: Requests::default(),
            garbage: Vec::new(),
        }
    }

    /// Applies the whole units of the stream.
    pub(super) fn apply(&mut self, stream: &Stream, mandate: Mandate<'_>) -> Result<Requests, Stale> {
        let mut next = 0;
        while next < stream.commands().len() {
            let unit = stream.unit(next);
            next = if needs_stillness(stream, unit.clone()) {
                self.apply_still(stream, unit, mandate)?
            } else {
                self.apply_beside(stream, next, mandate)?
            };
            for garbage in self.garbage.drain(..) {
                self.shared.free_later(garbage);
            }
        }
        Ok(std::mem::take(&mut self.requests))
    }

    /// Applies units beside readers, up to one that needs the world to stand still. Gives where it stopped.
    fn apply_beside(&mut self, stream: &Stream, first: usize, mandate: Mandate<'_>) -> Result<usize, Stale> {
        let shared = Arc::clone(&self.shared);
        let _pass = shared.gate.enter(shared.link_lane());
        let keys = prefetch(&shared, self.db, stream, first);
        let mut turn = self.turn(mandate)?;
        let mut next = first;
        while next < stream.commands().len() {
            let unit = stream.unit(next);
            if needs_stillness(stream, unit.clone()) {
                break;
            }
            next = unit.end;
            let began = turn.counts_slots.then(Instant::now);
            if unit.len() == 1 {
                turn.single(stream, unit.start, keys.get(unit.start - first).copied().flatten());
            } else {
                turn.transaction(stream, unit.clone());
            }
            if let Some(began) = began {
                turn.count_slot(stream, unit, nanos_since(began));
            }
        }
        turn.record(stream, first..next);
        Ok(next)
    }

    /// Applies one unit while the world stands still.
    fn apply_still(&mut self, stream: &Stream, unit: Range<usize>, mandate: Mandate<'_>) -> Result<usize, Stale> {
        let shared = Arc::clone(&self.shared);
        let _still = shared.gate.stop_world();
        let mut turn = self.turn(mandate)?;
        for i in unit.clone() {
            turn.alone(stream, i);
        }
        turn.record(stream, unit.clone());
        Ok(unit.end)
    }

    /// Begins to apply, inside the gate, if that is still right.
    fn turn(&mut self, mandate: Mandate<'_>) -> Result<Turn<'_>, Stale> {
        mandate.check(&self.shared)?;
        Ok(self.any_turn())
    }

    /// Begins to apply.
    fn any_turn(&mut self) -> Turn<'_> {
        // What the primary accepted is accepted here, whatever the limits for this node's own clients are.
        let world = self.shared.world.peek();
        let env = Env { bulk_bytes_max: u64::MAX, ..Env::clone(&world.env) };
        let counts_slots = world.hot.slot_stats;
        let now = self.shared.clock.wall();
        let db_before = self.db;
        Turn { applier: self, env, now, db_before, counts_slots, ready: Vec::new() }
    }

    /// An applier of logs: nothing of what it does is recorded, counted or held against this node's limits.
    pub(super) fn of_log(shared: &Arc<Shared>) -> Applier {
        Applier { origin: Origin::Log, db: DbIndex(0), ..Applier::new(shared) }
    }

    /// A log's next file begins: it selects its database itself.
    pub(super) fn begin_file(&mut self) {
        self.db = DbIndex(0);
    }

    /// Applies the whole units of a log. Nobody else is inside the gate, or the caller has the world stand still.
    ///
    /// # Errors
    /// The text of the error of the first command that can't be one.
    pub(super) fn replay(&mut self, stream: &Stream) -> Result<(), Vec<u8>> {
        let shared = Arc::clone(&self.shared);
        let keys = prefetch(&shared, self.db, stream, 0);
        let mut turn = self.any_turn();
        let mut next = 0;
        while next < stream.commands().len() && turn.applier.refused.is_none() {
            let unit = stream.unit(next);
            next = unit.end;
            if needs_stillness(stream, unit.clone()) {
                unit.for_each(|i| turn.alone(stream, i));
            } else if unit.len() == 1 {
                turn.single(stream, unit.start, keys.get(unit.start).copied().flatten());
            } else {
                turn.transaction(stream, unit);
            }
        }
        drop(turn);
        for garbage in self.garbage.drain(..) {
            self.shared.free_later(garbage);
        }
        self.requests = Requests::default();
        self.refused.take().map_or(Ok(()), Err)
    }
}

/// One stay inside the gate.
pub(super) struct Turn<'a> {
    pub(super) applier: &'a mut Applier,
    pub(super) env: Env,
    pub(super) now: WallMs,
    db_before: DbIndex,
    /// What a unit costs is counted for the slot of its keys.
    counts_slots: bool,
    /// Keys that were changed and that somebody waits for.
    ready: Vec<Name>,
}

impl Drop for Turn<'_> {
    /// Workers run what waits for these keys: they have the connections.
    fn drop(&mut self) {
        for (at, name) in self.ready.drain(..).enumerate() {
            let workers = &self.applier.shared.threads().workers;
            workers[at % workers.len()].send(WorkerMessage::Ready(name));
        }
    }
}

impl Turn<'_> {
    /// Appends what was executed, as it was received (replication I2).
    fn record(&self, stream: &Stream, commands: Range<usize>) {
        let (shared, db) = (&self.applier.shared, self.applier.db);
        shared.journal.append_raw(stream.bytes(commands.clone()));
        if db != self.db_before {
            shared.journal.set_selected_db(Some(db.0));
        }
        shared.stats.lanes[shared.link_lane().0].commands.add(commands.len() as u64);
        if shared.monitors.any() {
            self.show(stream, commands);
        }
    }

    /// Shows what was executed to those who watch.
    #[cold]
    fn show(&self, stream: &Stream, commands: Range<usize>) {
        let (shared, mut db) = (&self.applier.shared, self.db_before);
        let is_primary = |meta: &Arc<ClientMeta>| meta.flags().contains(ClientFlags::PRIMARY);
        let Some(primary) = shared.clients.list().into_iter().find(is_primary) else { return };
        for command in &stream.commands()[commands] {
            let (Some(spec), args) = (command.spec, stream.args(command)) else { continue };
            if matches!(spec.run, Run::Node(NodeCommand::Select)) {
                db = baton_commands::db_index(args.at(1), shared.store.databases()).unwrap_or(db);
            }
            if monitor::is_shown(spec) {
                let ran = monitor::Ran { at: self.now, db: db.0, source: monitor::Source::Client(&primary), args };
                monitor::show_from_aside(shared, &ran);
            }
        }
    }

    /// Counts what a unit cost the slot of its keys.
    #[cold]
    fn count_slot(&self, stream: &Stream, unit: Range<usize>, nanos: u64) {
        let shared = &self.applier.shared;
        let keys = |c: &Command| keys_of(shared, c.spec?, stream.args(c)).first().map(|key| key.slot);
        if let Some(slot) = stream.commands()[unit.clone()].iter().find_map(keys) {
            let cost = SlotCost { nanos, bytes_in: stream.bytes(unit).len() as u64, bytes_out: 0 };
            shared.stats.lanes[shared.link_lane().0].slots.add(slot, cost);
        }
    }

    /// A command that is a unit by itself.
    fn single(&mut self, stream: &Stream, i: usize, key: Option<Key<'_>>) {
        let command = &stream.commands()[i];
        let args = stream.args(command);
        let Some((spec, run)) = self.resolve(command.spec, args) else { return };
        let Run::Keyspace(run) = run else { return self.other(spec, run, args) };
        let shared = Arc::clone(&self.applier.shared);
        let (store, db) = (&shared.store, self.applier.db);
        if let Some(key) = key {
            let mut view = store.view(key.slot, db, self.now, Expiry::Ignore);
            return self.on_view(&mut view, spec, run, args, &[key]);
        }
        let keys = keys_of(&shared, spec, args);
        let slots = slots_of(keys.iter());
        let mut view = store.view_many(&slots, db, self.now, Expiry::Ignore);
        self.on_view(&mut view, spec, run, args, &keys);
    }

    /// A transaction: all its slots are locked before its first command runs, so nobody reads half of it.
    fn transaction(&mut self, stream: &Stream, unit: Range<usize>) {
        let shared = Arc::clone(&self.applier.shared);
        let commands = &stream.commands()[unit];
        let keys: Vec<SmallVec<[Key<'_>; 4]>> = (commands.iter())
            .map(|c| c.spec.map_or_else(SmallVec::new, |spec| keys_of(&shared, spec, stream.args(c))))
            .collect();
        let slots = slots_of(keys.iter().flatten());
        let mut view = shared.store.view_many(&slots, self.applier.db, self.now, Expiry::Ignore);
        for (command, keys) in commands.iter().zip(&keys) {
            let args = stream.args(command);
            match self.resolve(command.spec, args) {
                Some((spec, Run::Keyspace(run))) => {
                    view.select(self.applier.db);
                    self.on_view(&mut view, spec, run, args, keys);
                }
                Some((spec, run)) => self.other(spec, run, args),
                None => {}
            }
        }
    }

    /// A command while the world stands still.
    fn alone(&mut self, stream: &Stream, i: usize) {
        let command = &stream.commands()[i];
        let args = stream.args(command);
        let Some((spec, run)) = self.resolve(command.spec, args) else { return };
        let shared = Arc::clone(&self.applier.shared);
        let db = self.applier.db;
        match run {
            Run::Keyspace(run) => {
                let keys = keys_of(&shared, spec, args);
                let mut view = shared.store.view_all(db, self.now, Expiry::Ignore);
                self.on_view(&mut view, spec, run, args, &keys);
            }
            Run::World(run) => self.on_world(spec, run, args),
            Run::Store(run) => {
                let (out, rng) = (&mut self.applier.out, &mut self.applier.rng);
                let store = &shared.store;
                let (now, env, due, waits, left) = (self.now, &self.env, Vec::new(), Waits::Never, None);
                let failed = run(&mut StoreExec { store, db, now, args, out, rng, env, due, waits, left }).err();
                self.finish(spec, failed, 0);
            }
            run => self.other(spec, run, args),
        }
    }

    /// The command and how it runs, if this node knows it and the arguments fit.
    fn resolve(&mut self, spec: Option<&'static CommandSpec>, args: Args<'_>) -> Option<(&'static CommandSpec, Run)> {
        if args.is_empty() {
            return None;
        }
        match spec {
            Some(spec) if spec.subcommands.is_empty() && spec.arity_fits(args.len()) => Some((spec, spec.run)),
            _ => match baton_commands::find(args) {
                Ok(spec) => Some((spec, spec.run)),
                Err(fail) => {
                    match self.applier.origin {
                        Origin::Primary => self.complain(spec, &fail),
                        Origin::Log => self.applier.refused = Some(fail.text().into_owned()),
                    }
                    None
                }
            },
        }
    }

    fn on_view(
        &mut self,
        view: &mut View<'_>,
        spec: &'static CommandSpec,
        run: RunOnView,
        args: Args<'_>,
        keys: &[Key<'_>],
    ) {
        let Applier { shared, out, effects, rng, .. } = &mut *self.applier;
        effects.clear();
        let env = &self.env;
        let mut exec =
            Exec { view, args, keys, out, effects, rng, env, touch: true, waits: Waits::Never, in_script: false };
        let failed = run(&mut exec).err();
        if !env.events.is_empty() {
            crate::events::publish_replicated(shared, env.events, effects.events());
        }
        crate::worker::changes::announce_from_aside(shared, view);
        let ViewOutcome { dirty, garbage, .. } = view.take_outcome();
        self.applier.garbage.extend(garbage.map(|garbage| *garbage));
        let blocked = &self.applier.shared.blocked;
        if dirty > 0 && blocked.any() {
            let ready = keys.iter().flat_map(|key| blocked.names_of(key));
            self.ready.extend(ready);
        }
        self.finish(spec, failed, dirty);
    }

    fn on_world(
        &mut self,
        spec: &'static CommandSpec,
        run: fn(&mut WorldExec<'_>) -> Result<(), baton_commands::Fail>,
        args: Args<'_>,
    ) {
        let Applier { shared, db, out, effects, .. } = &mut *self.applier;
        effects.clear();
        let mut exec = WorldExec {
            store: &shared.store,
            db: *db,
            now: self.now,
            args,
            out,
            effects,
            env: &self.env,
            dirty: 0,
            garbage: Vec::new(),
            free_now: false,
            emptied: Emptied::Nothing,
        };
        let failed = run(&mut exec).err();
        let (dirty, garbage, emptied) = (exec.dirty, exec.garbage, exec.emptied);
        if emptied != Emptied::Nothing {
            crate::worker::changes::announce_all_from_aside(shared);
        }
        self.applier.garbage.extend(garbage);
        self.finish(spec, failed, dirty);
    }

    /// Nobody reads replies of these commands; an error is the exception that an operator has to know of.
    fn finish(&mut self, spec: &'static CommandSpec, failed: Option<baton_commands::Fail>, dirty: u64) {
        self.applier.out.buf.clear();
        if self.applier.origin == Origin::Log {
            // It was counted when it was written.
            return failed.iter().for_each(|fail| self.complain(Some(spec), fail));
        }
        let shared = &self.applier.shared;
        let lane = &shared.stats.lanes[shared.link_lane().0];
        lane.dirty.add(dirty);
        lane.by_command[spec.id().index()].calls.add(1);
        if let Some(fail) = failed {
            lane.by_command[spec.id().index()].failed.add(1);
            self.complain(Some(spec), &fail);
        }
    }

    #[cold]
    fn complain(&self, spec: Option<&'static CommandSpec>, fail: &baton_commands::Fail) {
        let shared = &self.applier.shared;
        let (text, name) = (fail.text(), spec.map_or("<unknown>", |s| s.name));
        let (from, to, ignored) = match self.applier.origin {
            Origin::Primary => ("replica", "primary", &[PropagationError::Ignore][..]),
            Origin::Log => {
                ("server", "AOF-loading-client", &[PropagationError::Ignore, PropagationError::PanicOnReplicas][..])
            }
        };
        shared.log.warning(&format!(
            "== CRITICAL == This {from} is sending an error to its {to}: '-{}' after processing the command '{name}'",
            String::from_utf8_lossy(&text)
        ));
        let world = shared.world.peek();
        // A replica that clients write to differs from its primary anyway.
        let is_excused = self.applier.origin == Origin::Primary && !world.hot.replica_read_only;
        if !is_excused && !ignored.contains(&world.settings.choice()) {
            shared.log.warning(&format!("Ending because of {}.", Id::PropagationErrorBehavior.directive().name));
            std::process::exit(1);
        }
    }

    /// Changes the libraries of functions. The gate is passed: a snapshot's cut has the change and its command, or neither.
    fn change_functions(&mut self, spec: &'static CommandSpec, command: NodeCommand, args: Args<'_>) {
        let Applier { shared, loader, .. } = &mut *self.applier;
        let change = FunctionChange::of(shared, loader, command, args, VersionPolicy::Relaxed);
        let changed = change.and_then(|change| shared.scripts.change_functions(|all| change.apply(all)));
        if let Err(Refusal(text)) = changed {
            self.complain(Some(spec), &Fail::Bytes(text.as_bytes().to_vec()));
        }
    }

    /// Commands that are not about keys.
    fn other(&mut self, spec: &'static CommandSpec, run: Run, args: Args<'_>) {
        use NodeCommand as N;
        let Run::Node(command) = run else { return };
        let shared = &self.applier.shared;
        match command {
            N::Select => match args.get(1).and_then(baton_base::num::parse_u64) {
                Some(db) if db < u64::from(shared.store.databases()) => self.applier.db = DbIndex(db as u32),
                _ => self.complain(Some(spec), &baton_commands::Fail::Text("ERR DB index is out of range")),
            },
            N::Replconf => {
                self.applier.requests.ack |= args.get(1).is_some_and(|option| option.eq_ignore_ascii_case(b"getack"));
            }
            N::Publish => publish(shared, shared.pubsub.route(args.at(1), args.at(2))),
            N::Spublish => publish(shared, shared.pubsub.route_shard(args.at(1), args.at(2))),
            N::ClusterFailover | N::ClusterSetslot => {
                self.applier.requests.cluster.extend(cluster_order(command, args));
            }
            N::FunctionLoad | N::FunctionDelete | N::FunctionFlush | N::FunctionRestore => {
                self.change_functions(spec, command, args);
            }
            N::ClusterSyncslots => import::follow(shared, args),
            N::Ping | N::Multi | N::Exec | N::Discard => {}
            // Servers of long ago wrote scripts instead of what they did.
            _ if self.applier.origin == Origin::Log => self.script(command, args),
            _ => {
                let name = spec.name;
                shared.log.warning(&format!("A command from the primary has no meaning here and is ignored: '{name}'"));
            }
        }
    }
}

fn publish(shared: &Shared, messages: Vec<(crate::pubsub::Subscriber, crate::pubsub::Push)>) {
    for (to, push) in messages {
        shared.deliver(to, push);
    }
}

/// Whether a unit has a command that goes over the whole keyspace.
fn needs_stillness(stream: &Stream, unit: Range<usize>) -> bool {
    stream.commands()[unit].iter().any(|c| {
        let goes_over_all =
            |s: &CommandSpec| matches!(s.run, Run::World(_) | Run::Store(_)) || s.reaches_all(stream.args(c));
        c.spec.is_some_and(goes_over_all)
    })
}

/// The declared keys of a command; none if its arguments don't say where they are, which it will refuse itself.
pub(super) fn keys_of<'k>(shared: &Shared, spec: &CommandSpec, args: Args<'k>) -> SmallVec<[Key<'k>; 4]> {
    let positions = key_positions(spec, args).unwrap_or_default();
    positions.iter().map(|p| shared.store.key(args.at(p.index as usize))).collect()
}

/// The slots of these keys in the order in which they are locked. A command without keys gets one, which it won't use.
fn slots_of<'a, 'k: 'a>(keys: impl Iterator<Item = &'a Key<'k>>) -> SmallVec<[baton_base::Slot; 8]> {
    let mut slots: SmallVec<[baton_base::Slot; 8]> = keys.map(|k| k.slot).collect();
    if slots.is_empty() {
        slots.push(baton_base::Slot::default());
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// The keys of the single-key commands from `first` on, with their cache lines on their way (as workers do for a batch).
fn prefetch<'k>(shared: &Shared, db: DbIndex, stream: &'k Stream, first: usize) -> Vec<Option<Key<'k>>> {
    let store = &shared.store;
    let keys: Vec<Option<Key<'_>>> = (stream.commands()[first..].iter())
        .map(|command| {
            let args = stream.args(command);
            let key = store.key(args.get(command.spec?.single_key()?)?);
            Some(key)
        })
        .collect();
    store.prefetch(db, keys.iter().flatten());
    keys
}

/// Orders that a primary sends to the cluster machines of its replicas (cluster-bus, SETSLOT; replication 10).
fn cluster_order(command: NodeCommand, args: Args<'_>) -> Option<ClusterCommand> {
    let text = |i: usize| args.get(i).map(|a| String::from_utf8_lossy(a).into_owned());
    let is = |i: usize, word: &[u8]| args.get(i).is_some_and(|a| a.eq_ignore_ascii_case(word));
    if command == NodeCommand::ClusterFailover {
        let (mode, rest) = match () {
            () if is(2, b"force") => (FailoverMode::Force, 3),
            () if is(2, b"takeover") => (FailoverMode::Takeover, 3),
            () => (FailoverMode::Default, 2),
        };
        let replica_id = if is(rest, b"replicaid") { text(rest + 1) } else { None };
        return Some(ClusterCommand::Failover { mode, replica_id });
    }
    let number = baton_base::num::parse_u64(args.get(2)?).and_then(|n| u16::try_from(n).ok())?;
    let slot = baton_base::Slot::new(number)?;
    let action = match () {
        () if is(3, b"stable") => SetSlot::Stable,
        () if is(3, b"importing") => SetSlot::Importing(text(4)?),
        () if is(3, b"migrating") => SetSlot::Migrating(text(4)?),
        () if is(3, b"node") => SetSlot::Node(text(4)?),
        () => return None,
    };
    Some(ClusterCommand::SetSlot { slot, action })
}
