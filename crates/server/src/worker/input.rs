//! Bytes to executed requests: read, parse everything that is there, prefetch the keys of the whole batch, execute in
//! order, write all replies at once. A request that has to wait stays in the buffer with everything behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use baton_commands::CommandSpec;
use baton_resp::{ArgRange, Args, OwnedArgs, ProtocolError, Step};
use baton_store::Key;

use super::client::{Client, Waiting};
use super::context::{Context, Flow};
use super::count::{Ran, is_timed_alone, nanos_since};
use super::unleased::Told;
use super::{Now, Worker, dispatch, meter, prefetch};
use crate::conn::Moved;
use crate::renames::{self, Named, Renames};
use crate::shared::Shared;

/// Requests of one batch at the most: it bounds how long a worker keeps others from stopping the world.
pub(super) const BATCH_MAX: usize = 64;
/// Replies that are sent before more requests of the same batch run, in bytes.
const OUTPUT_BYTES_OF_BATCH: usize = 1 << 20;
/// Room that is made at once for an argument that was announced, in bytes.
const ROOM_BYTES_MAX: usize = 16 << 20;
/// What is read at once behind what waits, in bytes: the room for it is cleared each time.
const READ_BYTES_MAX: usize = 1 << 20;
/// Where the slow log asks for times below this, in nanoseconds, every command is timed by itself.
const TIMED_ALL_BELOW_NANOS: u64 = 1_000_000;

/// One parsed request of a batch.
pub(super) struct Request {
    /// Where it begins in the buffer.
    start: usize,
    /// Where the next one begins.
    end: usize,
    /// Its arguments: a part of the batch's ranges, or decoded words of an inline request.
    args: RequestArgs,
    spec: Option<&'static CommandSpec>,
}

impl Request {
    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// The command of its first word.
    pub(super) fn spec(&self) -> Option<&'static CommandSpec> {
        self.spec
    }

    pub(super) fn args<'a>(&'a self, data: &'a [u8], batch: &'a BatchBuffers) -> Args<'a> {
        match &self.args {
            RequestArgs::Ranges { first, count } => {
                Args::new(&data[self.start..], &batch.ranges[*first..first + count])
            }
            RequestArgs::Words(words) => words.as_args(),
        }
    }
}

enum RequestArgs {
    Ranges { first: usize, count: usize },
    Words(OwnedArgs),
}

/// What a batch is made of; kept between batches for its memory.
#[derive(Default)]
pub struct BatchBuffers {
    requests: Vec<Request>,
    ranges: Vec<ArgRange>,
}

impl BatchBuffers {
    /// Gives requests under other names the names of their commands.
    #[cold]
    fn rename(&mut self, data: &[u8], renames: &Renames) {
        for at in 0..self.requests.len() {
            let args = self.requests[at].args(data, self);
            match renames.named(args.name()) {
                Named::Itself => {}
                Named::Nothing => self.requests[at].spec = None,
                Named::Other(spec) => {
                    let words = renames::by_own_name(spec, args);
                    self.requests[at].args = RequestArgs::Words(words);
                    self.requests[at].spec = Some(spec);
                }
            }
        }
    }

    pub(super) fn requests(&self) -> &[Request] {
        &self.requests
    }
}

/// How parsing a batch ended.
enum BatchEnd {
    /// More may be in the buffer.
    Full,
    /// Everything whole was parsed.
    Drained,
    /// The client broke the protocol after these requests.
    Broken(ProtocolError),
}

impl Worker {
    /// Reads what the socket has and runs what is whole; with `to_end`, until there is nothing more to come or the peer is
    /// found to be gone. False if the connection is to end now.
    pub(super) fn read_and_run(&mut self, shared: &Arc<Shared>, client: &mut Client, to_end: bool, now: Now) -> bool {
        loop {
            let direct = client.input.is_empty();
            let (moved, offered) = self.read(client);
            let n = match moved {
                Moved::Bytes(n) => n,
                Moved::WouldBlock => return true,
                Moved::Closed => return false,
            };
            self.count_read(shared, client, n, now);
            if client.tracking.is_some() {
                self.hear_changes(shared, client);
            }
            let alive = if direct {
                let buf = std::mem::take(&mut self.read_buf);
                let alive = self.run_direct(shared, client, &buf[..n], now);
                self.read_buf = buf;
                alive
            } else {
                self.run_buffered(shared, client, now)
            };
            // Behind its last bytes nothing will be sent to a peer any more.
            let sends = if to_end { Worker::send } else { Worker::send_later };
            if !alive || !sends(self, shared, client) {
                return false;
            }
            if client.closing || client.adopt {
                return true;
            }
            if to_end && client.import.is_some() && client.waiting != Waiting::No {
                client.source_left = true;
                return true;
            }
            // A short read means that the socket is drained; the next bytes make a new edge. The end that an event has told of
            // makes none.
            if n < offered && !to_end {
                return true;
            }
        }
    }

    /// Reads into the worker's buffer when nothing of this client waits, else behind what waits. Gives also how many bytes
    /// there was room for.
    fn read(&mut self, client: &mut Client) -> (Moved, usize) {
        if client.input.is_empty() {
            return (client.conn.read(&mut self.read_buf), self.read_buf.len());
        }
        let (old, wanted) = (client.input.len(), wanted_bytes(client));
        client.input.reserve_exact(wanted);
        let room = client.input.capacity() - old;
        let offered = if wanted > 0 { room } else { room.max(self.read_buf.len()) }.min(READ_BYTES_MAX);
        client.input.resize(old + offered, 0);
        let moved = client.conn.read(&mut client.input[old..]);
        let got = if let Moved::Bytes(n) = moved { n } else { 0 };
        client.input.truncate(old + got);
        (moved, offered)
    }

    fn count_read(&mut self, shared: &Shared, client: &mut Client, n: usize, now: Now) {
        let stats = &shared.stats.lanes[self.local.lane.0];
        stats.net_in.add(n as u64);
        stats.reads.add(1);
        client.last_active = now.mono;
        client.meta.last_active_us.store(now.mono.as_micros(), Ordering::Relaxed);
        client.meta.net_in.store(client.meta.net_in.load(Ordering::Relaxed) + n as u64, Ordering::Relaxed);
    }

    fn run_direct(&mut self, shared: &Arc<Shared>, client: &mut Client, data: &[u8], now: Now) -> bool {
        let done = if client.waiting == Waiting::No { self.run_requests(shared, client, data, now) } else { 0 };
        if done < data.len() {
            client.input.extend_from_slice(&data[done..]);
            client.input.reserve_exact(wanted_bytes(client));
            self.note_room(client);
        }
        self.within_query_limit(shared, client)
    }

    /// Runs what waits in the client's own buffer. False if the connection is to end now.
    pub(super) fn run_buffered(&mut self, shared: &Arc<Shared>, client: &mut Client, now: Now) -> bool {
        // Even a request that is whole by now is too large if it is larger than the limit.
        if !self.within_query_limit(shared, client) {
            return false;
        }
        if client.waiting != Waiting::No || client.input.is_empty() {
            return true;
        }
        let mut data = std::mem::take(&mut client.input);
        let done = self.run_requests(shared, client, &data, now);
        data.drain(..done);
        if !data.is_empty() {
            client.input = data;
            self.note_room(client);
        }
        client.publish_buffers();
        true
    }

    /// Runs requests from the front of `data`; gives how many bytes are done with.
    fn run_requests(&mut self, shared: &Arc<Shared>, client: &mut Client, data: &[u8], now: Now) -> usize {
        let mut batch = std::mem::take(&mut self.local.batch);
        let mut pos = 0;
        loop {
            if client.held.is_full(client.out.buf.len()) {
                self.set_waiting(client, Waiting::Acks);
                break;
            }
            batch.requests.clear();
            batch.ranges.clear();
            let (end, ended) = parse(shared, client, data, pos, &mut batch);
            let (stopped_at, flow) = self.execute(shared, client, data, &batch, now);
            pos = stopped_at.unwrap_or(end);
            if let Flow::Wait(next) = flow {
                self.set_waiting(client, next);
            }
            if stopped_at.is_some() {
                // Whatever the parser knew of later requests is void: they are parsed again when it is their turn.
                client.parser = baton_resp::RequestParser::new();
                if flow == Flow::Next && self.send(shared, client) {
                    continue;
                }
                break;
            }
            match ended {
                BatchEnd::Full => {}
                BatchEnd::Drained => break,
                BatchEnd::Broken(e) => {
                    let text = e.text();
                    client.out.error_bytes(&text);
                    shared.stats.count_error(self.local.lane.0, &text);
                    client.closing = true;
                    pos = data.len();
                    break;
                }
            }
        }
        self.local.batch = batch;
        self.await_release(client);
        pos
    }

    /// Executes a batch. Gives where in the buffer it stopped early, and what the client waits for then.
    fn execute(
        &mut self,
        shared: &Arc<Shared>,
        client: &mut Client,
        data: &[u8],
        batch: &BatchBuffers,
        now: Now,
    ) -> (Option<usize>, Flow) {
        if batch.requests.is_empty() {
            return (None, Flow::Next);
        }
        self.send_before_scripts(shared, &batch.requests);
        let keys = prefetch::keys(&shared.store, client.db, data, batch);
        let mut cx = Context::enter(shared, &mut self.local, now);
        cx.seat = Some(&mut self.seat);
        client.who.follow(&cx.world);
        let many = batch.requests.len() > 1;
        let reply_logged = cx.world.hot.reply_bytes_logged;
        let all_timed = many && cx.world.hot.slow_nanos < TIMED_ALL_BELOW_NANOS;
        let dirty = shared.stats.lanes[cx.local.lane.0].dirty.value();
        let (began, told_from) = (cx.began, client.out.buf.len());
        cx.leased = !shared.lease.is_over(shared.clock.mono_of(began));
        let mut outcome = (None, Flow::Next);
        let mut count = 0;
        for (request, key) in batch.requests.iter().zip(&keys) {
            cx.local.request = count;
            crate::node::notices::catch_up(client, &cx.world);
            let (start, last_write) = (client.out.buf.len(), client.last_write);
            let args = request.args(data, batch);
            let timed = all_timed || (many && request.spec.is_some_and(is_timed_alone));
            let flow = run(&mut cx, client, request, args, *key, timed);
            let replied = client.out.buf.len().saturating_sub(start) as u64;
            if replied >= reply_logged {
                cx.local.replied(replied);
            }
            if cx.holds_replies {
                cx.hold_reply(client, start, last_write);
            }
            if matches!(flow, Flow::Wait(Waiting::Hold | Waiting::Move)) {
                outcome = (Some(request.start), flow);
                break;
            }
            count += 1;
            // What large replies take has to be sent, and held against the limits, before more are made.
            if flow != Flow::Next || client.out.buf.len() >= OUTPUT_BYTES_OF_BATCH {
                if let Some(reply) = &mut client.unfinished {
                    reply.set_first_bytes(replied);
                }
                outcome = (Some(request.end), flow);
                break;
            }
        }
        drop(cx);
        if self.seat.is_left() {
            self.sit_down_again(client);
        }
        let nanos = self.after_batch(shared, client, began, told_from, dirty);
        if outcome.1 == Flow::Wait(Waiting::Reply) {
            self.begin_reply(client, nanos);
        }
        self.count_batch(shared, client, &Ran { data, batch, count, nanos });
        self.note_batch_of_turn(shared, nanos);
        outcome
    }

    /// Does what a batch leads to for others, once nothing is held any more. Its replies begin at `told_from`, and `dirty` is
    /// how many changes there were before it. Gives how many nanoseconds it took.
    #[inline]
    fn after_batch(
        &mut self,
        shared: &Shared,
        client: &mut Client,
        began: Instant,
        told_from: usize,
        dirty: u64,
    ) -> u64 {
        self.local.tell_prefixes(shared);
        self.local.ask_for_acks(shared);
        shared.seen.after_batch(shared, self.local.lane, dirty);
        let nanos = nanos_since(began);
        if shared.stats.lanes[self.local.lane.0].dirty.value() != dirty {
            client.wrote_from.get_or_insert(told_from);
            self.hold_unleased(shared, client, &Told { start: told_from, began, took: Duration::from_nanos(nanos) });
        }
        nanos
    }
}

/// How much of a large argument is to come, as far as room for it is made at once.
fn wanted_bytes(client: &Client) -> usize {
    client.parser.bytes_wanted().saturating_sub(client.input.len()).min(ROOM_BYTES_MAX)
}

/// Runs one request.
#[inline]
fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    request: &Request,
    args: Args<'_>,
    key: Option<Key<'_>>,
    timed: bool,
) -> Flow {
    if cx.world.hot.slot_stats {
        meter::run(cx, client, request.spec, args, key, request.bytes())
    } else if timed {
        run_timed(cx, client, request.spec, args, key)
    } else {
        dispatch::run(cx, client, request.spec, args, key)
    }
}

/// Runs one request of several, timed by itself.
fn run_timed(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
    key: Option<Key<'_>>,
) -> Flow {
    let began = Instant::now();
    let flow = dispatch::run(cx, client, spec, args, key);
    cx.local.took(nanos_since(began));
    flow
}

/// Parses up to a batch of whole requests from `pos` on. Gives where the first unparsed request begins.
fn parse(
    shared: &Shared,
    client: &mut Client,
    data: &[u8],
    mut pos: usize,
    batch: &mut BatchBuffers,
) -> (usize, BatchEnd) {
    let world = shared.world.peek();
    let limits = client.limits(world.hot.proto_max_bulk_len);
    // Until a client has authenticated, each request may change the limits of the next.
    let most = if client.who.is_in { BATCH_MAX } else { 1 };
    let mut end = BatchEnd::Full;
    while batch.requests.len() < most {
        let first = batch.ranges.len();
        match client.parser.next(&data[pos..], &limits, &mut batch.ranges) {
            Step::Complete { consumed, argc } => {
                let name = Args::new(&data[pos..], &batch.ranges[first..]).name();
                let (spec, args) = (baton_commands::lookup(name), RequestArgs::Ranges { first, count: argc });
                batch.requests.push(Request { start: pos, end: pos + consumed, args, spec });
                pos += consumed;
            }
            Step::Inline { consumed, args } => {
                let words = OwnedArgs::from_slices(&args);
                let spec = baton_commands::lookup(words.as_args().name());
                batch.requests.push(Request { start: pos, end: pos + consumed, args: RequestArgs::Words(words), spec });
                pos += consumed;
            }
            Step::Empty { consumed } => pos += consumed,
            Step::Incomplete => {
                end = BatchEnd::Drained;
                break;
            }
            Step::Fail(e) => {
                end = BatchEnd::Broken(e);
                break;
            }
        }
    }
    if !world.renames.is_empty() {
        batch.rename(data, &world.renames);
    }
    (pos, end)
}
