//! Commands on hashes. Fields that have ended stay in a hash until they are removed or written over; all commands but HLEN
//! look at it as if they were gone.

mod choose;
mod count;
mod expire;
mod fields;
mod getex;
mod read;
mod setex;
mod ttl;
mod write;

pub(crate) use choose::hrandfield;
pub(crate) use count::{hincrby, hincrbyfloat};
pub(crate) use expire::{hexpire, hexpireat, hpersist, hpexpire, hpexpireat};
pub(crate) use getex::hgetex;
pub(crate) use read::{hexists, hget, hgetall, hkeys, hlen, hmget, hscan, hstrlen, hvals};
pub(crate) use setex::hsetex;
pub(crate) use ttl::{hexpiretime, hpexpiretime, hpttl, httl};
pub(crate) use write::{hdel, hgetdel, hmset, hset, hsetnx};

use baton_base::WallMs;
use baton_store::{Entry, Key, Value};
use baton_values::{HashRef, Str};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// The hash of an entry, if it holds one.
fn hash_of<'a>(entry: &Entry<'a>) -> Result<HashRef<'a>, Fail> {
    match entry.value {
        Value::Hash(hash) => Ok(hash),
        _ => Err(Fail::WrongType),
    }
}

/// Whether a field is still there though it has ended.
#[inline]
fn has_ended(hash: HashRef<'_>, field: Str<'_>, seen_at: Option<WallMs>) -> bool {
    let live = hash.live(seen_at);
    !live.is_whole() && hash.get(field).is_some() && live.get(field).is_none()
}

impl Exec<'_, '_> {
    /// Counts and tells that fields were written over that had ended: as if they had been removed at their time.
    fn notify_overwritten(&mut self, key: &Key<'_>, fields: u64) {
        if fields > 0 {
            self.effects.count_ended_elements(fields);
            self.notify(EventClass::HASH, "hexpired", key);
        }
    }
}
