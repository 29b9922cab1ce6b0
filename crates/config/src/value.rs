//! Values of directives: what a setting holds once its text has been checked. Cheap to clone: anything longer than a
//! number is shared.

use std::sync::Arc;

/// The value of one directive. Which variant it is follows from the directive's kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `Bool` kinds.
    Bool(bool),
    /// Integers, memory sizes, octal modes, the position of an enum's variant, the bits of an enum set. A percentage of
    /// `maxmemory` is its negative.
    Int(i64),
    /// Texts. `None` means unset, and shows as the empty text.
    Text(Option<Arc<[u8]>>),
    /// `bind`: addresses in order.
    Words(Arc<[Arc<str>]>),
    /// `save`.
    Save(Arc<[SavePoint]>),
    /// `client-output-buffer-limit`, indexed by `ClientClass`.
    BufferLimits([BufferLimit; 3]),
    /// `oom-score-adj-values`: primary, replica, child.
    OomScores([i32; 3]),
    /// `latency-tracking-info-percentiles`.
    Percentiles(Arc<[f64]>),
    /// `replicaof`.
    Endpoint(Option<Arc<Endpoint>>),
}

/// Snapshot after `seconds` if at least `changes` keys changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Age of the last snapshot, at least 1 s.
    pub seconds: i64,
    /// Changes since then.
    pub changes: i64,
}

/// When a client that does not read its replies is closed. Zero means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferLimit {
    /// Bytes at which it is closed at once.
    pub hard_bytes: u64,
    /// Bytes at which it is closed if they last for `soft_seconds`.
    pub soft_bytes: u64,
    /// How long the soft limit may be exceeded.
    pub soft_seconds: i64,
}

/// Kinds of clients with an output limit of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientClass {
    /// Ordinary clients, including MONITOR.
    Normal,
    /// Replicas.
    Replica,
    /// Clients with subscriptions.
    PubSub,
}

/// A primary's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A limit in bytes or as a share of `maxmemory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteLimit {
    /// No limit.
    None,
    /// So many bytes.
    Bytes(u64),
    /// Per cent of `maxmemory`, 1 to 100.
    PercentOfMaxMemory(u8),
}
