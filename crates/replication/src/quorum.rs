//! Who has acknowledged what: WAIT, WAITAOF, min-replicas-to-write (replication 2.2, 4).

use crate::session::ReplicaSession;
use baton_base::{Mono, Offset};
use std::time::Duration;

/// Online replicas that applied everything up to `offset`: the reply of WAIT.
pub fn acknowledged<'a>(sessions: impl IntoIterator<Item = &'a ReplicaSession>, offset: Offset) -> usize {
    sessions.into_iter().filter(|s| s.is_online() && s.ack() >= offset).count()
}

/// Online replicas that fsynced everything up to `offset`: the second number of WAITAOF.
pub fn fsynced<'a>(sessions: impl IntoIterator<Item = &'a ReplicaSession>, offset: Offset) -> usize {
    sessions.into_iter().filter(|s| s.is_online() && s.fsynced() >= offset).count()
}

/// Replicas that count for `min-replicas-to-write`.
pub fn good<'a>(sessions: impl IntoIterator<Item = &'a ReplicaSession>, now: Mono, lag_max: Duration) -> usize {
    sessions.into_iter().filter(|s| s.is_good(now, lag_max)).count()
}

/// The offset that at least `replicas` online replicas applied; none if there are not so many. With it, one look at the
/// replicas answers all waiting clients: a client is satisfied iff its offset is not larger.
pub fn offset_acknowledged_by<'a>(
    sessions: impl IntoIterator<Item = &'a ReplicaSession>,
    replicas: usize,
) -> Option<Offset> {
    let mut acks: Vec<Offset> = sessions.into_iter().filter(|s| s.is_online()).map(ReplicaSession::ack).collect();
    acks.sort_unstable_by(|a, b| b.cmp(a));
    acks.get(replicas.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ReplconfEnv;
    use proptest::prelude::*;

    fn at(ack: u64, online: bool) -> ReplicaSession {
        let mut session = ReplicaSession::new(1, None);
        session.await_snapshot(Mono::ZERO, false);
        if online {
            session.become_online(Mono::ZERO);
        }
        let env = ReplconfEnv { cluster_enabled: false, knows_node: &|_| false };
        let ack = ack.to_string();
        session.handle_replconf(Mono::ZERO, &[b"ack", ack.as_bytes(), b"fack", ack.as_bytes()], &env);
        session
    }

    proptest! {
        #[test]
        fn both_ways_to_count_agree(acks in prop::collection::vec((0..20u64, any::<bool>()), 0..6), offset in 0..20u64,
                                    needed in 1..6usize) {
            let sessions: Vec<_> = acks.iter().map(|(ack, online)| at(*ack, *online)).collect();
            let naive = acks.iter().filter(|(ack, online)| *online && *ack >= offset).count();
            prop_assert_eq!(acknowledged(&sessions, Offset(offset)), naive);
            prop_assert_eq!(fsynced(&sessions, Offset(offset)), naive);
            let satisfied = offset_acknowledged_by(&sessions, needed).is_some_and(|by| by >= Offset(offset));
            prop_assert_eq!(satisfied, naive >= needed);
        }
    }

    #[test]
    fn a_good_replica_spoke_recently() {
        let sessions = [at(1, true), at(1, false)];
        let lag_max = Duration::from_secs(10);
        assert_eq!(good(&sessions, Mono::from_millis(10_999), lag_max), 1);
        assert_eq!(good(&sessions, Mono::from_millis(11_000), lag_max), 0);
    }
}
