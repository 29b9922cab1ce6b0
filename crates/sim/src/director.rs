//! Leads a run through its acts: bring the cluster up, let the plan's faults happen, heal everything, demand that all is
//! well again within a bound, then ask for planned handovers under strict rules, and look at the data at the end.

use crate::boot;
use crate::event::Event;
use crate::invariant::settled;
use crate::plan::{Act, Deed, Pause, Profile, Target};
use crate::process::State;
use crate::process::core::Core;
use crate::world::World;
use baton_base::Mono;
use baton_cluster::{ClusterCommand, FailoverMode};
use baton_node::{Outcome, StopKind};
use std::time::Duration;

/// How often the director looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Until when a healthy cluster must be up, a healed one be well, and the last byte be everywhere.
const UP_MAX: Duration = Duration::from_secs(30);
const WELL_MAX: Duration = Duration::from_secs(90);
const QUIET_MAX: Duration = Duration::from_secs(20);
/// Until when a planned operation must be over, the process be back and everything attached.
const PLANNED_MAX: Duration = Duration::from_secs(30);
/// Until when it must have shown an effect.
const EFFECT_MAX: Duration = Duration::from_secs(8);
/// How long clients write before and after a planned operation.
const BREATH: Duration = Duration::from_millis(150);
/// The longest a client may wait for a write because of a planned operation.
const WAIT_MAX: Duration = Duration::from_millis(2000);

/// Which act is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    #[default]
    Rising,
    Faults {
        until: Mono,
    },
    Healing,
    /// Clients write in peace before the next operation.
    Breathing {
        until: Mono,
    },
    /// A planned operation is going on.
    Planned,
    Quiet,
}

/// See the file.
#[derive(Default)]
pub struct Director {
    stage: Stage,
    since: Mono,
    /// Faults that are on, with whom they hit.
    active: Vec<(usize, Option<usize>)>,
    /// Planned operations still to come, the next one last.
    todo: Vec<Act>,
    /// Who serves the shard of the present operation before it.
    before: Option<(usize, Option<usize>, Deed)>,
    outcomes_seen: usize,
    /// Somebody stands still in the present operation: it may take long, or fail.
    disturbed: bool,
    /// Planned operations that were carried out.
    pub planned: u64,
    /// The longest wait of a client in any of them.
    pub longest_wait: Duration,
    /// Some shard has no whole copy left.
    pub hopeless: bool,
    /// From the last fault to peace.
    pub recovery: Duration,
}

impl Director {
    /// Before the first act.
    pub fn new() -> Director {
        Director::default()
    }

    /// Looks at the world, moves on if it is time. True at the end of the run.
    pub fn look(&mut self, world: &mut World) -> bool {
        world.io.after(LOOK_EVERY, Event::Direct);
        let now = world.io.now;
        let passed = now.since(self.since);
        match self.stage {
            Stage::Rising => {
                if settled::check(world, false).is_ok() {
                    self.begin_acts(world);
                } else if passed > UP_MAX {
                    self.blame(world, "the cluster doesn't come up");
                }
            }
            Stage::Faults { until } => {
                // What a slow network carries arrives long after it is fast again, and holds up what is sent behind it.
                if now >= until.max(world.io.net.slow_until()) {
                    self.go(world, Stage::Healing);
                }
            }
            Stage::Healing => return self.heal(world, passed),
            Stage::Breathing { until } => {
                if now >= until {
                    self.next_planned(world);
                }
            }
            Stage::Planned => self.watch_planned(world, passed),
            Stage::Quiet => {
                if settled::check(world, true).is_ok() {
                    audit(world, true);
                    return true;
                }
                if passed > QUIET_MAX {
                    self.blame(world, "replicas don't get the last bytes");
                }
            }
        }
        false
    }

    fn go(&mut self, world: &mut World, stage: Stage) {
        self.stage = stage;
        self.since = world.io.now;
        let now = world.io.now;
        world.io.trace.note(now, 70, 0, 0, || format!("=== {stage:?}"));
    }

    fn blame(&self, world: &mut World, what: &str) {
        let why = settled::check(world, self.stage == Stage::Quiet).err().unwrap_or_default();
        world.io.watch.judge(world.io.now, Err(format!("{what}: {why}")));
    }

    fn begin_acts(&mut self, world: &mut World) {
        for no in 0..world.clients.len() {
            world.clients[no].begin(&mut world.io);
        }
        if world.io.plan.profile != Profile::Chaos {
            self.todo = world.io.plan.acts.clone();
            self.breathe(world);
            return;
        }
        let up = world.io.now;
        let mut until = world.io.plan.time(up, world.io.plan.acts_ms);
        for index in 0..world.io.plan.acts.len() {
            let act = world.io.plan.acts[index];
            let (begins, ends) = (world.io.plan.time(up, act.at_ms), world.io.plan.time(up, act.at_ms + act.for_ms));
            world.io.queue.push(begins, Event::Fault { index, begins: true });
            world.io.queue.push(ends, Event::Fault { index, begins: false });
            until = until.max(ends);
        }
        self.todo = tail(world);
        self.go(world, Stage::Faults { until: until + LOOK_EVERY });
    }

    /// A fault or an operation of the plan begins or ends.
    pub fn fault(&mut self, world: &mut World, index: usize, begins: bool) {
        let act = world.io.plan.acts[index];
        if begins {
            let hit = act_begins(world, act);
            self.active.push((index, hit));
        } else if let Some(at) = self.active.iter().position(|(i, _)| *i == index) {
            let (_, hit) = self.active.remove(at);
            act_ends(world, act, hit);
        }
    }

    /// Starts what is down, repairs what an operator would, and waits until all is well.
    fn heal(&mut self, world: &mut World, passed: Duration) -> bool {
        for no in 0..world.procs.len() {
            let process = &world.procs[no];
            if process.core.is_none() && passed > Duration::from_secs(1) {
                let life = process.life + 1;
                world.io.queue.push(world.io.now, Event::Start { proc: no, life });
            }
        }
        crate::operator::repair(world);
        if settled::check(world, false).and_then(|()| settled::is_unforced(world)).is_ok() {
            self.recovery = passed;
            audit(world, false);
            self.breathe(world);
        } else if passed > WELL_MAX {
            if settled::is_hopeless(world) {
                self.hopeless = true;
                return true;
            }
            self.blame(world, "not well long after the last fault");
        }
        false
    }

    fn breathe(&mut self, world: &mut World) {
        let until = world.io.now + BREATH;
        self.go(world, Stage::Breathing { until });
    }

    fn next_planned(&mut self, world: &mut World) {
        let Some(act) = self.todo.pop() else {
            for client in &mut world.clients {
                client.active = false;
            }
            self.go(world, Stage::Quiet);
            return;
        };
        if let Err(why) = settled::check(world, false).and_then(|()| settled::is_calm(world)) {
            // Whatever still goes on after a fault, the operator waits for it.
            self.todo.push(act);
            if world.io.now.since(self.since) > PLANNED_MAX {
                world.io.watch.judge(world.io.now, Err(format!("no peace before a planned handover: {why}")));
            }
            return;
        }
        world.io.watch.strict = true;
        world.io.watch.strict_since = world.io.now;
        world.io.watch.longest_wait = Duration::ZERO;
        self.outcomes_seen = world.io.watch.outcomes.len();
        self.go(world, Stage::Planned);
        let pauses = world.io.plan.pauses.get(self.todo.len()).cloned().unwrap_or_default();
        self.disturbed = !pauses.is_empty();
        pauses.into_iter().for_each(|pause| stand_still(world, pause));
        let hit = act_begins(world, act);
        if let Deed::StopAborted(_) = act.deed {
            let pause = world.io.up_to_us(30_000);
            if let Some(proc) = hit {
                world.io.after(pause, Event::Abort { proc });
            }
        }
        self.before = hit.map(|proc| {
            let shard = boot::shard_of(&world.io.plan, proc);
            (shard, primary_of(world, shard), act.deed)
        });
    }

    fn watch_planned(&mut self, world: &mut World, passed: Duration) {
        // A lost packet may hold up the very request, so nothing happens for a while.
        let early = passed < BREATH || (passed < EFFECT_MAX && !self.disturbed && self.is_awaited(world));
        if early || settled::check(world, false).and_then(|()| settled::is_unforced(world)).is_err() {
            if passed > PLANNED_MAX {
                self.blame(world, "not well after a planned handover");
            }
            return;
        }
        self.planned += 1;
        audit(world, true);
        if !self.disturbed {
            self.judge_wait(world);
            self.judge_outcome(world);
        }
        world.io.watch.strict = false;
        self.breathe(world);
    }

    /// A planned operation keeps nobody waiting for long.
    fn judge_wait(&mut self, world: &mut World) {
        let wait = world.io.watch.longest_wait;
        self.longest_wait = self.longest_wait.max(wait);
        if wait > WAIT_MAX {
            world.io.watch.judge(world.io.now, Err(format!("a client waited {wait:?} because of {:?}", self.before)));
        }
    }

    /// Whether the present operation is to change the primary and has not done so.
    fn is_awaited(&self, world: &World) -> bool {
        let Some((shard, before, deed)) = self.before else { return false };
        changes_primary(deed) && before == primary_of(world, shard)
    }

    /// A planned operation has to reach what it is for.
    fn judge_outcome(&mut self, world: &mut World) {
        let Some((shard, before, deed)) = self.before.take() else { return };
        let after = primary_of(world, shard);
        let outcomes = &world.io.watch.outcomes[self.outcomes_seen..];
        let failed = outcomes.iter().any(|(_, o)| matches!(o, Outcome::NoSuccessor(_) | Outcome::Refused));
        if changes_primary(deed) && (failed || before == after) {
            let text = format!("{deed:?} did not change the primary from n{before:?}: {outcomes:?}");
            world.io.watch.judge(world.io.now, Err(text));
        }
    }
}

/// Who serves the first slot of a shard.
fn primary_of(world: &World, shard: usize) -> Option<usize> {
    world.server_of(boot::slots(&world.io.plan, shard).0).map(Core::place)
}

fn changes_primary(deed: Deed) -> bool {
    match deed {
        Deed::Stop(Target::Primary(_), kind) => kind != StopKind::Plain,
        Deed::Failover(..) | Deed::HandOver(_) => true,
        _ => false,
    }
}

/// After faults a few handovers have to go as if there had been none.
fn tail(world: &mut World) -> Vec<Act> {
    let shards = world.io.plan.shards as u64;
    let count = 2;
    let mut deeds = Vec::new();
    for _ in 0..count {
        let shard = world.io.rng.below(shards) as usize;
        let deed = match world.io.rng.below(3) {
            0 => Deed::Failover(Target::Replica(shard), FailoverMode::Default),
            1 => Deed::HandOver(Target::Primary(shard)),
            _ => Deed::Stop(Target::Primary(shard), StopKind::Sigterm),
        };
        deeds.push(Act { at_ms: 0, for_ms: world.io.rng.range(100, 1000), deed });
    }
    deeds
}

/// Lets a process stand still in a moment, for a while.
fn stand_still(world: &mut World, pause: Pause) {
    let Some(proc) = world.resolve(pause.target) else { return };
    let (after, time) = (Duration::from_micros(pause.after_us), Duration::from_micros(pause.for_us));
    world.io.after(after, Event::Stand { proc, still: true });
    world.io.after(after + time, Event::Stand { proc, still: false });
}

/// Begins what an act is about. Gives whom it hits, as far as it hits one process.
fn act_begins(world: &mut World, act: Act) -> Option<usize> {
    let now = world.io.now;
    let target = match act.deed {
        Deed::Crash(t, _) | Deed::Pause(t) | Deed::Reset(t) | Deed::Stop(t, _) | Deed::StopAborted(t) => Some(t),
        Deed::Failover(t, _) | Deed::HandOver(t) => Some(t),
        Deed::Partition { .. } | Deed::Slow(_) => None,
    };
    let hit = target.and_then(|t| world.resolve(t));
    world.io.trace.note(now, 71, hit.unwrap_or(99) as u64, 0, || format!("{:?} hits {hit:?}", act.deed));
    match act.deed {
        Deed::Partition { mask, one_way } => partition(world, mask, one_way, true),
        Deed::Slow(times) => world.io.net.slow_down(times),
        _ => {}
    }
    let proc = hit?;
    match act.deed {
        Deed::Crash(_, how) => world.procs[proc].end(&mut world.io, how),
        Deed::Pause(_) => world.procs[proc].pause(&world.io),
        Deed::Reset(_) => reset_all(world, proc),
        Deed::Stop(_, kind) => stop(world, proc, kind, act.for_ms),
        Deed::StopAborted(_) => stop(world, proc, StopKind::Sigterm, act.for_ms),
        Deed::Failover(_, mode) => {
            let command = Box::new(ClusterCommand::Failover { mode, replica_id: None });
            world.io.queue.push(now, Event::Command { proc, command });
        }
        Deed::HandOver(_) => world.io.queue.push(now, Event::HandOver { proc }),
        Deed::Partition { .. } | Deed::Slow(_) => {}
    }
    hit
}

fn act_ends(world: &mut World, act: Act, hit: Option<usize>) {
    match (act.deed, hit) {
        (Deed::Partition { mask, one_way }, _) => partition(world, mask, one_way, false),
        (Deed::Slow(_), _) => world.io.net.slow_down(1),
        (Deed::Crash(..), Some(proc)) => {
            let life = world.procs[proc].life + 1;
            world.io.queue.push(world.io.now, Event::Start { proc, life });
        }
        (Deed::Pause(_), Some(proc)) => world.procs[proc].resume(&mut world.io),
        (Deed::StopAborted(_), Some(proc)) => world.io.queue.push(world.io.now, Event::Abort { proc }),
        _ => {}
    }
}

fn stop(world: &mut World, proc: usize, kind: StopKind, restart_ms: u64) {
    world.procs[proc].restart_ms = restart_ms;
    world.io.queue.push(world.io.now, Event::Stop { proc, kind, timeout_ms: 10_000 });
}

fn reset_all(world: &mut World, proc: usize) {
    let io = &mut world.io;
    for conn in 0..io.net.len() {
        let (a, b) = (io.net.conn(conn).ends[0], io.net.conn(conn).ends[1]);
        if (a.proc == proc || b.proc == proc) && a.open && b.open {
            io.net.reset(&mut io.queue, io.now, conn);
        }
    }
}

fn partition(world: &mut World, mask: u64, one_way: bool, begins: bool) {
    let io = &mut world.io;
    let places = io.plan.procs() + io.plan.clients;
    let inside = |place: usize| mask >> (place % 64) & 1 == 1;
    for from in 0..places {
        for to in 0..places {
            let cut = inside(from) != inside(to) && (!one_way || inside(from));
            match (cut, begins) {
                (true, true) => io.net.cut(from, to),
                (true, false) => io.net.mend(&mut io.queue, io.now, from, to),
                (false, _) => {}
            }
        }
    }
}

/// Compares what clients were told with what the primaries have.
fn audit(world: &mut World, strict: bool) {
    let procs = &world.procs;
    let found = |(slot, key): crate::data::Key| {
        let at = baton_base::Slot::new(slot)?;
        let running = procs.iter().filter(|p| p.state == State::Running).filter_map(|p| p.core.as_deref());
        let server = running.into_iter().find(|c| !c.is_replica && c.topology.is_mine(at))?;
        server.data.keys().get(&(slot, key)).copied()
    };
    let verdict = world.io.watch.ledger.audit(strict, found);
    world.io.watch.judge(world.io.now, verdict);
    if world.io.plan.keeps_writes() {
        let verdict = world.io.watch.readable.audit(found);
        world.io.watch.judge(world.io.now, verdict);
    }
}
