//! What the dispatcher and ACL need to know about a command: flags and categories. Declared in the order in which
//! `COMMAND INFO` lists them (observed on 9.1.2).

use bitflags::bitflags;

bitflags! {
    /// Properties of a command that decide when it may run.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// May change the dataset.
        const WRITE = 1 << 0;
        /// Reads keys and never changes them.
        const READONLY = 1 << 1;
        /// Belongs to publish and subscribe.
        const PUBSUB = 1 << 2;
        /// Refused while memory is above `maxmemory`.
        const DENYOOM = 1 << 3;
        /// May block the client.
        const BLOCKING = 1 << 4;
        /// Administrative.
        const ADMIN = 1 << 5;
        /// Makes the next command reach a slot that is being imported.
        const ASKING = 1 << 6;
        /// Refused inside scripts.
        const NOSCRIPT = 1 << 7;
        /// Allowed while the dataset is being loaded.
        const LOADING = 1 << 8;
        /// Allowed on a replica whose link is down and that may not serve stale data.
        const STALE = 1 << 9;
        /// Refused while a replica loads beside its old dataset.
        const NO_ASYNC_LOADING = 1 << 10;
        /// Not shown by MONITOR.
        const SKIP_MONITOR = 1 << 11;
        /// Costs the same whatever the size of the data.
        const FAST = 1 << 12;
        /// Not recorded in the command log.
        const SKIP_COMMANDLOG = 1 << 13;
        /// May come without any key though it has key positions.
        const NO_MANDATORY_KEYS = 1 << 14;
        /// Refused inside a transaction.
        const NO_MULTI = 1 << 15;
        /// Allowed before authentication.
        const NO_AUTH = 1 << 16;
        /// Where its keys are takes more than first, last and step.
        const MOVABLEKEYS = 1 << 17;
        /// Allowed while a script blocks the server.
        const ALLOW_BUSY = 1 << 18;
        /// Sends something to replicas though it is no write (replication 0).
        const MAY_REPLICATE = 1 << 19;
        /// Refused unless enabled by configuration.
        const PROTECTED = 1 << 20;
        /// Reaches keys it did not declare, so its expired keys are not wrapped in a transaction (replication 3.1).
        const TOUCHES_ARBITRARY_KEYS = 1 << 21;
        /// Reaches every database.
        const ALL_DBS = 1 << 22;
    }
}

bitflags! {
    /// ACL categories.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Categories: u32 {
        /// Works on keys of any type.
        const KEYSPACE = 1 << 0;
        /// Publish and subscribe.
        const PUBSUB = 1 << 1;
        /// Writes keys.
        const WRITE = 1 << 2;
        /// Reads keys.
        const READ = 1 << 3;
        /// HyperLogLogs.
        const HYPERLOGLOG = 1 << 4;
        /// Bitmaps.
        const BITMAP = 1 << 5;
        /// Strings.
        const STRING = 1 << 6;
        /// Streams.
        const STREAM = 1 << 7;
        /// Hashes.
        const HASH = 1 << 8;
        /// Sets.
        const SET = 1 << 9;
        /// Geographical indexes.
        const GEO = 1 << 10;
        /// Administrative.
        const ADMIN = 1 << 11;
        /// Sorted sets.
        const SORTEDSET = 1 << 12;
        /// Lists.
        const LIST = 1 << 13;
        /// Costs the same whatever the size of the data.
        const FAST = 1 << 14;
        /// Every command that is not fast.
        const SLOW = 1 << 15;
        /// Scripts.
        const SCRIPTING = 1 << 16;
        /// Transactions.
        const TRANSACTION = 1 << 17;
        /// Can hurt: administration, flushing, listing all keys.
        const DANGEROUS = 1 << 18;
        /// May block the client.
        const BLOCKING = 1 << 19;
        /// The client's own connection.
        const CONNECTION = 1 << 20;
    }
}

impl Flags {
    /// The flags that clients are shown, lower-case, in order.
    pub fn names(self) -> impl Iterator<Item = String> {
        let shown = self.difference(Flags::HIDDEN);
        shown.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>().into_iter()
    }

    /// Flags that the real server does not show either.
    const HIDDEN: Flags = flags!(MAY_REPLICATE | PROTECTED | TOUCHES_ARBITRARY_KEYS | ALL_DBS);
}

impl Categories {
    /// The names with their `@`, in order.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| format!("@{}", name.to_ascii_lowercase())).collect::<Vec<_>>().into_iter()
    }

    /// The category with this name, given without `@`, in any case.
    pub fn of_name(name: &[u8]) -> Option<Categories> {
        let text = std::str::from_utf8(name).ok()?;
        Categories::from_name(&text.to_ascii_uppercase())
    }

    /// The categories that follow from flags.
    pub(crate) const fn implied(flags: Flags) -> Categories {
        let mut out = Categories::empty();
        if flags.contains(Flags::WRITE) {
            out = out.union(Categories::WRITE);
        }
        if flags.contains(Flags::READONLY) {
            out = out.union(Categories::READ);
        }
        if flags.contains(Flags::ADMIN) {
            out = out.union(Categories::ADMIN).union(Categories::DANGEROUS);
        }
        if flags.contains(Flags::PUBSUB) {
            out = out.union(Categories::PUBSUB);
        }
        if flags.contains(Flags::BLOCKING) {
            out = out.union(Categories::BLOCKING);
        }
        out.union(if flags.contains(Flags::FAST) { Categories::FAST } else { Categories::SLOW })
    }
}

/// A union of [`Flags`] by their bare names, usable in constants.
macro_rules! flags {
    ($($name:ident)|*) => { $crate::Flags::empty()$(.union($crate::Flags::$name))* };
}

/// A union of [`Categories`] by their bare names, usable in constants.
macro_rules! acl {
    ($($name:ident)|*) => { $crate::Categories::empty()$(.union($crate::Categories::$name))* };
}

pub(crate) use {acl, flags};
