//! How far a group has come: counts of entries, as far as deleted ones leave them knowable.

use super::Stream;
use super::group::Group;
use super::id::StreamId;

impl Stream {
    /// How many of the entries ever added had an id up to this one; none if nobody can tell.
    pub fn added_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= self.last_id {
            return Some(self.entries_added);
        }
        // Entries up to an id before a deleted one may be deleted, too, but before the lowest id there are none.
        if id != StreamId::MIN && id < self.max_deleted_id {
            return None;
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        // With nothing deleted behind the first entry, the entries before it are those that are not there.
        let is_whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        let gone = self.entries_added.checked_sub(self.len())?;
        match id {
            _ if !is_whole => None,
            _ if id < self.first_id => Some(gone),
            _ if id == self.first_id => Some(gone + 1),
            _ => None,
        }
    }

    /// Whether an entry behind this id may have been deleted one by one. Where the first entry is does not matter, as upstream
    /// has it: entries that were trimmed later may have been among them.
    pub fn has_deleted_behind(&self, id: StreamId) -> bool {
        !self.is_empty() && self.max_deleted_id != StreamId::MIN && id <= self.max_deleted_id
    }

    /// How many entries a group has not read yet; none if nobody can tell.
    pub fn lag(&self, group: &Group) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_deleted_behind(group.last_id) => read,
            _ => self.added_up_to(group.last_id)?,
        };
        Some(self.entries_added.wrapping_sub(read))
    }

    /// How many entries a group will have read when it gets the one with this id, the first behind `last_id`, after it has
    /// read `read` up to there; none if nobody can tell.
    pub fn read_up_to(&self, last_id: StreamId, read: Option<u64>, id: StreamId) -> Option<u64> {
        // Trimmed entries were never read, but count.
        let is_next = last_id >= self.first_id;
        match read {
            Some(read) if is_next && !self.has_deleted_behind(last_id) => Some(read.saturating_add(1)),
            read if self.entries_added == 0 => read,
            _ => self.added_up_to(id),
        }
    }
}
