//! What one seed means: the size of the cluster, the speed of everything, and which faults and operations happen when.
//! Drawn once at the start; nothing else of a run is chosen by hand.

use crate::disk::End;
use baton_base::{Mono, Rng};
use baton_cluster::FailoverMode;
use baton_node::StopKind;

/// Speed and quality of the network.
#[derive(Clone, Copy, Debug)]
pub struct NetPlan {
    /// Shortest time from one process to another, us.
    pub delay_min_us: u64,
    /// Longest, without a lost packet.
    pub delay_max_us: u64,
    /// How often a packet is lost, which costs time only.
    pub loss_permille: u64,
    /// How long it takes until it is sent again.
    pub resend_us: u64,
    /// Throughput of one connection.
    pub bytes_per_us: u64,
    /// A refused connection is known before the connecting call returns, as on one host.
    pub refused_at_once: bool,
}

/// What kind of run it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Operators only: handovers, one after the other or several at once, and nothing else goes wrong.
    Planned,
    /// Handovers, in the midst of which processes stand still, for less than anybody would be taken for dead: they may
    /// fail and take long, and nothing may be lost.
    Paused,
    /// Faults of every kind, and operators that don't mind them.
    Chaos,
}

/// Whom a fault or operation is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The process at this place.
    Proc(usize),
    /// Whoever is primary of this shard at that moment.
    Primary(usize),
    /// Some replica of this shard at that moment.
    Replica(usize),
}

/// Something that happens to the world.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Deed {
    /// A process dies, and starts again at the end.
    Crash(Target, End),
    /// A process stands still.
    Pause(Target),
    /// Places of the mask and all others don't hear each other, in one direction or both.
    Partition {
        /// One side.
        mask: u64,
        /// Whether the mask's side still hears the others.
        one_way: bool,
    },
    /// All connections of a process break.
    Reset(Target),
    /// The network takes this many times as long.
    Slow(u64),
    /// A process is told to stop, and starts again after its end.
    Stop(Target, StopKind),
    /// The same, called off a little later.
    StopAborted(Target),
    /// CLUSTER FAILOVER at a replica.
    Failover(Target, FailoverMode),
    /// A handover asked for at the primary.
    HandOver(Target),
}

/// A process stands still in the midst of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// Which, as it is when the operation begins.
    pub target: Target,
    /// How long after the beginning of the operation.
    pub after_us: u64,
    /// How long.
    pub for_us: u64,
}

/// A deed and its time.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// When it begins, after the cluster is up.
    pub at_ms: u64,
    /// How long it lasts, for those that last.
    pub for_ms: u64,
    /// What.
    pub deed: Deed,
}

/// Everything a seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Primaries at the start.
    pub shards: usize,
    /// Replicas of each.
    pub replicas: usize,
    /// Witnesses besides, in whose presence everybody votes.
    pub witnesses: usize,
    /// `cluster-node-timeout`.
    pub node_timeout_ms: u64,
    /// `cluster-detect-silence`.
    pub detect_silence_ms: u64,
    /// `cluster-restart-wait`.
    pub restart_wait_ms: u64,
    /// `cluster-manual-failover-timeout`.
    pub failover_timeout_ms: u64,
    /// `cluster-write-lease`.
    pub lease: bool,
    /// `write-ack-replicas`. Above 0 clients also read, and share registers.
    pub write_ack_replicas: u64,
    /// Processes start within this time, us.
    pub start_max_us: u64,
    /// Network.
    pub net: NetPlan,
    /// Longest time of a synchronous write to disk, us.
    pub sync_max_us: u64,
    /// Longest time until the gate closes, us.
    pub gate_max_us: u64,
    /// Longest time to load or make a snapshot, us.
    pub snapshot_max_us: u64,
    /// Retained bytes of a journal.
    pub backlog_bytes: u64,
    /// Snapshots are streamed, with a mark at their end.
    pub diskless: bool,
    /// A replica drops its data before it loads a snapshot.
    pub load_in_place: bool,
    /// How far clocks run off, millionths.
    pub drift_ppm: u64,
    /// How far wall clocks are apart, ms.
    pub wall_skew_ms: u64,
    /// Period of background saves, ms; 0 for none.
    pub save_period_ms: u64,
    /// So many percent of the processes follow upstream's rules and no others.
    pub upstream_percent: u64,
    /// Clients.
    pub clients: usize,
    /// Longest pause between two requests of one client, us.
    pub think_max_us: u64,
    /// Patience of a client, ms.
    pub patience_ms: u64,
    /// Longest command of a client, bytes.
    pub op_bytes_max: u64,
    /// What kind of run it is.
    pub profile: Profile,
    /// What happens.
    pub acts: Vec<Act>,
    /// Who stands still in each of them, in runs of that kind.
    pub pauses: Vec<Vec<Pause>>,
    /// How long the time of faults is, ms.
    pub acts_ms: u64,
}

impl Plan {
    /// What this seed stands for.
    pub fn of(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        let r = &mut rng;
        let (shards, replicas) = size(r);
        let witnesses = witnesses(shards, r);
        let profile = match r.below(20) {
            0..=6 => Profile::Planned,
            7..=9 => Profile::Paused,
            _ => Profile::Chaos,
        };
        let delay_min_us = *pick(r, &[20, 50, 200, 1000]);
        let net = NetPlan {
            delay_min_us,
            delay_max_us: delay_min_us * r.range(1, 20),
            loss_permille: *pick(r, &[0, 0, 1, 5, 20]),
            resend_us: 200_000,
            bytes_per_us: *pick(r, &[100, 1000]),
            refused_at_once: r.chance(1, 2),
        };
        let acts_ms = r.range(4_000, 12_000);
        let mut plan = Plan {
            shards,
            replicas,
            witnesses,
            node_timeout_ms: *pick(r, &[500, 1000, 1000, 2000]),
            detect_silence_ms: 800,
            restart_wait_ms: 10_000,
            failover_timeout_ms: 5_000,
            lease: true,
            write_ack_replicas: 0,
            start_max_us: 100_000,
            net,
            sync_max_us: *pick(r, &[0, 500, 5_000, 20_000]),
            gate_max_us: *pick(r, &[0, 100, 2_000, 20_000]),
            snapshot_max_us: *pick(r, &[1_000, 50_000, 500_000]),
            backlog_bytes: *pick(r, &[4 << 10, 64 << 10, 1 << 20]),
            diskless: r.chance(1, 2),
            load_in_place: r.chance(1, 2),
            drift_ppm: *pick(r, &[0, 100, 10_000, 50_000]),
            wall_skew_ms: *pick(r, &[0, 300, 10_000]),
            save_period_ms: *pick(r, &[0, 500, 3_000]),
            upstream_percent: 0,
            clients: r.range(2, 8) as usize,
            think_max_us: *pick(r, &[2_000, 20_000, 60_000]),
            patience_ms: r.range(500, 3_000),
            op_bytes_max: *pick(r, &[100, 1_000, 20_000]),
            profile,
            acts: Vec::new(),
            pauses: Vec::new(),
            acts_ms,
        };
        // A network slower than its load is another subject: no replica could ever catch up.
        plan.net.bytes_per_us = plan.net.bytes_per_us.max(plan.op_bytes_max / 10);
        if profile == Profile::Planned {
            // Lost packets cost fifth parts of a second each; a bound that allows for many of them would show nothing.
            plan.net.loss_permille = 0;
        }
        if profile == Profile::Paused {
            plan.node_timeout_ms = 4 * PAUSE_MAX_US / 1000;
            plan.detect_silence_ms = 0;
        }
        plan.draw_acts(r);
        plan
    }

    fn draw_acts(&mut self, rng: &mut Rng) {
        self.acts = match self.profile {
            Profile::Planned => planned_acts(self, rng, planned_deed),
            Profile::Paused => planned_acts(self, rng, lasting_deed),
            Profile::Chaos => chaos_acts(self, rng),
        };
        if self.profile == Profile::Chaos && self.witnesses == 0 {
            self.upstream_percent = *pick(rng, &[0, 0, 0, 0, 0, 0, 30, 60]);
        }
        if self.profile == Profile::Paused {
            self.pauses = self.acts.iter().map(|act| pauses(self, rng, act.deed)).collect();
        }
        if rng.chance(1, 3) {
            self.ask_for_acks(rng);
        }
    }

    /// Replies wait for replicas, in a run of all our own nodes in which nobody forces anything.
    fn ask_for_acks(&mut self, rng: &mut Rng) {
        self.write_ack_replicas = rng.range(1, self.replicas as u64);
        self.upstream_percent = 0;
        self.lease = self.profile != Profile::Chaos || rng.chance(2, 3);
        // A primary that was started again must not go on without those who have more: that is what N replicas are for.
        self.restart_wait_ms = RESTART_WAIT_LONG_MS;
        for act in &mut self.acts {
            if let Deed::Failover(_, mode) = &mut act.deed {
                *mode = FailoverMode::Default;
            }
        }
    }

    /// A cluster at default settings in an ordinary network of one place, in which nothing happens and nobody writes.
    pub fn steady(shards: usize, replicas: usize) -> Plan {
        let net = NetPlan {
            delay_min_us: 100,
            delay_max_us: 500,
            loss_permille: 0,
            resend_us: 200_000,
            bytes_per_us: 1000,
            refused_at_once: false,
        };
        Plan {
            shards,
            replicas,
            witnesses: 0,
            node_timeout_ms: 15_000,
            detect_silence_ms: 800,
            restart_wait_ms: 10_000,
            failover_timeout_ms: 5_000,
            lease: true,
            write_ack_replicas: 0,
            start_max_us: 1_000_000,
            net,
            sync_max_us: 5_000,
            gate_max_us: 100,
            snapshot_max_us: 50_000,
            backlog_bytes: 64 << 10,
            diskless: true,
            load_in_place: false,
            drift_ppm: 100,
            wall_skew_ms: 20,
            save_period_ms: 0,
            upstream_percent: 0,
            clients: 0,
            think_max_us: 20_000,
            patience_ms: 2_000,
            op_bytes_max: 100,
            profile: Profile::Planned,
            acts: Vec::new(),
            pauses: Vec::new(),
            acts_ms: 0,
        }
    }

    /// Whether an operator lets a replica take over without the primary being asked, which may then write for a moment.
    pub fn is_forced(&self) -> bool {
        let unasked = |mode| mode != FailoverMode::Default;
        self.acts.iter().any(|act| matches!(act.deed, Deed::Failover(_, mode) if unasked(mode)))
    }

    /// Whether nobody but the holder of the newest epoch may acknowledge anything: all keep the lease, and nobody forces
    /// anything.
    pub fn keeps_leases(&self) -> bool {
        !self.is_forced() && self.lease && (self.upstream_percent == 0 || self.witnesses > 0)
    }

    /// Whether a write that was acknowledged stays, as far as faults leave a copy: replicas acknowledge it, all nodes go by
    /// the rule of elections for that, and nobody forces anything.
    pub fn keeps_writes(&self) -> bool {
        self.write_ack_replicas > 0 && !self.is_forced() && self.upstream_percent == 0
    }

    /// Whether a process follows upstream's rules and no others.
    pub fn is_upstream(&self, proc: usize) -> bool {
        // Spread over primaries and replicas alike. Witnesses vote only where everybody says that they may.
        self.witnesses == 0 && (proc as u64 * 37 + 11) % 100 < self.upstream_percent
    }

    /// Processes at the start.
    pub fn procs(&self) -> usize {
        self.data_procs() + self.witnesses
    }

    fn data_procs(&self) -> usize {
        self.shards * (1 + self.replicas)
    }

    /// Whether the process at this place is a witness; they come last.
    pub fn is_witness(&self, proc: usize) -> bool {
        proc >= self.data_procs()
    }

    /// When a moment of the plan is, if the cluster was up then.
    pub fn time(&self, up: Mono, ms: u64) -> Mono {
        up + std::time::Duration::from_millis(ms)
    }
}

/// Longer than all faults of a run together.
const RESTART_WAIT_LONG_MS: u64 = 40_000;

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    rng.pick(from).expect("never empty")
}

fn size(rng: &mut Rng) -> (usize, usize) {
    match rng.below(40) {
        0..=22 => (3, 1),
        23..=26 => (3, 2),
        27..=28 => (5, 1),
        29..=30 => (4, 1),
        31..=33 => (1, 1),
        34..=36 => (1, 2),
        37 => (2, 1),
        38 => (7, 1),
        _ if rng.chance(1, 4) => (10, 2),
        _ => (5, 2),
    }
}

/// Small clusters have some most often.
fn witnesses(shards: usize, rng: &mut Rng) -> usize {
    match (shards, rng.below(8)) {
        (1 | 2, 0..=1) => 0,
        (1 | 2, 2..=6) => 1,
        (1 | 2, _) => 2,
        (_, 0) => 1,
        _ => 0,
    }
}

fn shard(plan: &Plan, rng: &mut Rng) -> usize {
    rng.below(plan.shards as u64) as usize
}

fn planned_deed(plan: &Plan, rng: &mut Rng) -> Deed {
    let shard = shard(plan, rng);
    match rng.below(10) {
        0..=2 => Deed::Stop(Target::Primary(shard), StopKind::Sigterm),
        3 => Deed::Stop(Target::Primary(shard), StopKind::ShutdownFailover),
        4 => Deed::StopAborted(Target::Primary(shard)),
        5..=7 => Deed::Failover(Target::Replica(shard), FailoverMode::Default),
        8 => Deed::Stop(Target::Replica(shard), StopKind::Sigterm),
        _ => Deed::HandOver(Target::Primary(shard)),
    }
}

/// One operation at a time, a few seconds apart; the director waits until each is over.
fn planned_acts(plan: &Plan, rng: &mut Rng, deed: fn(&Plan, &mut Rng) -> Deed) -> Vec<Act> {
    let count = rng.range(3, 6);
    (0..count).map(|_| Act { at_ms: 0, for_ms: rng.range(100, 3_000), deed: deed(plan, rng) }).collect()
}

/// One after which everybody is there. A process that ends without a successor, since that one stands still, is taken for
/// dead at once, and what follows is no planned handover any more.
fn lasting_deed(plan: &Plan, rng: &mut Rng) -> Deed {
    let shard = shard(plan, rng);
    if rng.chance(1, 2) {
        Deed::Failover(Target::Replica(shard), FailoverMode::Default)
    } else {
        Deed::HandOver(Target::Primary(shard))
    }
}

/// The longest time for which a process stands still in the midst of a handover: longer than an order to take over is
/// pursued.
const PAUSE_MAX_US: u64 = 7_000_000;
/// A pause begins so long after its operation at the latest.
const PAUSE_AFTER_MAX_US: u64 = 60_000;

/// One pause or two, of 10 ms or more, mostly of who takes part.
fn pauses(plan: &Plan, rng: &mut Rng, deed: Deed) -> Vec<Pause> {
    let shard = match deed {
        Deed::Stop(t, _) | Deed::StopAborted(t) | Deed::Failover(t, _) | Deed::HandOver(t) => t,
        _ => Target::Proc(0),
    };
    let shard = match shard {
        Target::Primary(shard) | Target::Replica(shard) => shard,
        Target::Proc(_) => 0,
    };
    let one = |rng: &mut Rng| {
        let target = match rng.below(5) {
            0 | 1 => Target::Primary(shard),
            2 | 3 => Target::Replica(shard),
            _ => Target::Proc(rng.below(plan.procs() as u64) as usize),
        };
        // Most handovers are over after a few milliseconds.
        let latest = *pick(rng, &[PAUSE_AFTER_MAX_US / 100, PAUSE_AFTER_MAX_US / 10, PAUSE_AFTER_MAX_US]);
        let longest = *pick(rng, &[100_000, 1_000_000, 3_000_000, PAUSE_MAX_US]);
        Pause { target, after_us: rng.below(latest), for_us: rng.range(10_000, longest) }
    };
    (0..rng.range(1, 2)).map(|_| one(rng)).collect()
}

fn chaos_acts(plan: &Plan, rng: &mut Rng) -> Vec<Act> {
    let count = rng.range(1, 8);
    // Some runs know only a few kinds of faults, so that these meet each other more often.
    let kinds = rng.next_u64() | (1 << rng.below(12));
    let mut acts = Vec::new();
    while acts.len() < count as usize {
        let kind = rng.below(12);
        if kinds & (1 << kind) == 0 {
            continue;
        }
        let at_ms = rng.below(plan.acts_ms);
        let for_ms = *pick(rng, &[50, 300, 1_000, 2_500, 5_000]);
        acts.push(Act { at_ms, for_ms, deed: chaos_deed(plan, rng, kind) });
    }
    acts.sort_by_key(|act| act.at_ms);
    acts
}

fn chaos_deed(plan: &Plan, rng: &mut Rng, kind: u64) -> Deed {
    let shard = shard(plan, rng);
    let target = match rng.below(4) {
        0 => Target::Proc(rng.below(plan.procs() as u64) as usize),
        1 => Target::Replica(shard),
        _ => Target::Primary(shard),
    };
    match kind {
        0 => Deed::Crash(target, End::Process),
        1 => Deed::Crash(target, End::Machine),
        2 => Deed::Crash(target, if rng.chance(1, 3) { End::Disk } else { End::Process }),
        3 => Deed::Pause(target),
        4 | 5 => Deed::Partition { mask: rng.next_u64(), one_way: rng.chance(1, 3) },
        6 => Deed::Reset(target),
        7 => Deed::Slow(rng.range(2, 50)),
        8 => Deed::Failover(Target::Replica(shard), FailoverMode::Force),
        9 => Deed::Failover(Target::Replica(shard), FailoverMode::Default),
        10 => Deed::Stop(target, *pick(rng, &[StopKind::Sigterm, StopKind::Plain])),
        _ => planned_deed(plan, rng),
    }
}
