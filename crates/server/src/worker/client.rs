//! One connection as its worker holds it: stream, buffers, protocol state, transaction, subscriptions and what it waits
//! for. No command logic.

use std::collections::BTreeSet;
use std::sync::Arc;

use baton_base::{Mono, Offset};
use baton_commands::CommandSpec;
use baton_resp::{Limits, Out, OwnedArgs, Proto, RequestParser};
use baton_store::{DbIndex, WatchFlag};

use crate::acl::Identity;
use crate::blocked::Waiter;
use crate::clients::{ClientFlags, ClientMeta};
use crate::conn::{Conn, Moved};
use crate::migrate;
use crate::node::notices::Listener;
use crate::node::tracking::Tracked;
use crate::repl::ReplicaHandshake;
use crate::slot_jobs::Job;
use crate::worker::held::HeldReplies;
use crate::worker::unfinished::Unfinished;

/// Commands of a transaction, in order.
pub type Queued = Vec<(&'static CommandSpec, OwnedArgs)>;

/// Commands queued between MULTI and EXEC.
#[derive(Default)]
pub struct Transaction {
    /// In order.
    pub queue: Queued,
    /// Bytes of their arguments.
    pub bytes: usize,
    /// The database that a queued SELECT will have chosen, if there is one.
    pub db: Option<DbIndex>,
    /// ASKING was sent just before MULTI: it holds up to EXEC.
    pub asking: bool,
    /// A command could not be queued: EXEC discards.
    pub broken: bool,
    /// Bytes of its requests so far, where slots are counted.
    pub request_bytes: u64,
}

impl Transaction {
    /// Queues a command.
    pub fn push(&mut self, spec: &'static CommandSpec, args: OwnedArgs) {
        self.bytes += args.as_args().iter().map(<[u8]>::len).sum::<usize>();
        self.queue.push((spec, args));
    }
}

/// A watched key.
#[derive(Clone)]
pub struct Watched {
    /// Its database.
    pub db: DbIndex,
    /// Its name.
    pub name: Box<[u8]>,
    /// It existed when the watch began.
    pub was_there: bool,
}

/// Watched keys and the flag that their slots set.
#[derive(Clone, Default)]
pub struct Watches {
    /// In the order in which they were named.
    pub keys: Vec<Watched>,
    /// Memory of their names.
    pub bytes: usize,
    /// Set when one of them changed.
    pub flag: WatchFlag,
}

/// Memory of a name that is watched or listened to besides its own bytes.
pub const NAME_BYTES: usize = 64;

/// Names this connection listens to.
#[derive(Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: BTreeSet<Box<[u8]>>,
    /// Patterns.
    pub patterns: BTreeSet<Box<[u8]>>,
    /// Shard channels.
    pub shard: BTreeSet<Box<[u8]>>,
    /// Memory of all their names.
    pub bytes: usize,
}

impl Subscriptions {
    /// Channels and patterns, the count that subscription replies carry.
    pub fn len(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Whether nothing is listened to.
    pub fn is_empty(&self) -> bool {
        self.len() + self.shard.len() == 0
    }
}

/// What the connection waits for. While it waits, its further requests stay in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing.
    No,
    /// A hold of commands to end; the request at the front of the buffer runs again then.
    Hold,
    /// Replicas to acknowledge (WAIT).
    Replicas {
        /// How many.
        wanted: u64,
        /// What they must have.
        offset: Offset,
        /// When to answer anyway.
        deadline: Mono,
    },
    /// Replicas, or this node, to sync to disk (WAITAOF).
    Synced {
        /// This node, too.
        locally: bool,
        /// How many.
        wanted: u64,
        /// What they must have.
        offset: Offset,
        /// When to answer anyway.
        deadline: Mono,
    },
    /// The control thread's answer.
    Control,
    /// Room for more replies that wait for acknowledgements.
    Acks,
    /// Its keys to be moved to another server; the request at the front of the buffer runs again then.
    Move,
    /// Its reply to be written to the end ([`Client::unfinished`]).
    Reply,
    /// Keys to change ([`Client::blocked`]).
    Keys {
        /// When to answer anyway; none is never.
        deadline: Option<Mono>,
    },
}

impl Waiting {
    /// Whether it is told to others as waiting: whoever reads his reply is not.
    pub fn blocks(&self) -> bool {
        !matches!(self, Waiting::No | Waiting::Reply)
    }

    /// Whether it ends with what replicas acknowledge.
    pub fn is_for_replicas(&self) -> bool {
        matches!(self, Waiting::Replicas { .. } | Waiting::Synced { .. })
    }
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// Replies are sent.
    On,
    /// No reply is sent.
    Off,
    /// The reply of the next command is not sent.
    SkipNext,
    /// The reply of this command is not sent.
    Skip,
}

/// A connection.
pub struct Client {
    /// Its face to others.
    pub meta: Arc<ClientMeta>,
    /// Its stream.
    pub conn: Conn,
    /// Requests that wait: received and not executed.
    pub input: Vec<u8>,
    /// Where the parser is in the first of them.
    pub parser: RequestParser,
    /// Replies that wait, in room that the worker lends while it serves the connection.
    pub out: Out,
    /// How much of them is written.
    pub written: usize,
    /// Which of them must not be sent yet.
    pub held: HeldReplies,
    /// Selected database.
    pub db: DbIndex,
    /// Who it is.
    pub who: Identity,
    /// It was authenticated at some time: a RESET does not make it a stranger whose replies are limited.
    pub once_authenticated: bool,
    /// ASKING was sent just before.
    pub asking: bool,
    /// It is shown every command (MONITOR).
    pub monitors: bool,
    /// READONLY holds.
    pub readonly: bool,
    /// CLIENT CAPA redirect holds.
    pub capa_redirect: bool,
    /// CLIENT MAINT_NOTIFICATIONS holds.
    pub listener: Option<Listener>,
    /// CLIENT IMPORT-SOURCE holds.
    pub import_source: bool,
    /// CLIENT NO-TOUCH holds.
    pub no_touch: bool,
    /// CLIENT REPLY mode.
    pub reply_mode: ReplyMode,
    /// Transaction, between MULTI and EXEC.
    pub transaction: Option<Box<Transaction>>,
    /// Watched keys.
    pub watches: Option<Box<Watches>>,
    /// Subscriptions.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// How it is told of changed keys.
    pub tracking: Option<Box<Tracked>>,
    /// What it waits for.
    pub waiting: Waiting,
    /// Its reply that is written piece by piece; what stands in `out` meanwhile comes behind it.
    pub unfinished: Option<Box<Unfinished>>,
    /// Its command that waits for keys.
    pub blocked: Option<Arc<Waiter>>,
    /// What was moved for the request at the front of the buffer.
    pub moved: Option<Box<migrate::Moved>>,
    /// The job whose source it is.
    pub import: Option<Arc<Job>>,
    /// That job's source has left, and what it said last is still to be done: it may have granted the slots with it.
    pub source_left: bool,
    /// Close it once its replies are written.
    pub closing: bool,
    /// Since when it has been over its soft output limit.
    pub over_soft_since: Option<Mono>,
    /// End of the stream after its latest write, for WAIT.
    pub last_write: Offset,
    /// Where in the output the replies begin of batches that wrote, as far as they are not sent.
    pub wrote_from: Option<usize>,
    /// Its replies wait for the end of the turn.
    pub is_unsent: bool,
    /// What it said of itself as a replica (REPLCONF).
    pub replica: Option<Box<ReplicaHandshake>>,
    /// Arguments of PSYNC, for the feeder.
    pub psync: Option<Vec<Vec<u8>>>,
    /// A command asked for the connection to be handed to the feeder.
    pub adopt: bool,
    /// The connection is to be carried on to the node that serves now.
    pub relay: bool,
    /// It did something since the idle check looked.
    pub last_active: Mono,
    /// Its requests have room that they may never fill, and are looked at now and then.
    pub is_roomy: bool,
}

impl Client {
    /// A fresh connection.
    pub fn new(conn: Conn, meta: Arc<ClientMeta>, who: Identity, now: Mono) -> Client {
        let once_authenticated = who.is_in;
        Client {
            meta,
            conn,
            input: Vec::new(),
            parser: RequestParser::new(),
            out: Out::new(Proto::V2),
            written: 0,
            held: HeldReplies::default(),
            db: DbIndex(0),
            who,
            once_authenticated,
            asking: false,
            monitors: false,
            readonly: false,
            capa_redirect: false,
            listener: None,
            import_source: false,
            no_touch: false,
            reply_mode: ReplyMode::On,
            transaction: None,
            watches: None,
            subscriptions: None,
            tracking: None,
            waiting: Waiting::No,
            unfinished: None,
            blocked: None,
            moved: None,
            import: None,
            source_left: false,
            closing: false,
            over_soft_since: None,
            last_write: Offset(0),
            wrote_from: None,
            is_unsent: false,
            replica: None,
            psync: None,
            adopt: false,
            relay: false,
            last_active: now,
            is_roomy: false,
        }
    }

    /// The limits that its requests must keep.
    pub fn limits(&self, bulk_max: usize) -> Limits {
        if self.who.is_in { Limits::client(bulk_max as u64) } else { Limits::unauthenticated(bulk_max as u64) }
    }

    /// Whether nothing of this connection's own state needs a look before a command: the counterpart of
    /// [`World::plain`](crate::world::World::plain).
    #[inline]
    pub fn is_plain(&self) -> bool {
        // One comparison for the flags.
        self.transaction.is_none() && self.subscriptions.is_none() && !(self.asking | self.monitors)
    }

    /// Whether keys that it reads now are followed for it.
    #[inline]
    pub fn follows_reads(&self) -> bool {
        self.tracking.as_ref().is_some_and(|tracked| tracked.follows_reads())
    }

    /// Whether RESP2 forbids it everything but subscription commands.
    pub fn in_subscribed_mode(&self) -> bool {
        self.out.proto == Proto::V2 && self.subscriptions.as_ref().is_some_and(|s| !s.is_empty())
    }

    /// Writes the reply of a command that waited, unless it said that it wants none.
    pub fn write_late(&mut self, reply: &[u8]) {
        if self.reply_mode == ReplyMode::On {
            self.out.buf.extend_from_slice(reply);
        }
    }

    /// Writes what fits of the waiting replies, as far as they may go. An error if the peer is gone.
    pub fn flush(&mut self) -> Result<usize, PeerGone> {
        if let Some(reply) = &mut self.unfinished {
            return reply.flush(&mut self.conn, &self.held);
        }
        let mut total = 0;
        let sendable = self.held.sendable(self.out.buf.len());
        while self.written < sendable {
            match self.conn.write(&self.out.buf[self.written..sendable]) {
                Moved::Bytes(n) => {
                    self.written += n;
                    total += n;
                }
                Moved::WouldBlock => {
                    self.forget_written();
                    return Ok(total);
                }
                Moved::Closed => return Err(PeerGone),
            }
        }
        if sendable < self.out.buf.len() {
            self.forget_written();
            return Ok(total);
        }
        self.out.buf.clear();
        (self.written, self.wrote_from) = (0, None);
        Ok(total)
    }

    /// Gives back the room of what is written, for a reader that never catches up entirely.
    fn forget_written(&mut self) {
        if self.written >= WRITTEN_BYTES_KEPT && self.written > self.out.buf.len() / 2 {
            self.out.buf.drain(..self.written);
            self.held.shift(self.written);
            self.wrote_from = self.wrote_from.map(|from| from.saturating_sub(self.written));
            self.written = 0;
        }
    }

    /// Bytes of replies that wait.
    pub fn output_bytes(&self) -> usize {
        self.out.buf.len() - self.written + self.unfinished.as_ref().map_or(0, |reply| reply.bytes())
    }

    /// Room for replies behind those that wait, in bytes.
    pub fn output_room_bytes(&self) -> usize {
        self.out.buf.capacity() - (self.out.buf.len() - self.written)
    }

    /// Mirrors how much waits in its buffers. What room its replies have counts once it is served: until then that is lent.
    pub fn publish_buffers(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        // What was read of the first request is no query any more, but arguments.
        let read = self.parser.read_bytes().min(self.input.len());
        self.meta.query_bytes.store((self.input.len() - read) as u64, Relaxed);
        self.meta.argument_bytes.store(read as u64, Relaxed);
        self.meta.query_room_bytes.store((self.input.capacity() - self.input.len()) as u64, Relaxed);
        self.meta.output_bytes.store(self.output_bytes() as u64, Relaxed);
    }

    /// Mirrors what others see of a client in a transaction, subscribed or waiting.
    pub fn publish_state(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let m = &self.meta;
        m.db.store(self.db.0, Relaxed);
        m.resp.store(self.out.proto.number() as u32, Relaxed);
        self.publish_buffers();
        m.queued.store(self.transaction.as_ref().map_or(-1, |t| t.queue.len() as i64), Relaxed);
        m.watched.store(self.watches.as_ref().map_or(0, |w| w.keys.len() as u32), Relaxed);
        let (c, p, s) =
            self.subscriptions.as_ref().map_or((0, 0, 0), |s| (s.channels.len(), s.patterns.len(), s.shard.len()));
        m.channels.store(c as u32, Relaxed);
        m.patterns.store(p as u32, Relaxed);
        m.shard_channels.store(s as u32, Relaxed);
        let listens = self.subscriptions.as_ref().map_or(0, |s| s.bytes);
        let names = self.watches.as_ref().map_or(0, |w| w.bytes) + listens;
        m.names_bytes.store(names as u64, Relaxed);
        m.set_flags(ClientFlags::PUBSUB, c + p + s > 0);
        m.set_flags(ClientFlags::MULTI, self.transaction.is_some());
        m.multi_bytes.store(self.transaction.as_ref().map_or(0, |t| t.bytes as u64), Relaxed);
        m.set_flags(ClientFlags::BLOCKED, self.waiting.blocks());
        m.set_flags(ClientFlags::HELD, self.waiting == Waiting::Hold);
        m.set_flags(ClientFlags::DIRTY_CAS, self.watches.as_ref().is_some_and(|w| w.flag.is_set()));
        m.set_flags(ClientFlags::READONLY, self.readonly);
        m.set_flags(ClientFlags::NO_TOUCH, self.no_touch);
        m.set_flags(ClientFlags::IMPORT_SOURCE, self.import_source && self.import.is_none());
        m.set_flags(ClientFlags::SLOT_IMPORT, self.import.is_some());
        m.set_flags(ClientFlags::CAPA_REDIRECT, self.capa_redirect);
        m.set_flags(ClientFlags::CLOSE_AFTER_REPLY, self.closing);
    }
}

/// The peer closed the connection or it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerGone;

/// Written replies in front of those that wait are dropped once they are this many bytes.
const WRITTEN_BYTES_KEPT: usize = 64 * 1024;
