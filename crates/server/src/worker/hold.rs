//! Holding replies until replicas acknowledged what they tell of, or the log has it, and letting them go (see [`crate::write_acks`] for the
//! rules). Commands say which slots they looked at; behind each command its reply is held for that; the feeder's news
//! release replies in the order of their offsets, so that an acknowledgement costs as much as what it releases.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use baton_base::{Mono, Offset, Slot};
use baton_cluster::{Presence, RouteQuery};
use baton_replication::reply_holds::Told;

use super::client::{Client, Waiting};
use super::context::{Context, Local};
use super::held::HeldReply;
use super::unfinished::Unfinished;
use super::{Now, Worker, routing};
use crate::clients::ClientId;
use crate::shared::Shared;
use crate::world::{Role, World};

/// Connections whose first held reply waits for an offset, the smallest offset first. An entry whose connection is gone
/// or waits for another offset by now is void.
pub(super) type ReleaseQueue = BinaryHeap<Reverse<(Offset, ClientId)>>;

/// What the running command looked at, as far as its reply may have to wait for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Revealed {
    /// It looked at keys; up to here they were written.
    upto: Option<Offset>,
    /// The slot, if it was only one.
    slot: Option<Slot>,
}

impl Context<'_> {
    /// The running command read or wrote these slots.
    #[cold]
    pub(super) fn reveals(&mut self, slots: &[Slot]) {
        let acks = &self.shared.write_acks;
        let upto = slots.iter().map(|slot| acks.revealed_by(*slot)).max().unwrap_or(Offset(0));
        let seen = &mut self.local.revealed;
        seen.slot = if seen.upto.is_none() && slots.len() == 1 { slots.first().copied() } else { None };
        seen.upto = Some(seen.upto.unwrap_or_default().max(upto));
    }

    /// The running command read or wrote anything.
    #[cold]
    pub(crate) fn reveals_all(&mut self) {
        self.local.revealed = Revealed { upto: Some(self.shared.journal.end()), slot: None };
    }

    /// Holds the reply of the command that just ran, if it has to wait. It began at `start` of the output; before it the
    /// client's latest write ended at `last_write`.
    #[cold]
    pub(super) fn hold_reply(&mut self, client: &mut Client, start: usize, last_write: Offset) {
        let Revealed { upto, slot } = std::mem::take(&mut self.local.revealed);
        let (Some(upto), end) = (upto, client.out.buf.len()) else { return };
        if end <= start {
            return;
        }
        let (shared, acks) = (self.shared, &self.shared.write_acks);
        let wrote = client.last_write != last_write;
        // The lease is looked at now, after the command ran.
        let leased = !wrote && self.world.leases_reads && !shared.lease.is_over(shared.clock.mono());
        let told = Told { revealed: upto, wrote: wrote.then_some(client.last_write), leased };
        let (stream_end, by_replicas) = (shared.journal.end(), self.world.hot.write_ack_replicas > 0);
        // The log has to have what the reply tells of, which can't be more than there is: what slots remember may be of
        // another history.
        let needs = if by_replicas { told.needs(stream_end) } else { upto.max(client.last_write).min(stream_end) };
        if needs <= acks.acked() {
            return;
        }
        let until = if by_replicas { self.now.mono + self.world.hot.write_ack_timeout } else { Mono::NEVER };
        client.held.push(HeldReply { start, end, needs, until, wrote, slot });
        if by_replicas {
            acks.replies_held.add_shared(1);
            self.local.wanted = self.local.wanted.max(needs);
        }
    }
}

impl Local {
    /// Has acknowledgements asked for, once for all replies of a batch that wait.
    #[inline]
    pub(super) fn ask_for_acks(&mut self, shared: &Shared) {
        if self.wanted > Offset(0) {
            shared.write_acks.want(std::mem::take(&mut self.wanted));
            shared.threads().feeder.ring();
        }
    }
}

/// Why held replies are given up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    /// Time is over.
    Late,
    /// This node is no primary any more.
    Demoted,
}

impl Worker {
    /// Has a connection looked at once what its first held reply waits for is acknowledged.
    pub(super) fn await_release(&mut self, client: &mut Client) {
        let needs = client.held.front().map(|first| first.needs);
        if client.held.queued_for != needs {
            client.held.queued_for = needs;
            self.seat.releases.extend(needs.map(|needs| Reverse((needs, client.meta.id))));
        }
    }

    /// Sends what has been acknowledged meanwhile.
    pub(super) fn release_held(&mut self, shared: &Arc<Shared>, now: Now) {
        if self.seat.releases.is_empty() {
            return;
        }
        let acks = &shared.write_acks;
        // Whoever raises the acknowledged offset after this look finds that this worker waits.
        acks.set_waiting(self.local.index, true);
        let acked = acks.acked();
        while let Some(Reverse((needs, id))) = self.seat.releases.peek().copied()
            && needs <= acked
        {
            self.seat.releases.pop();
            self.with(shared, id, |worker, client| {
                if client.held.queued_for != Some(needs) {
                    return true;
                }
                client.held.release(acked);
                worker.after_release(shared, client, now)
            });
        }
        acks.set_waiting(self.local.index, !self.seat.releases.is_empty());
        if !self.seat.releases.is_empty() && acks.acked() != acked {
            self.shared.threads().workers[self.local.index as usize].ring();
        }
    }

    /// Sends what may go, and lets requests run that waited for room. False if the connection is to end.
    fn after_release(&mut self, shared: &Arc<Shared>, client: &mut Client, now: Now) -> bool {
        let resumes = match client.waiting {
            Waiting::Acks => !client.held.is_full(client.out.buf.len()),
            // An error took the place of the reply.
            Waiting::Reply => client.unfinished.is_none(),
            _ => false,
        };
        let alive = if resumes { self.resume(shared, client, now) } else { self.send(shared, client) };
        self.await_release(client);
        alive
    }

    /// Answers with an error what was not acknowledged in time.
    pub(super) fn expire_held(&mut self, shared: &Arc<Shared>, now: Now) {
        let waiting: BTreeSet<ClientId> = self.seat.releases.iter().map(|Reverse((_, id))| *id).collect();
        for id in waiting {
            self.with(shared, id, |worker, client| {
                let late = client.held.front().is_some_and(|first| first.until <= now.mono);
                !late || worker.give_up_held(shared, client, GivenUp::Late, now)
            });
        }
        self.release_held(shared, now);
    }

    /// This node is no primary any more: what it executed last is not acknowledged by those who follow another one. What only
    /// the log is waited for is still going to be durable.
    pub(super) fn fail_held(&mut self, shared: &Arc<Shared>, now: Now) {
        if shared.world.peek().hot.write_ack_replicas == 0 {
            return;
        }
        for id in self.waiters(|c| !c.held.is_empty()) {
            self.with(shared, id, |worker, client| worker.give_up_held(shared, client, GivenUp::Demoted, now));
        }
    }

    /// Puts an error in the place of held replies.
    fn give_up_held(&mut self, shared: &Arc<Shared>, client: &mut Client, why: GivenUp, now: Now) -> bool {
        let acked = shared.write_acks.acked();
        let (world, acks, lane) = (shared.world.peek(), &shared.write_acks, self.local.lane.0);
        let audience = routing::audience(client);
        let redirects = client.capa_redirect;
        client.held.release(acked);
        let unfinished = client.unfinished.as_deref_mut();
        let own_end = unfinished.as_ref().and_then(|unfinished| unfinished.held_end(&client.held));
        let mut is_own_replaced = false;
        let output = unfinished.map_or(&mut client.out.buf, Unfinished::output);
        client.held.replace(output, |reply| {
            if reply.needs <= acked || (why == GivenUp::Late && reply.until > now.mono) {
                return None;
            }
            let count = if reply.wrote { &acks.writes_unacked } else { &acks.reads_unacked };
            count.add_shared(1);
            let elsewhere = |slot| place_of(&world, slot, audience, redirects);
            let place = if why == GivenUp::Demoted && !reply.wrote { elsewhere(reply.slot) } else { None };
            let text = place.unwrap_or_else(|| unacked(&world, reply.wrote, why));
            shared.stats.count_error(lane, text.as_bytes());
            is_own_replaced |= own_end == Some(reply.end);
            Some(text)
        });
        client.held.release(acked);
        drop(world);
        if is_own_replaced {
            self.finish_reply(shared, client);
        }
        self.after_release(shared, client, now)
    }
}

/// What is said instead of a reply. A write may be lost or not; a read may be asked for again.
fn unacked(world: &World, wrote: bool, why: GivenUp) -> String {
    let (n, ms) = (world.hot.write_ack_replicas, world.hot.write_ack_timeout.as_millis());
    match (wrote, why) {
        (true, GivenUp::Late) => format!(
            "UNACKED The write was executed here, but fewer replicas than write-ack-replicas ({n}) acknowledged it within \
             {ms} milliseconds. It may or may not survive a failover"
        ),
        (true, GivenUp::Demoted) => "UNACKED The write was executed here, but this node stopped being primary before \
             enough replicas acknowledged it. It may or may not have survived"
            .to_owned(),
        (false, _) => {
            format!(
                "UNACKED What was read is not acknowledged by write-ack-replicas ({n}): nothing was changed, try again"
            )
        }
    }
}

/// Where a read is to be sent now, if that can be said.
fn place_of(world: &World, slot: Option<Slot>, audience: baton_cluster::Audience, redirects: bool) -> Option<String> {
    match (&world.topology, &world.role) {
        (Some(topology), _) => {
            let query = RouteQuery { slot: Some(slot?), ..RouteQuery::default() };
            baton_cluster::route(topology, &query, Presence::default).error_text(topology, audience)
        }
        (None, Role::Replica { host, port }) if redirects => Some(format!("REDIRECT {host}:{port}")),
        _ => None,
    }
}
