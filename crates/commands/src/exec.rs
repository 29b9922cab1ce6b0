//! What a running command has in its hands.

use std::sync::Arc;

use baton_base::{Rng, Slot, SlotBitmap, WallMs};
use baton_rdb::VersionPolicy;
use baton_resp::{Args, Out};
use baton_store::{DbIndex, Garbage, Key, Store, View};
use baton_values::Limits;

use crate::effects::Effects;
use crate::event::EventClass;
use crate::long_reply::LongReply;
use crate::wait::Waits;

/// Everything a command that runs on keys may use. Nothing else reaches it: no lock, no clock, no configuration object.
pub struct Exec<'a, 's> {
    /// The slots of its keys.
    pub view: &'a mut View<'s>,
    /// Its arguments, with the name.
    pub args: Args<'a>,
    /// Its declared keys in the order of [`key_positions`](crate::key_positions), hashed by the dispatcher. May be empty; a
    /// command then hashes for itself.
    pub keys: &'a [Key<'a>],
    /// Where its reply goes.
    pub out: &'a mut Out,
    /// What it leaves for the journal.
    pub effects: &'a mut Effects,
    /// Chance, for commands whose effects say what it decided.
    pub rng: &'a mut Rng,
    /// Facts of the configuration.
    pub env: &'a Env,
    /// Whether reads renew the access time (off after CLIENT NO-TOUCH).
    pub touch: bool,
    /// Whether it may wait for its keys.
    pub waits: Waits,
    /// A script called it.
    pub in_script: bool,
}

impl<'a> Exec<'a, '_> {
    /// When collections are packed, and how large ones are hashed.
    pub(crate) fn limits(&self) -> Limits {
        Limits { seed: self.view.store().value_seed(), ..self.env.limits }
    }

    /// The `nth` declared key, which is argument `arg`.
    #[inline]
    pub fn key(&self, nth: usize, arg: usize) -> Key<'a> {
        match self.keys.get(nth) {
            Some(key) => {
                debug_assert_eq!(key.bytes, &self.args[arg], "the dispatcher hashed another argument");
                *key
            }
            None => self.view.key(self.args.at(arg)),
        }
    }
}

/// What a command that goes over the whole keyspace may use. The caller holds no slot.
pub struct StoreExec<'a> {
    /// The keyspace.
    pub store: &'a Store,
    /// The client's database.
    pub db: DbIndex,
    /// The time of this command.
    pub now: WallMs,
    /// Its arguments, with the name.
    pub args: Args<'a>,
    /// Where its reply goes.
    pub out: &'a mut Out,
    /// Chance for RANDOMKEY.
    pub rng: &'a mut Rng,
    /// Facts of the configuration.
    pub env: &'a Env,
    /// Names of keys that were met although their time had come. Where keys that are due are deleted when reached, the
    /// caller deletes these behind the command, each in a unit of its own (replication 3.1).
    pub due: Vec<Box<[u8]>>,
    /// Whether it may leave a part of its reply.
    pub waits: Waits,
    /// What it left of its reply.
    pub left: Option<Box<LongReply>>,
}

/// What a command that needs the world to stand still may use. The caller holds the gate exclusively, and no slot.
pub struct WorldExec<'a> {
    /// The keyspace.
    pub store: &'a Store,
    /// The client's database.
    pub db: DbIndex,
    /// The time of this command.
    pub now: WallMs,
    /// Its arguments, with the name.
    pub args: Args<'a>,
    /// Where its reply goes.
    pub out: &'a mut Out,
    /// What it leaves for the journal.
    pub effects: &'a mut Effects,
    /// Facts of the configuration.
    pub env: &'a Env,
    /// How many changes were made: the caller adds them to the store's count.
    pub dirty: u64,
    /// What was taken out of the keyspace.
    pub garbage: Vec<Garbage>,
    /// Whether the garbage has to be freed before the reply is sent (SYNC) rather than behind it.
    pub free_now: bool,
    /// What the command emptied: whoever counts on the data, beyond single keys, has to learn of it.
    pub emptied: Emptied,
}

/// What a command left without any key. One that was refused has emptied nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// Nothing.
    Nothing,
    /// All databases.
    Everything,
    /// One database.
    Database,
    /// One slot.
    Slot(Slot),
}

/// Facts of the configuration and of the caller that commands depend on. Made anew when the configuration changes.
#[derive(Clone, Debug)]
pub struct Env {
    /// Where deletions say UNLINK and free in the background.
    pub lazy: LazyFree,
    /// Longest string in bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: u64,
    /// Whether eviction counts frequency (`maxmemory-policy *-lfu`) instead of idle time.
    pub lfu: bool,
    /// Minutes after which a frequency counter loses one (`lfu-decay-time`).
    pub lfu_decay_minutes: u32,
    /// Whether the node is part of a cluster.
    pub cluster: bool,
    /// Classes of keyspace events that somebody may listen to.
    pub events: EventClass,
    /// When collections are packed; the seed is the store's.
    pub limits: Limits,
    /// Longest sparse HyperLogLog in bytes (`hll-sparse-max-bytes`).
    pub hll_sparse_bytes: usize,
    /// Slots whose keys are not shown: they are on their way here from another node.
    pub hidden: Option<Arc<SlotBitmap>>,
    /// Whether DUMP compresses long strings (`rdbcompression`).
    pub rdb_compress: bool,
    /// Which versions of payloads RESTORE takes (`rdb-version-check`).
    pub rdb_versions: VersionPolicy,
    /// RESTORE takes any checksum (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub any_checksum: bool,
}

impl Default for Env {
    fn default() -> Env {
        Env {
            lazy: LazyFree::default(),
            bulk_bytes_max: 512 << 20,
            lfu: false,
            lfu_decay_minutes: 1,
            cluster: false,
            events: EventClass::empty(),
            limits: Limits::default(),
            hll_sparse_bytes: 3000,
            hidden: None,
            rdb_compress: true,
            rdb_versions: VersionPolicy::default(),
            any_checksum: false,
        }
    }
}

/// The `lazyfree-lazy-*` and related settings.
#[derive(Clone, Copy, Debug)]
pub struct LazyFree {
    /// `lazyfree-lazy-expire`.
    pub expire: bool,
    /// `lazyfree-lazy-server-del`.
    pub server_del: bool,
    /// `lazyfree-lazy-user-del`.
    pub user_del: bool,
    /// `lazyfree-lazy-user-flush`.
    pub user_flush: bool,
}

impl Default for LazyFree {
    fn default() -> LazyFree {
        LazyFree { expire: true, server_del: true, user_del: true, user_flush: true }
    }
}

impl LazyFree {
    /// The command that stands in the stream for a deletion.
    pub fn delete_name(lazy: bool) -> &'static [u8] {
        if lazy { b"UNLINK" } else { b"DEL" }
    }
}
