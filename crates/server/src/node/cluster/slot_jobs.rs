//! CLUSTER MIGRATESLOTS, GETSLOTMIGRATIONS and CANCELSLOTMIGRATIONS (cluster-bus 11.4): what is asked for is checked here,
//! the work is `crate::slot_jobs`.

use std::sync::Arc;

use baton_base::{NodeId, Slot, num};
use baton_cluster::Topology;
use baton_config::Id;
use baton_resp::Args;

use super::super::{Outcome, Refusal, SYNTAX};
use super::slot;
use crate::slot_jobs::{Job, Side, State, export, slots_of};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

const NOT_PRIMARY: &str = "ERR Slot migration can only be used on primary nodes.";

type Ranges = Vec<(Slot, Slot)>;

/// Pairs of slots up to the first word that is no number, and where that stands.
pub(crate) fn job_ranges(args: Args<'_>, mut at: usize) -> Result<(Ranges, usize), Refusal> {
    let mut ranges = Ranges::new();
    while let Some(word) = args.get(at) {
        if num::parse_i64(word).is_none() {
            break;
        }
        let start = slot(word)?;
        let end = slot(args.get(at + 1).ok_or("ERR No end slot for final slot range")?)?;
        if start > end {
            return Err(format!("ERR Start slot number {start} is greater than end slot number {end}.").into());
        }
        if let Some((a, b)) = ranges.iter().find(|(a, b)| *a <= end && start <= *b) {
            return Err(format!("ERR Slot range {start}-{end} overlaps with previous range {a}-{b}.").into());
        }
        ranges.push((start, end));
        at += 2;
    }
    if ranges.is_empty() { Err("ERR No slot ranges specified".into()) } else { Ok((ranges, at)) }
}

/// CLUSTER MIGRATESLOTS SLOTSRANGE start end [start end ...] NODE id [SLOTSRANGE ...].
pub(super) fn migrate(cx: &mut Context<'_>, client: &mut Client, topology: &Topology, args: Args<'_>) -> Outcome {
    if !topology.myself().is_primary {
        return Err(NOT_PRIMARY.into());
    }
    if !topology.importing.is_empty() {
        return Err("ERR Slots are being manually imported".into());
    }
    if !topology.migrating.is_empty() {
        return Err("ERR Slots are being manually migrated".into());
    }
    let mut jobs: Vec<Arc<Job>> = Vec::new();
    let mut at = 2;
    while let Some(word) = args.get(at) {
        // The original's command-line tool sends the word with the zero that ends it, which the original does not see.
        if !word.strip_suffix(b"\0").unwrap_or(word).eq_ignore_ascii_case(b"SLOTSRANGE") {
            return Err(SYNTAX.into());
        }
        let (ranges, next) = job_ranges(args, at + 1)?;
        check_owner(topology, &ranges)?;
        let slots = slots_of(&ranges);
        if jobs.iter().any(|job| !job.slots.and(&slots).is_empty()) {
            return Err("ERR Slot ranges in migrations overlap".into());
        }
        if !args.get(next).is_some_and(|word| word.eq_ignore_ascii_case(b"NODE")) {
            return Err(SYNTAX.into());
        }
        let target = target(topology, args.get(next + 1).ok_or(SYNTAX)?)?;
        let ids = (Some(topology.myself().id), Some(target));
        let name = NodeId::random(&mut cx.local.rng).to_string();
        jobs.push(Job::new(name, Side::Export, ranges, ids, State::Connecting, cx.shared.clock));
        at = next + 2;
    }
    if let Err(other) = cx.shared.slot_jobs.add(&jobs) {
        let common = jobs.iter().find_map(|job| job.slots.and(&other.slots).first());
        return Err(format!("ERR I am already migrating slot {}.", common.unwrap_or_default()).into());
    }
    for job in jobs {
        export::start(cx.shared, job);
    }
    client.out.ok();
    Ok(Flow::Next)
}

fn check_owner(topology: &Topology, ranges: &Ranges) -> Result<(), Refusal> {
    let slots = slots_of(ranges);
    let mut owner = None;
    for slot in slots.iter() {
        let Some(node) = topology.owner(slot) else {
            return Err(format!("ERR Slot {slot} has no node served.").into());
        };
        if owner.is_some_and(|owner| owner != node.id) {
            return Err("ERR Requested slots span multiple shards".into());
        }
        owner = Some(node.id);
    }
    if owner == Some(topology.myself().id) { Ok(()) } else { Err("ERR Slots are not served by this node.".into()) }
}

fn target(topology: &Topology, text: &[u8]) -> Result<NodeId, Refusal> {
    let shown = String::from_utf8_lossy(text);
    let id = NodeId::parse(text).map_err(|_| format!("ERR Invalid node name: {shown}"))?;
    let Some(node) = topology.nodes.iter().find(|node| node.id == id) else {
        return Err(format!("ERR Unknown node name: {shown}").into());
    };
    if node.id == topology.myself().id {
        return Err("ERR Target node can not be this node.".into());
    }
    if !node.is_primary {
        return Err("ERR Target node is not a primary".into());
    }
    Ok(id)
}

/// CLUSTER CANCELSLOTMIGRATIONS.
pub(super) fn cancel(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    if !cx.shared.slot_jobs.cancel_exports(cx.shared) {
        return Err("ERR No migrations ongoing".into());
    }
    client.out.ok();
    Ok(Flow::Next)
}

/// CLUSTER GETSLOTMIGRATIONS.
pub(super) fn list(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    let kept = usize::try_from(cx.world.settings.uint(Id::ClusterSlotMigrationLogMaxLen)).unwrap_or(usize::MAX);
    let jobs = cx.shared.slot_jobs.all(kept);
    let out = &mut client.out;
    out.array(jobs.len());
    for job in jobs {
        let progress = job.progress();
        let seconds = |at: baton_base::WallMs| (at.0 / 1000) as i64;
        out.map(if job.target.is_some() { 12 } else { 10 });
        let mut text = |name: &str, value: &str| {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        };
        text("name", &job.name);
        text("operation", if job.side == Side::Export { "EXPORT" } else { "IMPORT" });
        text("slot_ranges", &job.shown_ranges());
        if let (Some(target), Some(source)) = (job.target, job.source) {
            text("target_node", &target.to_string());
            text("source_node", &source.to_string());
        }
        let mut number = |name: &str, value: i64| {
            out.bulk(name.as_bytes());
            out.int(value);
        };
        number("create_time", seconds(job.created));
        number("last_update_time", seconds(progress.updated));
        number("last_ack_time", seconds(progress.acked));
        let mut text = |name: &str, value: &str| {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        };
        text("state", progress.state.word());
        text("message", &progress.message);
        out.bulk(b"cow_size");
        out.int(0);
        out.bulk(b"remaining_repl_size");
        out.int(i64::try_from(progress.remaining_bytes).unwrap_or(i64::MAX));
    }
    Ok(Flow::Next)
}
