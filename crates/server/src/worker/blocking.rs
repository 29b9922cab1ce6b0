//! Commands that wait for keys: getting in line, being run by whoever changed a key, and every other end of a wait.

use std::sync::Arc;
use std::time::Instant;

use baton_base::Offset;
use baton_commands::{CommandSpec, Flags, Left, Run, WaitFor};
use baton_resp::{Args, Out, OwnedArgs};
use baton_store::{Key, ValueKind, View};

use super::client::{Client, Waiting};
use super::context::{Context, Flow};
use super::count::nanos_since;
use super::exec::{self, Caller};
use super::hold::Revealed;
use super::unleased::Told;
use super::{Now, Worker, WorkerMessage, routing};
use crate::acl;
use crate::blocked::{Name, Waiter};
use crate::clients::ClientId;
use crate::node;
use crate::pubsub::Push;
use crate::shared::Shared;

/// The reply of a command that waited, on its way to its connection.
pub struct Served {
    /// Whose it is.
    pub client: ClientId,
    /// What to write.
    pub reply: Vec<u8>,
    /// Where the stream ended behind what it changed; none if it changed nothing.
    pub wrote: Option<Offset>,
    /// What it looked at.
    pub revealed: Revealed,
    /// What its connection is told behind the reply.
    pub pushes: Vec<Push>,
    /// How long it took, waiting excluded, in nanoseconds; none if it was refused instead of run.
    pub nanos: Option<u64>,
    /// When the batch began that it was run in.
    pub began: Instant,
}

/// Gets a command in line that found nothing. The slots of its keys are locked.
pub(super) fn enter(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    keys: &[Key<'_>],
    wait: WaitFor,
) -> Flow {
    let mut names: Vec<Name> = Vec::new();
    for key in &keys[wait.keys.clone()] {
        if !names.iter().any(|(_, name)| **name == *key.bytes) {
            names.push((client.db, key.bytes.into()));
        }
    }
    let deadline = wait.timeout.map(|timeout| cx.now.mono + timeout);
    let waiter = Arc::new(Waiter::new(
        client.meta.id,
        cx.local.index,
        (Arc::clone(&client.who.user), cx.world.users_version),
        client.db,
        client.out.proto,
        !client.no_touch,
        client.follows_reads(),
        spec,
        args_of(args, &wait.instead),
        wait,
        names,
    ));
    cx.local.waits();
    cx.shared.blocked.enter(&waiter);
    client.blocked = Some(waiter);
    Flow::Wait(Waiting::Keys { deadline })
}

/// The arguments with which a command is run again.
fn args_of(args: Args<'_>, instead: &[(usize, Box<[u8]>)]) -> OwnedArgs {
    if instead.is_empty() {
        return OwnedArgs::from(args);
    }
    let other = |at: usize| instead.iter().find(|(place, _)| *place == at).map(|(_, text)| &text[..]);
    let words: Vec<&[u8]> = args.iter().enumerate().map(|(at, arg)| other(at).unwrap_or(arg)).collect();
    OwnedArgs::from_slices(&words)
}

impl Context<'_> {
    /// Notes which of these keys, just changed, somebody waits for. Their slots are locked. Those that hold what is waited for are
    /// served in the order in which they came to do so; who only minds that it went is served behind them.
    #[cold]
    pub(super) fn note_ready(&mut self, view: &mut View<'_>, keys: &[Key<'_>]) {
        for key in keys {
            let names = self.shared.blocked.names_of(key);
            let holds = |kind| matches!(kind, ValueKind::List | ValueKind::ZSet | ValueKind::Stream);
            if view.kind(key).is_some_and(holds) {
                self.local.ready.extend(names);
            } else {
                self.local.gone.extend(names);
            }
        }
    }

    /// Notes all keys that somebody waits for: after a change of whole databases.
    #[cold]
    pub(super) fn note_all_ready(&mut self) {
        let names = self.shared.blocked.names();
        self.local.ready.extend(names);
    }

    /// Runs what waits for the keys that were noted, and for those that this changes in turn. The caller holds no slot.
    #[inline]
    pub(super) fn serve_ready(&mut self) {
        let any = !self.local.ready.is_empty() || !self.local.gone.is_empty();
        if any && !self.in_transaction {
            if self.is_outside() {
                self.local.ready.append(&mut self.local.gone);
                self.local.unserved.append(&mut self.local.ready);
            } else {
                self.serve_noted();
            }
        }
    }

    #[cold]
    fn serve_noted(&mut self) {
        // What was run may have taken its time, in which keys came to their end.
        self.now.mono = self.now.mono.max(self.shared.clock.mono());
        self.now.wall = self.now.wall.max(self.shared.clock.wall());
        let revealed = std::mem::take(&mut self.local.revealed);
        let mut next = 0;
        loop {
            while let Some(name) = self.local.ready.get(next).cloned() {
                next += 1;
                self.serve_line(&name);
            }
            if self.local.gone.is_empty() {
                break;
            }
            self.local.ready.append(&mut self.local.gone);
        }
        self.local.ready.clear();
        self.local.revealed = revealed;
    }

    /// Runs those in line for a key, one after the other, until it has nothing more for them.
    fn serve_line(&mut self, name: &Name) {
        for waiter in self.shared.blocked.line(name) {
            if !waiter.claim() {
                continue;
            }
            if let Some(served) = self.serve(&waiter) {
                self.shared.blocked.leave(&waiter);
                self.shared.threads().workers[waiter.worker as usize].send(WorkerMessage::Served(Box::new(served)));
            }
        }
    }

    /// Whether a command that was run again waits on; whatever else it left is written.
    fn waits_on(&mut self, out: &mut Out) -> bool {
        match self.local.effects.take_left() {
            None => false,
            Some(Left::Wait(_)) => true,
            Some(Left::Reply(mut rest)) => {
                rest.write_whole(&self.shared.store, out);
                false
            }
        }
    }

    /// Runs a command again that was claimed, if one of its keys has what it waits for; none if it has to wait on.
    ///
    /// Whoever changes another of its keys meanwhile can't claim it, and passes it by. So all keys are looked at, and the
    /// right to end the wait is given back before their slots are: that other one either came before, and is seen here, or
    /// comes after, and can claim.
    fn serve(&mut self, waiter: &Waiter) -> Option<Served> {
        let Run::Keyspace(run) = waiter.spec.run else { return None };
        let args = waiter.args.as_args();
        let keys = exec::declared_keys(self, waiter.spec, args);
        let mut slots: Vec<_> = keys.iter().map(|key| key.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let shared = Arc::clone(self.shared);
        let rule = self.world.expiry_rule_of(waiter.spec.flags.contains(Flags::WRITE));
        let view = shared.store.view_many_or_give_up(&slots, waiter.db, self.now.wall, rule);
        let Ok(mut view) = view else {
            waiter.give_back();
            self.serve_later(waiter);
            return None;
        };
        // Who moves a key wants nobody to change it; those in line for it are looked at again when that is over.
        let stays = |(_, name): &Name| !self.world.moving.has(name);
        let ready = waiter.names.iter().all(stays) && is_ready(&mut view, waiter);
        if !ready {
            waiter.give_back();
            return None;
        }
        let mut out = Out::new(waiter.proto);
        if let Some(text) = acl::refusal_of_waiter(self, waiter) {
            return Some(self.refused(waiter, &text));
        }
        let mut last_write = Offset::default();
        let ran_from = Instant::now();
        // Those of the command that runs this one are its own connection's.
        let others = std::mem::take(&mut self.local.own_pushes);
        let mut caller = Caller {
            id: waiter.client,
            db: waiter.db,
            touch: waiter.touch,
            tracked_by: waiter.tracked.then_some(waiter.worker),
            may_wait: true,
            in_script: false,
            out: &mut out,
            last_write: &mut last_write,
        };
        exec::on_view(self, &mut caller, waiter.spec, &mut view, run, args, &keys);
        let waits_on = self.waits_on(caller.out);
        exec::finish(self, &mut caller, waiter.spec, &mut view, args, &keys, true);
        let pushes = std::mem::replace(&mut self.local.own_pushes, others);
        if waits_on {
            waiter.give_back();
            return None;
        }
        drop(view);
        if self.holds_replies {
            self.reveals(&slots);
        }
        let nanos = nanos_since(ran_from);
        self.local.served_nanos += nanos;
        let revealed = std::mem::take(&mut self.local.revealed);
        let wrote = (last_write > Offset::default()).then_some(last_write);
        Some(Served {
            client: waiter.client,
            reply: out.buf,
            wrote,
            revealed,
            pushes,
            // In whole microseconds, as commands are shown, so that those of a slot add up to what the slot shows.
            nanos: Some(nanos / 1000 * 1000),
            began: self.began,
        })
    }
}

impl Context<'_> {
    /// A command that waited is not run, because its user may not run it any more.
    #[cold]
    fn refused(&mut self, waiter: &Waiter, text: &[u8]) -> Served {
        let mut out = Out::new(waiter.proto);
        self.reject_to(&mut out, waiter.spec, text);
        Served {
            client: waiter.client,
            reply: out.buf,
            wrote: None,
            revealed: Revealed::default(),
            pushes: Vec::new(),
            nanos: None,
            began: self.began,
        }
    }

    /// A script holds what a command waits for: its lines are looked at again.
    #[cold]
    fn serve_later(&mut self, waiter: &Waiter) {
        let unserved = &mut self.local.unserved;
        for name in &waiter.names {
            if !unserved.contains(name) {
                unserved.push(name.clone());
            }
        }
    }
}

/// Whether one of its keys holds what a command waits for. A key whose time has come holds nothing, and is left to the next
/// command that reaches it, as upstream leaves it.
fn is_ready(view: &mut View<'_>, waiter: &Waiter) -> bool {
    let mut fits = |name: &[u8]| {
        let key = view.key(name);
        view.kind(&key) == Some(waiter.wait.kind)
    };
    waiter.wait.even_gone || waiter.names.iter().any(|(_, name)| fits(name))
}

impl Worker {
    /// A command of one of our connections was run by whoever changed its key.
    pub(super) fn on_served(&mut self, shared: &Arc<Shared>, served: Served, now: Now) {
        self.with(shared, served.client, |worker, client| {
            let start = client.out.buf.len();
            if let Some(nanos) = served.nanos {
                worker.count_answered(shared, client, nanos, served.reply.len() as u64);
            }
            client.write_late(&served.reply);
            if served.wrote.is_some() || !served.reply.is_empty() {
                let before = client.last_write;
                client.last_write = served.wrote.unwrap_or(before);
                let mut cx = Context::enter(shared, &mut worker.local, now);
                if cx.holds_replies {
                    cx.local.revealed = served.revealed;
                    cx.hold_reply(client, start, before);
                }
                drop(cx);
                worker.local.tell_prefixes(shared);
                worker.local.ask_for_acks(shared);
                let told = Told { start, began: served.began, took: served.began.elapsed() };
                if served.wrote.is_some() {
                    worker.hold_unleased(shared, client, &told);
                }
            }
            served.pushes.iter().for_each(|push| node::tracking::write_own_push(shared, client, push));
            worker.resume(shared, client, now)
        });
    }

    /// Ends the wait of a connection whose command nobody is running right now; false if somebody is.
    fn claim_wait(&self, client: &Client) -> bool {
        client.blocked.as_ref().is_some_and(|waiter| waiter.claim())
    }

    /// The time of a wait for keys has run out, or somebody says so.
    pub(super) fn give_up_keys(&mut self, shared: &Arc<Shared>, client: &mut Client, now: Now) -> bool {
        let Some(nothing) = client.blocked.as_ref().map(|waiter| waiter.wait.nothing) else { return true };
        if !self.claim_wait(client) {
            return true;
        }
        let mut out = Out::new(client.out.proto);
        nothing.write(&mut out);
        self.count_answered(shared, client, 0, out.buf.len() as u64);
        client.write_late(&out.buf);
        self.resume(shared, client, now)
    }

    /// Ends a wait for keys with an error.
    pub(super) fn refuse_keys(&mut self, shared: &Arc<Shared>, client: &mut Client, text: &str, now: Now) -> bool {
        if !self.claim_wait(client) {
            return true;
        }
        self.count_answered(shared, client, 0, 0);
        self.end_wait_with(shared, client, text);
        self.resume(shared, client, now)
    }

    /// Commands that wait for keys are answered with the node that serves these now, if that is another one; where nobody
    /// can say which, they are told that this one does not, and disconnected.
    pub(super) fn send_waiters_on(&mut self, shared: &Arc<Shared>, now: Now) {
        for id in self.waiters(|c| matches!(c.waiting, Waiting::Keys { .. }) && !c.readonly) {
            self.with(shared, id, |worker, client| {
                let redirect = worker.redirect_of(shared, client);
                let text = redirect.as_deref().unwrap_or(FORCED_UNBLOCK);
                client.closing = redirect.is_none();
                worker.refuse_keys(shared, client, text, now)
            });
        }
    }

    /// The cluster changed: commands whose slots are served elsewhere by now are sent there.
    pub(super) fn on_rerouted(&mut self, shared: &Arc<Shared>, now: Now) {
        for id in self.waiters(|c| matches!(c.waiting, Waiting::Keys { .. })) {
            self.with(shared, id, |worker, client| match worker.redirect_of(shared, client) {
                Some(text) => worker.refuse_keys(shared, client, &text, now),
                None => true,
            });
        }
    }

    /// A key changed by somebody who has no connections: what waits for it is run here.
    pub(super) fn on_ready(&mut self, shared: &Arc<Shared>, name: Name, now: Now) {
        let mut cx = Context::enter(shared, &mut self.local, now);
        cx.local.ready.push(name);
        cx.serve_ready();
        drop(cx);
        self.local.tell_prefixes(shared);
        self.local.ask_for_acks(shared);
    }

    /// Remembers when a wait is to be ended.
    pub(super) fn note_deadline(&mut self, next: &Waiting) {
        if let Waiting::Keys { deadline: Some(deadline) } = *next {
            self.seat.next_deadline = Some(self.seat.next_deadline.map_or(deadline, |first| first.min(deadline)));
        }
    }

    /// Ends the waits for keys whose time has run out.
    pub(super) fn expire_keys(&mut self, shared: &Arc<Shared>, now: Now) {
        if self.seat.next_deadline.is_none_or(|first| first > now.mono) {
            return;
        }
        self.seat.next_deadline = None;
        let over = |c: &Client| matches!(c.waiting, Waiting::Keys { deadline: Some(deadline) } if deadline <= now.mono);
        for id in self.waiters(over) {
            self.with(shared, id, |worker, client| worker.give_up_keys(shared, client, now));
        }
        for at in 0..self.seat.clients.len() {
            if let Some(waiting) = self.seat.clients[at].as_ref().map(|client| client.waiting) {
                self.note_deadline(&waiting);
            }
        }
    }

    fn redirect_of(&self, shared: &Shared, client: &Client) -> Option<String> {
        let world = shared.world.peek();
        if world.topology.is_some() {
            return routing::redirect_waiter(&world, client, client.blocked.as_deref()?);
        }
        match &world.role {
            crate::world::Role::Replica { host, port } if client.capa_redirect => {
                Some(format!("REDIRECT {host}:{port}"))
            }
            _ => None,
        }
    }
}

/// What a blocked client is told when its node is no primary any more.
pub(super) const FORCED_UNBLOCK: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
