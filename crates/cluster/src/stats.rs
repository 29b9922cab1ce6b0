//! Counters of bus traffic for CLUSTER INFO. They count; nothing is decided from them.

use baton_wire::Kind;

/// Messages and bytes per direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// By kind, in the order of [`Kind::KNOWN`].
    pub(crate) messages: [u64; Kind::KNOWN.len()],
    pub(crate) bytes: u64,
    pub(crate) pubsub_bytes: u64,
    pub(crate) module_bytes: u64,
}

impl Traffic {
    pub(crate) fn count(&mut self, kind: Kind, bytes: usize) {
        let bytes = bytes as u64;
        if let Some(n) = self.messages.get_mut(usize::from(kind.number())) {
            *n += 1;
        }
        self.bytes += bytes;
        match kind {
            Kind::Publish | Kind::PublishShard => self.pubsub_bytes += bytes,
            Kind::Module => self.module_bytes += bytes,
            _ => {}
        }
    }
}

/// Both directions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    /// Links closed because their send buffer grew over the limit.
    pub(crate) links_over_limit: u64,
}
