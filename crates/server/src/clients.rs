//! All connections of the server as others see them: CLIENT LIST, CLIENT KILL, INFO and the limits read here what the
//! owning worker writes. The hot fields are relaxed atomics; nothing here is on the path of a command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use baton_base::Mono;
use bitflags::bitflags;
use parking_lot::Mutex;

use crate::worker::limits::FREE_OUTPUT_BYTES;

/// Names a connection for the life of the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

bitflags! {
    /// What a connection is and does, as CLIENT LIST shows it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ClientFlags: u64 {
        /// A replica of this node.
        const REPLICA = 1;
        /// The link to this node's primary.
        const PRIMARY = 1 << 1;
        /// Subscribed to a channel or pattern.
        const PUBSUB = 1 << 2;
        /// Between MULTI and EXEC.
        const MULTI = 1 << 3;
        /// Waits in a blocking command.
        const BLOCKED = 1 << 4;
        /// A watched key changed.
        const DIRTY_CAS = 1 << 5;
        /// Closed once its replies are written.
        const CLOSE_AFTER_REPLY = 1 << 6;
        /// Connected over the unix socket.
        const UNIX_SOCKET = 1 << 7;
        /// Reads from replicas are allowed (READONLY).
        const READONLY = 1 << 8;
        /// Exempt from eviction of clients.
        const NO_EVICT = 1 << 9;
        /// Its reads don't renew access clocks.
        const NO_TOUCH = 1 << 10;
        /// Announced that it follows -REDIRECT.
        const CAPA_REDIRECT = 1 << 11;
        /// Its command waits for a hold of writes to end.
        const HELD = 1 << 12;
        /// Asked to be told of changes of primaries (CLIENT MAINT_NOTIFICATIONS).
        const NOTIFIED = 1 << 13;
        /// Told of changed keys (CLIENT TRACKING).
        const TRACKING = 1 << 14;
        /// The connection that was to be told in its place is gone.
        const TRACKING_BROKEN = 1 << 15;
        /// Told of all changes under its prefixes.
        const TRACKING_BROADCAST = 1 << 16;
        /// Imports keys (CLIENT IMPORT-SOURCE).
        const IMPORT_SOURCE = 1 << 17;
        /// Shown every command (MONITOR).
        const MONITOR = 1 << 18;
        /// The source of slots that come here.
        const SLOT_IMPORT = 1 << 20;
        /// The target of slots that leave.
        const SLOT_EXPORT = 1 << 21;
    }
}

/// What a blocked connection waits for, as far as others may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnblockHow {
    /// As if its time had run out.
    Timeout,
    /// With an error.
    Error,
}

/// The shared face of one connection.
pub struct ClientMeta {
    /// Its id.
    pub id: ClientId,
    /// The worker that owns it.
    pub worker: AtomicU32,
    /// `ip:port` of the peer, or the socket path.
    pub addr: String,
    /// `ip:port` of our side, or the socket path.
    pub local_addr: String,
    /// Its descriptor number.
    pub fd: i64,
    /// When it connected.
    pub connected: Mono,
    /// Name, library and user.
    pub labels: Mutex<Labels>,
    /// What it is and does.
    flags: AtomicU64,
    /// Selected database.
    pub db: AtomicU32,
    /// When it last sent a command, microseconds of monotonic time.
    pub last_active_us: AtomicU64,
    /// Name of its latest command (`get`, `client|list`), as an index of the command table; negative if none.
    pub last_command: AtomicI64,
    /// Subscribed channels.
    pub channels: AtomicU32,
    /// Subscribed patterns.
    pub patterns: AtomicU32,
    /// Subscribed shard channels.
    pub shard_channels: AtomicU32,
    /// Watched keys.
    pub watched: AtomicU32,
    /// Queued commands of its transaction, or -1 outside of one.
    pub queued: AtomicI64,
    /// The connection that is told of changed keys; 0 if it is this one, -1 if nobody is.
    pub redirect: AtomicI64,
    /// Memory that being told of changed keys takes, in bytes.
    pub tracking_bytes: AtomicU64,
    /// Memory of the names that it watches and listens to, in bytes.
    pub names_bytes: AtomicU64,
    /// Bytes of arguments of a request that is not whole yet.
    pub argument_bytes: AtomicU64,
    /// Its memory when it was weighed last, in bytes; a part of the sum of all.
    weighed: AtomicU64,
    /// What closing it will give back, in bytes, once that was decided for its memory.
    leaving: AtomicU64,
    /// Protocol version, 2 or 3.
    pub resp: AtomicU32,
    /// Bytes of its queued commands.
    pub multi_bytes: AtomicU64,
    /// Bytes of its query that wait.
    pub query_bytes: AtomicU64,
    /// Room for more of its query, in bytes.
    pub query_room_bytes: AtomicU64,
    /// Bytes of replies that wait.
    pub output_bytes: AtomicU64,
    /// Room for more replies, in bytes.
    pub output_room_bytes: AtomicU64,
    /// Bytes received.
    pub net_in: AtomicU64,
    /// Bytes sent.
    pub net_out: AtomicU64,
    /// Commands executed.
    pub commands: AtomicU64,
    /// Asked to close by somebody else.
    pub doomed: AtomicBool,
    /// Nobody else may close it (DEBUG PROTECT-CLIENT).
    pub protected: AtomicBool,
}

/// What a connection takes apart from its buffers, in bytes: about what it takes here.
const CONNECTION_BYTES: u64 = 1024;

/// The names a connection gave itself.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: String,
    /// The user it authenticated as.
    pub user: String,
}

impl ClientMeta {
    /// The flags now.
    pub fn flags(&self) -> ClientFlags {
        ClientFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Sets or clears flags.
    pub fn set_flags(&self, which: ClientFlags, on: bool) {
        if on {
            self.flags.fetch_or(which.bits(), Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!which.bits(), Ordering::Relaxed);
        }
    }

    /// The class that CLIENT LIST TYPE and CLIENT KILL TYPE name.
    pub fn class(&self) -> &'static str {
        let f = self.flags();
        if f.contains(ClientFlags::PRIMARY) {
            "master"
        } else if f.contains(ClientFlags::REPLICA) {
            "replica"
        } else if f.contains(ClientFlags::SLOT_IMPORT) {
            "slot-import"
        } else if f.contains(ClientFlags::SLOT_EXPORT) {
            "slot-export"
        } else if f.contains(ClientFlags::PUBSUB) {
            "pubsub"
        } else {
            "normal"
        }
    }

    /// The letters of `flags=` in CLIENT LIST.
    pub fn letters(&self) -> String {
        let f = self.flags();
        let table = [
            (ClientFlags::REPLICA, 'S'),
            (ClientFlags::MONITOR, 'O'),
            (ClientFlags::PRIMARY, 'M'),
            (ClientFlags::PUBSUB, 'P'),
            (ClientFlags::MULTI, 'x'),
            (ClientFlags::BLOCKED, 'b'),
            (ClientFlags::TRACKING, 't'),
            (ClientFlags::TRACKING_BROKEN, 'R'),
            (ClientFlags::TRACKING_BROADCAST, 'B'),
            (ClientFlags::DIRTY_CAS, 'd'),
            (ClientFlags::CLOSE_AFTER_REPLY, 'c'),
            (ClientFlags::UNIX_SOCKET, 'U'),
            (ClientFlags::READONLY, 'r'),
            (ClientFlags::NO_EVICT, 'e'),
            (ClientFlags::NO_TOUCH, 'T'),
            (ClientFlags::IMPORT_SOURCE, 'I'),
            (ClientFlags::SLOT_IMPORT, 'i'),
            (ClientFlags::SLOT_EXPORT, 'E'),
        ];
        let out: String = table.iter().filter(|(flag, _)| f.contains(*flag)).map(|(_, c)| *c).collect();
        if out.is_empty() { "N".into() } else { out }
    }

    /// The letters of `capa=`.
    pub fn capa(&self) -> &'static str {
        if self.flags().contains(ClientFlags::CAPA_REDIRECT) { "r" } else { "" }
    }

    /// The peer's address without port and brackets.
    pub fn ip(&self) -> &str {
        let host = self.addr.rsplit_once(':').map_or(&*self.addr, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Seconds since it last sent something.
    pub fn idle_secs(&self, now: Mono) -> u64 {
        now.since(Mono::from_micros(self.last_active_us.load(Ordering::Relaxed))).as_secs()
    }

    /// What it took when it was weighed last, in bytes.
    pub fn weighed_bytes(&self) -> u64 {
        self.weighed.load(Ordering::Relaxed)
    }

    /// Memory that the connection takes, in bytes: its buffers, what it queued, and names that it watches and listens to.
    pub fn memory_bytes(&self) -> u64 {
        let get = |a: &AtomicU64| a.load(Ordering::Relaxed);
        get(&self.query_bytes)
            + get(&self.query_room_bytes)
            + get(&self.output_bytes)
            + get(&self.output_room_bytes)
            + get(&self.multi_bytes)
            + get(&self.tracking_bytes)
            + get(&self.argument_bytes)
            + get(&self.names_bytes)
            + CONNECTION_BYTES
    }

    /// The line of CLIENT LIST and CLIENT INFO, without a line end.
    pub fn line(&self, now: Mono) -> String {
        let labels = self.labels.lock().clone();
        let get = |a: &AtomicU64| a.load(Ordering::Relaxed);
        let num = |a: &AtomicU32| a.load(Ordering::Relaxed);
        let age = now.since(self.connected).as_secs();
        let (idle, capa) = (self.idle_secs(now), self.capa());
        let command = match u16::try_from(self.last_command.load(Ordering::Relaxed)) {
            Ok(id) => baton_commands::by_id(baton_commands::CommandId(id)).name,
            Err(_) => "NULL",
        };
        let (query, output, multi) = (get(&self.query_bytes), get(&self.output_bytes), get(&self.multi_bytes));
        let (arguments, room) = (get(&self.argument_bytes), get(&self.query_room_bytes));
        let own = output.min(FREE_OUTPUT_BYTES as u64);
        let (own_room, more) = ((output + get(&self.output_room_bytes)).min(FREE_OUTPUT_BYTES as u64), output - own);
        let blocks = more.div_ceil(FREE_OUTPUT_BYTES as u64);
        format!(
            "id={} addr={} laddr={} fd={} name={} age={age} idle={idle} flags={} capa={capa} db={} sub={} psub={} ssub={} \
             multi={} watch={} qbuf={query} qbuf-free={room} argv-mem={arguments} multi-mem={multi} rbs={own_room} rbp={own} obl={own} \
             oll={blocks} omem={more} tot-mem={} events=r cmd={command} user={} redir={} resp={} lib-name={} lib-ver={} \
             tot-net-in={} tot-net-out={} tot-cmds={}",
            self.id.0,
            self.addr,
            self.local_addr,
            self.fd,
            labels.name,
            self.letters(),
            num(&self.db),
            num(&self.channels),
            num(&self.patterns),
            num(&self.shard_channels),
            self.queued.load(Ordering::Relaxed),
            num(&self.watched),
            self.memory_bytes(),
            labels.user,
            self.redirect.load(Ordering::Relaxed),
            num(&self.resp),
            labels.lib_name,
            labels.lib_ver,
            get(&self.net_in),
            get(&self.net_out),
            get(&self.commands),
        )
    }
}

/// Every connection, by id.
#[derive(Default)]
pub struct Clients {
    all: Mutex<BTreeMap<ClientId, Arc<ClientMeta>>>,
    /// Bytes that all of them took when they were weighed; exact but for what two threads weigh at once.
    weighed: AtomicI64,
    /// Bytes of those that are being closed for their memory.
    leaving: AtomicU64,
    /// Held by who makes room for connections, so that no two close for the same bytes.
    pub evicting: Mutex<()>,
    next: AtomicU64,
}

impl Clients {
    /// Registers a connection.
    pub fn add(&self, addr: String, local_addr: String, fd: i64, unix: bool, now: Mono) -> Arc<ClientMeta> {
        let id = ClientId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let meta = Arc::new(ClientMeta {
            id,
            worker: AtomicU32::new(0),
            addr,
            local_addr,
            fd,
            connected: now,
            labels: Mutex::new(Labels { user: "default".into(), ..Labels::default() }),
            flags: AtomicU64::new(if unix { ClientFlags::UNIX_SOCKET.bits() } else { 0 }),
            db: AtomicU32::new(0),
            last_active_us: AtomicU64::new(now.as_micros()),
            last_command: AtomicI64::new(-1),
            channels: AtomicU32::new(0),
            patterns: AtomicU32::new(0),
            shard_channels: AtomicU32::new(0),
            watched: AtomicU32::new(0),
            queued: AtomicI64::new(-1),
            redirect: AtomicI64::new(-1),
            tracking_bytes: AtomicU64::new(0),
            names_bytes: AtomicU64::new(0),
            argument_bytes: AtomicU64::new(0),
            weighed: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            resp: AtomicU32::new(2),
            multi_bytes: AtomicU64::new(0),
            query_bytes: AtomicU64::new(0),
            query_room_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            output_room_bytes: AtomicU64::new(0),
            net_in: AtomicU64::new(0),
            net_out: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            doomed: AtomicBool::new(false),
            protected: AtomicBool::new(false),
        });
        self.all.lock().insert(id, Arc::clone(&meta));
        meta
    }

    /// Forgets a connection.
    pub fn remove(&self, id: ClientId) {
        if let Some(meta) = self.all.lock().remove(&id) {
            let bytes = meta.weighed.swap(0, Ordering::Relaxed);
            self.weighed.fetch_sub(bytes as i64, Ordering::Relaxed);
            self.leaving.fetch_sub(meta.leaving.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// A connection is about to be closed for its memory: what it took when it was weighed will be given back.
    pub fn note_leaving(&self, meta: &ClientMeta) {
        // Not while it is forgotten: then it gave everything back already.
        let all = self.all.lock();
        if all.contains_key(&meta.id) {
            let bytes = meta.weighed_bytes();
            self.leaving.fetch_add(bytes, Ordering::Relaxed);
            self.leaving.fetch_sub(meta.leaving.swap(bytes, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Bytes that those take which are being closed for their memory.
    pub fn leaving_bytes(&self) -> u64 {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Notes what a connection takes by now; gives what all take together, in bytes.
    pub fn weigh(&self, meta: &ClientMeta) -> u64 {
        let bytes = meta.memory_bytes();
        let more = bytes as i64 - meta.weighed.swap(bytes, Ordering::Relaxed) as i64;
        u64::try_from(self.weighed.fetch_add(more, Ordering::Relaxed) + more).unwrap_or(0)
    }

    /// Weighs these, which are all that count; gives what they take together, in bytes.
    pub fn weigh_all(&self, all: &[Arc<ClientMeta>]) -> u64 {
        let weigh = |meta: &Arc<ClientMeta>| {
            let bytes = meta.memory_bytes();
            meta.weighed.store(bytes, Ordering::Relaxed);
            bytes
        };
        let total = all.iter().map(weigh).sum();
        self.weighed.store(total as i64, Ordering::Relaxed);
        total
    }

    /// The connection with this id.
    pub fn find(&self, id: ClientId) -> Option<Arc<ClientMeta>> {
        self.all.lock().get(&id).cloned()
    }

    /// All connections in order of their ids, without those that are about to be closed.
    pub fn list(&self) -> Vec<Arc<ClientMeta>> {
        self.all.lock().values().filter(|m| !m.doomed.load(Ordering::Acquire)).cloned().collect()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
