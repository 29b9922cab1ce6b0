//! `maxmemory-clients`: when all connections together take more memory than they may, those that take most are closed. Each
//! worker weighs a connection after it served it, and whoever brings the sum over the limit makes room at once; the keeper
//! weighs all of them now and then, which also sets right what two threads counted at once. Closes no link of replication, and
//! nobody who asked to be spared (CLIENT NO-EVICT).

use std::cmp::Reverse;

use baton_config::{ByteLimit, Id, Settings};

use crate::clients::{ClientFlags, ClientMeta};
use crate::shared::Shared;

/// A limit below this would close connections that do nothing special; it counts as this one.
const LIMIT_BYTES_MIN: u64 = 128 * 1024;

/// What all connections together may take, in bytes; 0 is no limit.
pub fn limit(settings: &Settings) -> u64 {
    let wanted = match settings.client_memory_limit() {
        ByteLimit::None => 0,
        ByteLimit::Bytes(bytes) => bytes,
        ByteLimit::PercentOfMaxMemory(percent) => settings.uint(Id::MaxMemory).saturating_mul(percent.into()) / 100,
    };
    if wanted == 0 { 0 } else { wanted.max(LIMIT_BYTES_MIN) }
}

/// Notes what a connection takes by now, and closes some if that is too much for all together.
#[cold]
pub fn weigh(shared: &Shared, meta: &ClientMeta, limit: u64) {
    if counts(meta) && shared.clients.weigh(meta) > limit {
        evict(shared, limit);
    }
}

/// Weighs all connections, and closes some, the largest first, until the others are within the limit.
#[cold]
pub fn evict(shared: &Shared, limit: u64) {
    let _only_one = shared.clients.evicting.lock();
    let mut all = shared.clients.list();
    all.retain(|meta| counts(meta));
    let mut total = shared.clients.weigh_all(&all);
    if total <= limit {
        return;
    }
    all.retain(|meta| !meta.flags().contains(ClientFlags::NO_EVICT));
    all.sort_by_cached_key(|meta| Reverse((meta.weighed_bytes(), meta.id)));
    for meta in all {
        if total <= limit {
            return;
        }
        total = total.saturating_sub(meta.weighed_bytes());
        shared.log.notice(&format!("Evicting client: {}", meta.line(shared.clock.mono())));
        shared.stats.evicted_clients.add_shared(1);
        // No key has to go for what is about to be given back.
        shared.clients.note_leaving(&meta);
        shared.close_client(meta.id);
    }
}

/// Whether a connection counts: what replicas take is limited otherwise.
fn counts(meta: &ClientMeta) -> bool {
    !meta.flags().intersects(ClientFlags::REPLICA | ClientFlags::PRIMARY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(value: &str, memory_max: &str) -> u64 {
        let mut settings = Settings::default();
        let context = baton_config::SetContext { client_is_local: true, is_loading: false };
        let pairs =
            [("maxmemory-clients", value), ("maxmemory", memory_max)].map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        settings.set_runtime(&pairs, context).expect("both are valid");
        limit(&settings)
    }

    #[test]
    fn a_limit_is_bytes_or_a_part_of_maxmemory() {
        assert_eq!(limit_of("0", "0"), 0);
        assert_eq!(limit_of("3000000", "0"), 3_000_000);
        assert_eq!(limit_of("1", "0"), LIMIT_BYTES_MIN);
        assert_eq!(limit_of("7%", "6mb"), 6 * 1024 * 1024 * 7 / 100);
        assert_eq!(limit_of("7%", "0"), 0);
    }
}
