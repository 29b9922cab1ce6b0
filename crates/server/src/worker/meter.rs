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
use super::count::nanos_since;
use super::dispatch;
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
    let transaction = client.transaction.as_deref().map(|t| (slot_of_queue(t), t.request_bytes));
    let out_from = client.out.buf.len();
    cx.local.appended_bytes = 0;
    let began = Instant::now();
    let flow = dispatch::run(cx, client, spec, args, key);
    let nanos = nanos_since(began);
    if flow == Flow::Wait(Waiting::Hold) {
        return flow;
    }
    cx.local.took(nanos);
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
        _ => (slot_of(spec, args), 0),
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

/// The slot of a command's keys, or of what only has a slot. In a cluster it is one and the same for all of them.
fn slot_of(spec: &CommandSpec, args: Args<'_>) -> Option<Slot> {
    let positions = key_positions(spec, args).ok()?;
    positions.iter().next().map(|p| Slot::of_key(args.at(p.index as usize)))
}

fn slot_of_queue(transaction: &Transaction) -> Option<Slot> {
    transaction.queue.iter().find_map(|(spec, args)| slot_of(spec, args.as_args()))
}
