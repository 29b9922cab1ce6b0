//! Until when this node may acknowledge writes, as its control plane told the data plane last (see the cluster machine's
//! lease). Workers compare it with the clock for every batch, so that one that stood still for a while does not go on with
//! what it had been allowed before.

use std::sync::atomic::{AtomicU64, Ordering};

use baton_base::Mono;

/// The end of the lease. Without a cluster nothing limits it.
pub struct LeaseEnd(AtomicU64);

impl Default for LeaseEnd {
    fn default() -> LeaseEnd {
        LeaseEnd(AtomicU64::new(Mono::NEVER.as_micros()))
    }
}

impl LeaseEnd {
    /// Whether writes have to be held.
    pub fn is_over(&self, now: Mono) -> bool {
        now.as_micros() >= self.0.load(Ordering::Acquire)
    }

    /// Sets a new end; tells whether whoever was held may go on.
    pub fn set(&self, until: Mono, now: Mono) -> bool {
        let before = self.0.swap(until.as_micros(), Ordering::AcqRel);
        now.as_micros() >= before && now < until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_held_go_on_with_a_later_end() {
        let t = Mono::from_millis;
        let lease = LeaseEnd::default();
        assert!(!lease.is_over(t(1 << 40)));
        assert!(!lease.set(t(100), t(50)), "nobody was held");
        assert!(!lease.is_over(t(99)) && lease.is_over(t(100)));
        assert!(!lease.set(t(150), t(160)), "it is over when it comes");
        assert!(lease.set(t(300), t(200)));
        assert!(!lease.is_over(t(299)));
    }
}
