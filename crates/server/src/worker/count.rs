//! What requests are counted as: calls, times, refusals, failures, and entries of the slow log.
//!
//! A batch is timed as a whole and its time shared out equally: reading a clock around each command would cost more than
//! many a command. Commands that may take long are timed by themselves, and so is everything when the slow log asks for
//! times that short.

use std::sync::atomic::Ordering;
use std::time::Instant;

use baton_commands::{CommandSpec, Flags, Group};
use baton_resp::{Args, Out};
use baton_store::HeldForLong;

use super::client::Client;
use super::context::{Context, Flow, Local};
use super::input::{BatchBuffers, Request};
use super::{Worker, meter};
use crate::clients::ClientMeta;
use crate::command_log::Kind;
use crate::latency::Event;
use crate::node::Refusal;
use crate::shared::Shared;
use crate::stats::{CommandStats, WorkerStats};
use crate::world::Hot;

/// What is special about one request of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Oddity {
    /// Its number in the batch.
    request: usize,
    /// What it counts as, if that is not the command of its first word.
    spec: Option<&'static CommandSpec>,
    /// It did not run: it was refused, or queued for EXEC.
    uncounted: bool,
    /// It is answered later, or in pieces: it counts when it is answered.
    waits: bool,
    /// Its own time.
    pub(super) nanos: Option<u64>,
    /// Bytes of its reply, if they are many.
    reply_bytes: Option<u64>,
}

impl Local {
    /// What is special about the running request.
    pub(super) fn oddity(&mut self) -> &mut Oddity {
        if self.oddities.last().is_none_or(|o| o.request != self.request) {
            self.oddities.push(Oddity {
                request: self.request,
                spec: None,
                uncounted: false,
                waits: false,
                nanos: None,
                reply_bytes: None,
            });
        }
        self.oddities.last_mut().expect("there is one now")
    }

    /// The running request counts as this subcommand.
    #[cold]
    pub(super) fn counts_as(&mut self, spec: &'static CommandSpec) {
        self.oddity().spec = Some(spec);
    }

    /// The running request is no call.
    pub(super) fn uncounted(&mut self) {
        self.oddity().uncounted = true;
    }

    /// Whether the running request is no call.
    pub(super) fn is_uncounted(&self) -> bool {
        self.oddities.last().is_some_and(|o| o.request == self.request && o.uncounted)
    }

    /// The running request is answered later, or in pieces.
    pub(super) fn waits(&mut self) {
        self.oddity().waits = true;
    }

    /// The running request got a reply of this many bytes.
    #[cold]
    pub(super) fn replied(&mut self, bytes: u64) {
        self.oddity().reply_bytes = Some(bytes);
    }

    /// The running request took this long by itself.
    pub(super) fn took(&mut self, nanos: u64) {
        self.oddity().nanos = Some(nanos);
    }
}

impl Context<'_> {
    /// Refuses a command that did not begin. A refusal inside a transaction spoils it; a refused EXEC ends it.
    #[cold]
    pub(super) fn reject(&mut self, client: &mut Client, spec: Option<&'static CommandSpec>, text: &[u8]) -> Flow {
        self.local.uncounted();
        if let Some(t) = &mut client.transaction {
            t.broken = true;
        }
        self.write_error(client, text);
        if let Some(spec) = spec {
            self.lane_stats().by_command[spec.id().index()].rejected.add(1);
        }
        Flow::Next
    }

    /// Refuses a command that waited for slots until it was clear that a script holds them for long.
    #[cold]
    pub(super) fn reject_busy(&mut self, client: &mut Client, spec: &'static CommandSpec, held: HeldForLong) -> Flow {
        let Refusal(text) = self.busy(held);
        self.reject(client, Some(spec), text.as_bytes())
    }

    /// Tells a client the error of a command that ran.
    #[cold]
    pub(super) fn fail(&mut self, client: &mut Client, spec: &CommandSpec, text: &[u8]) {
        self.write_error(client, text);
        self.lane_stats().by_command[spec.id().index()].failed.add(1);
    }

    /// As [`Context::fail`], where only the output of the client is at hand.
    #[cold]
    pub(super) fn fail_to(&mut self, out: &mut Out, spec: &CommandSpec, text: &[u8]) {
        out.error_bytes(text);
        self.shared.stats.count_error(self.local.lane.0, text);
        self.lane_stats().by_command[spec.id().index()].failed.add(1);
    }

    /// Refuses a command that waited, where only its output is at hand.
    #[cold]
    pub(super) fn reject_to(&mut self, out: &mut Out, spec: &CommandSpec, text: &[u8]) {
        out.error_bytes(text);
        self.shared.stats.count_error(self.local.lane.0, text);
        self.lane_stats().by_command[spec.id().index()].rejected.add(1);
    }

    /// Counts the error of a script, unless its text was counted where it came from.
    #[cold]
    pub(super) fn note_failed(&mut self, spec: &CommandSpec, text: &[u8], counted: bool) {
        if !counted {
            self.shared.stats.count_script_error(self.local.lane.0, text);
        }
        self.lane_stats().by_command[spec.id().index()].failed.add(1);
    }

    fn write_error(&mut self, client: &mut Client, text: &[u8]) {
        client.out.error_bytes(text);
        self.shared.stats.count_error(self.local.lane.0, text);
    }

    fn lane_stats(&self) -> &WorkerStats {
        &self.shared.stats.lanes[self.local.lane.0]
    }

    /// Counts a command that ran as part of another one.
    pub(super) fn count_inner(&mut self, client: &Client, spec: &'static CommandSpec, args: Args<'_>, cost: Cost) {
        self.local.count_one(self.shared, &self.world.hot, client, spec, args, cost);
    }
}

impl Local {
    /// Counts one command by itself.
    fn count_one(
        &self,
        shared: &Shared,
        hot: &Hot,
        client: &Client,
        spec: &'static CommandSpec,
        args: Args<'_>,
        cost: Cost,
    ) {
        let lane = &shared.stats.lanes[self.lane.0];
        lane.commands.add(1);
        client.meta.commands.fetch_add(1, Ordering::Relaxed);
        let counts = &lane.by_command[spec.id().index()];
        counts.calls.add(1);
        counts.nanos.add(cost.nanos);
        if hot.latency_tracking {
            counts.times().add(cost.nanos, 1);
        }
        if cost.is_notable(hot) {
            log(shared, &client.meta, spec, args, cost);
        }
    }
}

/// Whether a command is timed by itself though it came with others.
pub(super) fn is_timed_alone(spec: &CommandSpec) -> bool {
    !(spec.flags.contains(Flags::FAST) || spec.group == Group::String && spec.single_key().is_some())
}

/// Nanoseconds since a moment.
pub(crate) fn nanos_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What one command cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Nanoseconds.
    pub(super) nanos: u64,
    /// Bytes of its request.
    pub(super) request_bytes: u64,
    /// Bytes of its reply, if they are many enough to matter.
    pub(super) reply_bytes: u64,
}

impl Cost {
    /// Whether some log, or the latency monitor, wants to know.
    #[inline]
    pub(super) fn is_notable(&self, hot: &Hot) -> bool {
        self.nanos >= hot.slow_nanos.min(hot.event_nanos)
            || self.request_bytes >= hot.request_bytes_logged
            || self.reply_bytes >= hot.reply_bytes_logged
    }
}

/// Bytes of a request in the protocol.
pub(super) fn request_bytes(args: Args<'_>) -> u64 {
    let digits = |n: usize| u64::from(n.checked_ilog10().unwrap_or(0)) + 1;
    let framed = |len: usize| len as u64 + digits(len) + 5;
    args.iter().map(|arg| framed(arg.len())).sum::<u64>() + digits(args.len()) + 3
}

/// Writes down a command that took long, or brought or got much.
#[cold]
fn log(shared: &Shared, meta: &ClientMeta, spec: &CommandSpec, args: Args<'_>, cost: Cost) {
    let (world, now) = (shared.world.peek(), shared.clock.wall());
    let (hot, settings) = (&world.hot, &world.settings);
    if cost.nanos >= hot.event_nanos {
        let event = if spec.flags.contains(Flags::FAST) { Event::FastCommand } else { Event::Command };
        shared.latencies.add(event, now, cost.nanos / 1_000_000);
    }
    if spec.flags.contains(Flags::SKIP_COMMANDLOG) {
        return;
    }
    let logs = [
        (Kind::Slow, cost.nanos >= hot.slow_nanos, cost.nanos / 1000),
        (Kind::LargeRequest, cost.request_bytes >= hot.request_bytes_logged, cost.request_bytes),
        (Kind::LargeReply, cost.reply_bytes >= hot.reply_bytes_logged, cost.reply_bytes),
    ];
    for (kind, is, value) in logs {
        if is {
            shared.command_logs.add(kind, now, value, args, meta, settings);
        }
    }
}

/// Adds equal commands up, so that a pipeline of one command costs two additions.
struct Tally<'a> {
    lane: &'a WorkerStats,
    tracked: bool,
    share: u64,
    run: Option<(usize, u64)>,
}

impl Tally<'_> {
    fn add(&mut self, id: usize) {
        match &mut self.run {
            Some((current, n)) if *current == id => *n += 1,
            _ => {
                self.close();
                self.run = Some((id, 1));
            }
        }
    }

    fn close(&mut self) {
        if let Some((id, n)) = self.run.take() {
            self.put(&self.lane.by_command[id], n, self.share);
        }
    }

    fn put(&self, counts: &CommandStats, n: u64, nanos: u64) {
        counts.calls.add(n);
        counts.nanos.add(n * nanos);
        if self.tracked {
            counts.times().add(nanos, n);
        }
    }
}

/// A batch that ran.
pub(super) struct Ran<'a> {
    pub(super) data: &'a [u8],
    pub(super) batch: &'a BatchBuffers,
    /// How many of its requests.
    pub(super) count: usize,
    /// What all of them took.
    pub(super) nanos: u64,
}

impl Worker {
    /// Counts the commands of a batch.
    pub(super) fn count_batch(&mut self, shared: &Shared, client: &Client, ran: &Ran<'_>) {
        let world = shared.world.peek();
        let lane: &WorkerStats = &shared.stats.lanes[self.local.lane.0];
        let oddities = &self.local.oddities;
        let timed: u64 = oddities.iter().filter_map(|o| o.nanos).sum();
        let untimed = ran.count - oddities.iter().filter(|o| o.nanos.is_some()).count();
        let share = ran.nanos.saturating_sub(timed) / untimed.max(1) as u64;
        let mut tally = Tally { lane, tracked: world.hot.latency_tracking, share, run: None };
        let mut odd = oddities.iter().peekable();
        let mut uncounted = 0;
        for (n, request) in ran.batch.requests()[..ran.count].iter().enumerate() {
            match odd.next_if(|o| o.request == n) {
                None => {
                    if let Some(spec) = request.spec() {
                        tally.add(spec.id().index());
                    }
                }
                Some(o) if o.uncounted || o.waits => uncounted += 1,
                Some(o) => {
                    if let Some(spec) = o.spec.or(request.spec()) {
                        tally.put(&lane.by_command[spec.id().index()], 1, o.nanos.unwrap_or(share));
                    }
                }
            }
        }
        tally.close();
        lane.commands.add(ran.count as u64 - uncounted);
        lane.command_nanos.add(ran.nanos);
        lane.batch_max.raise(ran.count as u64);
        self.count_client(client, ran, ran.count as u64 - uncounted);
        let reply_bytes = oddities.iter().filter_map(|o| o.reply_bytes).max().unwrap_or(0);
        let whole = Cost { nanos: ran.nanos, request_bytes: ran.data.len() as u64, reply_bytes };
        if whole.is_notable(&world.hot) {
            self.log_notable(shared, client, ran, share);
        }
        self.local.oddities.clear();
    }

    /// Counts a command that waited, now that it is answered.
    pub(super) fn count_answered(&self, shared: &Shared, client: &Client, nanos: u64, reply_bytes: u64) {
        let Some(waiter) = &client.blocked else { return };
        let args = waiter.args.as_args();
        let cost = Cost { nanos, request_bytes: request_bytes(args), reply_bytes };
        self.count_late(shared, client, waiter.spec, args, cost);
        if shared.world.peek().hot.slot_stats {
            meter::add_answered(shared, self.local.lane, waiter.spec, args, cost);
        }
    }

    /// Counts a command that is done after its batch was.
    pub(super) fn count_late(
        &self,
        shared: &Shared,
        client: &Client,
        spec: &'static CommandSpec,
        args: Args<'_>,
        cost: Cost,
    ) {
        self.local.count_one(shared, &shared.world.peek().hot, client, spec, args, cost);
    }

    fn count_client(&self, client: &Client, ran: &Ran<'_>, calls: u64) {
        let meta = &client.meta;
        meta.commands.store(meta.commands.load(Ordering::Relaxed) + calls, Ordering::Relaxed);
        let last = self.local.oddities.last().filter(|o| o.request + 1 == ran.count).and_then(|o| o.spec);
        let last = last.or_else(|| ran.batch.requests()[..ran.count].last().and_then(Request::spec));
        if let Some(spec) = last {
            meta.last_command.store(spec.id().index() as i64, Ordering::Relaxed);
        }
    }

    #[cold]
    fn log_notable(&self, shared: &Shared, client: &Client, ran: &Ran<'_>, share: u64) {
        let world = shared.world.peek();
        for (n, request) in ran.batch.requests()[..ran.count].iter().enumerate() {
            let odd = self.local.oddities.iter().find(|o| o.request == n);
            let cost = Cost {
                nanos: odd.and_then(|o| o.nanos).unwrap_or(share),
                request_bytes: request.bytes(),
                reply_bytes: odd.and_then(|o| o.reply_bytes).unwrap_or(0),
            };
            let spec = odd.and_then(|o| o.spec).or(request.spec());
            let ran_now = !odd.is_some_and(|o| o.uncounted || o.waits);
            if let (Some(spec), true) = (spec, ran_now && cost.is_notable(&world.hot)) {
                log(shared, &client.meta, spec, request.args(ran.data, ran.batch), cost);
            }
        }
    }
}
