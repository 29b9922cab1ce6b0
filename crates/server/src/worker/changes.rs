//! What commands leave for those who cache: keys that changed are told to whoever read them, and keys that were read are
//! noted. Both while the slots are locked. The connection that a command came from hears of it behind its reply; all others
//! through their workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_commands::{CommandSpec, Flags};
use baton_store::{ChangedKeys, Key, View};

use super::client::Client;
use super::context::{Context, Local};
use super::exec::Caller;
use super::{Worker, WorkerMessage};
use crate::clients::ClientId;
use crate::pubsub::{Push, Subscriber};
use crate::shared::Shared;
use crate::tracking::{ChangedNames, Dropped, encode};

impl Local {
    /// Hands a message to its connection: behind the reply if it is the one that caused it.
    pub(crate) fn push_to(&mut self, shared: &Shared, to: Subscriber, push: Push, by: Option<ClientId>) {
        if Some(to.client) == by {
            self.own_pushes.push(push);
        } else if to.worker == self.index {
            self.deliveries.push((to.client, push));
        } else {
            shared.deliver(to, push);
        }
    }

    /// Has those who listen to prefixes told what a batch changed, in one message for each prefix.
    #[inline]
    pub(super) fn tell_prefixes(&mut self, shared: &Shared) {
        if !self.changed.is_empty() {
            for (to, push) in shared.tracking.route(&std::mem::take(&mut self.changed)) {
                self.push_to(shared, to, push, None);
            }
        }
    }
}

impl Context<'_> {
    /// After a command whose connection keeps what it reads, or that changed keys while somebody wants to know.
    #[cold]
    pub(super) fn follow(&mut self, caller: &Caller<'_>, spec: &CommandSpec, view: &mut View<'_>, keys: &[Key<'_>]) {
        self.announce(Some(caller.id), view);
        let Some(worker) = caller.tracked_by else { return };
        if !spec.flags.contains(Flags::READONLY) {
            return;
        }
        let (tracking, keys_max) = (&self.shared.tracking, self.world.hot.tracking_keys_max);
        let who = Subscriber { client: caller.id, worker };
        keys.iter().for_each(|key| tracking.remember(key.slot, key.bytes, who));
        if tracking.is_over(keys_max) {
            for (to, push) in changed_pushes(tracking.trim(keys_max, &mut self.local.rng)) {
                self.local.push_to(self.shared, to, push, None);
            }
        }
    }

    /// Tells those who read keys that a view changed them. The view still holds their slots.
    pub(super) fn announce(&mut self, by: Option<ClientId>, view: &mut View<'_>) {
        let Some(changed) = view.outcome.changed.take() else { return };
        let shared = self.shared;
        note_names(shared, &mut self.local.changed, &changed, by);
        for (to, push) in changed_pushes(readers_of(shared, *changed)) {
            self.local.push_to(shared, to, push, by);
        }
    }

    /// Tells everybody that everything may have changed.
    #[cold]
    pub(crate) fn announce_all(&mut self, by: ClientId) {
        for to in self.shared.tracking.flush() {
            self.local.push_to(self.shared, to, Push::AllChanged, Some(by));
        }
    }
}

/// Adds changed keys to those that prefixes are looked up for.
fn note_names(shared: &Shared, names: &mut ChangedNames, changed: &ChangedKeys, by: Option<ClientId>) {
    if shared.tracking.any_prefix() {
        names.extend(changed.0.iter().map(|key| (key.name.clone(), by.filter(|_| !key.expired))));
    }
}

/// Changed keys with those who read them, who are forgotten with that.
fn readers_of(shared: &Shared, changed: ChangedKeys) -> impl Iterator<Item = Dropped> {
    changed.0.into_iter().map(|key| {
        let readers = shared.tracking.take(key.slot, &key.name);
        (key.name, readers)
    })
}

/// The messages to those who read keys.
fn changed_pushes(keys: impl IntoIterator<Item = Dropped>) -> impl Iterator<Item = (Subscriber, Push)> {
    keys.into_iter().flat_map(|(name, readers)| {
        let push = (!readers.is_empty()).then(|| Push::KeyChanged(encode(std::iter::once(&*name))));
        readers.into_iter().zip(std::iter::repeat(push)).filter_map(|(to, push)| Some((to, push?)))
    })
}

/// For threads without connections of their own: tells those who cache what a view changed. The view still holds the slots.
pub fn announce_from_aside(shared: &Shared, view: &mut View<'_>) {
    pushes_of(shared, view).into_iter().for_each(|(to, push)| shared.deliver(to, push));
}

/// What those are to be told who cache what a view changed. The view still holds the slots.
pub fn pushes_of(shared: &Shared, view: &mut View<'_>) -> Vec<(Subscriber, Push)> {
    let Some(changed) = view.outcome.changed.take() else { return Vec::new() };
    let mut names = BTreeMap::new();
    note_names(shared, &mut names, &changed, None);
    let mut pushes: Vec<_> = changed_pushes(readers_of(shared, *changed)).collect();
    if !names.is_empty() {
        pushes.extend(shared.tracking.route(&names));
    }
    pushes
}

/// The same after everything was replaced or removed.
pub fn announce_all_from_aside(shared: &Shared) {
    shared.tracking.flush().into_iter().for_each(|to| shared.deliver(to, Push::AllChanged));
}

/// The same after a whole slot was emptied: those who read its keys are told their names, and those who listen to prefixes
/// that they know nothing any more.
pub fn announce_slot_from_aside(shared: &Shared, slot: baton_base::Slot) {
    let everything = shared.tracking.of_prefixes().into_iter().map(|to| (to, Push::AllChanged));
    changed_pushes(shared.tracking.take_slot(slot)).chain(everything).for_each(|(to, push)| shared.deliver(to, push));
}

/// Fewer keys may be followed from now on.
pub fn trim_table(shared: &Shared, keys_max: usize) {
    let mut rng = baton_base::Rng::new(shared.clock.wall().0);
    let dropped = shared.tracking.trim(keys_max, &mut rng);
    changed_pushes(dropped).for_each(|(to, push)| shared.deliver(to, push));
}

impl Worker {
    /// Writes what this connection is to be told first. Somebody may have heard elsewhere that a key changed, and ask here
    /// now: that it changed was posted before he heard, so it is read before he is answered.
    #[cold]
    pub(super) fn hear_changes(&mut self, shared: &Arc<Shared>, client: &mut Client) {
        self.seat.empty_mailbox();
        let is_told =
            |m: &WorkerMessage| matches!(m, WorkerMessage::Deliver { client: to, .. } if *to == client.meta.id);
        if !self.seat.pending.iter().any(is_told) {
            return;
        }
        for message in std::mem::take(&mut self.seat.pending) {
            match message {
                WorkerMessage::Deliver { client: to, push } if to == client.meta.id => {
                    crate::node::pubsub::write_push(shared, client, &push);
                }
                other => self.seat.pending.push_back(other),
            }
        }
    }
}
