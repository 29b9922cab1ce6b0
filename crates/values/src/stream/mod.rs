//! Streams: entries in the order of their ids, in nodes that are packed as files have them, under a tree; and groups of
//! consumers. A copy costs nothing, whatever is in it.
//!
//! Where one node ends and the next begins is upstream's choice, by the same settings: files, and trims that take whole
//! nodes only, depend on it.

mod group;
mod id;
mod node;
mod progress;
mod radix;
mod trim;

pub use group::{Consumer, Group, Pending};
pub use id::StreamId;
pub use node::StreamEntry;
pub use trim::{StreamTrim, TrimTo};

use crate::limits::Limits;
use crate::listpack::{Damaged, Listpack, ListpackRef};
use crate::tree::{Sorted, Tree};
use node::{NodeLeaf, NodeLimit};

/// Nodes that are looked at to tell the size of an index, at most.
const RADIX_COUNTED_MAX: usize = 64;

/// A stream.
#[derive(Clone, Default)]
pub struct Stream {
    nodes: Tree<NodeLeaf>,
    node_count: u64,
    /// The id of the first entry; the lowest id if there is none.
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: Sorted<Group>,
}

impl Stream {
    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.nodes.len()
    }

    /// Whether it has no entries. It is a stream all the same.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        self.nodes.heap_bytes() + self.groups.heap_bytes()
    }

    /// Number of nodes.
    pub fn node_count(&self) -> u64 {
        self.node_count
    }

    /// How many nodes upstream's index of so many nodes has, which XINFO tells: exactly while there are few, from there on
    /// about as many as it would.
    pub fn radix_node_count(&self) -> u64 {
        let ids: Vec<_> = self.nodes().take(RADIX_COUNTED_MAX + 1).map(|(base, _)| base.to_bytes()).collect();
        match ids.len() {
            0 => 1,
            counted if counted <= RADIX_COUNTED_MAX => radix::nodes(&ids, 0),
            _ => 2 * self.node_count,
        }
    }

    /// The nodes: the id from which those of a node are counted, and its bytes (rdb 6).
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, ListpackRef<'_>)> {
        self.nodes.leaves_from(0).map(|found| (found.leaf.base(), found.leaf.pack()))
    }

    /// The id of the first entry; the lowest id if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The highest id that was ever given to an entry, or a higher one that was set.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// Sets the id behind which new entries come. None that is there may have a higher one.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
    }

    /// The highest id of entries that were deleted one by one.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// Sets the highest id of entries that were deleted.
    pub fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted_id = id;
    }

    /// How many entries were ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Sets how many entries were ever added.
    pub fn set_entries_added(&mut self, count: u64) {
        self.entries_added = count;
    }

    /// The first entry.
    pub fn first(&self) -> Option<StreamEntry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX).next()
    }

    /// The last entry.
    pub fn last(&self) -> Option<StreamEntry<'_>> {
        self.range_back(StreamId::MAX, StreamId::MIN).next()
    }

    /// The entry with this id.
    pub fn get(&self, id: StreamId) -> Option<StreamEntry<'_>> {
        self.range(id, id).next()
    }

    /// The entries from one id to another, both included.
    pub fn range(&self, from: StreamId, to: StreamId) -> impl Iterator<Item = StreamEntry<'_>> {
        let start = self.nodes.find_ranked(|base| *base <= from).start;
        let entries = self.nodes.leaves_from(start).flat_map(|found| found.leaf.entries());
        entries.skip_while(move |entry| entry.id < from).take_while(move |entry| entry.id <= to)
    }

    /// The entries from one id back to a lower one, both included.
    pub fn range_back(&self, from: StreamId, to: StreamId) -> impl Iterator<Item = StreamEntry<'_>> {
        let start = self.nodes.find_ranked(|base| *base <= from).start;
        let entries = self.nodes.leaves_back_from(start).flat_map(|found| found.leaf.entries_back());
        entries.skip_while(move |entry| entry.id > from).take_while(move |entry| entry.id >= to)
    }

    /// How many entries have an id below this one: the rank of the first that hasn't.
    pub fn len_below(&self, id: StreamId) -> u64 {
        let found = self.nodes.find_ranked(|base| *base <= id);
        found.start + found.leaf.entries().take_while(|entry| entry.id < id).count() as u64
    }

    /// The entries from a rank on.
    pub fn iter_from(&self, rank: u64) -> impl Iterator<Item = StreamEntry<'_>> {
        self.nodes.leaves_from(rank).flat_map(move |found| {
            found.leaf.entries().skip(usize::try_from(rank.saturating_sub(found.start)).unwrap_or(usize::MAX))
        })
    }

    /// The entries from a rank back to the first; from the last one if there are fewer.
    pub fn iter_back_from(&self, rank: u64) -> impl Iterator<Item = StreamEntry<'_>> {
        self.nodes.leaves_back_from(rank).flat_map(move |found| {
            let last = found.start + crate::tree::Leaf::len(found.leaf) as u64 - 1;
            found.leaf.entries_back().skip(usize::try_from(last.saturating_sub(rank)).unwrap_or(usize::MAX))
        })
    }

    /// Adds an entry, whose id is higher than the last one; `fields` are names and values in turn.
    pub fn append(&mut self, id: StreamId, fields: &[&[u8]], limits: &Limits) {
        debug_assert!(id > self.last_id, "ids only grow");
        let text_bytes = fields.iter().map(|text| text.len()).sum();
        let limit = NodeLimit { bytes: limits.stream_node_bytes, entries: limits.stream_node_entries };
        let is_added = !self.is_empty()
            && self.nodes.edit_found(
                |_| true,
                |node| {
                    let has_room = node.has_room(text_bytes, limit);
                    if has_room {
                        node.append(id, fields);
                    } else {
                        node.close();
                    }
                    has_room
                },
            );
        if !is_added {
            self.nodes.push_leaf(id, NodeLeaf::new(id, fields));
            self.node_count += 1;
        }
        if self.len() == 1 {
            self.first_id = id;
        }
        self.last_id = id;
        self.entries_added += 1;
    }

    /// Looks for the first entry again, after entries went.
    fn settle_first(&mut self) {
        self.first_id = self.first().map_or(StreamId::MIN, |first| first.id);
    }

    /// Deletes an entry; false if there is none with this id.
    pub fn delete(&mut self, id: StreamId) -> bool {
        if self.get(id).is_none() {
            return false;
        }
        let is_gone = self.nodes.edit_found(
            |base| *base <= id,
            |node| {
                node.delete(id);
                crate::tree::Leaf::len(node) == 0
            },
        );
        self.node_count -= u64::from(is_gone);
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.settle_first();
        }
        true
    }

    /// Adds a node that nobody looked at behind the last one. One whose entries are all deleted is left out.
    ///
    /// # Errors
    /// If it is no node, or its ids are not higher than those before.
    pub fn push_node(&mut self, base: StreamId, pack: Listpack) -> Result<(), Damaged> {
        let Some((node, last)) = NodeLeaf::from_listpack(base, pack).ok_or(Damaged)? else { return Ok(()) };
        if !self.is_empty() && base <= self.last_id {
            return Err(Damaged);
        }
        self.nodes.push_leaf(base, node);
        self.node_count += 1;
        self.last_id = last;
        if self.node_count == 1 {
            self.settle_first();
        }
        Ok(())
    }

    /// Number of groups.
    pub fn group_count(&self) -> u64 {
        self.groups.len()
    }

    /// The groups, in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// The group with this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Changes a group, if there is one with this name; gives what the change gives.
    pub fn edit_group<R>(&mut self, name: &[u8], change: impl FnOnce(&mut Group) -> R) -> Option<R> {
        self.groups.edit(name, change)
    }

    /// Makes a group that has read up to an id, unless there is one with this name; tells whether it did.
    pub fn create_group(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> bool {
        let is_new = self.groups.get(name).is_none();
        if is_new {
            self.groups.put(name, Group::new(name, last_id, entries_read));
        }
        is_new
    }

    /// Removes a group; false if there is none with this name.
    pub fn destroy_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        let facts = |stream: &Stream| (stream.len(), stream.last_id, stream.max_deleted_id, stream.entries_added);
        let entries = |stream: &Stream| -> Vec<_> {
            let entries = stream.range(StreamId::MIN, StreamId::MAX);
            entries.map(|e| (e.id, e.fields().map(|(f, v)| (f.to_vec(), v.to_vec())).collect::<Vec<_>>())).collect()
        };
        facts(self) == facts(other) && self.groups.iter().eq(other.groups.iter()) && entries(self) == entries(other)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id.to_string());
        f.debug_list().entries(ids).finish()
    }
}

#[cfg(test)]
mod tests;
