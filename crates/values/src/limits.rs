//! How large a collection may be and still be packed: the directives of the configuration, and what else a collection
//! has to know to change its form.

/// Thresholds of all types, as configured (rdb section 10), and the seed by which large collections are hashed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `list-max-listpack-size`.
    pub list_node: ListNodeLimit,
    /// `hash-max-listpack-entries`.
    pub hash_entries: usize,
    /// `hash-max-listpack-value`, in bytes.
    pub hash_value_bytes: usize,
    /// `set-max-intset-entries`.
    pub set_ints: usize,
    /// `set-max-listpack-entries`.
    pub set_entries: usize,
    /// `set-max-listpack-value`, in bytes.
    pub set_value_bytes: usize,
    /// `zset-max-listpack-entries`.
    pub zset_entries: usize,
    /// `zset-max-listpack-value`, in bytes.
    pub zset_value_bytes: usize,
    /// `stream-node-max-bytes`; 0 is no limit.
    pub stream_node_bytes: usize,
    /// `stream-node-max-entries`; 0 is no limit.
    pub stream_node_entries: usize,
    /// Seed of the hash of members and fields; the same for the life of a process, unknown to clients.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            list_node: ListNodeLimit::from_setting(-2),
            hash_entries: 512,
            hash_value_bytes: 64,
            set_ints: 512,
            set_entries: 128,
            set_value_bytes: 64,
            zset_entries: 128,
            zset_value_bytes: 64,
            stream_node_bytes: 4096,
            stream_node_entries: 100,
            seed: 0,
        }
    }
}

/// Bytes of a listpack, at most, whatever the settings say: what does not fit is kept in the large form.
pub(crate) const PACK_BYTES_MAX: usize = 1 << 30;

/// How large a node of a list may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListNodeLimit {
    /// Elements, at most.
    pub entries: usize,
    /// Bytes, at most.
    pub bytes: usize,
}

/// Bytes of a node whose limit is a number of elements.
const SAFETY_BYTES: usize = 8 << 10;

impl ListNodeLimit {
    /// The limit that `list-max-listpack-size` sets: -1 to -5 are 4 to 64 KiB, numbers from 1 on are elements. What is out
    /// of range counts as the nearest that is not.
    pub fn from_setting(setting: i64) -> ListNodeLimit {
        match setting {
            ..0 => ListNodeLimit { entries: usize::MAX, bytes: (4 << 10) << (-setting.max(-5) - 1) },
            _ => ListNodeLimit { entries: setting.max(1) as usize, bytes: SAFETY_BYTES },
        }
    }

    /// The limit below which a list that shrank goes back to one node.
    pub fn half(&self) -> ListNodeLimit {
        ListNodeLimit { entries: self.entries / 2, bytes: self.bytes / 2 }
    }

    /// Whether a node with so many elements and bytes is within the limit.
    pub fn admits(&self, entries: usize, bytes: usize) -> bool {
        entries <= self.entries && bytes <= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_list_nodes() {
        let bytes = |setting| ListNodeLimit::from_setting(setting).bytes;
        assert_eq!([-1, -2, -3, -4, -5, -9].map(bytes), [4096, 8192, 16384, 32768, 65536, 65536]);
        assert_eq!(ListNodeLimit::from_setting(128), ListNodeLimit { entries: 128, bytes: 8192 });
        assert_eq!(ListNodeLimit::from_setting(0).entries, 1);
    }
}
