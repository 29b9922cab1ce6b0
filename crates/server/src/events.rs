//! Keyspace events on their way to listeners: what `notify-keyspace-events` asks for is published like any message, on
//! channels named after the key and after the event. Only on this node: events never travel to replicas or over the bus.

use baton_commands::{CommandSpec, Event, EventClass, Flags};
use baton_config::{Id, Settings};
use baton_store::{DbIndex, ExpiredElements, Key, Store, View};

use crate::clients::ClientId;
use crate::pubsub::{Push, Subscriber};
use crate::shared::Shared;
use crate::worker::context::Context;

/// The messages of one event.
fn messages(shared: &Shared, classes: EventClass, db: DbIndex, name: &str, key: &[u8]) -> Vec<(Subscriber, Push)> {
    let mut out = Vec::new();
    if classes.contains(EventClass::KEYSPACE) {
        let channel = [format!("__keyspace@{}__:", db.0).as_bytes(), key].concat();
        out.extend(shared.pubsub.route(&channel, name.as_bytes()));
    }
    if classes.contains(EventClass::KEYEVENT) {
        out.extend(shared.pubsub.route(format!("__keyevent@{}__:{name}", db.0).as_bytes(), key));
    }
    out
}

/// Publishes that keys were deleted because their time had come; for threads without connections of their own.
pub fn publish_expired<'a>(
    shared: &Shared,
    classes: EventClass,
    keys: impl IntoIterator<Item = &'a (DbIndex, Box<[u8]>)>,
) {
    if classes.contains(EventClass::EXPIRED) {
        for (db, key) in keys {
            for (to, push) in messages(shared, classes, *db, "expired", key) {
                shared.deliver(to, push);
            }
        }
    }
}

/// Publishes what happened to a key; for those who run no command.
pub fn publish_key(shared: &Shared, classes: EventClass, class: EventClass, name: &str, key: &(DbIndex, Box<[u8]>)) {
    if classes.contains(class) {
        for (to, push) in messages(shared, classes, key.0, name, &key.1) {
            shared.deliver(to, push);
        }
    }
}

/// Publishes what a command of the primary did to keys: listeners here hear of changes as those there do.
pub fn publish_replicated(shared: &Shared, classes: EventClass, events: &[Event]) {
    for event in events {
        for (to, push) in messages(shared, classes, event.db, event.name, &event.key) {
            shared.deliver(to, push);
        }
    }
}

/// Publishes that elements of keys were removed because their time had come, and the keys that were left without any.
pub fn publish_expired_elements(shared: &Shared, classes: EventClass, expired: &[ExpiredElements]) {
    for of_key in expired {
        let gone = of_key.emptied.then_some((EventClass::GENERIC, "del"));
        for (class, name) in [(EventClass::EXPIRED, "hexpired")].into_iter().chain(gone) {
            if classes.contains(class) {
                for (to, push) in messages(shared, classes, of_key.db, name, &of_key.key) {
                    shared.deliver(to, push);
                }
            }
        }
    }
}

impl Context<'_> {
    /// Publishes what a command did to keys, while their slots are locked: listeners hear of changes in their order.
    #[cold]
    pub(crate) fn publish_events(&mut self, me: ClientId, spec: &CommandSpec, view: &mut View<'_>, keys: &[Key<'_>]) {
        let classes = self.world.env.events;
        self.publish_expired_of(me, view);
        if classes.contains(EventClass::MISS) {
            let missed = std::mem::take(&mut view.outcome.missed);
            for key in &missed {
                self.publish_event(me, view.db(), "keymiss", key);
            }
            for key in keys.iter().filter(|_| missed.is_empty() && looks_uncounted(spec)) {
                if !view.exists(key) {
                    self.publish_event(me, view.db(), "keymiss", key.bytes);
                }
            }
        }
        for event in self.local.effects.events().to_vec() {
            self.publish_event(me, event.db, event.name, &event.key);
        }
    }

    /// Publishes that a view deleted keys because their time had come.
    pub(crate) fn publish_expired_of(&mut self, me: ClientId, view: &View<'_>) {
        if self.world.env.events.contains(EventClass::EXPIRED) {
            for (db, key) in &view.outcome.expired {
                self.publish_event(me, *db, "expired", key);
            }
        }
    }

    fn publish_event(&mut self, me: ClientId, db: DbIndex, name: &str, key: &[u8]) {
        for (to, push) in messages(self.shared, self.world.env.events, db, name, key) {
            let own = self.in_transaction;
            crate::worker::script::pass_on(self, me, to, push, own);
        }
    }
}

/// Whether a command looks keys up as a reader does, and a missing one is told of, though it counts for no statistics.
fn looks_uncounted(spec: &CommandSpec) -> bool {
    let looks_without_reading = spec.name.starts_with("object|") || spec.name.starts_with("memory|");
    spec.flags.contains(Flags::READONLY) && !looks_without_reading
}

/// Lets a store note what events by these settings tell of.
pub fn configure(store: &Store, settings: &Settings) {
    let classes = EventClass::of_setting(settings.int(Id::NotifyKeyspaceEvents) as u32);
    store.note_misses(classes.contains(EventClass::MISS));
}
