//! Publish and subscribe: who listens to which channel, pattern or shard channel. Publishing finds the listeners here
//! and hands each the message through its worker; the lists change rarely and are read under a shared lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_base::{Slot, glob};
use parking_lot::RwLock;

use crate::clients::ClientId;

/// A connection and the worker that writes to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Subscriber {
    /// The connection.
    pub client: ClientId,
    /// Its worker.
    pub worker: u32,
}

/// The three namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Shard,
}

/// One message on its way to listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// To a channel's listeners: channel, payload.
    Message(Arc<[u8]>, Arc<[u8]>),
    /// To a pattern's listeners: pattern, channel, payload.
    PatternMessage(Arc<[u8]>, Arc<[u8]>, Arc<[u8]>),
    /// To a shard channel's listeners: channel, payload.
    ShardMessage(Arc<[u8]>, Arc<[u8]>),
    /// The shard channel left this node: channel. The listener's subscription ended.
    ShardGone(Arc<[u8]>),
    /// A key changed that the connection read: an array of its name.
    KeyChanged(Arc<[u8]>),
    /// Keys changed under a prefix that the connection listens to: an array of their names.
    KeysChanged(Arc<[u8]>),
    /// Everything may have changed.
    AllChanged,
    /// The line of a command that ran, for who watches all of them.
    Shown(Arc<[u8]>),
    /// What another connection wants this one to be told of changed keys: an array of their names, or null.
    Redirected(Arc<[u8]>),
}

impl Push {
    /// Its part of the memory that it shares with the same message to others, in bytes.
    pub fn share_bytes(&self) -> u64 {
        let share = match self {
            Push::KeyChanged(names) | Push::KeysChanged(names) | Push::Redirected(names) => {
                names.len() / Arc::strong_count(names)
            }
            _ => 0,
        };
        (share + size_of::<(Subscriber, Push)>()) as u64
    }
}

type Table = BTreeMap<Box<[u8]>, BTreeSet<Subscriber>>;

#[derive(Default)]
struct Tables {
    channels: Table,
    patterns: Table,
    shard: Table,
}

impl Tables {
    fn of(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard,
        }
    }
}

/// All subscriptions of the server.
#[derive(Default)]
pub struct PubSub {
    tables: RwLock<Tables>,
    listeners: AtomicU64,
}

impl PubSub {
    /// Adds a subscription; tells whether it is new.
    pub fn subscribe(&self, kind: Kind, name: &[u8], who: Subscriber) -> bool {
        let mut tables = self.tables.write();
        let new = tables.of(kind).entry(name.into()).or_default().insert(who);
        self.listeners.fetch_add(u64::from(new), Ordering::Relaxed);
        new
    }

    /// Ends a subscription; tells whether there was one.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], who: Subscriber) -> bool {
        let mut tables = self.tables.write();
        let table = tables.of(kind);
        let Some(set) = table.get_mut(name) else { return false };
        let was = set.remove(&who);
        if set.is_empty() {
            table.remove(name);
        }
        self.listeners.fetch_sub(u64::from(was), Ordering::Relaxed);
        was
    }

    /// Everybody who gets a message of PUBLISH, with what to give them, channels first.
    pub fn route(&self, channel: &[u8], payload: &[u8]) -> Vec<(Subscriber, Push)> {
        if self.listeners.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let tables = self.tables.read();
        let mut out = Vec::new();
        let (name, body): (Arc<[u8]>, Arc<[u8]>) = (channel.into(), payload.into());
        for who in tables.channels.get(channel).into_iter().flatten() {
            out.push((*who, Push::Message(name.clone(), body.clone())));
        }
        for (pattern, set) in &tables.patterns {
            if !glob::matches(pattern, channel, false) {
                continue;
            }
            let pattern: Arc<[u8]> = (&**pattern).into();
            out.extend(set.iter().map(|who| (*who, Push::PatternMessage(pattern.clone(), name.clone(), body.clone()))));
        }
        out
    }

    /// Everybody who gets a message of SPUBLISH.
    pub fn route_shard(&self, channel: &[u8], payload: &[u8]) -> Vec<(Subscriber, Push)> {
        let tables = self.tables.read();
        let push = Push::ShardMessage(channel.into(), payload.into());
        tables.shard.get(channel).into_iter().flatten().map(|who| (*who, push.clone())).collect()
    }

    /// Ends all subscriptions to shard channels of these slots; gives whom to tell.
    pub fn drop_shard_slots(&self, leaves: &dyn Fn(Slot) -> bool) -> Vec<(Subscriber, Push)> {
        let mut tables = self.tables.write();
        let names: Vec<Box<[u8]>> = tables.shard.keys().filter(|n| leaves(Slot::of_key(n))).cloned().collect();
        let mut out = Vec::new();
        for name in names {
            let set = tables.shard.remove(&name).unwrap_or_default();
            self.listeners.fetch_sub(set.len() as u64, Ordering::Relaxed);
            out.extend(set.into_iter().map(|who| (who, Push::ShardGone((&*name).into()))));
        }
        out
    }

    /// Names with listeners, of channels or shard channels, that match the pattern.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Box<[u8]>> {
        let mut tables = self.tables.write();
        let fits = |n: &[u8]| pattern.is_none_or(|p| glob::matches(p, n, false));
        tables.of(kind).keys().filter(|n| fits(n)).cloned().collect()
    }

    /// The connections that listen to something that is meant.
    pub fn listeners_to(&self, is_meant: impl Fn(Kind, &[u8]) -> bool) -> BTreeSet<ClientId> {
        let mut tables = self.tables.write();
        let mut found = BTreeSet::new();
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            let meant = tables.of(kind).iter().filter(|(name, _)| is_meant(kind, name));
            found.extend(meant.flat_map(|(_, set)| set).map(|who| who.client));
        }
        found
    }

    /// How many listen to this name.
    pub fn listeners_of(&self, kind: Kind, name: &[u8]) -> usize {
        self.tables.write().of(kind).get(name).map_or(0, BTreeSet::len)
    }

    /// How many different names of this kind have listeners.
    pub fn count(&self, kind: Kind) -> usize {
        self.tables.write().of(kind).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_channel_and_pattern_listeners() {
        let p = PubSub::default();
        let who = |n| Subscriber { client: ClientId(n), worker: 0 };
        assert!(p.subscribe(Kind::Channel, b"news", who(1)));
        assert!(!p.subscribe(Kind::Channel, b"news", who(1)));
        p.subscribe(Kind::Pattern, b"n*", who(2));
        let got = p.route(b"news", b"x");
        assert_eq!(got.iter().map(|(w, _)| w.client.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(got[1].1, Push::PatternMessage((*b"n*").into(), (*b"news").into(), (*b"x").into()));
        assert!(p.unsubscribe(Kind::Channel, b"news", who(1)));
        assert_eq!(p.count(Kind::Channel), 0);
    }

    #[test]
    fn shard_channels_leave_with_their_slot() {
        let p = PubSub::default();
        let who = Subscriber { client: ClientId(1), worker: 3 };
        p.subscribe(Kind::Shard, b"{a}x", who);
        let slot = Slot::of_key(b"a");
        assert!(p.drop_shard_slots(&|s| s != slot).is_empty());
        assert_eq!(p.drop_shard_slots(&|s| s == slot), [(who, Push::ShardGone((*b"{a}x").into()))]);
        assert!(p.route_shard(b"{a}x", b"m").is_empty());
    }
}
