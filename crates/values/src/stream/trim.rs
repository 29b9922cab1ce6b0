//! Shortening a stream from its old end.

use super::Stream;
use super::id::StreamId;
use crate::tree::Leaf as _;

/// What is to be left of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// So many entries, the newest.
    Len(u64),
    /// The entries from this id on.
    Id(StreamId),
}

/// How a stream is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTrim {
    /// What is to be left.
    pub to: TrimTo,
    /// Whether more may be left: then only whole nodes go.
    pub approximately: bool,
    /// Entries to remove, at most; 0 is no limit.
    pub limit: u64,
}

impl Stream {
    /// Removes the oldest entries; gives how many.
    pub fn trim(&mut self, trim: StreamTrim) -> u64 {
        let before = self.len();
        while !self.is_empty() {
            let node = self.nodes.at(0).leaf;
            let entries = node.len() as u64;
            let removed = before - self.len();
            if trim.limit > 0 && removed + entries > trim.limit {
                break;
            }
            let is_whole = match trim.to {
                TrimTo::Len(max) => self.len() >= max && self.len() - max >= entries,
                TrimTo::Id(min) => node.last_id_ever() < min,
            };
            if is_whole {
                self.nodes.remove_range(0..entries);
                self.node_count -= 1;
                continue;
            }
            if !trim.approximately {
                let part = match trim.to {
                    TrimTo::Len(max) => self.len().saturating_sub(max),
                    TrimTo::Id(min) => node.entries().take_while(|entry| entry.id < min).count() as u64,
                };
                self.nodes.remove_range(0..part);
                // Entries that were deleted before may keep a node's last id high.
                self.node_count -= u64::from(part == entries);
            }
            break;
        }
        let removed = before - self.len();
        if removed > 0 {
            self.settle_first();
        }
        removed
    }
}
