//! The target of a job: a connection that a source made, on the worker that has it. What it sends is executed like the stream
//! of a primary: no routing, no expiry of our own, no replies. Commands about the job itself are CLUSTER SYNCSLOTS.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{NodeId, Slot, SlotBitmap};
use baton_cluster::{ClusterCommand, Origin, Topology};
use baton_commands::{CommandSpec, Flags, NodeCommand, Run};
use baton_config::Id;
use baton_replication::command;
use baton_resp::Args;

use super::{Coming, Job, Side, State, publish_hidden};
use crate::control::{Answer, ControlMessage, ReplyTo};
use crate::node::{Outcome, Refusal, SYNTAX};
use crate::shared::Shared;
use crate::worker::client::{Client, Waiting};
use crate::worker::context::{Context, Flow};
use crate::worker::dispatch;

const LOST: &str =
    "Connection lost to source. Check CLUSTER GETSLOTMIGRATIONS on the source node for more information.";
const BAD_COMMAND: &str = "Failed to process command during slot migration. Check logs for more information";
/// What only the two nodes of a job say to each other.
const WORDS: [&str; 6] = ["ACK", "SNAPSHOT-EOF", "REQUEST-PAUSE", "PAUSED", "REQUEST-FAILOVER", "FAILOVER-GRANTED"];
/// Characters of a job's name.
const NAME_CHARS: usize = 40;

/// CLUSTER SYNCSLOTS of a client that is no source yet.
pub fn outside(cx: &mut Context<'_>, client: &mut Client, topology: &Arc<Topology>, args: Args<'_>) -> Outcome {
    let word = String::from_utf8_lossy(args.at(2)).to_ascii_uppercase();
    match word.as_str() {
        "ESTABLISH" => establish(cx, client, topology, args),
        "CAPA" => Ok(Flow::Next),
        "FINISH" => Err("ERR No such slot migration job".into()),
        _ if !WORDS.contains(&word.as_str()) => Err(SYNTAX.into()),
        _ => Err(format!("ERR CLUSTER SYNCSLOTS {word} should only be used by slot migration clients").into()),
    }
}

/// What a source asks for.
struct Wish {
    source: NodeId,
    name: String,
    ranges: Vec<(Slot, Slot)>,
}

impl Wish {
    fn parse(args: Args<'_>) -> Result<Wish, Refusal> {
        let (mut source, mut name, mut ranges) = (None, None, Vec::new());
        let mut at = 3;
        while let Some(word) = args.get(at) {
            let value = args.get(at + 1).ok_or(SYNTAX)?;
            if word.eq_ignore_ascii_case(b"SOURCE") && source.is_none() {
                source = Some(NodeId::parse(value).map_err(|_| SYNTAX)?);
                at += 2;
            } else if word.eq_ignore_ascii_case(b"NAME") && name.is_none() {
                let text = String::from_utf8_lossy(value).into_owned();
                name = Some(Some(text).filter(|name| name.len() == NAME_CHARS).ok_or(SYNTAX)?);
                at += 2;
            } else if word.eq_ignore_ascii_case(b"SLOTSRANGE") && ranges.is_empty() {
                let (found, next) = crate::node::cluster::job_ranges(args, at + 1)?;
                ranges.extend(found);
                at = next;
            } else {
                return Err(SYNTAX.into());
            }
        }
        match (source, name) {
            (Some(source), Some(name)) if !ranges.is_empty() => Ok(Wish { source, name, ranges }),
            _ => Err(SYNTAX.into()),
        }
    }
}

fn establish(cx: &mut Context<'_>, client: &mut Client, topology: &Arc<Topology>, args: Args<'_>) -> Outcome {
    if !topology.myself().is_primary || cx.in_transaction {
        return Err("ERR Slot migration can only be used on primary nodes.".into());
    }
    if !topology.importing.is_empty() {
        return Err("ERR Slots are being manually imported".into());
    }
    if !topology.migrating.is_empty() {
        return Err("ERR Slots are being manually migrated".into());
    }
    let wish = Wish::parse(args)?;
    if wish.source == topology.myself().id {
        return Err("ERR Source node is target node itself".into());
    }
    if !topology.nodes.iter().any(|node| node.id == wish.source) {
        return Err("ERR Target node does not know the source node".into());
    }
    let slots = super::slots_of(&wish.ranges);
    if !slots.iter().all(|slot| topology.owner(slot).is_some_and(|node| node.id == wish.source)) {
        return Err("ERR Target node does not agree about current slot ownership".into());
    }
    let ids = (Some(wish.source), Some(topology.myself().id));
    let job = Job::new(wish.name, Side::Import, wish.ranges, ids, State::WaitingForAck, cx.shared.clock);
    if cx.shared.slot_jobs.add(&[Arc::clone(&job)]).is_err() {
        return Err("ERR Slot is already being imported on the target by a different migration".into());
    }
    publish_hidden(cx.shared);
    if cx.shared.journal.is_active() {
        let words: Vec<&[u8]> = args.iter().collect();
        cx.shared.journal.append_unselected(&words);
    }
    client.import_source = true;
    client.import = Some(job);
    client.publish_state();
    client.out.ok();
    Ok(Flow::Next)
}

/// Executes what a source sent.
pub(crate) fn request(cx: &mut Context<'_>, client: &mut Client, spec: &'static CommandSpec, args: Args<'_>) -> Flow {
    let Some(job) = client.import.clone() else { return Flow::Stop };
    if cx.world.holds.scope().is_some() || !cx.leased {
        return Flow::Wait(Waiting::Hold);
    }
    if cx.world.role.is_replica() || cx.world.loading.is_some() {
        fail(cx.shared, &job, "A failover occurred during slot import");
    }
    if job.state().is_over() || job.state() == State::CleaningUp {
        client.closing = true;
        return Flow::Stop;
    }
    job.heard(cx.shared.clock);
    if matches!(spec.run, Run::Node(NodeCommand::ClusterSyncslots)) {
        return on_word(cx, client, &job, args);
    }
    if cx.is_outside() {
        // A script holds the server up for so long that nothing may touch keys beside it.
        return end(cx, client, &job, BAD_COMMAND);
    }
    if cx.world.hot.memory_max > 0 {
        cx.make_room(client);
        if cx.lacks_room && spec.flags.contains(Flags::DENYOOM) {
            return end(cx, client, &job, "Ran out of memory (OOM) during slot import");
        }
    }
    let before = client.out.buf.len();
    cx.open = None;
    let flow = dispatch::execute(cx, client, spec, args, None);
    let failed = client.out.buf.get(before) == Some(&b'-');
    if failed {
        let text = String::from_utf8_lossy(&client.out.buf[before + 1..]).trim_end().to_owned();
        cx.shared.log.warning(&format!("Slot migration {}: '{}' failed: {text}", job.line(), spec.name));
    }
    client.out.buf.truncate(before);
    if failed || flow != Flow::Next {
        fail(cx.shared, &job, BAD_COMMAND);
        client.closing = true;
        return Flow::Stop;
    }
    Flow::Next
}

/// CLUSTER SYNCSLOTS of a source.
fn on_word(cx: &mut Context<'_>, client: &mut Client, job: &Arc<Job>, args: Args<'_>) -> Flow {
    let word = String::from_utf8_lossy(args.at(2)).to_ascii_uppercase();
    match (word.as_str(), job.state()) {
        ("ACK", state) => {
            if state == State::WaitingForAck {
                job.enter(cx.shared, State::ReceivingSnapshot, "");
            }
            say(client, b"ACK");
        }
        ("CAPA", _) => {}
        ("SNAPSHOT-EOF", State::ReceivingSnapshot) => {
            job.enter(cx.shared, State::WaitingForPaused, "");
            say(client, b"REQUEST-PAUSE");
        }
        ("PAUSED", State::WaitingForPaused) => {
            job.enter(cx.shared, State::FailoverRequested, "");
            say(client, b"REQUEST-FAILOVER");
        }
        ("FAILOVER-GRANTED", State::FailoverRequested) => {
            job.enter(cx.shared, State::FailoverGranted, "");
            claim(cx.shared, job);
        }
        ("SNAPSHOT-EOF" | "PAUSED" | "FAILOVER-GRANTED", _) => {
            return end(cx, client, job, "Unexpected state machine transition");
        }
        _ => return end(cx, client, job, "Unknown SYNCSLOTS subcommand used"),
    }
    Flow::Next
}

/// Has the control thread take the slots over.
fn claim(shared: &Shared, job: &Arc<Job>) {
    let Some(from) = job.source else { return };
    if shared.slot_jobs.stops.before_claim.load(Ordering::Relaxed) || !job.begin_settling() {
        return;
    }
    let slots: Vec<Slot> = job.slots.iter().collect();
    let command = ClusterCommand::ClaimSlots { slots, from };
    let (origin, reply) = (Origin::Client(String::new()), ReplyTo::Import(Arc::clone(job)));
    shared.threads().control.send(ControlMessage::Cluster { command, origin, reply });
}

/// Ends a job whose source is not heard any more, or has not the slots any more.
pub(super) fn keep_time(shared: &Shared, job: &Arc<Job>) {
    if job.state() == State::FailoverGranted {
        return claim(shared, job);
    }
    let world = shared.world.load();
    let Some(topology) = world.topology.as_ref() else { return };
    let quiet = shared.clock.mono().since(job.progress().heard);
    let owner = |slot| topology.owner(slot).map(|node| node.id);
    if job.slots.iter().any(|slot| topology.is_mine(slot)) {
        fail(shared, job, "Slots were unexpectedly assigned to myself during import");
    } else if job.slots.iter().any(|slot| owner(slot) != job.source) {
        fail(shared, job, "Slots are no longer owned by source node");
    } else if quiet > Duration::from_secs(world.settings.uint(Id::ReplTimeout)) {
        fail(shared, job, "Timed out after too long with no interaction");
    }
}

fn end(cx: &Context<'_>, client: &mut Client, job: &Arc<Job>, text: &str) -> Flow {
    fail(cx.shared, job, text);
    client.closing = true;
    Flow::Stop
}

fn say(client: &mut Client, word: &[u8]) {
    client.out.buf.extend(command(&[b"CLUSTER", b"SYNCSLOTS", word]));
}

/// The control thread has taken the slots over, or not.
pub(crate) fn on_claimed(shared: &Shared, job: &Arc<Job>, answer: &Answer) {
    match answer {
        Answer::Error(text) => {
            shared.log.warning(&format!("Slot migration {}: {text}", job.line()));
            give_up(shared, job, "Slots are no longer owned by source node");
        }
        _ => {
            job.end_settling();
            job.enter(shared, State::Success, "");
            publish_hidden(shared);
            tell_replicas(shared, job, None);
        }
    }
}

/// The connection of a source ended.
pub(crate) fn on_lost(shared: &Shared, job: &Arc<Job>) {
    fail(shared, job, LOST);
}

/// Ends a job without the slots: the control thread deletes the keys that came.
pub(crate) fn fail(shared: &Shared, job: &Arc<Job>, text: &str) {
    // Once the control thread was asked to take the slots over, its answer decides.
    if job.side == Side::Import && job.begin_settling() {
        give_up(shared, job, text);
    }
}

fn give_up(shared: &Shared, job: &Arc<Job>, text: &str) {
    job.enter(shared, State::CleaningUp, text);
    shared.threads().control.send(ControlMessage::DropImport(Arc::clone(job)));
}

/// The keys of a job that failed are gone.
pub(crate) fn dropped(shared: &Shared, job: &Arc<Job>) {
    let text = job.progress().message;
    job.end_settling();
    job.enter(shared, State::Failed, &text);
    publish_hidden(shared);
    tell_replicas(shared, job, Some(&text));
}

fn tell_replicas(shared: &Shared, job: &Job, failure: Option<&str>) {
    let world = shared.world.peek();
    if world.role.is_replica() || !shared.journal.is_active() {
        return;
    }
    let state = if failure.is_some() { "FAILED" } else { "SUCCESS" };
    let mut words = vec!["CLUSTER", "SYNCSLOTS", "FINISH", "STATE", state, "NAME", &job.name];
    words.extend(failure.iter().flat_map(|text| ["MESSAGE", text]));
    shared.journal.append_unselected(&words);
}

/// A replica hears in the stream what its primary imports.
pub(crate) fn follow(shared: &Shared, args: Args<'_>) {
    let word = args.get(2).unwrap_or_default();
    if word.eq_ignore_ascii_case(b"ESTABLISH") {
        if let Ok(wish) = Wish::parse(args) {
            let ids = (Some(wish.source), None);
            let job = Job::new(wish.name, Side::Follow, wish.ranges, ids, State::OccurringOnPrimary, shared.clock);
            // One that is in the way belongs to a former primary.
            while let Err(old) = shared.slot_jobs.add(&[Arc::clone(&job)]) {
                old.enter(shared, State::Failed, "A failover occurred during slot import");
            }
            publish_hidden(shared);
        }
        return;
    }
    let value = |name: &[u8]| {
        let at = args.iter().position(|word| word.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(args.get(at + 1)?).into_owned())
    };
    if let Some(job) = value(b"NAME").and_then(|name| shared.slot_jobs.find(&name)) {
        let succeeded = value(b"STATE").is_some_and(|state| state.eq_ignore_ascii_case("SUCCESS"));
        let state = if succeeded { State::Success } else { State::Failed };
        job.enter(shared, state, &value(b"MESSAGE").unwrap_or_default());
        publish_hidden(shared);
    }
}

/// The data of this node is another's now, which had these jobs when it was written: `follows` where that is its primary, and
/// else they ended with the process. The caller has stopped the world, or nobody is served yet.
pub(crate) fn adopt(shared: &Shared, coming: Vec<Coming>, follows: bool) {
    for job in shared.slot_jobs.running().iter().filter(|job| job.side != Side::Export) {
        job.enter(shared, State::Failed, "Full resynchronization occurred");
    }
    for (name, ranges) in coming.into_iter().filter(|(name, _)| name.len() == NAME_CHARS) {
        // Files don't say where the slots come from, and nobody is shown it.
        let ids = (None, None);
        let job = Job::new(name, Side::Follow, ranges, ids, State::OccurringOnPrimary, shared.clock);
        if shared.slot_jobs.add(&[Arc::clone(&job)]).is_ok() && !follows {
            job.enter(shared, State::Failed, "Process restarted");
        }
    }
    publish_hidden(shared);
}

/// The append-only file was read: what was on its way when it ended is on its way still where that is another node's work
/// (`follows`), and else ended with the process. Nobody is served yet.
pub(crate) fn end_loading(shared: &Shared, follows: bool) {
    let open = shared.slot_jobs.running();
    if !follows && !open.is_empty() {
        for job in open {
            job.enter(shared, State::Failed, "Process restarted");
        }
        publish_hidden(shared);
    }
}

/// This node has another role now: what its former primary imported, or it did itself, is not whole.
pub(crate) fn on_new_role(shared: &Shared, is_primary: bool) -> SlotBitmap {
    let mut left = SlotBitmap::new();
    for job in shared.slot_jobs.running() {
        // Who goes on as a replica hears from its primary what becomes of what that imports.
        if job.side == Side::Export || (job.side == Side::Follow && !is_primary) {
            continue;
        }
        // A claim that is on its way finds another role, and gives up what came.
        if job.side == Side::Import && !job.begin_settling() {
            continue;
        }
        job.end_settling();
        left.insert_all(&job.slots);
        job.enter(shared, State::Failed, "A failover occurred during slot import");
        if is_primary {
            tell_replicas(shared, &job, Some("A failover occurred during slot import"));
        }
    }
    if !left.is_empty() {
        publish_hidden(shared);
    }
    left
}
