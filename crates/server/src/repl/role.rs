//! Becoming primary or replica (replication 6). The role, the history and the order of who may append to the journal
//! change together while the world stands still, so no command, snapshot or applied byte falls between two of them.
//! Called by the control thread, which alone decides, and at the start; nothing here decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_base::{Offset, ReplId, Rng};
use baton_replication::link::Position;

use super::{FeederMessage, Follow, LinkMessage, random_seed};
use crate::gate::Stillness;
use crate::shared::Shared;
use crate::worker::WorkerMessage;
use crate::world::{Role, World};

/// How to follow a primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demotion {
    /// The dataset's history goes on there, as far as that primary agrees; else a full synchronisation is asked for.
    pub partial: bool,
    /// The peer is still a replica and is to be promoted by the request (replication 7).
    pub takeover: bool,
}

/// Makes this node a primary: its history becomes the previous one of a fresh one, so that whoever followed the same
/// primary can follow this node without a full synchronisation. `also` changes more of the world at the same moment.
/// Gives the offset at which it happened. A node that is a primary already only gets `also`.
pub fn promote(shared: &Arc<Shared>, also: impl FnOnce(&mut World)) -> Offset {
    let still = shared.gate.stop_world();
    promote_still(shared, &still, also)
}

/// As [`promote`], for a caller that has stopped the world itself.
pub fn promote_still(shared: &Arc<Shared>, _still: &Stillness<'_>, also: impl FnOnce(&mut World)) -> Offset {
    let end = shared.journal.end();
    let was_replica = shared.world.peek().role.is_replica();
    if was_replica {
        shared.repl.epoch.fetch_add(1, Ordering::SeqCst);
        let mut history = shared.repl.history.lock();
        history.promote(end, fresh_id());
        let (old, new, valid) = (history.replid2, history.replid, end.plus(1));
        drop(history);
        shared.log.notice(&format!(
            "Setting secondary replication ID to {old}, valid up to offset: {valid}. New replication ID is {new}"
        ));
        *shared.repl.previous_db.lock() = shared.journal.selected_db();
        shared.journal.select_reset();
        shared.write_acks.begin_anew(shared.world.peek().hot.write_ack_replicas, end);
        shared.repl.link.store(Arc::default());
        shared.repl.down_since_us.store(u64::MAX, Ordering::Relaxed);
        shared.log.set_role(b'M');
    }
    shared.change_world(|w| {
        w.role = Role::Primary;
        (w.link_up, w.takeover, w.leaving) = (false, false, false);
        also(w);
    });
    if was_replica {
        shared.threads().link.send(LinkMessage::StopFollowing);
        shared.threads().feeder.send(FeederMessage::DropAll);
    }
    end
}

/// Makes this node a replica of a primary, or of another one than before. Its own replicas stay: they are dropped once
/// the history turns out to change. `also` changes more of the world at the same moment.
pub fn demote(shared: &Arc<Shared>, host: &str, port: u16, how: Demotion, also: impl FnOnce(&mut World)) {
    let still = shared.gate.stop_world();
    demote_still(shared, &still, host, port, how, also);
}

/// Follows the primary that the configuration names, with the data that was loaded. Before anybody can connect, and before
/// anything is deleted for its age: what a primary of a moment took or wrote would be thrown away without a word, and its
/// history be another one than that of its primary.
pub fn follow_configured(shared: &Arc<Shared>) {
    if let Some(primary) = shared.world.load().settings.replica_of() {
        demote(shared, &primary.host, primary.port, Demotion { partial: true, takeover: false }, |_| {});
    }
}

/// As [`demote`], for a caller that has stopped the world itself.
pub fn demote_still(
    shared: &Arc<Shared>,
    _still: &Stillness<'_>,
    host: &str,
    port: u16,
    how: Demotion,
    also: impl FnOnce(&mut World),
) {
    let was_primary = !shared.world.peek().role.is_replica();
    let epoch = shared.repl.epoch.fetch_add(1, Ordering::SeqCst) + 1;
    // Without a backlog offsets did not count what was written, so the position would claim data that nobody else has.
    // Another shard's history has no place in this one's: to ask for it would look like having more than the primary.
    let foreign = shared.repl.foreign.load(Ordering::Acquire);
    let resume = (how.partial && !foreign && shared.journal.is_active()).then(|| {
        let offset = shared.journal.end();
        let mut history = shared.repl.history.lock();
        let own = history.replid;
        let replid = history.follow(offset);
        // The previous history goes on in the database that was selected when this node left it.
        if replid != own && shared.journal.selected_db().is_none() {
            shared.journal.set_selected_db(*shared.repl.previous_db.lock());
        }
        Position { replid, offset }
    });
    shared.log.set_role(b'S');
    shared.repl.heard_us.store(0, Ordering::Relaxed);
    shared.change_world(|w| {
        w.role = Role::Replica { host: Arc::from(host), port };
        (w.link_up, w.takeover) = (false, how.takeover);
        also(w);
    });
    // Until the peer agrees this may be taken back, and whoever is blocked stays so.
    if was_primary && !how.takeover {
        shared.tell_workers(|| WorkerMessage::Demoted);
    }
    let follow = Follow { host: host.to_owned(), port, resume, was_primary, takeover: how.takeover, epoch };
    shared.threads().link.send(LinkMessage::Follow(Box::new(follow)));
}

/// Appends a request for acknowledgement, the last bytes that a fence lets through. The caller has stopped the world.
/// Nothing is appended without a backlog, nor at a replica, whose stream is its primary's.
pub fn ask_acks_still(shared: &Shared, _still: &Stillness<'_>) {
    if shared.journal.is_active() && !shared.world.peek().role.is_replica() {
        shared.journal.append_unselected(&super::feeder::GETACK);
        shared.threads().feeder.ring();
    }
}

/// A new random id.
pub fn fresh_id() -> ReplId {
    ReplId::random(&mut Rng::new(random_seed()))
}
