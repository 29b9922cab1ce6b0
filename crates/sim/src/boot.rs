//! The files with which a cluster begins that was formed before the world began, and the addresses in it. Forming one
//! by MEET is the cluster machine's own tests' business; here every run would pay seconds for it.

use crate::disk::Image;
use crate::event::ProcNo;
use crate::plan::Plan;
use baton_base::{NodeId, Rng, ShardId, Slot};
use std::fmt::Write;

/// Client port of every process.
pub const PORT: u16 = 7000;
/// Bus port of every process.
pub const BUS_PORT: u16 = 17000;

/// The address of a process.
pub fn ip(proc: ProcNo) -> String {
    format!("10.0.{}.{}", proc / 250, proc % 250 + 1)
}

/// The process at an address.
pub fn proc_at(ip: &str) -> Option<ProcNo> {
    let (high, low) = ip.strip_prefix("10.0.")?.split_once('.')?;
    Some(high.parse::<ProcNo>().ok()? * 250 + low.parse::<ProcNo>().ok()?.checked_sub(1)?)
}

/// The shard that a process belongs to at the start: primaries come first, and a witness is of none that has slots.
pub fn shard_of(plan: &Plan, proc: ProcNo) -> usize {
    if plan.is_witness(proc) { plan.shards + proc } else { proc % plan.shards }
}

/// The configuration file of every process.
pub fn images(plan: &Plan, rng: &mut Rng) -> Vec<Image> {
    let ids: Vec<NodeId> = (0..plan.procs()).map(|_| NodeId::random(rng)).collect();
    let shards: Vec<ShardId> = (0..plan.shards + plan.procs()).map(|_| ShardId::random(rng)).collect();
    (0..plan.procs()).map(|me| Image { config: config(plan, &ids, &shards, me), ..Image::default() }).collect()
}

fn config(plan: &Plan, ids: &[NodeId], shards: &[ShardId], me: ProcNo) -> String {
    let mut text = String::new();
    for (proc, id) in ids.iter().enumerate() {
        let shard = shard_of(plan, proc);
        let myself = if proc == me { "myself," } else { "" };
        let _ =
            write!(text, "{id} {}:{PORT}@{BUS_PORT},,nodename={},shard-id={} ", ip(proc), name(proc), shards[shard]);
        text.push_str(myself);
        if proc < plan.shards {
            let (first, last) = slots(plan, shard);
            let _ = writeln!(text, "master - 0 0 {} connected {first}-{last}", shard + 1);
        } else if plan.is_witness(proc) {
            let _ = writeln!(text, "master - 0 0 {} connected", proc + 1);
        } else {
            let _ = writeln!(text, "slave {} 0 0 {} connected", ids[shard], shard + 1);
        }
    }
    let _ = write!(text, "vars currentEpoch {} lastVoteEpoch 0", plan.procs());
    if plan.witnesses > 0 {
        let list =
            |procs: &mut dyn Iterator<Item = ProcNo>| procs.map(|p| ids[p].to_string()).collect::<Vec<_>>().join(",");
        let (mut all, mut own) = (0..plan.procs(), (0..plan.procs()).filter(|proc| plan.is_witness(*proc)));
        let _ = write!(text, " voters {} witnesses {}", list(&mut all), list(&mut own));
    }
    text.push('\n');
    text
}

/// The name by which the logs know a process.
pub fn name(proc: ProcNo) -> String {
    format!("n{proc}")
}

/// First and last slot of a shard.
pub fn slots(plan: &Plan, shard: usize) -> (u16, u16) {
    let at = |n: usize| u16::try_from(Slot::COUNT * n / plan.shards).expect("at most the number of slots");
    (at(shard), at(shard + 1).wrapping_sub(1))
}

/// The slots of the shard of a process that clients write to.
pub fn slots_used_by(plan: &Plan, proc: ProcNo) -> Vec<u16> {
    match shard_of(plan, proc) {
        shard if shard < plan.shards => [slots(plan, shard).0, slots(plan, shard).1].into(),
        _ => Vec::new(),
    }
}

/// The slots that clients write to: the first and the last of every shard.
pub fn slots_used(plan: &Plan) -> Vec<u16> {
    (0..plan.shards).flat_map(|shard| [slots(plan, shard).0, slots(plan, shard).1]).collect()
}
