//! Keyspace events: what happened to which key, for `notify-keyspace-events`. A command notes them; whoever runs it
//! publishes them. While nobody asks for a class, noting it costs one comparison.

use baton_store::{DbIndex, Key};
use bitflags::bitflags;

use crate::exec::Exec;

bitflags! {
    /// Classes of events, and the two kinds of channels; the bits are those of the setting's letters.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct EventClass: u32 {
        /// `g`: commands for keys of any type.
        const GENERIC = 1;
        /// `$`: strings.
        const STRING = 1 << 1;
        /// `l`: lists.
        const LIST = 1 << 2;
        /// `s`: sets.
        const SET = 1 << 3;
        /// `h`: hashes.
        const HASH = 1 << 4;
        /// `z`: sorted sets.
        const ZSET = 1 << 5;
        /// `x`: keys whose time has come.
        const EXPIRED = 1 << 6;
        /// `e`: keys that were evicted.
        const EVICTED = 1 << 7;
        /// `t`: streams.
        const STREAM = 1 << 8;
        /// `n`: keys that were not there before; not part of `A`.
        const NEW = 1 << 10;
        /// `K`: channels named after keys.
        const KEYSPACE = 1 << 11;
        /// `E`: channels named after events.
        const KEYEVENT = 1 << 12;
        /// `m`: reads that found nothing; not part of `A`.
        const MISS = 1 << 13;
        /// Classes that nothing here notes.
        const _ = !0;
    }
}

impl EventClass {
    /// The classes to note for this value of the setting: none unless some channel carries them.
    pub fn of_setting(bits: u32) -> EventClass {
        let all = EventClass::from_bits_retain(bits);
        if all.intersects(EventClass::KEYSPACE.union(EventClass::KEYEVENT)) { all } else { EventClass::empty() }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where the key is.
    pub db: DbIndex,
    /// What happened.
    pub name: &'static str,
    /// To which key.
    pub key: Box<[u8]>,
}

impl Exec<'_, '_> {
    /// Notes what happened to a key of the selected database.
    #[inline]
    pub(crate) fn notify(&mut self, class: EventClass, name: &'static str, key: &Key<'_>) {
        if self.env.events.intersects(class) {
            self.effects.note(Event { db: self.view.db(), name, key: key.bytes.into() });
        }
    }

    /// Notes that a key is new, if it is missing; to be called before it is written.
    #[inline]
    pub(crate) fn notify_if_new(&mut self, key: &Key<'_>) {
        if self.env.events.intersects(EventClass::NEW) && !self.view.exists(key) {
            self.notify(EventClass::NEW, "new", key);
        }
    }
}
