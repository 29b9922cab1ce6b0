//! What a request costs the slot of its keys, where slots are counted: runs it with the measuring around it. A
//! transaction is counted when it runs, with everything since MULTI. Never run where slots are not counted: each request is
//! timed by itself here.

use std::time::Instant;

use baton_base::Slot;
use baton_commands::{CommandSpec, NodeCommand, Run, key_positions};
use baton_resp::Args;
use baton_store::Key;

use super::client::{Client, Transaction, Waiting};
use super::context::{Context, Flow};
use super::count::{Cost, nanos_since};
use super::dispatch;
use crate::gate::Lane;
use crate::shared::Shared;
use crate::slot_stats::SlotCost;

/// Runs one request of so many bytes, and counts what it cost.
#[cold]
pub(super) fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: Option<&'static CommandSpec>,
    args: Args<'_>,
    key: Option<Key<'_>>,
    bytes: u64,
) -> Flow {
    cx.local.reached = Reached::Nothing;
    cx.local.served_nanos = 0;
    let transaction = client.transaction.as_deref().map(|t| (slot_of_queue(t), t.request_bytes));
    let out_from = client.out.buf.len();
    cx.local.appended_bytes = 0;
    let began = Instant::now();
    let flow = dispatch::run(cx, client, spec, args, key);
    // Whom it woke pays for himself.
    let nanos = nanos_since(began).saturating_sub(cx.local.served_nanos);
    if flow == Flow::Wait(Waiting::Hold) {
        return flow;
    }
    cx.local.took(nanos);
    if matches!(flow, Flow::Wait(Waiting::Keys { .. })) {
        return flow;
    }
    if let Some(t) = &mut client.transaction {
        t.request_bytes += bytes;
        return flow;
    }
    if cx.local.is_uncounted() {
        return flow;
    }
    // A container's own record has no keys; its subcommand's may.
    let Ok(spec) = baton_commands::find(args) else { return flow };
    let (slot, before) = match transaction {
        Some((slot, before)) if matches!(spec.run, Run::Node(NodeCommand::Exec)) => (slot, before),
        _ => (cx.local.reached.with(slot_of(spec, args)), 0),
    };
    if let Some(slot) = slot {
        let replicas = cx.shared.repl.replicas.load().len() as u64;
        let replied = client.out.buf.len().saturating_sub(out_from) as u64;
        let bytes_out = replied + cx.local.appended_bytes * replicas;
        let cost = SlotCost { nanos, bytes_in: before + bytes, bytes_out };
        cx.shared.stats.lanes[cx.local.lane.0].slots.add(slot, cost);
    }
    flow
}

/// What a command cost that waited for its keys, now that it is answered. What replicas are told of it was counted with the
/// command that woke it.
#[cold]
pub(super) fn add_answered(shared: &Shared, lane: Lane, spec: &CommandSpec, args: Args<'_>, cost: Cost) {
    if let Some(slot) = slot_of(spec, args) {
        let Cost { nanos, request_bytes: bytes_in, reply_bytes: bytes_out } = cost;
        shared.stats.lanes[lane.0].slots.add(slot, SlotCost { nanos, bytes_in, bytes_out });
    }
}

/// The slots of the keys that a script reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reached {
    /// None, or it is no script.
    #[default]
    Nothing,
    /// One.
    Slot(Slot),
    /// More than one: the script counts for none of them.
    Several,
}

impl Reached {
    /// Another key was reached.
    #[inline]
    pub(super) fn note(&mut self, slot: Slot) {
        *self = match *self {
            Reached::Nothing => Reached::Slot(slot),
            Reached::Slot(same) if same == slot => Reached::Slot(slot),
            _ => Reached::Several,
        };
    }

    /// The slot that a command counts for whose declared keys have this one.
    fn with(mut self, declared: Option<Slot>) -> Option<Slot> {
        declared.into_iter().for_each(|slot| self.note(slot));
        if let Reached::Slot(slot) = self { Some(slot) } else { None }
    }
}

/// The slot of a command's keys, or of what only has a slot. In a cluster it is one and the same for all of them.
fn slot_of(spec: &CommandSpec, args: Args<'_>) -> Option<Slot> {
    let positions = key_positions(spec, args).ok()?;
    positions.iter().next().map(|p| Slot::of_key(args.at(p.index as usize)))
}

fn slot_of_queue(transaction: &Transaction) -> Option<Slot> {
    transaction.queue.iter().find_map(|(spec, args)| slot_of(spec, args.as_args()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_counts_for_the_only_slot_that_it_reached() {
        let [a, b] = [b"a", b"b"].map(|key| Slot::of_key(key));
        let after = |slots: &[Slot]| {
            let mut reached = Reached::default();
            slots.iter().for_each(|slot| reached.note(*slot));
            reached
        };
        assert_eq!(
            [after(&[]).with(None), after(&[]).with(Some(a)), after(&[a, a]).with(None)],
            [None, Some(a), Some(a)]
        );
        assert_eq!([after(&[a, b]).with(None), after(&[a]).with(Some(b)), after(&[a, b, a]).with(Some(a))], [None; 3]);
    }
}
