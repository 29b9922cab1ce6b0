//! What a command runs in: the pass through the gate, the world of this batch, the times, and the thread's own scratch.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arc_swap::Guard;
use baton_base::{Offset, Rng, Slot};
use baton_cluster::RouteQuery;
use baton_commands::Effects;
use baton_journal::Unit;
use baton_store::HeldForLong;
use smallvec::SmallVec;

use super::Now;
use super::client::{Client, Waiting};
use super::count::Oddity;
use super::hold::Revealed;
use super::input::BatchBuffers;
use super::meter::Reached;
use super::script::{Attendance, Machine};
use super::seat::Place;
use crate::blocked::Name;
use crate::clients::ClientId;
use crate::eviction::{Evictor, Room};
use crate::gate::{Lane, Pass, Stillness};
use crate::node::Refusal;
use crate::pubsub::{Push, Subscriber};
use crate::scripts::Loader;
use crate::shared::Shared;
use crate::tracking::ChangedNames;
use crate::world::World;

/// What a thread that executes commands keeps for itself.
pub struct Local {
    /// Number of the worker.
    pub index: u32,
    /// Its lane through the gate.
    pub lane: Lane,
    /// Its chance.
    pub rng: Rng,
    /// Effects of the command that runs.
    pub effects: Effects,
    /// The stream bytes being made.
    pub unit: Unit,
    /// Makes room where too much memory is used.
    pub evictor: Evictor,
    /// Slots of the command that runs.
    pub slots: SmallVec<[Slot; 8]>,
    /// Messages for connections of this very worker.
    pub deliveries: Vec<(ClientId, Push)>,
    /// Messages that the running command published to its own connection; written behind its reply.
    pub own_pushes: Vec<Push>,
    /// Keys that the batch changed and that prefixes may cover.
    pub changed: ChangedNames,
    /// Slots of keys that the running script reached; noted where slots are counted.
    pub(super) reached: Reached,
    /// Nanoseconds in commands that the running request woke, where slots are counted.
    pub(super) served_nanos: u64,
    /// Bytes that the running request appended to the stream.
    pub appended_bytes: u64,
    /// Number of the running request within its batch.
    pub request: usize,
    /// Requests of the batch that don't count like the others.
    pub oddities: Vec<Oddity>,
    /// Keys that were changed and that somebody waits for.
    pub ready: Vec<Name>,
    /// Keys that somebody waits for and that are gone: served behind those that are there.
    pub gone: Vec<Name>,
    /// What the running command looked at, while replies wait for acknowledgements.
    pub revealed: Revealed,
    /// The largest offset that a reply of the batch waits for.
    pub wanted: Offset,
    /// Messages of a running script that may still be taken back; none while no such script runs.
    pub outbox: Option<Vec<(Subscriber, Push)>>,
    /// Lines for keys that could not be served because a script held the keys.
    pub unserved: Vec<Name>,
    /// Watches over the scripts that it runs.
    pub attendance: Rc<Attendance>,
    /// What loads libraries of functions.
    pub loader: Loader,
    /// What runs its scripts, once there was one.
    pub machine: Option<Box<Machine>>,
    /// Buffers of the batch.
    pub batch: BatchBuffers,
}

impl Local {
    /// A thread's own things.
    pub fn new(index: u32, lane: Lane, seed: u64, attendance: Rc<Attendance>) -> Local {
        Local {
            index,
            lane,
            rng: Rng::new(seed),
            effects: Effects::default(),
            unit: Unit::new(),
            evictor: Evictor::new(seed.rotate_left(17)),
            slots: SmallVec::new(),
            deliveries: Vec::new(),
            own_pushes: Vec::new(),
            changed: ChangedNames::new(),
            reached: Reached::default(),
            served_nanos: 0,
            appended_bytes: 0,
            request: 0,
            oddities: Vec::new(),
            ready: Vec::new(),
            gone: Vec::new(),
            revealed: Revealed::default(),
            wanted: Offset(0),
            outbox: None,
            unserved: Vec::new(),
            attendance,
            loader: Loader::default(),
            machine: None,
            batch: BatchBuffers::default(),
        }
    }
}

/// What the connection does after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next request runs.
    Next,
    /// The connection waits.
    Wait(Waiting),
    /// No further request of this connection runs.
    Stop,
}

/// One batch's stay inside the gate.
pub struct Context<'a> {
    /// The server.
    pub shared: &'a Arc<Shared>,
    /// The thread's own things.
    pub local: &'a mut Local,
    /// Proof of being inside; none while the command itself stops the world.
    pub pass: Option<Pass<'a>>,
    /// Proof of the world standing still, while a command has stopped it.
    pub still: Option<Stillness<'a>>,
    /// The world of this batch.
    pub world: Guard<Arc<World>>,
    /// The times of this batch.
    pub now: Now,
    /// Nothing stands between an authenticated client and a command: [`World::plain`], and saving works.
    pub plain: bool,
    /// Replies wait until replicas acknowledged what they tell of ([`World::holds_replies`]).
    pub holds_replies: bool,
    /// Somebody is shown every command.
    pub monitored: bool,
    /// Writes may be acknowledged.
    pub leased: bool,
    /// The running request is served here because of the keys that were there when it was admitted: to be asked once more
    /// when they are locked.
    pub open: Option<RouteQuery>,
    /// More memory is used than allowed, and no key may go for it.
    pub lacks_room: bool,
    /// A transaction is being executed: nothing may wait.
    pub in_transaction: bool,
    /// When it was entered.
    pub began: Instant,
    /// The seat of this thread, which a script may have to leave. None where no script runs.
    pub(super) seat: Option<&'a mut Place>,
}

impl<'a> Context<'a> {
    /// Passes the gate and looks at the world. While a script keeps the world standing still for long, it stays outside
    /// ([`Context::is_outside`]): then only commands run that are allowed beside a script.
    pub fn enter(shared: &'a Arc<Shared>, local: &'a mut Local, now: Now) -> Context<'a> {
        let pass = shared.gate.enter_unless(local.lane, || shared.running.any());
        Context::with(shared, local, now, pass)
    }

    fn with(shared: &'a Arc<Shared>, local: &'a mut Local, now: Now, pass: Option<Pass<'a>>) -> Context<'a> {
        let world = shared.world.peek();
        let plain = pass.is_some() && is_plain(shared, &world);
        let holds_replies = world.holds_replies;
        Context {
            shared,
            local,
            pass,
            still: None,
            world,
            plain,
            holds_replies,
            now,
            monitored: shared.monitors.any(),
            leased: true,
            open: None,
            lacks_room: false,
            in_transaction: false,
            began: Instant::now(),
            seat: None,
        }
    }

    /// Makes room before a command, where there is a limit to memory.
    #[cold]
    pub fn make_room(&mut self, client: &mut Client) {
        let Local { evictor, lane, .. } = &mut *self.local;
        self.lacks_room = evictor.make_room(self.shared, &self.world, *lane, self.now.wall) == Room::Lacking;
        for (to, push) in evictor.take_told() {
            // Who asks for a key is told in front of the reply that it went.
            if to.client == client.meta.id {
                crate::node::pubsub::write_push(self.shared, client, &push);
            } else {
                self.local.push_to(self.shared, to, push, None);
            }
        }
    }

    /// Appends the unit that was made to the journal; gives where it ends.
    #[inline]
    pub fn append_unit(&mut self) -> Offset {
        let end = self.shared.journal.append(&self.local.unit);
        self.local.appended_bytes += self.local.unit.bytes_len() as u64;
        self.local.unit.clear();
        end
    }

    /// Leaves the gate, stops the world, does something, and enters again, if it can: a script may keep the world standing
    /// still by then. Whoever calls holds no slot lock. Inside a transaction that stopped the world already, just does it.
    ///
    /// # Errors
    /// A script takes long: the world can't be stopped beside it.
    pub fn stop_world<T>(&mut self, act: impl FnOnce(&mut Context<'a>) -> T) -> Result<T, Refusal> {
        if self.still.is_some() {
            return Ok(act(self));
        }
        self.pass = None;
        let shared = self.shared;
        self.still = shared.gate.stop_world_unless(|| shared.running.any());
        self.look();
        let out = if self.still.is_some() { Ok(act(self)) } else { Err(self.busy_with(&[])) };
        self.still = None;
        self.enter_again();
        out
    }

    /// Leaves the gate, does something that may wait for another thread, and enters again, with the world stopped if it
    /// was. Whoever calls holds no slot lock, and has appended what was done so far: the role may change meanwhile.
    pub fn step_outside<T>(&mut self, act: impl FnOnce(&Arc<Shared>) -> T) -> T {
        self.pass = None;
        let was_still = self.still.take().is_some();
        let out = act(self.shared);
        if was_still {
            self.still = Some(self.shared.gate.stop_world());
            self.look();
        } else {
            self.enter_again();
        }
        out
    }

    fn enter_again(&mut self) {
        let shared = self.shared;
        self.pass = shared.gate.enter_unless(self.local.lane, || shared.running.any());
        self.look();
    }

    /// What the server calls itself in errors.
    pub fn server_name(&self) -> &'static str {
        let redis = self.world.settings.bool(baton_config::Id::ExtendedRedisCompatibility);
        if redis { "Redis" } else { "Valkey" }
    }

    /// What somebody is told who gave up waiting for a slot.
    #[cold]
    pub fn busy(&self, held: HeldForLong) -> Refusal {
        self.busy_with(&[held.0])
    }

    /// What somebody is told who needs slots that a script holds for long; or, without any, the server as a whole.
    #[cold]
    pub fn busy_with(&self, slots: &[Slot]) -> Refusal {
        self.shared.running.busy(slots, self.server_name()).into()
    }

    /// Whether it stayed outside: it may touch no key, and change nothing that others look at inside.
    pub fn is_outside(&self) -> bool {
        self.pass.is_none() && self.still.is_none()
    }

    /// Looks at the world anew: it may have changed while this thread was not inside.
    pub fn look(&mut self) {
        self.world = self.shared.world.peek();
        self.plain = !self.is_outside() && is_plain(self.shared, &self.world);
        self.holds_replies = self.world.holds_replies;
    }
}

fn is_plain(shared: &Shared, world: &World) -> bool {
    world.plain
        && !shared.running.any()
        && !(shared.persist.last_failed.load(Ordering::Relaxed) | shared.aof.status.fails())
}
