//! Making room when more memory is used than `maxmemory` allows: keys go, one by one, each told to replicas by itself. Every
//! thread that is about to run a command makes room before it, as long as `maxmemory-eviction-tenacity` allows, and the
//! keeper goes on where no command comes.
//!
//! Who makes room is inside the gate and holds no slot.

use std::time::Duration;

use baton_base::{Rng, WallMs};
use baton_commands::EventClass;
use baton_config::{Id, MaxMemoryPolicy, Settings};
use baton_journal::Unit;
use baton_store::{AccessRule, DbIndex, EvictFirst, EvictionPool, EvictionRule, Expiry, Store};

use crate::gate::Lane;
use crate::pubsub::{Push, Subscriber};
use crate::shared::Shared;
use crate::world::World;

/// Keys evicted between looks at the clock.
const KEYS_A_LOOK: u32 = 16;

/// The longest that a request is held up, without a limit by the setting.
const TENACITY_UNLIMITED: u64 = 100;

/// How to make room; follows from the settings.
#[derive(Clone, Debug)]
pub struct Eviction {
    /// Which keys go; none if writes are refused instead.
    pub rule: Option<EvictionRule>,
    /// How long one request may be held up; none is without limit.
    pub time_max: Option<Duration>,
    /// The command that stands in the stream for it.
    pub verb: &'static [u8],
}

impl Eviction {
    /// What the settings say.
    pub fn of(settings: &Settings) -> Eviction {
        use MaxMemoryPolicy as P;
        let decay_minutes = u32::try_from(settings.int(Id::LfuDecayTime)).unwrap_or(0);
        let least_used = EvictFirst::LeastUsed { decay_minutes };
        let kind = match settings.choice() {
            P::VolatileLru => Some((EvictFirst::LongestIdle, true)),
            P::VolatileLfu => Some((least_used, true)),
            P::VolatileRandom => Some((EvictFirst::Any, true)),
            P::VolatileTtl => Some((EvictFirst::NextDue, true)),
            P::AllKeysLru => Some((EvictFirst::LongestIdle, false)),
            P::AllKeysLfu => Some((least_used, false)),
            P::AllKeysRandom => Some((EvictFirst::Any, false)),
            P::NoEviction => None,
        };
        let samples = usize::try_from(settings.int(Id::MaxMemorySamples)).unwrap_or(1);
        Eviction {
            rule: kind.map(|(first, only_expiring)| EvictionRule { first, only_expiring, samples }),
            time_max: time_max(settings.uint(Id::MaxMemoryEvictionTenacity)),
            verb: baton_commands::LazyFree::delete_name(settings.bool(Id::LazyfreeLazyEviction)),
        }
    }
}

/// Lets a store keep what eviction by these settings needs to know.
pub fn configure(store: &Store, settings: &Settings) {
    let number = |id| u32::try_from(settings.int(id)).unwrap_or(0);
    store.set_access_rule(match settings.choice() {
        MaxMemoryPolicy::VolatileLfu | MaxMemoryPolicy::AllKeysLfu => {
            AccessRule::Frequency { log_factor: number(Id::LfuLogFactor), decay_minutes: number(Id::LfuDecayTime) }
        }
        _ => AccessRule::Recency,
    });
}

/// 50 microseconds for each step up to ten, and 15 per cent more for each step from there on.
fn time_max(tenacity: u64) -> Option<Duration> {
    match tenacity {
        0..=10 => Some(Duration::from_micros(50 * tenacity)),
        TENACITY_UNLIMITED.. => None,
        _ => Some(Duration::from_micros((500.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64)),
    }
}

/// What a thread needs for it, kept from one time to the next.
pub struct Evictor {
    pool: EvictionPool,
    rng: Rng,
    unit: Unit,
    /// What those are to be told who read what went.
    told: Vec<(Subscriber, Push)>,
    /// What that takes until it is told, in bytes: if keys went for it, more would have to be told.
    told_bytes: u64,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is room.
    Enough,
    /// There will be: more keys can go, but the time was over.
    Soon,
    /// There is none, and no key that may go.
    Lacking,
}

impl Evictor {
    /// One with this chance.
    pub fn new(seed: u64) -> Evictor {
        Evictor {
            pool: EvictionPool::default(),
            rng: Rng::new(seed),
            unit: Unit::new(),
            told: Vec::new(),
            told_bytes: 0,
        }
    }

    /// What those are to be told who read what went.
    pub fn take_told(&mut self) -> Vec<(Subscriber, Push)> {
        self.told_bytes = 0;
        std::mem::take(&mut self.told)
    }

    /// Makes room, where too much memory is used. The caller passes on [`Evictor::take_told`].
    pub fn make_room(&mut self, shared: &Shared, world: &World, lane: Lane, wall: WallMs) -> Room {
        let began = shared.clock.mono();
        let max = world.hot.memory_max;
        let is_exempt = world.role.is_replica() && world.settings.bool(Id::ReplicaIgnoreMaxmemory);
        if max == 0 || is_exempt || !shared.memory.is_over(shared, max) {
            shared.memory.note_enough(began);
            return Room::Enough;
        }
        shared.memory.note_over(began);
        // While writes are held nothing may be told to replicas.
        if world.holds.scope().is_some() || world.loading.is_some() {
            return Room::Enough;
        }
        let Some(rule) = world.hot.eviction.rule.filter(|_| !world.imports) else { return Room::Lacking };
        let time_max = world.hot.eviction.time_max;
        let mut evicted = 0u32;
        loop {
            let spares = &|slot| world.spares(slot);
            let Some(found) = shared.store.to_evict(rule, spares, wall, &mut self.rng, &mut self.pool) else {
                return Room::Lacking;
            };
            self.evict(shared, world, lane, &found);
            evicted += 1;
            if !shared.memory.is_over(shared, max + self.told_bytes) {
                shared.memory.note_enough(shared.clock.mono());
                return Room::Enough;
            }
            let is_time = evicted.is_multiple_of(KEYS_A_LOOK) || time_max == Some(Duration::ZERO);
            if is_time && time_max.is_some_and(|max| shared.clock.mono().since(began) >= max) {
                return Room::Soon;
            }
        }
    }

    /// Removes one key, if it is still there, and tells who has to know while its slot is locked.
    fn evict(&mut self, shared: &Shared, world: &World, lane: Lane, found: &(DbIndex, Box<[u8]>)) {
        let (db, name) = found;
        let key = shared.store.key(name);
        let view = shared.store.view_or_give_up(key.slot, *db, shared.clock.wall(), Expiry::Delete);
        let Ok(mut view) = view else { return };
        let only_expiring = world.hot.eviction.rule.is_some_and(|rule| rule.only_expiring);
        if view.evict(&key, only_expiring).is_none() {
            return;
        }
        shared.stats.lanes[lane.0].evicted.add(1);
        crate::events::publish_key(shared, world.env.events, EventClass::EVICTED, "evicted", found);
        if shared.journal.is_active() && !world.role.is_replica() {
            self.unit.push(db.0, &[world.hot.eviction.verb, name]);
            shared.journal.append_bare(&self.unit);
            self.unit.clear();
        }
        let pushes = crate::worker::changes::pushes_of(shared, &mut view);
        self.told_bytes += pushes.iter().map(|(_, push)| push.share_bytes()).sum::<u64>();
        self.told.extend(pushes);
        let garbage = view.take_outcome().garbage;
        drop(view);
        if let Some(garbage) = garbage {
            shared.free_later(*garbage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenacity_is_a_time() {
        let micros = [0, 1, 10, 11, 50, 99].map(|tenacity| time_max(tenacity).map(|max| max.as_micros()));
        assert_eq!(micros, [0, 50, 500, 575, 133_931, 126_205_358].map(Some));
        assert_eq!(time_max(100), None);
    }
}
