//! The current value of every directive: an array indexed by id, so that reading one costs an array access. A
//! `Settings` is a plain value: cloned, changed, applied by the server and then published whole.

use crate::choice::{Access, Choice, ShutdownWords};
use crate::id::Id;
use crate::parse;
use crate::value::{BufferLimit, ByteLimit, ClientClass, Endpoint, SavePoint, Value};
use std::sync::Arc;

/// A value for every directive.
///
/// Accessors panic when they ask a directive for a value of another kind: that is a bug of the caller, found by the
/// first test that runs the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    values: Vec<Value>,
    /// Those of [`Settings::GIVEN_COUNTS`] that somebody set.
    given: Vec<Id>,
}

impl Default for Settings {
    /// Every directive at its default.
    fn default() -> Self {
        let values = Id::ALL.iter().map(|id| parse::default_value(id.directive())).collect();
        Settings { values, given: Vec::new() }
    }
}

impl Settings {
    /// The value of a directive.
    pub fn value(&self, id: Id) -> &Value {
        &self.values[id.index()]
    }

    /// Directives whose default is not what this server does where nobody said it.
    pub const GIVEN_COUNTS: [Id; 2] = [Id::ReplDisklessSyncDelay, Id::IoThreads];

    /// Whether one of them was in the file, on the command line or in CONFIG SET, with whatever value.
    pub fn is_given(&self, id: Id) -> bool {
        self.given.contains(&id)
    }

    pub(crate) fn replace(&mut self, id: Id, value: Value) {
        self.values[id.index()] = value;
    }

    /// The same settings following another primary, or none: for writing the present role to the file.
    #[must_use]
    pub fn with_replica_of(mut self, primary: Option<Endpoint>) -> Settings {
        self.replace(Id::ReplicaOf, Value::Endpoint(primary.map(Arc::new)));
        self
    }

    /// The same settings with the working folder by its full path: `dir` is shown as it is, not as it was given.
    #[must_use]
    pub fn with_dir(mut self, path: String) -> Settings {
        self.replace(Id::Dir, Value::Text(Some(path.into_bytes().into())));
        self
    }

    /// The same settings with another number of clients: for a system that can't hold as many open files.
    #[must_use]
    pub fn with_clients_max(mut self, count: u32) -> Settings {
        self.replace(Id::MaxClients, Value::Int(i64::from(count.max(1))));
        self
    }

    /// Stores a checked value, with what follows from it: rounds of background work are kept within bounds instead of
    /// refused.
    pub(crate) fn assign(&mut self, id: Id, value: Value) {
        const HZ_MAX: i64 = 500;
        let value = match (id, value) {
            (Id::Hz, Value::Int(hz)) => Value::Int(hz.clamp(1, HZ_MAX)),
            (_, value) => value,
        };
        if Self::GIVEN_COUNTS.contains(&id) && !self.is_given(id) {
            self.given.push(id);
        }
        self.replace(id, value);
    }

    /// A yes/no directive.
    pub fn bool(&self, id: Id) -> bool {
        match self.value(id) {
            Value::Bool(b) => *b,
            other => unreachable!("{id:?} is no bool: {other:?}"),
        }
    }

    /// A number, a size in bytes, or a file mode.
    pub fn int(&self, id: Id) -> i64 {
        match self.value(id) {
            Value::Int(n) => *n,
            other => unreachable!("{id:?} is no number: {other:?}"),
        }
    }

    /// A number whose range starts at zero or above.
    pub fn uint(&self, id: Id) -> u64 {
        u64::try_from(self.int(id)).expect("the directive's range excludes negative numbers")
    }

    /// A text; empty when unset. Secrets may be any bytes: use `bytes` for them.
    pub fn text(&self, id: Id) -> &str {
        std::str::from_utf8(self.bytes(id)).expect("only secrets may hold other bytes than UTF-8")
    }

    /// A text as bytes; empty when unset.
    pub fn bytes(&self, id: Id) -> &[u8] {
        match self.value(id) {
            Value::Text(text) => text.as_deref().unwrap_or_default(),
            other => unreachable!("{id:?} is no text: {other:?}"),
        }
    }

    /// A directive whose value is one of a few words: `let policy: MaxMemoryPolicy = settings.choice();`.
    pub fn choice<C: Choice>(&self) -> C {
        let position = u8::try_from(self.int(C::ID)).ok().and_then(C::from_position);
        position.expect("the parser stores positions of existing variants")
    }

    /// Who may use what the directive guards (`enable-debug-command`, `enable-module-command`,
    /// `enable-protected-configs`).
    pub fn access(&self, id: Id) -> Access {
        debug_assert!(matches!(id, Id::EnableDebugCommand | Id::EnableModuleCommand | Id::EnableProtectedConfigs));
        Access::from_position(self.int(id))
    }

    /// `port`; 0 means no TCP listener.
    pub fn port(&self) -> u16 {
        self.port_of(Id::Port)
    }

    /// Any directive that is a TCP port; 0 means none.
    pub fn port_of(&self, id: Id) -> u16 {
        u16::try_from(self.int(id)).expect("ports are checked to fit")
    }

    /// `bind`: addresses in order; a leading `-` means that it may be missing on this machine.
    pub fn bind(&self) -> &[Arc<str>] {
        self.words(Id::Bind)
    }

    /// A directive that is a list of words (`bind`, `rdma-bind`).
    pub fn words(&self, id: Id) -> &[Arc<str>] {
        match self.value(id) {
            Value::Words(words) => words,
            other => unreachable!("{id:?} is no list: {other:?}"),
        }
    }

    /// `cluster-node-timeout` in milliseconds.
    pub fn node_timeout_ms(&self) -> u64 {
        self.uint(Id::ClusterNodeTimeout)
    }

    /// `repl-backlog-size` in bytes.
    pub fn repl_backlog_bytes(&self) -> u64 {
        self.uint(Id::ReplBacklogSize)
    }

    /// `worker-threads`, or `io-threads` where only that was said; 0 means one for each core. A later change of `io-threads`
    /// counts from the next start.
    pub fn worker_threads(&self) -> usize {
        let id = match self.int(Id::WorkerThreads) {
            0 if self.is_given(Id::IoThreads) => Id::IoThreads,
            _ => Id::WorkerThreads,
        };
        usize::try_from(self.int(id)).expect("the range is small")
    }

    /// `shutdown-on-sigterm`.
    pub fn shutdown_on_sigterm(&self) -> ShutdownWords {
        self.shutdown_words(Id::ShutdownOnSigterm)
    }

    /// `shutdown-on-sigint`.
    pub fn shutdown_on_sigint(&self) -> ShutdownWords {
        self.shutdown_words(Id::ShutdownOnSigint)
    }

    fn shutdown_words(&self, id: Id) -> ShutdownWords {
        ShutdownWords::from_bits(u32::try_from(self.int(id)).expect("the bits fit"))
    }

    /// `save`; empty means never.
    pub fn save_points(&self) -> &[SavePoint] {
        match self.value(Id::Save) {
            Value::Save(points) => points,
            other => unreachable!("save holds {other:?}"),
        }
    }

    /// `client-output-buffer-limit` of a class.
    pub fn output_limit(&self, class: ClientClass) -> BufferLimit {
        match self.value(Id::ClientOutputBufferLimit) {
            Value::BufferLimits(limits) => limits[class as usize],
            other => unreachable!("client-output-buffer-limit holds {other:?}"),
        }
    }

    /// `maxmemory-clients`.
    pub fn client_memory_limit(&self) -> ByteLimit {
        match self.int(Id::MaxMemoryClients) {
            0 => ByteLimit::None,
            n if n < 0 => ByteLimit::PercentOfMaxMemory(n.unsigned_abs().min(100) as u8),
            n => ByteLimit::Bytes(n as u64),
        }
    }

    /// `oom-score-adj-values`: primary, replica, child.
    pub fn oom_scores(&self) -> [i32; 3] {
        match self.value(Id::OomScoreAdjValues) {
            Value::OomScores(scores) => *scores,
            other => unreachable!("oom-score-adj-values holds {other:?}"),
        }
    }

    /// `latency-tracking-info-percentiles`.
    pub fn latency_percentiles(&self) -> &[f64] {
        match self.value(Id::LatencyTrackingInfoPercentiles) {
            Value::Percentiles(list) => list,
            other => unreachable!("latency-tracking-info-percentiles holds {other:?}"),
        }
    }

    /// `replicaof`: the primary this server starts as a replica of.
    pub fn replica_of(&self) -> Option<&Endpoint> {
        match self.value(Id::ReplicaOf) {
            Value::Endpoint(endpoint) => endpoint.as_deref(),
            other => unreachable!("replicaof holds {other:?}"),
        }
    }
}
