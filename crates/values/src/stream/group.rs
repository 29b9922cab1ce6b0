//! Groups of consumers: how far each group has read, and which entries were given to whom and not acknowledged yet.
//!
//! **Invariant.** An entry that is pending in a group is pending for exactly one of its consumers, who exists.

use std::cmp::Ordering;

use triomphe::ThinArc;

use super::id::StreamId;
use crate::tree::{Item, Sorted};

/// A name that many may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(ThinArc<(), u8>);

impl Name {
    fn new(bytes: &[u8]) -> Name {
        Name(ThinArc::from_header_and_slice((), bytes))
    }

    fn bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// Bytes of memory behind it.
    fn heap_bytes(&self) -> usize {
        2 * size_of::<usize>() + self.bytes().len()
    }
}

/// A group of consumers.
#[derive(Clone)]
pub struct Group {
    name: Name,
    /// The id up to which entries were delivered.
    pub last_id: StreamId,
    /// How many entries of those ever added were delivered; none if nobody can tell.
    pub entries_read: Option<u64>,
    pending: Sorted<Pending>,
    consumers: Sorted<Consumer>,
}

/// A consumer of a group.
#[derive(Clone)]
pub struct Consumer {
    name: Name,
    /// When it last tried to do something, in milliseconds since 1970.
    pub seen_ms: u64,
    /// When it last got an entry; none if it never did.
    pub active_ms: Option<u64>,
    pending: Sorted<PendingId>,
}

/// An entry that was given to a consumer and not acknowledged yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The entry.
    pub id: StreamId,
    /// When it was last given away, in milliseconds since 1970.
    pub delivered_ms: u64,
    /// How often it was given away.
    pub deliveries: u64,
    consumer: Name,
}

/// An id in the list of a consumer.
#[derive(Clone, Copy, PartialEq)]
struct PendingId(StreamId);

impl Group {
    pub(super) fn new(name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> Group {
        let (pending, consumers) = (Sorted::default(), Sorted::default());
        Group { name: Name::new(name), last_id, entries_read, pending, consumers }
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        self.name.bytes()
    }

    /// Number of consumers.
    pub fn consumer_count(&self) -> u64 {
        self.consumers.len()
    }

    /// The consumers, in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter()
    }

    /// The consumer with this name.
    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Makes a consumer, seen at this time, unless there is one with this name; tells whether it did.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: u64) -> bool {
        let is_new = self.consumers.get(name).is_none();
        if is_new {
            let consumer =
                Consumer { name: Name::new(name), seen_ms: now_ms, active_ms: None, pending: Sorted::default() };
            self.consumers.put(name, consumer);
        }
        is_new
    }

    /// Notes that a consumer was seen, and whether it got something; for loading, anything else about these times.
    pub fn set_times(&mut self, name: &[u8], seen_ms: u64, active_ms: Option<u64>) {
        self.consumers.edit(name, |consumer| (consumer.seen_ms, consumer.active_ms) = (seen_ms, active_ms));
    }

    /// Removes a consumer with what is pending for it; gives the number of these entries.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<u64> {
        let consumer = self.consumers.remove(name)?;
        for id in consumer.pending_from(StreamId::MIN) {
            self.pending.remove(&id);
        }
        Some(consumer.pending_count())
    }

    /// Number of pending entries.
    pub fn pending_count(&self) -> u64 {
        self.pending.len()
    }

    /// The pending entries from an id on.
    pub fn pending_from(&self, id: StreamId) -> impl Iterator<Item = &Pending> {
        self.pending.iter_from(&id)
    }

    /// The last pending entry.
    pub fn last_pending(&self) -> Option<&Pending> {
        self.pending.last()
    }

    /// What is pending with this id.
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Makes an entry pending for a consumer, and for nobody else; false if there is no such consumer.
    pub fn assign(&mut self, id: StreamId, consumer: &[u8], delivered_ms: u64, deliveries: u64) -> bool {
        let Some(name) = self.consumers.get(consumer).map(|consumer| consumer.name.clone()) else { return false };
        let old = self.pending.get(&id).map(|pending| pending.consumer.clone());
        if old.as_ref() != Some(&name) {
            if let Some(old) = old {
                self.consumers.edit(old.bytes(), |consumer| consumer.pending.remove(&id));
            }
            self.consumers.edit(consumer, |consumer| consumer.pending.put(&id, PendingId(id)));
        }
        self.pending.put(&id, Pending { id, delivered_ms, deliveries, consumer: name });
        true
    }

    /// Changes when and how often a pending entry was given away.
    pub fn set_delivery(&mut self, id: StreamId, delivered_ms: u64, deliveries: u64) {
        self.pending.edit(&id, |pending| (pending.delivered_ms, pending.deliveries) = (delivered_ms, deliveries));
    }

    /// An entry is not pending any more; false if it was not.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.consumers.edit(pending.consumer(), |consumer| consumer.pending.remove(&id));
        true
    }
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        self.name.bytes()
    }

    /// Number of entries that are pending for it.
    pub fn pending_count(&self) -> u64 {
        self.pending.len()
    }

    /// The entries that are pending for it, from an id on.
    pub fn pending_from(&self, id: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.iter_from(&id).map(|pending| pending.0)
    }
}

impl Pending {
    /// The name of the consumer.
    pub fn consumer(&self) -> &[u8] {
        self.consumer.bytes()
    }
}

impl Item for Group {
    type Key = Name;
    type Wanted = [u8];

    const RUN_MAX: usize = 16;

    fn key(&self) -> Name {
        self.name.clone()
    }

    fn compare(key: &Name, wanted: &[u8]) -> Ordering {
        key.bytes().cmp(wanted)
    }

    fn order(&self, wanted: &[u8]) -> Ordering {
        self.name.bytes().cmp(wanted)
    }

    fn heap_bytes(&self) -> usize {
        self.name.heap_bytes() + self.pending.heap_bytes() + self.consumers.heap_bytes()
    }
}

impl Item for Consumer {
    type Key = Name;
    type Wanted = [u8];

    const RUN_MAX: usize = 16;

    fn key(&self) -> Name {
        self.name.clone()
    }

    fn compare(key: &Name, wanted: &[u8]) -> Ordering {
        key.bytes().cmp(wanted)
    }

    fn order(&self, wanted: &[u8]) -> Ordering {
        self.name.bytes().cmp(wanted)
    }

    fn heap_bytes(&self) -> usize {
        self.name.heap_bytes() + self.pending.heap_bytes()
    }
}

impl Item for Pending {
    type Key = StreamId;
    type Wanted = StreamId;

    const RUN_MAX: usize = 32;

    fn key(&self) -> StreamId {
        self.id
    }

    fn compare(key: &StreamId, wanted: &StreamId) -> Ordering {
        key.cmp(wanted)
    }

    fn order(&self, wanted: &StreamId) -> Ordering {
        self.id.cmp(wanted)
    }
}

impl Item for PendingId {
    type Key = StreamId;
    type Wanted = StreamId;

    const RUN_MAX: usize = 64;

    fn key(&self) -> StreamId {
        self.0
    }

    fn compare(key: &StreamId, wanted: &StreamId) -> Ordering {
        key.cmp(wanted)
    }

    fn order(&self, wanted: &StreamId) -> Ordering {
        self.0.cmp(wanted)
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Group) -> bool {
        (&self.name, self.last_id, self.entries_read) == (&other.name, other.last_id, other.entries_read)
            && self.pending.iter().eq(other.pending.iter())
            && self.consumers.iter().eq(other.consumers.iter())
    }
}

impl PartialEq for Consumer {
    fn eq(&self, other: &Consumer) -> bool {
        (&self.name, self.seen_ms, self.active_ms) == (&other.name, other.seen_ms, other.active_ms)
            && self.pending.iter().eq(other.pending.iter())
    }
}
